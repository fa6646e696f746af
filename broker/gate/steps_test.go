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

// TestStepClients: a step's clients get settings, and its own processes need no ticket at a door.
func TestStepClients(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `"http://`+r.Host+`/tarball"`)
	}))
	defer upstream.Close()
	host := strings.TrimPrefix(upstream.URL, "http://")
	for name, want := range map[string]shim.BrokerClient{
		"npm:/npm/": {Env: []string{"npm_config_registry=http://127.0.0.1:7000/npm/", "npm_config_replace_registry_host=" + host}},
		"pip":       {Env: []string{"PIP_INDEX_URL=http://tightlip:TICKET@127.0.0.1:7000/simple"}},
		"go":        {Env: []string{"GOPROXY=http://127.0.0.1:7000", "GONOPROXY=none"}},
		"git":       {Git: []shim.GitSetting{{Key: "url.http://tightlip:TICKET@127.0.0.1:7000/.insteadOf", Value: upstream.URL + "/"}, {Key: "url.http://tightlip:TICKET@127.0.0.1:7000/.insteadOf", Value: "git@" + host + ":"}, {Key: "url.http://tightlip:TICKET@127.0.0.1:7000/.insteadOf", Value: "ssh://git@" + host + "/"}}},
		"jvm":       {Env: []string{"JAVA_TOOL_OPTIONS=-Djavax.net.ssl.trustStore=/b/trust.jks -Djavax.net.ssl.trustStoreType=JKS -Dhttp.proxyHost=127.0.0.1 -Dhttp.proxyPort=1 -Dhttps.proxyHost=127.0.0.1 -Dhttps.proxyPort=1"}, TrustStore: "trust.jks"},
	} {
		s := newSteps(t, upstream.URL)
		s.options.Policy.Routes[0].Client = parseClient(name)
		if err := s.Add(Step{Name: "step", Secrets: []string{"a"}}); err != nil {
			t.Fatal(err)
		}
		var settings shim.BrokerSettings
		if err := json.NewDecoder(openStep(t, s, "step", shim.BrokerRequest{Door: shim.SetUp, Address: "127.0.0.1:1", Bundle: "/b/c.pem"})).Decode(&settings); err != nil {
			t.Fatal(err)
		}
		text, _ := json.Marshal(settings.Clients)
		wanted, _ := json.Marshal([]shim.BrokerClient{want})
		if got := strings.ReplaceAll(string(text), s.gate("step").ticket, "TICKET"); got != string(wanted) {
			t.Errorf("%s: %s\nnot %s", name, got, wanted)
		}
		for own, want := range map[bool]int{true: 200, false: 401} {
			conn := openStep(t, s, "step", shim.BrokerRequest{Door: upstream.URL, Own: own})
			_, _ = io.WriteString(conn, "GET /x HTTP/1.1\r\nHost: 127.0.0.1:7000\r\n\r\n")
			res, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil || res.StatusCode != want {
				t.Fatalf("%s, own %t: %v, %v", name, own, res, err)
			}
			body, _ := io.ReadAll(res.Body)
			if kept := strings.Contains(string(body), upstream.URL); own && kept != strings.HasPrefix(name, "npm") {
				t.Errorf("%s: the body is %s", name, body)
			}
		}
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
