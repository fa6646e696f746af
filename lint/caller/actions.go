package caller

import (
	"path"
	"strings"

	"github.com/tightlip/tightlip/internal/lazy"

	"go.yaml.in/yaml/v3"

	"github.com/tightlip/tightlip/lint/edit"
)

// action is an action that builds images, with the names of its inputs.
type action struct {
	uses                         pattern
	context, file, args, secrets string
	docker                       bool // it makes provenance as docker/build-push-action does
	bake                         bool
	commas                       bool // its arguments are separated by commas
	record                       int  // the first version that uploads a record of the build; 0 if none does
}

// actions are in the order in which they are tried.
var actions = []action{
	{uses: lazy.Regexp(`^docker/build-push-action@v1(\.|$)`), context: "path", file: "dockerfile", args: "build_args", commas: true},
	{uses: lazy.Regexp(`^docker/build-push-action@`), context: "context", file: "file", args: "build-args", secrets: "secrets", docker: true, record: 6},
	{uses: lazy.Regexp(`^(depot|useblacksmith)/build-push-action@`), context: "context", file: "file", args: "build-args", secrets: "secrets", docker: true},
	{uses: lazy.Regexp(`^docker/bake-action@`), args: "set", bake: true, record: 5},
	{uses: lazy.Regexp(`^depot/bake-action@`), args: "set", bake: true},
	{uses: lazy.Regexp(`^redhat-actions/buildah-build@`), context: "context", file: "containerfiles", args: "build-args"},
	{uses: lazy.Regexp(`^mr-smithers-excellent/docker-build-push@`), context: "directory", file: "dockerfile", args: "buildArgs"},
	{uses: lazy.Regexp(`^elgohr/Publish-Docker-Github-Action@`), context: "context", file: "dockerfile", args: "buildargs"},
	{uses: lazy.Regexp(`^macbre/push-to-ghcr@`), context: "context", file: "dockerfile", args: "build_arg"},
}

// workflow reads workflows and actions of GitHub, and of what imitates it.
type workflow struct{ *tree }

func readActions(d *document) {
	w := workflow{parseYAML(d)}
	for _, r := range w.roots {
		env := w.env(nil, r)
		dir := w.textOf(r, "defaults", "run", "working-directory")
		w.steps(w.get(r, "runs", "steps"), env, dir)
		for _, job := range w.fields(w.get(r, "jobs")) {
			at := dir
			if own := w.textOf(job.value, "defaults", "run", "working-directory"); own != "" {
				at = own
			}
			w.rounds(job, env, at)
		}
	}
	d.compact()
}

// env adds the variables of a workflow, job or step to those around it.
func (w workflow) env(outer map[string]*setting, n *yaml.Node) map[string]*setting {
	env := w.get(n, "env")
	if env == nil {
		return outer
	}
	inner := map[string]*setting{}
	for name, v := range outer {
		inner[name] = v
	}
	s := &scope{kind: actionsKind, vars: outer}
	for _, f := range w.fields(env) {
		v := deref(f.value)
		if v == nil || v.Kind != yaml.ScalarNode {
			continue
		}
		value := word{parts: expressionParts(v.Value)}
		inner[f.key.Value] = &setting{value: value, words: s.listIn(w.document, w.scalar(v)), from: s.from(value), exported: true}
	}
	return inner
}

// expressionParts splits a text at its ${{ expressions }}.
func expressionParts(text string) []part {
	var out []part
	for text != "" {
		m := expressions[actionsKind]().FindStringSubmatchIndex(text)
		if m == nil {
			return append(out, part{kind: literal, text: text})
		}
		if m[0] > 0 {
			out = append(out, part{kind: literal, text: text[:m[0]]})
		}
		out = append(out, part{kind: expression, text: text[m[2]:m[3]], plain: true})
		text = text[m[1]:]
	}
	return out
}

func (w workflow) steps(steps *yaml.Node, env map[string]*setting, dir string) {
	if steps == nil {
		return
	}
	for _, step := range steps.Content {
		step = deref(step)
		s := &scope{kind: actionsKind, here: ".", vars: w.env(env, step)}
		s.dir = s.folderOf(dir)
		if own := w.textOf(step, "working-directory"); own != "" {
			s.dir = s.folderOf(own)
		}
		if run := w.get(step, "run"); run != nil {
			s.give = func(name, text string) (mover, string) { return w.give(step, s.vars, name, text) }
			w.shells(s, []*yaml.Node{run})
		}
		uses, ok := w.field(step, "uses")
		if !ok {
			continue
		}
		for _, a := range actions {
			if a.uses().MatchString(uses.value.Value) {
				u := use{workflow: w, scope: s, action: a, step: step, with: w.get(step, "with"), uses: uses}
				u.read()
				break
			}
		}
	}
}

func copied(vars map[string]*setting) map[string]*setting {
	out := make(map[string]*setting, len(vars))
	for name, v := range vars {
		out[name] = v
	}
	return out
}

