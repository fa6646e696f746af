package podman

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// unpack writes a root file system to a folder, as files of the user: that is what a local output is.
func unpack(archive, dir string) error {
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	var folders []*tar.Header
	for tr := tar.NewReader(f); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return finish(root, folders)
		}
		if err != nil {
			return fmt.Errorf("reading the root file system: %w", err)
		}
		h.Name = strings.TrimPrefix(filepath.Clean("/"+h.Name), "/")
		if h.Name == "" {
			continue
		}
		if h.Typeflag == tar.TypeDir {
			folders = append(folders, h)
		}
		if err := unpackOne(root, h, tr); err != nil {
			return fmt.Errorf("writing %s: %w", h.Name, err)
		}
	}
}

func unpackOne(root *os.Root, h *tar.Header, content io.Reader) error {
	if parent := filepath.Dir(h.Name); parent != "." {
		if err := root.MkdirAll(parent, 0o755); err != nil {
			return err
		}
	}
	switch h.Typeflag {
	case tar.TypeDir:
		return root.MkdirAll(h.Name, 0o700) // its mode comes last: it may not be one to write in
	case tar.TypeSymlink:
		return root.Symlink(h.Linkname, h.Name)
	case tar.TypeLink:
		return root.Link(strings.TrimPrefix(filepath.Clean("/"+h.Linkname), "/"), h.Name)
	case tar.TypeReg:
		return writeFile(root, h, content)
	}
	return errors.New("a device or a pipe cannot be written to a folder: use --output type=tar")
}

func writeFile(root *os.Root, h *tar.Header, content io.Reader) error {
	f, err := root.OpenFile(h.Name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return setMode(root, h)
}

func setMode(root *os.Root, h *tar.Header) error {
	mode := h.FileInfo().Mode()
	return errors.Join(root.Chmod(h.Name, mode&(fs.ModePerm|fs.ModeSetuid|fs.ModeSetgid|fs.ModeSticky)), root.Chtimes(h.Name, h.ModTime, h.ModTime))
}

// finish gives folders their modes and times, the inner ones first.
func finish(root *os.Root, folders []*tar.Header) error {
	for i := len(folders) - 1; i >= 0; i-- {
		if err := setMode(root, folders[i]); err != nil {
			return err
		}
	}
	return nil
}
