package podman

import (
	"archive/tar"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// archive writes a tar file of some headers; the content of a file is its name.
func archive(t *testing.T, headers ...tar.Header) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "a.tar")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := tar.NewWriter(f)
	for _, h := range headers {
		if h.Typeflag == tar.TypeReg {
			h.Size = int64(len(h.Name))
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := w.Write([]byte(h.Name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestUnpack(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	err := unpack(archive(t,
		tar.Header{Typeflag: tar.TypeDir, Name: "./", Mode: 0o755},
		tar.Header{Typeflag: tar.TypeDir, Name: "sealed/", Mode: 0o500},
		tar.Header{Typeflag: tar.TypeReg, Name: "sealed/file", Mode: 0o4711},
		tar.Header{Typeflag: tar.TypeLink, Name: "hard", Linkname: "sealed/file"},
		tar.Header{Typeflag: tar.TypeSymlink, Name: "soft", Linkname: "/etc/passwd"},
		tar.Header{Typeflag: tar.TypeReg, Name: "no/folder/before", Mode: 0o600},
	), dir)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]fs.FileMode{
		"sealed": fs.ModeDir | 0o500, "sealed/file": fs.ModeSetuid | 0o711, "hard": fs.ModeSetuid | 0o711, "no/folder/before": 0o600,
	} {
		if info, err := os.Lstat(filepath.Join(dir, name)); err != nil || info.Mode() != want {
			t.Errorf("%s: got %v, %v, want %v", name, info, err, want)
		}
	}
	if target, err := os.Readlink(filepath.Join(dir, "soft")); target != "/etc/passwd" {
		t.Errorf("got %s, %v", target, err)
	}
}

// TestUnpackStays wants nothing to be written outside, and no device to be left out in silence.
func TestUnpackStays(t *testing.T) {
	for name, headers := range map[string][]tar.Header{
		"link":   {{Typeflag: tar.TypeSymlink, Name: "out", Linkname: "../.."}, {Typeflag: tar.TypeReg, Name: "out/stolen", Mode: 0o600}},
		"device": {{Typeflag: tar.TypeChar, Name: "null"}},
	} {
		parent := t.TempDir()
		if err := unpack(archive(t, headers...), filepath.Join(parent, "a", "b")); err == nil {
			t.Errorf("%s: no error", name)
		}
		if err := os.MkdirAll(filepath.Join(parent, "a"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := unpack(archive(t, headers...), filepath.Join(parent, "a", "b")); err == nil {
			t.Errorf("%s: no error", name)
		}
		if _, err := os.Lstat(filepath.Join(parent, "stolen")); err == nil {
			t.Errorf("%s: written outside", name)
		}
	}
	dir := filepath.Join(t.TempDir(), "out")
	if err := unpack(archive(t, tar.Header{Typeflag: tar.TypeReg, Name: "../../up", Mode: 0o600}), dir); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "up")); err != nil {
		t.Error(err)
	}
}
