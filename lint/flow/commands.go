package flow

import (
	"path"
	"strconv"
	"strings"
)

// commands are those that move texts, files and variables. Each returns what it prints.
var commands map[string]func(*runner, *call) Value

func init() { // the table's functions use the table
	commands = map[string]func(*runner, *call) Value{
		"echo": (*runner).echo, "printf": (*runner).printf,
		"cat": (*runner).filter, "base64": (*runner).filter, "tr": (*runner).texts, "cut": (*runner).filter, "head": (*runner).filter, "tail": (*runner).filter,
		"awk": (*runner).texts, "grep": (*runner).texts, "egrep": (*runner).texts, "jq": (*runner).texts, "yq": (*runner).texts, "sort": (*runner).filter, "rev": (*runner).filter,
		"xxd": (*runner).filter, "od": (*runner).filter, "hexdump": (*runner).filter, "fold": (*runner).filter, "strings": (*runner).filter, "less": (*runner).filter, "more": (*runner).filter,
		"nl": (*runner).filter, "tac": (*runner).filter, "paste": (*runner).filter, "uniq": (*runner).filter, "dos2unix": (*runner).filter, "gzip": (*runner).filter, "gunzip": (*runner).filter, "zcat": (*runner).filter, "bzip2": (*runner).filter, "xz": (*runner).filter,
		"zstd": (*runner).filter, "base32": (*runner).filter, "basenc": (*runner).filter, "iconv": (*runner).filter, "expand": (*runner).filter,
		"sed": (*runner).sed, "perl": (*runner).sed, "tee": (*runner).tee, "envsubst": (*runner).envsubst, "xargs": (*runner).xargs,
		"cp": (*runner).copy, "mv": (*runner).copy, "install": (*runner).copy, "rsync": (*runner).copy, "scp": (*runner).copy, "ln": (*runner).link, "dd": (*runner).dd,
		"rm": (*runner).rm, "unlink": (*runner).rm, "shred": (*runner).rm, "truncate": (*runner).rm, "find": (*runner).find,
		"set": (*runner).set, "env": (*runner).printEnv, "printenv": (*runner).printEnv, "cd": (*runner).cd, "pushd": (*runner).cd,
		".": (*runner).source, "source": (*runner).source, "read": (*runner).readLine, "unset": (*runner).unset, "mktemp": (*runner).mktemp, "trap": (*runner).trap,
		"eval": (*runner).eval, "sh": (*runner).shell, "bash": (*runner).shell, "ash": (*runner).shell, "dash": (*runner).shell, "zsh": (*runner).shell, "su": (*runner).shell,
		"curl": (*runner).curl, "wget": (*runner).wget,
	}
}

func (r *runner) echo(c *call) (out Value) {
	for i, a := range c.args {
		if i == 0 && strings.HasPrefix(a.Text, "-") && strings.Trim(a.Text[1:], "neE") == "" {
			continue
		}
		out = join(out, a)
	}
	out.Text += "\n"
	return out
}

func (r *runner) printf(c *call) (out Value) {
	if len(c.args) == 0 {
		return out
	}
	out = c.args[0]
	for _, a := range c.args[1:] {
		out.From = out.From.with(a.From)
		if strings.Contains(out.Text, "%s") {
			out.Text = strings.Replace(out.Text, "%s", a.Text, 1)
		} else {
			out.Text += a.Text
		}
	}
	out.Text = strings.NewReplacer("\\n", "\n", "\\t", "\t").Replace(out.Text)
	return out
}

// filterOptions are those of filters that take a value.
var filterOptions = map[string][]string{
	"cut": {"-d", "-f", "-c", "-b"}, "head": {"-n", "-c"}, "tail": {"-n", "-c"}, "sort": {"-k", "-t", "-o"}, "fold": {"-w"}, "base64": {"-w"}, "xxd": {"-l", "-s", "-c"},
	"od": {"-t", "-N", "-j", "-A"}, "paste": {"-d"}, "strings": {"-n"},
}

// filter prints its files, or what it reads.
func (r *runner) filter(c *call) (out Value) {
	_, files := c.split(filterOptions[c.name]...)
	if len(files) == 0 {
		return c.in
	}
	for _, f := range files {
		if f.Text == "-" {
			out = join(out, c.in)
		} else {
			out = join(out, join(f.onlySecrets(), r.read(f.Text)))
		}
	}
	return out
}

