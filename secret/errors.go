package secret

import (
	"errors"
	"fmt"
)

// MaxSize is the largest value in bytes that a source returns. Engines have lower limits: BuildKit's is 500 KiB.
const MaxSize = 64 << 20

// What callers branch on. Each is wrapped by the error of [Resolver.Resolve].
var (
	ErrNotFound      = errors.New("not found")
	ErrEmpty         = errors.New("is empty")
	ErrTooLarge      = fmt.Errorf("is larger than %d MiB", MaxSize>>20)
	ErrUnknownScheme = errors.New("unknown scheme")
	ErrNotRevocable  = errors.New("cannot be revoked")
	ErrNotMade       = errors.New("nothing was made") // which lives on: see NotMade
)

// NotMade says that an error of a mint left nothing at the issuer to reap. It wraps ErrNotMade, and err, whose text stays as it is.
func NotMade(err error) error { return notMade{err} }

type notMade struct{ error }

func (e notMade) Unwrap() []error { return []error{e.error, ErrNotMade} }

// ResolveError says why a reference has no value.
type ResolveError struct {
	ID      string // the secret's id, if it is known
	Ref     Ref
	Problem string // for the user, such as "environment variable NPM_TOKEN is not set"; empty: Ref and Err say it
	Try     string // what the user can type to solve it, if anything
	Err     error  // the cause, often one of the sentinels above
	Only    bool   // there is no other way to name the secret than the one that failed
}

// Error implements error.
func (e *ResolveError) Error() string {
	text := e.Problem
	if text == "" {
		text = fmt.Sprintf("%s: %v", e.Ref, e.Err)
	}
	if e.ID != "" {
		text = "secret " + e.ID + ": " + text
	}
	return text
}

// Hint is what to type to solve the problem, or "".
func (e *ResolveError) Hint() string {
	missing := errors.Is(e.Err, ErrNotFound) || errors.Is(e.Err, ErrEmpty)
	if e.ID == "" || e.Ref.Scheme == SchemeFile || !missing || e.Only {
		return e.Try
	}
	other := "--secret id=" + e.ID + ",src=FILE"
	if e.Try == "" {
		return other
	}
	return e.Try + ", or " + other
}

// Unwrap returns the cause.
func (e *ResolveError) Unwrap() error { return e.Err }

// SyntaxError says why a reference or a secret's specification cannot be understood.
//
// It quotes nothing but words it knows, since what could not be understood may be a value.
type SyntaxError struct {
	Problem string
	Try     string // what to type instead, if anything
	Err     error  // the sentinel callers branch on, if there is one
}

// Error implements error.
func (e *SyntaxError) Error() string { return e.Problem }

// Hint is what to type instead, or "".
func (e *SyntaxError) Hint() string { return e.Try }

// Unwrap returns the sentinel, if there is one.
func (e *SyntaxError) Unwrap() error { return e.Err }
