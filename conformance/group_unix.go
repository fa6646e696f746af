//go:build unix

package conformance

import (
	"os/exec"
	"syscall"
)

// inGroup gives cmd a process group of its own, so that a signal from the terminal reaches it only through us.
func inGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
