// Package provider finds secrets by executables that are called after the store they know.
//
// An executable tightlip-source-NAME on PATH makes the scheme NAME. What follows the colon of a reference is its only argument, and what it
// writes to standard output before it exits with 0 is the value, less one newline at the end; what it has to say goes to standard
// error. This is the contract of summon's providers, so that a link to one of them is enough.
package provider

import (
	"context"
	"os/exec"

	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/source/command"
)

// Prefix begins the names of the executables.
const Prefix = "tightlip-source-"

// Find returns a function that finds the source of a scheme, or nil if there is no executable for it.
func Find(runner *command.Runner) func(scheme string) secret.Source {
	return func(scheme string) secret.Source {
		path, err := exec.LookPath(Prefix + scheme)
		if err != nil {
			return nil
		}
		return source{scheme, path, runner}
	}
}

type source struct {
	scheme, path string
	runner       *command.Runner
}

// Scheme implements secret.Source.
func (s source) Scheme() string { return s.scheme }

// About implements secret.Described.
func (s source) About() secret.About {
	return secret.About{Form: s.scheme + ":ARGUMENT", What: "what " + Prefix + s.scheme + " writes to standard output", Example: s.scheme + ":ci/npm"}
}

// Resolve implements secret.Source.
func (s source) Resolve(ctx context.Context, ref secret.Ref) (*secret.Lease, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	value, err := s.runner.Line(ctx, command.Program{Name: s.path, Args: []string{ref.Rest}, Dir: ref.Dir})
	if err != nil {
		return nil, command.Explain(ref, Prefix+s.scheme, err)
	}
	return &secret.Lease{Value: value, ID: ref.String()}, nil
}
