// Package command finds secrets in the output of commands, such as password managers.
package command

import (
	"context"

	"github.com/google/shlex"
	"github.com/tightlip/tightlip/secret"
)

// Scheme is what references to a command begin with.
const Scheme = "cmd"

// Source resolves cmd:COMMAND ARGUMENT….
//
// The text is split into words as a shell does, by spaces, quotes and backslashes, but no shell runs: variables and
// patterns are not expanded. A word that begins with # starts a comment. The value is what the command writes to standard
// output before it exits with 0, less one newline at the end; this is the contract of summon's providers.
type Source struct {
	Runner *Runner
}

// New returns the source.
func New(opts Options) Source { return Source{NewRunner(opts)} }

// Scheme implements secret.Source.
func (Source) Scheme() string { return Scheme }

// About implements secret.Described.
func (Source) About() secret.About {
	return secret.About{Form: "cmd:COMMAND ARGUMENT…", What: "what a command writes to standard output", Example: "cmd:printf not-a-real-one"}
}

// Resolve implements secret.Source. When ctx is done it kills the command and all processes of its group.
func (s Source) Resolve(ctx context.Context, ref secret.Ref) (*secret.Lease, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	words, err := shlex.Split(ref.Rest)
	if err != nil || len(words) == 0 {
		return nil, &secret.ResolveError{Ref: ref, Problem: ref.String() + " is not a command", Try: "close every quote"}
	}
	value, err := s.Runner.Line(ctx, Program{Name: words[0], Args: words[1:], Dir: ref.Dir})
	if err != nil {
		re := Explain(ref, words[0], err)
		if Missing(err) {
			re.Err = secret.ErrNotFound
		}
		return nil, re
	}
	return &secret.Lease{Value: value, ID: ref.String()}, nil
}
