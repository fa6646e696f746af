// Package config decides the settings of a run from flags, environment, configuration files and defaults.
package config

import (
	"cmp"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tightlip/tightlip/broker/gate"
	"github.com/tightlip/tightlip/broker/sshagent"
	"github.com/tightlip/tightlip/internal/suggest"
	"github.com/tightlip/tightlip/secret"
)

// Proof is what happens to an image whose proof fails.
type Proof string

// The ways to deal with a failed proof.
const (
	ProofStrict Proof = "strict" // the image gets no name
	ProofWarn   Proof = "warn"   // the user is told
	ProofOff    Proof = "off"    // there is no proof
)

// Config is what holds after all places a setting can come from are merged.
type Config struct {
	Engine      string        // one of Engines
	Prove       Proof         // what a failed proof leads to
	EngineCache int64         // bytes that the embedded engine may keep on disk
	EngineKeep  time.Duration // how long the embedded engine runs on after a build
	CacheDir    string        // absolute; empty if there is no home directory
	StateDir    string        // absolute; empty if there is no home directory
	KeepEnv     []string      // variables that programs get although they look like credentials: names, or beginnings of names with a *
	Allow       []string      // schemes that references of the project's file may have besides the harmless ones, and words of uses
	Secrets     []Secret      // those of the user's file, then those of the project's; the latter replace the former

	BrokerPass []gate.Origin // what the broker may reach without a credential
	PassUses   []Use         // of these
	Agents     []Agent       // what SSH agents may sign for
	userFile   string
	project    *project               // nil: there is none
	check      func(secret.Ref) error // nil: there is a source for any reference
	origins    map[string]Origin      // by setting name
}

// Secret is an entry of a file's secrets. It is used if a flag asks for its id, or if steps use it through the broker.
type Secret struct {
	ID              string
	Ref             secret.Ref // zero if the entry has no from; paths of files are absolute
	RebuildOnChange bool       // a changed value runs the steps that use it again
	Waive           bool       // the value may be too short to prove
	Broker          []gate.Route
	Seal            bool   // steps with it have no network but the broker
	Argument        string // the build argument that brings it to the build; empty: steps mount it
	Uses            []Use  // what the file has it used for; MayUse says whether it may
	unknown         *Error // the scheme of Ref is; nil: it is not
	Origin          Origin
}

// Agent is an entry of a file's SSH agents. One of the user's file is not replaced by the project's.
type Agent struct {
	ID string
	sshagent.Settings
	Uses   []Use
	Hosts  []Use // whose keys the known-hosts are: more than narrowing if the user narrows the agent
	Origin Origin
}

// Options are what Load looks at.
type Options struct {
	Dir     string            // the working directory, absolute; the search for the project's file begins here
	Environ []string          // as os.Environ returns it
	Flags   map[string]string // the flags that were given, by name without dashes; lists are joined by commas

	// Check says whether there is a source for a reference. nil: there is one for any.
	Check func(secret.Ref) error

	// NoProject leaves the project's file out, for what has nothing to do with a project.
	NoProject bool
}

// Load merges, in descending precedence: flags, TIGHTLIP_* variables, the project's tightlip.yaml, the user's config.yaml
// and the defaults.
//
// The project's file is the one that --config or TIGHTLIP_CONFIG names, else the first tightlip.yaml from Dir upward to
// the root of the repository, or of the file system outside of one. The user's file is $XDG_CONFIG_HOME/tightlip/config.yaml.
// All that is wrong is reported at once, each as an [*Error] in the joined error.
func Load(opts Options) (*Config, error) {
	l := loader{opts: opts, env: environment(opts.Environ), config: &Config{origins: map[string]Origin{}, check: opts.Check}}
	l.checkNames()
	l.defaults()
	if dir := baseDir("XDG_CONFIG_HOME", ".config")(l.env); dir != "" {
		l.config.userFile = filepath.Join(dir, "config.yaml")
		l.file(l.config.userFile, FromUser, false)
	}
	if !opts.NoProject {
		l.projectFile()
	}
	for _, s := range settings {
		if text := l.env[s.env]; text != "" {
			l.apply(s, text, Origin{Kind: FromEnvironment, Name: s.env})
		}
		if text, ok := l.opts.Flags[s.flag]; ok {
			l.apply(s, text, Origin{Kind: FromFlag, Name: "--" + s.flag})
		}
	}
	if err := errors.Join(l.errs...); err != nil {
		return nil, err
	}
	return l.config, nil
}

type loader struct {
	opts   Options
	env    map[string]string
	config *Config
	errs   []error
}

// apply sets one setting, over what it was.
func (l *loader) apply(s *setting, text string, from Origin) {
	if err := s.set(l.config, text); err != nil {
		name := from.Name
		if from.Line > 0 {
			name = s.key
		}
		l.fail(from, name+" "+err.Error(), "")
		return
	}
	l.config.origins[s.name] = from
}

func (l *loader) defaults() {
	for _, s := range settings {
		if s.fallback == nil {
			continue
		}
		if text := s.fallback(l.env); text != "" {
			l.apply(s, text, Origin{Kind: Default})
		}
	}
}

