package build_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/tightlip/tightlip/build"
)

func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	name, link := filepath.Join(dir, "file"), filepath.Join(dir, "link")
	write := func(name, text string, err error) error {
		return build.WriteFile(name, func(w io.Writer) error {
			_, failed := io.WriteString(w, text)
			return errors.Join(failed, err)
		})
	}
	holds := func(text string, mode os.FileMode) {
		t.Helper()
		got, err := os.ReadFile(name)
		if err != nil || string(got) != text {
			t.Errorf("the file has %q: %v", got, err)
		}
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != mode {
			t.Errorf("the mode is %v: %v", info.Mode(), err)
		}
		if names, err := filepath.Glob(filepath.Join(dir, ".*")); err != nil || len(names) > 0 {
			t.Errorf("left is %q: %v", names, err)
		}
	}
	if err := write(name, "new", nil); err != nil {
		t.Fatal(err)
	}
	holds("new", 0o644)
	if err := errors.Join(os.Chmod(name, 0o640), os.Symlink("file", link)); err != nil {
		t.Fatal(err)
	}
	if err := write(link, "linked", nil); err != nil {
		t.Fatal(err)
	}
	holds("linked", 0o640)
	full := errors.New("full")
	if err := write(name, "half", full); !errors.Is(err, full) {
		t.Errorf("got %v", err)
	}
	holds("linked", 0o640)
	if info, err := os.Lstat(link); err != nil || info.Mode().Type() != os.ModeSymlink {
		t.Errorf("the link is gone: %v", err)
	}
}