func (s *scope) folderOf(text string) string {
	if text == "" {
		return "."
	}
	name, ok := s.expand(word{parts: expressionParts(text)})
	if !ok {
		return outside
	}
	return orOutside(join(".", name))
}

// use is a step that uses an action.
type use struct {
	workflow
	*scope
	action
	*found
	step, with *yaml.Node
	uses       field
}

func (u *use) read() {
	u.found = u.add(u.offset(u.uses.key))
	u.Target = u.known("target")
	u.locate()
	for _, name := range []string{u.action.secrets, "secret-envs", "secret-files"} {
		for _, l := range u.linesOf(name) {
			id, _, _ := strings.Cut(l.text, "=")
			u.Secrets = appendNew(u.Secrets, strings.TrimSpace(id))
		}
	}
	f, _ := u.field(u.with, u.action.args)
	for _, l := range u.linesOf(u.action.args) {
		for _, one := range u.split(l) {
			u.argument(f, one)
		}
	}
	u.publish()
}

// known is an input that is fully known; "" if it is not.
func (u *use) known(name string) string {
	text, _ := u.expand(word{parts: expressionParts(u.textOf(u.with, name))})
	return text
}

// locate finds the folder. Without one, the action builds what the commit has, which is the same as the root.
func (u *use) locate() {
	if u.bake {
		return
	}
	context, file := u.textOf(u.with, u.action.context), u.textOf(u.with, u.action.file)
	// What follows {{defaultContext}}: is a folder of the commit.
	name, ok := u.expand(word{parts: expressionParts(defaultContext().ReplaceAllString(context, ""))})
	if ok {
		u.Context = join(".", name)
	}
	name, ok = u.expand(word{parts: expressionParts(strings.Trim(file, "[]\"' \n"))})
	switch {
	case file != "" && ok:
		u.Dockerfile = join(".", name)
	case file == "" && u.Context != "":
		u.Dockerfile = path.Join(u.Context, "Dockerfile")
	}
}

var defaultContext = lazy.Regexp(`^\{\{\s*defaultContext\s*\}\}:?`)

// linesOf are the lines of an input that are not empty, each with its places.
func (u *use) linesOf(name string) []source {
	n := u.get(u.with, name)
	if n == nil || name == "" || n.Kind != yaml.ScalarNode {
		return nil
	}
	all := u.scalar(n)
	var out []source
	for start := 0; start < len(all.text); {
		end := start + strings.IndexByte(all.text[start:], '\n')
		if end < start {
			end = len(all.text)
		}
		l := all.slice(start, end)
		l = l.slice(len(l.text)-len(strings.TrimLeft(l.text, " \t\"")), len(strings.TrimRight(l.text, " \t\r")))
		if l.text != "" && l.text[0] != '#' {
			out = append(out, l)
		}
		start = end + 1
	}
	return out
}

// split is a line, or what stands between its commas.
func (u *use) split(l source) []source {
	if !u.commas {
		return []source{l}
	}
	var out []source
	for at := 0; at < len(l.text); {
		text, _, _ := strings.Cut(l.text[at:], ",")
		start := at + len(text) - len(strings.TrimLeft(text, " "))
		if at += len(text) + 1; start < at-1 {
			out = append(out, l.slice(start, at-1))
		}
	}
	return out
}

// argument reads a line X=Y of build-args, or x.args.X=Y of set.
func (u *use) argument(f field, l source) {
	name, value, ok := strings.Cut(l.text, "=")
	if p := expressionParts(l.text); p[0].kind == expression && (!u.bake || len(p) == 1) {
		from := u.from(word{parts: p})
		u.arg(u.found, Arg{Name: "*", From: from}, l.at[0], l.at[len(l.text)], origin{why: "the file does not give its name"})
		return
	}
	if u.bake {
		parts := strings.SplitN(name, ".", 3)
		if len(parts) == 2 && strings.HasPrefix(parts[1], "secret") {
			u.Secrets = appendNew(u.Secrets, secretID(value))
		}
		if len(parts) == 2 && strings.HasPrefix(parts[1], "attest") && provenance(value) {
			u.Published, u.PublishedLine = maxProvenance, u.line(l.at[0])
		}
		if len(parts) != 3 || parts[1] != "args" && parts[1] != "arg" {
			return
		}
		name = parts[2]
	}
	value = strings.TrimSuffix(value, `"`)
	w := word{parts: expressionParts(value)}
	a := Arg{Name: strings.TrimSpace(name), From: u.from(w)}
	if !ok {
		w.parts = []part{{kind: variable, text: name, plain: true}}
		a.From = u.fromPart(w.parts[0])
	}
	a.Literal, _ = w.literal()
	o := origin{why: u.why(w, ok, l)}
	if u.bake && o.why == "" {
		o.moves = []mover{func() ([]edit.Edit, error) { return u.moveSet(a.Name, w.parts[0].text, l) }}
	} else {
		o.moves = []mover{func() ([]edit.Edit, error) { return u.moveLine(f, l) }}
	}
	u.arg(u.found, a, l.at[0], l.at[len(l.text)], o)
}