// checkNames refuses variables and flags without a meaning, in the order of their names.
func (l *loader) checkNames() {
	var variables, flags []string
	for _, v := range Variables() {
		variables = append(variables, v.Name)
	}
	for _, s := range settings {
		if s.flag != "" {
			flags = append(flags, s.flag)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(l.env)) {
		if strings.HasPrefix(name, variablePrefix) && !slices.Contains(variables, name) {
			l.fail(Origin{Kind: FromEnvironment, Name: name}, "unknown variable "+name+suggest.DidYouMean(name, variables), "unset "+name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(l.opts.Flags)) {
		if name != "config" && !slices.Contains(flags, name) {
			l.fail(Origin{Kind: FromFlag, Name: "--" + name}, "unknown flag --"+name, "")
		}
	}
}

func (l *loader) fail(from Origin, problem, try string) {
	l.errs = append(l.errs, &Error{Origin: from, Problem: problem, Try: try})
}

// projectName is the file that a project brings along.
const projectName = "tightlip.yaml"

// projectFile reads the file the user named, or the one of the project.
func (l *loader) projectFile() {
	path, named := l.opts.Flags["config"]
	if !named {
		path = l.env[variableForConfig]
	}
	if named || path != "" {
		path = l.absolute(path)
	} else {
		path = l.search()
	}
	if path != "" {
		l.file(path, FromProject, true)
	}
}

// search returns the path of the nearest project file, or "". Outside of a repository, a file of another user does not
// count: anybody may put one into a folder such as /tmp.
func (l *loader) search() string {
	path := l.nearest()
	if path == "" || inRepository(filepath.Dir(path)) || ours(path) {
		return path
	}
	l.errs = append(l.errs, &Error{
		Origin: Origin{Kind: FromProject, Name: l.shown(path)}, Problem: "the file belongs to another user", Try: "name it with --config " + path + " if you trust it",
	})
	return ""
}

func inRepository(dir string) bool {
	for ; !exists(filepath.Join(dir, ".git")); dir = filepath.Dir(dir) {
		if dir == filepath.Dir(dir) {
			return false
		}
	}
	return true
}

func (l *loader) nearest() string {
	for dir := l.opts.Dir; ; dir = filepath.Dir(dir) {
		if path := filepath.Join(dir, projectName); exists(path) {
			return path
		}
		if path := filepath.Join(dir, "tightlip.yml"); exists(path) {
			l.fail(Origin{Kind: FromProject, Name: l.shown(path)}, "the file must be named "+projectName, "rename it")
			return ""
		}
		if exists(filepath.Join(dir, ".git")) || dir == filepath.Dir(dir) {
			return ""
		}
	}
}

// file merges a file into the configuration. Only a file that was named or found must exist.
func (l *loader) file(path string, kind Kind, mustExist bool) {
	from := Origin{Kind: kind, Name: l.shown(path)}
	data, err := readFile(path)
	if errors.Is(err, os.ErrNotExist) && !mustExist {
		return
	}
	if err != nil {
		l.fail(from, "cannot be read: "+cause(err), "")
		return
	}
	if kind == FromProject {
		l.config.project = newProject(path, data)
	}
	parsed, errs := parse(data, from, l.opts.Check)
	l.errs = append(l.errs, errs...)
	for _, v := range parsed.values {
		l.apply(v.setting, v.text, v.origin)
	}
	l.config.BrokerPass = append(l.config.BrokerPass, parsed.pass...)
	l.config.PassUses = append(l.config.PassUses, parsed.passUses...)
	for _, a := range parsed.agents {
		l.addAgent(a, filepath.Dir(path))
	}
	for _, s := range parsed.secrets {
		l.addSecret(s, filepath.Dir(path))
	}
}

// maxFile bounds, in bytes, what is read as a configuration.
const maxFile = 1 << 20

// readFile keeps a project's link to a pipe or a device from holding everything up.
func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case info.Mode()&(os.ModeDevice|os.ModeNamedPipe|os.ModeSocket) != 0 && !strings.HasPrefix(path, "/dev/fd/") && !strings.HasPrefix(path, "/proc/"):
		return nil, errors.New("it is no regular file")
	case info.Size() > maxFile:
		return nil, errors.New("it is larger than a configuration")
	}
	return os.ReadFile(path)
}

func (l *loader) addAgent(a Agent, dir string) {
	for i, name := range a.KnownHosts {
		if rest, home := strings.CutPrefix(name, "~/"); home {
			a.KnownHosts[i] = filepath.Join(l.env["HOME"], rest)
		} else if !filepath.IsAbs(name) {
			a.KnownHosts[i] = filepath.Join(dir, name)
		}
	}
	if !slices.ContainsFunc(l.config.Agents, func(o Agent) bool { return o.ID == a.ID }) {
		l.config.Agents = append(l.config.Agents, a)
	}
}

func (l *loader) addSecret(s Secret, dir string) {
	var err error
	if s.Ref, err = s.Ref.In(dir); err != nil {
		l.fail(s.Origin, err.Error(), "")
		return
	}
	at := func(o Secret) bool { return o.ID == s.ID }
	if i := slices.IndexFunc(l.config.Secrets, at); i >= 0 {
		s.Uses = append(s.Uses, laxerUses(l.config.Secrets[i], s)...)
		l.config.Secrets[i] = s
		return
	}
	l.config.Secrets = append(l.config.Secrets, s)
}

func (l *loader) absolute(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(l.opts.Dir, path)
}

// shown is path as the user likes to see it: from the working directory if it is in there.
func (l *loader) shown(path string) string {
	if rel, err := filepath.Rel(l.opts.Dir, path); err == nil && filepath.IsLocal(rel) {
		return rel
	}
	return path
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// Setting is one line of what holds and why.
type Setting struct {
	Name, Value string
	Origin      Origin
}

// Settings lists every setting with its value and where that came from, for people to read.
func (c *Config) Settings() []Setting {
	var list []Setting
	for _, s := range settings {
		list = append(list, Setting{Name: s.name, Value: cmp.Or(s.show(c), "none"), Origin: c.origins[s.name]})
	}
	return list
}
