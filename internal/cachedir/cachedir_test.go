package cachedir

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestDir(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "b")
	d, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	d.Write("x", []byte("one"))
	d.Write("x", []byte("two"))
	if data, err := d.Read("x"); err != nil || string(data) != "two" {
		t.Errorf("x is %q, %v", data, err)
	}
	d.Remove("x")
	if _, err := d.Read("x"); err == nil {
		t.Error("x is still there")
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder is %v, %v", info.Mode(), err)
	}
}

// TestSweep has entries of several ages.
func TestSweep(t *testing.T) {
	path := t.TempDir()
	d := Dir{path}
	old := time.Now().Add(-unused - time.Hour)
	for _, name := range []string{"old", "used", "kept", "new"} {
		d.Write(name, []byte("x"))
		if name != "new" {
			if err := os.Chtimes(d.Path(name), old, old); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := d.Read("used"); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path, "kept"); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"old": false, "used": true, "kept": true, "new": true} {
		if _, err := os.Stat(d.Path(name)); (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
	// The next one is a day away.
	d.Write("late", nil)
	if err := os.Chtimes(d.Path("late"), old, old); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(d.Path("late")); err != nil {
		t.Error("swept twice in a day")
	}
}
