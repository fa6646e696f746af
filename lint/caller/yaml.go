package caller

import (
	"bytes"
	"errors"
	"io"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// tree is a YAML or JSON file.
type tree struct {
	*document
	roots  []*yaml.Node
	breaks []int // where YAML's lines start: it knows more line ends than \n
	flow   map[*yaml.Node]bool
	steps  int // what merge keys may still cost

	// YAML counts columns in characters. Those of the last line that was asked for are kept: a file may be one long line.
	ascii   bool
	runesOf int
	runes   []int
}

// field is an entry of a mapping. One that comes from a merge key belongs to another mapping.
type field struct {
	key, value *yaml.Node
	in         *yaml.Node
	merged     bool
}

// parseYAML reads all documents of a file. Of a file with a mistake it reads what is above that.
func parseYAML(d *document) *tree {
	t := &tree{document: d, breaks: yamlBreaks(d.text), flow: map[*yaml.Node]bool{}, steps: 20_000, ascii: isASCII(d.text)}
	roots, err := decodeYAML(d.text)
	if err != nil {
		roots = decodeAbove(d, t.failYAML(err))
	}
	for _, r := range roots {
		t.roots = append(t.roots, r.Content...)
	}
	for _, r := range t.roots {
		t.markFlow(r, false)
	}
	return t
}

func decodeYAML(text []byte) ([]*yaml.Node, error) {
	if bytes.HasPrefix(text, []byte("\xff\xfe")) || bytes.HasPrefix(text, []byte("\xfe\xff")) {
		return nil, errors.New("yaml: line 1: the file is in UTF-16")
	}
	var roots []*yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var n yaml.Node
		err := dec.Decode(&n)
		if errors.Is(err, io.EOF) {
			return roots, nil
		}
		if err != nil {
			return roots, err
		}
		roots = append(roots, &n)
	}
}

// decodeAbove reads the lines above one with a mistake, and fewer if these make no document.
func decodeAbove(d *document, line int) []*yaml.Node {
	for tries := 0; line > 1 && tries < 8; tries++ {
		line--
		if roots, err := decodeYAML(d.text[:d.starts[line]]); err == nil {
			return roots
		}
	}
	return nil
}

func yamlBreaks(text []byte) []int {
	at := []int{0}
	if bytes.HasPrefix(text, []byte("\ufeff")) {
		at[0] = 3
	}
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '\n', text[i] == '\r' && (i+1 == len(text) || text[i+1] != '\n'):
			at = append(at, i+1)
		case text[i] == 0xc2 && bytes.HasPrefix(text[i:], []byte("\u0085")):
			at = append(at, i+2)
		case text[i] == 0xe2 && (bytes.HasPrefix(text[i:], []byte("\u2028")) || bytes.HasPrefix(text[i:], []byte("\u2029"))):
			at = append(at, i+3)
		}
	}
	return at
}

