package secret_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tightlip/tightlip/secret"
)

// deaf is a minter whose issuer says what it is told to when it is asked whether a revoked credential works.
type deaf struct {
	alive func() (bool, error)
}

func (deaf) Scheme() string         { return "deaf" }
func (deaf) Check(secret.Ref) error { return nil }

func (d deaf) Resolve(ctx context.Context, ref secret.Ref) (*secret.Lease, error) {
	return d.Mint(ctx, ref, "x")
}

func (d deaf) Mint(context.Context, secret.Ref, string) (*secret.Lease, error) {
	return &secret.Lease{
		Value: secret.NewValue([]byte("not a real one")), ID: "1",
		Revoke: func(context.Context) error { return nil },
		Alive:  func(context.Context) (bool, error) { return d.alive() },
	}, nil
}

func (deaf) Reap(context.Context, secret.Ref, secret.Minted) error { return nil }

// record counts what a journal is told.
type record struct{ minted, ended int }

func (r *record) Begin(secret.Ref, secret.Minted) (secret.Record, error) { return r, nil }
func (r *record) Minted(secret.Minted) error                             { r.minted++; return nil }
func (r *record) Ended() error                                           { r.ended++; return nil }

// TestDeaf has issuers that hear of a revocation at once, late or never. What never dies stays in the journal, and does not hold a build up for long.
func TestDeaf(t *testing.T) {
	first := sync.OnceValue(time.Now)
	var asked atomic.Int32
	for name, test := range map[string]struct {
		alive func() (bool, error)
		fate  secret.Fate
		ended int
	}{
		"at once": {func() (bool, error) { return asked.Add(1) == 1, nil }, secret.Dead, 1},
		"unknown": {func() (bool, error) { return false, nil }, secret.Unasked, 1}, // it said so while the lease was alive
		"late":    {func() (bool, error) { return time.Since(first()) < time.Second, nil }, secret.Dead, 1},
		"never":   {func() (bool, error) { return true, nil }, secret.Answers, 0},
		"silent":  {func() (bool, error) { return false, errors.New("no answer") }, secret.Unasked, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			journal := &record{}
			resolver := secret.NewResolver(deaf{test.alive})
			resolver.SetJournal(journal)
			set, err := resolver.ResolveAll(t.Context(), []secret.Spec{{ID: "x", Ref: secret.Ref{Scheme: "deaf", Rest: "x"}}})
			if err == nil {
				_, err = set.Lease(t.Context(), "x")
			}
			if err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			endings := set.End(t.Context())
			if took := time.Since(start); took > 9*time.Second {
				t.Errorf("the end took %s", took)
			}
			if len(endings) != 1 || endings[0].Fate != test.fate || *journal != (record{minted: 1, ended: test.ended}) {
				t.Errorf("got %v, and a journal of %+v", endings, journal)
			}
			if err := set.Close(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// slow is a minter whose issuer makes what it was asked for when nobody waits any more, or never.
type slow struct {
	deaf
	made time.Time // the zero time: never
	reap error     // what it can do about it; nil: end it
}

func (s *slow) Mint(ctx context.Context, _ secret.Ref, _ string) (*secret.Lease, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (s *slow) Reap(context.Context, secret.Ref, secret.Minted) error {
	if s.reap != nil || !s.made.IsZero() && time.Now().After(s.made) {
		return s.reap
	}
	return secret.ErrNotFound
}

// TestMaybeMade interrupts a mint. What may have been made is looked for, and told of if it is not found.
func TestMaybeMade(t *testing.T) {
	for name, test := range map[string]struct {
		made  time.Duration // after it was asked for
		reap  error
		want  string // empty: nothing is left
		waits time.Duration
		ended int
	}{
		"late":            {3 * time.Second, nil, "", 3 * time.Second, 1},
		"never":           {0, nil, "a credential may have been made: tightlip reap ends tightlip-", 10 * time.Second, 0},
		"takes its value": {0, secret.ErrNotRevocable, "a credential may have been made, and nobody can revoke it without its value", 0, 1},
		"no answer":       {0, errors.New("no answer"), "a credential may have been made: tightlip reap ends tightlip-", 0, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			journal, waited := &record{}, ""
			issuer := &slow{reap: test.reap}
			if test.made > 0 {
				issuer.made = time.Now().Add(test.made)
			}
			resolver := secret.NewResolver(issuer)
			resolver.SetJournal(journal)
			resolver.SetWaiting(func(what string) func() { waited = what; return func() {} })
			set, err := resolver.ResolveAll(t.Context(), []secret.Spec{{ID: "x", Ref: secret.Ref{Scheme: "deaf", Rest: "x"}}})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				if _, err := set.Lease(ctx, "x"); !errors.Is(err, context.Canceled) || err.Error() != "secret x: deaf:x: context canceled" {
					t.Errorf("%s: got %v", name, err)
				}
			}()
			synctest.Wait()
			cancel()
			start := time.Now()
			endings := set.End(ctx)
			if took := time.Since(start); took < test.waits || took > test.waits+2*time.Second {
				t.Errorf("%s: the end took %s", name, took)
			}
			switch {
			case test.want == "" && len(endings) > 0, test.want != "" && (len(endings) != 1 || endings[0].ID != "x" || !strings.HasPrefix(endings[0].String(), test.want)):
				t.Errorf("%s: got %v", name, endings)
			}
			if *journal != (record{ended: test.ended}) || waited != "waiting for deaf to tell whether it made a credential" {
				t.Errorf("%s: a journal of %+v, said %q", name, journal, waited)
			}
		})
	}
}
