package shim

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Failed is the exit code of a step whose command did not run, or could not be cleaned up after.
const Failed = 125

// Stdio are the streams of a step.
type Stdio struct{ In, Out, Err *os.File }

// Step runs a step's command with its mounts in place, and leaves no trace of them. The exit code is the command's, or 128 and
// the signal that ended it; it is Failed with an error if something was in the way, and 126 or 127 with an error if the command
// cannot be run or found. The executable of this process is removed.
//
// Secrets come from the server that NO_PROXY in env tells of. The command runs only with all of them.
func Step(ctx context.Context, spec Spec, env []string, stdio Stdio) (code int, err error) {
	signals := catch()
	if !spec.Rehearsal && !strings.HasPrefix(spec.Broker, "/") { // else the shim is mounted
		if err := removeSelf(); err != nil {
			return Failed, err
		}
	}
	s := &step{notes: stdio.Err}
	defer func() {
		if undoErr := s.undoAll(); undoErr != nil {
			code, err = Failed, errors.Join(err, undoErr)
		}
	}()
	prepareCtx, calm := untilSignal(ctx, signals)
	env, err = s.prepare(prepareCtx, spec, env)
	if cause := calm(); cause != nil {
		return interrupted(cause)
	}
	if err != nil {
		return Failed, err
	}
	code, err = s.run(ctx, spec.Command, env, stdio, signals)
	if spec.Rehearsal && code != 0 && ctx.Err() == nil {
		s.note("the step failed with code %d, and the rehearsal goes on without it", code)
		code, err = 0, nil
	}
	return code, err
}

// removeSelf removes the shim, which the step's first line has put there.
func removeSelf() error {
	self, err := os.Executable()
	if err == nil {
		err = os.Remove(self)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing the shim: %w", err)
	}
	return nil
}

// step is what is in place for a command.
type step struct {
	notes   io.Writer
	client  client
	user    *identity // nil: root, as the shim
	private string    // the folder of the files, in memory
	undo    []func() error
}

// later remembers what is to be done when the command has ended. What came last is done first.
func (s *step) later(undo func() error) { s.undo = append(s.undo, undo) }

// undoAll goes on after errors: each thing that stays is a trace.
func (s *step) undoAll() error {
	var errs []error
	for _, undo := range slices.Backward(s.undo) {
		errs = append(errs, undo())
	}
	s.undo = nil
	return errors.Join(errs...)
}

func (s *step) note(format string, args ...any) {
	fmt.Fprintf(s.notes, "tightlip: "+format+"\n", args...)
}

// item is a mount with what it holds.
type item struct {
	Mount
	value []byte
	found bool
}

// prepare brings the mounts to their places and returns the command's environment. Nothing is changed before everything is here.
func (s *step) prepare(ctx context.Context, spec Spec, env []string) ([]string, error) {
	user, env, err := lookupUser(spec.User, env)
	if err != nil {
		return nil, err
	}
	s.user = user
	items, env, err := s.fetch(ctx, spec.Mounts, env)
	if err != nil {
		return nil, err
	}
	if env, err = variables(items, env); err != nil {
		return nil, err
	}
	wd, wdErr := os.Getwd()
	for i := range items {
		if items[i].Kind == Bind && !filepath.IsAbs(items[i].Target) {
			items[i].Target = filepath.Join(wd, items[i].Target)
		}
	}
	// A mount may lie in another.
	slices.SortStableFunc(items, func(a, b item) int { return cmp.Compare(a.Target, b.Target) })
	for i, it := range items {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if err := s.mount(i, it); err != nil {
			return nil, err
		}
	}
	if spec.Broker != "" {
		if env, err = s.connectBroker(ctx, len(items), spec.Broker, env); err != nil {
			return nil, err
		}
	}
	// The working directory may be in a tmpfs by now.
	if wdErr == nil {
		err = os.Chdir(wd)
	}
	return env, err
}

// fetch asks the server for everything that a step mounts.
func (s *step) fetch(ctx context.Context, mounts []Mount, env []string) ([]item, []string, error) {
	server, env, err := findServer(env)
	s.client = client{server}
	var items []item
	for _, m := range mounts {
		it := item{Mount: m, found: true}
		if m.Kind == Secret || m.Kind == SSH || m.Kind == Bind {
			if err != nil {
				return nil, nil, err
			}
			if err := s.ask(ctx, &it); err != nil {
				return nil, nil, err
			}
		}
		items = append(items, it)
	}
	return items, env, nil
}

// ask fetches a secret, or looks whether there is an agent.
func (s *step) ask(ctx context.Context, it *item) (err error) {
	what := "secret"
	switch it.Kind {
	case SSH:
		what = "SSH agent"
		err = s.client.hasAgent(ctx, it.ID)
	case Bind:
		what, it.Required = "path of the build context", true
		it.value, err = s.client.get(ctx, Bind, it.ID)
	default:
		it.value, err = s.client.get(ctx, Secret, it.ID)
	}
	it.found = err == nil
	switch {
	case errors.Is(err, errNotFound) && !it.Required:
		return nil
	case errors.Is(err, errNotFound):
		return fmt.Errorf("%s %q is required, and the build has none", what, it.ID)
	case err != nil:
		return fmt.Errorf("%s %q: %w", what, it.ID, err)
	}
	return nil
}

// variables sets what mounts put into the environment. As with BuildKit, the variable of a missing optional secret is
// empty, and an SSH_AUTH_SOCK of the image stays.
func variables(items []item, env []string) ([]string, error) {
	seenSSH := false
	for _, it := range items {
		switch {
		case it.Kind == Secret && it.Env != "":
			if strings.ContainsAny(it.Env, "=\x00") {
				return nil, fmt.Errorf("secret %q: %q cannot be the name of a variable", it.ID, it.Env)
			}
			if slices.Contains(it.value, 0) {
				return nil, fmt.Errorf("secret %q holds a zero byte, so it cannot be in the variable %s", it.ID, it.Env)
			}
			env = setVar(env, it.Env, string(it.value))
		case it.Kind == SSH && !seenSSH:
			seenSSH = true
			if _, ok := lookup(env, "SSH_AUTH_SOCK"); !ok && it.found {
				env = setVar(env, "SSH_AUTH_SOCK", it.Target)
			}
		}
	}
	return env, nil
}

// mount brings one mount to its place.
func (s *step) mount(i int, it item) error {
	if it.Kind == Script && it.Target == "" {
		it.Target = "/dev/pipes/" + it.ID
	}
	switch {
	case !it.found || it.Kind == Secret && it.Target == "":
		return nil
	case it.Kind == Bind:
		return s.mountBind(i, it)
	case !filepath.IsAbs(it.Target):
		return fmt.Errorf("the target %q of a %s mount is not an absolute path", it.Target, it.Kind)
	}
	it.Target = filepath.Clean(it.Target)
	switch it.Kind {
	case Secret:
		return s.mountSecret(i, it)
	case SSH:
		return s.mountAgent(i, it.Mount)
	case Tmpfs:
		return s.mountTmpfs(i, it.Mount)
	case Script:
		return s.mountScript(it.Mount)
	}
	return fmt.Errorf("unknown kind of mount %q", it.Kind)
}
