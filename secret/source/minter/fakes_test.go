package minter_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/fake"
	"github.com/tightlip/tightlip/secret/secrettest"
	"github.com/tightlip/tightlip/secret/source/minter"
)

// faked is a minter with a fake issuer. In its references, URL is the fake's address.
type faked struct {
	fake    *fake.Fake
	http    *http.Client // that clouds are called with
	parents parents
	resolve func(context.Context, secret.Ref) (*secret.Lease, error) // replaces that of parents
	ref     string
	life    time.Duration
	named   bool     // the issuer knows names
	clocked bool     // the issuer refuses what was signed by another clock
	ends    string   // who says when a credential does, if it is not the issuer that says how long it lives
	twice   bool     // more than one call makes something
	broken  []string // references that mint nothing
	works   func(t *testing.T, value string) bool
	refused map[string]string // errors of references
}

// get is the status of a request with a token.
func get(t *testing.T, url, header, value string) int {
	t.Helper()
	return call(t, http.MethodGet, url, header, value, nil, nil)
}

// call sends JSON, with a header if it has a value, reads the answer into into, if that is not nil, and returns the status.
func call(t *testing.T, method, url, header, value string, body, into any) int {
	t.Helper()
	var data io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		data = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, url, data)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if value != "" {
		r.Header.Set(header, value)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if into != nil {
		if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
			t.Fatal(err)
		}
	}
	return resp.StatusCode
}

// runFaked runs the contract, and what fakes can do besides.
func runFaked(t *testing.T, start func(t *testing.T) faked) {
	t.Helper()
	secrettest.MinterContract(t, func(t *testing.T) secrettest.MinterFixture { return start(t).fixture(t) })
	t.Run("faults", func(t *testing.T) { testFaults(t, start) })
	t.Run("made or not", func(t *testing.T) { testNotMade(t, start) })
	t.Run("revoked midway", func(t *testing.T) { testRevokedMidway(t, start(t)) })
	t.Run("another clock", func(t *testing.T) { testSkew(t, start) })
	t.Run("refusals", func(t *testing.T) { testRefusals(t, start(t)) })
}

// minter has clouds lead to the fake.
func (f faked) minter(t *testing.T, text string) (secret.Minter, secret.Ref) {
	t.Helper()
	resolve := f.resolve
	if resolve == nil {
		resolve = f.parents.resolve
	}
	return minterWith(t, minter.Options{Resolve: resolve, HTTP: f.http}, text)
}

func (f faked) at(text string) string { return strings.ReplaceAll(text, "URL", f.fake.URL) }

func (f faked) fixture(t *testing.T) secrettest.MinterFixture {
	t.Helper()
	m, r := f.minter(t, f.at(f.ref))
	before := len(f.fake.Log())
	fixture := secrettest.MinterFixture{
		Minter: m, Ref: r, Life: f.life, Parents: append(f.parents.values(), []byte(f.fake.Bait)),
		Works:   func(t *testing.T, v secret.Value) bool { return f.works(t, string(v.Open())) },
		Reached: func() int { return len(f.fake.Log()) - before },
	}
	if f.named {
		fixture.Names = f.names
	}
	for _, text := range f.broken {
		fixture.Broken = append(fixture.Broken, parse(t, f.at(text)))
	}
	return fixture
}

// names are those that were given by us, of what is alive.
func (f faked) names(*testing.T) (names []string) {
	for _, token := range f.fake.Living() {
		if strings.HasPrefix(token.Name, "tightlip-") {
			names = append(names, token.Name)
		}
	}
	return names
}

// testFaults has an issuer do what issuers do on bad days. Errors hold nothing of its answers, and what was made is not lost.
func testFaults(t *testing.T, start func(t *testing.T) faked) {
	for name, fault := range fake.Faults() {
		t.Run(name, func(t *testing.T) {
			f := start(t)
			m, r := f.minter(t, f.at(f.ref))
			f.fake.Fail(fault)
			ctx, cancel := contextFor(t, fault.Slow)
			defer cancel()
			lease, err := m.Mint(ctx, r, "tightlip-fault")
			if err == nil {
				if fault.Times == 0 || !f.works(t, string(lease.Value.Open())) {
					t.Errorf("minted %s", lease.ID)
				}
				return
			}
			if fault.Status == http.StatusTooManyRequests && fault.Times == 1 {
				t.Errorf("did not ask again: %v", err)
			}
			text := err.Error()
			if re, ok := errors.AsType[*secret.ResolveError](err); ok {
				text += re.Hint()
			}
			for _, value := range append(f.parents.values(), []byte(f.fake.Bait)) {
				if form := secrettest.Leak(text, value); form != "" {
					t.Errorf("the error contains a value: %s", form)
				}
			}
			f.fake.Mend()
			if f.named {
				if err := m.Reap(t.Context(), r, secret.Minted{Name: "tightlip-fault"}); !errors.Is(err, secret.ErrNotRevocable) && (err != nil && !errors.Is(err, secret.ErrNotFound) || len(f.names(t)) != 0) {
					t.Errorf("what was made without an answer is not reaped: %v, %q", err, f.names(t))
				}
			}
			for _, token := range f.fake.Tokens() {
				if strings.Contains(text, token.Value) {
					t.Error("the error contains what was minted")
				}
			}
		})
	}
}

