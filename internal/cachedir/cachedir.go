// Package cachedir keeps entries in a folder from which any of them may be lost at any time.
package cachedir

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Dir is such a folder. Entries are named by their callers, who make sure that a name says all that its entry depends on.
type Dir struct{ path string }

// unused is how long an entry stays that nobody asks for.
const unused = 30 * 24 * time.Hour

// stamp is the file that says when old entries were removed last.
const stamp = "swept"

// Open opens a folder that only this user may read, and makes it if it is missing. Entries that are old are removed once a day, but
// for those in keep.
func Open(path string, keep ...string) (Dir, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return Dir{}, err
	}
	d := Dir{path}
	d.sweep(time.Now(), keep)
	return d, nil
}

// Path is where the entry of a name is.
func (d Dir) Path(name string) string { return filepath.Join(d.path, name) }

func (d Dir) sweep(now time.Time, keep []string) {
	swept := d.Path(stamp)
	if info, err := os.Stat(swept); err == nil && now.Sub(info.ModTime()) < 24*time.Hour {
		return
	}
	if os.WriteFile(swept, nil, 0o600) != nil || os.Chtimes(swept, now, now) != nil {
		return
	}
	entries, _ := os.ReadDir(d.path)
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && !slices.Contains(keep, e.Name()) && now.Sub(info.ModTime()) > unused {
			_ = os.Remove(d.Path(e.Name()))
		}
	}
}

// Read returns an entry, and notes that it was of use.
func (d Dir) Read(name string) ([]byte, error) {
	path := d.Path(name)
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if info, err := os.Stat(path); err == nil && time.Since(info.ModTime()) > 24*time.Hour {
		now := time.Now()
		_ = os.Chtimes(path, now, now)
	}
	return data, nil
}

// Write makes an entry, whole or not at all. It says nothing of errors: a cache that cannot be written is only slow.
func (d Dir) Write(name string, data []byte) {
	f, err := os.CreateTemp(d.path, "new-*")
	if err != nil {
		return
	}
	_, err = f.Write(data)
	if errors.Join(err, f.Close()) != nil || os.Rename(f.Name(), d.Path(name)) != nil {
		_ = os.Remove(f.Name())
	}
}

// Keep makes an empty entry, which is on disk when it returns.
func (d Dir) Keep(name string) error {
	f, err := os.OpenFile(d.Path(name), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// Names lists the entries whose names begin with a prefix.
func (d Dir) Names(prefix string) ([]string, error) {
	var out []string
	entries, err := os.ReadDir(d.path)
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), prefix) {
			out = append(out, e.Name())
		}
	}
	return out, err
}

// Remove removes an entry, if it is there.
func (d Dir) Remove(name string) { _ = os.Remove(d.Path(name)) }
