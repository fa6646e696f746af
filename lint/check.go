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
	"github.com/tightlip/tightlip/lint/flow"
	"github.com/tightlip/tightlip/scan/detect"
)

// checker follows secrets through a Dockerfile, from where they get in to where they stay.
type checker struct {
	name    string
	file    *dockerfile.File
	det     *detect.Detector
	builds  []*caller.Build // that use it
	context *buildContext   // nil: it is not known
	targets []string
	child   bool // it is made of ONBUILD instructions
	bare    bool // the findings need no quotes

	global   map[string]flow.Value // of ARGs before the first FROM
	reached  []bool                // the stages whose layers and config are the image's
	states   []*state              // of the stages at their ends
	origins  []*origin
	found    []found
	steps    []runStep
	sources  []string // that are copied from the context
	commands []string // of containers
	gaps     []Unread
	masked   map[int]string // lines
	skipped  []string       // checks of BuildKit that the file turns off
}

// runStep is a RUN, as fixes need it.
type runStep struct {
	stage   int
	cmd     *instructions.RunCommand
	body    dockerfile.Body // from its keyword on
	code    dockerfile.Body // its script
	visible flow.Origins    // of the variables that it has
	user    string
	dir     string
}

// run follows the secrets.
func (c *checker) run() {
	c.reach()
	c.globals()
	for i := range c.file.Stages() {
		c.stage(i)
	}
	c.syntax()
	c.rest()
}

// reach finds the stages that images are made of.
func (c *checker) reach() {
	stages := c.file.Stages()
	c.reached = make([]bool, len(stages))
	targets := append([]string{""}, c.targets...)
	for _, b := range c.builds {
		targets = append(targets, b.Target)
	}
	for _, target := range targets {
		i := len(stages) - 1
		if target != "" {
			i = c.file.Stage(target, len(stages))
		}
		for i >= 0 {
			c.reached[i] = true
			i = c.base(i)
		}
	}
}

// base is the stage that a stage starts from; -1 if it is none of the file.
func (c *checker) base(i int) int {
	name, err := c.file.Expand(c.file.Stages()[i].BaseName, nil)
	if err != nil {
		return -1
	}
	return c.file.Stage(name, i)
}

// inherits tells whether a stage is another one or starts from it.
func (c *checker) inherits(stage, from int) bool {
	for ; stage >= 0; stage = c.base(stage) {
		if stage == from {
			return true
		}
	}
	return false
}

// globals notes the arguments before the first stage, which stages take over by name.
func (c *checker) globals() {
	c.global = map[string]flow.Value{}
	for _, a := range c.file.Args() {
		for _, kv := range a.Args {
			if kv.Value != nil {
				c.global[kv.Key] = flow.Value{Text: unquoted(*kv.Value)}
			}
			value := ""
			if kv.Value != nil {
				value = unquoted(*kv.Value)
			}
			if _, literal := c.setting(kv.Key, value); literal || !c.file.Declares(kv.Key) {
				c.arg(&state{vars: map[string]flow.Value{}}, -1, a, kv)
			}
		}
	}
}

// stage follows the instructions of a stage.
func (c *checker) stage(i int) {
	s := &state{vars: map[string]flow.Value{}, files: map[string]flow.Origins{}, dir: "/", shell: []string{"/bin/sh", "-c"}}
	s.known = c.file.Stages()[i].BaseName == "scratch"
	if b := c.base(i); b >= 0 {
		base := c.states[b]
		s = &state{maps.Clone(base.vars), maps.Clone(base.files), base.dir, base.known, false, base.shell, base.user}
	}
	c.states = append(c.states, s)
	var later []instructions.OnbuildCommand
	for _, cmd := range c.file.Stages()[i].Commands {
		if o, ok := cmd.(*instructions.OnbuildCommand); ok {
			later = append(later, *o)
			continue
		}
		c.instruction(s, i, cmd)
	}
	c.onbuild(i, later)
}

