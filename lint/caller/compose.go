package caller

import (
	"errors"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/tightlip/tightlip/internal/lazy"
	"github.com/tightlip/tightlip/lint/edit"
)

// compose reads compose files.
type compose struct {
	*tree
	*scope
	root *yaml.Node
}

func readCompose(d *document) {
	t := parseYAML(d)
	here := folder(d.name)
	for _, r := range t.roots {
		c := &compose{tree: t, scope: &scope{kind: d.kind, dir: here, here: here}, root: r}
		services, ok := c.field(r, "services")
		if !ok {
			continue
		}
		for _, s := range c.fields(services.value) {
			c.service(s, services.value)
		}
	}
}

// service makes a build of the parts that a service extends and itself.
func (c *compose) service(s field, services *yaml.Node) {
	var chain []field
	for n := s.value; n != nil && len(chain) < 8; n = c.base(n, services) {
		if f, ok := c.field(n, "build"); ok {
			chain = append(chain, f)
		}
	}
	if len(chain) == 0 {
		return
	}
	f := c.add(c.offset(chain[0].key))
	f.Service, f.Context = s.key.Value, c.dir
	dockerfile := ""
	for i := len(chain) - 1; i >= 0; i-- {
		c.build(f, deref(chain[i].value), &dockerfile)
	}
	if f.Override = c.overrides(s, chain); f.Override {
		f.Context = ""
		if dockerfile != "" {
			f.Dockerfile = join(c.dir, dockerfile)
		}
		return
	}
	if f.Inline == "" && f.Context != "" {
		f.Dockerfile = join(f.Context, dockerfile)
		if dockerfile == "" {
			f.Dockerfile = path.Join(f.Context, "Dockerfile")
		}
	}
}

var composeBase = lazy.Regexp(`(^|/)(docker-)?compose\.ya?ml$`)

// overrides tells whether a service has its context in another file: the file is not one that stands alone, or what the service extends is not in it.
func (c *compose) overrides(s field, chain []field) bool {
	for _, f := range chain {
		if n := deref(f.value); n != nil && (n.Kind == yaml.ScalarNode || c.get(n, "context") != nil || c.get(n, "dockerfile_inline") != nil) {
			return false
		}
	}
	return !composeBase().MatchString(c.name) || c.get(s.value, "extends", "file") != nil
}

// base is the service of the same file that a service extends.
func (c *compose) base(s, services *yaml.Node) *yaml.Node {
	e := c.get(s, "extends")
	if e == nil || c.get(e, "file") != nil {
		return nil
	}
	name := e.Value
	if e.Kind == yaml.MappingNode {
		name = c.textOf(e, "service")
	}
	return c.get(services, name)
}

func (c *compose) build(f *found, n *yaml.Node, dockerfile *string) {
	if n == nil {
		return
	}
	if n.Kind == yaml.ScalarNode {
		f.Context = c.path(n.Value)
		return
	}
	for _, e := range c.fields(n) {
		v := deref(e.value)
		if v == nil || v.Tag == "!!null" {
			continue
		}
		switch text, known := c.interpolate(v.Value); e.key.Value {
		case "context":
			f.Context = c.path(v.Value)
		case "dockerfile":
			if *dockerfile = text; !known {
				*dockerfile = rootPath + ".."
			}
		case "dockerfile_inline":
			f.Inline = v.Value
			f.InlineLine = c.line(c.scalar(v).at[0])
		case "target":
			if f.Target = text; !known {
				f.Target = ""
			}
		case "secrets":
			for _, s := range items(v) {
				f.Secrets = appendNew(f.Secrets, c.secretName(s))
			}
		case "provenance":
			c.provenance(f, e.key, v.Value)
		case "args":
			c.args(f, n, e)
		}
	}
}

func (c *compose) provenance(f *found, key *yaml.Node, text string) {
	if text == "true" || provenance("type=provenance,"+text) {
		f.Published, f.PublishedLine = maxProvenance, c.line(c.offset(key))
	}
}

func appendNew(list []string, s string) []string {
	if s == "" || slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}

func (c *compose) secretName(n *yaml.Node) string {
	if n = deref(n); n != nil && n.Kind == yaml.ScalarNode {
		return n.Value
	}
	if target := c.textOf(n, "target"); target != "" {
		return path.Base(target)
	}
	return c.textOf(n, "source")
}

// interpolate fills in the defaults of variables.
func (c *compose) interpolate(text string) (string, bool) {
	return c.expand(word{parts: references(text, 0)})
}

func (c *compose) path(text string) string {
	name, ok := c.interpolate(text)
	if !ok {
		return ""
	}
	return join(c.dir, name)
}

