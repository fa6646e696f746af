package secrettest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tightlip/tightlip/secret"
)

// MinterFixture is a minter under test with its issuer.
type MinterFixture struct {
	Minter secret.Minter
	Ref    secret.Ref    // mints
	Life   time.Duration // that Ref asks for; 0: its credentials do not expire

	// Works tells whether a service accepts a value now. It does not ask as the lease's Alive does, if there is another way.
	Works func(t *testing.T, v secret.Value) bool

	// Names lists the names under which the issuer has credentials that live. nil: it knows no names.
	Names func(t *testing.T) []string

	// Parents are the values that the minter uses, and others that it sees. They are in no error.
	Parents [][]byte

	// Broken are references that mint nothing at the issuer, or leave nothing there. Their errors wrap secret.ErrNotMade.
	Broken []secret.Ref

	// Reached counts the calls that the issuer got. nil: it has none to get.
	Reached func() int

	// Stays says that the issuer accepts values that it has revoked.
	Stays bool
}

// MinterContract runs the tests that every minter passes. newFixture is called once per test.
func MinterContract(t *testing.T, newFixture func(t *testing.T) MinterFixture) {
	for _, c := range []struct {
		name string
		run  func(*testing.T, MinterFixture)
	}{
		{"is described", testDescribed},
		{"checks without reaching anything", testCheck},
		{"a minted value works and is named", testMinted},
		{"revoked", testRevoked},
		{"the end of a build", testEnd},
		{"reaped by name", func(t *testing.T, f MinterFixture) { testReaped(t, f, false) }},
		{"reaped by name and ID", func(t *testing.T, f MinterFixture) { testReaped(t, f, true) }},
		{"what the issuer does not know is not reaped", testUnknown},
		{"one does not revoke another", testSeveral},
		{"a cancelled mint makes nothing", testMintCancelled},
		{"errors contain no values, and say that nothing was made", testMintErrors},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, newFixture(t)) })
	}
}

func testDescribed(t *testing.T, f MinterFixture) {
	described, ok := f.Minter.(secret.Described)
	if !ok {
		t.Fatal("is no secret.Described")
	}
	about := described.About()
	if about.Form == "" || about.What == "" || about.Mint == nil || about.Mint.Grade == "" {
		t.Fatalf("lacks something: %+v", about)
	}
	if !strings.HasPrefix(about.Form, f.Minter.Scheme()+":") {
		t.Errorf("the form %s is of another scheme", about.Form)
	}
	example, err := secret.ParseRef(about.Example)
	if err == nil {
		err = f.Minter.Check(example)
	}
	if err != nil {
		t.Errorf("the example %s: %v", about.Example, err)
	}
}

func testCheck(t *testing.T, f MinterFixture) {
	if err := f.Minter.Check(f.Ref); err != nil {
		t.Fatal(err)
	}
	value := Canary(t)
	joint := "?"
	if strings.Contains(f.Ref.Rest, "?") {
		joint = "&"
	}
	before, _, _ := strings.Cut(f.Ref.Rest, "#")
	for _, more := range []string{"no-such-key=" + string(value), string(value) + "=x", "%zz" + string(value)} {
		err := f.Minter.Check(secret.Ref{Scheme: f.Ref.Scheme, Rest: before + joint + more})
		if _, ok := errors.AsType[*secret.SyntaxError](err); !ok {
			t.Fatalf("an unknown key: got %v, want a *secret.SyntaxError", err)
		}
		checkText(t, err, value)
	}
	if f.Reached != nil && f.Reached() != 0 {
		t.Errorf("checking reached the issuer %d times", f.Reached())
	}
}

