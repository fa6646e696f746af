package proof

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/tightlip/tightlip/secret"
)

// Hit is a place where a needle was found.
type Hit struct {
	Secret, Encoding string // the secret's id, and a kind of needle
	Offset           int64  // of the needle's first byte, in bytes from the start of the stream
	Length           int    // bytes
}

// match is an occurrence of a pattern in a buffer, with all of the same secret that it overlaps or touches.
type match struct {
	pattern, secret int
	start, end      int // of the pattern
	lo, hi          int // of all that were merged into it
}

// maxMatches bounds the memory for text that is full of needles.
const maxMatches = 4096

// matches collects occurrences, and keeps the most telling of those at one place.
type matches struct {
	set  *needleSet
	list []match
}

// add takes an occurrence. Where a secret repeats without end, neighbours are merged at once.
func (m *matches) add(o match) {
	o.lo, o.hi = o.start, o.end
	if n := len(m.list); n > 0 && m.merge(&m.list[n-1], o) {
		return
	}
	if len(m.list) == maxMatches {
		m.compact()
	}
	m.list = append(m.list, o)
}

// merge joins o to kept if they are of the same secret and overlap or touch.
func (m *matches) merge(kept *match, o match) bool {
	if kept.secret != o.secret || o.lo > kept.hi || kept.lo > o.hi {
		return false
	}
	lo, hi := min(kept.lo, o.lo), max(kept.hi, o.hi)
	if m.moreTelling(o, *kept) {
		*kept = o
	}
	kept.lo, kept.hi = lo, hi
	return true
}

// moreTelling prefers the longer, then the raw, then the leftmost.
func (m *matches) moreTelling(a, b match) bool {
	raw := func(o match) int {
		if m.set.patterns[o.pattern].encoding == "raw" {
			return 1
		}
		return 0
	}
	return cmp.Or(cmp.Compare(a.end-a.start, b.end-b.start), raw(a)-raw(b), b.start-a.start, b.pattern-a.pattern) > 0
}

// compact sorts the list by secret and place, and merges.
func (m *matches) compact() {
	slices.SortFunc(m.list, func(a, b match) int { return cmp.Or(a.secret-b.secret, a.lo-b.lo, a.hi-b.hi) })
	kept := m.list[:0]
	for _, o := range m.list {
		if n := len(kept); n == 0 || !m.merge(&kept[n-1], o) {
			kept = append(kept, o)
		}
	}
	m.list = kept
}

// Find reports the needles in p: of those of one secret that overlap or touch, the longest.
func (n *Needles) Find(p []byte, report func(Hit)) {
	_, _ = n.NewScanner(report).Write(p)
}

// Scanner finds needles in a stream, also across the boundaries of its chunks. Its memory does not depend on the
// length of the stream. It must not be used by several goroutines at once.
type Scanner struct {
	open func() *scanState // sealed: it holds bytes of the stream
}

type scanState struct {
	set      *needleSet
	report   func(Hit)
	offset   int64   // bytes of the stream so far
	seam     []byte  // its last maxLen-1 bytes, with room for as many that follow
	found    matches // of the chunk at hand
	reported []int64 // by secret: where the last reported place ends
}

// NewScanner returns a Scanner that calls report for each place of a needle as soon as Write has seen it.
//
// Needles of one secret that overlap or touch are one place. It is reported once, with the longest of the needles that
// had been seen by then.
func (n *Needles) NewScanner(report func(Hit)) *Scanner {
	set := n.open()
	s := &scanState{set: set, report: report, found: matches{set: set}, reported: make([]int64, len(set.ids))}
	s.seam = make([]byte, 0, max(0, 2*(set.maxLen-1)))
	s.reset()
	return &Scanner{open: func() *scanState { return s }}
}

// Write takes the next bytes of the stream. It never fails.
func (s *Scanner) Write(p []byte) (int, error) {
	s.open().write(p)
	return len(p), nil
}

// Offset is how many bytes were written since the last Reset.
func (s *Scanner) Offset() int64 { return s.open().offset }

// Reset prepares for another stream.
func (s *Scanner) Reset() { s.open().reset() }

// setReport replaces the function that is called for each place.
func (s *Scanner) setReport(report func(Hit)) { s.open().report = report }

func (s *scanState) reset() {
	s.offset = 0
	s.seam = s.seam[:0]
	for i := range s.reported {
		s.reported[i] = -1
	}
}

func (s *scanState) write(p []byte) {
	before := len(s.seam)
	reach := cap(s.seam) / 2 // a needle that starts before p ends within so many bytes of it
	s.found.list = s.found.list[:0]
	s.seam = append(s.seam, p[:min(len(p), reach)]...)
	s.findSeam(before)
	s.set.match.find(p, &s.found)
	s.flush()
	s.offset += int64(len(p))
	if len(p) >= reach {
		s.seam = append(s.seam[:0], p[len(p)-reach:]...)
	} else if extra := len(s.seam) - reach; extra > 0 {
		s.seam = s.seam[:copy(s.seam, s.seam[extra:])]
	}
}

// findSeam finds the needles that start in the first bytes of the seam, those before the chunk, and end after them.
func (s *scanState) findSeam(before int) {
	if before == 0 {
		return
	}
	s.set.match.find(s.seam, &s.found)
	s.found.list = slices.DeleteFunc(s.found.list, func(o match) bool { return o.hi <= before })
	for i := range s.found.list {
		o := &s.found.list[i]
		o.start, o.end, o.lo, o.hi = o.start-before, o.end-before, o.lo-before, o.hi-before
	}
}

// flush reports what was found in the chunk that starts at offset.
func (s *scanState) flush() {
	if len(s.found.list) == 0 {
		return
	}
	s.found.compact()
	slices.SortFunc(s.found.list, func(a, b match) int { return cmp.Or(a.lo-b.lo, a.secret-b.secret) })
	for _, o := range s.found.list {
		known := s.reported[o.secret] >= s.offset+int64(o.lo)
		s.reported[o.secret] = max(s.reported[o.secret], s.offset+int64(o.hi))
		if !known {
			s.report(Hit{
				Secret:   s.set.ids[o.secret],
				Encoding: s.set.patterns[o.pattern].encoding,
				Offset:   s.offset + int64(o.start),
				Length:   o.end - o.start,
			})
		}
	}
}

// Format implements fmt.Formatter for every verb.
func (*Scanner) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(secret.Sealed)) }