// instruction follows one instruction.
func (c *checker) instruction(s *state, i int, cmd instructions.Command) {
	_, body := c.file.Body(cmd.Location()).Keyword()
	switch cmd := cmd.(type) {
	case *instructions.ArgCommand:
		for _, kv := range cmd.Args {
			c.arg(s, i, *cmd, kv)
		}
	case *instructions.EnvCommand:
		for _, kv := range cmd.Env {
			c.env(s, i, body, kv)
		}
	case *instructions.LabelCommand:
		for _, kv := range cmd.Labels {
			c.label(s, i, body, kv)
		}
	case *instructions.WorkdirCommand:
		c.workdir(s, cmd.Path)
	case *instructions.UserCommand:
		s.user = cmd.User
	case *instructions.ShellCommand:
		s.shell = cmd.Shell
	case *instructions.AddCommand:
		c.copied(s, i, &copying{body: body, sources: cmd.SourcePaths, contents: cmd.SourceContents, dest: cmd.DestPath, excludes: cmd.ExcludePatterns, add: true})
	case *instructions.CopyCommand:
		c.copied(s, i, &copying{body: body, sources: cmd.SourcePaths, contents: cmd.SourceContents, dest: cmd.DestPath, excludes: cmd.ExcludePatterns, from: cmd.From})
	case *instructions.RunCommand:
		for _, v := range s.vars {
			c.keep(v.From)
		}
		c.step(s, i, cmd, body)
	case *instructions.CmdCommand, *instructions.EntrypointCommand, *instructions.HealthCheckCommand:
		c.commands = append(c.commands, body.Text)
		c.literals(i, body, detect.Content{Data: []byte(body.Text), Kind: detect.Command}, literalSecret)
	}
}

// workdir is the folder from there on. It is known if nothing in it depends on what the base image says.
func (c *checker) workdir(s *state, to string) {
	v := c.expand(s, to)
	s.known = (s.known || path.IsAbs(v.Text)) && !s.unknown(to) && len(v.From) == 0
	s.dir = flow.Abs(s.dir, v.Text)
}

// windows tells whether images are of Windows, whose builder and shells have other rules.
func (c *checker) windows() bool {
	if c.file.Escape() == '`' {
		return true
	}
	for i, stage := range c.file.Stages() {
		base := strings.ToLower(stage.BaseName)
		if strings.Contains(base, "windows") || strings.Contains(base, "nanoserver") || strings.Contains(base, "servercore") {
			return true
		}
		if shell := c.states[i].shell; len(shell) > 0 && !shells().MatchString(shell[0]) {
			return true
		}
	}
	return false
}

// keep notes that a RUN is behind variables, and behind those whose values they have.
func (c *checker) keep(from flow.Origins) {
	for _, n := range from {
		c.origins[n].kept++
		c.keep(c.origins[n].parents)
	}
}

// named is the place of a name that a body has as a word.
func named(b dockerfile.Body, name string) place {
	for from := 0; ; {
		n := strings.Index(b.Text[from:], name)
		if n < 0 {
			return placeIn(b, 0, 0)
		}
		n += from
		end := n + len(name)
		if (n == 0 || strings.IndexByte(" \t\"'", b.Text[n-1]) >= 0) && (end == len(b.Text) || strings.IndexByte("= \t\"'", b.Text[end]) >= 0) {
			return placeIn(b, n, end)
		}
		from = end
	}
}

