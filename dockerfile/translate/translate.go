// Package translate writes Dockerfiles for builders that do not know all of BuildKit's mounts and heredocs. What a step does,
// and what it leaves in the image, stays the same.
package translate

import (
	"cmp"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerfile/shell"
	"github.com/tightlip/tightlip/broker/shim"
	"github.com/tightlip/tightlip/dockerfile"
)

// Builder is what a builder can do by itself. The zero Builder is Docker's classic one, as it has been since version 17.
type Builder struct {
	Mounts    bool // RUN --mount
	SecretEnv bool // RUN --mount=type=secret,env=
	Heredocs  bool
	// NoExecSecrets tells that programs cannot be run where secrets are mounted.
	NoExecSecrets bool
	// StepFolders tells that what a step needs for the broker is in a named context of its own: ShimFile and SocketFile.
	StepFolders bool
	// Documents is a named context that holds the result's files, for builders that have such; else they are in the context.
	Documents string
}

// Options are what a translation depends on beside the file.
type Options struct {
	Target    string            // the stage to build; empty is the last one
	BuildArgs map[string]string // which decide what FROM $BASE means
	// Base tells about an image that a stage starts from. It may be nil: then images run as root and have /bin/sh.
	Base func(name, platform string) (Base, error)
	// Changed returns a text to be put into each step that uses a secret. It may be nil.
	Changed func(secretID string) (text string, ok bool)
	// Bind makes a path in the build context available to steps, and returns a text that changes with what is there. It may be nil:
	// then mounts of the build context are refused.
	Bind func(source string) (text string, err error)
	// Variable is the predefined build argument by which steps find the server: nothing else may use it.
	Variable string
	// Brokered says which secrets steps use without having them; nil if there are none.
	Brokered *Brokered
	// Agents is a named context with a socket for each SSH agent of the build: steps mount these. Empty: the builder has agents of its own.
	Agents string
	// HasAgent tells whether the build has an agent.
	HasAgent func(id string) bool
	// NoFiles refuses what would need another file in the build context.
	NoFiles bool
}

// Base is what has to be known of a base image.
type Base struct {
	User    string
	Shell   []string
	OnBuild []string
	Env     []string // NAME=VALUE
	// Tools returns those of sh and the Fetchers that the image has. It is called for a step that needs one, and nil if that cannot
	// be known.
	Tools func() ([]string, error)
}

// Result is a translated Dockerfile.
type Result struct {
	Dockerfile []byte
	Lines      []int             // for each of its lines, the line of the original, counted from 1
	Files      map[string][]byte // to be added to the build context, by path
	Scripts    map[string]string // of heredocs, which the builder asks for as secrets, by id
	Sockets    map[string]Socket // of SSH agents, by the name in Options.Agents
	Steps      []Step
	Notes      []Note

	once    sync.Once
	written *strings.Replacer // of AsWritten
}

// Step is an instruction that was translated.
type Step struct {
	Line int
	Text string   // the instruction of the original
	New  string   // what became of it, without the newline
	Args []string // of a RUN that was translated
	Uses []Use
	// Wrapped tells that the shim runs the step: it fetches something from the build's server, or uses the broker.
	Wrapped bool
	// Broker is the id under which the step's connections to the broker come, and Brokered the secrets that it uses through it.
	Broker   string
	Brokered []string
}

// Use is a secret or SSH agent that a step asks for.
type Use struct {
	Kind     shim.Kind
	ID       string
	Required bool
}

// Socket is where steps find an SSH agent.
type Socket struct {
	ID       string
	Mode     fs.FileMode
	UID, GID int
}

// Note is what the user should know about a step.
type Note struct {
	Line int
	Text string
}

// Error is an instruction that has no translation.
type Error struct {
	Line int
	Text string // the instruction's first line
	Why  string
	Try  string
}

// Error implements error.
func (e *Error) Error() string { return fmt.Sprintf("line %d: %s: %s", e.Line, e.Text, e.Why) }

// Hint is what the user can do.
func (e *Error) Hint() string { return e.Try }

// buildWithBuildKit is the hint that always helps.
const buildWithBuildKit = "build it with BuildKit: --engine docker or --engine embedded"

