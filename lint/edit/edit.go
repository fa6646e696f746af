// Package edit changes texts in a few places and leaves every other byte alone.
package edit

import (
	"slices"
	"strings"
)

// Edit replaces the bytes from Start to End by a text.
type Edit struct {
	Start, End int
	Text       string
}

// Apply makes edits, of which no two overlap. Those at the same place are made in their order.
func Apply(text []byte, edits []Edit) []byte {
	edits = slices.Clone(edits)
	slices.SortStableFunc(edits, func(a, b Edit) int { return a.Start - b.Start })
	var out strings.Builder
	next := 0
	for _, e := range edits {
		out.Write(text[next:e.Start])
		out.WriteString(e.Text)
		next = e.End
	}
	out.Write(text[next:])
	return []byte(out.String())
}

// Newline is what ends the lines of a text: "\r\n" if its first one ends so, else "\n".
func Newline(text []byte) string {
	if before, _, ok := strings.Cut(string(text), "\n"); ok && strings.HasSuffix(before, "\r") {
		return "\r\n"
	}
	return "\n"
}
