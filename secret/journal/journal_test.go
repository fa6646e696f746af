package journal_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/journal"
	"github.com/tightlip/tightlip/secret/secrettest"
)

// issuer mints what it is told to, and remembers what is alive by name.
type issuer struct {
	value  []byte
	alive  map[string]bool
	down   error
	deaf   bool // it revokes what it does not know
	seen   func()
	mu     sync.Mutex // leases are reaped at the same time
	reaped []secret.Minted
}

func (*issuer) Scheme() string         { return "issuer" }
func (*issuer) Check(secret.Ref) error { return nil }

func (i *issuer) Resolve(ctx context.Context, ref secret.Ref) (*secret.Lease, error) {
	return i.Mint(ctx, ref, "resolved")
}

func (i *issuer) Mint(_ context.Context, _ secret.Ref, name string) (*secret.Lease, error) {
	i.seen()
	if i.down != nil {
		return nil, i.down
	}
	i.alive[name] = true
	return &secret.Lease{
		Value: secret.NewValue(i.value), ID: "id of " + name, Expires: time.Now().Add(time.Hour),
		Revoke: func(context.Context) error { delete(i.alive, name); return i.down },
	}, nil
}

func (i *issuer) Reap(_ context.Context, _ secret.Ref, m secret.Minted) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.reaped = append(i.reaped, m)
	if i.down != nil {
		return i.down
	}
	if !i.alive[m.Name] && !i.deaf {
		return secret.ErrNotFound
	}
	delete(i.alive, m.Name)
	return nil
}

var ref = secret.Ref{Scheme: "issuer", Rest: "x"}