// arg is an argument that a build may be given.
func (c *checker) arg(s *state, stage int, cmd instructions.ArgCommand, kv instructions.KeyValuePairOptional) {
	value, given := "", kv.Value != nil
	if given {
		value = s.expand(unquoted(*kv.Value)).Text
	} else if g, ok := c.global[kv.Key]; ok {
		value, given = g.Text, true
	}
	o := &origin{kind: fromArg, name: kv.Key, stage: stage}
	_, body := c.file.Body(cmd.Location()).Keyword()
	o.at = named(body, kv.Key)
	caller, filled := c.filled(kv.Key)
	m, literal := c.setting(kv.Key, value)
	o.preset = value != "" && !literal
	switch {
	case filled:
		o.sure, o.why = true, caller
	case literal && kv.Value != nil:
		o.sure, o.why = true, "its default is one ("+called(m.Rule)+")"
		if !detect.SecretName(kv.Key) {
			c.find(found{rule: literalSecret, at: o.at, key: kv.Key, stage: stage, detail: text("%s has a default that is a secret: %s.", kv.Key, called(m.Rule))})
		}
	case c.givenPlain(kv.Key):
	case detect.SecretName(kv.Key) && !strings.HasSuffix(strings.ToLower(kv.Key), "_proxy") && (value == "" || !placeholder(value) && !harmless(value)):
		o.sure, o.why = true, "its name says so"
	case given && value != "" && harmless(value):
		s.vars[kv.Key] = flow.Value{Text: value}
		return
	}
	n := c.add(o)
	s.vars[kv.Key] = flow.Value{Text: standInOf(n), From: flow.Origins{n}}
	c.find(found{rule: secretArg, at: o.at, key: kv.Key, from: []int{n}, stage: stage, detail: func() string { return c.argDetail(o) }})
}

func (c *checker) argDetail(o *origin) string {
	where := "Provenance with mode=max has its value, although no RUN line is behind it."
	if o.kept > 0 {
		where = fmt.Sprintf("docker history shows its value with each of the %d RUN lines behind it; provenance with mode=max has it, too.", o.kept)
	}
	if o.kept == 1 {
		where = "docker history shows its value with the RUN line behind it; provenance with mode=max has it, too."
	}
	return fmt.Sprintf("%s is a secret: %s. %s", o.name, o.why, where)
}

// filled tells whether a caller fills an argument from a secret.
func (c *checker) filled(name string) (why string, ok bool) {
	for _, b := range c.builds {
		for _, a := range b.Args {
			if a.Name != name {
				continue
			}
			if a.From != "" {
				return fmt.Sprintf("%s:%d fills it from %s", b.File, a.Line, a.From), true
			}
			if _, literal := c.setting(name, a.Literal); literal {
				return fmt.Sprintf("%s:%d gives it one", b.File, a.Line), true
			}
		}
	}
	return "", false
}

// givenPlain tells whether all callers that give an argument give it a value that is no secret.
func (c *checker) givenPlain(name string) bool {
	given := false
	for _, b := range c.builds {
		for _, a := range b.Args {
			if a.Name == name {
				if a.Literal == "" || !harmless(a.Literal) {
					return false
				}
				given = true
			}
		}
	}
	return given
}

// setting judges the value of a setting.
func (c *checker) setting(name, value string) (m detect.Match, ok bool) {
	if len(value) < 4 || strings.Contains(value, standIn) {
		return m, false
	}
	for _, m := range c.det.Find(detect.Content{Data: []byte(name + "=" + value), Kind: detect.Setting}) {
		if m.Rule.Severity.AtLeast(finding.Low) {
			return m, true
		}
	}
	return m, false
}

// called is what a rule of the detector finds, in words.
func called(r *detect.Rule) string {
	if r.ID == "secret-setting" {
		return "by its name"
	}
	return r.Title
}

// plainValue is one that is no secret whatever it is used for: a number, a version, a path, a word of letters, an address without a password.
var plainValue = lazy.Regexp(`^(v?\d+([.x-][\w.+-]*)*|[~.]?[./][\w./@+-]*|[a-z][a-z0-9+.-]*://[^@\s]*|[A-Za-z]{1,40}([-_. /:][A-Za-z0-9.]{1,20}){0,8}|true|false|\*|.{1,3})$`)

func harmless(value string) bool {
	return len(value) <= maxPlain && plainValue().MatchString(value) && !strings.Contains(value, standIn)
}