// mint makes a credential that works.
func (f MinterFixture) mint(t *testing.T, name string) *secret.Lease {
	t.Helper()
	start := time.Now()
	lease, err := f.Minter.Mint(t.Context(), f.Ref, name)
	if err != nil {
		t.Fatalf("minting: %v", err)
	}
	if !f.Works(t, lease.Value) {
		t.Fatal("what was minted does not work")
	}
	switch most := start.Add(f.Life + 5*time.Second); {
	case f.Life == 0 && !lease.Expires.IsZero():
		t.Errorf("expires at %s, and should not", lease.Expires)
	case f.Life != 0 && (lease.Expires.IsZero() || lease.Expires.After(most)):
		t.Errorf("expires at %s, later than asked for: %s", lease.Expires, most)
	case f.Life != 0 && lease.Expires.Before(start):
		t.Errorf("has expired when it was minted, at %s", lease.Expires)
	}
	return lease
}

// name is one that nothing has yet.
func name() string { return "tightlip-" + strings.ToLower(randomText()[:12]) }

func testMinted(t *testing.T, f MinterFixture) {
	name := name()
	lease := f.mint(t, name)
	if lease.ID == "" || !secret.Printable(lease.ID) {
		t.Errorf("the lease's ID %q is not printable text", lease.ID)
	}
	if form := Leak(lease.ID, lease.Value.Open()); form != "" {
		t.Errorf("the lease's ID contains the value: %s", form)
	}
	if f.Names != nil && !slices.Contains(f.Names(t), name) {
		t.Errorf("the issuer does not know the name %s: it has %q", name, f.Names(t))
	}
	other, err := f.Minter.Resolve(t.Context(), f.Ref)
	if err != nil || !f.Works(t, other.Value) {
		t.Errorf("resolving makes nothing that works: %v", err)
	}
}

func testRevoked(t *testing.T, f MinterFixture) {
	lease := f.mint(t, name())
	alive(t, lease, true)
	if lease.Revoke == nil {
		t.Log("not tried: it cannot be revoked")
		return
	}
	for range 2 {
		if err := lease.Revoke(t.Context()); err != nil {
			t.Fatalf("revoking: %v", err)
		}
		alive(t, lease, f.Stays)
		if works := f.Works(t, lease.Value); works != f.Stays {
			t.Errorf("revoked, and works: %t", works)
		}
	}
}

func alive(t *testing.T, lease *secret.Lease, want bool) {
	t.Helper()
	if lease.Alive == nil {
		return
	}
	if got, err := lease.Alive(t.Context()); err != nil || got != want {
		t.Errorf("alive: got %t, %v, want %t", got, err, want)
	}
}

