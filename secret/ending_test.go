package secret_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
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
