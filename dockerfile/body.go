package dockerfile

import (
	"slices"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// Body is a piece of an instruction with its lines joined as the builder joins them: without escaped line ends and without the
// comments between. The lines of here-documents follow. It knows where each of its bytes stands in the file.
type Body struct {
	Text  string
	at    []int // for each byte of Text, its offset in the file
	lines []int // the offsets at which the file's lines start
}

// Body is the instruction at a location.
func (f *File) Body(at []parser.Range) Body {
	e := EditOf(at, "")
	if e.First < 1 || e.Last > len(f.lines) {
		return Body{}
	}
	b := Body{lines: f.starts()}
	var text strings.Builder
	add := func(n int, line string) {
		for i := range len(line) {
			b.at = append(b.at, b.lines[n-1]+i)
		}
		text.WriteString(line)
	}
	n := e.First
	for joined := true; joined && n <= e.Last; n++ {
		line := strings.TrimRight(f.lines[n-1], "\r\n")
		if trimmed := strings.TrimSpace(line); n > e.First && (trimmed == "" || trimmed[0] == '#') {
			continue
		}
		end := strings.TrimRight(line, " \t")
		if joined = strings.HasSuffix(end, string(f.escape)); joined {
			line = end[:len(end)-1]
		}
		add(n, line)
	}
	if n <= e.Last { // here-documents
		add(n-1, "\n")
		for ; n <= e.Last; n++ {
			line := strings.TrimRight(f.lines[n-1], "\r\n")
			add(n, line+"\n")
		}
	}
	b.Text = text.String()
	return b.trim()
}

// Whole is all of the file as it is.
func (f *File) Whole() Body {
	b := Body{Text: strings.Join(f.lines, ""), lines: f.starts()}
	b.at = make([]int, len(b.Text))
	for i := range b.at {
		b.at[i] = i
	}
	return b
}

// starts are the offsets of all lines.
func (f *File) starts() []int {
	if f.offsets == nil {
		offset := 0
		for _, line := range f.lines {
			f.offsets = append(f.offsets, offset)
			offset += len(line)
		}
	}
	return f.offsets
}

// Offset is where line n, counted from 1, starts in the file. Behind the last line, it is the end.
func (f *File) Offset(n int) int {
	starts := f.starts()
	if n > len(starts) {
		return starts[len(starts)-1] + len(f.lines[len(f.lines)-1])
	}
	return starts[n-1]
}

// From is the rest of a body, from byte n on.
func (b Body) From(n int) Body { return Body{b.Text[n:], b.at[n:], b.lines} }

// To is the body up to byte n.
func (b Body) To(n int) Body { return Body{b.Text[:n], b.at[:n], b.lines} }

// Keyword is the body's first word, and Rest what is behind it.
func (b Body) Keyword() (word, rest Body) {
	n := strings.IndexAny(b.Text, " \t\n")
	if n < 0 {
		n = len(b.Text)
	}
	return b.To(n), b.From(n).trim()
}

// Flags are the flags that the body starts with, such as --mount=type=ssh, and what is behind them.
func (b Body) Flags() (flags []Body, rest Body) {
	for strings.HasPrefix(b.Text, "--") {
		n := flagEnd(b.Text)
		flags = append(flags, b.To(n))
		b = b.From(n).trim()
	}
	return flags, b
}

// flagEnd is where a flag ends: at the first blank outside of quotes.
func flagEnd(s string) int {
	var quote byte
	for i := range len(s) {
		switch c := s[i]; {
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		case quote == 0 && (c == ' ' || c == '\t' || c == '\n'):
			return i
		}
	}
	return len(s)
}

func (b Body) trim() Body {
	n := len(b.Text) - len(strings.TrimLeft(b.Text, " \t"))
	return b.From(n)
}

// Offset is where byte n of the body stands in the file. Behind the last byte, it is the end.
func (b Body) Offset(n int) int {
	switch {
	case len(b.at) == 0:
		return 0
	case n >= len(b.at):
		return b.at[len(b.at)-1] + 1
	}
	return b.at[max(n, 0)]
}

// Index is the byte of the body that stands at a line and column of the file; -1 if none does.
func (b Body) Index(line, column int) int {
	if line < 1 || line > len(b.lines) {
		return -1
	}
	return slices.Index(b.at, b.lines[line-1]+column-1)
}

// Place is the line and the column of byte n of the body, both counted from 1, in bytes.
func (b Body) Place(n int) (line, column int) { return place(b.lines, b.Offset(n)) }

// place is the line and the column of an offset.
func place(lines []int, offset int) (line, column int) {
	i, exact := slices.BinarySearch(lines, offset)
	if !exact {
		i--
	}
	if i < 0 {
		return 1, 1
	}
	return i + 1, offset - lines[i] + 1
}
