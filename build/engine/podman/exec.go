package podman

import (
	"context"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"time"
)

// patience is how long a tool that was told to end may take.
const patience = 5 * time.Second

// command is a call of a tool.
type command struct {
	args, env      []string
	stdin          io.Reader
	stdout, stderr io.Writer
}

// run runs a tool, in a process group of its own. When ctx ends it is told to end, and killed if it does not. Nothing of the group
// is left, but steps are not in it.
func (e *Engine) run(ctx context.Context, c command) error {
	// The thread is what the tool's life is bound to.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := exec.CommandContext(ctx, e.path, c.args...)
	environ := e.environ
	if environ == nil {
		environ = os.Environ()
	}
	cmd.Env = slices.Concat(environ, e.env, c.env)
	cmd.Stdout, cmd.Stderr = c.stdout, c.stderr
	if c.stdin != nil {
		cmd.Stdin = struct{ io.Reader }{c.stdin} // a pipe: a terminal would stop what is not in its foreground
	}
	ownGroup(cmd)
	cmd.Cancel = func() error { return signalGroup(cmd, false) }
	cmd.WaitDelay = patience
	err := cmd.Run()
	if ctx.Err() != nil {
		_ = signalGroup(cmd, true)
	}
	return err
}
