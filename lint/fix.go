package lint

import (
	"bytes"
	"fmt"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/tightlip/tightlip/dockerfile"
	"github.com/tightlip/tightlip/finding"
	"github.com/tightlip/tightlip/lint/caller"
	"github.com/tightlip/tightlip/lint/edit"
	"github.com/tightlip/tightlip/lint/flow"
	"mvdan.cc/sh/v3/syntax"
)

// fixes works out how files would have to change, and notes which findings that mends.
//
// A fix is tried on the text and checked again: it counts only if there are fewer findings then, and no new one.
func (p *project) fixes(r *Result) {
	changed := map[string][]byte{}
	for i := range p.results {
		f := &p.results[i]
		if f.checker == nil || f.path != f.checker.name || p.isInline(f.path) {
			continue
		}
		f.ignore(r.Findings)
		m := &mender{project: p, callers: maps.Clone(changed), checker: f.checker, leaks: f.leaks, text: []byte(f.checker.file.Whole().Text)}
		m.mend()
		if len(m.given) == 0 {
			continue
		}
		changed[f.path] = m.text
		for name, text := range m.callers {
			changed[name] = text
		}
		r.Hints = append(r.Hints, "docker build"+strings.Join(m.given, "")+" -f "+filepath.ToSlash(filepath.Join(p.options.Root, f.path))+" …")
		left := map[string]int{}
		for _, l := range m.leaks {
			left[l.Rule+"\x00"+l.Key]++
		}
		for n := range r.Findings {
			l := &r.Findings[n]
			key := l.Rule + "\x00" + l.Key
			switch {
			case l.Path == f.path && left[key] > 0:
				left[key]--
			case l.Path == f.path && l.Where == "dockerfile":
				l.Fixable = true
			case slices.Contains(m.moved, l.Key) && changed[l.Path] != nil && l.Rule == callerSecretArg.ID:
				l.Fixable = true
			case l.Rule == callerProvenance.ID && changed[l.Path] != nil:
				l.Fixable = containsAll(m.moved, strings.Split(l.Key, ","))
			}
		}
	}
	p.ignoreMore(r, changed)
	for _, name := range slices.Sorted(maps.Keys(changed)) {
		before := p.texts[name]
		if !bytes.Equal(before, changed[name]) {
			r.Fixes = append(r.Fixes, Fix{Path: name, Before: before, After: changed[name]})
		}
	}
}

// ignore marks the findings of a Dockerfile as they are marked in the list of all.
func (f *fileResult) ignore(all []finding.Leak) {
	for i := range f.leaks {
		l := &f.leaks[i]
		for _, other := range all {
			if other.Path == f.path && other.Rule == l.Rule && other.Line == l.Line && other.Key == l.Key {
				l.Ignored = other.Ignored
			}
		}
	}
}

func (p *project) isInline(name string) bool { return p.sources[name] != nil }

// ignoreMore has .dockerignore leave out what COPY . . would bring.
func (p *project) ignoreMore(r *Result, changed map[string][]byte) {
	for _, f := range p.results {
		if f.checker == nil || f.checker.context == nil {
			continue
		}
		for _, found := range f.checker.found {
			name := f.checker.context.ignoreFile
			if found.rule != contextCredential || name == "" || ignoredKey(r.Findings, f.path, found.key) || strings.ContainsAny(found.context, "*?[\\\n\r! #") {
				continue
			}
			text, ok := changed[name]
			if !ok {
				text = p.texts[name]
			}
			changed[name] = withLine(text, found.context)
			for n := range r.Findings {
				l := &r.Findings[n]
				l.Fixable = l.Fixable || l.Path == f.path && l.Rule == contextCredential.ID && l.Key == found.key
			}
		}
	}
}

// ignoredKey tells whether what is known of a file of the context does not count.
func ignoredKey(all []finding.Leak, path, key string) bool {
	return slices.ContainsFunc(all, func(l finding.Leak) bool {
		return l.Path == path && l.Rule == contextCredential.ID && l.Key == key && l.Ignored != ""
	})
}

func containsAll(list, of []string) bool {
	return !slices.ContainsFunc(of, func(s string) bool { return !slices.Contains(list, s) })
}

// withLine is a text with one more line, unless it has it.
func withLine(text []byte, line string) []byte {
	for l := range strings.Lines(string(text)) {
		if strings.TrimSpace(l) == line {
			return text
		}
	}
	end := edit.Newline(text)
	out := slices.Clone(text)
	if len(out) > 0 && !bytes.HasSuffix(out, []byte("\n")) {
		out = append(out, end...)
	}
	return append(out, line+end...)
}

