package flow

import (
	"path"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// call is a command with its arguments.
type call struct {
	node *syntax.CallExpr
	name string
	args []Value // without the name
	in   Value
	env  Value // of assignments in front of it
}

// call runs a simple command. It returns what it prints.
func (r *runner) call(node *syntax.CallExpr, in Value) Value {
	if len(node.Args) == 0 {
		r.assign(node.Assigns)
		return Value{}
	}
	c := &call{node: node, in: in}
	for _, a := range node.Assigns {
		v := r.word(a.Value)
		c.env = join(c.env, Value{a.Name.Value + "=" + v.Text, v.From})
	}
	words := make([]Value, 0, len(node.Args))
	var given Origins
	for _, w := range node.Args {
		v := r.word(w)
		words = append(words, v)
		given = given.with(v.From)
	}
	r.traced(given.with(c.env.From), node)
	piped := words[0].Text == "xargs"
	words = unwrapped(words)
	if piped && words[0].Text != "xargs" {
		words = append(words, in)
	}
	if len(words) == 0 {
		return Value{}
	}
	c.name, c.args = path.Base(words[0].Text), words[1:]
	if given = given.with(in.From).with(c.env.From); len(given) > 0 {
		r.emit(Event{Kind: Used, From: given, Command: c.name, Text: c.text()}, node)
	}
	if body := r.funcs[c.name]; body != nil {
		return r.function(c, body)
	}
	if run := commands[c.name]; run != nil {
		return run(r, c)
	}
	return r.tool(c)
}

// text is the command line, as the detector reads it.
func (c *call) text() string {
	var b strings.Builder
	if c.env.Text != "" {
		b.WriteString(c.env.Text + " ")
	}
	b.WriteString(c.name)
	for _, a := range c.args {
		b.WriteByte(' ')
		if strings.ContainsAny(a.Text, " \t\n") {
			b.WriteString(`"` + a.Text + `"`)
		} else {
			b.WriteString(a.Text)
		}
	}
	return b.String()
}

// wrappers run the command that follows them and their options. The text is of the options that take a value.
var wrappers = map[string]string{
	"sudo": "-u-g-h-p-C", "exec": "-a", "command": "", "nohup": "", "time": "-f-o", "nice": "-n", "ionice": "-c-n", "env": "-u-C-S", "stdbuf": "-i-o-e",
	"timeout": "-s-k", "gosu": "", "su-exec": "", "chroot": "", "ssh-agent": "-a-t", "dumb-init": "", "tini": "", "busybox": "", "doas": "-u", "xargs": "-n-I-P-L-d-E-s", "retry": "", "builtin": "", "setpriv": "",
}

// unwrapped is a command without what only runs it.
func unwrapped(words []Value) []Value {
	for len(words) > 1 {
		takes, ok := wrappers[path.Base(words[0].Text)]
		if !ok {
			break
		}
		n := 1
		for n < len(words) && (strings.HasPrefix(words[n].Text, "-") || words[0].Text == "env" && strings.Contains(words[n].Text, "=")) {
			if len(words[n].Text) == 2 && strings.Contains(takes, words[n].Text) {
				n++
			}
			n++
		}
		switch words[0].Text {
		case "timeout", "gosu", "su-exec", "chroot", "retry":
			n++ // the time, the user, the folder
		}
		if n >= len(words) {
			return words[:1]
		}
		words = words[n:]
	}
	return words
}

// function runs one that the script has defined.
func (r *runner) function(c *call, body *syntax.Stmt) Value {
	if r.depth >= maxDepth {
		return Value{}
	}
	r.depth++
	defer func() { r.depth-- }()
	var all Value
	for i, a := range c.args {
		r.vars[string(rune('1'+min(i, 8)))] = a
		all = join(all, a)
	}
	r.vars["@"], r.vars["*"] = all, all
	return r.stmt(body, c.in)
}

// split separates options from operands. takes lists the options whose value is the next word.
func (c *call) split(takes ...string) (options map[string]Value, operands []Value) {
	options = map[string]Value{}
	for i := 0; i < len(c.args); i++ {
		a := c.args[i]
		name, value, joined := strings.Cut(a.Text, "=")
		switch {
		case a.Text == "--":
			return options, append(operands, c.args[i+1:]...)
		case !strings.HasPrefix(a.Text, "-") || a.Text == "-":
			operands = append(operands, a)
		case joined && strings.HasPrefix(name, "--"):
			options[name] = Value{value, a.From}
		case slices.Contains(takes, a.Text) && i+1 < len(c.args):
			i++
			options[a.Text] = c.args[i]
		case len(a.Text) > 2 && a.Text[1] != '-' && slices.Contains(takes, a.Text[:2]):
			options[a.Text[:2]] = Value{a.Text[2:], a.From}
		default:
			options[a.Text] = Value{From: a.From}
		}
	}
	return options, operands
}

// has tells whether there is an option, also among letters behind one dash.
func has(options map[string]Value, names ...string) bool {
	for o := range options {
		for _, n := range names {
			if o == n || len(n) == 2 && len(o) > 2 && o[1] != '-' && strings.IndexByte(o[1:], n[1]) >= 0 {
				return true
			}
		}
	}
	return false
}
