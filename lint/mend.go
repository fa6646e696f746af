package lint

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/tightlip/tightlip/dockerfile"
	"github.com/tightlip/tightlip/finding"
	"github.com/tightlip/tightlip/internal/lazy"
	"github.com/tightlip/tightlip/lint/caller"
	"github.com/tightlip/tightlip/lint/edit"
	"github.com/tightlip/tightlip/lint/flow"
	"github.com/tightlip/tightlip/lint/nesting"
	"mvdan.cc/sh/v3/syntax"
)

// mender takes leaks out of one Dockerfile.
type mender struct {
	fixer   *fixer
	checker *checker
	leaks   []finding.Leak
	text    []byte
	callers map[string][]byte // files that start builds, as far as they change
	changed bool
	given   []string // flags that a build needs from now on
	taken   []string // flags that a container needs which relies on what was in ENV
	moved   []string // the arguments that are secrets now
}

// attempt is a change that may mend something.
type attempt struct {
	edits []edit.Edit
	arg   string // the argument that becomes a secret, which callers have to give so
	flags []string
	taken []string
}

// Each attempt checks the whole file again: so many are made, and in long files fewer.
const (
	maxAttempts = 40
	maxChecked  = 256 << 10 // bytes, all attempts together
)

// mend makes one change after the other, for as long as there is one that helps.
func (m *mender) mend() {
	tried := map[string]bool{}
	attempts := min(maxAttempts, maxChecked/(len(m.text)+1))
	for progress := true; progress; {
		progress = false
		for _, o := range m.checker.origins {
			key := fmt.Sprintf("%d %s", o.kind, o.name)
			if o.kind == fromFile {
				key += fmt.Sprint(" ", o.stage)
			}
			if tried[key] || len(tried) >= attempts || !m.counts(o) {
				continue
			}
			tried[key] = true
			if a := m.attempt(o); a != nil && m.try(a) {
				progress = true
				break // the places are others now
			}
		}
	}
}

// counts tells whether an origin has a finding that is not ignored.
func (m *mender) counts(o *origin) bool {
	return o.sure && slices.ContainsFunc(m.leaks, func(l finding.Leak) bool { return l.Line == o.at.line && l.Key == o.name && l.Ignored == "" })
}

func (m *mender) attempt(o *origin) *attempt {
	switch {
	case o.kind == fromArg:
		return m.argument(o.name)
	case o.kind == fromFile && o.removed > 0:
		return m.file(o)
	}
	return nil
}

// try makes a change if there are fewer findings then and no new ones, and if the callers can follow.
func (m *mender) try(a *attempt) bool {
	text := edit.Apply(m.text, a.edits)
	file, err := dockerfile.Parse(m.checker.name, text)
	if err != nil {
		return false
	}
	callers, ok := m.move(a.arg)
	if !ok {
		return false
	}
	c := &checker{name: m.checker.name, file: file, det: m.checker.det, builds: without(m.checker.builds, a.arg), context: m.checker.context, targets: m.checker.targets, bare: true}
	c.run()
	leaks := c.results()
	if len(c.gaps) > len(m.checker.gaps) || counted(leaks) >= counted(m.leaks) || anyNew(leaks, m.leaks) {
		return false
	}
	m.text, m.checker, m.leaks, m.callers = text, c, leaks, callers
	m.changed, m.given, m.taken = true, append(m.given, a.flags...), append(m.taken, a.taken...)
	if a.arg != "" {
		m.moved = append(m.moved, a.arg)
	}
	return true
}

// move has the callers give an argument as a secret.
func (m *mender) move(arg string) (map[string][]byte, bool) {
	out := maps.Clone(m.callers)
	if arg == "" {
		return out, true
	}
	if out == nil {
		out = map[string][]byte{}
	}
	gives := func(b *caller.Build) bool {
		return slices.ContainsFunc(b.Args, func(a caller.Arg) bool { return a.Name == arg || a.Name == "*" })
	}
	for _, b := range m.fixer.project.builds {
		if b.Dockerfile == "" && b.Inline == "" && gives(b) {
			return nil, false // it may build this one
		}
	}
	for _, b := range m.checker.builds {
		if !gives(b) {
			continue
		}
		if m.fixer.project.starts(b.File) > maxMoved {
			return nil, false
		}
		text, ok := out[b.File]
		if !ok {
			text = m.fixer.text(b.File)
		}
		moved, err := caller.Move(b.File, text, []string{arg}, m.checker.name)
		if err != nil {
			return nil, false
		}
		out[b.File] = moved
	}
	return out, true
}

