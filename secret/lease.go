package secret

import (
	"context"
	"time"
)

// Lease is a value with the time it ends and the means to end it sooner, where the source has them.
type Lease struct {
	Value   Value
	Expires time.Time                   // the zero time: never, as far as the source knows
	Revoke  func(context.Context) error // nil: cannot be revoked; called at most once by a Set
	ID      string                      // tells leases apart in logs; never derived from the value
}

// Source resolves the references of one scheme.
type Source interface {
	// Scheme is what the references of this source begin with, without the colon.
	Scheme() string

	// Resolve returns the value ref points at.
	//
	// If it does not exist, the error wraps ErrNotFound; if it is empty, ErrEmpty; if it exceeds MaxSize, ErrTooLarge.
	// No other outcome may be taken for one of these: a value that cannot be read is an error of its own.
	// Once ctx is done, Resolve returns an error that wraps ctx.Err(), without waiting for the outside world.
	// No error contains the value, a part of it or an encoding of it. A *ResolveError tells the user what to do.
	// Resolve is safe for concurrent use.
	Resolve(ctx context.Context, ref Ref) (*Lease, error)
}
