// Package tool finds secrets in stores that are read by programs of their own.
package tool

import (
	"context"

	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/source/command"
	"github.com/tightlip/tightlip/secret/source/file"
)

// Sources are those of the table.
func Sources(runner *command.Runner, files file.Source) []secret.Source {
	var out []secret.Source
	for _, s := range stores {
		out = append(out, source{s, runner, files})
	}
	return out
}

// store is a row of the table: how a program is asked for a secret.
type store struct {
	scheme  string
	about   secret.About
	program string
	try     string // what to do if the program fails
	// read returns what the program says, in which errors of the program are as they came.
	read func(context.Context, question) (secret.Value, error)
}

// question is a reference on its way to a program.
type question struct {
	source
	ref   secret.Ref
	parts secret.Parts
}

// run asks the program of the store. No value may be among the arguments.
func (q question) run(ctx context.Context, said *bool, args ...string) (secret.Value, error) {
	return q.runner.Output(ctx, command.Program{Name: q.program, Args: args, Said: said})
}

// absent is the error for a secret that is not there.
func (q question) absent(problem, try string) error {
	return &secret.ResolveError{Ref: q.ref, Problem: problem, Try: try, Err: secret.ErrNotFound}
}

type source struct {
	store
	runner *command.Runner
	files  file.Source
}

// Scheme implements secret.Source.
func (s source) Scheme() string { return s.scheme }

// About implements secret.Described.
func (s source) About() secret.About { return s.about }

// Resolve implements secret.Source.
func (s source) Resolve(ctx context.Context, ref secret.Ref) (*secret.Lease, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	p, err := ref.Parts()
	if err != nil {
		return nil, err
	}
	if p.Path == "" {
		return nil, &secret.SyntaxError{Problem: "a reference to " + s.scheme + ": says nothing but that", Try: "write " + s.about.Form}
	}
	value, err := s.read(ctx, question{s, ref, p})
	switch {
	case err != nil:
	case value.Len() == 0:
		err = &secret.ResolveError{Ref: ref, Problem: ref.String() + " is empty", Err: secret.ErrEmpty}
	case value.Len() > secret.MaxSize:
		err = secret.ErrTooLarge
	default:
		return &secret.Lease{Value: value, ID: ref.String()}, nil
	}
	return nil, s.explain(ref, err)
}

// explain leaves alone what already says what to do.
func (s source) explain(ref secret.Ref, err error) error {
	switch err.(type) { //nolint:errorlint // not what they wrap
	case *secret.ResolveError, *secret.SyntaxError:
		return err
	}
	re := command.Explain(ref, s.program, err)
	if !command.Missing(err) {
		re.Try = s.try
	}
	return re
}
