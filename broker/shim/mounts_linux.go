package shim

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

var errNoMemory = errors.New("neither /dev/shm nor /dev is a tmpfs that can be written to, and secrets never go to a disk")

// mountSecret puts a value into memory and a link to it at its target.
func (s *step) mountSecret(i int, it item) error {
	path, err := s.inMemory(i, filepath.Base(it.Target))
	if err == nil {
		err = os.WriteFile(path, it.value, 0o600)
	}
	if err != nil {
		return fmt.Errorf("secret %q: %w", it.ID, err)
	}
	if err := own(path, it.Mount, 0o400); err != nil {
		return err
	}
	return s.link(path, it.Target)
}

// mountTmpfs puts a link to an empty folder in memory at its target, which may be an empty folder.
func (s *step) mountTmpfs(i int, m Mount) error {
	path, err := s.inMemory(i, filepath.Base(m.Target))
	if err != nil {
		return err
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		return err
	}
	target := m.Target
	if real, err := filepath.EvalSymlinks(target); err == nil {
		target = real
	}
	mode := fs.FileMode(0o1777)
	if st := new(unix.Stat_t); m.Mode == 0 && unix.Stat(target, st) == nil { // the folder that it stands for has one
		m.Mode, m.UID, m.GID = fs.FileMode(st.Mode&0o7777), int(st.Uid), int(st.Gid)
	}
	if err := own(path, m, mode); err != nil {
		return err
	}
	if err := s.takeAway(target); err != nil {
		return err
	}
	return s.link(path, target)
}

// takeAway removes an empty folder for the time of the step. Renaming it would be simpler, but overlayfs cannot
// rename the folders of lower layers.
func (s *step) takeAway(target string) error {
	before, err := os.Lstat(target)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !before.IsDir():
		return fmt.Errorf("the target %s of a tmpfs is not a directory", target)
	}
	parent, err := s.folder(filepath.Dir(target))
	if err != nil {
		return err
	}
	name := filepath.Base(target)
	err = quietly(parent, func() error { return parent.Remove(name) })
	if errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("%s has files in it: a tmpfs over them cannot be done by this builder", target)
	}
	if err != nil {
		return fmt.Errorf("mounting a tmpfs at %s: %w", target, err)
	}
	s.later(func() error {
		return quietly(parent, func() error { return remake(parent, name, before) })
	})
	return nil
}

// remake makes a folder as it was.
func remake(parent *os.Root, name string, before fs.FileInfo) error {
	st := before.Sys().(*syscall.Stat_t)
	if err := parent.Mkdir(name, 0o700); err != nil {
		return err
	}
	if err := parent.Lchown(name, int(st.Uid), int(st.Gid)); err != nil {
		return err
	}
	if err := chmod(parent, name, before.Mode()); err != nil {
		return err
	}
	return parent.Chtimes(name, accessTime(before), before.ModTime())
}

// mountScript writes a script to its target itself: /dev/shm, where the other files are, allows no executables.
func (s *step) mountScript(m Mount) error {
	return s.place(m.Target, func(dir *os.Root, name string) error {
		f, err := dir.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o700)
		if err != nil {
			return err
		}
		_, err = f.WriteString(m.Text)
		return errors.Join(err, own(fmt.Sprintf("/proc/self/fd/%d", f.Fd()), m, 0o755), f.Close())
	})
}

// link puts a link at a mount's target.
func (s *step) link(path, target string) error {
	return s.place(target, func(dir *os.Root, name string) error { return dir.Symlink(path, name) })
}

// inMemory is a new path on a tmpfs, in a folder of its own that users other than root can pass.
func (s *step) inMemory(i int, name string) (string, error) {
	if s.private == "" {
		dir, err := privateFolder()
		if err != nil {
			return "", err
		}
		s.private = dir
		s.later(func() error { return os.RemoveAll(dir) })
		if err := os.Chmod(dir, 0o711); err != nil {
			return "", err
		}
	}
	dir := filepath.Join(s.private, strconv.Itoa(i))
	if err := os.Mkdir(dir, 0o711); err != nil {
		return "", err
	}
	return filepath.Join(dir, name), os.Chmod(dir, 0o711)
}

func privateFolder() (string, error) {
	for _, dir := range []string{"/dev/shm", "/dev"} {
		var st unix.Statfs_t
		if err := unix.Statfs(dir, &st); err != nil || st.Type != unix.TMPFS_MAGIC {
			continue
		}
		if path, err := os.MkdirTemp(dir, ".tightlip-"); err == nil {
			return path, nil
		}
	}
	return "", errNoMemory
}

// own gives a file the owner and permissions of its mount.
func own(path string, m Mount, mode fs.FileMode) error {
	if m.Mode != 0 {
		mode = m.Mode
	}
	if m.UID != os.Geteuid() || m.GID != os.Getegid() {
		if err := os.Chown(path, m.UID, m.GID); err != nil {
			return err
		}
	}
	return unix.Chmod(path, uint32(mode))
}

func accessTime(info fs.FileInfo) time.Time {
	st := info.Sys().(*syscall.Stat_t)
	return time.Unix(st.Atim.Unix())
}
