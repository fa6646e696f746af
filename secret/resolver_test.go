package secret_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tightlip/tightlip/secret"
)

// table is a source whose references are the keys of a map.
type table struct {
	scheme string
	leases map[string]*secret.Lease
}

func (s table) Scheme() string { return s.scheme }

func (s table) Resolve(_ context.Context, ref secret.Ref) (*secret.Lease, error) {
	if lease, ok := s.leases[ref.Rest]; ok {
		return lease, nil
	}
	return nil, fmt.Errorf("looking up %s: %w", ref, secret.ErrNotFound)
}

func lease(value string, revoke func(context.Context) error) *secret.Lease {
	return &secret.Lease{Value: secret.NewValue([]byte(value)), ID: "id-of-lease", Revoke: revoke}
}

func spec(id, ref string) secret.Spec {
	scheme, rest, _ := strings.Cut(ref, ":")
	return secret.Spec{ID: id, Ref: secret.Ref{Scheme: scheme, Rest: rest}}
}

func TestResolve(t *testing.T) {
	r := secret.NewResolver(table{"a", map[string]*secret.Lease{"x": lease("1", nil)}}, table{"b", map[string]*secret.Lease{"x": lease("22", nil)}})
	for ref, want := range map[string]int{"a:x": 1, "b:x": 2} {
		got, err := r.Resolve(t.Context(), mustParse(t, ref))
		if err != nil || got.Value.Len() != want {
			t.Errorf("%s: got %v, %v", ref, got, err)
		}
	}
	_, err := r.Resolve(t.Context(), mustParse(t, "a:y"))
	if re, ok := errors.AsType[*secret.ResolveError](err); !ok || !errors.Is(err, secret.ErrNotFound) || re.Ref.String() != "a:y" {
		t.Errorf("got %v, want a ResolveError about a:y", err)
	}
}

func TestResolveUnknownScheme(t *testing.T) {
	_, err := secret.NewResolver(table{scheme: "file"}, table{scheme: "stdin"}).Resolve(t.Context(), mustParse(t, "flie:x"))
	se, ok := errors.AsType[*secret.SyntaxError](err)
	if !ok || !errors.Is(err, secret.ErrUnknownScheme) {
		t.Fatalf("got %v, want ErrUnknownScheme", err)
	}
	if want := "did you mean file:? known are file: -"; se.Hint() != want {
		t.Errorf("got the hint %q, want %q", se.Hint(), want)
	}
}

// described is a source with a credential of its own.
type described struct{ table }

func (described) About() secret.About {
	return secret.About{Variables: []string{"OWN_TOKEN", "OWN_KEY"}}
}

func TestCredentials(t *testing.T) {
	r := secret.NewResolver(table{scheme: "a"}, described{table{scheme: "b"}})
	if got := r.Credentials(); !slices.Equal(got, []string{"OWN_TOKEN", "OWN_KEY"}) {
		t.Errorf("got %q", got)
	}
}

func TestOther(t *testing.T) {
	r := secret.NewResolver(table{"a", map[string]*secret.Lease{"x": lease("1", nil)}})
	r.SetOther(func(scheme string) secret.Source {
		switch scheme {
		case "a":
			t.Error("asked for a source that is there")
		case "b":
			return table{"b", map[string]*secret.Lease{"x": lease("22", nil)}}
		}
		return nil
	})
	for ref, want := range map[string]int{"a:x": 1, "b:x": 2} {
		got, err := r.Resolve(t.Context(), mustParse(t, ref))
		if err != nil || got.Value.Len() != want || r.Check(mustParse(t, ref)) != nil {
			t.Errorf("%s: got %v, %v", ref, got, err)
		}
	}
	_, err := r.Resolve(t.Context(), mustParse(t, "c:x"))
	se, ok := errors.AsType[*secret.SyntaxError](err)
	if want := "known are a:; an executable tightlip-source-NAME on PATH makes NAME: another"; !ok || se.Hint() != want {
		t.Errorf("got %v, want the hint %q", err, want)
	}
	if _, ok := r.Minter("c"); ok {
		t.Error("there is a minter for a scheme without a source")
	}
}

func TestResolveEmpty(t *testing.T) {
	revoked := false
	empty := lease("", func(context.Context) error { revoked = true; return nil })
	_, err := secret.NewResolver(table{"a", map[string]*secret.Lease{"x": empty}}).Resolve(t.Context(), mustParse(t, "a:x"))
	if !errors.Is(err, secret.ErrEmpty) || err.Error() != "a:x: is empty" {
		t.Errorf("got %v, want ErrEmpty", err)
	}
	if !revoked {
		t.Error("the lease of an empty value was not revoked")
	}
}