// maxMoved is how many builds a file may start whose arguments are moved: each move reads it again.
const maxMoved = 16

// starts is how many builds a file starts.
func (p *project) starts(file string) (n int) {
	for _, b := range p.builds {
		if b.File == file {
			n++
		}
	}
	return n
}

// without are builds that do not give an argument.
func without(builds []*caller.Build, arg string) []*caller.Build {
	var out []*caller.Build
	for _, b := range builds {
		own := *b
		own.Args = slices.DeleteFunc(slices.Clone(b.Args), func(a caller.Arg) bool { return a.Name == arg })
		out = append(out, &own)
	}
	return out
}

func counted(leaks []finding.Leak) (n int) {
	for _, l := range leaks {
		if l.Ignored == "" && l.Severity.AtLeast(finding.Low) {
			n++
		}
	}
	return n
}

// anyNew tells whether there is a finding that was not there.
func anyNew(leaks, before []finding.Leak) bool {
	old := map[string]int{}
	for _, l := range before {
		old[kindOf(&l)]++
	}
	for _, l := range leaks {
		if !l.Severity.AtLeast(finding.Low) {
			continue
		}
		if old[kindOf(&l)]--; old[kindOf(&l)] < 0 {
			return true
		}
	}
	return false
}

// argument makes a secret mount of an argument, and of the variables that have its value.
func (m *mender) argument(name string) *attempt {
	c := m.checker
	if !m.knowsEnv() || m.foreign() {
		return nil
	}
	a := &attempt{arg: name, flags: []string{" --secret id=" + name + ",env=" + name}}
	names := map[int]string{} // of variables, by origin
	optional := m.optional(name) || slices.ContainsFunc(c.builds, func(b *caller.Build) bool {
		return !slices.ContainsFunc(b.Args, func(a caller.Arg) bool { return a.Name == name })
	})
	for n, o := range c.origins {
		alias := o.alias && len(o.parents) == 1 && names[o.parents[0]] != ""
		if !(o.kind == fromArg && o.name == name) && !alias {
			if slices.ContainsFunc(o.parents, func(p int) bool { return names[p] != "" }) {
				return nil // it is a part of something else
			}
			continue
		}
		if o.inText || o.preset || alias && m.runs(o.name) {
			return nil
		}
		names[n] = o.name
		if alias && c.reached[o.stage] {
			a.taken = append(a.taken, " -e "+o.name)
		}
		optional = optional || m.optional(o.name)
		edits := m.withoutPair(o)
		if edits == nil {
			return nil
		}
		a.edits = append(a.edits, edits...)
	}
	if !m.globals(a, name) {
		return nil
	}
	required := ",required=true"
	if optional {
		required = ""
	}
	mounted := false
	for _, s := range c.steps {
		var mounts []string
		for _, n := range s.visible {
			if v := names[n]; v != "" && !slices.Contains(mounts, v) && s.mayUse(v, s.body.Text) {
				mounts = append(mounts, v)
			}
		}
		slices.Sort(mounts)
		var flags string
		for _, v := range mounts {
			flags += fmt.Sprintf(" --mount=type=secret,id=%s,env=%s%s", name, v, required)
		}
		if flags != "" {
			a.edits, mounted = append(a.edits, s.insert(flags)), true
		}
	}
	if !mounted {
		a.flags = nil
	}
	return a
}

// recentSyntax are the frontends that know env= of secret mounts.
var recentSyntax = lazy.Regexp(`^(docker\.io/)?docker/dockerfile(-upstream)?:(1|latest|labs|1-labs|master|1\.[1-9]\d.*)$|^(docker\.io/)?docker/dockerfile$`)

func (m *mender) knowsEnv() bool {
	syntax := m.checker.file.Syntax()
	return syntax == "" || recentSyntax().MatchString(syntax)
}

// foreign tells whether the image is one of Windows, or its shell one that mounts and variables have other rules for.
func (m *mender) foreign() bool { return m.checker.windows() }