// testEnd has a set mint a credential and end it, as a build does.
func testEnd(t *testing.T, f MinterFixture) {
	set, err := secret.NewResolver(f.Minter).ResolveAll(t.Context(), []secret.Spec{{ID: "x", Ref: f.Ref}})
	if err != nil {
		t.Fatal(err)
	}
	lease, err := set.Lease(t.Context(), "x")
	if err != nil || !f.Works(t, lease.Value) {
		t.Fatalf("what was minted does not work: %v", err)
	}
	want := secret.Dead
	switch {
	case lease.Revoke == nil:
		want = secret.Lives
	case f.Stays:
		want = secret.Answers
	case lease.Alive == nil:
		want = secret.Unasked
	}
	endings := set.End(t.Context())
	if len(endings) != 1 || endings[0].Fate != want || endings[0].Err != nil {
		t.Fatalf("got %+v, want %s", endings, want)
	}
	if works := f.Works(t, lease.Value); works != (want == secret.Lives || want == secret.Answers) {
		t.Errorf("works: %t, and its end was %s", works, endings[0])
	}
	if err := set.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// testReaped ends what another process minted. If that takes the value, the minter has to say so. The second time it is not known any more,
// which is how reap knows that it is dead.
func testReaped(t *testing.T, f MinterFixture, withID bool) {
	m := secret.Minted{Name: name()}
	lease := f.mint(t, m.Name)
	if withID {
		m.ID, m.Expires = lease.ID, lease.Expires
	}
	err := f.Minter.Reap(t.Context(), f.Ref, m)
	if errors.Is(err, secret.ErrNotRevocable) {
		t.Log("it takes the value")
		if !f.Works(t, lease.Value) {
			t.Error("does not work any more, although it could not be revoked")
		}
		return
	}
	if err != nil {
		t.Fatalf("reaping: %v", err)
	}
	if f.Works(t, lease.Value) {
		t.Error("works after it was reaped")
	}
	if err := f.Minter.Reap(t.Context(), f.Ref, m); !errors.Is(err, secret.ErrNotFound) {
		t.Errorf("reaping again: got %v, want secret.ErrNotFound", err)
	}
}

// testUnknown reaps what another issuer, or another account at this one, has. Nobody may take that for revoked.
func testUnknown(t *testing.T, f MinterFixture) {
	lease := f.mint(t, name())
	m := secret.Minted{Name: name(), ID: lease.ID + "0"}
	if err := f.Minter.Reap(t.Context(), f.Ref, m); !errors.Is(err, secret.ErrNotFound) && !errors.Is(err, secret.ErrNotRevocable) {
		t.Errorf("got %v, want secret.ErrNotFound or secret.ErrNotRevocable", err)
	}
	if !f.Works(t, lease.Value) {
		t.Error("another credential was reaped")
	}
}

// testSeveral mints at the same time, and revokes one.
func testSeveral(t *testing.T, f MinterFixture) {
	const several = 4
	leases := make([]*secret.Lease, several)
	var wg sync.WaitGroup
	for i := range leases {
		wg.Go(func() {
			var err error
			if leases[i], err = f.Minter.Mint(t.Context(), f.Ref, name()); err != nil {
				t.Errorf("minting: %v", err)
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	if leases[0].Revoke != nil {
		if err := leases[0].Revoke(t.Context()); err != nil {
			t.Fatalf("revoking: %v", err)
		}
	}
	values := map[string]bool{}
	for i, lease := range leases {
		values[string(lease.Value.Open())] = true
		if i > 0 && !f.Works(t, lease.Value) {
			t.Errorf("%d does not work after 0 was revoked", i)
		}
	}
	if len(values) != several {
		t.Errorf("%d different values of %d", len(values), several)
	}
}

func testMintCancelled(t *testing.T, f MinterFixture) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.Minter.Mint(ctx, f.Ref, name()); !errors.Is(err, context.Canceled) || !errors.Is(err, secret.ErrNotMade) {
		t.Errorf("minting: got %v, want the context's error and secret.ErrNotMade", err)
	}
	if _, err := f.Minter.Resolve(ctx, f.Ref); !errors.Is(err, context.Canceled) {
		t.Errorf("resolving: got %v, want the context's error", err)
	}
	if err := f.Minter.Reap(ctx, f.Ref, secret.Minted{Name: name()}); !errors.Is(err, context.Canceled) {
		t.Errorf("reaping: got %v, want the context's error", err)
	}
	if f.Names != nil && len(f.Names(t)) != 0 {
		t.Errorf("the issuer has %q", f.Names(t))
	}
}

func testMintErrors(t *testing.T, f MinterFixture) {
	if len(f.Broken) == 0 {
		t.Fatal("the fixture has no broken reference")
	}
	for _, ref := range f.Broken {
		lease, err := f.Minter.Mint(t.Context(), ref, name())
		if err == nil {
			t.Errorf("%s: minted %s, want an error", ref, lease.ID)
			continue
		}
		if !errors.Is(err, secret.ErrNotMade) {
			t.Errorf("%s: %v: does not wrap secret.ErrNotMade", ref, err)
		}
		if strings.Contains(err.Error(), secret.ErrNotMade.Error()) {
			t.Errorf("%s: %v: says what is for programs", ref, err)
		}
		for _, value := range f.Parents {
			checkText(t, err, value)
		}
	}
}
