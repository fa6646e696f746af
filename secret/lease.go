package secret

import (
	"context"
	"crypto/rand"
	"strings"
	"sync/atomic"
	"time"
)

// Lease is a value with the time it ends and the means to end it sooner, where the source has them.
type Lease struct {
	Value   Value
	Expires time.Time                   // the zero time: never, as far as the source knows
	Revoke  func(context.Context) error // nil: cannot be revoked; called at most once by a Set
	// Alive asks the issuer whether the value still works. Its error is that the issuer could not be asked; nil: there is no way to ask.
	Alive func(context.Context) (bool, error)
	ID    string // tells leases apart in logs, and names a minted one to its issuer; never derived from the value
	With  string // what the issuer calls that which was made on the way and ends with it, such as a login; empty: nothing was

	// Forget wipes what it took to make the value and to end it. nil: nothing did.
	Forget func()

	name  string       // that the issuer was told
	ended func() error // tells the journal
	inUse *atomic.Bool // by a call to the issuer that nobody waits for any more; nil: it is in no Set
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

// Minter is a source that makes a credential instead of finding one. Its Resolve makes one, too.
type Minter interface {
	Source

	// Check returns a *SyntaxError if ref cannot be understood. It reaches nothing.
	Check(ref Ref) error

	// Mint makes a credential. Its issuer calls it by name, if issuers of that kind let their credentials have names, so that Reap
	// finds it even if the answer to Mint was lost. The rules for errors are those of Resolve; one that surely left nothing at the
	// issuer wraps ErrNotMade.
	Mint(ctx context.Context, ref Ref, name string) (*Lease, error)

	// Reap ends a credential that an earlier process made and could not revoke. The error wraps ErrNotRevocable if that takes
	// the value, which nobody has any more, and ErrNotFound if the issuer knows no such credential: it is gone, or the issuer is
	// another one or asked as somebody else. So what it knew the first time and not the second is dead.
	Reap(ctx context.Context, ref Ref, m Minted) error
}

// NewName is one for what is about to be minted, by which people see at the issuer who made it.
func NewName() string { return "tightlip-" + strings.ToLower(rand.Text()[:12]) }

// Minted is what is known of a credential that was made, or about to be made, without its value.
type Minted struct {
	Name    string    // what Mint was told
	ID      string    // the lease's; empty: Mint did not return
	With    string    // the lease's
	Expires time.Time // the zero time: never, or not known
}
