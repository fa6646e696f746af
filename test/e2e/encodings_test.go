package e2e

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/klauspost/compress/zstd"
	"github.com/tightlip/tightlip/internal/enginetest"
	"github.com/ulikunitz/xz"
)

// encodedText is a value as some program writes it, and what the program under test calls that encoding.
type encodedText struct{ name, encoding, text string }

// encoded is a value in every encoding, made with the standard library's encoders.
func encoded(value string) []encodedText {
	quoted, _ := json.Marshal(value)
	var escaped strings.Builder
	_ = xml.EscapeText(&escaped, []byte(value))
	b64 := base64.StdEncoding.EncodeToString
	return []encodedText{
		{"raw", "raw", value},
		{"base64", "base64", b64([]byte(value))},
		{"base64-unpadded", "base64", base64.RawStdEncoding.EncodeToString([]byte(value))},
		{"base64-url", "base64", // by a piece that has neither - nor _
			base64.URLEncoding.EncodeToString([]byte(value))},
		{"basic-1", "base64", b64([]byte("user:" + value))},
		{"basic-2", "base64", b64([]byte("users:" + value))},
		{"basic-3", "base64", b64([]byte("longuser:" + value))},
		{"base64-w76", "base64", wrap(b64([]byte(strings.Repeat("padding ", 5)+value)), 76, "\n")},
		{"base64-w64", "base64", wrap(b64([]byte(strings.Repeat("padding ", 4)+value)), 64, "\r\n")},
		{"hex", "hex", hex.EncodeToString([]byte(value))},
		{"hex-upper", "hex", strings.ToUpper(hex.EncodeToString([]byte(value)))},
		{"percent-query", "percent", url.QueryEscape(value)},
		{"percent-path", "percent", url.PathEscape(value)},
		{"json", "json", string(quoted)},
		{"shell", "shell", `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "$", `\$`, "`", "\\`").Replace(value) + `"`},
		{"xml", "xml", escaped.String()},
		{"utf-16le", "utf-16", utf16Text(value, binary.LittleEndian)},
		{"utf-16be", "utf-16", utf16Text(value, binary.BigEndian)},
	}
}

func wrap(text string, width int, newline string) string {
	var out strings.Builder
	for len(text) > width {
		out.WriteString(text[:width] + newline)
		text = text[width:]
	}
	return out.String() + text
}

func utf16Text(text string, order binary.AppendByteOrder) string {
	var out []byte
	for _, unit := range utf16.Encode([]rune(text)) {
		out = order.AppendUint16(out, unit)
	}
	return string(out)
}

// packed is a file that holds a value inside others, and the path of the innermost one in a finding.
type packed struct {
	name   string
	data   []byte
	inside string
}

func nested(t *testing.T, value string) []packed {
	t.Helper()
	secret := []byte("token=" + value + "\n")
	inTar := tarOf(t, "app/.env", secret)
	inZip := zipOf(t, "lib/config.ini", secret)
	return []packed{
		{"plain.gz", gzipOf(t, secret), "!"},
		{"no-extension", gzipOf(t, secret), "!"},
		{"archive.zip", inZip, "!/lib/config.ini"},
		{"archive.tar", inTar, "!/app/.env"},
		{"archive.tar.xz", xzOf(t, inTar), "!/app/.env"},
		{"plain.zst", zstdOf(t, secret), "!"},
		{"plain.bz2", bzip2Of(t, secret), "!"},
		{"tool.deb", debOf(t, secret), "!/data.tar.xz!/./etc/tool.conf"},
		{"tar-in-zip-in.gz", gzipOf(t, zipOf(t, "inner.tar", inTar)), "!/inner.tar!/app/.env"},
		{"twice.gz", gzipOf(t, gzipOf(t, secret)), "!!"},
	}
}

func tarOf(t *testing.T, name string, data []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(data))}); err != nil {
		t.Fatal(err)
	}
	return finish(t, &buf, w, data)
}

func zipOf(t *testing.T, name string, data []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	z := zip.NewWriter(&buf)
	w, err := z.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func gzipOf(t *testing.T, data []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	return finish(t, &buf, gzip.NewWriter(&buf), data)
}

func xzOf(t *testing.T, data []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	w, err := xz.NewWriter(&buf)
	if err != nil {
		t.Fatal(err)
	}
	return finish(t, &buf, w, data)
}

func zstdOf(t *testing.T, data []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	w, err := zstd.NewWriter(&buf)
	if err != nil {
		t.Fatal(err)
	}
	return finish(t, &buf, w, data)
}

// finish writes data to w and returns what arrived in buf.
func finish(t *testing.T, buf *bytes.Buffer, w io.WriteCloser, data []byte) []byte {
	t.Helper()
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// bzip2Of uses the program: Go's library only unpacks.
func bzip2Of(t *testing.T, data []byte) []byte {
	t.Helper()
	cmd := exec.Command(enginetest.Tool(t, "busybox"), "bzip2", "-c")
	cmd.Stdin = bytes.NewReader(data)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// debOf is a Debian package with a file /etc/tool.conf.
func debOf(t *testing.T, data []byte) []byte {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"DEBIAN/control": "Package: tool\nVersion: 1\nArchitecture: all\nMaintainer: nobody <nobody@example.com>\nDescription: test\n",
		"etc/tool.conf":  string(data),
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	deb := filepath.Join(t.TempDir(), "tool.deb")
	if out, err := exec.Command(enginetest.Tool(t, "dpkg-deb"), "-Zxz", "--root-owner-group", "-b", dir, deb).CombinedOutput(); err != nil {
		t.Fatalf("dpkg-deb: %v\n%s", err, out)
	}
	return readFile(t, deb)
}
