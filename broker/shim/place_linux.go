package shim

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// placed is something at a path for the time of a step. The folder is held open: the command may move it.
type placed struct {
	dir    *os.Root
	name   string
	target string
	aside  string      // what the file that was there is called meanwhile, if there was one
	ours   fs.FileInfo // nil if putting it there failed
}

// place puts something at a path for the time of the step, and moves a file that is there aside.
func (s *step) place(target string, put func(dir *os.Root, name string) error) error {
	dir, err := s.folder(filepath.Dir(target))
	if err != nil {
		return err
	}
	p := &placed{dir: dir, name: filepath.Base(target), target: target}
	before, err := dir.Lstat(p.name)
	switch {
	case err == nil && before.IsDir():
		return fmt.Errorf("the target %s is a directory", target)
	case err == nil:
		aside := ".tightlip-" + rand.Text()
		if err := quietly(dir, func() error { return dir.Rename(p.name, aside) }); err != nil {
			return fmt.Errorf("moving %s aside: %w", target, err)
		}
		p.aside = aside
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	s.later(func() error { return quietly(dir, func() error { return s.restore(p) }) })
	if err := quietly(dir, func() error { return put(dir, p.name) }); err != nil {
		return fmt.Errorf("mounting at %s: %w", target, err)
	}
	p.ours, err = dir.Lstat(p.name)
	return err
}

// restore takes away what is at the path and puts back what was there. A file that the command put there goes, too: with
// BuildKit, the command could not have replaced a mount.
func (s *step) restore(p *placed) error {
	now, err := p.dir.Lstat(p.name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case now.IsDir() && p.aside == "":
		return nil // the command's own, made after it removed the link
	case now.IsDir():
		return fmt.Errorf("the command made a directory of %s, so the file that was there cannot be put back", p.target)
	default:
		if p.ours != nil && !same(p.ours, now) {
			s.note("the command replaced %s, which is a mount: what it put there is removed", p.target)
		}
		if err := p.dir.Remove(p.name); err != nil {
			return err
		}
	}
	if p.aside == "" {
		return nil
	}
	if err := p.dir.Rename(p.aside, p.name); err != nil {
		return fmt.Errorf("putting back %s: %w", p.target, err)
	}
	return nil
}

// same tells whether a file is the one that was put there. A number of an inode alone may be used again.
func same(a, b fs.FileInfo) bool {
	return os.SameFile(a, b) && a.Mode().Type() == b.Mode().Type() && a.ModTime().Equal(b.ModTime())
}

// folder opens a folder, and makes what is missing of its path for the time of the step.
func (s *step) folder(path string) (*os.Root, error) {
	dir, err := os.OpenRoot(path)
	if errors.Is(err, fs.ErrNotExist) && path != "/" {
		dir, err = s.makeFolder(path)
	}
	if err != nil {
		return nil, err
	}
	s.later(dir.Close)
	return dir, nil
}

func (s *step) makeFolder(path string) (*os.Root, error) {
	parent, err := s.folder(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	name := filepath.Base(path)
	s.later(func() error {
		return quietly(parent, func() error { return removeEmpty(parent, name) })
	})
	err = quietly(parent, func() error {
		if err := parent.Mkdir(name, 0o755); err != nil {
			return err
		}
		return chmod(parent, name, 0o755)
	})
	if err != nil {
		return nil, err
	}
	return parent.OpenRoot(name)
}

// chmod does what Root.Chmod does, which the filters of old container runtimes forbid (it calls fchmodat2).
func chmod(parent *os.Root, name string, mode fs.FileMode) error {
	f, err := parent.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(f.Chmod(mode), f.Close())
}

// removeEmpty removes a folder unless the command has put something into it, or something else in its place.
func removeEmpty(parent *os.Root, name string) error {
	info, err := parent.Lstat(name)
	if err == nil && info.IsDir() {
		err = parent.Remove(name)
	}
	for _, fine := range []error{fs.ErrNotExist, unix.ENOTEMPTY, unix.EEXIST} {
		if errors.Is(err, fine) {
			return nil
		}
	}
	return err
}

// quietly makes a change in a folder whose times stay as they were.
func quietly(dir *os.Root, change func() error) error {
	before, err := dir.Stat(".")
	if err != nil {
		return err
	}
	return errors.Join(change(), dir.Chtimes(".", accessTime(before), before.ModTime()))
}
