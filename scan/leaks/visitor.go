package leaks

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/tightlip/tightlip/finding"
	"github.com/tightlip/tightlip/image"
	"github.com/tightlip/tightlip/scan"
	"github.com/tightlip/tightlip/scan/detect"
)

const (
	chunk   = 1 << 20   // bytes of a file that are looked at together
	overlap = 8 << 10   // bytes that are looked at twice, so that nothing is cut in two
	ahead   = 320 << 10 // bytes that the walk may have shown before it says whose they are
	maxKept = 1000      // leaks of one blob, and what of it could not be read
	maxText = 2000      // characters of a path that are kept
)

// visitor looks for credentials in all that a walk finds in one blob.
type visitor struct {
	ctx    context.Context
	search *search
	piece  *piece
	root   *sink // of the blob itself
	files  *sink // of the layer's archive: the one that is unpacked
	entry  int64 // where in files the content of the layer's latest entry begins; 0 outside of it

	pending sync.WaitGroup // batches that are being looked at
	mu      sync.Mutex     // over what they add
}

// inline tells whether comments may have findings ignored: in a folder of the user's. An image could silence its own scan.
func (v *visitor) inline() bool {
	return v.piece.blob.Kind == finding.InFile && !v.piece.blob.MustUnpack
}

// name is what paths in the blob begin with.
func (v *visitor) name() string {
	b := v.piece.blob
	if b.MustUnpack || b.Kind == finding.InLayer {
		return ""
	}
	return b.Path
}

// texts looks at what a tar header or a folder knows about a file besides its bytes.
func (v *visitor) texts(text map[string]string) {
	for _, field := range slices.Sorted(maps.Keys(text)) {
		v.text(v.name(), "", field, text[field])
	}
}

func (v *visitor) text(file, inner, field, value string) {
	if len(value) < 8 {
		return
	}
	for _, m := range v.find(detect.Content{Data: []byte(value)}, func() string { return file }) {
		k := v.leak(m, []byte(value))
		k.Path, k.Inner, k.Field, k.Offset, k.Entry = file, inner, field, int64(m.Start), v.entry
		v.add(k)
	}
}

// leak is a match in data.
func (v *visitor) leak(m detect.Match, data []byte) leak {
	k := leak{Rule: m.Rule.ID, Title: m.Rule.Title, Severity: m.Rule.Severity, Fix: m.Fix, Key: m.Key, Encoding: m.Encoding, Hint: m.Hint, Where: whereOf(v.piece.blob.Kind)}
	if k.Fix == "" {
		k.Fix = m.Rule.Fix
	}
	if seen := v.search.options.Seen; seen != nil && m.Encoding == "" {
		k.ticket = seen(m.Rule.ID, data[m.Start:m.End])
	}
	return k
}

// whereOf names the part of an image.
func whereOf(kind finding.Kind) string {
	switch kind {
	case finding.InLayer, finding.InFile:
		return "file"
	}
	return string(kind)
}

