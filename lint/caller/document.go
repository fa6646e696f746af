package caller

import (
	"bytes"
	"sort"
	"strings"

	"github.com/tightlip/tightlip/lint/edit"
)

// document is a file that is being read.
type document struct {
	name, kind string
	text       []byte
	starts     []int // of the lines
	builds     []*found
	errs       []error
}

// found is a build, with what Move has to know of it.
type found struct {
	Build
	at      int      // where it starts in the file
	origins []origin // one for each of Args
}

// mover makes the edits that make a secret of an argument.
type mover = func() ([]edit.Edit, error)

// origin is where an argument comes from. If it cannot be moved, why is set, or its movers fail.
type origin struct {
	at  int    // where it stands in the file
	why string // why it cannot be moved; "" if it can
	// moves are ways to move it, the best first.
	moves []mover
}

func newDocument(name, kind string, text []byte) *document {
	d := &document{name: name, kind: kind, text: text, starts: []int{0}}
	for i, c := range text {
		if c == '\n' {
			d.starts = append(d.starts, i+1)
		}
	}
	return d
}

// position is the line and the column of an offset, both counted from 1.
func (d *document) position(offset int) (line, column int) {
	i := sort.SearchInts(d.starts, offset+1) - 1
	return i + 1, offset - d.starts[i] + 1
}

func (d *document) line(offset int) int {
	line, _ := d.position(offset)
	return line
}

// lineStart and lineEnd are the ends of the line that an offset is in; the newline belongs to it.
func (d *document) lineStart(offset int) int { return d.starts[d.line(offset)-1] }

func (d *document) lineEnd(offset int) int {
	if n := d.line(offset); n < len(d.starts) {
		return d.starts[n]
	}
	return len(d.text)
}

func (d *document) fail(line int, why string) {
	d.errs = append(d.errs, &SyntaxError{line, why})
}

// add makes a build that starts at an offset.
func (d *document) add(offset int) *found {
	f := &found{at: offset, Build: Build{Kind: d.kind, File: d.name, Line: d.line(offset)}}
	d.builds = append(d.builds, f)
	return f
}

// arg adds an argument which stands from start to end. What is counted of it is its part of the first line.
func (d *document) arg(f *found, a Arg, start, end int, o origin) {
	a.Line, a.Column = d.position(start)
	first := d.text[start:d.lineEnd(start)]
	end = min(end, start+len(bytes.TrimRight(first, "\r\n")))
	a.Width = max(end-start, 0)
	o.at = start
	f.Args = append(f.Args, a)
	f.origins = append(f.origins, o)
}

// last finds the argument of a name that counts; -1 if there is none.
func (f *found) last(name string) int {
	for i := len(f.Args) - 1; i >= 0; i-- {
		if f.Args[i].Name == name {
			return i
		}
	}
	return -1
}

// source is a text that stands in a file, maybe indented, folded or escaped there. at has the offset of each of its bytes in the
// file, and of its end.
type source struct {
	text string
	at   []int
	// rigid tells that the text is not written in the file as it is: it can be read, and not be changed.
	rigid bool
	flow  bool // a comma would end it
}

// whole is all of a file.
func whole(text []byte) source {
	s := source{text: string(text), at: make([]int, len(text)+1)}
	for i := range s.at {
		s.at[i] = i
	}
	return s
}

// slice is a part of the text.
func (s source) slice(start, end int) source {
	s.text, s.at = s.text[start:end], s.at[start:end+1]
	return s
}

// writer makes a source piece by piece.
type writer struct {
	text strings.Builder
	at   []int
}

// keep writes bytes that stand in a file at an offset.
func (w *writer) keep(text string, offset int) {
	w.text.WriteString(text)
	for i := range len(text) {
		w.at = append(w.at, offset+i)
	}
}

// put writes bytes that stand for what is at an offset.
func (w *writer) put(text string, offset int) {
	w.text.WriteString(text)
	for range len(text) {
		w.at = append(w.at, offset)
	}
}

func (w *writer) source(end int) source {
	return source{text: w.text.String(), at: append(w.at, end)}
}

// from writes a part of another source.
func (w *writer) from(s source, start, end int) {
	w.text.WriteString(s.text[start:end])
	w.at = append(w.at, s.at[start:end]...)
}

// stand writes text in the place of a part of another source.
func (w *writer) stand(s source, text string, start int) { w.put(text, s.at[start]) }
