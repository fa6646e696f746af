package caller

import (
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"go.yaml.in/yaml/v3"

	"github.com/tightlip/tightlip/lint/edit"
)

// bakeJSON makes edits in JSON. JSON is YAML, and YAML has positions.
type bakeJSON struct{ *tree }

func readBakeJSON(b *bakeFile) {
	j := bakeJSON{parseYAML(b.document)}
	b.syntax = j
	for _, r := range j.roots {
		for _, v := range j.fields(j.get(r, "variable")) {
			value := word{}
			if d := j.get(v.value, "default"); d != nil && d.Tag != "!!null" {
				value = j.word(d)
			}
			b.declare(v.key.Value, value, true)
		}
		for _, g := range j.fields(j.get(r, "group")) {
			for _, n := range items(j.get(g.value, "targets")) {
				b.groups[n.Value] = true
			}
		}
		for _, f := range j.fields(j.get(r, "target")) {
			b.targets = append(b.targets, j.target(f))
		}
	}
}

func (j bakeJSON) target(f field) *bakeTarget {
	t := &bakeTarget{name: f.key.Value, at: j.offset(f.key), texts: map[string]bakeText{}, node: deref(f.value)}
	for _, n := range items(j.get(f.value, "inherits")) {
		t.inherits = append(t.inherits, j.word(n))
	}
	for _, e := range j.fields(f.value) {
		at := j.offset(e.key)
		switch e.key.Value {
		case "context", "dockerfile", "dockerfile-inline", "target":
			t.texts[e.key.Value] = bakeText{j.word(deref(e.value)), at}
		case "attest":
			for _, n := range items(e.value) {
				t.attests = append(t.attests, bakeText{word{parts: []part{{kind: literal, text: j.joined(n)}}}, at})
			}
		case "secret":
			for _, n := range items(e.value) {
				t.secrets = append(t.secrets, secretID(j.joined(n)))
			}
		case "args":
			for _, a := range j.fields(e.value) {
				t.args = append(t.args, bakeArg{a.key.Value, j.word(deref(a.value)), j.offset(a.key), j.end(a.value)})
			}
		}
	}
	return t
}

func (j bakeJSON) joined(n *yaml.Node) string {
	if n.Kind != yaml.MappingNode {
		return n.Value
	}
	var out []string
	for _, f := range j.fields(n) {
		out = append(out, f.key.Value+"="+f.value.Value)
	}
	return strings.Join(out, ",")
}

// word is a text with HCL's templates in it.
func (j bakeJSON) word(n *yaml.Node) word {
	w := word{start: j.start(n), end: j.end(n)}
	switch {
	case n.Kind != yaml.ScalarNode:
		w.parts = []part{{kind: unknown}}
	case n.Tag == "!!null":
	case !strings.Contains(n.Value, "${"):
		w.parts = []part{{kind: literal, text: n.Value}}
	default:
		w.parts = []part{{kind: unknown}}
		text := []byte(n.Value)
		if _, deep := hclTooDeep(hclsyntax.LexTemplate(text, "", hcl.InitialPos)); deep {
			break
		}
		if e, diags := hclsyntax.ParseTemplate(text, "", hcl.InitialPos); !diags.HasErrors() {
			w.parts = hclFile{&document{text: text}}.parts(e, 0)
		}
	}
	return w
}

func (j bakeJSON) move(from, to *bakeTarget, arg, secret string) ([]edit.Edit, error) {
	target, heir := from.node.(*yaml.Node), to.node.(*yaml.Node)
	args, _ := j.field(target, "args")
	object := deref(args.value)
	for i := 0; i+1 < len(object.Content); i += 2 {
		if object.Content[i].Value != arg {
			continue
		}
		// Of a target that has nothing else, one takes the place of the other.
		if len(object.Content) == 2 && len(target.Content) == 2 && heir == target {
			start, end := j.offset(args.key), j.end(args.value)
			return []edit.Edit{{Start: start, End: end, Text: `"secret": ["` + secret + `"]`}}, nil
		}
		edits, err := j.removeIn(target, args, i/2)
		if err != nil {
			return nil, err
		}
		added, err := j.addItem(heir, args, "secret", secret)
		return append(edits, added...), err
	}
	return nil, errLayout
}
