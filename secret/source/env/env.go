// Package env finds secrets in environment variables.
package env

import (
	"context"
	"os"

	"github.com/tightlip/tightlip/secret"
)

// Source resolves env:NAME. The zero value looks into the environment of this process.
type Source struct {
	// Lookup replaces os.LookupEnv.
	Lookup func(name string) (value string, ok bool)
}

// Scheme implements secret.Source.
func (Source) Scheme() string { return secret.SchemeEnv }

// About implements secret.Described.
func (Source) About() secret.About {
	return secret.About{Form: "env:NAME", What: "an environment variable", Example: "env:NPM_TOKEN"}
}

// Rereadable implements secret.Rereadable.
func (Source) Rereadable(secret.Ref) bool { return true }

// Resolve implements secret.Source.
func (s Source) Resolve(ctx context.Context, ref secret.Ref) (*secret.Lease, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	lookup := s.Lookup
	if lookup == nil {
		lookup = os.LookupEnv
	}
	name := ref.Rest
	value, ok := lookup(name)
	switch {
	case !ok:
		return nil, failed(ref, "is not set", secret.ErrNotFound)
	case value == "":
		return nil, failed(ref, "is set but empty", secret.ErrEmpty)
	case len(value) > secret.MaxSize:
		return nil, failed(ref, "cannot be used: it "+secret.ErrTooLarge.Error(), secret.ErrTooLarge)
	}
	return &secret.Lease{Value: secret.NewValue([]byte(value)), ID: ref.String()}, nil
}

func failed(ref secret.Ref, problem string, err error) error {
	return &secret.ResolveError{
		Ref:     ref,
		Problem: "environment variable " + ref.Rest + " " + problem,
		Try:     "export " + ref.Rest + "=…",
		Err:     err,
	}
}
