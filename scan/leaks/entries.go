package leaks

import (
	"cmp"
	"slices"
	"strings"

	"github.com/tightlip/tightlip/finding"
	"github.com/tightlip/tightlip/image"
)

// entries are what a layer puts in the place of others: the names of its files, of what it deletes, and of its hard links. They are
// hashes, because there may be millions. See https://github.com/opencontainers/image-spec/blob/main/layer.md#whiteouts.
type entries struct {
	Names     names // the lowest bit is set for folders
	Whiteouts names // what is deleted
	Opaque    names // folders whose contents are deleted
	Links     []hardLink
	Full      bool // there were more

	kept   int64 // of maxEntries
	budget *Budget
}

// names are hashes in lists of namesLen: one list would be copied whenever it grows. Each is sorted.
type names [][]uint64

const namesLen = 64 << 10

func (n *names) add(h uint64) {
	if last := len(*n) - 1; last < 0 || len((*n)[last]) == namesLen {
		*n = append(*n, nil)
	}
	list := &(*n)[len(*n)-1]
	*list = append(*list, h)
}

func (n names) has(h uint64) bool {
	return slices.ContainsFunc(n, func(list []uint64) bool {
		_, ok := slices.BinarySearch(list, h)
		return ok
	})
}

func (n names) len() (all int) {
	for _, list := range n {
		all += len(list)
	}
	return all
}

// hardLink is another name of a file.
type hardLink struct {
	Name   trail
	Target uint64
}

// trail is the name of a file: the hashes of the root, of each folder on the way, and of the file itself.
type trail []uint64

func (t trail) last() uint64 { return t[len(t)-1] }

// A hash is FNV-1a, the same in each process, because caches keep it.
const emptyHash = 0xcbf29ce484222325

func hashByte(h uint64, c byte) uint64 { return (h ^ uint64(c)) * 0x100000001b3 }

func trailOf(name string) trail {
	h := uint64(emptyHash)
	out := trail{h &^ 1}
	for i := range len(name) {
		if name[i] == '/' {
			out = append(out, h&^1)
		}
		h = hashByte(h, name[i])
	}
	return append(out, h&^1)
}

// hashName is the last of the trail.
func hashName(name string) uint64 {
	h := uint64(emptyHash)
	for i := range len(name) {
		h = hashByte(h, name[i])
	}
	return h &^ 1
}

// maxEntries is what all searches of a budget keep of layers, in hashes. What a layer does to files of lower ones is not told beyond.
const maxEntries = 3 << 20

// keep tells whether n hashes more can be kept.
func (e *entries) keep(n int) bool {
	if e.budget.entries.Add(int64(n)) > maxEntries {
		e.budget.entries.Add(int64(-n))
		e.Full = true
		return false
	}
	e.kept += int64(n)
	return true
}

// drop forgets everything.
func (e *entries) drop() {
	e.budget.entries.Add(-e.kept)
	*e = entries{Full: e.Full, budget: e.budget}
}

func (e *entries) size() int {
	n := e.Names.len() + e.Whiteouts.len() + e.Opaque.len()
	for _, l := range e.Links {
		n += linkSize + len(l.Name)
	}
	return n
}

func (e *entries) add(name string) {
	if !e.keep(1) {
		return
	}
	target, kind := image.ParseWhiteout(name)
	switch {
	case kind == image.WhiteoutContents:
		e.Opaque.add(hashName(strings.TrimSuffix(target, "/")))
	case kind == image.WhiteoutPath:
		e.Whiteouts.add(hashName(target))
	case kind == image.WhiteoutNothing:
	case strings.HasSuffix(name, "/"):
		e.Names.add(hashName(target) | 1)
	default:
		e.Names.add(hashName(target))
	}
}

// linkSize is what a hard link takes besides its trail, in hashes, while the list grows.
const linkSize = 8

// link notes that the entry is a hard link.
func (e *entries) link(name, target string) {
	if l := (hardLink{trailOf(image.CleanName(name)), hashName(image.CleanName(target))}); e.keep(linkSize + len(l.Name)) {
		e.Links = append(e.Links, l)
	}
}

func (e *entries) seal() {
	for _, list := range slices.Concat(e.Names, e.Whiteouts, e.Opaque) {
		slices.Sort(list)
	}
	slices.SortFunc(e.Links, func(a, b hardLink) int { return cmp.Compare(a.Target, b.Target) })
}

// has tells whether there is an entry of this name, and whether it is a folder.
func (e *entries) has(name uint64) (there, folder bool) {
	if e.Names.has(name) {
		return true, false
	}
	there = e.Names.has(name | 1)
	return there, there
}

// hides says what the layer does to a file of a lower one: "" for nothing.
func (e *entries) hides(file trail) finding.Status {
	folders := file[:len(file)-1]
	if there, _ := e.has(file.last()); there {
		return finding.Overwritten
	}
	for _, dir := range folders[1:] {
		if there, folder := e.has(dir); there && !folder {
			return finding.Overwritten
		}
	}
	for i, dir := range folders {
		if e.Opaque.has(dir) || e.Whiteouts.has(file[i+1]) {
			return finding.Deleted
		}
	}
	return ""
}

// follow returns the hard links that the layer has to files of these names. The layer's own files of these names are meant if own is set.
func (e *entries) follow(names []trail, own bool) (links []trail) {
	if len(e.Links) == 0 {
		return nil
	}
	var targets []uint64
	for _, name := range names {
		if there, _ := e.has(name.last()); own || !there {
			targets = append(targets, name.last())
		}
	}
	seen := map[uint64]bool{}
	for ; len(targets) > 0; targets = targets[1:] {
		i, _ := slices.BinarySearchFunc(e.Links, targets[0], func(l hardLink, target uint64) int { return cmp.Compare(l.Target, target) })
		for ; i < len(e.Links) && e.Links[i].Target == targets[0]; i++ {
			if name := e.Links[i].Name; !seen[name.last()] {
				seen[name.last()] = true
				links, targets = append(links, name), append(targets, name.last())
			}
		}
	}
	return links
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

// status says what is to be seen of a file of a layer, counted from 1, by its name or through hard links.
func (s stack) status(platform, layer int, file trail) finding.Status {
	status, names := finding.Visible, []trail{file}
	for i, e := range s[platform][layer-1:] {
		if e == nil {
			continue
		}
		links := e.follow(names, i == 0)
		if i > 0 {
			names = slices.DeleteFunc(names, func(name trail) bool {
				hidden := e.hides(name)
				if hidden != "" {
					status = hidden
				}
				return hidden != ""
			})
		}
		if names = append(names, links...); len(names) == 0 {
			return status
		}
	}
	return finding.Visible
}
