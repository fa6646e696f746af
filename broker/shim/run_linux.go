package shim

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// defaultPath is where commands are if the environment does not say.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// catch takes the signals that a builder sends to the step. They are not ignored, since the command would inherit that.
func catch() chan os.Signal {
	signal.Notify(make(chan os.Signal, 1), unix.SIGPIPE)
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2, unix.SIGWINCH)
	return signals
}

// stopped is the signal that ended a step before its command ran.
type stopped struct{ syscall.Signal }

func (s stopped) Error() string { return "stopped by a signal: " + s.Signal.String() }

// interrupted is how a step ends whose context ended before the command ran.
func interrupted(cause error) (int, error) {
	var s stopped
	if errors.As(cause, &s) {
		return 128 + int(s.Signal), cause
	}
	return Failed, cause
}

// untilSignal returns a context that a signal ends, until calm is called. That tells why the context ended, if it did.
func untilSignal(ctx context.Context, signals <-chan os.Signal) (_ context.Context, calm func() error) {
	ctx, cancel := context.WithCancelCause(ctx)
	enough, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case sig := <-signals:
				if sig != unix.SIGUSR1 && sig != unix.SIGUSR2 && sig != unix.SIGWINCH {
					cancel(stopped{sig.(syscall.Signal)})
					return
				}
			case <-enough:
				return
			}
		}
	}()
	return ctx, func() error {
		close(enough)
		<-done
		defer cancel(nil)
		return context.Cause(ctx)
	}
}

// run runs the command and waits for it. When it ends, everything ends that it has left running.
func (s *step) run(ctx context.Context, args, env []string, stdio Stdio, signals <-chan os.Signal) (int, error) {
	path, code, err := findCommand(args[0], env)
	if err != nil {
		return code, err
	}
	attr := &os.ProcAttr{Env: env, Files: []*os.File{stdio.In, stdio.Out, stdio.Err}}
	if u := s.user; u != nil {
		for _, f := range attr.Files { // as runtimes do, so that the user can open /dev/stdout
			_ = f.Chown(int(u.uid), int(u.gid))
		}
		attr.Sys = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: u.uid, Gid: u.gid, Groups: u.groups}}
	}
	command, err := os.StartProcess(path, args, attr)
	if err != nil {
		return cannotRun(args[0], err)
	}
	ended := make(chan struct{})
	go forwardSignals(ctx, command, signals, ended)
	status, err := wait(command.Pid)
	close(ended)
	if os.Getpid() == 1 {
		endOthers()
	}
	switch {
	case err != nil:
		return Failed, fmt.Errorf("waiting for the command: %w", err)
	case ctx.Err() != nil:
		return Failed, context.Cause(ctx)
	case status.Signaled():
		return 128 + int(status.Signal()), nil
	}
	return status.ExitStatus(), nil
}

// forwardSignals passes signals on to the command until it has ended.
func forwardSignals(ctx context.Context, command *os.Process, signals <-chan os.Signal, ended <-chan struct{}) {
	cancelled := ctx.Done()
	for {
		select {
		case sig := <-signals:
			_ = command.Signal(sig)
		case <-cancelled:
			_ = command.Kill()
			cancelled = nil
		case <-ended:
			return
		}
	}
}

// wait waits for a child, and for every other process that becomes one: the first process of a container inherits orphans.
func wait(pid int) (unix.WaitStatus, error) {
	for {
		var status unix.WaitStatus
		got, err := unix.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return status, err
		case got == pid:
			return status, nil
		}
	}
}

// endOthers does what the end of a container's first process does, since the shim goes on for a moment.
func endOthers() {
	_ = unix.Kill(-1, unix.SIGKILL)
	for {
		if _, err := unix.Wait4(-1, nil, 0, nil); err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// findCommand looks for a command as a shell does. The code is the one to end with if there is an error.
func findCommand(name string, env []string) (path string, code int, err error) {
	if strings.Contains(name, "/") {
		return name, 0, nil
	}
	dirs, ok := lookup(env, "PATH")
	if !ok {
		dirs = defaultPath
	}
	code, err = 127, fmt.Errorf("%s: not found", name)
	for _, dir := range filepath.SplitList(dirs) {
		path := filepath.Join(dir, name)
		if dir == "" || dir == "." {
			path = "./" + name
		}
		info, statErr := os.Stat(path)
		switch {
		case statErr != nil || info.IsDir():
		case info.Mode()&0o111 == 0:
			code, err = 126, fmt.Errorf("%s: %w", path, fs.ErrPermission)
		default:
			return path, 0, nil
		}
	}
	return "", code, err
}

// cannotRun is how a step ends whose command could not be started.
func cannotRun(name string, err error) (int, error) {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		return 127, fmt.Errorf("%s: not found", name)
	}
	var errno syscall.Errno
	if errors.As(err, &errno) {
		err = errno
	}
	return 126, fmt.Errorf("%s: %w", name, err)
}
