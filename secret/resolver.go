package secret

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/tightlip/tightlip/internal/suggest"
)

// Resolver resolves references of every scheme it has a source for.
type Resolver struct {
	sources map[string]Source
	schemes []string // in the order the sources were given
}

// NewResolver returns a resolver over sources. Two sources for one scheme are a programming error, and panic.
func NewResolver(sources ...Source) *Resolver {
	r := &Resolver{sources: make(map[string]Source, len(sources))}
	for _, s := range sources {
		if _, taken := r.sources[s.Scheme()]; taken {
			panic("secret: two sources for the scheme " + s.Scheme())
		}
		r.sources[s.Scheme()] = s
		r.schemes = append(r.schemes, s.Scheme())
	}
	return r
}

// Schemes lists the schemes the resolver has a source for, in the order they were given.
func (r *Resolver) Schemes() []string { return r.schemes }

// Check returns an error that wraps ErrUnknownScheme if there is no source for ref.
func (r *Resolver) Check(ref Ref) error {
	return CheckScheme(ref, r.schemes)
}

// CheckScheme returns a [*SyntaxError] that wraps ErrUnknownScheme unless the scheme of ref is one of known.
func CheckScheme(ref Ref, known []string) error {
	var forms []string
	for _, k := range known {
		if k == ref.Scheme {
			return nil
		}
		forms = append(forms, Ref{Scheme: k}.String())
	}
	try := "known are " + strings.Join(forms, " ")
	if n := suggest.Nearest(ref.Scheme, known); n != "" {
		try = "did you mean " + n + ":? " + try
	}
	return &SyntaxError{Problem: "the reference has an unknown scheme", Try: try, Err: ErrUnknownScheme}
}

// Resolve resolves ref with the source for its scheme.
//
// An empty value is an error, whatever the source says: an engine would deliver it silently.
// The error is a [*ResolveError], or a [*SyntaxError] if there is no such source.
func (r *Resolver) Resolve(ctx context.Context, ref Ref) (*Lease, error) {
	if err := r.Check(ref); err != nil {
		return nil, err
	}
	lease, err := r.sources[ref.Scheme].Resolve(ctx, ref)
	if err == nil && lease.Value.Len() == 0 {
		err = errors.Join(ErrEmpty, lease.revoke(ctx))
	}
	if err == nil {
		return lease, nil
	}
	if _, ok := errors.AsType[*ResolveError](err); ok {
		return nil, err
	}
	return nil, &ResolveError{Ref: ref, Err: err}
}

// ResolveAll resolves the reference of every spec, in order and one at a time since a source may ask the user.
//
// If any fails, it goes on to the others, revokes what it got, and returns all the errors joined.
func (r *Resolver) ResolveAll(ctx context.Context, specs []Spec) (*Set, error) {
	set := NewSet()
	var errs []error
	for _, spec := range specs {
		if err := r.resolveInto(ctx, set, spec); err != nil {
			errs = append(errs, withID(err, spec.ID))
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(append(errs, set.Close(ctx))...)
	}
	return set, nil
}

func (r *Resolver) resolveInto(ctx context.Context, set *Set, spec Spec) error {
	if _, taken := set.Get(spec.ID); taken {
		return errors.New("is given twice")
	}
	lease, err := r.Resolve(ctx, spec.Ref)
	if err != nil {
		return err
	}
	return set.Add(spec.ID, lease)
}

// withID says which secret err is about.
func withID(err error, id string) error {
	if re, ok := errors.AsType[*ResolveError](err); ok {
		named := *re
		named.ID = id
		return &named
	}
	return fmt.Errorf("secret %s: %w", id, err)
}
