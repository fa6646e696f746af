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
		if forget || l.done(endings[i].Fate) || time.Since(l.Time) > keep {
			errs = append(errs, (&record{j, l.Lease}).Ended())
		}
	}
	return endings, errors.Join(append(errs, j.Close())...)
}

// done tells whether nothing is left to be tried.
func (l line) done(fate secret.Fate) bool {
	unsure := l.State == minting
	switch fate {
	case secret.Unrevoked:
		return false
	case secret.Unknown: // it was never made, or another account or server than this one has it
		return unsure && time.Since(l.Time) > patience
	case secret.Unasked:
		return !unsure || time.Since(l.Time) > slowest
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

// perFile bounds how long is waited for the issuers of one process's leases. skew is how far an issuer's clock may be behind ours.
const (
	perFile = 20 * time.Second
	skew    = time.Hour
)

// end ends one lease, unless time has.
func (l line) end(ctx context.Context, sources Sources) secret.Ending {
	ref, err := secret.ParseRef(l.Ref)
	e := secret.Ending{Ref: ref, Name: l.Name, Lease: l.ID, Expires: l.Expires, Fate: secret.Unrevoked, Err: err, Unsure: l.State == minting}
	ref.Dir = l.Dir
	minter, ok := sources(ref.Scheme, l.Dir)
	switch {
	case err != nil:
	case !l.Expires.IsZero() && time.Since(l.Expires) > skew:
		e.Fate = secret.Expired
	case !ok:
		e.Err = fmt.Errorf("this tightlip does not mint %s", ref.Scheme)
	default:
		e.Err = minter.Reap(ctx, ref, secret.Minted{Name: l.Name, ID: l.ID, With: l.With, Expires: l.Expires})
		e.Fate = l.fateOf(e.Err)
		if e.Fate != secret.Unrevoked {
			e.Err = nil
		}
	}
	return e
}

func (l line) fateOf(err error) secret.Fate {
	switch {
	case err == nil:
		return secret.Unasked
	case errors.Is(err, secret.ErrNotFound) && !l.Expires.IsZero() && time.Now().After(l.Expires):
		return secret.Expired
	case errors.Is(err, secret.ErrNotFound):
		return secret.Unknown
	case errors.Is(err, secret.ErrNotRevocable):
		return secret.Lives
	}
	return secret.Unrevoked
}
