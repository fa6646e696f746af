package dockerfile

import (
	"slices"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// Edit replaces an instruction, which may span lines, by other text. Lines are counted from 1.
type Edit struct {
	First, Last int
	Text        string // whole lines, each with its newline
}

// EditOf makes the edit of the instruction at a location.
func EditOf(at []parser.Range, text string) Edit {
	e := Edit{First: firstLine(at), Text: text}
	for _, r := range at {
		e.Last = max(e.Last, r.End.Line)
	}
	return e
}

// Apply returns the file with the edits, of which no two overlap, and for each line of that, counted from 0, which line
// of the original it comes from, counted from 1. Everything else stays byte for byte.
func (f *File) Apply(edits []Edit) (text []byte, origins []int) {
	edits = slices.Clone(edits)
	slices.SortFunc(edits, func(a, b Edit) int { return a.First - b.First })
	var out strings.Builder
	keep := func(from, to int) {
		for n := from; n < to && n <= len(f.lines); n++ {
			out.WriteString(f.lines[n-1])
			origins = append(origins, n)
		}
	}
	next := 1
	for _, e := range edits {
		keep(next, e.First)
		out.WriteString(e.Text)
		for range strings.Count(e.Text, "\n") {
			origins = append(origins, e.First)
		}
		next = e.Last + 1
	}
	keep(next, len(f.lines)+1)
	return []byte(out.String()), origins
}

// Text returns the lines of an instruction as they are written.
func (f *File) Text(at []parser.Range) string {
	e := EditOf(at, "")
	if e.First < 1 || e.Last > len(f.lines) {
		return ""
	}
	return strings.Join(f.lines[e.First-1:e.Last], "")
}
