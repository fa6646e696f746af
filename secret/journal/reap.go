package journal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/tightlip/tightlip/internal/lockfile"
	"github.com/tightlip/tightlip/secret"
)

// keep is how long a lease is tried to be revoked that never expires, or of which not even that is known.
const keep = 90 * 24 * time.Hour

// Sources finds the minter of a scheme, for references with relative paths that begin at dir.
type Sources func(scheme, dir string) (secret.Minter, bool)

// Reap ends what processes that are gone have minted and did not revoke, and tells what became of each lease. What cannot be revoked
// now stays in the folder, until it has expired. The error is for what could not be read.
func Reap(ctx context.Context, folder string, sources Sources) ([]secret.Ending, error) {
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
		endings, err := reap(ctx, name, sources)
		unlock()
		all, errs = append(all, endings...), append(errs, err)
	}
	return all, errors.Join(errs...)
}

// reap ends the leases of one file, which it removes if none is left.
func reap(ctx context.Context, name string, sources Sources) ([]secret.Ending, error) {
	leases, err := read(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, os.Remove(name + lockExt) // its process has just removed it
	}
	if err != nil {
		return nil, err
	}
	var endings []secret.Ending
	j := &Journal{name: name, open: len(leases), unlock: func() {}}
	if j.file, err = os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0); err != nil {
		return nil, err
	}
	var errs []error
	for _, l := range leases {
		e := l.end(ctx, sources)
		endings = append(endings, e)
		if e.Fate != secret.Unrevoked || time.Since(l.Time) > keep {
			errs = append(errs, (&record{j, l.Lease}).Ended())
		}
	}
	return endings, errors.Join(append(errs, j.Close())...)
}

// end ends one lease, unless time has.
func (l line) end(ctx context.Context, sources Sources) secret.Ending {
	ref, err := secret.ParseRef(l.Ref)
	e := secret.Ending{ID: l.Name, Ref: ref, Lease: l.ID, Expires: l.Expires, Fate: secret.Unrevoked, Err: err}
	minter, ok := sources(ref.Scheme, l.Dir)
	switch {
	case err != nil:
	case !l.Expires.IsZero() && time.Now().After(l.Expires):
		e.Fate = secret.Expired
	case !ok:
		e.Err = fmt.Errorf("this tightlip does not mint %s", ref.Scheme)
	default:
		e.Err = minter.Reap(ctx, ref, secret.Minted{Name: l.Name, ID: l.ID, Expires: l.Expires})
		e.Fate = fateOf(e.Err)
		if e.Fate != secret.Unrevoked {
			e.Err = nil
		}
	}
	return e
}

func fateOf(err error) secret.Fate {
	switch {
	case err == nil:
		return secret.Unasked
	case errors.Is(err, secret.ErrNotRevocable):
		return secret.Lives
	}
	return secret.Unrevoked
}

// Left counts the processes that are gone and left leases, which Reap would try to end.
func Left(folder string) int {
	names, _ := filepath.Glob(filepath.Join(folder, pattern))
	return len(slices.DeleteFunc(names, func(name string) bool {
		unlock, err := lockfile.Lock(name + lockExt)
		if err == nil {
			unlock()
		}
		return err != nil
	}))
}
