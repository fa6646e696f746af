package proof

import (
	"bytes"
	"encoding/binary"
	"slices"
)

const (
	windowLen = 8       // bytes of a secret that, seen in base64 or hex, are taken for a part of it
	maxTiled  = 8 << 20 // bytes of a value that are looked for in long logs
)

// windows is the set of all runs of windowLen bytes in some forms. Of a long one only every eighth is kept, counted
// from its start and from that of each line: put side by side they still cover it.
type windows struct {
	sorted []uint64 // big endian, so that those with a common beginning are neighbours
	first  []uint64 // those of them with which the forms start
	filter []uint64 // bits by hash: few strings get past it
	shift  uint
	stride int // of the longest form
}

// addForm adds the windows of text.
func (w *windows) addForm(text []byte) {
	before := len(w.sorted)
	defer func() { w.first = append(w.first, w.sorted[before:min(before+1, len(w.sorted))]...) }()
	if len(text) <= longValue {
		w.addEvery(1, text)
		return
	}
	text = text[:min(len(text), maxTiled)]
	w.addEvery(windowLen, text)
	for line := range bytes.Lines(text) {
		w.addEvery(windowLen, line)
		w.addEvery(windowLen, bytes.TrimRight(line, "\r\n"))
	}
}

// addEvery adds a window for each stride bytes of text, and the last.
func (w *windows) addEvery(stride int, text []byte) {
	w.stride = max(w.stride, stride)
	last := len(text) - windowLen
	for at := 0; at <= last; at += stride {
		w.add(text[at:])
	}
	if last > 0 {
		w.add(text[last:])
	}
}

func (w *windows) add(text []byte) {
	if distinct8(text) {
		w.sorted = append(w.sorted, binary.BigEndian.Uint64(text))
	}
}

// distinct8 reports whether the first window of text has 3 different bytes: zeros are in any dump.
func distinct8(text []byte) bool {
	a, b := text[0], text[0]
	for _, c := range text[1:windowLen] {
		if c != a && c != b {
			if a != b {
				return true
			}
			b = c
		}
	}
	return false
}

// seal sorts the set and makes the filter.
func (w *windows) seal() {
	slices.Sort(w.sorted)
	w.sorted = slices.Clip(slices.Compact(w.sorted))
	slices.Sort(w.first)
	bits := uint(10)
	for 1<<bits < 16*len(w.sorted) {
		bits++
	}
	w.shift = 64 - bits
	w.filter = make([]uint64, 1<<(bits-6))
	for _, x := range w.sorted {
		h := x * keyFactor >> w.shift
		w.filter[h>>6] |= 1 << (h & 63)
	}
}

// has reports whether x is one of the windows.
func (w *windows) has(x uint64) bool {
	h := x * keyFactor >> w.shift
	if w.filter[h>>6]&(1<<(h&63)) == 0 {
		return false
	}
	_, found := slices.BinarySearch(w.sorted, x)
	return found
}

// anyStarts reports whether any of some sorted windows starts with the given bits, fewer than 64.
func anyStarts(windows []uint64, x uint64, bits uint) bool {
	first := x << (64 - bits)
	i, _ := slices.BinarySearch(windows, first)
	return i < len(windows) && windows[i]>>(64-bits) == x
}
