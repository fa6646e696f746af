package proof

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/tightlip/tightlip/secret"
)

// maskIndex is what redaction knows beyond the needles.
type maskIndex struct {
	sorted   [][]byte     // all needles and those of waived values
	pairs    [1024]uint64 // bits by the first two bytes of each
	singles  [4]uint64    // bits by the first byte
	encoded  windows      // looked for in base64 and hex: needles there are only pieces
	verbatim windows      // looked for as they are: of forms too long to be a needle
}

func newMaskIndex(set *needleSet, forms []form) *maskIndex {
	x := &maskIndex{sorted: slices.Clone(set.short)}
	for _, p := range set.patterns {
		x.sorted = append(x.sorted, p.text)
	}
	slices.SortFunc(x.sorted, bytes.Compare)
	x.sorted = slices.CompactFunc(x.sorted, bytes.Equal)
	for _, text := range x.sorted {
		x.singles[text[0]>>6] |= 1 << (text[0] & 63)
		if len(text) > 1 {
			pair := uint(text[0])<<8 | uint(text[1])
			x.pairs[pair>>6] |= 1 << (pair & 63)
		}
	}
	for _, f := range forms {
		if len(f.text) >= minWindows && !f.rawOnly {
			x.encoded.addForm(f.text)
		}
		if len(f.text) > longValue || len(f.text) > maxNeedle && !bytes.Contains(f.text, []byte("\n")) {
			x.verbatim.addForm(f.text[f.lo:f.hi])
		}
	}
	x.encoded.seal()
	x.verbatim.seal()
	return x
}

// heldSuffix is the length of the longest suffix of text that a needle starts with and goes on from.
func (x *maskIndex) heldSuffix(text []byte, maxLen int) int {
	for i := max(0, len(text)-maxLen+1); i < len(text); i++ {
		if i+1 < len(text) {
			if pair := uint(text[i])<<8 | uint(text[i+1]); x.pairs[pair>>6]&(1<<(pair&63)) == 0 {
				continue
			}
		} else if x.singles[text[i]>>6]&(1<<(text[i]&63)) == 0 {
			continue
		}
		suffix := text[i:]
		at := sort.Search(len(x.sorted), func(j int) bool { return bytes.Compare(x.sorted[j], suffix) > 0 })
		if at < len(x.sorted) && bytes.HasPrefix(x.sorted[at], suffix) {
			return len(suffix)
		}
	}
	return 0
}

// traces follow a stream for all that the index has windows of.
func (x *maskIndex) traces() []*trace {
	var out []*trace
	if len(x.encoded.sorted) > 0 {
		out = append(out, &trace{alphabet: base64Symbols(), set: &x.encoded}, &trace{alphabet: hexSymbols(), set: &x.encoded})
	}
	if len(x.verbatim.sorted) > 0 {
		out = append(out, &trace{alphabet: rawSymbols(), set: &x.verbatim})
	}
	return out
}

// Masker splits a stream into what may be shown and what must be masked. It is stricter than a Scanner: of a long
// secret in base64 or hex it masks any part of 12 or 16 characters, whatever the length of the lines, and it knows
// waived values. It must not be used by several goroutines at once.
type Masker struct {
	open func() *maskState // sealed: it holds bytes of the stream
}

// maskSpan is a range of the stream that must not be shown.
type maskSpan struct{ lo, hi int64 }

type maskState struct {
	set    *needleSet
	index  *maskIndex
	emit   func(text []byte, masked bool)
	held   []byte // not settled yet
	base   int64  // where held starts in the stream
	spans  []maskSpan
	traces []*trace
	found  matches
}

// NewMasker returns a Masker that calls emit for each stretch of the stream in turn: with text that may be shown, which
// is valid during the call, or with nil and true in place of text that must be masked.
func (n *Needles) NewMasker(emit func(text []byte, masked bool)) *Masker {
	set := n.open()
	index := set.mask()
	s := &maskState{set: set, index: index, emit: emit, traces: index.traces(), found: matches{set: set}}
	return &Masker{open: func() *maskState { return s }}
}

// Write takes the next bytes and emits all but a suffix that may turn out to be the start of a needle. It never fails.
func (m *Masker) Write(p []byte) (int, error) {
	s := m.open()
	s.take(p)
	end := s.base + int64(len(s.held))
	settled := end - int64(s.index.heldSuffix(s.held, s.set.maxLen))
	for _, t := range s.traces {
		settled = min(settled, t.pending(end))
	}
	s.settle(max(settled, s.base))
	return len(p), nil
}

// Flush emits the rest at the end of the stream. Of a needle that was cut off there, 8 bytes or more are masked.
func (m *Masker) Flush() {
	s := m.open()
	end := s.base + int64(len(s.held))
	if n := s.index.heldSuffix(s.held, s.set.maxLen); n >= MinLen {
		s.mark(end-int64(n), end)
	}
	s.settle(end)
	s.traces = s.index.traces()
}

// take adds p to what is held and marks all that must be masked.
func (s *maskState) take(p []byte) {
	start := s.base + int64(len(s.held))
	s.held = append(s.held, p...)
	s.found.list = s.found.list[:0]
	s.set.match.find(s.held, &s.found)
	for _, o := range s.found.list {
		s.mark(s.base+int64(o.lo), s.base+int64(o.hi))
	}
	for _, text := range s.set.short {
		for at := 0; ; at++ {
			i := bytes.Index(s.held[at:], text)
			if i < 0 {
				break
			}
			at += i
			s.mark(s.base+int64(at), s.base+int64(at+len(text)))
		}
	}
	for _, t := range s.traces {
		for i, c := range p {
			t.step(c, start+int64(i), s.mark)
		}
	}
}

// mark adds a span, joined to the last where they overlap or touch.
func (s *maskState) mark(lo, hi int64) {
	if n := len(s.spans); n > 0 {
		if last := &s.spans[n-1]; lo <= last.hi && last.lo <= hi {
			last.lo, last.hi = min(last.lo, lo), max(last.hi, hi)
			return
		}
	}
	s.spans = append(s.spans, maskSpan{lo, hi})
}

// settle emits what is held up to end, and keeps the rest.
func (s *maskState) settle(end int64) {
	slices.SortFunc(s.spans, func(a, b maskSpan) int { return cmp.Compare(a.lo, b.lo) })
	at := s.base
	kept := s.spans[:0]
	for _, span := range s.spans {
		if span.hi > end {
			kept = append(kept, span)
		}
		lo, hi := min(max(span.lo, at), end), min(span.hi, end)
		if lo >= hi {
			continue
		}
		if lo > at {
			s.emit(s.held[at-s.base:lo-s.base], false)
		}
		s.emit(nil, true)
		at = hi
	}
	if at < end {
		s.emit(s.held[at-s.base:end-s.base], false)
	}
	s.spans = kept
	s.held = s.held[:copy(s.held, s.held[end-s.base:])]
	s.base = end
}

// Format implements fmt.Formatter for every verb.
func (*Masker) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(secret.Sealed)) }

// maskString is text with three asterisks in place of all that must be masked.
func (n *Needles) maskString(text string) string {
	var out strings.Builder
	wasMasked := false
	m := n.NewMasker(func(text []byte, masked bool) {
		if out.Write(text); masked && !wasMasked {
			out.WriteString("***")
		}
		wasMasked = masked
	})
	_, _ = m.Write([]byte(text))
	m.Flush()
	return out.String()
}