func mint(t *testing.T, i *issuer, j secret.Journal) *secret.Set {
	t.Helper()
	r := secret.NewResolver(i)
	r.SetJournal(j)
	set, err := r.ResolveAll(t.Context(), []secret.Spec{{ID: "a", Ref: ref}, {ID: "b", Ref: ref}})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func files(t *testing.T, folder string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(folder, "*"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func text(t *testing.T, folder string) string {
	t.Helper()
	var all strings.Builder
	for _, name := range files(t, folder) {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(data)
	}
	return all.String()
}

func TestNothingIsLeft(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "leases")
	j := journal.New(folder, "/srv")
	i := &issuer{value: secrettest.Canary(t), alive: map[string]bool{}}
	i.seen = func() {
		if !strings.Contains(text(t, folder), `"state":"minting","reference":"issuer:x"`) {
			t.Error("it is minted before the journal knows")
		}
	}
	set := mint(t, i, j)
	if _, err := os.Stat(folder); err == nil {
		t.Error("there is a journal of nothing")
	}
	if _, err := set.Lease(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if got := text(t, folder); !strings.Contains(got, "id of tightlip-") || secrettest.Leak(got, i.value) != "" {
		t.Errorf("the journal says %q", got)
	}
	for _, e := range set.End(t.Context()) {
		if e.Fate != secret.Unasked || e.ID != "a" {
			t.Errorf("got %s: %s", e.ID, e)
		}
	}
	if err := j.Close(); err != nil || len(files(t, folder)) > 0 {
		t.Errorf("left are %q, %v", files(t, folder), err)
	}
}

func TestReap(t *testing.T) {
	folder := t.TempDir()
	i := &issuer{value: secrettest.Canary(t), alive: map[string]bool{}, seen: func() {}}
	j := journal.New(folder, "/srv")
	set := mint(t, i, j)
	for _, id := range []string{"a", "b"} {
		if _, err := set.Lease(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	sources := func(scheme, dir string) (secret.Minter, bool) {
		if scheme != "issuer" || dir != "/srv" {
			t.Errorf("looked for %s in %s", scheme, dir)
		}
		return i, true
	}
	if got, err := journal.Reap(t.Context(), folder, false, sources); err != nil || len(got) > 0 {
		t.Fatalf("of a process at work it reaped %v, %v", got, err)
	}
	if n := journal.Left(folder); n != 0 {
		t.Errorf("%d leases of a process at work are left", n)
	}
	if err := j.Close(); err != nil { // as when the process is killed: nothing was revoked
		t.Fatal(err)
	}
	i.down = errors.New("the issuer is down")
	got, err := journal.Reap(t.Context(), folder, false, sources)
	if err != nil || len(got) != 2 || got[0].Fate != secret.Unrevoked || len(files(t, folder)) == 0 {
		t.Fatalf("got %v, %v, and left are %q", got, err, files(t, folder))
	}
	i.down = nil
	got, err = journal.Reap(t.Context(), folder, false, sources)
	if err != nil || len(got) != 2 || got[0].Fate != secret.Dead || len(files(t, folder)) > 0 || len(i.alive) > 0 {
		t.Fatalf("got %v, %v, and left are %q", got, err, files(t, folder))
	}
	if m := i.reaped[0]; m.ID != "id of "+m.Name || m.Expires.IsZero() {
		t.Errorf("reaped %+v", m)
	}
}

// A process may be killed at any byte.
func TestReapOfAnyPrefix(t *testing.T) {
	whole := t.TempDir()
	i := &issuer{value: secrettest.Canary(t), alive: map[string]bool{}, seen: func() {}}
	j := journal.New(whole, "")
	set := mint(t, i, j)
	if _, err := set.Lease(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	data := text(t, whole)
	first := strings.IndexByte(data, '\n')
	for n := range len(data) {
		folder := t.TempDir()
		if err := os.WriteFile(filepath.Join(folder, "x.jsonl"), []byte(data[:n]), 0o600); err != nil {
			t.Fatal(err)
		}
		i.reaped, i.alive = nil, map[string]bool{} // it is not made yet, or known to somebody else
		_, err := journal.Reap(t.Context(), folder, false, func(string, string) (secret.Minter, bool) { return i, true })
		want := n > first // what the issuer may still be about to make is looked for again
		if err != nil || len(i.reaped) == 1 != want || len(files(t, folder)) > 0 != want {
			t.Fatalf("of %d bytes it reaped %v, %v, and left are %q", n, i.reaped, err, files(t, folder))
		}
		_, err = journal.Reap(t.Context(), folder, true, func(string, string) (secret.Minter, bool) { return i, true })
		if err != nil || len(files(t, folder)) > 0 {
			t.Fatalf("of %d bytes it then forgets %v, and left are %q", n, err, files(t, folder))
		}
	}
}

// TestReapFates has issuers that do not know what they made, as another server or account would not, and that revoke nothing.
func TestReapFates(t *testing.T) {
	minted := `{"lease":1,"state":"minted","id":"i","with":"w","expires":%q,"time":"2026-01-01T00:00:00Z"}`
	const ever = time.Duration(-1)
	failed := errors.New("needs the capability")
	for name, test := range map[string]struct {
		says  error
		began time.Duration // ago
		ends  time.Duration // from now; 0: it is not known whether it was made; ever: it lives for ever
		want  string
		kept  bool
	}{
		"alive":                     {secret.ErrNotFound, time.Hour, time.Hour, "not known to the issuer", true},
		"expired just now":          {secret.ErrNotFound, time.Hour, -time.Minute, "expired", false},
		"maybe made":                {secret.ErrNotFound, time.Hour, 0, "not known to the issuer, if it was made at all", true},
		"maybe made, long ago":      {secret.ErrNotFound, 48 * time.Hour, 0, "not known to the issuer, if it was made at all", false},
		"revoked, and not asked":    {nil, time.Hour, ever, "revoked, not verified", false},
		"refused":                   {failed, time.Hour, ever, "could not be revoked: needs the capability, and does not expire", true},
		"refused, expired just now": {failed, time.Hour, -time.Minute, "expired", true}, // by our clock
		"refused, expired":          {failed, time.Hour, -2 * time.Hour, "expired", false},
		"not revocable, for ever":   {secret.ErrNotRevocable, time.Hour, ever, "cannot be revoked, and does not expire", true},
		"not revocable, maybe made": {secret.ErrNotRevocable, time.Hour, 0, "cannot be revoked, if it was made at all", false},
		"not revocable, expired":    {secret.ErrNotRevocable, time.Hour, -time.Minute, "expired", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			text := fmt.Sprintf(`{"lease":1,"state":"minting","reference":"issuer:x","name":"n","time":%q}`, time.Now().Add(-test.began).Format(time.RFC3339))
			switch test.ends {
			case 0:
			case ever:
				text += "\n" + fmt.Sprintf(minted, "0001-01-01T00:00:00Z")
			default:
				text += "\n" + fmt.Sprintf(minted, time.Now().Add(test.ends).Format(time.RFC3339))
			}
			if err := os.WriteFile(filepath.Join(folder, "x.jsonl"), []byte(text+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			i := &issuer{down: test.says, deaf: true, alive: map[string]bool{}}
			sources := func(string, string) (secret.Minter, bool) { return i, true }
			got, err := journal.Reap(t.Context(), folder, false, sources)
			if err != nil || len(got) != 1 || got[0].String() != test.want || got[0].Unsure != (test.ends == 0) || len(files(t, folder)) > 0 != test.kept {
				t.Fatalf("got %v, %v, and left are %q", got, err, files(t, folder))
			}
			if len(i.reaped) > 0 && test.ends != 0 && (i.reaped[0].ID != "i" || i.reaped[0].With != "w") {
				t.Errorf("reaped %+v", i.reaped[0])
			}
			if _, err := journal.Reap(t.Context(), folder, true, sources); err != nil || len(files(t, folder)) > 0 {
				t.Errorf("it is not forgotten: %v, %q", err, files(t, folder))
			}
		})
	}
}

func TestReapDropsWhatHasExpired(t *testing.T) {
	folder := t.TempDir()
	line := `{"lease":1,"state":"minting","reference":"issuer:x","name":"n","time":"2026-01-01T00:00:00Z"}
{"lease":1,"state":"minted","id":"i","expires":"2026-01-01T01:00:00Z","time":"2026-01-01T00:00:00Z"}
`
	if err := os.WriteFile(filepath.Join(folder, "x.jsonl"), []byte(line), 0o600); err != nil {
		t.Fatal(err)
	}
	if n := journal.Left(folder); n != 0 {
		t.Errorf("%d leases are left that have expired", n)
	}
	i := &issuer{}
	got, err := journal.Reap(t.Context(), folder, false, func(string, string) (secret.Minter, bool) { return i, true })
	if err != nil || len(got) != 1 || got[0].Fate != secret.Expired || got[0].Alive() || len(i.reaped) > 0 || len(files(t, folder)) > 0 {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestReapWithoutTheSource(t *testing.T) {
	folder := t.TempDir()
	j := journal.New(folder, "")
	if _, err := j.Begin(ref, secret.Minted{Name: "n"}); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := journal.Reap(t.Context(), folder, false, func(string, string) (secret.Minter, bool) { return nil, false })
	if err != nil || len(got) != 1 || got[0].Fate != secret.Unrevoked {
		t.Errorf("got %v, %v", got, err)
	}
	if !slices.ContainsFunc(files(t, folder), func(name string) bool { return strings.HasSuffix(name, ".jsonl") }) {
		t.Error("the lease is forgotten")
	}
}
