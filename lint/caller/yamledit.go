package caller

import (
	"bytes"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/tightlip/tightlip/lint/edit"
)

// entries are how many entries a mapping or list has.
func entries(n *yaml.Node) int {
	if n.Kind == yaml.MappingNode {
		return len(n.Content) / 2
	}
	return len(n.Content)
}

// bounds are where the i-th entry of a mapping or list starts and ends.
func (t *tree) bounds(n *yaml.Node, i int) (start, end int) {
	if n.Kind == yaml.MappingNode {
		return t.offset(n.Content[2*i]), max(t.end(n.Content[2*i+1]), t.end(n.Content[2*i]))
	}
	return t.offset(n.Content[i]), t.end(n.Content[i])
}

// remove takes the i-th entry out of a mapping or list that keeps others.
func (t *tree) remove(n *yaml.Node, i int) ([]edit.Edit, error) {
	start, end := t.bounds(n, i)
	if n.Style&yaml.FlowStyle != 0 {
		if i+1 < entries(n) {
			end, _ = t.bounds(n, i+1)
		} else if i > 0 {
			_, start = t.bounds(n, i-1)
		}
		return []edit.Edit{{Start: start, End: end}}, nil
	}
	first, last, ok := t.wholeLines(start, end, n.Kind == yaml.SequenceNode)
	if !ok {
		return nil, errLayout
	}
	return []edit.Edit{{Start: first, End: last}}, nil
}

// wholeLines are the lines of an entry, if nothing else stands in them but its dash and a comment.
func (t *tree) wholeLines(start, end int, dash bool) (int, int, bool) {
	first := t.lineStart(start)
	before := strings.TrimLeft(string(t.text[first:start]), " \ufeff")
	if dash {
		before = strings.TrimLeft(strings.TrimPrefix(before, "-"), " ")
	}
	last := t.lineEnd(max(end-1, start))
	rest := ""
	if end < last {
		rest = strings.TrimSpace(string(t.text[end:last]))
	}
	return first, last, before == "" && (rest == "" || rest[0] == '#')
}

// removeIn takes an entry out of a list or mapping that is a value itself, with this if nothing is left.
func (t *tree) removeIn(outer *yaml.Node, f field, i int) ([]edit.Edit, error) {
	inner := deref(f.value)
	if entries(inner) > 1 {
		return t.remove(inner, i)
	}
	if f.value.Kind == yaml.AliasNode || f.merged || f.value.Anchor != "" {
		return nil, errLayout
	}
	return t.remove(f.in, slices.Index(f.in.Content, f.key)/2)
}

// quote writes a name as the file writes its own: in quotes if it is JSON.
func (t *tree) quote(s string, like *yaml.Node) string {
	if like.Style&yaml.DoubleQuotedStyle != 0 && bytes.HasPrefix(bytes.TrimSpace(t.text), []byte("{")) {
		return `"` + s + `"`
	}
	return s
}

// indent is the text before a node in its line, if that is its indentation.
func (t *tree) indent(n *yaml.Node) (string, bool) {
	at := t.offset(n)
	s := string(t.text[t.lineStart(at):at])
	return s, strings.Trim(s, " ") == ""
}

// indentStep is what the file indents by.
func (t *tree) indentStep() string {
	for _, r := range t.roots {
		for i := 1; i < len(r.Content); i += 2 {
			v := r.Content[i]
			if v.Kind == yaml.MappingNode && v.Style&yaml.FlowStyle == 0 && len(v.Content) > 0 && v.Content[0].Column > r.Column {
				return strings.Repeat(" ", v.Content[0].Column-r.Column)
			}
		}
	}
	return "  "
}

// insertLines puts whole lines behind the line that ends at an offset.
func (t *tree) insertLines(end int, lines ...string) edit.Edit {
	nl := edit.Newline(t.text)
	at := t.lineEnd(max(end-1, 0))
	text := strings.Join(lines, nl)
	if at > 0 && t.text[at-1] != '\n' {
		return edit.Edit{Start: at, End: at, Text: nl + text}
	}
	return edit.Edit{Start: at, End: at, Text: text + nl}
}

// addItem adds a value to the list that a mapping has under a name. Without such a list it makes one behind the entry after.
func (t *tree) addItem(m *yaml.Node, after field, name, value string) ([]edit.Edit, error) {
	f, ok := t.field(m, name)
	if !ok {
		return t.addList(m, after, name, value)
	}
	list := deref(f.value)
	switch {
	case f.merged || f.value.Kind == yaml.AliasNode || list.Kind != yaml.SequenceNode:
		return nil, errLayout
	case slices.ContainsFunc(list.Content, func(n *yaml.Node) bool { return n.Value == value }):
		return nil, nil
	case list.Style&yaml.FlowStyle != 0:
		return t.addFlow(list, t.quote(value, f.key)), nil
	}
	last := list.Content[len(list.Content)-1]
	dash := t.text[t.lineStart(t.offset(last)):t.offset(last)]
	if strings.Trim(string(dash), " -") != "" || bytes.Count(dash, []byte("-")) != 1 {
		return nil, errLayout
	}
	return []edit.Edit{t.insertLines(t.end(last), string(dash)+value)}, nil
}

// addFlow adds an entry to a list or mapping in brackets.
func (t *tree) addFlow(n *yaml.Node, text string) []edit.Edit {
	if entries(n) == 0 {
		at := t.start(n) + 1
		return []edit.Edit{{Start: at, End: at, Text: text}}
	}
	start, at := t.bounds(n, entries(n)-1)
	if first := t.lineStart(start); strings.TrimSpace(string(t.text[first:start])) == "" && first > t.start(n) {
		return []edit.Edit{{Start: at, End: at, Text: "," + edit.Newline(t.text) + string(t.text[first:start]) + text}}
	}
	return []edit.Edit{{Start: at, End: at, Text: ", " + text}}
}

func (t *tree) addList(m *yaml.Node, after field, name, value string) ([]edit.Edit, error) {
	key := t.quote(name, after.key)
	if m.Style&yaml.FlowStyle != 0 {
		return t.addFlow(m, key+": ["+t.quote(value, after.key)+"]"), nil
	}
	place := after
	if after.merged {
		place = field{key: m.Content[len(m.Content)-2], value: m.Content[len(m.Content)-1]}
	}
	indent, ok := t.indent(place.key)
	if !ok {
		if indent, ok = t.indent(m.Content[len(m.Content)-2]); !ok {
			return nil, errLayout
		}
	}
	return []edit.Edit{t.insertLines(max(t.end(place.value), t.end(place.key)), indent+key+":", indent+t.indentStep()+"- "+value)}, nil
}