// testNotMade has the last call of a mint fail, which is the one that makes the credential. Whether it did may be known, or not.
func testNotMade(t *testing.T, start func(t *testing.T) faked) {
	for name, test := range map[string]struct {
		fault fake.Fault
		want  bool
	}{
		"refused":   {fake.Fault{Status: http.StatusForbidden}, true},
		"failed":    {fake.Fault{Status: http.StatusBadGateway, RetryAfter: "3600"}, false},
		"unheard":   {fake.Fault{Malformed: true}, false},
		"no answer": {fake.Fault{Slow: true, Times: 1}, false},
	} {
		t.Run(name, func(t *testing.T) {
			f := start(t)
			m, r := f.minter(t, f.at(f.ref))
			before := len(f.fake.Log())
			if _, err := m.Mint(t.Context(), r, "tightlip-first"); err != nil {
				t.Fatal(err)
			}
			calls := len(f.fake.Log()) - before
			test.fault.After = calls - 1
			f.fake.Fail(test.fault)
			ctx, cancel := contextFor(t, test.fault.Slow)
			defer cancel()
			_, err := m.Mint(ctx, r, "tightlip-second")
			if got := errors.Is(err, secret.ErrNotMade); err == nil || got != test.want && !f.twice {
				t.Errorf("the last of %d calls: got %v, not made: %t", calls, err, got)
			}
		})
	}
}

// testRevokedMidway has somebody else revoke a credential, between two calls.
func testRevokedMidway(t *testing.T, f faked) {
	m, r := f.minter(t, f.at(f.ref))
	for _, ask := range []string{"alive", "revoke"} {
		lease, err := m.Mint(t.Context(), r, "tightlip-"+ask)
		if err != nil {
			t.Fatal(err)
		}
		value := string(lease.Value.Open())
		f.fake.Fail(fake.Fault{Times: 1, Revoke: true, Tokens: func(t fake.Token) bool { return strings.Contains(value, t.Value) }})
		if ask == "alive" {
			alive(t, lease)
		}
		if lease.Revoke == nil {
			continue
		}
		if err := lease.Revoke(t.Context()); err != nil || f.works(t, value) {
			t.Errorf("%s: revoking what was revoked: %v", ask, err)
		}
	}
}

// alive fails if the issuer says that a lease is.
func alive(t *testing.T, lease *secret.Lease) {
	t.Helper()
	if lease.Alive == nil {
		return
	}
	if got, err := lease.Alive(t.Context()); err != nil || got {
		t.Errorf("alive: got %t, %v", got, err)
	}
}

const (
	byUs   = "tightlip, by its clock"   // with another clock it has ended sooner or later than that, perhaps before it began
	byThem = "the issuer, by its clock" // so the lease is as wrong as that
)

// testSkew has an issuer whose clock is an hour ahead or behind. Either it makes a credential that can be ended, or it takes our clock for
// wrong, which is known to have made nothing.
func testSkew(t *testing.T, start func(t *testing.T) faked) {
	for _, skew := range []time.Duration{time.Hour, -time.Hour} {
		t.Run(skew.String(), func(t *testing.T) {
			f := start(t)
			m, r := f.minter(t, f.at(f.ref))
			f.fake.Skew(skew)
			began := time.Now()
			lease, err := m.Mint(t.Context(), r, "tightlip-skew")
			if err != nil {
				if !f.clocked || !errors.Is(err, secret.ErrNotMade) {
					t.Errorf("minting: %v", err)
				}
				return
			}
			if f.clocked {
				t.Error("the issuer does not look at our clock")
			}
			if works := f.works(t, string(lease.Value.Open())); works != (f.ends != byUs || f.fake.Now().Before(lease.Expires)) {
				t.Errorf("what was minted works: %t", works)
			}
			ends := began.Add(f.life)
			if f.ends == byThem {
				ends = ends.Add(skew)
			}
			if off := lease.Expires.Sub(ends); f.ends != byUs && off.Abs() > 5*time.Second || off > 5*time.Second {
				t.Errorf("ends %s from when it should", off)
			}
			if lease.Revoke == nil {
				return
			}
			if err := lease.Revoke(t.Context()); err != nil || f.works(t, string(lease.Value.Open())) {
				t.Errorf("revoking: %v", err)
			}
			alive(t, lease)
		})
	}
}

func testRefusals(t *testing.T, f faked) {
	for text, want := range f.refused {
		m, r := f.minter(t, f.at(text))
		if _, err := m.Resolve(t.Context(), r); err == nil || err.Error() != want {
			t.Errorf("%s: got %v", text, err)
		}
	}
}

func contextFor(t *testing.T, slow bool) (context.Context, context.CancelFunc) {
	t.Helper()
	if slow {
		return context.WithTimeout(t.Context(), 200*time.Millisecond)
	}
	return context.WithCancel(t.Context())
}