// add keeps a leak, with texts that show nothing.
func (v *visitor) add(k leak) {
	d := v.search.options.Detector
	if name := clip(d.Mask(k.Path)); name != k.Path {
		k.Trail = trailOf(image.CleanName(k.Path))
	}
	for _, text := range []*string{&k.Path, &k.Inner, &k.Key, &k.Field, &k.Ignored} {
		*text = clip(d.Mask(*text))
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	p := v.piece
	if len(p.leaks) < maxKept {
		p.leaks = append(p.leaks, k)
		return
	}
	v.gap(gap{Path: k.Path, Reason: tooMany})
}

// gap notes what was not read, once. The visitor is locked.
func (v *visitor) gap(g gap) {
	switch p := v.piece; {
	case len(p.gaps) > maxKept:
	case len(p.gaps) == maxKept:
		p.gaps = append(p.gaps, gap{Reason: moreGaps})
	case !slices.Contains(p.gaps, g):
		p.gaps = append(p.gaps, g)
	}
}

// find searches a content of the blob. name says what that is called, if not all of it was searched.
func (v *visitor) find(c detect.Content, name func() string) []detect.Match {
	found, more := v.search.options.Detector.Search(c)
	if more {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.gap(gap{Path: clip(v.search.options.Detector.Mask(name())), Reason: "full of credentials, or of what looks like them: not searched to its end"})
	}
	return found
}

const (
	tooMany        = "more leaks than are reported for one layer"
	moreGaps       = "more could not be read than is listed"
	tooManyEntries = "too many entries to tell what they hide of lower layers"
)

func clip(s string) string {
	if len(s) > maxText {
		return strings.ToValidUTF8(s[:maxText], "") + "…"
	}
	return s
}

// Stream implements scan.Visitor.
func (v *visitor) Stream(p scan.Path) scan.Sink {
	s := &sink{visitor: v, origin: p, here: p, buf: takeBuffer()}
	if v.root == nil {
		v.root = s
	} else if p.Unpacked() && v.piece.blob.MustUnpack {
		v.root.packed = true
	}
	return s
}

// Unread implements scan.Visitor.
func (v *visitor) Unread(p scan.Path, why error) {
	d := v.search.options.Detector
	v.mu.Lock()
	defer v.mu.Unlock()
	v.gap(gap{Path: clip(d.Mask(p.String())), Reason: d.Mask(why.Error())})
}

// sink cuts one stream into files, and these into parts. The walk says which file bytes belong to after they have passed, so they
// wait in a buffer; a full one is looked at by another goroutine.
type sink struct {
	visitor *visitor
	origin  scan.Path
	here    scan.Path // whose bytes those from start on are
	start   int64     // where in the stream the file begins
	cutAt   int64     // up to where it was cut already
	lines   int       // line breaks of the file before cutAt
	buf     []byte    // the stream from base on
	base    int64
	parts   []part // of buf
	packed  bool   // it is a compressed layer, whose content has a stream of its own
}

// part is a file, or as much of it as is looked at together.
type part struct {
	path     scan.Path
	start    int64 // of the file
	from, to int64 // in the stream
	lines    int   // line breaks of the file before from
	entry    int64 // as of visitor
}

var buffers = sync.Pool{New: func() any { return new([]byte) }}

// takeBuffer returns an empty buffer, and giveBuffer takes one back.
func takeBuffer() []byte  { return (*buffers.Get().(*[]byte))[:0] }
func giveBuffer(b []byte) { buffers.Put(&b) }

// Write implements scan.Sink.
func (s *sink) Write(p []byte) {
	s.buf = append(s.buf, p...)
	for s.end()-s.cutAt >= chunk+ahead {
		s.cut(s.cutAt + chunk)
		s.lines -= bytes.Count(s.bytes(s.cutAt-overlap, s.cutAt), newline)
		s.cutAt -= overlap
	}
	if s.cutAt-s.base >= chunk {
		s.flush()
	}
	v := s.visitor
	v.piece.bytes += int64(len(p))
	total := v.search.bytes.Add(int64(len(p)))
	if f := v.search.options.Progress; f != nil {
		f(total)
	}
}

func (s *sink) end() int64                  { return s.base + int64(len(s.buf)) }
func (s *sink) bytes(from, to int64) []byte { return s.buf[from-s.base : to-s.base] }

// cut ends a part at a place in the stream.
func (s *sink) cut(to int64) {
	if to = min(to, s.end()); to <= s.cutAt {
		return
	}
	if !s.packed {
		s.parts = append(s.parts, part{s.here, s.start, s.cutAt, to, s.lines, s.visitor.entry})
	}
	if to-s.start >= chunk {
		s.lines += bytes.Count(s.bytes(s.cutAt, to), newline) // there may be more of the file
	}
	s.cutAt = to
}

// smallBatch is how many bytes are looked at at once rather than handed over.
const smallBatch = 64 << 10

// flush has the parts looked at, and keeps what is not cut yet.
func (s *sink) flush() {
	full := batch{visitor: s.visitor, buf: s.buf, base: s.base, parts: s.parts}
	s.buf = append(takeBuffer(), s.buf[s.cutAt-s.base:]...)
	s.base, s.parts = s.cutAt, nil
	if len(full.buf) < smallBatch {
		full.look()
		return
	}
	looks := s.visitor.search.options.Budget.looks
	looks <- struct{}{}
	s.visitor.pending.Go(func() {
		full.look()
		<-looks
	})
}

// batch is a piece of a stream with the parts that are in it.
type batch struct {
	visitor *visitor
	buf     []byte
	base    int64
	parts   []part
}

// look searches the parts.
func (b batch) look() {
	for _, p := range b.parts {
		data := b.buf[p.from-b.base : p.to-b.base]
		if b.visitor.ctx.Err() != nil {
			break
		}
		for _, m := range b.visitor.find(detect.Content{Path: p.path.Innermost(), Data: data, Rest: p.from > p.start}, p.path.String) {
			k := b.visitor.leak(m, data)
			k.Path, k.Inner = b.visitor.names(p.path)
			k.Offset, k.Entry = p.from-p.start+int64(m.Start), p.entry
			if !detect.IsBinary(data) { // a line number means nothing there
				k.Line = 1 + p.lines + bytes.Count(data[:m.Start], newline)
			}
			if b.visitor.inline() {
				k.Ignored = inlineIgnore(data, m)
			}
			b.visitor.add(k)
		}
	}
	giveBuffer(b.buf)
}

var newline = []byte{'\n'}

// names are the file in the image and what is in it.
func (v *visitor) names(p scan.Path) (file, inner string) {
	if name := v.name(); name != "" {
		rest := strings.TrimPrefix(p.String(), name)
		return name, strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(rest, "!"), "/"), "!")
	}
	return p.Split()
}

// maxHeader is how many bytes may stand between two members of an archive that are taken for a header.
const maxHeader = 64 << 10

// Member implements scan.Sink.
func (s *sink) Member(p scan.Path, offset int64) {
	switch {
	case s.packed:
		s.cut(offset)
		s.packed = false
	case s.here == s.origin && p != s.origin && offset-s.cutAt <= maxHeader:
		s.cutAt = min(offset, s.end()) // headers: Text has what is in them
	default:
		s.cut(offset)
	}
	s.here, s.start, s.cutAt, s.lines = p, offset, max(offset, s.base), 0
	if p == s.origin {
		return
	}
	v := s.visitor
	v.piece.files++
	if v.piece.entries == nil || !p.Top() {
		return
	}
	if v.files == nil {
		v.files = s
	}
	if v.entry = 0; v.files == s {
		v.entry = offset
	}
	v.piece.entries.add(p.File())
}

// Text implements scan.Sink.
func (s *sink) Text(field, value string) {
	if e := s.visitor.piece.entries; e != nil && field == scan.HardLink && s.here.Top() {
		e.link(s.here.File(), value)
	}
	file, inner := s.visitor.names(s.here)
	s.visitor.text(file, inner, field, value)
}

// Close implements scan.Sink.
func (s *sink) Close() {
	s.cut(s.end())
	s.flush()
	s.buf = nil
}