// mender takes leaks out of one Dockerfile.
type mender struct {
	project *project
	checker *checker
	leaks   []finding.Leak
	text    []byte
	callers map[string][]byte // files that start builds, as far as they change
	given   []string          // flags that a build needs from now on
	moved   []string          // the arguments that are secrets now
}

// attempt is a change that may mend something.
type attempt struct {
	edits []edit.Edit
	arg   string // the argument that becomes a secret, which callers have to give so
	flags []string
}

// mend makes one change after the other, for as long as there is one that helps.
func (m *mender) mend() {
	tried := map[string]bool{}
	for progress := true; progress; {
		progress = false
		for _, o := range m.checker.origins {
			key := fmt.Sprintf("%d %s", o.kind, o.name)
			if tried[key] || !m.counts(o) {
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
	c := &checker{name: m.checker.name, file: file, det: m.checker.det, builds: without(m.checker.builds, a.arg), context: m.checker.context, targets: m.checker.targets}
	c.run()
	leaks := c.results()
	if len(c.gaps) > len(m.checker.gaps) || counted(leaks) >= counted(m.leaks) || anyNew(leaks, m.leaks) {
		return false
	}
	m.text, m.checker, m.leaks, m.callers = text, c, leaks, callers
	m.given = append(m.given, a.flags...)
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
	for _, b := range m.checker.builds {
		text, ok := out[b.File]
		if !ok {
			text = m.project.sources[b.File]
		}
		if !slices.ContainsFunc(b.Args, func(a caller.Arg) bool { return a.Name == arg }) {
			continue
		}
		moved, err := caller.Move(b.File, text, []string{arg}, m.checker.name)
		if err != nil {
			return nil, false
		}
		out[b.File] = moved
	}
	return out, true
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
		old[l.Rule+"\x00"+l.Key]++
	}
	for _, l := range leaks {
		key := l.Rule + "\x00" + l.Key
		if old[key]--; old[key] < 0 {
			return true
		}
	}
	return false
}

// argument makes a secret mount of an argument, and of the variables that have its value.
func (m *mender) argument(name string) *attempt {
	c := m.checker
	if tag := syntaxTag().FindStringSubmatch(c.file.Syntax()); tag != nil && tag[1] == "1" && len(tag[2]) < 2 {
		return nil // env= is not known there
	}
	a := &attempt{arg: name, flags: []string{" --secret id=" + name + ",env=" + name}}
	names := map[int]string{} // of variables, by origin
	for n, o := range c.origins {
		alias := o.alias && len(o.parents) == 1 && names[o.parents[0]] != ""
		if !(o.kind == fromArg && o.name == name) && !alias {
			if slices.ContainsFunc(o.parents, func(p int) bool { return names[p] != "" }) {
				return nil // it is a part of something else
			}
			continue
		}
		if o.inText {
			return nil
		}
		names[n] = o.name
		edits := m.withoutPair(o)
		if edits == nil {
			return nil
		}
		a.edits = append(a.edits, edits...)
	}
	for _, s := range c.steps {
		var mounts []string
		for _, n := range s.visible {
			if v := names[n]; v != "" && !slices.Contains(mounts, v) && s.mayUse(v) {
				mounts = append(mounts, v)
			}
		}
		slices.Sort(mounts)
		var flags string
		for _, v := range mounts {
			flags += fmt.Sprintf(" --mount=type=secret,id=%s,env=%s,required=true", name, v)
		}
		if flags != "" {
			a.edits = append(a.edits, s.insert(flags))
		}
	}
	return a
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
	if start < 0 {
		return nil
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
	usermod id ls cat tar unzip gzip gunzip install sed grep head tail update-ca-certificates locale-gen ldconfig sleep exit trap which command sha256sum corepack`)

// mayUse tells whether a RUN may need a variable: it names it, or runs a program that may look for it.
func (s *runStep) mayUse(variable string) bool {
	if strings.Contains(s.body.Text, variable) {
		return true
	}
	parsed, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(s.code.Text), "")
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
	if !ok || len(copied.SourcePaths) != 1 || len(copied.SourceContents) > 0 || o.target == "" {
		return nil
	}
	target := o.target
	if rest, home := strings.CutPrefix(target, "~/"); home {
		target = "/root/" + rest
	}
	id := strings.TrimLeft(path.Base(o.name), "._")
	flag := fmt.Sprintf(" --mount=type=secret,id=%s,target=%s,required=true", id, target)
	a := &attempt{edits: []edit.Edit{m.lines(copied)}, flags: []string{fmt.Sprintf(" --secret id=%s,src=%s", id, o.name)}}
	for i := range m.checker.steps {
		s := &m.checker.steps[i]
		line, _ := s.body.Place(0)
		last := dockerfile.EditOf(s.cmd.Location(), "").Last
		if s.stage != o.stage || line < o.at.line || line > o.removed {
			continue
		}
		removes := line <= o.removed && o.removed <= last
		var cut cutting
		if removes {
			cut = cutting{target: o.target, dir: s.dir}
			if !cut.script(s.code.Text) {
				return nil
			}
		}
		if changes(s.code.Text, path.Base(o.target)) {
			return nil
		}
		switch {
		case cut.all:
			a.edits = append(a.edits, m.lines(s.cmd))
			continue
		case s.mayUse(path.Base(o.target)):
			mode := ""
			if s.user != "" && s.user != "root" && s.user != "0" {
				mode = ",mode=0444"
			}
			a.edits = append(a.edits, s.insert(flag+mode))
		}
		for _, span := range cut.spans {
			a.edits = append(a.edits, edit.Edit{Start: s.code.Offset(span[0]), End: s.code.Offset(span[1]-1) + 1})
		}
	}
	return a
}

// changes tells whether a script does to a file what cannot be done to a mount.
func changes(script, name string) bool {
	for line := range strings.Lines(strings.ReplaceAll(script, "&&", "\n")) {
		words := strings.Fields(line)
		if len(words) > 0 && strings.Contains(line, name) && slices.Contains([]string{"chmod", "chown", "mv", "sed", "tee", "truncate", "shred", "chgrp"}, words[0]) || strings.Contains(line, ">") && strings.Contains(line, name) {
			return true
		}
	}
	return false
}

// cutting takes the rm of a file out of a script.
type cutting struct {
	target, dir string
	spans       [][2]int
	all         bool // nothing would be left
}

// script finds what to cut; false means that this cannot be done.
func (c *cutting) script(text string) bool {
	parsed, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(text), "")
	if err != nil {
		return false
	}
	for i, st := range parsed.Stmts {
		if !c.stmt(st) {
			continue
		}
		switch {
		case len(parsed.Stmts) == 1:
			c.all = true
		case i+1 < len(parsed.Stmts):
			c.cut(st.Pos(), parsed.Stmts[i+1].Pos())
		default:
			c.cut(parsed.Stmts[i-1].End(), st.End())
		}
		c.spans = append(c.spans, [2]int{-1, -1})
	}
	found := c.all || len(c.spans) > 0
	c.spans = slices.DeleteFunc(c.spans, func(s [2]int) bool { return s[0] < 0 })
	return found
}

func (c *cutting) cut(from, to syntax.Pos) {
	c.spans = append(c.spans, [2]int{int(from.Offset()), int(to.Offset())})
}

// stmt tells whether nothing of a statement is left.
func (c *cutting) stmt(st *syntax.Stmt) bool {
	switch cmd := st.Cmd.(type) {
	case *syntax.CallExpr:
		return len(st.Redirs) == 0 && c.rm(cmd)
	case *syntax.BinaryCmd:
		if cmd.Op != syntax.AndStmt {
			return false
		}
		x, y := c.stmt(cmd.X), c.stmt(cmd.Y)
		switch {
		case x && !y:
			c.cut(cmd.X.Pos(), cmd.Y.Pos())
		case y && !x:
			c.cut(cmd.X.End(), cmd.Y.End())
		}
		return x && y
	}
	return false
}

// rm tells whether a command only removes the file. If it removes others, too, the file's word is cut.
func (c *cutting) rm(call *syntax.CallExpr) bool {
	if len(call.Args) < 2 || call.Args[0].Lit() != "rm" {
		return false
	}
	others := 0
	var own []*syntax.Word
	for _, w := range call.Args[1:] {
		text := strings.NewReplacer("$HOME", "~", "${HOME}", "~").Replace(printed(w))
		switch {
		case strings.HasPrefix(text, "-"):
		case flow.Abs(c.dir, text) == c.target:
			own = append(own, w)
		default:
			others++
		}
	}
	if others == 0 {
		return len(own) > 0
	}
	for _, w := range own {
		c.spans = append(c.spans, [2]int{int(w.Pos().Offset()) - 1, int(w.End().Offset())})
	}
	return false
}

// printed is a word as it is written, without quotes.
func printed(w *syntax.Word) string {
	var b strings.Builder
	if syntax.NewPrinter().Print(&b, w) != nil {
		return ""
	}
	return strings.Trim(b.String(), `"'`)
}