// placeholder tells whether a value only stands for one.
func placeholder(value string) bool { return len(value) <= maxPlain && detect.Placeholder(value) }

// maxPlain is how many bytes a value may have that is no secret by its looks.
const maxPlain = 256

// env is a variable that each step and each container has.
func (c *checker) env(s *state, stage int, body dockerfile.Body, kv instructions.KeyValuePair) {
	value := s.expand(unquoted(kv.Value))
	at := named(body, kv.Key)
	m, literal := c.setting(kv.Key, value.Text)
	switch {
	case len(value.From) > 0:
		o := &origin{kind: fromEnv, name: kv.Key, at: at, stage: stage, parents: value.From, alias: len(value.From) == 1 && value.Text == standInOf(value.From[0])}
		o.preset = strings.ContainsAny(kv.Value, "-+")
		n := c.add(o)
		if !o.alias {
			c.expand(s, kv.Value)
		}
		if o.alias && detect.SecretName(kv.Key) {
			c.mark(n, fmt.Sprintf("line %d makes it %s", at.line, kv.Key))
		}
		c.used(detect.Content{Data: []byte(kv.Key + "=" + value.Text), Kind: detect.Setting}, value.From, "ENV "+kv.Key, at.line)
		s.vars[kv.Key] = flow.Value{Text: value.Text, From: flow.Origins{n}}
		if o.alias {
			s.vars[kv.Key] = flow.Value{Text: standInOf(n), From: flow.Origins{n}}
		}
		c.find(found{rule: envFromArg, at: at, key: kv.Key, from: []int{n}, stage: stage, detail: func() string {
			return fmt.Sprintf("%s is given the value of %s, a secret: %s. It is in the config of the image, for docker inspect and in each container.", kv.Key, c.first([]int{n}).name, c.first([]int{n}).why)
		}})
	case literal:
		n := c.add(&origin{kind: fromEnv, name: kv.Key, at: at, stage: stage, sure: true, why: "it is written here"})
		s.vars[kv.Key] = flow.Value{Text: standInOf(n), From: flow.Origins{n}}
		c.find(found{rule: secretEnv, at: at, key: kv.Key, stage: stage, severity: m.Rule.Severity, detail: text("%s holds a secret (%s): it is in the file, and in the config of the image.", kv.Key, called(m.Rule))})
	case value.Text == "" || harmless(value.Text) || placeholder(value.Text):
		s.vars[kv.Key] = value
	default: // it may be one: what it is used for tells
		o := &origin{kind: fromEnv, name: kv.Key, at: at, stage: stage}
		n := c.add(o)
		s.vars[kv.Key] = flow.Value{Text: standInOf(n), From: flow.Origins{n}}
		c.find(found{rule: secretEnv, at: at, key: kv.Key, from: []int{n}, stage: stage, detail: func() string {
			return fmt.Sprintf("%s is a secret: %s. It is in the file, and in the config of the image.", kv.Key, o.why)
		}})
	}
	if hostChecking().MatchString(kv.Value) {
		c.find(found{rule: sshHostChecking, at: at, key: kv.Key, stage: stage, detail: text("%s turns the check of the host's key off.", kv.Key)})
	}
}

// label is in the config, with the variables in it replaced.
func (c *checker) label(s *state, stage int, body dockerfile.Body, kv instructions.KeyValuePair) {
	value := c.expand(s, unquoted(kv.Value))
	at := named(body, kv.Key)
	if m, ok := c.setting(kv.Key, value.Text); ok {
		c.find(found{rule: literalSecret, at: at, key: kv.Key, stage: stage, severity: m.Rule.Severity, detail: text("The label %s holds a secret (%s): it is in the file, and in the config of the image.", kv.Key, called(m.Rule))})
	}
	if len(value.From) > 0 {
		c.find(found{rule: envFromArg, at: at, key: kv.Key, from: value.From, stage: stage, detail: func() string {
			return fmt.Sprintf("The label %s has the value of %s, a secret: %s.", kv.Key, c.first(value.From).name, c.first(value.From).why)
		}})
	}
}