// globals takes an argument out of what stands before the first stage, too; false if that has a value, or if a FROM uses it.
func (m *mender) globals(a *attempt, name string) bool {
	for _, args := range m.checker.file.Args() {
		for _, kv := range args.Args {
			if kv.Key != name {
				continue
			}
			if kv.Value != nil && unquoted(*kv.Value) != "" {
				if _, secret := m.checker.setting(name, unquoted(*kv.Value)); !secret {
					return false
				}
			}
			_, body := m.checker.file.Body(args.Location()).Keyword()
			at := named(body, name)
			edits := m.withoutPair(&origin{at: at})
			if edits == nil {
				return false
			}
			if !slices.Contains(a.edits, edits[0]) {
				a.edits = append(a.edits, edits...)
			}
		}
	}
	return !slices.ContainsFunc(m.checker.file.Stages(), func(s instructions.Stage) bool { return strings.Contains(s.BaseName, name) })
}

// optional tells whether a RUN asks if a variable has a value.
func (m *mender) optional(name string) bool {
	return slices.ContainsFunc(m.checker.steps, func(s runStep) bool { return asks(s.body.Text, name) })
}

// runs tells whether a container needs a variable: its command names it.
func (m *mender) runs(variable string) bool {
	return slices.ContainsFunc(m.checker.commands, func(text string) bool { return strings.Contains(text, variable) })
}

// withoutPair takes the variable of an origin out of its ARG or ENV; nil if that cannot be done.
func (m *mender) withoutPair(o *origin) []edit.Edit {
	cmd := m.at(o.at.line)
	_, body := m.checker.file.Body(cmd.Location()).Keyword()
	pairs := 0
	switch cmd := cmd.(type) {
	case *instructions.ArgCommand:
		pairs = len(cmd.Args)
	case *instructions.EnvCommand:
		pairs = len(cmd.Env)
	}
	switch {
	case pairs == 0:
		return nil
	case pairs == 1:
		return []edit.Edit{m.lines(cmd)}
	}
	start := body.Index(o.at.line, o.at.column)
	if start < 0 || strings.Contains(m.checker.file.Text(cmd.Location()), "#") {
		return nil // a comment would go
	}
	end := start
	for end < len(body.Text) && body.Text[end] != ' ' && body.Text[end] != '\t' {
		if q := body.Text[end]; q == '"' || q == '\'' {
			closing := strings.IndexByte(body.Text[end+1:], q)
			if closing < 0 {
				return nil
			}
			end += closing + 1
		}
		end++
	}
	if next := len(body.Text[end:]) - len(strings.TrimLeft(body.Text[end:], " \t")); end+next < len(body.Text) {
		return []edit.Edit{{Start: body.Offset(start), End: body.Offset(end + next)}}
	}
	before := len(strings.TrimRight(body.Text[:start], " \t"))
	return []edit.Edit{{Start: body.Offset(before-1) + 1, End: body.Offset(end-1) + 1}}
}

// at is the instruction that has a line.
func (m *mender) at(line int) instructions.Command {
	for _, args := range m.checker.file.Args() {
		if e := dockerfile.EditOf(args.Location(), ""); e.First <= line && line <= e.Last {
			return &args
		}
	}
	for _, s := range m.checker.file.Stages() {
		for _, cmd := range s.Commands {
			if e := dockerfile.EditOf(cmd.Location(), ""); e.First <= line && line <= e.Last {
				return cmd
			}
		}
	}
	return nil
}

// lines takes out the lines of an instruction.
func (m *mender) lines(cmd instructions.Command) edit.Edit {
	e := dockerfile.EditOf(cmd.Location(), "")
	return edit.Edit{Start: m.checker.file.Offset(e.First), End: m.checker.file.Offset(e.Last + 1)}
}

// insert puts flags behind the keyword of a RUN.
func (s *runStep) insert(flags string) edit.Edit {
	at := s.body.Offset(len("run"))
	return edit.Edit{Start: at, End: at, Text: flags}
}

// plainCommands use no credentials, whatever variables there are.
var plainCommands = strings.Fields(`apt-get apt apk yum dnf microdnf mkdir chmod chown rm rmdir ln touch cp mv cd true false : echo printf set test [ export unset useradd groupadd adduser addgroup
	usermod id ls cat tar unzip gzip gunzip install sed grep head tail update-ca-certificates locale-gen ldconfig sleep exit trap which command sha256sum`)

