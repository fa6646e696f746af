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
		if len(f.text) >= windowLen && !f.rawOnly {
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

// verbatims follow a stream for what is too long to be a needle.
func (x *maskIndex) verbatims() []*trace {
	if len(x.verbatim.sorted) == 0 {
		return nil
	}
	return []*trace{{alphabet: rawSymbols(), set: &x.verbatim}}
}

// traces follow a stream whose escapes are decoded.
func (x *maskIndex) traces() []*trace {
	if len(x.encoded.sorted) == 0 {
		return nil
	}
	return []*trace{{alphabet: base64Symbols(), set: &x.encoded}, {alphabet: hexSymbols(), set: &x.encoded}}
}

// Masker splits a stream into what may be shown and what must be masked. It is stricter than a Scanner: of a secret
// in base64 or hex it masks any part of 12 or 16 characters, whatever the length of the lines; it decodes what is escaped
// as in JSON, whichever characters are; and it knows waived values. It must not be used by several goroutines at once.
type Masker struct {
	open func() *maskState // sealed: it holds bytes of the stream
}

// maskSpan is a range of the stream that must not be shown.
type maskSpan struct{ lo, hi int64 }

type maskState struct {
	set       *needleSet
	index     *maskIndex
	emit      func(text []byte, masked bool)
	held      []byte // not settled yet
	base      int64  // where held starts in the stream
	spans     []maskSpan
	found     matches
	verbatims []*trace
	decoded   unescaped // of held, from its first boundary
	boundary  int64     // where that is in the stream: base may be within an escape
	traced    int64     // where the traces are in the stream
	traces    []*trace
	parted    bool // the verbatims of the decoded stream are others, since there was an escape
}

// NewMasker returns a Masker that calls emit for each stretch of the stream in turn: with text that may be shown, which
// is valid during the call, or with nil and true in place of text that must be masked.
func (n *Needles) NewMasker(emit func(text []byte, masked bool)) *Masker {
	set := n.open()
	index := set.mask()
	s := &maskState{set: set, index: index, emit: emit, found: matches{set: set}}
	s.restart()
	return &Masker{open: func() *maskState { return s }}
}

// maxTaken bounds the memory of a Masker, whatever is written at once.
const maxTaken = 32 << 10

// Write takes the next bytes and emits all but a suffix that may turn out to be the start of a needle. It never fails.
func (m *Masker) Write(p []byte) (int, error) {
	s := m.open()
	for part := range slices.Chunk(p, maxTaken) {
		s.take(part)
		s.decode(false)
		s.settle(s.settled())
	}
	return len(p), nil
}

// Flush emits the rest at the end of the stream. Of a needle that was cut off there, 8 bytes or more are masked.
func (m *Masker) Flush() {
	s := m.open()
	s.decode(true)
	if n := s.index.heldSuffix(s.held, s.set.maxLen); n >= MinLen {
		s.mark(s.end()-int64(n), s.end())
	}
	if n := s.index.heldSuffix(s.decoded.text, s.set.maxLen); n >= MinLen {
		s.markDecoded(len(s.decoded.text)-n, len(s.decoded.text))
	}
	s.settle(s.end())
	s.restart()
}

// restart begins another text.
func (s *maskState) restart() {
	s.verbatims, s.traces, s.parted = s.index.verbatims(), s.index.traces(), false
	s.boundary, s.traced = s.end(), s.end()
}

// end is where the stream ends so far.
func (s *maskState) end() int64 { return s.base + int64(len(s.held)) }

// take adds p to what is held and marks all in it that must be masked as it is.
func (s *maskState) take(p []byte) {
	start := s.end()
	s.held = append(s.held, p...)
	s.part(p)
	s.find(s.held, func(lo, hi int) { s.mark(s.base+int64(lo), s.base+int64(hi)) })
	for _, t := range s.verbatims {
		for i, c := range p {
			t.step(c, maskSpan{start + int64(i), start + int64(i) + 1}, s.mark)
		}
	}
}

// part has the decoded stream followed on its own from the first backslash on. Until there it is the stream.
func (s *maskState) part(p []byte) {
	if s.parted || bytes.IndexByte(p, '\\') < 0 {
		return
	}
	s.parted = true
	for _, t := range s.verbatims {
		copied := *t
		s.traces = append(s.traces, &copied)
	}
}

// find calls mark for each needle and waived value in text.
func (s *maskState) find(text []byte, mark func(lo, hi int)) {
	s.found.list = s.found.list[:0]
	s.set.match.find(text, &s.found)
	for _, o := range s.found.list {
		mark(o.lo, o.hi)
	}
	for _, short := range s.set.short {
		for at := 0; ; at++ {
			i := bytes.Index(text[at:], short)
			if i < 0 {
				break
			}
			at += i
			mark(at, at+len(short))
		}
	}
}

// decode marks what must be masked for what it means. Last says that nothing follows.
func (s *maskState) decode(last bool) {
	d := &s.decoded
	d.read(s.held[s.boundary-s.base:], last)
	first := sort.Search(len(d.from), func(i int) bool { return s.boundary+int64(d.from[i]) >= s.traced })
	for _, t := range s.traces {
		for i := first; i < len(d.text); i++ {
			t.step(d.text[i], maskSpan{s.boundary + int64(d.from[i]), s.boundary + int64(d.to[i])}, s.mark)
		}
	}
	s.traced = s.boundary + int64(d.end)
	if s.escaped() {
		s.find(d.text, s.markDecoded)
	}
}

// escaped reports whether what is held reads otherwise when it is decoded, or may do so.
func (s *maskState) escaped() bool { return s.decoded.escapes > 0 || s.traced < s.end() }

// markDecoded marks where a range of the decoded text comes from.
func (s *maskState) markDecoded(lo, hi int) {
	s.mark(s.boundary+int64(s.decoded.from[lo]), s.boundary+int64(s.decoded.to[hi-1]))
}

// settled is up to where nothing that follows can make a difference.
func (s *maskState) settled() int64 {
	settled := min(s.end()-int64(s.index.heldSuffix(s.held, s.set.maxLen)), s.traced)
	if d := &s.decoded; s.escaped() {
		if n := s.index.heldSuffix(d.text, s.set.maxLen); n > 0 {
			settled = min(settled, s.boundary+int64(d.from[len(d.text)-n]))
		}
	}
	for _, traces := range [][]*trace{s.verbatims, s.traces} {
		for _, t := range traces {
			settled = min(settled, t.pending(s.end()))
		}
	}
	return max(settled, s.base)
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
	s.boundary += int64(s.decoded.boundary(int(end - s.boundary)))
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