// literals looks for secrets in a text of an instruction. A content with a path is a file that starts at the body's start.
func (c *checker) literals(stage int, body dockerfile.Body, content detect.Content, rule *detect.Rule) {
	for _, m := range c.det.Find(content) {
		if !m.Rule.Severity.AtLeast(finding.Low) || strings.Contains(string(content.Data[m.Start:m.End]), standIn) {
			continue
		}
		found := found{rule: rule, at: placeIn(body, m.Start, m.End), key: m.Key, stage: stage, severity: m.Rule.Severity}
		if m.Rule.ID == urlRule {
			found.rule = credentialURL
		}
		found.detail = text("It is written here as it is: %s.", called(m.Rule))
		c.find(found)
	}
}

// urlRule is the detector's rule for passwords in addresses.
const urlRule = "url-credentials"

// expand is the state's, for an instruction that cannot have a mount instead.
func (c *checker) expand(s *state, word string) flow.Value {
	v := s.expand(word)
	for _, n := range v.From {
		c.origins[n].inText = true
	}
	return v
}

// expand replaces the variables of a word by their values, as instructions other than RUN do.
func (s *state) expand(word string) flow.Value {
	if !strings.Contains(word, "$") {
		return flow.Value{Text: word}
	}
	var out flow.Value
	last := 0
	for _, m := range reference().FindAllStringSubmatchIndex(word, -1) {
		if m[0] > 0 && word[m[0]-1] == '\\' {
			continue
		}
		name, instead := submatch(word, m, 1)+submatch(word, m, 2), submatch(word, m, 3)
		out.Text += word[last:m[0]]
		last = m[1]
		v, ok := s.vars[name]
		switch {
		case strings.HasPrefix(instead, "+"):
			out.Text += instead[1:]
		case ok && v.Text != "":
			out.Text += v.Text
			for _, n := range v.From {
				if !slices.Contains(out.From, n) {
					out.From = append(out.From, n)
				}
			}
		case strings.HasPrefix(instead, "-"):
			out.Text += instead[1:]
		}
	}
	out.Text += word[last:]
	out.Text = out.Text[:min(len(out.Text), maxWord)] // each ENV can double the one before
	return out
}

// unknown tells whether a word has a variable that the Dockerfile does not set.
func (s *state) unknown(word string) bool {
	for _, m := range reference().FindAllStringSubmatchIndex(word, -1) {
		if _, ok := s.vars[submatch(word, m, 1)+submatch(word, m, 2)]; !ok {
			return true
		}
	}
	return false
}

// maxWord is how many bytes of a value are followed.
const maxWord = 4 << 10

// reference is a variable in a word: its name, and what is there instead or with it.
var reference = lazy.Regexp(`\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)(?::?([-+][^}]*))?[^}]*\})`)

func submatch(s string, m []int, n int) string {
	if m[2*n] < 0 {
		return ""
	}
	return s[m[2*n]:m[2*n+1]]
}

func unquoted(s string) string {
	if len(s) > 1 && (s[0] == '"' || s[0] == '\'') && s[len(s)-1] == s[0] {
		return s[1 : len(s)-1]
	}
	return s
}

// syntaxTag is the version of Docker's frontend.
var syntaxTag = lazy.Regexp(`^(?:docker\.io/)?(?:docker/dockerfile|docker/dockerfile-upstream):(\d+)\.(\d+)(?:\.\d+)?(-\w+)?`)