func TestNewResolverTwice(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("two sources for one scheme are accepted")
		}
	}()
	secret.NewResolver(table{scheme: "a"}, table{scheme: "a"})
}

func TestResolveAll(t *testing.T) {
	r := secret.NewResolver(table{"a", map[string]*secret.Lease{"x": lease("1", nil), "y": lease("2", nil)}})
	set, err := r.ResolveAll(t.Context(), []secret.Spec{spec("two", "a:y"), spec("one", "a:x")})
	if err != nil {
		t.Fatal(err)
	}
	if got := set.IDs(); !slices.Equal(got, []string{"two", "one"}) {
		t.Errorf("got the order %q", got)
	}
}

func TestResolveAllFails(t *testing.T) {
	revoked := 0
	good := lease("1", func(context.Context) error { revoked++; return nil })
	r := secret.NewResolver(table{"a", map[string]*secret.Lease{"x": good}})
	set, err := r.ResolveAll(t.Context(), []secret.Spec{spec("one", "a:gone"), spec("two", "a:x"), spec("two", "a:x"), spec("three", "b:x")})
	if set != nil || revoked != 1 {
		t.Errorf("got the set %v, revoked %d leases, want 1", set, revoked)
	}
	want := "secret one: a:gone: looking up a:gone: not found\nsecret two: is given twice\nsecret three: the reference has an unknown scheme, b:"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestResolveErrorHint(t *testing.T) {
	for _, tt := range []struct {
		err  secret.ResolveError
		want string
	}{
		{secret.ResolveError{Try: "a", Err: secret.ErrNotFound}, "a"},
		{secret.ResolveError{ID: "x", Ref: secret.Ref{Scheme: "env", Rest: "X"}, Try: "a", Err: secret.ErrNotFound}, "a, or --secret id=x,src=FILE"},
		{secret.ResolveError{ID: "x", Ref: secret.Ref{Scheme: "cmd", Rest: "X"}, Err: secret.ErrEmpty}, "--secret id=x,src=FILE"},
		{secret.ResolveError{ID: "x", Ref: secret.Ref{Scheme: "file", Rest: "X"}, Try: "a", Err: secret.ErrNotFound}, "a"},
		{secret.ResolveError{ID: "x", Ref: secret.Ref{Scheme: "cmd", Rest: "X"}, Try: "a", Err: secret.ErrTooLarge}, "a"},
	} {
		if got := tt.err.Hint(); got != tt.want {
			t.Errorf("%+v: got %q, want %q", tt.err, got, tt.want)
		}
	}
}

func TestSetClose(t *testing.T) {
	var revoked atomic.Int32
	errIssuer := errors.New("the issuer is down")
	set := secret.NewSet()
	for id, l := range map[string]*secret.Lease{
		"static": lease("1", nil),
		"good":   lease("2", func(ctx context.Context) error { revoked.Add(1); return ctx.Err() }),
		"bad":    lease("3", func(context.Context) error { revoked.Add(1); return errIssuer }),
	} {
		if err := set.Add(id, l); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // as when the build is interrupted
	err := set.Close(ctx)
	if !errors.Is(err, errIssuer) || err.Error() != "secret bad: revoking lease id-of-lease: the issuer is down" {
		t.Errorf("got %v", err)
	}
	if err := set.Close(ctx); err != nil || revoked.Load() != 2 {
		t.Errorf("closed again: %v, %d revocations, want 2", err, revoked.Load())
	}
	if err := set.Add("late", lease("4", nil)); err == nil {
		t.Error("a closed set takes a lease")
	}
}

func TestSetCloseGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set, done := secret.NewSet(), make(chan struct{})
		if err := set.Add("slow", lease("1", func(context.Context) error { <-done; return nil })); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if err := set.Close(t.Context()); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want a timeout", err)
		}
		if waited := time.Since(start); waited != 10*time.Second {
			t.Errorf("waited %v", waited)
		}
		close(done)
	})
}

func TestSetAddTwice(t *testing.T) {
	set := secret.NewSet()
	if err := set.Add("x", lease("1", nil)); err != nil {
		t.Fatal(err)
	}
	if err := set.Add("x", lease("2", nil)); err == nil {
		t.Error("an id is taken twice")
	}
	if got, ok := set.Get("x"); !ok || string(got.Value.Open()) != "1" {
		t.Errorf("got %v, %v", got, ok)
	}
}
