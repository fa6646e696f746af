package caller

import (
	"path"
	"slices"
	"strings"

	"github.com/tightlip/tightlip/lint/edit"
)

// bakeFile is a bake file, of HCL or JSON.
type bakeFile struct {
	*document
	*scope
	targets []*bakeTarget
	groups  map[string]bool // the targets that are in one
	syntax  bakeSyntax
}

// bakeSyntax makes the edits that differ between HCL and JSON.
type bakeSyntax interface {
	// move takes an argument out of a target, and adds a secret to the same one or one that inherits from it.
	move(from, to *bakeTarget, arg string, secret string) ([]edit.Edit, error)
}

// bakeTarget is a target as it is written.
type bakeTarget struct {
	name     string
	at       int
	texts    map[string]bakeText // attributes that are one text
	inherits []word
	secrets  []string
	attests  []bakeText
	args     []bakeArg
	node     any // for the syntax
}

// bakeText is a text with the place where it is given.
type bakeText struct {
	word
	at int // of its key
}

type bakeArg struct {
	name  string
	value word
	at    int
	end   int
}

func readBake(d *document) {
	here := folder(d.name)
	b := &bakeFile{document: d, scope: &scope{kind: d.kind, dir: ".", here: here, vars: map[string]*setting{}}, groups: map[string]bool{}}
	if path.Ext(d.name) == ".json" {
		readBakeJSON(b)
	} else {
		readBakeHCL(b)
	}
	for _, t := range b.targets {
		if !b.abstract(t) {
			b.build(t)
		}
	}
}

// target finds a target by its name: of several, the last. Bake merges them, which hardly anybody uses in one file.
func (b *bakeFile) target(name string) *bakeTarget {
	for i := len(b.targets) - 1; i >= 0; i-- {
		if b.targets[i].name == name {
			return b.targets[i]
		}
	}
	return nil
}

// abstract tells whether a target is there only for others to inherit.
func (b *bakeFile) abstract(t *bakeTarget) bool {
	_, context := t.texts["context"]
	_, file := t.texts["dockerfile"]
	_, inline := t.texts["dockerfile-inline"]
	if b.groups[t.name] || !strings.HasPrefix(t.name, "_") && (context || file || inline) {
		return false
	}
	return slices.ContainsFunc(b.targets, func(o *bakeTarget) bool {
		return slices.ContainsFunc(o.inherits, func(w word) bool { return is(w, t.name) })
	})
}

// lineage is a target behind all that it inherits from: what comes later replaces what came before.
func (b *bakeFile) lineage(t *bakeTarget, depth int) []*bakeTarget {
	var out []*bakeTarget
	if depth > 8 || t == nil {
		return nil
	}
	for _, w := range t.inherits {
		if name, ok := b.expand(w); ok && len(out) < 64 {
			out = append(out, b.lineage(b.target(name), depth+1)...)
		}
	}
	return append(out, t)
}

func (b *bakeFile) build(own *bakeTarget) {
	f := b.add(own.at)
	context, file := ".", "Dockerfile"
	for _, t := range b.lineage(own, 0) {
		for name, text := range t.texts {
			value, known := b.expand(text.word)
			switch name {
			case "context":
				context = value
				if !known {
					context = outside
				}
			case "dockerfile":
				file = value
				if !known {
					file = outside
				}
			case "target":
				f.Target = value
			case "dockerfile-inline":
				f.Inline, _ = text.literal()
				f.InlineLine = b.line(text.start)
			}
		}
		for _, s := range t.secrets {
			f.Secrets = appendNew(f.Secrets, s)
		}
		for _, a := range t.attests {
			if text, _ := b.expand(a.word); provenance(text) {
				f.Published, f.PublishedLine = maxProvenance, b.line(a.at)
			}
		}
		for _, a := range t.args {
			b.argument(f, own, t, a)
		}
	}
	b.locate(f, context, file)
}

// locate resolves the context from the working directory, which is taken to be the root, and the Dockerfile from the context.
func (b *bakeFile) locate(f *found, context, file string) {
	var places []Place
	for _, dir := range slices.Compact([]string{".", b.here}) {
		p := Place{}
		if context != outside {
			p.Context = join(dir, context)
		}
		if p.Context != "" && file != outside && f.Inline == "" {
			p.Dockerfile = join(p.Context, file)
		}
		places = append(places, p)
	}
	f.settle(places)
}

func (b *bakeFile) argument(f *found, own, t *bakeTarget, a bakeArg) {
	arg := Arg{Name: a.name, From: b.from(a.value)}
	if text, ok := a.value.literal(); ok {
		arg.Literal = text
	} else if text, ok := b.expand(a.value); ok {
		arg.Literal = text
	}
	o := origin{}
	p := a.value.only()
	switch {
	case p == nil || p.kind != variable || !p.plain:
		if o.why = "the value is not just a variable"; len(arg.Literal) > 0 {
			o.why = "the value stands in the file"
		}
	case b.vars[p.text] == nil || !b.vars[p.text].exported:
		o.why = "the value is no variable that bake takes from the environment"
	case arg.Literal != "":
		o.why = "the variable has a default"
	default:
		secret := "type=env,id=" + a.name + ",env=" + p.text
		move := func(to *bakeTarget) mover {
			return func() ([]edit.Edit, error) {
				if slices.Contains(f.Secrets, a.name) {
					return nil, errAnother
				}
				return b.syntax.move(t, to, a.name, secret)
			}
		}
		o.moves = []mover{move(t), move(own)}
	}
	if old := f.last(a.name); old >= 0 {
		f.Args, f.origins = slices.Delete(f.Args, old, old+1), slices.Delete(f.origins, old, old+1)
	}
	b.arg(f, arg, a.at, a.end, o)
}

// declare notes a variable. Bake takes those from the environment; what stands outside of blocks is fixed.
func (b *bakeFile) declare(name string, value word, environment bool) {
	v := &setting{value: value, exported: environment}
	if !environment {
		v.from = b.from(value)
	}
	b.vars[name] = v
}
