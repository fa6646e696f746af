package secret_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tightlip/tightlip/secret"
)

// mint is an issuer of leases that live for a while. dies is how many times it answers for a lease after that was revoked.
type mint struct {
	life time.Duration
	dies int
	made atomic.Int32
	fail error
}

func (m *mint) lease(context.Context) (*secret.Lease, error) {
	if m.fail != nil {
		return nil, m.fail
	}
	n := m.made.Add(1)
	l := &secret.Lease{Value: secret.NewValue(fmt.Appendf(nil, "value %d", n)), ID: fmt.Sprintf("lease %d", n)}
	if m.life > 0 {
		l.Expires = time.Now().Add(m.life)
	}
	revoked, asked := false, 0
	l.Revoke = func(context.Context) error { revoked = true; return nil }
	l.Alive = func(context.Context) (bool, error) {
		if revoked {
			asked++
		}
		return !revoked || asked <= m.dies, nil
	}
	return l, nil
}

func mintedSet(t *testing.T, m *mint) *secret.Set {
	t.Helper()
	set := secret.NewSet()
	if err := set.AddMinted("a", secret.Ref{Scheme: "mint", Rest: "x"}, m.lease); err != nil {
		t.Fatal(err)
	}
	return set
}

func TestMintsOnceForAll(t *testing.T) {
	m := &mint{life: time.Hour}
	set := mintedSet(t, m)
	if _, ok := set.Get("a"); ok || !set.Has("a") || !set.Minted("a") || m.made.Load() > 0 {
		t.Error("it is minted before anybody asks")
	}
	var told atomic.Int32
	set.OnMint(func(id string, v secret.Value) error {
		if id != "a" || string(v.Open()) != "value 1" {
			t.Errorf("told of %s", id)
		}
		told.Add(1)
		return nil
	})
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if l, err := set.Lease(t.Context(), "a"); err != nil || string(l.Value.Open()) != "value 1" {
				t.Errorf("got %v, %v", l, err)
			}
		})
	}
	wg.Wait()
	if m.made.Load() != 1 || told.Load() != 1 {
		t.Errorf("made %d, told of %d", m.made.Load(), told.Load())
	}
}

func TestNothingMintedNothingEnded(t *testing.T) {
	set := mintedSet(t, &mint{})
	if got := set.End(t.Context()); len(got) > 0 {
		t.Errorf("got %v", got)
	}
	if _, err := set.Lease(t.Context(), "a"); !errors.Is(err, secret.ErrClosed) {
		t.Errorf("after the end: %v", err)
	}
}

func TestRenews(t *testing.T) {
	for life, want := range map[time.Duration][]string{
		0:                {"1", "1", "1", "1"},
		time.Hour:        {"1", "1", "1", "2"},
		10 * time.Minute: {"1", "1", "2", "3"},
		time.Minute:      {"1", "2", "3", "4"},
	} {
		synctest.Test(t, func(t *testing.T) {
			m := &mint{life: life}
			set := mintedSet(t, m)
			for i, wait := range []time.Duration{0, time.Minute, 8 * time.Minute, 50 * time.Minute} {
				time.Sleep(wait)
				l, err := set.Lease(t.Context(), "a")
				if err != nil || string(l.Value.Open()) != "value "+want[i] {
					t.Errorf("life %s, time %d: got %q, %v", life, i, l.Value.Open(), err)
				}
			}
			if got := set.End(t.Context()); len(got) != int(m.made.Load()) {
				t.Errorf("%d leases ended of %d", len(got), m.made.Load())
			}
		})
	}
}

// TestClockAhead has an issuer whose credentials are dead by our clock when they are made.
func TestClockAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &mint{life: -2 * time.Hour}
		set := secret.NewSet()
		err := set.AddMinted("a", secret.Ref{}, func(ctx context.Context) (*secret.Lease, error) {
			l, err := m.lease(ctx)
			l.Expires = time.Now().Add(m.life)
			return l, err
		})
		if err != nil {
			t.Fatal(err)
		}
		for range 10 {
			if _, err := set.Lease(t.Context(), "a"); err != nil {
				t.Fatal(err)
			}
			time.Sleep(20 * time.Second)
		}
		if n := m.made.Load(); n != 1 {
			t.Errorf("%d were made", n)
		}
	})
}