// For translates a Dockerfile for a builder.
func For(b Builder, f *dockerfile.File, o Options) (*Result, error) {
	t := &translation{builder: b, file: f, o: o, res: &Result{Files: map[string][]byte{}}}
	if o.Variable != "" {
		t.variable = regexp.MustCompile(`\b` + regexp.QuoteMeta(o.Variable) + `\b`)
	}
	last := len(f.Stages()) - 1
	if o.Target != "" {
		if last = f.Stage(o.Target, len(f.Stages())); last < 0 {
			return nil, fmt.Errorf("the Dockerfile has no stage %q", o.Target)
		}
	}
	if b.Mounts && b.SecretEnv && b.Heredocs && o.Brokered == nil && o.Agents == "" { // nothing to translate, and errors are the builder's to report
		t.res.Dockerfile, t.res.Lines = f.Apply(nil)
		return t.res, nil
	}
	for i := range last + 1 {
		if err := t.stage(i, i == last); err != nil {
			return nil, err
		}
	}
	if err := t.check(); err != nil {
		return nil, err
	}
	t.res.Dockerfile, t.res.Lines = f.Apply(t.edits)
	return t.res, nil
}

type translation struct {
	builder  Builder
	file     *dockerfile.File
	o        Options
	variable *regexp.Regexp // nil if steps need none
	clashed  error          // an instruction that uses the variable of the server
	covered  []parser.Range // one that copies all of the build context
	states   []state
	edits    []dockerfile.Edit
	res      *Result
}

// state is what an instruction depends on in the stage before it.
type state struct {
	unclear   bool     // which user it is
	args, env []string // NAME=VALUE; variables beat arguments
	user      string
	shell     []string
	tools     func() ([]string, error) // nil if not known
	empty     bool                     // nothing is in it: FROM scratch
	onBuild   []*instructions.OnbuildCommand
}

func (t *translation) stage(n int, last bool) error {
	stage := t.file.Stages()[n]
	s, err := t.base(n, stage)
	if err != nil {
		return err
	}
	for _, c := range stage.Commands {
		if err := t.command(&s, c); err != nil {
			return err
		}
	}
	// The builder runs an earlier stage's triggers as they stand there. Those of the last stage are for other builders.
	if !last {
		for _, c := range s.onBuild {
			if err := t.trigger(s, c); err != nil {
				return err
			}
		}
	}
	t.states = append(t.states, s)
	return nil
}

// base is the state that a stage begins with.
func (t *translation) base(n int, stage instructions.Stage) (state, error) {
	name, err := t.file.Expand(stage.BaseName, t.o.BuildArgs)
	if err != nil {
		return state{}, t.fail(stage.Location, err.Error(), "")
	}
	if i := t.file.Stage(name, n); i >= 0 {
		s := t.states[i]
		s.onBuild, s.args = nil, nil
		for _, c := range t.states[i].onBuild {
			s.trigger(c.Expression)
		}
		return s, nil
	}
	if name == "scratch" {
		return state{empty: true}, nil
	}
	if t.o.Base == nil {
		return state{}, nil
	}
	b, err := t.o.Base(name, stage.Platform)
	if err != nil {
		return state{}, err
	}
	for _, trigger := range b.OnBuild {
		if err := t.checkTrigger(name, trigger, stage.Location); err != nil {
			return state{}, err
		}
		if !t.builder.Mounts && usesBuildKit(trigger) {
			return state{}, t.fail(stage.Location, fmt.Sprintf("image %s has the trigger %q", name, trigger), buildWithBuildKit)
		}
	}
	for _, kv := range b.Env {
		if name, _, _ := strings.Cut(kv, "="); name == t.o.Variable && name != "" {
			t.clash(stage.Location)
		}
	}
	s := state{user: b.User, shell: b.Shell, tools: b.Tools, env: b.Env}
	for _, trigger := range b.OnBuild {
		s.trigger(trigger)
	}
	return s, nil
}

// trigger is what the builder runs at FROM, with what that changes for the steps behind it.
func (s *state) trigger(expression string) {
	switch c := triggered(expression).(type) {
	case *instructions.UserCommand:
		s.user, s.unclear = c.User, strings.ContainsAny(c.User, "$\"'")
	case *instructions.ShellCommand:
		s.shell = c.Shell
	case *instructions.RunCommand, *instructions.CopyCommand, *instructions.AddCommand:
		s.empty, s.tools = false, nil
	}
}

