package gate

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tightlip/tightlip/broker/shim"
	"github.com/tightlip/tightlip/secret"
)

// newSteps has two secrets for two origins, and a step for each.
func newSteps(t *testing.T, origins ...string) *Steps {
	t.Helper()
	o := Options{Secrets: map[string]secret.Value{}}
	for i, text := range origins {
		origin, err := ParseOrigin(text)
		if err != nil {
			t.Fatal(err)
		}
		id := string(rune('a' + i))
		o.Policy.Routes = append(o.Policy.Routes, Route{Secret: id, Origin: origin, Attach: Attach{Kind: Bearer}, Listen: 7000 + i})
		o.Secrets[id] = secret.NewValue([]byte("canary-of-" + id + "-0123456789"))
	}
	s, err := NewSteps(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	for i := range origins {
		id := string(rune('a' + i))
		if err := s.Add(Step{Name: "step-" + id, Label: StepLabel(i + 1), Secrets: []string{id}}); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// open connects as the shim of a step does.
func openStep(t *testing.T, s *Steps, name string, first any) net.Conn {
	t.Helper()
	near, far := net.Pipe()
	t.Cleanup(func() { near.Close() })
	go func() { _ = s.Serve(name, far) }()
	line, ok := first.(string)
	if !ok {
		text, err := json.Marshal(first)
		if err != nil {
			t.Fatal(err)
		}
		line = string(text) + "\n"
	}
	_ = near.SetDeadline(time.Now().Add(5 * time.Second))
	_, _ = io.WriteString(near, line)
	return near
}

// TestStepsKeepApart: each step has doors, a ticket and an authority of its own.
func TestStepsKeepApart(t *testing.T) {
	server := func() *httptest.Server {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "got "+r.Header.Get("X")) }))
		t.Cleanup(s.Close)
		return s
	}
	one, two := server(), server()
	s := newSteps(t, one.URL, two.URL)
	var settings [2]shim.BrokerSettings
	for i, name := range []string{"step-a", "step-b"} {
		conn := openStep(t, s, name, shim.BrokerRequest{Door: shim.SetUp, Address: "127.0.0.1:1", Bundle: "/b"})
		if err := json.NewDecoder(conn).Decode(&settings[i]); err != nil {
			t.Fatal(err)
		}
	}
	if settings[0].CA == settings[1].CA || len(settings[0].Doors) != 1 || settings[0].Doors[0] == settings[1].Doors[0] {
		t.Errorf("two steps share something: %v, %v", settings[0].Doors, settings[1].Doors)
	}
	ask := func(step int, url string, ticket shim.BrokerSettings) int {
		conn := openStep(t, s, []string{"step-a", "step-b"}[step], shim.BrokerRequest{Door: shim.Forward})
		proxy := ""
		for _, kv := range ticket.Env {
			if v, ok := strings.CutPrefix(kv, "HTTP_PROXY="); ok {
				proxy = v
			}
		}
		r, err := http.NewRequest("GET", url+"/x", nil)
		if err != nil {
			t.Fatal(err)
		}
		p, err := http.NewRequest("GET", proxy, nil)
		if err != nil {
			t.Fatal(err)
		}
		password, _ := p.URL.User.Password()
		auth := http.Request{Header: http.Header{}}
		auth.SetBasicAuth(p.URL.User.Username(), password)
		r.Header.Set("Proxy-Authorization", auth.Header.Get("Authorization"))
		if err := r.WriteProxy(conn); err != nil {
			t.Fatal(err)
		}
		res, err := http.ReadResponse(bufio.NewReader(conn), r)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode
	}
	for _, tt := range []struct {
		name         string
		step, ticket int
		url          string
		want         int
	}{
		{"its own", 0, 0, one.URL, 200},
		{"the other's origin", 0, 0, two.URL, 403}, // on loopback, which only a route makes reachable
		{"the other's ticket", 0, 1, one.URL, 407},
		{"the other's ticket and origin", 0, 1, two.URL, 407},
	} {
		if got := ask(tt.step, tt.url, settings[tt.ticket]); got != tt.want {
			t.Errorf("%s: %d, not %d", tt.name, got, tt.want)
		}
	}
}

// TestStepsRefuse: what is no request of a shim ends at once.
func TestStepsRefuse(t *testing.T) {
	s := newSteps(t, "https://npm.corp.example", "https://pypi.corp.example")
	for name, conn := range map[string]net.Conn{
		"no such step":       openStep(t, s, "step-c", shim.BrokerRequest{Door: shim.SetUp}),
		"another's door":     openStep(t, s, "step-a", shim.BrokerRequest{Door: "https://pypi.corp.example"}),
		"no such door":       openStep(t, s, "step-a", shim.BrokerRequest{Door: "https://npm.corp.example/"}),
		"no request":         openStep(t, s, "step-a", "GET / HTTP/1.1\r\n"),
		"a line without end": openStep(t, s, "step-a", strings.Repeat("x", shim.MaxRequest+1)),
	} {
		if n, err := conn.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Errorf("%s: %d bytes, %v", name, n, err)
		}
	}
	s.Close()
	if s.Has("step-a") || s.Add(Step{Name: "step-d", Secrets: []string{"a"}}) != nil || s.Has("step-d") {
		t.Error("there are steps after the end")
	}
}

// TestForBuilder: the builder gets what it asks for only if nothing else could be fetched with it.
func TestForBuilder(t *testing.T) {
	s := newSteps(t, "https://npm.corp.example", "https://git.corp.example:8443")
	for _, tt := range []struct {
		name string
		urls []string
		want string
	}{
		{"HTTP_AUTH_HEADER_npm.corp.example", []string{"https://npm.corp.example/a.tgz", "local/file"}, "a"},
		{"GIT_AUTH_HEADER.git.corp.example:8443", []string{"https://git.corp.example:8443/x.git#main"}, "b"},
		{"GIT_AUTH_HEADER.git.corp.example", []string{"https://git.corp.example/x.git"}, ""}, // another port
		{"HTTP_AUTH_HEADER_git.corp.example", []string{"https://git.corp.example:8443/a", "https://git.corp.example/b"}, ""},
		{"HTTP_AUTH_HEADER_npm.corp.example", []string{"http://npm.corp.example/a.tgz"}, ""},
		{"HTTP_AUTH_HEADER_npm.corp.example", []string{"https://u:p@npm.corp.example/a.tgz"}, ""},
		{"HTTP_AUTH_TOKEN_npm.corp.example", []string{"https://npm.corp.example/a.tgz"}, ""},
		{"HTTP_AUTH_HEADER_npm.corp.example", nil, ""},
	} {
		id, v, ok := s.ForBuilder(t.Context(), tt.name, tt.urls)
		if id != tt.want || ok != (tt.want != "") || ok && !strings.HasPrefix(string(v.Open()), "Bearer canary-of-"+id) {
			t.Errorf("%s of %q: %q, %v", tt.name, tt.urls, id, ok)
		}
	}
}
