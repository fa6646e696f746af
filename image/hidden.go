package image

import (
	"archive/tar"
	"io"
	"iter"
	"path"
	"strings"
)

// Headers are the entries of a tar archive.
func Headers(r io.Reader) iter.Seq2[*tar.Header, error] {
	return func(yield func(*tar.Header, error) bool) {
		for m, err := range Members(r) {
			if !yield(m.Header, err) {
				return
			}
		}
	}
}

// Member is an entry of a tar archive, whose content can be read until the next one is asked for.
type Member struct {
	*tar.Header
	io.Reader
}

// Members are the entries of a tar archive, with their contents.
func Members(r io.Reader) iter.Seq2[Member, error] {
	return func(yield func(Member, error) bool) {
		for tr := tar.NewReader(r); ; {
			h, err := tr.Next()
			if err == io.EOF || !yield(Member{h, tr}, err) || err != nil {
				return
			}
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
