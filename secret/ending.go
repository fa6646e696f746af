package secret

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"
)

// The end of a build waits this long for all issuers together, and asks each whether a lease is dead with growing pauses. The news of
// a revocation may take an issuer some seconds; one that has not heard then does not listen.
const (
	endTime    = 20 * time.Second
	askTime    = 6 * time.Second
	firstPause = 100 * time.Millisecond
	lastPause  = 2 * time.Second
)

// Fate is what became of a lease at the end of a build.
type Fate string

// The fates of leases.
const (
	Dead      Fate = "revoked and verified dead" // the issuer refuses it
	Unasked   Fate = "revoked, not verified"     // the issuer cannot be asked whether it is dead, or did not answer
	Answers   Fate = "revoked, still answers"    // the issuer accepts it all the same
	Lives     Fate = "cannot be revoked"         // it ends when it expires
	Unrevoked Fate = "could not be revoked"      // this time; reap tries again
	Unknown   Fate = "not known to the issuer"   // it is gone, or the issuer was asked as somebody else; reap asks again
	Expired   Fate = "expired"                   // and the issuer refuses it, unless it cannot be asked

	Maybe Fate = "a credential may have been made" // the issuer did not answer in time
)

// Ending tells what became of a lease.
type Ending struct {
	ID      string // the secret's
	Ref     Ref
	Name    string // that the issuer was told; empty: none
	Lease   string // the lease's own; empty: it is not known
	Expires time.Time
	Fate    Fate
	Err     error // why it could not be revoked
	Unsure  bool  // whether it was made at all
}

// Called is what people find the lease by: the name that the issuer was told, and what it calls the lease itself.
func (e Ending) Called() string {
	switch {
	case e.Name == "" || e.Name == e.Lease:
		return e.Lease
	case e.Lease == "":
		return e.Name
	}
	return e.Name + ", " + e.Lease
}

// String is the fate for people: "cannot be revoked, dies at 2026-11-22T10:00:00Z".
func (e Ending) String() string {
	text := string(e.Fate)
	if e.Err != nil && (e.Fate == Unrevoked || e.Fate == Lives || e.Fate == Answers) {
		text = fmt.Sprintf("%s: %v", text, e.Err)
	}
	switch {
	case e.Fate == Dead || e.Fate == Expired:
		return text
	case e.Fate == Maybe && errors.Is(e.Err, ErrNotRevocable):
		return text + ", and nobody can revoke it without its value: it dies when it expires, if it does"
	case e.Fate == Maybe:
		return text + ": tightlip reap ends " + cmp.Or(e.Called(), "it")
	case e.Unsure:
		return text + ", if it was made at all"
	case e.Fate == Unasked || e.Fate == Unknown:
		return text
	case e.Expires.IsZero():
		return text + ", and does not expire"
	case past(e.Expires):
		return text + ", should have died at " + e.Expires.UTC().Format(time.RFC3339)
	}
	return text + ", dies at " + e.Expires.UTC().Format(time.RFC3339)
}

// Alive tells whether the value may still open something.
func (e Ending) Alive() bool { return e.Fate != Dead && e.Fate != Expired }

// past tells whether something has expired by our clock.
func past(expires time.Time) bool { return !expires.IsZero() && !time.Now().Before(expires) }

// unsureError is why there is no lease of a mint that may have made something all the same.
type unsureError struct {
	*ResolveError
	ending Ending
}

// Unwrap has the error itself found, too.
func (e *unsureError) Unwrap() error { return e.ResolveError }

// end revokes a lease and asks until it is dead.
func (l *Lease) end(ctx context.Context, id string, ref Ref) Ending {
	e := Ending{ID: id, Ref: ref, Name: l.name, Lease: l.ID, Expires: l.Expires}
	e.Fate, e.Err = l.fate(ctx)
	if e.Fate != Dead && e.Fate != Answers && l.expired(ctx) {
		e.Fate, e.Err = Expired, nil
	}
	switch e.Fate {
	case Unrevoked, Answers: // something is left for reap to try
		return e
	}
	if l.ended != nil {
		e.Err = errors.Join(e.Err, l.ended())
	}
	return e
}

func (l *Lease) fate(ctx context.Context) (Fate, error) {
	if l.Revoke == nil {
		return Lives, nil
	}
	known := l.answers(ctx)
	switch err := l.revoke(ctx); {
	case errors.Is(err, ErrNotRevocable):
		return Lives, nil
	case err != nil:
		return Unrevoked, err
	}
	fate := l.verify(ctx)
	if fate == Dead && !known {
		return Unasked, nil // who says so said so before, and may not know the lease at all
	}
	return fate, nil
}

// answers tells whether the issuer knows the lease while it should be alive. Without that, its word that the lease is dead is worth nothing.
func (l *Lease) answers(ctx context.Context) bool {
	if l.Alive == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	alive, err := l.ask(ctx)
	return err == nil && alive
}

// expired tells whether the lease is past its end. If the issuer can be asked, our clock alone does not tell.
func (l *Lease) expired(ctx context.Context) bool {
	if !past(l.Expires) || l.Alive == nil {
		return past(l.Expires)
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	alive, err := l.ask(ctx)
	return err == nil && !alive
}

func (l *Lease) ask(ctx context.Context) (alive bool, err error) {
	return l.bounded(ctx, func() (bool, error) { return l.Alive(ctx) })
}

// verify asks the issuer until a lease is dead or askTime is over.
func (l *Lease) verify(ctx context.Context) Fate {
	if l.Alive == nil {
		return Unasked
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	fate := Unasked
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		alive, err := l.ask(ctx)
		switch {
		case err == nil && !alive:
			return Dead
		case err == nil:
			fate = Answers
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return fate
		}
	}
}

// revoke ends the lease if it can be ended, under its own time limit even if ctx is done.
func (l *Lease) revoke(ctx context.Context) error {
	if l.Revoke == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), revokeTimeout)
	defer cancel()
	_, err := l.bounded(ctx, func() (bool, error) { return false, l.Revoke(ctx) })
	return err
}

// revokeTimeout bounds how long the end of a build waits for one issuer to revoke.
const revokeTimeout = 10 * time.Second

// bounded calls f and does not wait for it any more when ctx is done.
func (l *Lease) bounded(ctx context.Context, f func() (bool, error)) (bool, error) {
	type result struct {
		ok  bool
		err error
	}
	done := make(chan result, 1)
	go func() {
		ok, err := f()
		done <- result{ok, err}
	}()
	select {
	case r := <-done:
		return r.ok, r.err
	case <-ctx.Done():
		if l.inUse != nil {
			l.inUse.Store(true)
		}
		return false, ctx.Err()
	}
}