// usesBuildKit tells whether a trigger needs mounts or heredocs.
func usesBuildKit(trigger string) bool {
	run, ok := triggered(trigger).(*instructions.RunCommand)
	return ok && (len(instructions.GetMounts(run)) > 0 || len(run.Files) > 0)
}

// triggered is the instruction of a trigger, and nil for one that the builder is to complain about.
func triggered(expression string) instructions.Command {
	f, err := dockerfile.Parse("trigger", []byte("FROM scratch\n"+expression+"\n"))
	if err != nil || len(f.Stages()[0].Commands) != 1 {
		return nil
	}
	return f.Stages()[0].Commands[0]
}

func (t *translation) command(s *state, c instructions.Command) error {
	switch c := c.(type) {
	case *instructions.UserCommand:
		s.user, s.unclear = t.value(s, c.User)
		s.unclear = s.unclear || s.user == ""
	case *instructions.EnvCommand:
		for _, kv := range c.Env {
			t.set(s, kv)
		}
		t.checkVariable(c.Location())
	case *instructions.ArgCommand:
		for _, a := range c.Args {
			t.declare(s, a)
		}
		t.checkVariable(c.Location())
	case *instructions.ShellCommand:
		s.shell = c.Shell
	case *instructions.OnbuildCommand:
		s.onBuild = append(s.onBuild, c)
	case *instructions.RunCommand:
		text, err := t.run(*s, c, c.Location())
		s.empty, s.tools = false, nil // it may have brought any
		if err != nil || text == nil {
			return err
		}
		t.replace(c.Location(), text)
	case *instructions.CopyCommand:
		s.empty, s.tools = false, nil
		if err := t.checkFrom(s, c); err != nil {
			return err
		}
		if c.From == "" && slices.ContainsFunc(c.SourcePaths, covers) {
			t.covered = c.Location()
		}
		return t.copy(c, c.SourcesAndDest, copyFlags{c.Link, c.Chmod, c.Parents, c.ExcludePatterns, ""})
	case *instructions.AddCommand:
		s.empty, s.tools = false, nil
		if slices.ContainsFunc(c.SourcePaths, covers) {
			t.covered = c.Location()
		}
		if !t.builder.Mounts && slices.ContainsFunc(c.SourcePaths, isGit) {
			return t.fail(c.Location(), "this builder does not clone repositories", "")
		}
		return t.copy(c, c.SourcesAndDest, copyFlags{c.Link, c.Chmod, false, c.ExcludePatterns, c.Checksum})
	default:
		if l, ok := c.(interface{ Location() []parser.Range }); ok {
			t.checkVariable(l.Location())
		}
	}
	return nil
}

// isGit tells whether BuildKit's ADD takes a source for a repository.
func isGit(source string) bool {
	url, _, _ := strings.Cut(source, "#")
	return strings.HasPrefix(url, "git@") || strings.HasPrefix(url, "git://") || strings.Contains(url, "://") && strings.HasSuffix(url, ".git")
}

// covers tells whether a source is all of the build context, or may be.
func covers(source string) bool {
	clean := path.Clean("/" + source)
	return clean == "/" || strings.ContainsAny(clean[1:2], "*?[")
}

// checkVariable notes an instruction that would write where the server is into the image.
func (t *translation) checkVariable(at []parser.Range) {
	if t.variable != nil && t.variable.MatchString(t.file.Text(at)) {
		t.clash(at)
	}
}

func (t *translation) clash(at []parser.Range) {
	if t.clashed == nil {
		t.clashed = t.fail(at, "steps find their secrets by "+t.o.Variable+" with this builder, which nothing else may use", "")
	}
}

// check refuses what only the whole file shows.
func (t *translation) check() error {
	if t.clashed != nil && slices.ContainsFunc(t.res.Steps, func(s Step) bool { return s.Wrapped }) {
		return t.clashed
	}
	if t.covered != nil && len(t.res.Files) > 0 && t.builder.Documents == "" {
		return t.fail(t.covered, "it copies all of the build context, to which this builder has to add the documents of other instructions", "")
	}
	return nil
}

// value is a word with its variables replaced, and its quotes removed. It is unclear if one is not known.
func (t *translation) value(s *state, word string) (value string, unclear bool) {
	r, err := shell.NewLex('\\').ProcessWordWithMatches(word, shell.EnvsFromSlice(slices.Concat(s.args, s.env)))
	return r.Result, err != nil || len(r.Unmatched) > 0
}

