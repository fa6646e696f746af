//go:build unix

package build

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
)

// signaller prepares a command for signals, and returns what sends it one.
//
// Without a terminal the command leads a group of its own, so that a signal to tightlip alone, as CI systems send it, reaches all that the
// command started: a shell passes none on. With a terminal it stays in ours, since only that may ask questions there, and all of it gets the
// terminal's Ctrl-C.
func signaller(cmd *exec.Cmd) func(syscall.Signal) error {
	if tty, err := os.Open("/dev/tty"); err == nil {
		tty.Close()
		return func(s syscall.Signal) error { return cmd.Process.Signal(s) }
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return func(s syscall.Signal) error {
		err := syscall.Kill(-cmd.Process.Pid, s)
		if errors.Is(err, syscall.ESRCH) {
			return os.ErrProcessDone
		}
		return err
	}
}
