// Package secrettest is the contract of a secret source, as tests that every source runs.
package secrettest

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tightlip/tightlip/secret"
)

// Fixture is a source under test with the world it looks into. The zero fields say what the source cannot do.
type Fixture struct {
	Source secret.Source

	// Put stores value and returns the reference to it. The contract calls it from one goroutine at a time.
	Put func(t *testing.T, value []byte) secret.Ref

	// Unfit says why the source cannot hold value, as an environment cannot hold a zero byte. nil: it holds any value.
	Unfit func(value []byte) (why string)

	// Missing points at nothing. The zero Ref: the source knows no such thing.
	Missing secret.Ref

	// Blocked returns a reference that resolves only when the test ends. nil: the source never waits.
	Blocked func(t *testing.T) secret.Ref

	// Broken returns references that fail although value is what they find or look at: a wrong key of a file that
	// holds it, a command that prints it and fails. nil: there are none.
	Broken func(t *testing.T, value []byte) []secret.Ref
}

// Contract runs the tests every source passes. newFixture is called once per test.
func Contract(t *testing.T, newFixture func(t *testing.T) Fixture) {
	for _, c := range []struct {
		name string
		run  func(*testing.T, Fixture)
	}{
		{"finds the value exactly", testExact},
		{"not found", testMissing},
		{"an empty value is an error", testEmpty},
		{"too large", testTooLarge},
		{"cancelled before", testCancelledBefore},
		{"cancelled while waiting", testCancelledWaiting},
		{"errors do not contain the value", testErrors},
		{"concurrent use", testConcurrent},
		{"references round trip", testRoundTrip},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, newFixture(t)) })
	}
}

// Canary returns a random text that occurs nowhere else, for use as a secret.
func Canary(t testing.TB) []byte {
	t.Helper()
	return []byte("canary-" + randomText())
}

// Ref is a reference that is well-formed.
func Ref(t testing.TB, text string) secret.Ref {
	t.Helper()
	ref, err := secret.ParseRef(text)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func testExact(t *testing.T, f Fixture) {
	stored := 0
	for name, value := range values() {
		if f.Unfit != nil {
			if why := f.Unfit(value); why != "" {
				t.Logf("not tried: %s: %s", name, why)
				continue
			}
		}
		stored++
		ref := f.Put(t, value)
		lease, err := f.Source.Resolve(t.Context(), ref)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		checkLease(t, name, lease, value)
	}
	if stored == 0 {
		t.Error("the source holds none of the values")
	}
}

func checkLease(t *testing.T, name string, lease *secret.Lease, want []byte) {
	t.Helper()
	if got := lease.Value.Open(); string(got) != string(want) {
		t.Errorf("%s: got %d bytes that differ from the %d stored", name, len(got), len(want))
	}
	if lease.ID == "" || !secret.Printable(lease.ID) {
		t.Errorf("%s: the lease's ID %q is not printable text", name, lease.ID)
	}
	if form := Leak(lease.ID, want); form != "" {
		t.Errorf("%s: the lease's ID contains the value: %s", name, form)
	}
}

func testMissing(t *testing.T, f Fixture) {
	if f.Missing.IsZero() {
		t.Log("not tried: the source has no reference to nothing")
		return
	}
	err := mustFail(t, f.Source, f.Missing)
	if !errors.Is(err, secret.ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
	checkText(t, err, nil)
}

func testEmpty(t *testing.T, f Fixture) {
	err := mustFail(t, f.Source, f.Put(t, nil))
	if !errors.Is(err, secret.ErrEmpty) {
		t.Errorf("got %v, want ErrEmpty", err)
	}
	checkText(t, err, nil)
}

func testTooLarge(t *testing.T, f Fixture) {
	value := make([]byte, secret.MaxSize+1)
	for i := range value {
		value[i] = 'x'
	}
	if f.Unfit != nil {
		if why := f.Unfit(value); why != "" {
			t.Logf("not tried: %s", why)
			return
		}
	}
	if err := mustFail(t, f.Source, f.Put(t, value)); !errors.Is(err, secret.ErrTooLarge) {
		t.Errorf("got %v, want ErrTooLarge", err)
	}
}

func testCancelledBefore(t *testing.T, f Fixture) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.Source.Resolve(ctx, f.Put(t, Canary(t))); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's error", err)
	}
}

func testCancelledWaiting(t *testing.T, f Fixture) {
	if f.Blocked == nil {
		t.Log("not tried: the source never waits")
		return
	}
	ref := f.Blocked(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	result := make(chan error, 1)
	go func() {
		_, err := f.Source.Resolve(ctx, ref)
		result <- err
	}()
	select {
	case err := <-result:
		t.Fatalf("resolved before the cancellation: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	cancel()
	select {
	case err := <-result:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want the context's error", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("still waiting 10 seconds after the cancellation")
	}
}

func testErrors(t *testing.T, f Fixture) {
	if f.Broken == nil {
		t.Log("not tried: the source sees no value when it fails")
		return
	}
	value := Canary(t)
	for _, ref := range f.Broken(t, value) {
		checkText(t, mustFail(t, f.Source, ref), value)
	}
}

func testConcurrent(t *testing.T, f Fixture) {
	refs := map[secret.Ref][]byte{}
	for range 8 {
		value := Canary(t)
		refs[f.Put(t, value)] = value
	}
	var wg sync.WaitGroup
	for ref, value := range refs {
		wg.Go(func() {
			lease, err := f.Source.Resolve(t.Context(), ref)
			if err != nil {
				t.Errorf("%s: %v", ref, err)
				return
			}
			checkLease(t, ref.String(), lease, value)
		})
	}
	wg.Wait()
}

func testRoundTrip(t *testing.T, f Fixture) {
	refs := []secret.Ref{f.Put(t, Canary(t))}
	if !f.Missing.IsZero() {
		refs = append(refs, f.Missing)
	}
	for _, ref := range refs {
		if ref.Scheme != f.Source.Scheme() {
			t.Errorf("%s is of the scheme %q, the source of %q", ref, ref.Scheme, f.Source.Scheme())
		}
		if got, err := secret.ParseRef(ref.String()); err != nil || got != ref {
			t.Errorf("ParseRef(%q) = %#v, %v", ref, got, err)
		}
	}
}

func mustFail(t *testing.T, s secret.Source, ref secret.Ref) error {
	t.Helper()
	lease, err := s.Resolve(t.Context(), ref)
	if err == nil {
		t.Fatalf("%s: resolved, to %d bytes, want an error", ref, lease.Value.Len())
	}
	return err
}

// checkText checks what the user is shown of err.
func checkText(t *testing.T, err error, value []byte) {
	t.Helper()
	text := err.Error()
	if re, ok := errors.AsType[*secret.ResolveError](err); ok {
		text += " " + re.Hint()
	}
	if strings.TrimSpace(text) == "" || !secret.Printable(text) {
		t.Errorf("the error's text %q is not printable", text)
	}
	if form := Leak(text, value); form != "" {
		t.Errorf("the error contains the value: %s", form)
	}
}
