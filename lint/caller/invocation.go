package caller

import (
	"path"
	"slices"
	"strings"

	"github.com/tightlip/tightlip/lint/edit"
)

// invocation is a call of a tool.
type invocation struct {
	*document
	*scope
	tool
	*found
	drops bool // variables do not reach the tool
	file  *word
	place *word // the context
	// before is where the flag of the argument starts.
	before int
}

func (i *invocation) read(in []word) {
	for n := 0; n < len(in); n++ {
		w := in[n]
		if !strings.HasPrefix(w.lead(), "-") || is(w, "-") {
			if i.place == nil || i.mayBeOptions(*i.place) {
				i.place = &in[n]
			}
			continue
		}
		if is(w, "--") {
			continue
		}
		name, value, inline := w.cut("=")
		i.before = w.start
		if !strings.HasPrefix(name, "--") && len(name) > 2 {
			// -fDockerfile
			name, value, inline = name[:2], w.skip(2), true
			if switches[name[1:]] {
				continue
			}
		}
		if size := len(name) + 1; inline && strings.HasPrefix(string(i.text[w.start:w.end]), name+"=") {
			value.start += size
		}
		bare := strings.TrimLeft(name, "-")
		if !inline {
			if _, all := w.literal(); !all || switches[bare] || n+1 == len(in) {
				i.flag(bare, word{start: w.end, end: w.end})
				continue
			}
			n++
			value = in[n]
		}
		i.flag(bare, value)
	}
	i.locate()
}

// mayBeOptions tells whether a word in the place of the context may be options: a variable that is not known, or that starts with a dash.
func (i *invocation) mayBeOptions(w word) bool {
	text, known := i.expand(w)
	return w.isBare() && (!known || strings.HasPrefix(text, "-"))
}

func (i *invocation) flag(name string, value word) {
	switch text, known := i.expand(value); name {
	case "build-arg":
		if !i.bake {
			i.argument(value)
		}
	case "set":
		i.override(value)
	case "f", "file", "dockerfile":
		i.file = &value
	case "c", "context":
		if i.kaniko {
			i.place = &value
		}
	case "context-sub-path":
		i.place = nil
	case "target":
		if known {
			i.Target = text
		}
	case "secret":
		if id := secretID(value.lead()); id != "" {
			i.Secrets = append(i.Secrets, id)
		}
	case "provenance":
		if known && provenance("type=provenance,"+text) || text == "true" || text == "1" {
			i.Published, i.PublishedLine = maxProvenance, i.line(i.before)
		}
	case "attest":
		if known && provenance(text) {
			i.Published, i.PublishedLine = maxProvenance, i.line(i.before)
		}
	}
}

const maxProvenance = "provenance with mode=max"

// provenance tells whether an attestation has all arguments in it. BuildKit's mode is max unless another is given.
func provenance(text string) bool {
	if !strings.Contains(text, "type=provenance") {
		return false
	}
	for _, f := range strings.Split(text, ",") {
		switch strings.TrimSpace(f) {
		case "mode=min", "disabled=true", "disabled=1", "false", "0":
			return false
		case "mode=max", "mode=full":
			return true
		}
	}
	return !strings.Contains(text, "mode=")
}

// secretID is the id in the value of --secret. Without one, podman's and buildx's is that of the variable or file.
func secretID(text string) string {
	other := ""
	for _, f := range strings.Split(text, ",") {
		k, v, _ := strings.Cut(strings.TrimSpace(f), "=")
		switch k {
		case "id":
			return v
		case "env":
			other = v
		}
	}
	return other
}

// argument is the value of --build-arg.
func (i *invocation) argument(w word) {
	name, value, given := w.cut("=")
	if name == "" || !given && len(w.parts) > 1 {
		return
	}
	i.addArgument(w, "", name, value, given)
}

// addArgument adds an argument of the build, or, in bake, of a target.
func (i *invocation) addArgument(w word, target, name string, value word, given bool) {
	a := Arg{Name: name}
	o := origin{}
	if given {
		a.From = i.from(value)
		a.Literal, _ = value.literal()
	} else {
		a.From = i.fromPart(part{kind: variable, text: name})
	}
	from, more, why := i.variable(name, value, given)
	start, end := i.before, w.end
	o.why = why
	if why == "" && (w.rigid || w.flow) {
		o.why = "it is written in a way that cannot be changed"
	}
	text := "--secret id=" + name + ",env=" + from
	if i.bake {
		text = target + ".secrets+=type=env,id=" + name + ",env=" + from
		start = w.start
		if why == "" && !isName(strings.NewReplacer("*", "_", "-", "_").Replace(target)) {
			o.why = "the target would need quotes"
		}
	}
	o.moves = []mover{func() ([]edit.Edit, error) {
		if slices.Contains(i.Secrets, name) {
			return nil, errAnother
		}
		edits := []edit.Edit{{Start: start, End: end, Text: text}}
		if more == nil {
			return edits, nil
		}
		others, err := more()
		return append(edits, others...), err
	}}
	i.arg(i.found, a, w.start, w.end, o)
}

