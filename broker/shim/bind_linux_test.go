package shim

import (
	"archive/tar"
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func archiveOf(t *testing.T, members ...tar.Header) []byte {
	t.Helper()
	var buf bytes.Buffer
	tw := tar.NewWriter(&buf)
	for _, h := range members {
		text := ""
		if h.Typeflag == tar.TypeReg {
			text = "text of " + h.Name
		}
		h.Size = int64(len(text))
		if err := tw.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := tw.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func TestUnpack(t *testing.T) {
	when := time.Unix(1_700_000_000, 0)
	dir := tar.Header{Name: "./", Typeflag: tar.TypeDir, Mode: 0o755}
	file := tar.Header{Name: "sub/file", Typeflag: tar.TypeReg, Mode: 0o640, ModTime: when}
	whole := archiveOf(t, dir, tar.Header{Name: "sub", Typeflag: tar.TypeDir, Mode: 0o711}, file,
		tar.Header{Name: "link", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"},
		tar.Header{Name: "hard", Typeflag: tar.TypeLink, Linkname: "sub/file", Mode: 0o640, ModTime: when})
	to := filepath.Join(t.TempDir(), "to")
	if folder, err := unpack(whole, to); !folder || err != nil {
		t.Fatal(folder, err)
	}
	for _, name := range []string{"sub/file", "hard"} {
		text, err := os.ReadFile(filepath.Join(to, name))
		info, _ := os.Stat(filepath.Join(to, name))
		if err != nil || string(text) != "text of sub/file" || info.Mode() != 0o640 || !info.ModTime().Equal(when) {
			t.Errorf("%s: %q %v %v", name, text, info, err)
		}
	}
	if link, err := os.Readlink(filepath.Join(to, "link")); err != nil || link != "/etc/passwd" {
		t.Errorf("link: %q %v", link, err)
	}
	one := filepath.Join(t.TempDir(), "one")
	if folder, err := unpack(archiveOf(t, tar.Header{Name: ".", Typeflag: tar.TypeReg, Mode: 0o600}), one); folder || err != nil {
		t.Error(folder, err)
	}
	for name, archive := range map[string][]byte{
		"empty": nil, "cut": whole[:700],
		"outside":      archiveOf(t, dir, tar.Header{Name: "../x", Typeflag: tar.TypeReg, Mode: 0o600}),
		"through link": archiveOf(t, dir, tar.Header{Name: "l", Typeflag: tar.TypeSymlink, Linkname: "/tmp"}, tar.Header{Name: "l/x", Typeflag: tar.TypeReg}),
		"device":       archiveOf(t, dir, tar.Header{Name: "d", Typeflag: tar.TypeChar}),
	} {
		if _, err := unpack(archive, filepath.Join(t.TempDir(), "to")); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