// mayUse tells whether a script may need a variable or file: it names it, or runs a program that may look for it.
func (s *runStep) mayUse(name, script string) bool {
	if strings.Contains(script, name) || !s.cmd.PrependShell || strings.Contains(name, "PROXY") || name == "HTTP_AUTH" {
		return true
	}
	parsed, err := nesting.Parse(s.code.Text)
	if err != nil || s.code.Text == "" {
		return true
	}
	may := false
	syntax.Walk(parsed, func(node syntax.Node) bool {
		if call, ok := node.(*syntax.CallExpr); ok && len(call.Args) > 0 {
			may = may || !slices.Contains(plainCommands, call.Args[0].Lit())
		}
		return !may
	})
	return may
}

// file makes a secret mount of a credential file that is copied and removed again.
func (m *mender) file(o *origin) *attempt {
	copied, ok := m.at(o.at.line).(*instructions.CopyCommand)
	if !ok || len(copied.SourcePaths) != 1 || len(copied.SourceContents) > 0 || !o.known || m.foreign() || isKey(o.name) {
		return nil // ssh takes no key that others may read, and type=ssh needs another command
	}
	target := inRoot(o.target)
	id := strings.TrimLeft(path.Base(o.name), "._")
	flag := fmt.Sprintf(" --mount=type=secret,id=%s,target=%s,required=true", id, target)
	a := &attempt{edits: []edit.Edit{m.lines(copied)}, flags: []string{fmt.Sprintf(" --secret id=%s,src=%s", id, m.source(o.name))}}
	removed := false
	for i := range m.checker.steps {
		s := &m.checker.steps[i]
		line, _ := s.body.Place(0)
		if line < o.at.line || !m.checker.inherits(s.stage, o.stage) {
			continue
		}
		if removed || s.stage != o.stage {
			if !removed || !m.standsWithout(s, o) {
				return nil
			}
			continue
		}
		if changes(s.code.Text, o.target) {
			return nil
		}
		var cut cutting
		if removed = o.removed <= dockerfile.EditOf(s.cmd.Location(), "").Last; removed {
			cut = cutting{target: o.target, dir: s.dir}
			if !cut.script(s.code.Text) || strings.Contains(m.between(s, cut.spans), "#") {
				return nil
			}
		}
		switch {
		case cut.all:
			a.edits = append(a.edits, m.lines(s.cmd))
			continue
		case s.mayUse(path.Base(o.target), cut.rest(s.code.Text)):
			mode := ",mode=0444" // the base image may say who runs this
			if s.user == "root" || s.user == "0" || strings.HasPrefix(o.target, "~") {
				mode = ""
			}
			a.edits = append(a.edits, s.insert(flag+mode))
		case !m.standsWithout(s, o):
			return nil
		}
		for _, span := range cut.spans {
			a.edits = append(a.edits, edit.Edit{Start: s.code.Offset(span[0]), End: s.code.Offset(span[1]-1) + 1})
		}
	}
	if !removed || m.copiedOn(o) {
		return nil
	}
	return a
}

// copiedOn tells whether another stage copies a file.
func (m *mender) copiedOn(o *origin) bool {
	return slices.ContainsFunc(m.checker.found, func(f found) bool {
		return f.rule == copiedFromStage && slices.ContainsFunc(f.from, func(n int) bool { return m.checker.origins[n] == o })
	})
}

// source is where a file of the context is from the working directory.
func (m *mender) source(name string) string {
	if m.checker.context == nil {
		return name
	}
	return m.fixer.fromHere(path.Join(m.checker.context.dir, name))
}

// inRoot is a path as the builder writes it.
func inRoot(p string) string {
	if rest, home := strings.CutPrefix(p, "~"); home {
		return "/root" + rest
	}
	return p
}

// standsWithout tells whether a RUN that gets no mount does without the folder that the COPY made for the file.
func (m *mender) standsWithout(s *runStep, o *origin) bool {
	folder := path.Dir(o.target)
	if flow.Within(o.dir, folder) || slices.Contains([]string{"/", "~", "/etc", "/tmp", "/usr", "/var", "/opt", "/home"}, folder) {
		return true
	}
	return !strings.Contains(s.body.Text, folder) && !strings.Contains(s.body.Text, inRoot(folder))
}

// between is what stands in the file where spans of a script are.
func (m *mender) between(s *runStep, spans [][2]int) (out string) {
	whole := m.checker.file.Whole().Text
	for _, span := range spans {
		out += whole[s.code.Offset(span[0]) : s.code.Offset(span[1]-1)+1]
	}
	return out
}
