package output

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	cfs "github.com/containerd/continuity/fs"
	"github.com/tightlip/tightlip/build"
	"github.com/tightlip/tightlip/image/sink"
	"golang.org/x/term"
)

// CheckDest refuses before the build what could not be written after it.
func (o Output) CheckDest(stdout io.Writer) error {
	refuse := func(format string, args ...any) error { return &build.UsageError{Err: fmt.Errorf(format, args...)} }
	if !slices.Contains([]Place{Archive, Tarball, Layout, Folder}, o.Place) {
		return nil
	}
	if o.Dest == "-" || o.Dest == "" {
		if f, ok := stdout.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
			return &build.UsageError{Err: errors.New("the output is an archive, and standard output is a terminal"), Try: "dest=FILE"}
		}
		return nil
	}
	info, err := os.Stat(o.Dest)
	switch wantsFolder := o.Place == Layout || o.Place == Folder; {
	case err == nil && wantsFolder && !info.IsDir():
		return refuse("the output's destination %s is not a folder", o.Dest)
	case err == nil && !wantsFolder && info.IsDir():
		return refuse("the output's destination %s is a folder", o.Dest)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return refuse("the output's destination: %w", err)
	}
	if _, err := os.Stat(filepath.Dir(filepath.Clean(o.Dest))); err != nil && (o.Place == Archive || o.Place == Tarball) {
		return refuse("the output's destination: %w", err)
	}
	return nil
}

// Write brings an output that is a file or a folder to its place, from where it was staged. The digest is that of a staged image.
// What was moved into a folder before an error is there.
func (o Output) Write(ctx context.Context, at, digest string, names []string, stdout io.Writer) error {
	switch o.Place {
	case Archive:
		format := sink.OCIArchive
		if o.Docker {
			format = sink.DockerArchive
		}
		return o.writeOut(stdout, func(w io.Writer) error { return sink.WriteArchive(ctx, w, at, digest, names, format) })
	case Layout:
		return mergeLayout(at, o.Dest, digest, names)
	case Folder:
		var err error
		if o.Delete {
			err = prune(at, o.Dest)
		}
		return errors.Join(err, MoveTree(at, o.Dest))
	case Tarball:
		return o.writeTarball(at, stdout)
	}
	return fmt.Errorf("a %s output is neither a file nor a folder", o.Place)
}

func (o Output) writeTarball(at string, stdout io.Writer) error {
	f, err := os.Open(at)
	if err != nil {
		return err
	}
	defer f.Close()
	return o.writeOut(stdout, func(w io.Writer) error {
		_, err := io.Copy(w, f)
		return err
	})
}

// writeOut writes to a file, or to standard output.
func (o Output) writeOut(stdout io.Writer, write func(io.Writer) error) error {
	if o.Dest == "-" || o.Dest == "" {
		return write(stdout)
	}
	return build.WriteFile(o.Dest, write)
}

// MoveTree moves what is below from to below to, over what is there: the local exporter adds to a folder. It goes through
// no link that is there, or an image could write anywhere.
func MoveTree(from, to string) error {
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == from {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		dest := filepath.Join(to, rel)
		old, err := os.Lstat(dest)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return err
		case d.IsDir() && old.IsDir():
			return nil // merged by what follows
		case d.IsDir() != old.IsDir():
			if err := os.Remove(dest); err != nil {
				return err
			}
		}
		err = move(path, dest, d)
		if err == nil && d.IsDir() {
			return fs.SkipDir
		}
		return err
	})
}

// prune removes what is below dest and not below from. It follows no link below dest.
func prune(from, dest string) error {
	entries, err := os.ReadDir(dest)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, d := range entries {
		path, wanted := filepath.Join(dest, d.Name()), filepath.Join(from, d.Name())
		info, statErr := os.Lstat(wanted)
		switch {
		case errors.Is(statErr, fs.ErrNotExist):
			err = errors.Join(err, build.RemoveAll(path))
		case statErr != nil:
			err = errors.Join(err, statErr)
		case info.IsDir() && d.IsDir():
			err = errors.Join(err, prune(wanted, path))
		}
	}
	return err
}

// move renames, or copies where the destination is on another file system.
func move(path, dest string, d fs.DirEntry) error {
	err := os.Rename(path, dest)
	if d.IsDir() && errors.Is(err, fs.ErrPermission) {
		err = moveReadOnly(path, dest, d)
	}
	if !errors.Is(err, syscall.EXDEV) {
		return err
	}
	if d.IsDir() {
		return cfs.CopyDir(dest, path)
	}
	if d.Type()&fs.ModeSymlink != 0 {
		target, err := os.Readlink(path)
		if err != nil {
			return err
		}
		return errors.Join(removeIfThere(dest), os.Symlink(target, dest))
	}
	if !d.Type().IsRegular() {
		return fmt.Errorf("%s is a device or a pipe, which cannot be copied to another file system", dest)
	}
	info, err := d.Info()
	if err != nil {
		return err
	}
	if err := errors.Join(removeIfThere(dest), cfs.CopyFile(dest, path)); err != nil {
		return err
	}
	return os.Chmod(dest, info.Mode())
}

// moveReadOnly renames a folder that its owner may not write to: to change its parent is to write to it.
func moveReadOnly(path, dest string, d fs.DirEntry) error {
	info, err := d.Info()
	if err != nil {
		return err
	}
	if err := os.Chmod(path, info.Mode()|0o200); err != nil {
		return err
	}
	if err := os.Rename(path, dest); err != nil {
		return err
	}
	return os.Chmod(dest, info.Mode())
}

func removeIfThere(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
