package build

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// WriteFile writes a file under another name first, so that name is whole or not there. It keeps the permissions of a file that is
// there. What is there and no regular file, such as a device or a pipe, is written to and stays what it is.
func WriteFile(name string, write func(io.Writer) error) error {
	mode := fs.FileMode(0o644)
	info, err := os.Stat(name)
	switch {
	case err == nil && !info.Mode().IsRegular():
		return writeInto(name, os.O_WRONLY, write)
	case err == nil:
		mode = info.Mode().Perm()
		if name, err = filepath.EvalSymlinks(name); err != nil {
			return err
		}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".tightlip-*")
	if errors.Is(err, fs.ErrPermission) { // the file may be writable, and its folder not
		return writeInto(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, write)
	}
	if err != nil {
		return err
	}
	err = errors.Join(write(f), f.Chmod(mode), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

func writeInto(name string, flags int, write func(io.Writer) error) error {
	f, err := os.OpenFile(name, flags, 0o644)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}

// removeOutdated removes files of an earlier build, so that nobody takes them for this one's if it fails.
func removeOutdated(names ...string) error {
	for _, name := range names {
		info, err := os.Lstat(name)
		if name == "" || err != nil || !info.Mode().IsRegular() {
			continue
		}
		if err := os.Remove(name); err != nil {
			return fmt.Errorf("removing the file of an earlier build: %w", err)
		}
	}
	return nil
}

// RemoveAll is os.RemoveAll for what an image may hold: folders that their owner may not write to.
func RemoveAll(dir string) error {
	err := os.RemoveAll(dir)
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if d != nil && d.IsDir() {
			_ = os.Chmod(path, 0o700)
		}
		return nil
	})
	return os.RemoveAll(dir)
}
