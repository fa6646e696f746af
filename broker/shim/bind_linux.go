package shim

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// mountBind unpacks a copy of a path in the build context into memory, and links it at its target. What a step changes in it is
// lost, as with BuildKit's mounts.
func (s *step) mountBind(i int, it item) error {
	path, err := s.inMemory(i, filepath.Base(it.Target))
	if err != nil {
		return err
	}
	folder, err := unpack(it.value, path)
	if err != nil {
		return fmt.Errorf("unpacking %q of the build context: %w", it.ID, err)
	}
	if folder {
		if err := s.takeAway(it.Target); err != nil {
			return err
		}
	}
	return s.link(path, it.Target)
}

// unpack unpacks an archive to a path. It holds one file, or a folder that comes first.
func unpack(archive []byte, path string) (folder bool, err error) {
	tr := tar.NewReader(bytes.NewReader(archive))
	first, err := tr.Next()
	if err != nil {
		return false, err
	}
	if first.Typeflag == tar.TypeReg {
		if err := unpackFile(path, first, tr); err != nil {
			return false, err
		}
		if _, err := tr.Next(); !errors.Is(err, io.EOF) {
			return false, errors.New("more follows a single file")
		}
		return false, nil
	}
	if first.Typeflag != tar.TypeDir {
		return false, fmt.Errorf("%s is neither a file nor a folder", first.Name)
	}
	if err := os.Mkdir(path, 0o755); err != nil {
		return false, err
	}
	dir, err := os.OpenRoot(path)
	if err != nil {
		return false, err
	}
	defer dir.Close()
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return true, chmod(dir, ".", first.FileInfo().Mode())
		}
		if err != nil {
			return false, err
		}
		if err := unpackMember(dir, h, tr); err != nil {
			return false, err
		}
	}
}

// unpackFile unpacks the only member of an archive.
func unpackFile(path string, h *tar.Header, r io.Reader) error {
	dir, err := os.OpenRoot(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	h.Name = filepath.Base(path)
	return unpackMember(dir, h, r)
}

func unpackMember(dir *os.Root, h *tar.Header, r io.Reader) error {
	name := filepath.Clean(h.Name)
	switch h.Typeflag {
	case tar.TypeDir:
		if err := dir.Mkdir(name, 0o700); err != nil {
			return err
		}
	case tar.TypeSymlink:
		return dir.Symlink(h.Linkname, name)
	case tar.TypeLink:
		return dir.Link(filepath.Clean(h.Linkname), name)
	case tar.TypeReg:
		f, err := dir.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		_, err = io.Copy(f, r)
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
	default:
		return fmt.Errorf("%s is neither a file nor a folder nor a link", h.Name)
	}
	if err := chmod(dir, name, h.FileInfo().Mode()); err != nil {
		return err
	}
	return dir.Chtimes(name, h.ModTime, h.ModTime)
}
