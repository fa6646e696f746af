package caller

import (
	"bytes"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// decode reads a scalar once more, to know where each of its bytes stands. What it reads otherwise than the YAML package did is rigid.
func (t *tree) decode(n *yaml.Node) (source, int) {
	at := t.start(n)
	var s source
	var end int
	switch {
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		s, end = t.block(at, n.Style&yaml.FoldedStyle != 0)
	case n.Style&yaml.DoubleQuotedStyle != 0:
		s, end = t.quoted(at, '"')
	case n.Style&yaml.SingleQuotedStyle != 0:
		s, end = t.quoted(at, '\'')
	default:
		s, end = t.plain(at, n.Value)
		s.flow = t.flow[n]
	}
	if s.text == n.Value {
		return s, end
	}
	s = source{text: n.Value, at: make([]int, len(n.Value)+1), rigid: true}
	for i := range s.at {
		s.at[i] = at
	}
	return s, at
}

// fold is what a line break in a plain or quoted scalar, with the white space around it, is read as.
func (t *tree) fold(at int) (text string, next int, ok bool) {
	i, breaks := at, 0
	for ; i < len(t.text) && isSpace(t.text[i]); i++ {
		if t.text[i] == '\n' {
			breaks++
		}
	}
	if breaks == 0 {
		return "", at, false
	}
	if breaks == 1 {
		return " ", i, true
	}
	return strings.Repeat("\n", breaks-1), i, true
}

// plain is told what it has to read: where a plain scalar ends is hard to tell.
func (t *tree) plain(at int, value string) (source, int) {
	var w writer
	for w.text.Len() < len(value) && at < len(t.text) {
		if text, next, ok := t.fold(at); ok {
			w.put(text, at)
			at = next
			continue
		}
		w.keep(string(t.text[at:at+1]), at)
		at++
	}
	return w.source(at), at
}

var yamlEscapes = map[byte]string{
	'0': "\x00", 'a': "\a", 'b': "\b", 't': "\t", '\t': "\t", 'n': "\n", 'v': "\v", 'f': "\f", 'r': "\r", 'e': "\x1b",
	' ': " ", '"': "\"", '/': "/", '\\': "\\", 'N': "\u0085", '_': "\u00a0", 'L': "\u2028", 'P': "\u2029",
}

func (t *tree) quoted(at int, quote byte) (source, int) {
	var w writer
	for at++; at < len(t.text); {
		c := t.text[at]
		text, next, folded := t.fold(at)
		switch {
		case folded:
			w.put(text, at)
			at = next
		case c == quote && quote == '\'' && at+1 < len(t.text) && t.text[at+1] == quote:
			w.put("'", at)
			at += 2
		case c == quote:
			return w.source(at), at + 1
		case c == '\\' && quote == '"':
			text, size := t.escape(at)
			w.put(text, at)
			at += size
		default:
			w.keep(string(t.text[at:at+1]), at)
			at++
		}
	}
	return w.source(at), at
}

// escape reads an escape of a double-quoted scalar, and tells its size.
func (t *tree) escape(at int) (string, int) {
	rest := t.text[at+1:]
	if len(rest) == 0 {
		return "", 1
	}
	digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[rest[0]]
	if digits > 0 && len(rest) > digits {
		r, err := strconv.ParseUint(string(rest[1:1+digits]), 16, 32)
		if err != nil {
			return "", 2 + digits
		}
		return string(rune(r)), 2 + digits
	}
	if rest[0] == '\n' || rest[0] == '\r' {
		return "", 1 + len(rest) - len(bytes.TrimLeft(rest, " \t\r\n"))
	}
	return yamlEscapes[rest[0]], 2
}

// block reads a literal or folded block scalar as libyaml does.
func (t *tree) block(at int, folded bool) (source, int) {
	header := t.text[min(at+1, len(t.text)):t.lineEnd(at)]
	chomp, indent := byte(0), 0
	for _, c := range header {
		if c == '+' || c == '-' {
			chomp = c
		} else if c >= '1' && c <= '9' {
			line := t.text[t.lineStart(at):at]
			indent = len(line) - len(bytes.TrimLeft(line, " ")) + int(c-'0')
		} else {
			break
		}
	}
	b := blockReader{tree: t, at: t.lineEnd(at), indent: indent, folded: folded}
	if indent == 0 {
		b.indent = b.detect()
	}
	b.read()
	b.finish(chomp)
	if len(b.pending) > 0 {
		return b.w.source(b.pending[0]), b.end
	}
	return b.w.source(b.end), b.end
}

type blockReader struct {
	*tree
	w           writer
	at, end     int
	indent      int
	folded      bool
	pending     []int // the newline behind the last line
	blank       []int // those of the empty lines that follow
	blankBefore bool
}

// detect finds the indentation: that of the first line that is not empty.
func (b *blockReader) detect() int {
	for at := b.at; at < len(b.text); at = b.lineEnd(at) {
		line := b.text[at:b.lineEnd(at)]
		if rest := bytes.TrimLeft(line, " "); len(bytes.TrimRight(rest, "\r\n")) > 0 {
			return len(line) - len(rest)
		}
	}
	return 0
}

func (b *blockReader) read() {
	b.end = b.at
	for b.at < len(b.text) {
		next := b.lineEnd(b.at)
		line := bytes.TrimRight(b.text[b.at:next], "\r\n")
		spaces := len(line) - len(bytes.TrimLeft(line, " "))
		stop := b.at + len(line)
		switch {
		case spaces == len(line) && spaces <= b.indent:
			if next > stop {
				b.blank = append(b.blank, stop)
			}
		case spaces < b.indent:
			return
		default:
			b.line(string(line[b.indent:]), b.at+b.indent)
			if next > stop {
				b.pending = []int{stop}
			}
			b.end = next
		}
		b.at = next
	}
}

func (b *blockReader) line(text string, at int) {
	blank := text[0] == ' ' || text[0] == '\t'
	if b.folded && len(b.pending) > 0 && !b.blankBefore && !blank {
		if len(b.blank) == 0 {
			b.w.put(" ", b.pending[0])
		}
		b.pending = nil
	}
	b.newlines()
	b.blankBefore = blank
	b.w.keep(text, at)
}

func (b *blockReader) newlines() {
	for _, at := range append(b.pending, b.blank...) {
		b.w.put("\n", at)
	}
	b.pending, b.blank = nil, nil
}

func (b *blockReader) finish(chomp byte) {
	switch chomp {
	case '+':
		b.newlines()
		b.end = b.at
	case 0:
		b.blank = nil
		b.newlines()
	}
}