// set is what ENV does.
func (t *translation) set(s *state, kv instructions.KeyValuePair) {
	value, unclear := t.value(s, kv.Value)
	s.env = without(s.env, kv.Key)
	if unclear {
		s.args = without(s.args, kv.Key)
		return
	}
	s.env = append(s.env, kv.Key+"="+value)
}

func without(env []string, name string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(kv string) bool { return strings.HasPrefix(kv, name+"=") })
}

// declare is what ARG does in a stage.
func (t *translation) declare(s *state, a instructions.KeyValuePairOptional) {
	s.args = without(s.args, a.Key)
	value, given := t.o.BuildArgs[a.Key]
	switch {
	case given:
	case a.Value != nil:
		var unclear bool
		if value, unclear = t.value(s, *a.Value); unclear {
			return
		}
	default:
		var err error
		if value, err = t.file.Expand("$"+a.Key, t.o.BuildArgs); err != nil || value == "" {
			return
		}
	}
	s.args = append(s.args, a.Key+"="+value)
}

// replace puts new instructions in the place of one.
func (t *translation) replace(at []parser.Range, text []string) {
	t.edits = append(t.edits, dockerfile.EditOf(at, strings.Join(text, "\n")+"\n"))
}

// fail makes the error of an instruction.
func (t *translation) fail(at []parser.Range, why, try string) error {
	first, _, _ := strings.Cut(t.file.Text(at), "\n")
	return &Error{Line: dockerfile.EditOf(at, "").First, Text: strings.TrimSpace(first), Why: why, Try: cmp.Or(try, buildWithBuildKit)}
}

func (t *translation) note(at []parser.Range, format string, args ...any) {
	t.res.Notes = append(t.res.Notes, Note{dockerfile.EditOf(at, "").First, fmt.Sprintf(format, args...)})
}

// run translates a RUN. No text and no error: it stays as it is.
func (t *translation) run(s state, c *instructions.RunCommand, at []parser.Range) ([]string, error) {
	if t.builder.Mounts {
		return t.runWithMounts(s, c, at)
	}
	if err := t.checkRun(c, at); err != nil {
		return nil, err
	}
	spec, err := t.mounts(c, at)
	if err != nil {
		return nil, err
	}
	script := commandOf(c, s.shell, &spec)
	flags := len(c.FlagsUsed) > 0
	brokered, err := t.brokered(&s, c, at)
	if err != nil {
		return nil, err
	}
	if len(brokered) > 0 {
		spec.Broker = shim.AtServer(t.nameOf(at, brokered))
	}
	spec.Rehearsal = t.o.Brokered != nil && t.o.Brokered.Rehearsal
	if len(spec.Mounts) == 0 {
		switch {
		case spec.Rehearsal && c.PrependShell: // it needs nothing to fetch the shim with
			script = append([]string{"/bin/sh", "-c", lenient, "sh"}, script...)
		case len(c.Files) == 0 && !flags:
			return nil, nil
		}
		return t.step(at, spec, script, ""), nil
	}
	if err := t.canFetch(s, at); err != nil {
		return nil, err
	}
	spec.Command = script
	if s.unclear {
		return nil, t.fail(at, "the USER before it holds a variable whose value is not known here", "the user's name or number, or "+buildWithBuildKit)
	}
	user := ""
	if !isRoot(s.user) {
		// Where the mounts go, only root may write.
		spec.User, user = s.user, s.user
	}
	text := t.step(at, spec, wrapped(spec, s.shell), user)
	if len(brokered) > 0 {
		last := &t.res.Steps[len(t.res.Steps)-1]
		last.Broker, last.Brokered = t.nameOf(at, brokered), brokered
		last.Uses = append(last.Uses, Use{Kind: shim.Through, ID: last.Broker, Required: true})
	}
	return text, nil
}

// lenient runs a command as the shim does in a rehearsal.
const lenient = `"$@" || echo "tightlip: the step failed with code $?, and the rehearsal goes on without it" >&2`

// step notes what a RUN became and returns the instructions: those around it, too, if a user other than root is to be put back.
func (t *translation) step(at []parser.Range, spec shim.Spec, args []string, user string) []string {
	step := Step{
		Line: dockerfile.EditOf(at, "").First, Text: strings.TrimRight(t.file.Text(at), "\r\n"),
		New: instruction(args), Args: args, Wrapped: len(spec.Mounts) > 0,
	}
	for _, m := range spec.Mounts {
		if m.Kind == shim.Secret || m.Kind == shim.SSH || m.Kind == shim.Bind {
			step.Uses = append(step.Uses, Use{m.Kind, m.ID, m.Required})
		}
	}
	t.res.Steps = append(t.res.Steps, step)
	if user == "" {
		return []string{step.New}
	}
	return []string{"USER 0", step.New, "USER " + user}
}