// args reads the arguments, as a mapping or as a list of X=Y. Those of a service replace those that it inherits.
func (c *compose) args(f *found, build *yaml.Node, e field) {
	n := deref(e.value)
	if n.Kind == yaml.SequenceNode {
		for i, item := range n.Content {
			v := deref(item)
			if v == nil || v.Kind != yaml.ScalarNode {
				continue
			}
			name, value, given := strings.Cut(v.Value, "=")
			c.entry(f, build, e, Arg{Name: strings.TrimSpace(name)}, value, given, n, i, item, c.end(item))
		}
		return
	}
	for _, a := range c.fields(n) {
		v := deref(a.value)
		if v == nil || v.Kind != yaml.ScalarNode {
			continue
		}
		i := slices.Index(a.in.Content, a.key) / 2
		c.entry(f, build, e, Arg{Name: a.key.Value}, v.Value, v.Tag != "!!null", a.in, i, a.key, max(c.end(a.value), c.end(a.key)))
	}
}

// entry adds an argument: the i-th entry of the list or mapping in.
func (c *compose) entry(f *found, build *yaml.Node, e field, a Arg, value string, given bool, in *yaml.Node, i int, at *yaml.Node, end int) {
	w := word{parts: references(value, 0)}
	if !given {
		w.parts = []part{{kind: variable, text: a.Name, plain: true}}
	}
	a.From = c.from(w)
	a.Literal, _ = w.literal()
	if old := f.last(a.Name); old >= 0 {
		f.Args, f.origins = slices.Delete(f.Args, old, old+1), slices.Delete(f.origins, old, old+1)
	}
	o := origin{}
	p := w.only()
	switch {
	case value != "" && len(a.Literal) > 0:
		o.why = "the value stands in the file"
	case p == nil || p.kind != variable || !p.plain:
		o.why = "the value is not just a variable of the environment"
	default:
		o.moves = []mover{func() ([]edit.Edit, error) { return c.move(build, e, in, i, a.Name, p.text) }}
	}
	c.arg(f, a, c.offset(at), end, o)
}

// move makes a secret of an argument: of the build, and of the whole file.
func (c *compose) move(build *yaml.Node, e field, in *yaml.Node, i int, name, variable string) ([]edit.Edit, error) {
	target := build
	if e.merged {
		target = e.in
	}
	var edits []edit.Edit
	var err error
	if in == deref(e.value) {
		edits, err = c.removeIn(target, e, i)
	} else if entries(in) > 1 {
		edits, err = c.remove(in, i)
	} else {
		err = errors.New("nothing would be left where it is merged from")
	}
	if err != nil {
		return nil, err
	}
	more, err := c.addItem(target, e, "secrets", name)
	if err != nil {
		return nil, err
	}
	top, err := c.declare(name, variable)
	return append(append(edits, more...), top...), err
}

// declare makes a secret for the whole file.
func (c *compose) declare(name, variable string) ([]edit.Edit, error) {
	f, ok := c.field(c.root, "secrets")
	if !ok || f.value.Tag == "!!null" {
		return c.declareFirst(name, variable, ok)
	}
	m := f.value
	if s := c.get(m, name); s != nil {
		if c.textOf(s, "environment") != variable {
			return nil, errors.New("the file has another secret of this name")
		}
		return nil, nil
	}
	if m.Kind != yaml.MappingNode || f.merged {
		return nil, errLayout
	}
	if m.Style&yaml.FlowStyle != 0 {
		return c.addFlow(m, c.flowSecret(name, variable, f.key)), nil
	}
	last := m.Content[len(m.Content)-2:]
	indent, ok := c.indent(last[0])
	if !ok {
		return nil, errLayout
	}
	end := max(c.end(last[1]), c.end(last[0]))
	return []edit.Edit{c.insertLines(end, indent+name+":", indent+c.indentStep()+"environment: "+variable)}, nil
}

func (c *compose) flowSecret(name, variable string, like *yaml.Node) string {
	return c.quote(name, like) + ": {" + c.quote("environment", like) + ": " + c.quote(variable, like) + "}"
}

func (c *compose) declareFirst(name, variable string, empty bool) ([]edit.Edit, error) {
	if empty || len(c.roots) != 1 || len(c.root.Content) < 2 {
		return nil, errLayout
	}
	first := c.root.Content[0]
	if c.root.Style&yaml.FlowStyle != 0 {
		return c.addFlow(c.root, c.quote("secrets", first)+": {"+c.flowSecret(name, variable, first)+"}"), nil
	}
	indent, ok := c.indent(first)
	if !ok {
		return nil, errLayout
	}
	lines := []string{indent + "secrets:", indent + c.indentStep() + name + ":", indent + c.indentStep() + c.indentStep() + "environment: " + variable}
	return []edit.Edit{c.insertLines(len(c.text), append([]string{""}, lines...)...)}, nil
}
