package gate

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/tightlip/tightlip/secret"
)

const givenTicket = "9f86d081884c7d659a2feaa0c55ad015"

func TestGivenTicket(t *testing.T) {
	for text, problem := range map[string]string{
		givenTicket:                            "",
		" " + givenTicket + "\n":               "",
		"3f2504e0-4f89-11d3-9a0c-0305e82c3301": "",
		givenTicket[:25]:                       "26 to 256 characters",
		strings.Repeat(givenTicket, 9):         "26 to 256 characters",
		"  \n":                                 "26 to 256 characters",
		"$BROKER_TICKET-of-the-whole-build":    "letters, digits",
		givenTicket + "'; rm -rf /":            "letters, digits",
		strings.Repeat("changeme", 4):          "repeats too few",
	} {
		got, err := ticketFrom(secret.NewValue([]byte(text)))
		unfit, isUnfit := errors.AsType[*UnfitError](err)
		switch {
		case problem == "" && (err != nil || got != strings.TrimSpace(text)):
			t.Errorf("%q: %q, %v", text, got, err)
		case problem != "" && (!isUnfit || !strings.Contains(err.Error(), problem) || unfit.Hint() == "" || got != ""):
			t.Errorf("%q: %q, %v", text, got, err)
		case problem != "" && strings.TrimSpace(text) != "" && strings.Contains(err.Error(), text):
			t.Errorf("the error shows the ticket: %v", err)
		}
	}
	one, _ := ticketFrom(secret.Value{})
	if two, _ := ticketFrom(secret.NewValue([]byte(one))); two != one {
		t.Error("a ticket that is made up is not good enough to be given")
	}
}

// exposed is a world whose clients reach it as broker, with a ticket that is given.
func exposed(t *testing.T) *world {
	return newWorld(t, func(o *Options) { o.Host, o.Ticket = "broker", secret.NewValue([]byte(givenTicket)) })
}

// askAt asks a listener for a path, and names a host.
func (w *world) askAt(listener, host, path, authorization string) (*http.Response, string) {
	w.t.Helper()
	req, err := http.NewRequest(http.MethodGet, "http://"+listener+path, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	req.Host = host
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	res, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	return res, string(body)
}

// TestHand: what clients need is there for who has the ticket, and for nobody else.
func TestHand(t *testing.T) {
	w := exposed(t)
	w.gate.Hand("/broker.env", []byte("A=b\n"))
	port := w.proxy[strings.LastIndexByte(w.proxy, ':'):]
	for authorization, want := range map[string]int{
		basic("tightlip", givenTicket): 200, basic("step", givenTicket): 200, "Bearer " + givenTicket: 200,
		"": 401, basic("tightlip", givenTicket[1:]): 401, basic(givenTicket, ""): 401, basic("x", w.gate.Phantom("npm")): 401,
	} {
		res, body := w.askAt(w.proxy, "broker"+port, "/broker.env", authorization)
		if res.StatusCode != want || (body == "A=b\n") != (want == 200) || want == 401 && res.Header.Get("Www-Authenticate") == "" {
			t.Errorf("%d instead of %d: %q", res.StatusCode, want, body)
		}
	}
	if res, _ := w.askAt(w.proxy, "broker"+port, "/other", basic("x", givenTicket)); res.StatusCode != http.StatusProxyAuthRequired {
		t.Errorf("another path: %d", res.StatusCode)
	}
	if res, _ := w.askAt(w.reverse, w.gate.Address(addr(w.reverse)), "/broker.env", basic("x", givenTicket)); res.StatusCode == 200 {
		t.Error("a reverse door hands it out")
	}
}

func addr(listener string) net.Addr {
	return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(listener))
}

// TestExposed: doors answer to the name by which clients reach them, to nobody without the ticket, and put that name into URLs.
func TestExposed(t *testing.T) {
	w := exposed(t)
	door := w.gate.Address(addr(w.reverse))
	if host, _, _ := strings.Cut(door, ":"); host != "broker" {
		t.Fatalf("the door is at %s", door)
	}
	w.npm.respond(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(rw, `{"tarball":"https://npm.corp.example/repo/x.tgz"}`)
	})
	if res, body := w.askAt(w.reverse, door, "/repo/x", basic("x", givenTicket)); res.StatusCode != 200 || body != `{"tarball":"http://`+door+`/repo/x.tgz"}` {
		t.Errorf("%d %s", res.StatusCode, body)
	}
	asked := len(w.npm.requests())
	for host, authorization := range map[string]string{door: "", strings.ToUpper(door): "Bearer x", "evil.example": basic("x", givenTicket), "broker": basic("x", givenTicket)} {
		if res, _ := w.askAt(w.reverse, host, "/repo/x", authorization); res.StatusCode != http.StatusUnauthorized && res.StatusCode != http.StatusMisdirectedRequest {
			t.Errorf("%s: %d", host, res.StatusCode)
		}
	}
	if len(w.npm.requests()) != asked {
		t.Error("the origin was asked")
	}
	if env := strings.Join(w.gate.Environ(w.gate.Address(addr(w.proxy)), "/tmp/bundle.pem", ""), "\n"); !strings.Contains(env, "HTTPS_PROXY=http://tightlip:"+givenTicket+"@broker:") {
		t.Error("the environment names another proxy")
	}
	if _, err := New(Options{Policy: w.gate.policy, Secrets: w.gate.options.Secrets, Host: "broker:8080"}); err == nil {
		t.Error("a host with a port is taken")
	}
}

// TestTicketMasked has a client put the ticket where the audit shows texts.
func TestTicketMasked(t *testing.T) {
	w := exposed(t)
	w.get("https://npm.corp.example/repo/"+givenTicket, nil)
	w.askAt(w.proxy, "broker", "/"+givenTicket, basic(givenTicket, givenTicket))
	w.gate.Hand("/x", []byte("y"))
	w.askAt(w.proxy, "broker", "/x", basic(givenTicket, givenTicket))
	w.last(3)
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.events {
		if strings.Contains(e.Path+e.Step+e.Reason+e.Origin, givenTicket) {
			t.Errorf("the audit shows the ticket: %s of %s", e.Method, e.Verdict)
		}
	}
}

// TestOwnAddresses: listening with all addresses, the gate is none of the other machines that use its port.
func TestOwnAddresses(t *testing.T) {
	for own, others := range map[string]map[string]bool{
		"0.0.0.0:8080":   {"127.0.0.1:8080": true, "0.0.0.0:8080": true, "[::1]:8080": true, "127.0.0.1:8081": false, "192.0.2.7:8080": false},
		"[::]:8080":      {"127.0.0.1:8080": true, "[::]:8080": true, "192.0.2.7:8080": false, "[2001:db8::7]:8080": false},
		"192.0.2.7:8080": {"192.0.2.7:8080": true, "192.0.2.8:8080": false, "127.0.0.1:8080": false},
	} {
		d := newDialer()
		d.listening(addr(own))
		for to, want := range others {
			if d.isOwn(netip.MustParseAddrPort(to)) != want {
				t.Errorf("listening at %s, %s is its own: %t", own, to, !want)
			}
		}
	}
	machine, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range machine {
		if p := netip.MustParsePrefix(a.String()); !isLocal(p.Addr()) {
			t.Errorf("%s is not local", p)
		}
	}
}
