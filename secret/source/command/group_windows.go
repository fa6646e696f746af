package command

import (
	"os"
	"os/exec"
)

// inGroup runs cmd. Windows has no process groups of this kind: what the command starts itself may outlive it.
func (r *Runner) inGroup(cmd *exec.Cmd) error { return cmd.Run() }

func killGroup(p *os.Process) error { return p.Kill() }
