//go:build !linux

package podman

import (
	"context"
	"errors"
	"os/exec"

	"github.com/tightlip/tightlip/build"
)

func ownGroup(*exec.Cmd) {}

func signalGroup(cmd *exec.Cmd, _ bool) error { return cmd.Process.Kill() }

type pipes struct{ args []string }

func (*result) handOver(context.Context, func(error)) (*pipes, error) {
	return nil, errors.ErrUnsupported
}

func (*pipes) close() error { return nil }

func killSteps(string) {}

var _ build.Engine = (*Engine)(nil)
