// Package command finds secrets in the output of commands, such as password managers.
package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"sync"
	"time"

	"github.com/google/shlex"
	"github.com/tightlip/tightlip/secret"
)

// Scheme is what references to a command begin with.
const Scheme = "cmd"

// Options are the streams of the commands.
type Options struct {
	// Stderr receives what a command writes to its standard error. nil: it is dropped.
	Stderr io.Writer

	// Stdin is the standard input of every command. nil: there is none. A command may take all of it even if it needs
	// nothing, as ssh does: leave it out when a build context comes from there.
	Stdin *os.File
}

// Source resolves cmd:COMMAND ARGUMENT….
//
// The text is split into words as a shell does, by spaces, quotes and backslashes, but no shell runs: variables and
// patterns are not expanded. A word that begins with # starts a comment. The value is what the command writes to standard
// output before it exits with 0, less one newline at the end; this is the contract of summon's providers.
type Source struct {
	stderr   io.Writer
	stdin    *os.File
	terminal sync.Mutex // one command at a time can have it
}

// New returns the source.
func New(opts Options) *Source {
	s := &Source{stderr: opts.Stderr, stdin: opts.Stdin}
	if _, isFile := opts.Stderr.(*os.File); !isFile && opts.Stderr != nil {
		s.stderr = &lockedWriter{w: opts.Stderr}
	}
	return s
}

// lockedWriter lets commands that run at the same time write to one writer. A file needs no lock.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// Scheme implements secret.Source.
func (*Source) Scheme() string { return Scheme }

// Resolve implements secret.Source. When ctx is done it kills the command and all processes of its group.
func (s *Source) Resolve(ctx context.Context, ref secret.Ref) (*secret.Lease, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	words, err := shlex.Split(ref.Rest)
	if err != nil || len(words) == 0 {
		return nil, &secret.ResolveError{Ref: ref, Problem: ref.String() + " is not a command", Try: "close every quote"}
	}
	value, err := s.run(ctx, words)
	if err != nil {
		return nil, explain(ref, words[0], err)
	}
	switch value = trimNewline(value); {
	case value.Len() == 0:
		return nil, explain(ref, words[0], secret.ErrEmpty)
	case value.Len() > secret.MaxSize:
		return nil, explain(ref, words[0], secret.ErrTooLarge)
	}
	return &secret.Lease{Value: value, ID: ref.String()}, nil
}

// leftOver is how long a process that outlives the command may hold its output open.
const leftOver = 5 * time.Second

func (s *Source) run(ctx context.Context, words []string) (secret.Value, error) {
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	var out limited
	cmd.Stdout, cmd.Stderr = &out, s.stderr
	if s.stdin != nil {
		cmd.Stdin = s.stdin // a nil *os.File would not be a nil io.Reader
	}
	cmd.Cancel = func() error { return killGroup(cmd.Process) }
	cmd.WaitDelay = leftOver
	err := s.inGroup(cmd)
	switch {
	case ctx.Err() != nil:
		return secret.Value{}, ctx.Err()
	case out.exceeded:
		return secret.Value{}, secret.ErrTooLarge
	case err != nil:
		return secret.Value{}, err
	}
	return secret.NewValue(out.buf.Bytes()), nil
}

// limited keeps up to secret.MaxSize bytes, plus the newline that will be dropped, and refuses more.
//
// It does not embed the buffer: io.Copy would call that one's ReadFrom, which knows no limit.
type limited struct {
	buf      bytes.Buffer
	exceeded bool
}

func (l *limited) Write(p []byte) (int, error) {
	if l.buf.Len()+len(p) > secret.MaxSize+len("\r\n") {
		l.exceeded = true
		return 0, secret.ErrTooLarge
	}
	return l.buf.Write(p)
}

func trimNewline(v secret.Value) secret.Value {
	b := v.Open()
	if n := len(b); n > 0 && b[n-1] == '\n' {
		b = bytes.TrimSuffix(b[:n-1], []byte("\r"))
	}
	return secret.NewValue(b)
}

// explain never tells what the command wrote: even of a command that failed, that may be the value.
func explain(ref secret.Ref, name string, err error) error {
	re := &secret.ResolveError{Ref: ref, Err: err}
	exit, exited := errors.AsType[*exec.ExitError](err)
	switch {
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, fs.ErrNotExist):
		re.Problem, re.Err = "command "+name+" not found", secret.ErrNotFound
		re.Try = "install " + name + " or add its folder to PATH"
	case errors.Is(err, secret.ErrEmpty):
		re.Problem = "command " + name + " printed nothing"
	case errors.Is(err, secret.ErrTooLarge):
		re.Problem = "the output of command " + name + " " + err.Error()
	case errors.Is(err, exec.ErrWaitDelay):
		re.Problem = "command " + name + " left a process behind that holds its output open"
		re.Try = "make that process close its standard output and error"
	case exited:
		re.Problem = fmt.Sprintf("command %s failed: %s", name, exit.ProcessState)
		re.Try = "run it on its own to see why"
	default:
		re.Problem = fmt.Sprintf("command %s: %v", name, err)
	}
	return re
}
