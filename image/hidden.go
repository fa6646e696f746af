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
	p = CleanName(p)
	target, kind := ParseWhiteout(h.Name)
	switch kind {
	case WhiteoutContents:
		return strings.HasPrefix(p, target) && p != target, true
	case WhiteoutPath:
		return within(p, target), true
	case WhiteoutNothing:
		return false, false
	}
	return p == target || h.Typeflag != tar.TypeDir && within(p, target), false
}

// Whiteout says what the name of an entry of a layer does to the layers below.
type Whiteout int

// The kinds of names.
const (
	NoWhiteout       Whiteout = iota // it is a file of its own
	WhiteoutPath                     // deletes a path, and what is below it
	WhiteoutContents                 // deletes what is in a folder
	WhiteoutNothing                  // bookkeeping of AUFS, or a whiteout of no name
)

// ParseWhiteout reads the name of an entry. The target is a clean path; that of WhiteoutContents ends with a slash, unless it is the root.
func ParseWhiteout(name string) (target string, kind Whiteout) {
	name = CleanName(name)
	dir, base := path.Split(name)
	hidden, white := strings.CutPrefix(base, whiteout)
	switch {
	case base == opaqueWhiteout:
		return dir, WhiteoutContents
	case strings.HasPrefix(base, whiteout+whiteout), white && (hidden == "" || hidden == "." || hidden == ".."):
		return "", WhiteoutNothing
	case white:
		return dir + hidden, WhiteoutPath
	}
	return name, NoWhiteout
}

// within tells whether p is top or below it.
func within(p, top string) bool {
	return p == top || strings.HasPrefix(p, top+"/")
}