// onlySecrets is a value of which only the secrets matter: the name of a file that is one, as in <(echo $TOKEN).
func (v Value) onlySecrets() Value {
	if len(v.From) == 0 {
		return Value{}
	}
	return v
}

// texts is a filter some of whose arguments may be in what it prints.
func (r *runner) texts(c *call) Value {
	out := c.in
	for _, a := range c.args {
		out = join(out, a.onlySecrets())
		if a.Text != "" && a.Text[0] != '-' {
			out = join(out, r.read(a.Text))
		}
	}
	return out
}

// sed changes a file, or is a filter.
func (r *runner) sed(c *call) Value {
	options, operands := c.split("-e", "-f")
	in := false
	for o := range options {
		in = in || strings.HasPrefix(o, "--in-place") || o[1] != '-' && strings.Contains(o, "i")
	}
	if !in {
		return r.texts(c)
	}
	var v Value
	for _, a := range c.args {
		v = join(v, a.onlySecrets())
	}
	if len(operands) > 0 && len(v.From) > 0 {
		r.write(Written, operands[len(operands)-1].Text, c.name+" -i", v, c.node)
	}
	return Value{}
}

func (r *runner) tee(c *call) Value {
	_, files := c.split()
	for _, f := range files {
		r.write(Written, f.Text, "tee", c.in, c.node)
	}
	return c.in
}

// envsubst prints a template with the environment in it.
func (r *runner) envsubst(c *call) Value {
	return join(c.in, r.environment())
}

// xargs has been unwrapped if it runs anything but echo.
func (r *runner) xargs(c *call) Value { return c.in }

func (r *runner) copy(c *call) Value {
	options, operands := c.split("-t", "-m", "-o", "-g", "-e", "-S", "--mode", "--owner", "--group")
	target := options["-t"].Text
	if target == "" && len(operands) > 1 {
		target, operands = operands[len(operands)-1].Text, operands[:len(operands)-1]
	}
	for _, source := range operands {
		v := r.read(source.Text)
		if len(v.From) == 0 || target == "" {
			continue
		}
		to := target
		if strings.HasSuffix(target, "/") || target == "." || target == "~" || len(operands) > 1 || options["-t"].Text != "" || path.Ext(path.Base(source.Text)) != "" && path.Ext(path.Base(target)) == "" {
			to = path.Join(target, path.Base(source.Text))
		}
		r.write(Written, to, c.name, v, c.node)
		if c.name == "mv" {
			r.remove(source.Text, c.node)
		}
	}
	return Value{}
}

// link makes a link: nothing of the file is in it, unless it is a hard one.
func (r *runner) link(c *call) Value {
	options, operands := c.split("-t")
	if !has(options, "-s", "--symbolic") {
		return r.copy(c)
	}
	if len(operands) == 2 {
		if v := r.read(operands[0].Text); len(v.From) > 0 {
			r.files[r.abs(operands[1].Text)] = &file{from: v.From, link: true}
		}
	}
	return Value{}
}

func (r *runner) dd(c *call) Value {
	v, to := c.in, ""
	for _, a := range c.args {
		if name, ok := strings.CutPrefix(a.Text, "if="); ok {
			v = r.read(name)
		}
		if name, ok := strings.CutPrefix(a.Text, "of="); ok {
			to = name
		}
	}
	if to == "" {
		return v
	}
	r.write(Written, to, "dd", v, c.node)
	return Value{}
}

func (r *runner) rm(c *call) Value {
	_, files := c.split("-s")
	for _, f := range files {
		for _, p := range braces(f.Text) {
			r.remove(p, c.node)
		}
	}
	return Value{}
}

// braces expands the first {a,b} of a word.
func braces(s string) []string {
	before, rest, ok := strings.Cut(s, "{")
	list, after, closed := strings.Cut(rest, "}")
	if !ok || !closed || strings.HasSuffix(before, "$") || !strings.Contains(list, ",") {
		return []string{s}
	}
	var out []string
	for _, alternative := range strings.Split(list, ",") {
		out = append(out, before+alternative+after)
	}
	return out
}