func isASCII(text []byte) bool {
	for _, c := range text {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// markFlow finds the plain scalars that a comma would end.
func (t *tree) markFlow(n *yaml.Node, flow bool) {
	flow = flow || n.Style&yaml.FlowStyle != 0
	if flow {
		t.flow[n] = true
	}
	for _, c := range n.Content {
		t.markFlow(c, flow)
	}
}

// offset is where a node starts, its anchor and tag included.
func (t *tree) offset(n *yaml.Node) int {
	if n.Line < 1 || n.Line > len(t.breaks) {
		return 0
	}
	at := t.breaks[n.Line-1]
	if t.ascii {
		return min(at+n.Column-1, len(t.text))
	}
	if t.runesOf != n.Line {
		t.runesOf, t.runes = n.Line, t.runes[:0]
		for end := t.lineEnd(at); at < end; {
			t.runes = append(t.runes, at)
			_, size := utf8.DecodeRune(t.text[at:])
			at += size
		}
		t.runes = append(t.runes, at)
	}
	return t.runes[min(n.Column-1, len(t.runes)-1)]
}

// start is where a node's own text starts, behind its anchor and tag.
func (t *tree) start(n *yaml.Node) int {
	at := t.offset(n)
	if n.Kind == yaml.AliasNode {
		return at
	}
	for (n.Anchor != "" || n.Style&yaml.TaggedStyle != 0) && at < len(t.text) && (t.text[at] == '&' || t.text[at] == '!') {
		for at < len(t.text) && !isSpace(t.text[at]) {
			at++
		}
		for at < len(t.text) && isSpace(t.text[at]) {
			at++
		}
	}
	return at
}

// end is where a node ends. A block scalar ends with its last line.
func (t *tree) end(n *yaml.Node) int {
	switch n.Kind {
	case yaml.AliasNode:
		return min(t.offset(n)+1+len(n.Value), len(t.text))
	case yaml.ScalarNode:
		_, end := t.decode(n)
		return end
	}
	at := t.start(n)
	if len(n.Content) > 0 {
		at = t.end(n.Content[len(n.Content)-1])
	} else if n.Style&yaml.FlowStyle != 0 {
		at++
	}
	if n.Style&yaml.FlowStyle == 0 {
		return at
	}
	for at < len(t.text) && (isSpace(t.text[at]) || t.text[at] == ',') {
		at++
	}
	return min(at+1, len(t.text))
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// deref follows aliases.
func deref(n *yaml.Node) *yaml.Node {
	for range 8 {
		if n == nil || n.Kind != yaml.AliasNode {
			break
		}
		n = n.Alias
	}
	return n
}

// fields are the entries of a mapping, with those that merge keys bring. The first of a name counts.
func (t *tree) fields(n *yaml.Node) []field {
	return t.appendFields(nil, deref(n), false, 0)
}

func (t *tree) appendFields(out []field, n *yaml.Node, merged bool, depth int) []field {
	if n == nil || n.Kind != yaml.MappingNode || depth > 8 {
		return out
	}
	var merges []*yaml.Node
	own := len(out)
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		if merged {
			t.steps--
		}
		if t.steps < 0 {
			return out
		}
		switch {
		case k.Value == "<<" && k.Tag == "!!merge":
			merges = append(merges, v)
		case k.Kind == yaml.ScalarNode && !has(out[:own], k.Value):
			out = append(out, field{k, v, n, merged})
		}
	}
	for _, m := range merges {
		if m = deref(m); m == nil {
			continue
		}
		if m.Kind == yaml.SequenceNode {
			for _, c := range m.Content {
				out = t.appendFields(out, deref(c), true, depth+1)
			}
			continue
		}
		out = t.appendFields(out, m, true, depth+1)
	}
	return out
}

func has(fields []field, name string) bool {
	for _, f := range fields {
		if f.key.Value == name {
			return true
		}
	}
	return false
}

// field finds an entry of a mapping.
func (t *tree) field(n *yaml.Node, name string) (field, bool) {
	for _, f := range t.fields(n) {
		if f.key.Value == name {
			return f, true
		}
	}
	return field{}, false
}

// get follows names through mappings; nil if there is no such value.
func (t *tree) get(n *yaml.Node, names ...string) *yaml.Node {
	for _, name := range names {
		f, ok := t.field(n, name)
		if !ok {
			return nil
		}
		n = deref(f.value)
	}
	return n
}

// text is the value of a scalar that get finds; "" if it is none.
func (t *tree) textOf(n *yaml.Node, names ...string) string {
	if n = t.get(n, names...); n == nil || n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		return ""
	}
	return n.Value
}

// items are the values of a list, or the one value that stands for a list.
func items(n *yaml.Node) []*yaml.Node {
	switch n = deref(n); {
	case n == nil:
		return nil
	case n.Kind == yaml.SequenceNode:
		return n.Content
	case n.Kind == yaml.ScalarNode && n.Tag != "!!null":
		return []*yaml.Node{n}
	}
	return nil
}

// scalar is a scalar with the places of its bytes.
func (t *tree) scalar(n *yaml.Node) source {
	s, _ := t.decode(n)
	return s
}
