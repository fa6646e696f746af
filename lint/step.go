package lint

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/tightlip/tightlip/dockerfile"
	"github.com/tightlip/tightlip/finding"
	"github.com/tightlip/tightlip/internal/lazy"
	"github.com/tightlip/tightlip/lint/flow"
	"github.com/tightlip/tightlip/scan/detect"
	"mvdan.cc/sh/v3/syntax"
)

var (
	hostChecking = lazy.Regexp(`(?i)StrictHostKeyChecking[\s="']+no\b`)
	keyscan      = lazy.Regexp(`\bssh-keyscan\b`)
	pinned       = lazy.Regexp(`ssh-keygen\s+-\w*l|SHA256:|sha256sum|\bdiff\b|\bcmp\b`)
	queryToken   = lazy.Regexp(`(?i)\b(?:curl|wget)\b[^|;&]*?https?://[^\s"'?]+\?[^\s"']*?\b(?:[\w-]*token|api_?key|secret|password|passwd|pwd|auth|sig)=(\$\{?\w+\}?|\$\([^)]*\)|[^\s"'&]{8,})`)
)

// step follows the secrets through a RUN.
func (c *checker) step(s *state, stage int, run *instructions.RunCommand, body dockerfile.Body) {
	flags, rest := body.Flags()
	script := flow.Script{Trace: traces(s.shell), Env: s.vars, Dir: s.dir, Files: map[string]flow.Origins{}, StandIn: standInOf}
	for p, from := range s.files {
		script.Files[p] = from
	}
	code, ok := c.code(s, run, rest, &script)
	c.mounts(&script, s, stage, run, flags)
	c.steps = append(c.steps, runStep{stage, run, c.file.Body(run.Location()), code, visible(s), s.user, s.dir})
	c.patterns(stage, rest)
	c.literals(stage, rest, detect.Content{Data: []byte(rest.Text), Kind: detect.Command}, literalSecret)
	if !ok {
		return
	}
	script.Fetched = func(offset int, host string) int {
		return c.add(&origin{kind: fromNet, name: host, at: placeIn(code, offset, offset), stage: stage, sure: true, why: "that is what is fetched there"})
	}
	result, err := flow.Run(script)
	if err != nil {
		c.gap(code, 0, "the script of this RUN cannot be followed: "+why(err))
		return
	}
	c.events(stage, code, result.Events)
	s.files = result.Files
}

// maxVisible is how many variables a stage may have of which fixes know.
const maxVisible = 200

// visible are the origins of a state's variables.
func visible(s *state) (out flow.Origins) {
	if len(s.vars) > maxVisible {
		return nil
	}
	for _, v := range s.vars {
		out = append(out, v.From...)
	}
	return out
}

// gap notes what cannot be checked.
func (c *checker) gap(b dockerfile.Body, at int, reason string) {
	line, _ := b.Place(at)
	c.gaps = append(c.gaps, Unread{Path: c.name, Line: line, Reason: reason})
}

// why is the reason for which a script cannot be followed. What the parser says may quote the script.
func why(err error) string {
	if at := (syntax.ParseError{}); errors.As(err, &at) {
		return fmt.Sprintf("its shell cannot parse it (line %d, column %d of the script)", at.Pos.Line(), at.Pos.Col())
	}
	if at := (syntax.LangError{}); errors.As(err, &at) {
		return fmt.Sprintf("it is for another shell (line %d, column %d of the script)", at.Pos.Line(), at.Pos.Col())
	}
	if errors.As(err, new(syntax.QuoteError)) {
		return "it has a quote that does not end"
	}
	return err.Error()
}

// traces tells whether a shell prints what it runs.
func traces(shell []string) bool {
	return slices.ContainsFunc(shell[1:], func(o string) bool {
		return strings.HasPrefix(o, "-") && !strings.HasPrefix(o, "--") && strings.Contains(o, "x")
	})
}

// shells are those whose scripts can be read.
var shells = lazy.Regexp(`(^|/)(sh|bash|ash|dash|zsh|ksh|busybox)$`)

// code is the script of a RUN, if a shell runs it that can be followed.
func (c *checker) code(s *state, run *instructions.RunCommand, rest dockerfile.Body, script *flow.Script) (code dockerfile.Body, ok bool) {
	if !run.PrependShell {
		words := make([]string, 0, len(run.CmdLine))
		for _, w := range run.CmdLine {
			quoted, err := syntax.Quote(w, syntax.LangBash)
			if err != nil {
				return rest, false
			}
			words = append(words, quoted)
		}
		script.Text = strings.Join(words, " ")
		return rest.To(min(1, len(rest.Text))), true // nothing in it has a place of its own
	}
	if len(s.shell) == 0 || !shells().MatchString(s.shell[0]) {
		return rest, false
	}
	script.Text = rest.Text
	first, _, more := strings.Cut(rest.Text, "\n")
	if more && len(run.Files) > 0 && heredocAlone().MatchString(first) {
		inner := rest.From(len(first) + 1)
		end := strings.LastIndex(strings.TrimRight(inner.Text, "\n"), "\n")
		if inner = inner.To(max(end, 0)); strings.HasPrefix(inner.Text, "#!") && !shells().MatchString(strings.Fields(inner.Text[2:] + " ?")[0]) && !strings.Contains(strings.SplitN(inner.Text, "\n", 2)[0], "sh") {
			return inner, false
		}
		script.Text = inner.Text
		return inner, true
	}
	return rest, true
}

