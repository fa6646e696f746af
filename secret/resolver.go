package secret

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tightlip/tightlip/internal/suggest"
)

// Resolver resolves references of every scheme it has a source for.
type Resolver struct {
	sources map[string]Source
	schemes []string // in the order the sources were given
	other   func(scheme string) Source
	journal Journal
	waiting func(what string) (done func())
}

// Journal remembers what was minted until it is dead, also if this process is killed.
type Journal interface {
	// Begin keeps, before anything is minted, what is about to be. What it returns is to be called with what came of it, and again
	// when that has ended. Both are on disk when they return.
	Begin(ref Ref, m Minted) (Record, error)
}

// Record is one lease of a Journal.
type Record interface {
	Minted(m Minted) error
	Ended() error
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

// SetJournal has the resolver keep a journal of what it mints. It must be called before the resolver is used.
func (r *Resolver) SetJournal(j Journal) { r.journal = j }

// SetWaiting has the resolver call f when it begins to wait for an issuer although nobody wants a credential of it any more, and what f returns
// when that is over. It must be called before the resolver is used.
func (r *Resolver) SetWaiting(f func(what string) (done func())) { r.waiting = f }

// SetOther has the resolver ask find for the sources of schemes that it has none for, of which there may be none: nil. It must be called
// before the resolver is used.
func (r *Resolver) SetOther(find func(scheme string) Source) { r.other = find }

// source is that of a scheme, or nil.
func (r *Resolver) source(scheme string) Source {
	if s, ok := r.sources[scheme]; ok || r.other == nil {
		return s
	}
	return r.other(scheme)
}

// Minter is the source of a scheme, if that is one that mints.
func (r *Resolver) Minter(scheme string) (Minter, bool) {
	m, ok := r.source(scheme).(Minter)
	return m, ok
}

// About is what the source of a scheme says of itself.
func (r *Resolver) About(scheme string) (About, bool) {
	d, ok := r.source(scheme).(Described)
	if !ok {
		return About{}, false
	}
	return d.About(), true
}

// Variables lists the variables of the environment that a reference, and those within it, take values from.
func (r *Resolver) Variables(ref Ref) []string {
	var out []string
	about, _ := r.About(ref.Scheme)
	if ref.Scheme == SchemeEnv || about.Variable {
		name, _, _ := strings.Cut(ref.Rest, "#")
		out = append(out, name)
	}
	out = append(out, about.Variables...)
	for _, inner := range ref.inner() {
		out = append(out, r.Variables(inner)...)
	}
	return out
}

// Credentials lists the variables of the environment that hold the own credentials of sources, whichever is used.
func (r *Resolver) Credentials() []string {
	var out []string
	for _, scheme := range r.schemes {
		about, _ := r.About(scheme)
		out = append(out, about.Variables...)
	}
	return out
}

// Schemes lists the schemes the resolver has a source for, in the order they were given.
func (r *Resolver) Schemes() []string { return r.schemes }

// Check returns an error that wraps ErrUnknownScheme if there is no source for ref.
func (r *Resolver) Check(ref Ref) error {
	_, err := r.find(ref)
	return err
}

func (r *Resolver) find(ref Ref) (Source, error) {
	if s := r.source(ref.Scheme); s != nil {
		return s, nil
	}
	err := CheckScheme(ref, r.schemes)
	if se, ok := errors.AsType[*SyntaxError](err); ok && r.other != nil {
		se.Try += "; an executable tightlip-source-NAME on PATH makes NAME: another"
	}
	return nil, err
}

// longestScheme is what is quoted of an unknown one: a longer one may be a value in the wrong place.
const longestScheme = 20

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
	problem := "the reference has an unknown scheme"
	if len(ref.Scheme) <= longestScheme {
		problem += ", " + ref.Scheme + ":"
	}
	return &SyntaxError{Problem: problem, Try: try, Err: ErrUnknownScheme}
}

// Resolve resolves ref with the source for its scheme.
//
// An empty value is an error, whatever the source says: an engine would deliver it silently.
// The error is a [*ResolveError], or a [*SyntaxError] if there is no such source.
func (r *Resolver) Resolve(ctx context.Context, ref Ref) (*Lease, error) {
	source, err := r.find(ref)
	if err != nil {
		return nil, err
	}
	lease, err := source.Resolve(ctx, ref)
	if err == nil && lease.Value.Len() == 0 {
		err = errors.Join(ErrEmpty, lease.revoke(ctx))
	}
	if err == nil {
		return lease, nil
	}
	return nil, asResolveError(ref, err)
}

