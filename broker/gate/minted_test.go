package gate

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/secrettest"
)

// mintedWorld has a gate whose credential is made when a request needs it, and anew whenever renew says so.
type mintedWorld struct {
	*world
	asked  atomic.Int32
	values []string
	renew  bool
	down   error
}

func newMintedWorld(t *testing.T) *mintedWorld {
	m := &mintedWorld{}
	m.world = newWorld(t, func(o *Options) {
		o.Secrets = nil
		o.Minted = map[string]Mint{"npm": func(context.Context) (secret.Value, error) {
			m.asked.Add(1)
			if m.down != nil {
				return secret.Value{}, m.down
			}
			if len(m.values) == 0 || m.renew {
				m.values = append(m.values, string(secrettest.Canary(t)))
			}
			return secret.NewValue([]byte(m.values[len(m.values)-1])), nil
		}}
	})
	return m
}

func (m *mintedWorld) sent() string {
	got := m.npm.requests()
	return got[len(got)-1].auth
}

func TestMinted(t *testing.T) {
	m := newMintedWorld(t)
	if m.asked.Load() > 0 || m.gate.Phantom("npm") == "" {
		t.Error("it is minted before any request, or has no phantom")
	}
	if status, _, _ := m.get("https://npm.corp.example/elsewhere", nil); status != http.StatusForbidden || m.asked.Load() > 0 {
		t.Errorf("a request that is refused mints: %d", status)
	}
	for range 2 {
		if status, _, _ := m.get("https://npm.corp.example/repo/x", nil); status != 200 || m.sent() != "Bearer "+m.values[0] {
			t.Errorf("%d, and the origin got %d bytes of Authorization", status, len(m.sent()))
		}
	}
	m.renew = true // as before the lease ends: the client notices nothing
	if status, _, _ := m.get("https://npm.corp.example/repo/x", nil); status != 200 || m.sent() != "Bearer "+m.values[1] {
		t.Errorf("%d, and the origin got %d bytes of Authorization", status, len(m.sent()))
	}
}

// TestMintedPhantom has clients that show the phantom where they want the credential.
func TestMintedPhantom(t *testing.T) {
	m := newMintedWorld(t)
	phantom := m.gate.Phantom("npm")
	for header, want := range map[string]string{
		"token " + phantom: "token %s",
		"Basic " + base64.StdEncoding.EncodeToString([]byte("x:"+phantom)): "Basic x:%s",
	} {
		status, _, _ := m.get("https://npm.corp.example/repo/x", func(r *http.Request) { r.Header.Set("Authorization", header) })
		kind, rest, _ := strings.Cut(fmt.Sprintf(want, m.values[0]), " ")
		if kind == "Basic" {
			rest = base64.StdEncoding.EncodeToString([]byte(rest))
		}
		if status != 200 || m.sent() != kind+" "+rest {
			t.Errorf("%d, and the origin did not get %s", status, want)
		}
	}
}

// TestMintedEcho has an origin that sends back what it got: the gate searches for what it has just learnt.
func TestMintedEcho(t *testing.T) {
	m := newMintedWorld(t)
	m.npm.respond(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "you sent ", r.Header.Get("Authorization"))
	})
	for range 2 {
		req, err := http.NewRequest(http.MethodGet, "https://npm.corp.example/repo/x", nil)
		if err != nil {
			t.Fatal(err)
		}
		m.renew = true
		res, err := m.client().Do(req)
		if err != nil {
			continue // the connection is cut
		}
		body := make([]byte, 1<<10)
		n, _ := res.Body.Read(body)
		res.Body.Close()
		for _, v := range m.values {
			if found := traces(string(body[:n]), v); found != nil {
				t.Errorf("the client gets the credential: %v", found)
			}
		}
	}
	text := m.gate.Redactor().String(strings.Join(m.values, " "))
	if text != "*** ***" {
		t.Errorf("texts show %d bytes", len(text))
	}
}

func TestMintedFails(t *testing.T) {
	m := newMintedWorld(t)
	m.down = errors.New("the issuer answered 403 Forbidden: needs repository:read")
	status, body, _ := m.get("https://npm.corp.example/repo/x", nil)
	if status != http.StatusBadGateway || !strings.Contains(body, "there is no credential: the issuer answered 403") || len(m.npm.requests()) > 0 {
		t.Errorf("%d %q, and the origin got %d requests", status, body, len(m.npm.requests()))
	}
	if e := m.last(1); e.Verdict != Refused || !strings.Contains(e.Reason, "403") {
		t.Errorf("got %+v", e)
	}
	m.down = nil
	if status, _, _ := m.get("https://npm.corp.example/repo/x", nil); status != 200 {
		t.Errorf("the next one: %d", status)
	}
}

func TestMintedBasicNeedsAUser(t *testing.T) {
	_, err := New(Options{
		Policy: Policy{Routes: []Route{{Secret: "git", Origin: Origin{"https", "git.corp.example", "443"}, Attach: Attach{Kind: Basic}}}},
		Minted: map[string]Mint{"git": nil},
	})
	if unfit := (*UnfitError)(nil); !errors.As(err, &unfit) || unfit.ID != "git" {
		t.Errorf("got %v", err)
	}
}
