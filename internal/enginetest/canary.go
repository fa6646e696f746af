package enginetest

import (
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Canary is a new secret value. It looks like nothing else, and different in each encoding.
func Canary() string { return "canary/" + rand.Text() + "+&\"<é>~~~~$x" }

// PlainCanary is a new secret value of letters only, which survives shells and file names.
func PlainCanary() string { return "canary" + rand.Text() }

// Traces names the forms in which a value occurs in data. It does not use the program's own search.
func Traces(data []byte, value string) []string {
	var found []string
	for name, forms := range forms(value) {
		for _, f := range forms {
			if bytes.Contains(data, []byte(f)) {
				found = append(found, name)
				break
			}
		}
	}
	return found
}

func forms(value string) map[string][]string {
	out := map[string][]string{
		"raw": {value}, "hex": {hex.EncodeToString([]byte(value)), strings.ToUpper(hex.EncodeToString([]byte(value)))},
		"URL": {url.QueryEscape(value), url.PathEscape(value)}, "JSON": {jsonText(value), strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(jsonText(value))},
	}
	for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
		for before := range 3 {
			text := enc.EncodeToString([]byte(strings.Repeat("x", before) + value + "xxx"))
			first := (before*8 + 5) / 6
			out["base64"] = append(out["base64"], text[first:(before+len(value))*8/6])
		}
	}
	return out
}

// jsonText is a value as it stands between quotes in JSON, with HTML escaped.
func jsonText(value string) string {
	quoted, _ := json.Marshal(value)
	return string(quoted[1 : len(quoted)-1])
}

// NoTraces fails the test if a value is in a text.
func NoTraces(t testing.TB, what, text, value string) {
	t.Helper()
	if found := Traces([]byte(text), value); found != nil {
		t.Errorf("%s holds the value (%s)", what, strings.Join(found, ", "))
	}
}

// NoTracesIn fails the test if a value is in a file, a name or a link below a folder. Gzip is unpacked. Files whose path
// from dir is in except are left out: the test put the value there itself.
func NoTracesIn(t testing.TB, dir, value string, except ...string) {
	t.Helper()
	left := map[string]bool{}
	for _, path := range except {
		left[path] = true
	}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		NoTraces(t, "the name "+rel, rel, value)
		switch {
		case d.Type()&fs.ModeSymlink != 0:
			target, _ := os.Readlink(path)
			NoTraces(t, "the link "+rel, target, value)
		case d.Type().IsRegular() && !left[rel]:
			noTracesInFile(t, path, rel, value)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func noTracesInFile(t testing.TB, path, rel, value string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Error(err)
		return
	}
	NoTraces(t, rel, string(data), value)
	if !bytes.HasPrefix(data, []byte{0x1f, 0x8b}) {
		return
	}
	if z, err := gzip.NewReader(bytes.NewReader(data)); err == nil {
		unpacked, _ := io.ReadAll(z)
		NoTraces(t, rel+", unpacked,", string(unpacked), value)
	}
}