func TestFates(t *testing.T) {
	none := func(context.Context) error { return secret.ErrNotRevocable }
	fails := func(context.Context) error { return errors.New("the issuer is down") }
	hangs := func(ctx context.Context) (bool, error) { <-ctx.Done(); return false, ctx.Err() }
	for _, tt := range []struct {
		name string
		mint *mint
		edit func(*secret.Lease)
		want string
		late bool // alive afterwards
	}{
		{"dead at once", &mint{}, nil, "revoked and verified dead", false},
		{"dead after a while", &mint{dies: 3}, nil, "revoked and verified dead", false},
		{"it said so before", &mint{}, func(l *secret.Lease) { l.Alive = func(context.Context) (bool, error) { return false, nil } }, "revoked, not verified", true},
		{"still answers", &mint{dies: 1e6}, nil, "revoked, still answers, and does not expire", true},
		{"nobody to ask", &mint{}, func(l *secret.Lease) { l.Alive = nil }, "revoked, not verified", true},
		{"asking hangs", &mint{}, func(l *secret.Lease) { l.Alive = hangs }, "revoked, not verified", true},
		{"no way to revoke", &mint{life: time.Hour}, func(l *secret.Lease) { l.Revoke = nil }, "cannot be revoked, dies at 2000-01-01T01:00:00Z", true},
		{"it turns out", &mint{life: time.Hour}, func(l *secret.Lease) { l.Revoke = none }, "cannot be revoked, dies at 2000-01-01T01:00:00Z", true},
		{"expired", &mint{life: time.Second}, func(l *secret.Lease) { l.Revoke, l.Alive = nil, nil }, "expired", false},
		{"expired, and refused", &mint{life: time.Second}, func(l *secret.Lease) {
			l.Alive = func(context.Context) (bool, error) { return false, nil }
		}, "expired", false},
		{"expired, and nobody may revoke it", &mint{life: time.Second}, func(l *secret.Lease) {
			l.Revoke, l.Alive = fails, func(context.Context) (bool, error) { return false, nil }
		}, "expired", false},
		{"expired, and revoked", &mint{life: time.Second}, nil, "revoked and verified dead", false},
		{"expired for us", &mint{life: time.Second, dies: 1e6}, nil, "revoked, still answers, should have died at 2000-01-01T00:00:01Z", true},
		{"expired for us, and nobody may revoke it", &mint{life: time.Second, dies: 1e6}, func(l *secret.Lease) { l.Revoke = fails }, "could not be revoked: the issuer is down, should have died at 2000-01-01T00:00:01Z", true},
		{"expired, and asking fails", &mint{life: time.Second}, func(l *secret.Lease) {
			l.Alive = func(context.Context) (bool, error) { return false, errors.New("no answer") }
		}, "revoked, not verified", true},
		{"revoking fails", &mint{life: time.Hour}, func(l *secret.Lease) { l.Revoke = fails }, "could not be revoked: the issuer is down, dies at 2000-01-01T01:00:00Z", true},
	} {
		synctest.Test(t, func(t *testing.T) {
			set := secret.NewSet()
			err := set.AddMinted("a", secret.Ref{}, func(ctx context.Context) (*secret.Lease, error) {
				l, err := tt.mint.lease(ctx)
				if tt.edit != nil {
					tt.edit(l)
				}
				return l, err
			})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := set.Lease(t.Context(), "a"); err != nil {
				t.Fatal(err)
			}
			time.Sleep(tt.mint.life % time.Minute) // the short ones expire
			ctx, cancel := context.WithCancel(t.Context())
			cancel() // as when the build is interrupted
			start := time.Now()
			got := set.End(ctx)
			if len(got) != 1 || got[0].String() != tt.want || got[0].Alive() != tt.late || got[0].Lease != "lease 1" {
				t.Errorf("%s: got %v, alive: %v", tt.name, got, got[0].Alive())
			}
			if d := time.Since(start); d > 20*time.Second {
				t.Errorf("%s: took %s", tt.name, d)
			}
		})
	}
}

// Whoever cannot be told of a value must not get it.
func TestOnMintFails(t *testing.T) {
	m := &mint{}
	set := mintedSet(t, m)
	set.OnMint(func(string, secret.Value) error { return errors.New("too short") })
	for range 2 {
		if l, err := set.Lease(t.Context(), "a"); err == nil || !strings.Contains(err.Error(), "too short") {
			t.Errorf("got %v, %v", l, err)
		}
	}
	if _, ok := set.Get("a"); ok {
		t.Error("there is a lease")
	}
	if got := set.End(t.Context()); len(got) != 1 || got[0].Fate != secret.Dead {
		t.Errorf("got %v", got)
	}
}

