package report

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/tightlip/tightlip/finding"
)

// How wide the text form is: excerpts of source files, and sentences.
const (
	maxColumns  = 120
	textColumns = 100
	tabColumns  = 4
)

// projects writes what was found in source files. Its scans are as they were made, for the columns in them: line makes them printable.
func (t *text) projects(scans []Scan) {
	for i := range scans {
		t.project(&scans[i])
	}
	t.todo(projectAdvice, ruleRemedies(scans))
	for i := range scans {
		t.summary(&scans[i], len(scans) > 1)
		t.mendable(&scans[i])
	}
}

// project writes findings in the order of the files, unless there are too many for all to be shown.
func (t *text) project(s *Scan) {
	leaks := s.Findings
	if len(leaks) > maxGroups {
		leaks = worstFirst(leaks)
	}
	for i := range leaks {
		if i == maxGroups {
			t.line(2, span{plain, fmt.Sprintf("… and %d more: --format json lists them", len(leaks)-maxGroups)})
			t.line(0)
			break
		}
		t.leak(s, &leaks[i])
	}
	t.unread(s, "Not checked")
}

// leak writes one finding: what, where, the line with carets under the place, and what happens there.
func (t *text) leak(s *Scan, l *finding.Leak) {
	t.title(l)
	shown := *l
	shown.Column, _ = characters(l)
	t.line(12, span{plain, s.sourcePlace(&shown)})
	t.excerpt(l)
	for _, line := range wrapped(l.Detail, textColumns-12) {
		t.line(12, span{plain, line})
	}
	facts := details(l)
	if l.Fixable {
		facts = append([]string{"fixable"}, facts...)
	}
	if len(facts) > 0 {
		t.line(12, span{dim, strings.Join(facts, ", ")})
	}
	t.line(0)
}

// excerpt writes the source line of a leak, with the place marked if it is in that line.
func (t *text) excerpt(l *finding.Leak) {
	if l.Source == nil || strings.TrimSpace(l.Source.Text) == "" {
		return
	}
	number, column := l.Source.Line, l.Column
	if number == 0 {
		number = l.Line
	}
	if elsewhere := l.Source.File != "" && l.Source.File != l.Path || number != l.Line; elsewhere {
		t.line(12, span{dim, fmt.Sprintf("%s:%d", l.Source.File, number)})
		column = 0
	}
	gutter := fmt.Sprintf("%4d | ", number)
	source, carets := excerpt(l.Source.Text, column, l.Width, maxColumns-12-len(gutter))
	t.line(12, span{dim, gutter}, span{plain, source})
	if carets != "" {
		t.line(12, span{dim, strings.Repeat(" ", len(gutter)-2) + "| "}, span{severityStyles[l.Severity], carets})
	}
}

// mendable says how many findings the program can mend.
func (t *text) mendable(s *Scan) {
	n := s.fixable()
	which := thousands(n) + " of them"
	switch {
	case n == 0:
		return
	case len(s.Findings) == 1:
		which = "it"
	case len(s.Findings) == n:
		which = "all of them"
	}
	t.line(0, span{plain, which + " can be mended: tightlip lint --fix"})
}

// cell is a character of a source line as it is shown.
type cell struct {
	text   string
	width  int // in columns
	marked bool
}

// excerpt is a source line as a terminal shows it, and the carets under the width bytes at a column, both cut to fit around these.
// Without a column there are no carets, and without a width there is one.
func excerpt(line string, column, width, columns int) (source, carets string) {
	cells, ends := window(cellsOf(line, column, width), columns)
	var above, below strings.Builder
	for _, c := range cells {
		above.WriteString(c.text)
		mark := " "
		if c.marked {
			mark = "^"
		}
		below.WriteString(strings.Repeat(mark, c.width))
	}
	return strings.TrimRight(ends[0]+above.String(), " ") + ends[1], strings.TrimRight(strings.Repeat(" ", utf8.RuneCountInString(ends[0]))+below.String(), " ")
}

// cellsOf cuts a line into what is shown of it: tabs as spaces, so that carets stand where they should. A place behind the end is at the end.
func cellsOf(line string, column, width int) []cell {
	line, _, _ = strings.Cut(line, "\n")
	line = strings.TrimRight(line, " \t\r")
	start := min(column-1, len(line))
	end := start + max(width, 1)
	var out []cell
	for i, at := 0, 0; i < len(line); {
		r, size := utf8.DecodeRuneInString(line[i:])
		c := cell{text: printable(string(r)), marked: column > 0 && i+size > start && i < end}
		if r == '\t' {
			c.text = strings.Repeat(" ", tabColumns-at%tabColumns)
		}
		c.width = columnsOf(c.text)
		i, at, out = i+size, at+c.width, append(out, c)
	}
	if column > 0 && start == len(line) {
		out = append(out, cell{text: " ", width: 1, marked: true})
	}
	return out
}

// window is the part of a line around its first mark that fits, and what stands at its ends.
func window(cells []cell, columns int) (part []cell, ends [2]string) {
	total, mark := 0, -1
	for i, c := range cells {
		total += c.width
		if c.marked && mark < 0 {
			mark = i
		}
	}
	if total <= columns {
		return cells, ends
	}
	columns -= 2 // for the ends
	from, used := max(mark, 0), 0
	for from > 0 && used+cells[from-1].width <= columns/3 {
		from--
		used += cells[from].width
	}
	to, used := from, 0
	for to < len(cells) && used+cells[to].width <= columns {
		used += cells[to].width
		to++
	}
	for to == len(cells) && from > 0 && used+cells[from-1].width <= columns {
		from--
		used += cells[from].width
	}
	if from > 0 {
		ends[0] = "…"
	}
	if to < len(cells) {
		ends[1] = "…"
	}
	return cells[from:to], ends
}

// wide are the characters that take two columns: the scripts of East Asia in full width, and pictures.
var wide = &unicode.RangeTable{
	R16: []unicode.Range16{{Lo: 0x1100, Hi: 0x115f, Stride: 1}, {Lo: 0x2e80, Hi: 0xa4cf, Stride: 1}, {Lo: 0xac00, Hi: 0xd7a3, Stride: 1},
		{Lo: 0xf900, Hi: 0xfaff, Stride: 1}, {Lo: 0xfe30, Hi: 0xfe6f, Stride: 1}, {Lo: 0xff00, Hi: 0xff60, Stride: 1}, {Lo: 0xffe0, Hi: 0xffe6, Stride: 1}},
	R32: []unicode.Range32{{Lo: 0x1f300, Hi: 0x1faff, Stride: 1}, {Lo: 0x20000, Hi: 0x3fffd, Stride: 1}},
}

// columnsOf is how many columns of a terminal a text takes.
func columnsOf(s string) int {
	n := 0
	for _, r := range s {
		switch {
		case unicode.In(r, unicode.Mn, unicode.Me):
		case unicode.Is(wide, r):
			n += 2
		default:
			n++
		}
	}
	return n
}

// wrapped breaks a text into lines between its words.
func wrapped(s string, columns int) []string {
	var lines []string
	used := 0
	for _, word := range strings.Fields(s) {
		word = printable(word)
		if width := columnsOf(word); len(lines) == 0 || used+1+width > columns {
			lines, used = append(lines, word), width
		} else {
			lines[len(lines)-1] += " " + word
			used += 1 + width
		}
	}
	return lines
}
