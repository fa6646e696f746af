package image

import (
	"archive/tar"
	"fmt"
	"io"
	"iter"
	"path"
	"strings"
)

// File is a file in a layer. Layers count from 1, the lowest, as in finding.Location.
type File struct {
	Layer int
	Path  string
}

// Hiding says which layer hides a file of a lower one.
type Hiding struct {
	Layer   int
	Deleted bool // by a whiteout; otherwise something else took its path
}

// Hidden finds the files that a later layer of the same image deletes or overwrites; the others are not in the
// result. It reads the headers of each of the layers above at most once, through headers, and stops when all is known.
// A hidden file's bytes are still in the image, and a hard link in its own layer may still lead to them.
func Hidden(files []File, layers int, headers func(layer int) iter.Seq2[*tar.Header, error]) (map[File]Hiding, error) {
	hidden := map[File]Hiding{}
	for layer := lowest(files) + 1; layer <= layers && len(hidden) < len(files); layer++ {
		for h, err := range headers(layer) {
			if err != nil {
				return nil, fmt.Errorf("reading the headers of layer %d: %w", layer, err)
			}
			hide(hidden, files, layer, h)
		}
	}
	return hidden, nil
}

// Headers are the entries of a tar archive.
func Headers(r io.Reader) iter.Seq2[*tar.Header, error] {
	return func(yield func(*tar.Header, error) bool) {
		for tr := tar.NewReader(r); ; {
			h, err := tr.Next()
			if err == io.EOF || !yield(h, err) || err != nil {
				return
			}
		}
	}
}

func lowest(files []File) int {
	if len(files) == 0 {
		return 0
	}
	low := files[0].Layer
	for _, f := range files[1:] {
		low = min(low, f.Layer)
	}
	return low
}

func hide(hidden map[File]Hiding, files []File, layer int, h *tar.Header) {
	for _, f := range files {
		if _, done := hidden[f]; done || f.Layer >= layer {
			continue
		}
		if hides, deleted := Hides(h, f.Path); hides {
			hidden[f] = Hiding{Layer: layer, Deleted: deleted}
		}
	}
}

const (
	whiteout       = ".wh."
	opaqueWhiteout = ".wh..wh..opq"
)

// Hides tells whether an entry of a later layer hides a path, and whether by deleting it. See the layer
// specification of OCI: https://github.com/opencontainers/image-spec/blob/main/layer.md#whiteouts.
func Hides(h *tar.Header, p string) (hides, deleted bool) {
	if h.Typeflag == tar.TypeXGlobalHeader {
		return false, false
	}
	p = cleanName(p)
	dir, base := path.Split(cleanName(h.Name))
	name, white := strings.CutPrefix(base, whiteout)
	switch {
	case base == opaqueWhiteout:
		return strings.HasPrefix(p, dir) && p != dir, true
	case strings.HasPrefix(base, whiteout+whiteout):
		return false, false // bookkeeping of AUFS
	case white:
		if name == "" || name == "." || name == ".." {
			return false, false
		}
		return within(p, dir+name), true
	case p == dir+base:
		return true, false
	}
	return h.Typeflag != tar.TypeDir && within(p, dir+base), false
}

// within tells whether p is top or below it.
func within(p, top string) bool {
	return p == top || strings.HasPrefix(p, top+"/")
}
