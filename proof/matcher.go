package proof

import (
	"bytes"
	"encoding/binary"
	"slices"
)

// The matcher is Wu and Manber's multi-pattern search ("A fast algorithm for multi-pattern searching", 1994).
// A window of the length of the shortest pattern slides over the text. The last bytes of the window, its block, tell
// from a table how far the window may move without missing a pattern; where that is 0, the patterns are compared.
//
// Two changes make it fast on today's machines. The lookups depend on each other, so four cursors run over quarters of
// the text at once and hide the delay of each other's loads. And the window of a long pattern lies where its bytes
// differ most, so runs of one byte and common beginnings seldom reach the comparison.
const (
	maxWindow   = 32
	minHashBits = 15 // a table of 32 KiB stays in the first-level cache
	maxHashBits = 20
	hashFactor  = 0x9E3779B1
	keyFactor   = 0x9E3779B97F4A7C15
)

// matcher finds all occurrences of patterns of MinLen bytes or more. It is never changed after newMatcher.
type matcher struct {
	window    int // bytes
	dropBits  uint32
	hashShift uint32
	shifts    []uint8
	buckets   []uint32 // by hash of key: start of its anchors, with one more at the end
	keyShift  uint32
	anchors   []anchor
	patterns  []pattern
}

// anchor is a pattern as the window sees it.
type anchor struct {
	key     uint64 // first 8 bytes of the window
	before  uint32 // bytes of the pattern before the window
	pattern uint32
}

// newMatcher prepares the search.
func newMatcher(patterns []pattern) *matcher {
	m := &matcher{patterns: patterns, window: maxWindow}
	for _, p := range patterns {
		m.window = min(m.window, len(p.text))
	}
	block := 4
	if m.window < 12 {
		block = 3 // moves further; misses matter more than false alarms
	}
	m.dropBits = uint32(8 * (4 - block))
	blocks := len(patterns) * (m.window - block + 1)
	bits := minHashBits
	for bits < maxHashBits && 1<<bits < 8*blocks {
		bits++
	}
	m.hashShift = uint32(32 - bits)
	m.shifts = bytes.Repeat([]byte{byte(m.window - block + 1)}, 1<<bits)
	for i, p := range patterns {
		at := anchorIn(p.text, m.window)
		window := p.text[at : at+m.window]
		for end := block; end <= m.window; end++ {
			h := m.hash(blockBefore(window, end, block))
			m.shifts[h] = min(m.shifts[h], byte(m.window-end))
		}
		m.anchors = append(m.anchors, anchor{key: binary.LittleEndian.Uint64(window), before: uint32(at), pattern: uint32(i)})
	}
	m.fillBuckets()
	return m
}

// blockBefore is the block that ends at end, shifted as hash wants it.
func blockBefore(window []byte, end, block int) uint32 {
	var x uint32
	for _, c := range window[end-block : end] {
		x = x>>8 | uint32(c)<<24
	}
	return x
}

// hash is the place in shifts of a block, given the four bytes that end with it.
func (m *matcher) hash(x uint32) uint32 {
	return (x >> m.dropBits) * hashFactor >> m.hashShift
}

// anchorIn is where the window lies in a pattern: where the most bytes differ.
func anchorIn(text []byte, window int) int {
	best, most := 0, 0
	for at := 0; at+window <= len(text); at++ {
		if n := distinct(text[at : at+window]); n > most {
			best, most = at, n
		}
	}
	return best
}

// fillBuckets sorts the anchors by the hash of their keys.
func (m *matcher) fillBuckets() {
	bits := uint32(4)
	for 1<<bits < 4*len(m.anchors) {
		bits++
	}
	m.keyShift = 64 - bits
	slices.SortStableFunc(m.anchors, func(a, b anchor) int { return int(m.bucket(a.key)) - int(m.bucket(b.key)) })
	m.buckets = make([]uint32, 1<<bits+1)
	for _, a := range m.anchors {
		m.buckets[m.bucket(a.key)+1]++
	}
	for i := range 1 << bits {
		m.buckets[i+1] += m.buckets[i]
	}
}

func (m *matcher) bucket(key uint64) uint64 { return key * keyFactor >> m.keyShift }

// cursors is how many places of the text are searched at once.
const cursors = 4

// find adds all occurrences in text to found.
func (m *matcher) find(text []byte, found *matches) {
	last := len(text) - m.window // where the last window starts
	if len(m.patterns) == 0 || last < 0 {
		return
	}
	var at, end [cursors]int
	for i := range cursors {
		at[i] = (last + 1) * i / cursors
		end[i] = (last + 1) * (i + 1) / cursors
	}
	m.findTogether(text, &at, &end, found)
	for i := range cursors {
		m.findOne(text, at[i], end[i], found)
	}
}

// findTogether moves all cursors until the first of them arrives, and leaves in at how far each came.
func (m *matcher) findTogether(text []byte, at, end *[cursors]int, found *matches) {
	a, b, c, d := at[0], at[1], at[2], at[3]
	endA, endB, endC, endD := end[0], end[1], end[2], end[3]
	shifts, drop, right := m.shifts, m.dropBits&31, m.hashShift&31
	tails := text[m.window-4:] // the block of the window at i ends with tails[i:i+4]
	for a < endA && b < endB && c < endC && d < endD {
		moveA := shifts[binary.LittleEndian.Uint32(tails[a:])>>drop*hashFactor>>right]
		moveB := shifts[binary.LittleEndian.Uint32(tails[b:])>>drop*hashFactor>>right]
		moveC := shifts[binary.LittleEndian.Uint32(tails[c:])>>drop*hashFactor>>right]
		moveD := shifts[binary.LittleEndian.Uint32(tails[d:])>>drop*hashFactor>>right]
		if moveA == 0 {
			moveA = m.compare(text, a, found)
		}
		if moveB == 0 {
			moveB = m.compare(text, b, found)
		}
		if moveC == 0 {
			moveC = m.compare(text, c, found)
		}
		if moveD == 0 {
			moveD = m.compare(text, d, found)
		}
		a, b, c, d = a+int(moveA), b+int(moveB), c+int(moveC), d+int(moveD)
	}
	*at = [cursors]int{a, b, c, d}
}

// findOne is the plain search for windows that start in [at, end).
func (m *matcher) findOne(text []byte, at, end int, found *matches) {
	for at < end {
		move := m.shifts[m.hash(binary.LittleEndian.Uint32(text[at+m.window-4:]))]
		if move == 0 {
			move = m.compare(text, at, found)
		}
		at += int(move)
	}
}

// compare adds the patterns whose windows are at the given place. It returns how far to move on.
//
//go:noinline
func (m *matcher) compare(text []byte, at int, found *matches) uint8 {
	key := binary.LittleEndian.Uint64(text[at:])
	bucket := m.bucket(key)
	for _, a := range m.anchors[m.buckets[bucket]:m.buckets[bucket+1]] {
		start := at - int(a.before)
		if a.key != key || start < 0 {
			continue
		}
		p := &m.patterns[a.pattern]
		if end := start + len(p.text); end <= len(text) && bytes.Equal(text[start:end], p.text) {
			found.add(match{pattern: int(a.pattern), secret: p.secret, start: start, end: end})
		}
	}
	return 1
}
