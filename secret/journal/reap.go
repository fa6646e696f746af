package journal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/tightlip/tightlip/internal/lockfile"
	"github.com/tightlip/tightlip/secret"
)

// keep is how long a lease is tried to be revoked that never expires, or of which not even that is known.
const keep = 90 * 24 * time.Hour

// Sources finds the minter of a scheme, for references with relative paths that begin at dir.
type Sources func(scheme, dir string) (secret.Minter, bool)

// Reap ends what processes that are gone have minted and did not revoke, and tells what became of each lease. What cannot be revoked
// now, or is not known to the issuer that was asked, stays in the folder until it has expired, unless it is to be forgotten. The error
// is for what could not be read.
func Reap(ctx context.Context, folder string, forget bool, sources Sources) ([]secret.Ending, error) {
	names, err := filepath.Glob(filepath.Join(folder, pattern))
	if err != nil {
		return nil, err
	}
	var all []secret.Ending
	var errs []error
	for _, name := range names {
		unlock, err := lockfile.Lock(name + lockExt)
		if err != nil {
			continue // its process is at work
		}
		endings, err := reap(ctx, name, forget, sources)
		unlock()
		all, errs = append(all, endings...), append(errs, err)
	}
	return all, errors.Join(errs...)
}

// reap ends the leases of one file, which it removes if none is left.
func reap(ctx context.Context, name string, forget bool, sources Sources) ([]secret.Ending, error) {
	leases, whole, err := read(name)
	if errors.Is(err, fs.ErrNotExist) {
		_ = os.Remove(name + lockExt) // its process has just removed both
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	endings := endAll(ctx, leases, sources)
	if err := os.Truncate(name, whole); err != nil { // the next line is not to be the end of half a one
		return nil, err
	}
	j := &Journal{name: name, open: len(leases), unlock: func() {}}
	if j.file, err = os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0); err != nil {
		return nil, err
	}
	var errs []error
	for i, l := range leases {
		if forget || l.done(endings[i]) || time.Since(l.Time) > keep {
			errs = append(errs, (&record{j, l.Lease}).Ended())
		}
	}
	return endings, errors.Join(append(errs, j.Close())...)
}

// done tells whether nothing is left to be tried, or to be told.
func (l line) done(e secret.Ending) bool {
	switch e.Fate {
	case secret.Unrevoked:
		return false
	case secret.Unknown: // it was never made, or another account or server than this one has it
		return e.Unsure && time.Since(l.Time) > patience
	case secret.Unasked:
		return !e.Unsure || time.Since(l.Time) > slowest
	case secret.Lives: // for ever, as far as anybody knows
		return e.Unsure || !l.Expires.IsZero()
	case secret.Expired: // by our clock, which may be wrong, and nobody else's
		return e.Err == nil || time.Since(l.Expires) > skew
	}
	return true
}

// slowest is how long an issuer may take to make what it was asked for; patience is how long is looked for what may never have been made.
const (
	slowest  = 10 * time.Minute
	patience = 24 * time.Hour
)

// endAll ends leases at the same time: an issuer that does not answer holds up no other.
func endAll(ctx context.Context, leases []line, sources Sources) []secret.Ending {
	ctx, cancel := context.WithTimeout(ctx, perFile)
	defer cancel()
	endings := make([]secret.Ending, len(leases))
	var group sync.WaitGroup
	for i, l := range leases {
		group.Go(func() { endings[i] = l.end(ctx, sources) })
	}
	group.Wait()
	return endings
}

// perFile bounds how long is waited for the issuers of one process's leases, verifyTime how long for one to hear of a revocation. skew is how
// far an issuer's clock may be behind ours.
const (
	perFile    = 20 * time.Second
	verifyTime = 6 * time.Second
	firstPause = 100 * time.Millisecond
	skew       = time.Hour
)

// end ends one lease, unless time has.
func (l line) end(ctx context.Context, sources Sources) secret.Ending {
	ref, err := secret.ParseRef(l.Ref)
	e := secret.Ending{Ref: ref, Name: l.Name, Lease: l.ID, Expires: l.Expires, Fate: secret.Unrevoked, Err: err, Unsure: l.State == minting}
	ref.Dir = l.Dir
	minter, ok := sources(ref.Scheme, l.Dir)
	past := !l.Expires.IsZero() && time.Now().After(l.Expires)
	switch {
	case err != nil:
	case past && time.Since(l.Expires) > skew:
		e.Fate = secret.Expired
	case !ok:
		e.Err = fmt.Errorf("this tightlip does not mint %s", ref.Scheme)
	default:
		e.Fate, e.Err = revoke(ctx, minter, ref, secret.Minted{Name: l.Name, ID: l.ID, With: l.With, Expires: l.Expires})
	}
	if past && (e.Fate == secret.Unrevoked || e.Fate == secret.Unknown || e.Fate == secret.Lives) {
		e.Fate = secret.Expired
	}
	return e
}

// revoke reaps until the issuer does not know the lease any more: who knew it once can tell that it is dead. The error is why it may not be.
func revoke(ctx context.Context, minter secret.Minter, ref secret.Ref, m secret.Minted) (secret.Fate, error) {
	switch err := minter.Reap(ctx, ref, m); {
	case errors.Is(err, secret.ErrNotFound):
		return secret.Unknown, nil
	case errors.Is(err, secret.ErrNotRevocable):
		return secret.Lives, nil
	case err != nil:
		return secret.Unrevoked, err
	}
	ctx, cancel := context.WithTimeout(ctx, verifyTime)
	defer cancel()
	for pause := firstPause; ; pause *= 2 {
		if err := minter.Reap(ctx, ref, m); err != nil {
			return verified(err), nil
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return secret.Unasked, nil
		}
	}
}

// verified reads what an issuer says of a lease that it has just revoked.
func verified(err error) secret.Fate {
	if errors.Is(err, secret.ErrNotFound) {
		return secret.Dead
	}
	return secret.Unasked
}