func isRoot(user string) bool {
	name, group, _ := strings.Cut(user, ":")
	return slices.Contains([]string{"", "0", "root"}, name) && slices.Contains([]string{"", "0", "root"}, group)
}

// canFetch refuses a step that is known to have nothing to fetch its secrets with.
func (t *translation) canFetch(s state, at []parser.Range) error {
	const try = "give the step a shell and one of curl, wget, busybox, python, perl or bash, or " + buildWithBuildKit
	if s.empty {
		return t.fail(at, "nothing is in this image yet that could fetch a secret", try)
	}
	if s.tools == nil {
		return nil
	}
	tools, err := s.tools()
	if err != nil {
		return err
	}
	has := func(tool string) bool { return slices.Contains(tools, tool) }
	if !has("sh") && len(s.shell) == 0 || !slices.ContainsFunc(Fetchers, has) {
		return t.fail(at, "this image has nothing that could fetch a secret", try)
	}
	return nil
}

// checkRun refuses what the builder has no flag for.
func (t *translation) checkRun(c *instructions.RunCommand, at []parser.Range) error {
	if n := instructions.GetNetwork(c); n != instructions.NetworkDefault {
		return t.fail(at, fmt.Sprintf("this builder cannot run one step with --network=%s", n), "")
	}
	if s := instructions.GetSecurity(c); s != instructions.SecuritySandbox {
		return t.fail(at, fmt.Sprintf("this builder cannot run a step with --security=%s", s), "")
	}
	for _, flag := range c.FlagsUsed {
		if !slices.Contains([]string{"mount", "network", "security"}, flag) {
			return t.fail(at, "this builder has no flag --"+flag, "")
		}
	}
	return nil
}

// mounts are the mounts that a step gets from the shim.
func (t *translation) mounts(c *instructions.RunCommand, at []parser.Range) (shim.Spec, error) {
	var spec shim.Spec
	variable := ""
	err := c.Expand(func(word string) (string, error) {
		if strings.ContainsRune(word, '$') {
			variable = word
		}
		return word, nil
	})
	if err != nil {
		return spec, t.fail(at, err.Error(), "")
	}
	if variable != "" {
		return spec, t.fail(at, fmt.Sprintf("a mount holds the variable %s, whose value is not known here", variable), "")
	}
	agents := 0
	for _, m := range instructions.GetMounts(c) {
		switch m.Type {
		case instructions.MountTypeSecret:
			mount := secretMount(m)
			spec.Mounts = append(spec.Mounts, mount)
			if t.o.Changed != nil {
				if text, ok := t.o.Changed(mount.ID); ok {
					spec.Changed = append(spec.Changed, text)
				}
			}
		case instructions.MountTypeSSH:
			spec.Mounts = append(spec.Mounts, sshMount(m, agents))
			agents++
		case instructions.MountTypeTmpfs:
			spec.Mounts = append(spec.Mounts, shim.Mount{Kind: shim.Tmpfs, Target: m.Target})
		case instructions.MountTypeCache:
			t.note(at, "runs without its cache at %s: this builder has none", m.Target)
		case instructions.MountTypeBind:
			mount, text, err := t.bindMount(m, at)
			if err != nil {
				return spec, err
			}
			spec.Mounts, spec.Changed = append(spec.Mounts, mount), append(spec.Changed, text)
		default:
			return spec, t.fail(at, fmt.Sprintf("this builder has no mount of type %s", m.Type), "")
		}
	}
	return spec, nil
}

// bindMount is a mount of the build context. Other stages and images are out of reach for a step.
func (t *translation) bindMount(m *instructions.Mount, at []parser.Range) (mount shim.Mount, text string, err error) {
	if m.From != "" || t.o.Bind == nil {
		return mount, "", t.fail(at, "this builder has no such mount of type bind", "COPY --from in a stage of its own, or "+buildWithBuildKit)
	}
	source := path.Join("/", m.Source)[1:]
	if text, err = t.o.Bind(source); err != nil {
		return mount, "", t.fail(at, err.Error(), "")
	}
	return shim.Mount{Kind: shim.Bind, ID: source, Target: m.Target}, text, nil
}

