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

	"github.com/tightlip/tightlip/secret"
)

// Options are the streams of the programs.
type Options struct {
	// Stderr receives what a program writes to its standard error. nil: it is dropped.
	Stderr io.Writer

	// Stdin is the standard input of every program that is given none. nil: there is none. A program may take all of it even if it
	// needs nothing, as ssh does: leave it out when a build context comes from there.
	Stdin *os.File
}

// Runner runs programs for the sources that need some, and seals what they write.
type Runner struct {
	stderr   io.Writer
	stdin    *os.File
	terminal sync.Mutex // one program at a time can have it
}

// NewRunner returns a runner. All sources of a process share one, as they share the terminal.
func NewRunner(opts Options) *Runner {
	r := &Runner{stderr: opts.Stderr, stdin: opts.Stdin}
	if _, isFile := opts.Stderr.(*os.File); !isFile && opts.Stderr != nil {
		r.stderr = &lockedWriter{w: opts.Stderr}
	}
	return r
}

// lockedWriter lets programs that run at the same time write to one writer. A file needs no lock.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// Program is a program to run. Its name and arguments can be seen by everybody on the machine: no value may be among them.
type Program struct {
	Name  string
	Args  []string
	Dir   string // where it runs; empty: in the working directory
	Stdin string // empty: the Runner's
	Said  *bool  // is told whether the program wrote to standard error; nil: nobody wants to know
}

// Line is what a program writes before it exits with 0, less one newline at the end.
func (r *Runner) Line(ctx context.Context, p Program) (secret.Value, error) {
	value, err := r.Output(ctx, p)
	if err != nil {
		return secret.Value{}, err
	}
	value = trimNewline(value)
	switch {
	case value.Len() == 0:
		return secret.Value{}, secret.ErrEmpty
	case value.Len() > secret.MaxSize:
		return secret.Value{}, secret.ErrTooLarge
	}
	return value, nil
}

// leftOver is how long a process that outlives the program may hold its output open.
const leftOver = 5 * time.Second

// Output is all that a program writes to standard output. With an [exec.ExitError] it is what a program wrote that failed.
func (r *Runner) Output(ctx context.Context, p Program) (secret.Value, error) {
	cmd := exec.CommandContext(ctx, p.Name, p.Args...)
	cmd.Dir = p.Dir
	var out limited
	cmd.Stdout, cmd.Stderr = &out, r.stderr
	if p.Said != nil {
		cmd.Stderr = &hearing{r.stderr, p.Said}
	}
	switch {
	case p.Stdin != "":
		cmd.Stdin = bytes.NewBufferString(p.Stdin)
	case r.stdin != nil:
		cmd.Stdin = r.stdin // a nil *os.File would not be a nil io.Reader
	}
	cmd.Cancel = func() error { return killGroup(cmd.Process) }
	cmd.WaitDelay = leftOver
	err := r.inGroup(cmd)
	value := secret.NewValue(out.buf.Bytes())
	clear(out.buf.Bytes())
	switch {
	case ctx.Err() != nil:
		return secret.Value{}, ctx.Err()
	case out.exceeded:
		return secret.Value{}, secret.ErrTooLarge
	}
	return value, err
}

// hearing passes on what is written, and remembers that something was.
type hearing struct {
	w    io.Writer // nil: it goes nowhere
	said *bool
}

func (h *hearing) Write(p []byte) (int, error) {
	*h.said = true
	if h.w == nil {
		return len(p), nil
	}
	return h.w.Write(p)
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

// Missing reports whether the program itself was not there.
func Missing(err error) bool {
	return errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist)
}

// Explain says why a program gave no value. It never tells what the program wrote: even of one that failed, that may be the value.
func Explain(ref secret.Ref, name string, err error) *secret.ResolveError {
	re := &secret.ResolveError{Ref: ref, Err: err}
	exit, exited := errors.AsType[*exec.ExitError](err)
	switch {
	case Missing(err):
		re.Problem = "command " + name + " not found"
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