func asResolveError(ref Ref, err error) *ResolveError {
	if re, ok := errors.AsType[*ResolveError](err); ok {
		return re
	}
	return &ResolveError{Ref: ref, Err: err}
}

// ResolveAll resolves the reference of every spec, in order and one at a time since a source may ask the user. What is minted is only
// checked: the set mints it when it is asked for.
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
	if set.Has(spec.ID) {
		return errors.New("is given twice")
	}
	if m, ok := r.Minter(spec.Ref.Scheme); ok {
		if err := m.Check(spec.Ref); err != nil {
			return err
		}
		err := set.AddMinted(spec.ID, spec.Ref, func(ctx context.Context) (*Lease, error) { return r.mint(ctx, m, spec.Ref) })
		if err == nil {
			set.uses(spec.ID, set.entry(spec.ID), r.foreseen(ctx, m, spec.Ref))
		}
		return err
	}
	ctx, used := using(ctx)
	lease, err := r.Resolve(ctx, spec.Ref)
	if err != nil {
		return err
	}
	if err := set.Add(spec.ID, lease); err != nil {
		return err
	}
	set.uses(spec.ID, set.entry(spec.ID), used.parents())
	return nil
}

// mint makes a credential that the journal knows of before anybody can use it, and that it forgets once it is revoked.
func (r *Resolver) mint(ctx context.Context, minter Minter, ref Ref) (*Lease, error) {
	m := Minted{Name: NewName()}
	var record Record
	if r.journal != nil {
		var err error
		if record, err = r.journal.Begin(ref, m); err != nil {
			return nil, &ResolveError{Ref: ref, Err: fmt.Errorf("keeping a journal: %w", err)}
		}
	}
	lease, err := minter.Mint(ctx, ref, m.Name)
	if err == nil && lease.Value.Len() == 0 {
		err = errors.Join(ErrEmpty, lease.revoke(ctx))
	}
	if err != nil {
		return nil, r.unmade(ctx, minter, ref, m, record, err)
	}
	if record == nil {
		return lease, nil
	}
	m.ID, m.With, m.Expires = lease.ID, lease.With, lease.Expires
	if err := record.Minted(m); err != nil {
		return nil, &ResolveError{Ref: ref, Err: errors.Join(fmt.Errorf("keeping a journal: %w", err), lease.revoke(ctx))}
	}
	lease.name, lease.ended = m.Name, record.Ended
	return lease, nil
}

// unmade is the error of a mint that failed. The record ends if there is nothing that reap could do.
func (r *Resolver) unmade(ctx context.Context, minter Minter, ref Ref, m Minted, record Record, err error) error {
	cause := asResolveError(ref, err)
	if record == nil {
		return cause
	}
	if errors.Is(err, ErrNotMade) {
		return errors.Join(cause, record.Ended())
	}
	failed := r.takeBack(ctx, minter, ref, m)
	switch {
	case failed == nil:
		return errors.Join(cause, record.Ended())
	case errors.Is(failed, ErrNotRevocable):
		failed = errors.Join(failed, record.Ended())
	}
	return &unsureError{cause, Ending{Ref: ref, Name: m.Name, Fate: Maybe, Err: failed, Unsure: true}}
}

// takeBack ends what may have been made although the answer was an error. An issuer that is slow may make it
// after all: one that does not know it is asked again for a while. Otherwise the record stays, for reap.
func (r *Resolver) takeBack(ctx context.Context, minter Minter, ref Ref, m Minted) error {
	if ctx.Err() != nil && r.waiting != nil {
		defer r.waiting("waiting for " + ref.Scheme + " to tell whether it made a credential")()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), unsureTime)
	defer cancel()
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		err := minter.Reap(ctx, ref, m)
		if !errors.Is(err, ErrNotFound) {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return err
		}
	}
}

// unsureTime bounds how long is waited for an issuer that may be about to make what it was asked for. That is less than the end of a build
// has for all issuers together, so that what it made can be ended there.
const unsureTime = revokeTimeout

// withID says which secret err is about.
func withID(err error, id string) error {
	if re, ok := errors.AsType[*ResolveError](err); ok {
		named := *re
		named.ID = id
		return &named
	}
	return fmt.Errorf("secret %s: %w", id, err)
}
