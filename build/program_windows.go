package build

import (
	"os/exec"
	"syscall"
)

// signaller returns what ends a command: Windows has no milder way.
func signaller(cmd *exec.Cmd) func(syscall.Signal) error {
	return func(syscall.Signal) error { return cmd.Process.Kill() }
}