// syntax compares the frontend that the file asks for with what it uses.
func (c *checker) syntax() {
	m := syntaxTag().FindStringSubmatch(c.file.Syntax())
	if m == nil || m[1] != "1" || c.child {
		return
	}
	var minor int
	fmt.Sscan(m[2], &minor)
	need, what := 0, ""
	uses := func(n int, feature string) {
		if n > need {
			need, what = n, feature
		}
	}
	for _, stage := range c.file.Stages() {
		for _, cmd := range stage.Commands {
			run, ok := cmd.(*instructions.RunCommand)
			if !ok {
				continue
			}
			if len(run.Files) > 0 {
				uses(4, "here-documents")
			}
			mounts, _ := mountsOf(run) // the step tells of the error
			for _, mount := range mounts {
				switch {
				case mount.Env != nil:
					uses(10, "secret mounts with env=")
				case mount.Type == instructions.MountTypeSecret || mount.Type == instructions.MountTypeSSH:
					if m[3] == "" {
						uses(2, "mounts of type "+string(mount.Type))
					}
				}
			}
		}
	}
	if minor < need {
		c.find(found{rule: oldSyntax, at: place{c.syntaxLine(), 1, 0}, key: "syntax", stage: -1, detail: text("%s need docker/dockerfile:1.%d; the first line asks for 1.%d.", what, need, minor)})
	}
}

func (c *checker) syntaxLine() int {
	for n := 1; n < 20; n++ {
		if strings.Contains(strings.ToLower(c.file.Line(n)), "syntax") {
			return n
		}
	}
	return 1
}

// mountsOf are the mounts of a RUN.
func mountsOf(run *instructions.RunCommand) ([]*instructions.Mount, error) {
	if err := run.Expand(func(word string) (string, error) { return word, nil }); err != nil {
		return nil, err
	}
	return instructions.GetMounts(run), nil
}

// onbuild follows what the builds of other images will do.
func (c *checker) onbuild(stage int, cmds []instructions.OnbuildCommand) {
	if len(cmds) == 0 {
		return
	}
	src, lines := "FROM scratch\n", []place{{}, {}}
	for _, cmd := range cmds {
		_, body := c.file.Body(cmd.Location()).Keyword()
		at := placeIn(body, 0, len(strings.SplitN(body.Text, "\n", 2)[0]))
		expression := strings.TrimRight(body.Text, "\n")
		src += expression + "\n"
		for range strings.Count(expression, "\n") + 1 {
			lines = append(lines, at)
		}
	}
	file, err := dockerfile.Parse(c.name, []byte(src))
	if err != nil {
		c.gap(c.file.Body(cmds[0].Location()), 0, "the ONBUILD instructions cannot be read: "+reasonOf(err))
		return
	}
	child := &checker{name: c.name, file: file, det: c.det, builds: c.builds, child: true}
	child.run()
	for _, f := range child.results() {
		if f.Severity.AtLeast(finding.Low) {
			c.find(found{rule: onbuildSecret, at: lines[min(f.Line, len(lines)-1)], key: f.Key, stage: stage, severity: f.Severity, detail: text("In each image built from this one: %s. %s", f.Title, f.Detail)})
		}
	}
}

// rest looks for secrets where nothing was found so far: in comments, and in instructions that have no reader of their own.
func (c *checker) rest() {
	if c.child {
		return
	}
	lines := map[int]bool{}
	for _, f := range c.found {
		if f.from == nil {
			lines[f.at.line] = true
		}
	}
	whole := c.file.Whole()
	for _, m := range c.det.Find(detect.Content{Path: "Dockerfile", Data: []byte(whole.Text)}) {
		at := placeIn(whole, m.Start, m.End)
		if !m.Rule.Severity.AtLeast(finding.Low) || lines[at.line] || m.Rule.ID == "generic-secret" {
			continue
		}
		f := found{rule: literalSecret, at: at, key: m.Key, stage: -1, severity: m.Rule.Severity, detail: text("It is written here as it is: %s.", called(m.Rule))}
		if strings.HasPrefix(c.file.Line(at.line), "#") {
			f.severity, f.detail = finding.Medium, text("It is in a comment (%s): not in the image, but in provenance with mode=max, which has the Dockerfile.", m.Rule.Title)
		}
		c.find(f)
	}
}
