package caller

import (
	"slices"
	"strings"

	"github.com/tightlip/tightlip/internal/lazy"

	"go.yaml.in/yaml/v3"

	"github.com/tightlip/tightlip/lint/edit"
)

var secretOnly = lazy.Regexp(`^(secrets\.[A-Za-z_]\w*|github\.token)$`)

// give puts an expression into the env of a step that runs commands, unless it is there.
func (w workflow) give(step *yaml.Node, vars map[string]*setting, name, text string) (mover, string) {
	if m := envOnly().FindStringSubmatch(text); m != nil && vars[m[1]] != nil {
		return nil, m[1]
	}
	if v := vars[name]; v != nil {
		if p := v.value.only(); p != nil && p.kind == expression && p.text == text {
			return nil, name
		}
		return nil, ""
	}
	script := w.textOf(step, "run")
	switch {
	case !secretOnly().MatchString(text), !isName(name), strings.HasPrefix(name, "GITHUB_"), strings.HasPrefix(name, "RUNNER_"):
		return nil, ""
	case strings.Contains(script, "$"+name), strings.Contains(script, "${"+name):
		// An earlier step may have set it to something else.
		return nil, ""
	}
	return func() ([]edit.Edit, error) { return w.addEnv(step, name, "${{ "+text+" }}") }, name
}

func (w workflow) addEnv(step *yaml.Node, name, value string) ([]edit.Edit, error) {
	run, _ := w.field(step, "run")
	env, ok := w.field(step, "env")
	switch {
	case run.merged || env.merged || step.Style&yaml.FlowStyle != 0:
		return nil, errLayout
	case !ok:
		indent := strings.Repeat(" ", run.key.Column-1)
		lines := []string{indent + "env:", indent + w.indentStep() + name + ": " + value}
		if own, ok := w.indent(run.key); ok && own == indent {
			at := w.lineStart(w.offset(run.key))
			nl := edit.Newline(w.text)
			return []edit.Edit{{Start: at, End: at, Text: strings.Join(lines, nl) + nl}}, nil
		}
		return []edit.Edit{w.insertLines(w.end(run.value), lines...)}, nil
	case env.value.Kind != yaml.MappingNode || env.value.Style&yaml.FlowStyle != 0 || entries(env.value) == 0:
		return nil, errLayout
	}
	last := env.value.Content[len(env.value.Content)-2:]
	indent, ok := w.indent(last[0])
	if !ok {
		return nil, errLayout
	}
	return []edit.Edit{w.insertLines(max(w.end(last[1]), w.end(last[0])), indent+name+": "+value)}, nil
}

// why tells why a line cannot be one of secrets.
func (u *use) why(w word, given bool, l source) string {
	_, fixed := w.literal()
	p := w.only()
	switch {
	case fixed && given:
		return "the value stands in the file"
	case !u.bake && (u.action.secrets == "" || !given):
		return "the action takes no secrets like this"
	case u.bake && (p == nil || p.kind != expression || !envOnly().MatchString(p.text) || u.vars[envOnly().FindStringSubmatch(p.text)[1]] == nil):
		return "the value is not in the step's env, from which bake could take it"
	case u.from(w) == allSecrets:
		return "the value is more than one secret"
	case l.rigid:
		return errLayout.Error()
	}
	return ""
}

var envOnly = lazy.Regexp(`^env\.([A-Za-z_]\w*)$`)

// moveSet makes an override of the secrets of one of the arguments.
func (u *use) moveSet(name, value string, l source) ([]edit.Edit, error) {
	if slices.Contains(u.Secrets, name) {
		return nil, errAnother
	}
	target, _, _ := strings.Cut(l.text, ".")
	text := target + ".secrets+=type=env,id=" + name + ",env=" + envOnly().FindStringSubmatch(value)[1]
	return []edit.Edit{{Start: l.at[0], End: l.at[len(l.text)], Text: text}}, nil
}

// moveLine moves a line from one block to another, which may have to be made.
func (u *use) moveLine(f field, l source) ([]edit.Edit, error) {
	text := string(u.text[l.at[0]:l.at[len(l.text)]])
	if text != l.text || f.merged || f.value.Kind != yaml.ScalarNode {
		return nil, errLayout
	}
	indent, ok := u.indent(f.key)
	if !ok {
		return nil, errLayout
	}
	edits, err := u.takeLine(f, l)
	if err != nil {
		return nil, err
	}
	to, ok := u.field(u.with, u.action.secrets)
	name, _, _ := strings.Cut(text, "=")
	switch {
	case slices.ContainsFunc(u.linesOf(u.action.secrets), func(s source) bool { return s.text == text }):
		return edits, nil
	case slices.Contains(u.Secrets, strings.TrimSpace(name)):
		return nil, errAnother
	case !ok:
		return append(edits, u.insertLines(u.end(f.value), indent+u.action.secrets+": |", indent+u.indentStep()+text)), nil
	case to.merged || to.value.Kind != yaml.ScalarNode:
		return nil, errLayout
	case to.value.Style&yaml.LiteralStyle != 0:
		lines := u.linesOf(u.action.secrets)
		if len(lines) == 0 {
			return nil, errLayout
		}
		last := lines[len(lines)-1]
		at := last.at[0]
		return append(edits, u.insertLines(last.at[len(last.text)], strings.TrimRight(string(u.text[u.lineStart(at):at]), `"'`)+text)), nil
	}
	return append(edits, u.blockOf(to, indent, text)...), nil
}

// blockOf makes a block of a single value, with a line behind it.
func (u *use) blockOf(to field, indent, text string) []edit.Edit {
	nl := edit.Newline(u.text)
	start, end := u.start(to.value), u.end(to.value)
	var lines []string
	if to.value.Value != "" {
		lines = append(lines, indent+u.indentStep()+to.value.Value)
	}
	lines = append(lines, indent+u.indentStep()+text)
	return []edit.Edit{{Start: start, End: end, Text: "|" + nl + strings.Join(lines, nl)}}
}

// takeLine takes a line out of a block, and the block if it was the last.
func (u *use) takeLine(f field, l source) ([]edit.Edit, error) {
	if len(u.linesOf(f.key.Value)) == 1 {
		return u.remove(f.in, slices.Index(f.in.Content, f.key)/2)
	}
	if f.value.Style&yaml.LiteralStyle == 0 {
		return nil, errLayout
	}
	start, end := u.lineStart(l.at[0]), u.lineEnd(l.at[0])
	return []edit.Edit{{Start: start, End: end}}, nil
}
