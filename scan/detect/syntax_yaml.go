package detect

import (
	"bytes"
	"strings"
)

// readYAML reads YAML line by line, by its indentation: mappings, lists, scalars of all kinds and inline collections. Anchors and
// tags are left out; templates are not executed.
func readYAML(text []byte, yield func(pair) bool) {
	start, end := trim(text, 0, len(text))
	if start < end && (text[start] == '{' || text[start] == '[') && !bytes.HasPrefix(text[start:], []byte("{{")) {
		readJSON(text, yield)
		return
	}
	r := yamlReader{text: text, yield: yield}
	for start, end := range lines(text) {
		if start < r.at { // part of a value that was read
			continue
		}
		r.at = min(lineEnd(text, start)+1, len(text))
		if !r.line(start, end) {
			return
		}
	}
}

type yamlReader struct {
	text   []byte
	at     int // the start of the next line
	levels []yamlLevel
	yield  func(pair) bool
}

// yamlLevel is a key or list item that the lines below it may belong to.
type yamlLevel struct {
	indent int
	item   bool
	path   string
}

func (r *yamlReader) line(start, end int) bool {
	at := skipBlanks(r.text, start, end)
	if rest := r.text[at:end]; at == start && (bytes.HasPrefix(rest, []byte("---")) || bytes.HasPrefix(rest, []byte("..."))) {
		r.levels = r.levels[:0]
		at = skipBlanks(r.text, at+3, end)
	}
	if rest := r.text[at:end]; len(rest) == 0 || rest[0] == '#' || bytes.HasPrefix(rest, []byte("{{")) || bytes.HasPrefix(rest, []byte("{%")) {
		return true
	}
	isItem := false
	for r.isDash(at, end) {
		isItem = true
		r.enter(at-start, "", true)
		at = skipBlanks(r.text, at+1, end)
	}
	key, next := r.key(at, end)
	if next > 0 {
		r.enter(at-start, key, false)
		return r.value(next, end, at-start)
	}
	return !isItem || at == end || r.value(at, end, r.levels[len(r.levels)-1].indent)
}

func (r *yamlReader) isDash(at, end int) bool {
	return at < end && r.text[at] == '-' && (at+1 == end || isBlank(r.text[at+1]))
}

// enter adds a level, after it has left those that end here. Items may be as far to the left as the key of their list.
func (r *yamlReader) enter(indent int, name string, item bool) {
	n := len(r.levels)
	for n > 0 && (r.levels[n-1].indent > indent || r.levels[n-1].indent == indent && (!item || r.levels[n-1].item)) {
		n--
	}
	n = min(n, maxDepth-1)
	path := ""
	if n > 0 {
		path = r.levels[n-1].path
	}
	r.levels = append(r.levels[:n], yamlLevel{indent, item, join(path, name)})
}

// key reads the key of a line, and returns the place after its colon, or 0 if it has none.
func (r *yamlReader) key(at, end int) (string, int) {
	if at < end && isQuote(r.text[at]) {
		p, next := quoted(r.text, at, end, r.text[at] == '"')
		if next = skipBlanks(r.text, next, end); next < end && r.text[next] == ':' {
			return p.value, next + 1
		}
		return "", 0
	}
	if at < end && (r.text[at] == '{' || r.text[at] == '[') {
		return "", 0
	}
	for i := at; i < end; i++ {
		if r.text[i] == ':' && (i+1 == end || isBlank(r.text[i+1])) {
			return lastOf(r.text[at:i]), i + 1
		}
	}
	return "", 0
}

// value reads what stands behind a key or dash that is so far from the left.
func (r *yamlReader) value(at, end, indent int) bool {
	at = skipBlanks(r.text, at, end)
	for at < end && (r.text[at] == '!' || r.text[at] == '&') { // a tag or an anchor
		for at < end && !isBlank(r.text[at]) {
			at++
		}
		at = skipBlanks(r.text, at, end)
	}
	if at == end || r.text[at] == '#' {
		return true
	}
	path := r.levels[len(r.levels)-1].path
	switch c := r.text[at]; {
	case c == '|' || c == '>':
		return r.block(path, indent)
	case (c == '{' || c == '[') && !bytes.HasPrefix(r.text[at:end], []byte("{{")):
		return r.collection(path, at, indent)
	}
	return r.yield(scalar(r.text, path, at, end))
}

// block reads a scalar of several lines.
func (r *yamlReader) block(path string, indent int) bool {
	start := r.at
	start, end := trim(r.text, start, r.skip(indent))
	if start == end {
		return true
	}
	var value []string
	for line := range strings.Lines(string(r.text[start:end])) {
		value = append(value, strings.TrimSpace(line))
	}
	return r.yield(pair{path, strings.Join(value, "\n"), start, end})
}

// collection reads one between brackets.
func (r *yamlReader) collection(path string, at, indent int) bool {
	end := r.skip(indent)
	if end < len(r.text) && (r.text[end] == '}' || r.text[end] == ']') {
		end++
	}
	f := flow{text: r.text[:end], at: at, path: path, yield: r.yield}
	return f.read()
}

// skip moves on over the lines that are further to the right, and returns where they end.
func (r *yamlReader) skip(indent int) int {
	for r.at < len(r.text) {
		end := lineEnd(r.text, r.at)
		at := skipBlanks(r.text, r.at, end)
		if isEmpty := at == end || r.text[at] == '\r'; at-r.at <= indent && !isEmpty {
			break
		}
		r.at = min(end+1, len(r.text))
	}
	return r.at
}
