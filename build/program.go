package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/tightlip/tightlip/internal/redact"
)

// patience is how long a command has to end when it is told to, and what it left behind to close its output when it has ended.
const patience = 5 * time.Second

// program is a command whose output is redacted.
type program struct {
	command  []string
	env      []string
	out, err io.Writer
}

// do runs the command. One that fails is a *FailedError, one that does not start a *UsageError. If it is left, something that the command
// started had its output open when the command had ended, and is heard no more.
func (p program) do(ctx context.Context, redactor *redact.Redactor) (left bool, err error) {
	stdout, stderr := redactor.Writer(p.out), redactor.Writer(p.err)
	cmd := exec.CommandContext(ctx, p.command[0], p.command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.Env = os.Stdin, stdout, stderr, p.env
	signal := signaller(cmd)
	cmd.Cancel = func() error { return signal(syscall.SIGTERM) }
	cmd.WaitDelay = patience
	if err := cmd.Start(); err != nil {
		return false, errors.Join(context.Cause(ctx), notStarted(err))
	}
	err = cmd.Wait()
	if left = errors.Is(err, exec.ErrWaitDelay); left {
		err = nil
	}
	err = errors.Join(err, stdout.Close(), stderr.Close())
	if ctx.Err() != nil {
		_ = signal(syscall.SIGKILL) // what the command started, if it has not ended with it
		return left, context.Cause(ctx)
	}
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return left, p.failure(exit)
	}
	return left, err
}

// failure has the code that a shell would have. Arguments are not repeated: they may be long, and the user has typed them.
func (p program) failure(exit *exec.ExitError) error {
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return &FailedError{Code: 128 + int(status.Signal()), Text: fmt.Sprintf("%s was ended by a signal: %s", p.command[0], status.Signal())}
	}
	return &FailedError{Code: max(exit.ExitCode(), 1), Text: fmt.Sprintf("%s ended with code %d", p.command[0], exit.ExitCode())}
}

// notStarted says what to do about a command that the system does not start.
func notStarted(err error) error {
	for _, known := range []struct {
		err error
		try string
	}{
		{exec.ErrDot, "write ./ before its name if you mean the one in this folder"},
		{exec.ErrNotFound, "install it, or write its path"},
		{fs.ErrNotExist, "write the path of a program that exists; of a script, the one in its first line has to"},
		{fs.ErrPermission, "chmod +x makes a script a program; or name what runs it, as in sh SCRIPT"},
		{syscall.ENOEXEC, "give the script a first line such as #!/bin/sh, or name what runs it"},
		{syscall.E2BIG, "file=VARIABLE brings a secret that is too long for a variable"},
	} {
		if errors.Is(err, known.err) {
			return usage(known.try, "%w", err)
		}
	}
	return err
}