var heredocAlone = lazy.Regexp(`^<<-?\s*["']?\w+["']?\s*$`)

// mounts brings what a RUN mounts to its script.
func (c *checker) mounts(script *flow.Script, s *state, stage int, run *instructions.RunCommand, flags []dockerfile.Body) {
	list, err := mountsOf(run)
	if err != nil {
		c.gap(c.file.Body(run.Location()), 0, "the mounts of this RUN cannot be read")
	}
	for i, m := range list {
		at := place{}
		if i < len(flags) {
			at = placeIn(flags[i], 0, len(flags[i].Text))
		}
		target := ""
		if m.Target != "" {
			target = flow.Abs(s.dir, s.expand(m.Target).Text)
			script.Outside = append(script.Outside, target)
		}
		switch m.Type {
		case instructions.MountTypeSecret:
			c.secretMount(script, stage, m, target, at)
		case instructions.MountTypeBind:
			c.bound(script, s, stage, m, target, at)
			if m.From == "" && credentialName(m.Source) != nil {
				n := c.add(&origin{kind: fromMount, name: m.Source, at: at, stage: stage, sure: true, why: "it is a credential file"})
				script.Files[target] = flow.Origins{n}
			}
		}
	}
}

// bound brings what a RUN mounts of the context or of another stage.
func (c *checker) bound(script *flow.Script, s *state, stage int, m *instructions.Mount, target string, at place) {
	if m.From != "" {
		if n := c.file.Stage(m.From, stage); n >= 0 {
			source := flow.Abs("/", s.expand(m.Source).Text)
			for p, from := range c.states[n].files {
				if flow.Within(p, source) {
					script.Files[flow.Abs("/", path.Join(target, strings.TrimPrefix(p, source)))] = from
				}
			}
		}
		return
	}
	source := strings.TrimPrefix(path.Clean("/"+s.expand(m.Source).Text), "/")
	for _, f := range c.context.below(source) {
		if (detect.Keeps(f) || credentialName(f) != nil) && c.context.credential(c.det, f, f, false) != nil {
			n := c.add(&origin{kind: fromMount, name: f, at: at, stage: stage, sure: true, why: "it is a credential file of the context"})
			script.Files[flow.Abs("/", path.Join(target, strings.TrimPrefix(f, source)))] = flow.Origins{n}
		}
	}
}

// condition is a test of a variable by which a script decides what to do.
var condition = lazy.Regexp(`\b(?:if|elif|while)\s+!?\s*(?:\[\[?|test)\s+-[nz]\s+"?\$\{?(\w+)`)

// exits is how far behind the condition a script says that it cannot go on.
const exits = 120

// asks tells whether a script goes on without the value of a variable, and knows it.
func asks(script, name string) bool {
	for _, form := range []string{"${" + name + ":-", "${" + name + "-", "${" + name + ":+", "${" + name + "+"} {
		if strings.Contains(script, form) {
			return true
		}
	}
	for _, m := range condition().FindAllStringSubmatchIndex(script, -1) {
		if script[m[2]:m[3]] == name && !strings.Contains(script[m[1]:min(len(script), m[1]+exits)], "exit 1") {
			return true
		}
	}
	return false
}

// secretMount brings a secret to a script.
func (c *checker) secretMount(script *flow.Script, stage int, m *instructions.Mount, target string, at place) {
	id := m.CacheID
	if id == "" {
		id = path.Base(m.Target)
	}
	n := c.add(&origin{kind: fromMount, name: id, at: at, stage: stage, sure: true, why: "it is mounted as one"})
	if m.Env != nil {
		script.Env = maps.Clone(script.Env)
		script.Env[*m.Env] = flow.Value{Text: standInOf(n), From: flow.Origins{n}}
	}
	if target == "" && m.Env == nil {
		target = "/run/secrets/" + id
		script.Outside = append(script.Outside, target)
	}
	if target != "" {
		script.Files[target] = flow.Origins{n}
	}
	if m.Env != nil && !m.Required && !asks(script.Text, *m.Env) {
		c.find(found{rule: mountNotRequired, at: at, key: id, stage: stage, detail: text("If the build is not given the secret %s, this RUN goes on with an empty %s.", id, *m.Env)})
	}
}