// override is the value of bake's --set: target.args.X=Y.
func (i *invocation) override(w word) {
	if !i.bake {
		return
	}
	key, value, given := w.cut("=")
	parts := strings.SplitN(key, ".", 3)
	switch {
	case len(parts) == 3 && (parts[1] == "args" || parts[1] == "arg") && parts[2] != "":
		i.addArgument(w, parts[0], parts[2], value, given)
	case len(parts) == 2 && strings.HasPrefix(parts[1], "secret"):
		if id := secretID(value.lead()); id != "" {
			i.Secrets = append(i.Secrets, id)
		}
	case len(parts) == 2 && strings.HasPrefix(parts[1], "attest"):
		if text, ok := i.expand(value); ok && provenance(text) {
			i.Published, i.PublishedLine = maxProvenance, i.line(w.start)
		}
	}
}

// variable is the environment variable whose value an argument has, with the edits that put it there, or why there is none.
func (i *invocation) variable(name string, value word, given bool) (from string, edits mover, why string) {
	switch {
	case i.kaniko || i.compose:
		return "", nil, "this command takes no secrets"
	case !i.bake && !i.tool.secrets:
		return "", nil, "this command takes no secrets from variables"
	case i.classic && i.call[0] == "docker" && i.call[1] != "buildx":
		return "", nil, "docker builds without BuildKit"
	case i.drops:
		return "", nil, "sudo or env takes the variables away"
	case !given:
		return name, nil, ""
	}
	p := value.only()
	if p != nil && p.kind == expression && i.give != nil {
		if edits, variable := i.give(name, p.text); variable != "" {
			return variable, edits, ""
		}
	}
	if p == nil || p.kind != variable || !p.plain || p.array || !isName(p.text) {
		if _, ok := value.literal(); ok {
			return "", nil, "the value stands in the file"
		}
		return "", nil, "the value is not just a variable of the environment"
	}
	v := i.vars[p.text]
	switch {
	case v != nil && !v.exported:
		return "", nil, "$" + p.text + " is not exported"
	case v == nil && i.unsure != "":
		return "", nil, i.unsure
	}
	return p.text, nil, ""
}

func isName(s string) bool {
	return s != "" && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789") == "" && (s[0] < '0' || s[0] > '9')
}

// locate finds the context and the Dockerfile.
func (i *invocation) locate() {
	if i.bake || i.compose {
		return
	}
	var places []Place
	for _, dir := range append([]string{i.dir}, i.others...) {
		places = append(places, i.placesIn(dir)...)
	}
	i.settle(places)
}

// contextName is the context as the command names it; not ok if it is not known, or is no folder.
func (i *invocation) contextName() (name string, ok bool) {
	switch {
	case i.place != nil:
		name, ok = i.expand(*i.place)
	case i.podman || i.kaniko:
		return ".", true
	}
	if i.kaniko {
		name = strings.TrimPrefix(name, "dir://")
	}
	return name, ok && !strings.HasPrefix(name, "-") && !strings.Contains(name, "://")
}

// placesIn are what the command may build in a folder.
func (i *invocation) placesIn(dir string) []Place {
	p := Place{}
	if name, ok := i.contextName(); ok {
		p.Context = join(dir, name)
	}
	if i.file == nil && p.Context != "" {
		return i.defaults(p.Context)
	}
	if i.file == nil {
		return []Place{p}
	}
	file, ok := i.expand(*i.file)
	if !ok || file == "-" {
		return []Place{p}
	}
	p.Dockerfile = join(dir, file)
	if i.kaniko && p.Context != "" && !strings.HasPrefix(file, rootPath) {
		return []Place{p, {p.Context, join(p.Context, file)}}
	}
	return []Place{p}
}

func (i *invocation) defaults(context string) []Place {
	places := []Place{{context, path.Join(context, "Dockerfile")}}
	if i.podman {
		places = append([]Place{{context, path.Join(context, "Containerfile")}}, places...)
	}
	return places
}

// settle takes the first of the places that a build may have, and keeps the others.
func (f *found) settle(places []Place) {
	f.Context, f.Dockerfile = places[0].Context, places[0].Dockerfile
	for _, p := range places[1:] {
		if p != (Place{f.Context, f.Dockerfile}) && p != (Place{}) && !slices.Contains(f.Alternatives, p) {
			f.Alternatives = append(f.Alternatives, p)
		}
	}
}