// secretMount fills BuildKit's defaults in.
func secretMount(m *instructions.Mount) shim.Mount {
	id := cmp.Or(m.Source, m.CacheID)
	if id == "" {
		id = path.Base(m.Target)
	}
	out := shim.Mount{Kind: shim.Secret, ID: id, Target: m.Target, Required: m.Required}
	if m.Env != nil {
		out.Env = cmp.Or(*m.Env, id)
	} else if out.Target == "" {
		out.Target = "/run/secrets/" + path.Base(id)
	}
	return withOwner(out, m, 0o400)
}

func sshMount(m *instructions.Mount, n int) shim.Mount {
	out := shim.Mount{Kind: shim.SSH, ID: cmp.Or(m.CacheID, "default"), Target: m.Target, Required: m.Required}
	if out.Target == "" {
		out.Target = fmt.Sprintf("/run/buildkit/ssh_agent.%d", n)
	}
	return withOwner(out, m, 0o600)
}

func withOwner(out shim.Mount, m *instructions.Mount, mode uint64) shim.Mount {
	if m.Mode != nil {
		mode = *m.Mode
	}
	if m.UID != nil {
		out.UID = int(*m.UID)
	}
	if m.GID != nil {
		out.GID = int(*m.GID)
	}
	if out.Target != "" {
		out.Target = path.Join("/", out.Target)
		out.Mode = fs.FileMode(mode)
	}
	return out
}

// commandOf is what a RUN runs, with its shell. A heredoc that begins with #! becomes a file, as in BuildKit.
func commandOf(c *instructions.RunCommand, shell []string, spec *shim.Spec) []string {
	args := c.CmdLine
	if len(c.Files) > 0 {
		if parser.MustParseHeredoc(args[0]) == nil {
			return withShell(shell, c.PrependShell, withHeredocs(args[0], c.Files))
		}
		data := c.Files[0].Data
		if c.Files[0].Chomp {
			data = parser.ChompHeredocContent(data)
		}
		if strings.HasPrefix(data, "#!") {
			file := "/dev/pipes/" + c.Files[0].Name
			spec.Mounts = append(spec.Mounts, shim.Mount{Kind: shim.Script, ID: c.Files[0].Name, Target: file, Text: data})
			return withShell(shell, c.PrependShell, file)
		}
		args = []string{data}
	}
	return withShell(shell, c.PrependShell, args...)
}

// withHeredocs puts the documents back behind the command, for the shell to read.
func withHeredocs(command string, files []instructions.ShellInlineFile) string {
	var b strings.Builder
	b.WriteString(command)
	for _, f := range files {
		b.WriteString("\n" + f.Data + f.Name)
	}
	return b.String()
}

func withShell(shell []string, prepend bool, args ...string) []string {
	if !prepend {
		return args
	}
	if len(shell) == 0 {
		shell = []string{"/bin/sh", "-c"}
	}
	return append(slices.Clone(shell), strings.Join(args, " "))
}

// trigger translates an ONBUILD of a stage that another stage starts from.
func (t *translation) trigger(s state, c *instructions.OnbuildCommand) error {
	run, ok := triggered(c.Expression).(*instructions.RunCommand)
	if !ok {
		return nil
	}
	s.empty, s.tools = false, nil
	text, err := t.run(s, run, c.Location())
	if err != nil || text == nil {
		return err
	}
	for i := range text {
		text[i] = "ONBUILD " + text[i]
	}
	t.replace(c.Location(), text)
	return nil
}

// Requires lists the secrets or agents that steps cannot do without, each with the line of the first such step.
func (r *Result) Requires(kind shim.Kind) map[string]int {
	out := map[string]int{}
	for _, s := range r.Steps {
		for _, u := range s.Uses {
			if _, ok := out[u.ID]; !ok && u.Kind == kind && u.Required {
				out[u.ID] = s.Line
			}
		}
	}
	return out
}

// IDs lists all secrets or agents that steps may ask for, sorted.
func (r *Result) IDs(kind shim.Kind) []string {
	ids := map[string]bool{}
	for _, s := range r.Steps {
		for _, u := range s.Uses {
			if u.Kind == kind {
				ids[u.ID] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(ids))
}
