//go:build unix

package command

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// inGroup runs cmd in a process group of its own, so that all of it can be killed.
//
// A background group that reads from the terminal is stopped, and a password manager that asks for a password there
// would hang. So while we are in the foreground ourselves, the command gets the terminal, and we take it back after.
func (r *Runner) inGroup(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return run(cmd) // there is no terminal
	}
	defer func() { _ = tty.Close() }()
	r.terminal.Lock()
	defer r.terminal.Unlock()
	fd := int(tty.Fd())
	if group, err := unix.IoctlGetInt(fd, unix.TIOCGPGRP); err != nil || group != unix.Getpgrp() {
		return run(cmd)
	}
	cmd.SysProcAttr.Foreground, cmd.SysProcAttr.Ctty = true, fd
	return errors.Join(run(cmd), takeBack(fd))
}

// run differs from cmd.Run in killing what a failed or broken-off command leaves behind in its group.
func run(cmd *exec.Cmd) error {
	if err := cmd.Start(); err != nil {
		return err
	}
	err := cmd.Wait()
	if err != nil {
		_ = killGroup(cmd.Process) // usually nothing is left of it
	}
	return err
}

// takeBack makes our process group the foreground one again. Asking from the background raises SIGTTOU, which stops us
// unless it is ignored.
func takeBack(tty int) error {
	signal.Ignore(syscall.SIGTTOU)
	defer signal.Reset(syscall.SIGTTOU)
	return unix.IoctlSetPointerInt(tty, unix.TIOCSPGRP, unix.Getpgrp())
}

func killGroup(p *os.Process) error {
	err := syscall.Kill(-p.Pid, syscall.SIGKILL)
	if errors.Is(err, syscall.ESRCH) {
		return os.ErrProcessDone
	}
	return err
}
