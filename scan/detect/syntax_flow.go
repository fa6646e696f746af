package detect

import (
	"bytes"
	"strings"
)

// readJSON reads JSON, and what is called JSON: with comments, with commas at the end, one document after another.
func readJSON(text []byte, yield func(pair) bool) {
	for at := 0; at < len(text); {
		if text[at] != '{' && text[at] != '[' {
			at++
			continue
		}
		f := flow{text: text, at: at, yield: yield}
		if !f.read() {
			return
		}
		at = f.at
	}
}

// maxDepth is how many brackets have a name in the path.
const maxDepth = 64

// flow reads what is between brackets, up to the closing one: JSON, and the inline collections of YAML and TOML.
type flow struct {
	text  []byte
	at    int
	path  string           // of the collection
	outer [maxDepth]string // the paths around it
	depth int
	key   string // of the next value
	yield func(pair) bool
}

// read returns false if no more is wanted.
func (f *flow) read() bool {
	for f.at < len(f.text) {
		switch c := f.text[f.at]; {
		case c == '{' || c == '[':
			f.open()
		case c == '}' || c == ']':
			if f.close(); f.depth <= 0 {
				return true
			}
		case c == '#' || f.startsWith("//"):
			f.at = lineEnd(f.text, f.at)
		case f.startsWith("/*"):
			f.skipComment()
		case isQuote(c):
			p, next := quoted(f.text, f.at, len(f.text), true)
			if f.at = next; !f.take(p) {
				return false
			}
		case isBlank(c) || c == ':' || c == '=':
			f.at++
		case c == ',':
			f.at, f.key = f.at+1, ""
		default:
			if !f.take(f.bare()) {
				return false
			}
		}
	}
	return true
}

func (f *flow) startsWith(s string) bool {
	return f.at+len(s) <= len(f.text) && string(f.text[f.at:f.at+len(s)]) == s
}

func (f *flow) open() {
	if f.depth < maxDepth {
		f.outer[f.depth] = f.path
		if f.depth > 0 || f.key != "" {
			f.path = join(f.path, f.key)
		}
	}
	f.depth++
	f.key = ""
	f.at++
}

func (f *flow) close() {
	f.depth--
	if f.depth >= 0 && f.depth < maxDepth {
		f.path = f.outer[f.depth]
	}
	f.key = ""
	f.at++
}

func (f *flow) skipComment() {
	n := bytes.Index(f.text[f.at+2:], []byte("*/"))
	if n < 0 {
		f.at = len(f.text)
		return
	}
	f.at += 2 + n + 2
}

// take uses a scalar as a key, if a sign for that follows, or as a value.
func (f *flow) take(p pair) bool {
	at := afterBlanks(f.text, f.at)
	if at < len(f.text) && (f.text[at] == ':' || f.text[at] == '=') {
		f.at, f.key = at+1, join("", p.value)
		return true
	}
	p.key = join(f.path, f.key)
	f.key = ""
	return f.yield(p)
}

// bare reads a scalar without quotes. Signs in it belong to it, as in https://host, if nothing like a value follows.
func (f *flow) bare() pair {
	start := f.at
	for f.at < len(f.text) && strings.IndexByte(",{}[]\n", f.text[f.at]) < 0 && !f.separates() {
		f.at++
	}
	start, end := trim(f.text, start, f.at)
	return pair{value: string(f.text[start:end]), start: start, end: end}
}

func (f *flow) separates() bool {
	c := f.text[f.at]
	if c != ':' && c != '=' || f.at+1 == len(f.text) {
		return false
	}
	next := f.text[f.at+1]
	return strings.IndexByte(" \t\"'{[", next) >= 0 || c == ':' && (next == '\r' || next == '\n')
}
