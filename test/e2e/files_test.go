package e2e

import (
	"archive/tar"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// tree lists what is in a folder, with the size of files; nothing if there is none.
func tree(t testing.TB, dir string) []string {
	t.Helper()
	var list []string
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		list = append(list, rel+" "+info.Mode().String())
		return nil
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	slices.Sort(list)
	return list
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// contents is everything in a file or folder, in a form to compare.
func contents(t testing.TB, path string) []string {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.IsDir() {
		return tree(t, path)
	}
	return []string{string(readFile(t, path))}
}

func wantFile(t testing.TB, path, content string) {
	t.Helper()
	if data := readFile(t, path); string(data) != content {
		t.Errorf("%s holds %q, not %q", path, data, content)
	}
}

// members lists the names in an archive.
func members(t testing.TB, path string) (names []string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for tr := tar.NewReader(f); ; {
		h, err := tr.Next()
		if err == io.EOF {
			return names
		}
		if err != nil {
			t.Fatalf("reading the archive: %v", err)
		}
		names = append(names, h.Name)
	}
}

func wantMember(t testing.TB, path, name string) {
	t.Helper()
	if names := members(t, path); !slices.Contains(names, name) {
		t.Errorf("%s holds %q and not %s", path, names, name)
	}
}
