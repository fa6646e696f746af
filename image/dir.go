package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"

	"github.com/tightlip/tightlip/finding"
)

// OpenDir opens a folder as a root file system. Every entry is a blob, symbolic links are never followed, and those
// that hold no bytes of their own (folders, links, devices) are empty blobs with a Text.
func OpenDir(dir string) (Image, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("opening dir:%s: %w", dir, err)
	}
	return &folder{ref: Ref{Scheme: Dir, Name: dir}.String(), dir: dir, root: root}, nil
}

type folder struct {
	ref    string
	dir    string
	root   *os.Root
	ignore *Ignore // of a build context; else nil
}

func (f *folder) Ref() string { return f.ref }

func (f *folder) Layout(context.Context) (Layout, error) { return Layout{}, nil }

func (f *folder) Close() error { return f.root.Close() }

var errStop = errors.New("no more blobs are wanted")

func (f *folder) Blobs(ctx context.Context) iter.Seq2[Blob, error] {
	return func(yield func(Blob, error) bool) {
		err := fs.WalkDir(f.root.FS(), ".", func(p string, d fs.DirEntry, err error) error {
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				return f.located(p, err)
			}
			if out, err := f.ignore.LeavesOut(p, d.IsDir()); out || err != nil {
				return err
			}
			b, err := f.blob(p, d)
			if err != nil {
				return f.located(p, err)
			}
			if !yield(b, nil) {
				return errStop
			}
			return nil
		})
		if err != nil && err != errStop {
			yield(Blob{}, err)
		}
	}
}

func (f *folder) blob(p string, d fs.DirEntry) (Blob, error) {
	full := filepath.Join(f.dir, filepath.FromSlash(p))
	text, err := xattrs(full)
	if err != nil {
		return Blob{}, err
	}
	text["name"] = p // the whole of it: a value may hold slashes
	b := Blob{Kind: finding.InFile, Path: p, Text: text, Open: inMemory(nil)}
	switch {
	case d.Type()&fs.ModeSymlink != 0:
		if text["linkname"], err = f.root.Readlink(p); err != nil {
			return Blob{}, err
		}
	case d.Type().IsRegular():
		fi, err := d.Info()
		if err != nil {
			return Blob{}, err
		}
		b.Size = fi.Size()
		b.Open = func() (io.ReadCloser, error) { return f.open(p) }
	}
	return b, nil
}

// open opens a file and makes sure that it is still one: opening a pipe would wait for ever.
func (f *folder) open(p string) (io.ReadCloser, error) {
	fi, err := f.root.Lstat(p)
	if err != nil {
		return nil, f.located(p, err)
	}
	if !fi.Mode().IsRegular() {
		return nil, f.located(p, errors.New("it was a file and is not one any more"))
	}
	r, err := f.root.Open(p)
	if err != nil {
		return nil, f.located(p, err)
	}
	return r, nil
}

// located names the whole path in an error, of which os.Root knows only the last part.
func (f *folder) located(p string, err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	return fmt.Errorf("reading %s: %w", filepath.Join(f.dir, filepath.FromSlash(p)), err)
}