// find removes what it finds, with -delete or -exec rm.
func (r *runner) find(c *call) Value {
	text := c.text()
	if !strings.Contains(text, "-delete") && !strings.Contains(text, " rm ") {
		return Value{}
	}
	root, name := ".", "*"
	for i, a := range c.args {
		switch {
		case i == 0 && !strings.HasPrefix(a.Text, "-"):
			root = a.Text
		case (a.Text == "-name" || a.Text == "-iname") && i+1 < len(c.args):
			name = c.args[i+1].Text
		}
	}
	root = r.abs(root)
	for p := range r.files {
		if ok, _ := path.Match(name, path.Base(p)); ok && Within(p, root) {
			r.remove(p, c.node)
		}
	}
	return Value{}
}

func (r *runner) set(c *call) Value {
	if len(c.args) == 0 {
		return r.environment()
	}
	for i, a := range c.args {
		option := len(a.Text) > 1 && (a.Text[0] == '-' || a.Text[0] == '+')
		switch {
		case option && a.Text[1:] == "a":
			r.allexport = a.Text[0] == '-'
		case option && strings.Contains(a.Text, "x") && !strings.HasPrefix(a.Text, "--"):
			r.trace = a.Text[0] == '-'
		case i > 0 && a.Text == "xtrace":
			r.trace = c.args[i-1].Text[0] == '-'
		}
	}
	return Value{}
}

func (r *runner) printEnv(c *call) (out Value) {
	if len(c.args) == 0 {
		return r.environment()
	}
	for _, a := range c.args {
		out = join(out, r.value(a.Text))
	}
	return out
}

func (r *runner) cd(c *call) Value {
	if len(c.args) > 0 {
		r.dir = r.abs(c.args[0].Text)
	}
	return Value{}
}

func (r *runner) source(c *call) Value {
	if len(c.args) > 0 {
		r.sourced = r.sourced.with(r.read(c.args[0].Text).From)
	}
	return Value{}
}

func (r *runner) readLine(c *call) Value {
	_, names := c.split("-p", "-d", "-n", "-t", "-u")
	for _, n := range names {
		r.vars[n.Text] = c.in
	}
	return Value{}
}

func (r *runner) unset(c *call) Value {
	for _, a := range c.args {
		delete(r.vars, a.Text)
		if r.gone == nil {
			r.gone = map[string]bool{}
		}
		r.gone[a.Text] = true
	}
	return Value{}
}

// mktemp makes a name that nothing else has.
func (r *runner) mktemp(c *call) Value {
	dir := "/tmp"
	for i, a := range c.args {
		switch name, value, _ := strings.Cut(a.Text, "="); {
		case a.Text == "-p" && i+1 < len(c.args):
			dir = c.args[i+1].Text
		case name == "--tmpdir" && value != "":
			dir = value
		case strings.HasPrefix(a.Text, "/"):
			dir = path.Dir(a.Text)
		}
	}
	return Value{Text: path.Join(dir, "tmp."+strconv.Itoa(int(c.node.Pos().Offset())))}
}

func (r *runner) trap(c *call) Value {
	if len(c.args) > 1 && len(r.traps) < maxDepth {
		r.traps = append(r.traps, c.args[0].Text)
	}
	return Value{}
}

func (r *runner) eval(c *call) Value {
	var text Value
	for _, a := range c.args {
		text = join(text, a)
	}
	if len(text.From) > 0 {
		r.sourced = r.sourced.with(text.From) // eval "$(cat file)"
		return Value{}
	}
	return r.within(c, text)
}

// shell runs the script that is given with -c, or that it reads.
func (r *runner) shell(c *call) Value {
	trace := r.trace
	defer func() { r.trace = trace }()
	for i, a := range c.args {
		if strings.HasPrefix(a.Text, "-") && !strings.HasPrefix(a.Text, "--") && c.name != "su" {
			r.trace = r.trace || strings.Contains(a.Text, "x")
		}
		if strings.HasPrefix(a.Text, "-") && strings.HasSuffix(a.Text, "c") && i+1 < len(c.args) {
			return r.within(c, c.args[i+1])
		}
	}
	if len(c.args) == 0 && c.in.Text != "" {
		return r.within(c, c.in)
	}
	return Value{}
}

// within runs a script that a command is given. The secrets that are in it already become variables.
func (r *runner) within(c *call, script Value) Value {
	text := script.Text
	for _, n := range script.From {
		name := "secret_" + strconv.Itoa(n)
		r.vars[name] = r.standIns(Origins{n})
		text = strings.ReplaceAll(text, r.script.StandIn(n), "${"+name+"}")
	}
	if r.inner == nil {
		r.inner = c.node
		defer func() { r.inner = nil }()
	}
	return r.nested(text)
}
