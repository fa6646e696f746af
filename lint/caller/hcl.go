package caller

import (
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/tightlip/tightlip/lint/edit"
)

// hclFile makes edits in HCL.
type hclFile struct{ *document }

func readBakeHCL(b *bakeFile) {
	if line, deep := hclTooDeep(hclsyntax.LexConfig(b.text, b.name, hcl.InitialPos)); deep {
		b.fail(line, tooDeep)
		return
	}
	f, diags := hclsyntax.ParseConfig(b.text, b.name, hcl.InitialPos)
	b.failHCL(diags)
	if f == nil {
		return
	}
	body, ok := f.Body.(*hclsyntax.Body)
	if !ok {
		return
	}
	h := hclFile{b.document}
	b.syntax = h
	for name, a := range body.Attributes {
		b.declare(name, h.word(a.Expr), false)
	}
	for _, block := range body.Blocks {
		h.block(b, block)
	}
}

func (h hclFile) block(b *bakeFile, block *hclsyntax.Block) {
	label := ""
	if len(block.Labels) > 0 {
		label = block.Labels[0]
	}
	switch block.Type {
	case "variable":
		value := word{}
		if a := block.Body.Attributes["default"]; a != nil {
			value = h.word(a.Expr)
		}
		b.declare(label, value, true)
	case "group":
		for _, w := range h.list(block.Body.Attributes["targets"]) {
			if name, ok := w.literal(); ok {
				b.groups[name] = true
			}
		}
	case "target":
		b.targets = append(b.targets, h.target(label, block))
	}
}

func (h hclFile) target(name string, block *hclsyntax.Block) *bakeTarget {
	t := &bakeTarget{name: name, at: block.TypeRange.Start.Byte, texts: map[string]bakeText{}, node: block}
	t.inherits = h.list(block.Body.Attributes["inherits"])
	for name, a := range block.Body.Attributes {
		switch name {
		case "context", "dockerfile", "dockerfile-inline", "target":
			t.texts[name] = bakeText{h.word(a.Expr), a.NameRange.Start.Byte}
		case "attest":
			for _, w := range h.list(a) {
				t.attests = append(t.attests, bakeText{w, a.NameRange.Start.Byte})
			}
		case "secret":
			for _, w := range h.list(a) {
				t.secrets = append(t.secrets, secretID(w.lead()))
			}
		case "args":
			t.args = h.args(a)
		}
	}
	return t
}

func (h hclFile) args(a *hclsyntax.Attribute) []bakeArg {
	var out []bakeArg
	object, ok := a.Expr.(*hclsyntax.ObjectConsExpr)
	if !ok {
		return nil
	}
	for _, item := range object.Items {
		if name, ok := h.key(item.KeyExpr).literal(); ok {
			out = append(out, bakeArg{name, h.word(item.ValueExpr), item.KeyExpr.Range().Start.Byte, item.ValueExpr.Range().End.Byte})
		}
	}
	return out
}

// key is the key of an object: a name stands for itself.
func (h hclFile) key(e hclsyntax.Expression) word {
	if k, ok := e.(*hclsyntax.ObjectConsKeyExpr); ok {
		if t, ok := k.Wrapped.(*hclsyntax.ScopeTraversalExpr); ok && !k.ForceNonLiteral {
			return word{parts: []part{{kind: literal, text: t.Traversal.RootName()}}}
		}
		e = k.Wrapped
	}
	return h.word(e)
}

// list is a list of texts. An object in it becomes "a=b,c=d", as which bake takes it, too.
func (h hclFile) list(a *hclsyntax.Attribute) []word {
	if a == nil {
		return nil
	}
	tuple, ok := a.Expr.(*hclsyntax.TupleConsExpr)
	if !ok {
		return nil
	}
	var out []word
	for _, e := range tuple.Exprs {
		if object, ok := e.(*hclsyntax.ObjectConsExpr); ok {
			out = append(out, h.joined(object))
			continue
		}
		out = append(out, h.word(e))
	}
	return out
}

func (h hclFile) joined(object *hclsyntax.ObjectConsExpr) word {
	w := word{start: object.SrcRange.Start.Byte, end: object.SrcRange.End.Byte}
	for i, item := range object.Items {
		sep := "="
		if i > 0 {
			w.parts = append(w.parts, part{kind: literal, text: ","})
		}
		w.parts = append(append(append(w.parts, h.key(item.KeyExpr).parts...), part{kind: literal, text: sep}), h.word(item.ValueExpr).parts...)
	}
	return w
}

// word is an expression: texts and variables are known, functions and conditions are not.
func (h hclFile) word(e hclsyntax.Expression) word {
	r := e.Range()
	return word{parts: h.parts(e, 0), start: r.Start.Byte, end: r.End.Byte}
}

