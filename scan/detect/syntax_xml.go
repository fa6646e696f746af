package detect

import (
	"bytes"
	"html"
	"strings"
)

// readXML reads the texts and attributes of XML: "servers.server.password", "repository@url". An element with a name and a value
// among its attributes is "packageSources.add[name]".
func readXML(text []byte, yield func(pair) bool) {
	r := xmlReader{text: text, yield: yield}
	for r.at < len(text) {
		start := r.at
		if r.at = indexFrom(text, r.at, "<"); r.at == len(text) {
			return // what follows the last element
		}
		if !r.content(start, r.at) || !r.markup() {
			return
		}
	}
}

type xmlReader struct {
	text  []byte
	at    int
	names []string // of the elements that are open
	paths []string // to them
	yield func(pair) bool
}

// indexFrom is where a string is next, or the end of the text.
func indexFrom(text []byte, at int, s string) int {
	if n := bytes.Index(text[at:], []byte(s)); n >= 0 {
		return at + n
	}
	return len(text)
}

// after moves behind the next s.
func (r *xmlReader) after(s string) {
	r.at = min(indexFrom(r.text, r.at, s)+len(s), len(r.text))
}

func (r *xmlReader) path() string {
	if len(r.paths) == 0 {
		return ""
	}
	return r.paths[len(r.paths)-1]
}

// content is the text between two pieces of markup.
func (r *xmlReader) content(start, end int) bool {
	start, end = trim(r.text, start, end)
	if start == end || len(r.paths) == 0 {
		return true
	}
	return r.yield(pair{r.path(), html.UnescapeString(string(r.text[start:end])), start, end})
}

func (r *xmlReader) markup() bool {
	switch rest := r.text[r.at:]; {
	case bytes.HasPrefix(rest, []byte("<!--")):
		r.after("-->")
	case bytes.HasPrefix(rest, []byte("<![CDATA[")):
		start := r.at + len("<![CDATA[")
		end := indexFrom(r.text, start, "]]>")
		r.at = min(end+3, len(r.text))
		return r.content(start, end)
	case bytes.HasPrefix(rest, []byte("</")):
		r.at += 2
		r.leave(r.name())
		r.after(">")
	case bytes.HasPrefix(rest, []byte("<!")), bytes.HasPrefix(rest, []byte("<?")):
		r.after(">")
	default:
		r.at++
		return r.element()
	}
	return true
}

// name reads the name of an element or attribute.
func (r *xmlReader) name() string {
	start := r.at
	for r.at < len(r.text) && !isBlank(r.text[r.at]) && strings.IndexByte("=/<>\"'", r.text[r.at]) < 0 {
		r.at++
	}
	return join("", string(r.text[start:r.at]))
}

// leave closes an element, and those in it that are still open.
func (r *xmlReader) leave(name string) {
	for n := len(r.names) - 1; n >= 0; n-- {
		if r.names[n] == name {
			r.names, r.paths = r.names[:n], r.paths[:n]
			return
		}
	}
}

// element reads an opening tag.
func (r *xmlReader) element() bool {
	name := r.name()
	if name == "" {
		return true
	}
	path := join(r.path(), name)
	attributes, isEmpty := r.attributes()
	if !isEmpty && len(r.names) < maxDepth {
		r.names, r.paths = append(r.names, name), append(r.paths, path)
	}
	called := ""
	for _, a := range attributes {
		switch strings.ToLower(a.key) {
		case "key", "name", "id":
			called = a.value
		}
	}
	for _, a := range attributes {
		if called != "" && strings.EqualFold(a.key, "value") {
			a.key = join("", path+"["+called+"]")
		} else {
			a.key = join("", path+"@"+a.key)
		}
		if !r.yield(a) {
			return false
		}
	}
	return true
}

// maxAttributes is how many attributes of an element are read.
const maxAttributes = 64

// attributes reads up to the end of a tag, and tells whether the element ends with it.
func (r *xmlReader) attributes() (list []pair, isEmpty bool) {
	for r.at < len(r.text) {
		switch c := r.text[r.at]; {
		case c == '>':
			r.at++
			return list, isEmpty
		case c == '<': // the tag is broken
			return list, isEmpty
		case isQuote(c):
			r.after(string(c))
		case isBlank(c) || c == '=' || c == '/':
			isEmpty = c == '/'
			r.at++
		default:
			isEmpty = false
			name := r.name()
			if a, ok := r.attribute(name); ok && len(list) < maxAttributes {
				list = append(list, a)
			}
		}
	}
	return list, isEmpty
}

// attribute reads the value of an attribute.
func (r *xmlReader) attribute(name string) (pair, bool) {
	at := afterBlanks(r.text, r.at)
	if at == len(r.text) || r.text[at] != '=' {
		return pair{}, false
	}
	at = afterBlanks(r.text, at+1)
	if at == len(r.text) || !isQuote(r.text[at]) {
		return pair{}, false
	}
	end := indexFrom(r.text, at+1, string(r.text[at:at+1]))
	r.at = min(end+1, len(r.text))
	return pair{name, html.UnescapeString(string(r.text[at+1 : end])), at + 1, end}, true
}