func TestMintFails(t *testing.T) {
	m := &mint{fail: errors.New("403")}
	set := mintedSet(t, m)
	if _, err := set.Lease(t.Context(), "a"); err == nil || err.Error() != "secret a: 403" {
		t.Errorf("got %v", err)
	}
	m.fail = nil
	if _, err := set.Lease(t.Context(), "a"); err != nil {
		t.Errorf("the next one gets it too: %v", err)
	}
}

// TestMintedTooLate has a lease arrive when the build is over: its end is waited for, but not for ever.
func TestMintedTooLate(t *testing.T) {
	for takes, want := range map[time.Duration]secret.Fate{5 * time.Second: secret.Unasked, time.Minute: secret.Maybe} {
		synctest.Test(t, func(t *testing.T) {
			set, revoked := secret.NewSet(), false
			if err := set.AddMinted("a", secret.Ref{}, func(context.Context) (*secret.Lease, error) {
				time.Sleep(takes)
				return &secret.Lease{Value: secret.NewValue([]byte("late")), Revoke: func(context.Context) error { revoked = true; return nil }}, nil
			}); err != nil {
				t.Fatal(err)
			}
			got := make(chan error, 1)
			go func() {
				_, err := set.Lease(t.Context(), "a")
				got <- err
			}()
			synctest.Wait()
			start := time.Now()
			if endings := set.End(t.Context()); len(endings) != 1 || endings[0].ID != "a" || endings[0].Fate != want || time.Since(start) > 20*time.Second {
				t.Errorf("got %v after %s", endings, time.Since(start))
			}
			if err := <-got; !errors.Is(err, secret.ErrClosed) || !revoked {
				t.Errorf("got %v, revoked: %v", err, revoked)
			}
		})
	}
}

func TestCloseWipes(t *testing.T) {
	set := secret.NewSet()
	value := secret.NewValue([]byte("a value"))
	if err := set.Add("a", &secret.Lease{Value: value, ID: "x"}); err != nil {
		t.Fatal(err)
	}
	bytes := value.Open()
	set.End(t.Context())
	if string(value.Open()) != "a value" {
		t.Error("the end of the leases wipes values that are still to be searched for")
	}
	if err := set.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if value.Len() != 0 || strings.Trim(string(bytes), "\x00") != "" {
		t.Error("the value is still there")
	}
}

func TestParts(t *testing.T) {
	ref := secret.Ref{Scheme: "vault", Rest: "kv/a%23b?role=ci&jwt=github-oidc:https%3A%2F%2Fvault.corp.example&list=a,b&ttl=15m#pip%2Fx"}
	p, err := ref.Parts("role", "jwt", "list", "ttl")
	if err != nil {
		t.Fatal(err)
	}
	jwt, err := p.Ref("jwt")
	if err != nil || jwt.String() != "github-oidc:https://vault.corp.example" {
		t.Errorf("got %s, %v", jwt, err)
	}
	ttl, err := p.Duration("ttl", 0, time.Minute, time.Hour)
	if err != nil || ttl != 15*time.Minute || p.Path != "kv/a#b" || p.Field != "pip/x" || strings.Join(p.List("list"), " ") != "a b" {
		t.Errorf("got %+v, %s, %v", p, ttl, err)
	}
	if none, err := p.Duration("none", time.Second, time.Minute, 0); err != nil || none != time.Second || p.Or("none", "x") != "x" || p.List("none") != nil {
		t.Errorf("got %s, %v", none, err)
	}
}

func TestPartsErrors(t *testing.T) {
	for rest, want := range map[string]string{
		"x?rle=ci":        `has an unknown key; did you mean "role"?`,
		"x?role":          "role= is empty",
		"x?role=a&role=b": "role= is given twice",
		"x?role=%zz":      "is not KEY=VALUE",
		"x%zz":            "not followed by two hexadecimal digits",
		"x#":              "follows the #",
	} {
		_, err := secret.Ref{Scheme: "vault", Rest: rest}.Parts("role")
		if se, ok := errors.AsType[*secret.SyntaxError](err); !ok || !strings.Contains(se.Error(), want) {
			t.Errorf("%s: got %v", rest, err)
		}
	}
	p, err := secret.Ref{Scheme: "vault", Rest: "x?ttl=soon&short=1s&long=9h&ref=x"}.Parts("ttl", "short", "long", "ref")
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{"ttl": "no duration", "short": "less than 1m0s", "long": "more than 1h0m0s"} {
		if _, err := p.Duration(key, 0, time.Minute, time.Hour); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", key, err)
		}
	}
	if _, err := p.Ref("ref"); err == nil || !strings.Contains(err.Error(), "no reference") {
		t.Errorf("got %v", err)
	}
}