func (h hclFile) parts(e hclsyntax.Expression, depth int) []part {
	if depth > 16 {
		return []part{{kind: unknown}}
	}
	switch e := e.(type) {
	case *hclsyntax.LiteralValueExpr:
		switch {
		case e.Val.IsNull():
			return nil
		case e.Val.Type().FriendlyName() == "string":
			return []part{{kind: literal, text: e.Val.AsString()}}
		}
		return []part{{kind: literal, text: string(e.SrcRange.SliceBytes(h.text))}}
	case *hclsyntax.TemplateExpr:
		var out []part
		for _, p := range e.Parts {
			out = append(out, h.parts(p, depth+1)...)
		}
		return out
	case *hclsyntax.TemplateWrapExpr:
		return h.parts(e.Wrapped, depth+1)
	case *hclsyntax.ParenthesesExpr:
		return h.parts(e.Expression, depth+1)
	case *hclsyntax.ScopeTraversalExpr:
		if len(e.Traversal) == 1 {
			return []part{{kind: variable, text: e.Traversal.RootName(), plain: true}}
		}
	}
	return h.mentioned(e)
}

// mentioned are the variables in an expression that is not understood: one that is a secret makes it one.
func (h hclFile) mentioned(e hclsyntax.Expression) []part {
	out := []part{{kind: unknown}}
	for _, v := range e.Variables() {
		out = append(out, part{kind: variable, text: v.RootName()})
	}
	return out
}

func (h hclFile) move(from, to *bakeTarget, arg, secret string) ([]edit.Edit, error) {
	edits, err := h.take(from.node.(*hclsyntax.Block).Body.Attributes["args"], arg)
	if err != nil {
		return nil, err
	}
	added, err := h.give(to.node.(*hclsyntax.Block).Body, `"`+secret+`"`)
	return append(edits, added...), err
}

// take takes an argument out of an object, and the object if it was the last one.
func (h hclFile) take(a *hclsyntax.Attribute, name string) ([]edit.Edit, error) {
	object := a.Expr.(*hclsyntax.ObjectConsExpr)
	if len(object.Items) == 1 {
		return h.lines(a.SrcRange.Start.Byte, a.SrcRange.End.Byte)
	}
	for i, item := range object.Items {
		if key, _ := h.key(item.KeyExpr).literal(); key != name {
			continue
		}
		start, end := item.KeyExpr.Range().Start.Byte, item.ValueExpr.Range().End.Byte
		if edits, err := h.lines(start, end); err == nil {
			return edits, nil
		}
		if i+1 < len(object.Items) {
			end = object.Items[i+1].KeyExpr.Range().Start.Byte
		} else {
			start = object.Items[i-1].ValueExpr.Range().End.Byte
		}
		return []edit.Edit{{Start: start, End: end}}, nil
	}
	return nil, errLayout
}

// lines removes whole lines, if nothing else but a comma and a comment stands in them.
func (h hclFile) lines(start, end int) ([]edit.Edit, error) {
	first, last := h.lineStart(start), h.lineEnd(max(end-1, start))
	rest := strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(string(h.text[end:last])), ","))
	if strings.TrimSpace(string(h.text[first:start])) != "" || rest != "" && !strings.HasPrefix(rest, "#") && !strings.HasPrefix(rest, "//") {
		return nil, errLayout
	}
	return []edit.Edit{{Start: first, End: last}}, nil
}

// nearest is the attribute behind which one more is written: the arguments, or else the last one.
func nearest(body *hclsyntax.Body) *hclsyntax.Attribute {
	if a := body.Attributes["args"]; a != nil {
		return a
	}
	var last *hclsyntax.Attribute
	for _, a := range body.Attributes {
		if last == nil || a.SrcRange.Start.Byte > last.SrcRange.Start.Byte {
			last = a
		}
	}
	return last
}

// give adds a text to the target's secrets.
func (h hclFile) give(body *hclsyntax.Body, text string) ([]edit.Edit, error) {
	secrets := body.Attributes["secret"]
	if secrets == nil {
		near := nearest(body)
		if near == nil {
			return nil, errLayout
		}
		first := h.lineStart(near.SrcRange.Start.Byte)
		indent := string(h.text[first:near.SrcRange.Start.Byte])
		last := h.lineEnd(near.SrcRange.End.Byte - 1)
		if strings.TrimSpace(indent) != "" || last == 0 || h.text[last-1] != '\n' {
			return nil, errLayout
		}
		return []edit.Edit{{Start: last, End: last, Text: indent + "secret = [" + text + "]" + edit.Newline(h.text)}}, nil
	}
	tuple, ok := secrets.Expr.(*hclsyntax.TupleConsExpr)
	if !ok {
		return nil, errLayout
	}
	if len(tuple.Exprs) == 0 {
		return []edit.Edit{{Start: tuple.SrcRange.Start.Byte, End: tuple.SrcRange.End.Byte, Text: "[" + text + "]"}}, nil
	}
	final := tuple.Exprs[len(tuple.Exprs)-1].Range()
	first := h.lineStart(final.Start.Byte)
	indent := string(h.text[first:final.Start.Byte])
	if strings.TrimSpace(indent) != "" || first <= tuple.SrcRange.Start.Byte {
		return []edit.Edit{{Start: final.End.Byte, End: final.End.Byte, Text: ", " + text}}, nil
	}
	return []edit.Edit{{Start: final.End.Byte, End: final.End.Byte, Text: "," + edit.Newline(h.text) + indent + text}}, nil
}