// patterns finds what needs no following.
func (c *checker) patterns(stage int, body dockerfile.Body) {
	if m := hostChecking().FindStringIndex(body.Text); m != nil {
		c.find(found{rule: sshHostChecking, at: placeIn(body, m[0], m[1]), stage: stage, detail: text("ssh takes any host for the right one.")})
	}
	if m := keyscan().FindStringIndex(body.Text); m != nil && !pinned().MatchString(body.Text) {
		c.find(found{rule: sshKeyscan, at: placeIn(body, m[0], m[1]), stage: stage, detail: text("Nothing compares the key with one that is known.")})
	}
	if m := queryToken().FindStringSubmatchIndex(body.Text); m != nil && !detect.Placeholder(strings.TrimLeft(body.Text[m[2]:m[3]], "$")) {
		c.find(found{rule: networkSecret, at: placeIn(body, m[2], m[3]), stage: stage, detail: text("The address has the secret in its query: servers and proxies write that to their logs.")})
	}
}

// events makes findings of what a script does.
func (c *checker) events(stage int, code dockerfile.Body, events []flow.Event) {
	for _, files := range []bool{true, false} { // what is written to a file of a known format says more than the command
		for _, e := range events {
			if e.Kind == flow.Used && (e.Path != "") == files {
				c.usedIn(stage, placeIn(code, e.Start, e.End), e)
			}
		}
	}
	for _, e := range events {
		e.Path = c.det.Mask(c.named(e.Path))
		c.event(stage, placeIn(code, e.Start, e.End), e)
	}
}

// usedIn looks at a command, or at what is written to a file.
func (c *checker) usedIn(stage int, at place, e flow.Event) {
	if e.Login {
		for _, n := range e.From {
			c.mark(n, fmt.Sprintf("line %d gives it away: %s reads it", at.line, e.Command))
		}
		return
	}
	content, how := detect.Content{Data: []byte(e.Text), Kind: detect.Command}, e.Command
	if e.Path != "" {
		content.Path, content.Kind, how = strings.TrimLeft(e.Path, "~/"), detect.File, e.Path
	}
	if p := strings.TrimPrefix(e.Path, "~/"); p != "" && credentialName(p) != nil && len(e.From) == 1 && strings.TrimSpace(e.Text) == standInOf(e.From[0]) {
		c.mark(e.From[0], fmt.Sprintf("line %d gives it away: it is all of %s", at.line, e.Path))
	}
	c.used(content, e.From, how, at.line)
	if e.Path != "" && len(e.From) == 0 {
		c.written(stage, at, content)
	}
}

// written looks for secrets in a file that a script writes.
func (c *checker) written(stage int, at place, content detect.Content) {
	for _, m := range c.det.Find(content) {
		if m.Rule.Severity.AtLeast(finding.Medium) {
			c.find(found{rule: literalSecret, at: at, key: m.Key, stage: stage, severity: m.Rule.Severity, detail: text("It is written here as it is, to %s: %s.", c.det.Mask(content.Path), m.Rule.Title)})
		}
	}
}

// event makes a finding of one event.
func (c *checker) event(stage int, at place, e flow.Event) {
	from := slices.DeleteFunc(slices.Clone(e.From), func(n int) bool { return c.origins[n].kind == fromFile })
	f := found{at: at, from: from, stage: stage}
	which := func() string {
		o := c.first(from)
		if o.kind == fromMount {
			return "The secret " + o.name
		}
		return fmt.Sprintf("%s, a secret (%s),", o.name, o.why)
	}
	switch e.Kind {
	case flow.Removed:
		for _, n := range e.From {
			if c.origins[n].removed == 0 {
				c.origins[n].removed = at.line
			}
		}
		return
	case flow.Written:
		f.rule, f.key = secretInFile, e.Path
		if slices.ContainsFunc(from, func(n int) bool { return c.origins[n].kind == fromNet }) {
			f.rule = networkSecret
		}
		f.detail = func() string {
			return fmt.Sprintf("%s is written to %s (%s), and stays there.", which(), e.Path, e.Command)
		}
	case flow.Stored:
		f.rule, f.key = secretInConfig, e.Path
		f.detail = func() string { return fmt.Sprintf("%s is kept in %s by %s.", which(), e.Path, e.Command) }
	case flow.Printed:
		f.rule, f.detail = secretInLog, func() string { return which() + " is printed." }
	case flow.Traced:
		f.rule, f.detail = secretTraced, func() string { return which() + " is in a command that the shell prints." }
	case flow.InURL:
		f.rule, f.detail = networkSecret, func() string { return which() + " is in the query of an address." }
	default:
		return
	}
	if len(from) > 0 {
		c.find(f)
	}
}
