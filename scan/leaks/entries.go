package leaks

import (
	"path"
	"slices"
	"strings"

	"github.com/tightlip/tightlip/finding"
	"github.com/tightlip/tightlip/image"
)

// entries are what a layer puts in the place of others: the names of its files as hashes, because there may be millions, and its
// whiteouts. See https://github.com/opencontainers/image-spec/blob/main/layer.md#whiteouts.
type entries struct {
	Names     []uint64 // sorted; the lowest bit is set for folders
	Whiteouts []string // what is deleted
	Opaque    []string // folders whose contents are deleted
	Full      bool     // there were more

	names int // bytes of Whiteouts and Opaque
}

// hashName is FNV-1a, the same in each process, because caches keep it.
func hashName(name string) uint64 {
	h := uint64(0xcbf29ce484222325)
	for i := range len(name) {
		h = (h ^ uint64(name[i])) * 0x100000001b3
	}
	return h &^ 1
}

// What is kept of a layer is bounded. What it does to files of lower ones is not told beyond.
const (
	maxEntries = 8 << 20
	maxNames   = 16 << 20 // bytes of whiteouts
)

func (e *entries) add(name string) {
	target, kind := image.ParseWhiteout(name)
	switch {
	case len(e.Names) >= maxEntries || e.names > maxNames:
		e.Full = true
	case kind == image.WhiteoutContents:
		e.names += len(target)
		e.Opaque = append(e.Opaque, target)
	case kind == image.WhiteoutPath:
		e.names += len(target)
		e.Whiteouts = append(e.Whiteouts, target)
	case kind == image.WhiteoutNothing:
	case strings.HasSuffix(name, "/"):
		e.Names = append(e.Names, hashName(target)|1)
	default:
		e.Names = append(e.Names, hashName(target))
	}
}

func (e *entries) seal() {
	slices.Sort(e.Names)
	e.Names = slices.Compact(e.Names)
}

// has tells whether there is an entry of this name, and whether it is a folder.
func (e *entries) has(name string) (there, folder bool) {
	h := hashName(name)
	if _, ok := slices.BinarySearch(e.Names, h); ok {
		return true, false
	}
	_, ok := slices.BinarySearch(e.Names, h|1)
	return ok, ok
}

// hides says what the layer does to a file of a lower one: "" for nothing.
func (e *entries) hides(name string) finding.Status {
	if there, _ := e.has(name); there {
		return finding.Overwritten
	}
	for dir := path.Dir(name); dir != "." && dir != "/"; dir = path.Dir(dir) {
		if there, folder := e.has(dir); there && !folder {
			return finding.Overwritten
		}
	}
	for _, w := range e.Whiteouts {
		if name == w || strings.HasPrefix(name, w+"/") {
			return finding.Deleted
		}
	}
	for _, dir := range e.Opaque {
		if strings.HasPrefix(name, dir) {
			return finding.Deleted
		}
	}
	return ""
}

// stack is what the layers of each platform do to those below, by number of the platform.
type stack [][]*entries

func (s *search) above(l image.Layout) stack {
	out := make(stack, len(l.Platforms))
	for i, p := range l.Platforms {
		for _, layer := range p.Layers {
			var e *entries
			for _, q := range s.order {
				if q.entries != nil && layer.Is(q.blob) {
					e = q.entries
				}
			}
			out[i] = append(out[i], e)
		}
	}
	return out
}

// status says what is to be seen of a file of a layer, counted from 1.
func (s stack) status(platform, layer int, name string) finding.Status {
	for _, e := range s[platform][layer:] {
		if e == nil {
			continue
		}
		if status := e.hides(image.CleanName(name)); status != "" {
			return status
		}
	}
	return finding.Visible
}
