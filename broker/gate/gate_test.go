package gate

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tightlip/tightlip/secret"
)

// get asks through the forward door.
func (w *world) get(url string, change func(*http.Request)) (int, string, http.Header) {
	w.t.Helper()
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	if change != nil {
		change(req)
	}
	res, err := w.client().Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return res.StatusCode, string(body), res.Header
}

func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

func TestForward(t *testing.T) {
	w := newWorld(t, nil)
	for url, want := range map[string]string{
		"https://npm.corp.example/repo/x?a=b;c": "Bearer " + w.value,
		"http://apt.corp.example/x":             basic("ci", w.value),
	} {
		if status, body, _ := w.get(url, nil); status != 200 || body != "hello" {
			t.Errorf("%s: %d, %q", url, status, body)
		}
		got := slices.Concat(w.npm.requests(), w.apt.requests())
		if auth := got[len(got)-1].auth; !slices.ContainsFunc(got, func(s seen) bool { return s.auth == want }) {
			t.Errorf("%s: the origin got %d bytes of Authorization", url, len(auth))
		}
	}
	for _, r := range slices.Concat(w.npm.requests(), w.apt.requests()) {
		if strings.Contains(r.head, "Proxy-") || strings.Contains(r.head, w.gate.Ticket()) || r.r.Header.Get("X-Forwarded-For") != "" {
			t.Errorf("the origin got too much: %s", r.r.RequestURI)
		}
	}
	if got := w.npm.requests()[0].r.RequestURI; got != "/repo/x?a=b;c" {
		t.Errorf("the origin got %s", got)
	}
	e := w.last(2)
	if e.Verdict != Allowed || e.Secret != "npm" || e.Status != 200 || e.Bytes != 5 || e.Step != "step" || e.Millis <= 0 || strings.Contains(e.Path, "?") {
		t.Errorf("the audit says %+v", e)
	}
}

// TestClose wants nothing to be sent afterwards, not even over connections that are there.
func TestClose(t *testing.T) {
	w := newWorld(t, nil)
	client := w.client()
	res, err := client.Get("https://npm.corp.example/repo/x")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, res.Body)
	res.Body.Close()
	if err := w.gate.Close(); err != nil {
		t.Error(err)
	}
	if res, err := client.Get("https://npm.corp.example/repo/x"); err == nil {
		t.Errorf("status %d", res.StatusCode)
	}
	if n := len(w.npm.requests()); n != 1 {
		t.Errorf("the origin got %d requests", n)
	}
	if err := w.gate.Close(); err != nil {
		t.Errorf("closed again: %v", err)
	}
}

// TestMany uses one gate from many clients at once.
func TestMany(t *testing.T) {
	w := newWorld(t, nil)
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			url := []string{"https://npm.corp.example/repo/x", "http://apt.corp.example/x", "http://stranger.example:" + w.stranger.port() + "/"}[i%3]
			res, err := w.client().Get(url)
			if err != nil {
				t.Error(err)
				return
			}
			defer res.Body.Close()
			if body, err := io.ReadAll(res.Body); err != nil || string(body) != "hello" {
				t.Errorf("%q, %v", body, err)
			}
		})
	}
	wg.Wait()
	w.last(50)
}

// TestPassed has requests go on to hosts that nobody declared.
func TestPassed(t *testing.T) {
	w := newWorld(t, nil)
	status, body, header := w.get("http://stranger.example:"+w.stranger.port()+"/../x?y;z=%zz", func(r *http.Request) {
		r.Header.Set("Authorization", "Bearer mine")
		r.Header.Set("Cookie", "a=b")
		r.Header.Set("X-Forwarded-For", "192.0.2.1")
	})
	got := w.stranger.requests()
	if status != 200 || body != "hello" || len(got) != 1 || got[0].auth != "Bearer mine" || got[0].r.Header.Get("Cookie") != "a=b" || header.Get("Date") == "" {
		t.Errorf("%d, %q: %+v", status, body, got)
	}
	if got[0].r.RequestURI != "/../x?y;z=%zz" || got[0].r.Header.Get("X-Forwarded-For") != "192.0.2.1" {
		t.Errorf("the host got %s", got[0].head)
	}
	if strings.Contains(got[0].head, "Proxy-") {
		t.Error("the host got the ticket")
	}
	if e := w.last(1); e.Verdict != Passed || e.Secret != "" {
		t.Errorf("the audit says %+v", e)
	}
}

// TestTunnel has a client speak TLS with a host that nobody declared, and see its certificate.
func TestTunnel(t *testing.T) {
	w := newWorld(t, nil)
	cert := w.ca.issue(t, "stranger.example")
	tls := startServer(t, publicAddress, &cert)
	client := w.client()
	client.Transport.(*http.Transport).TLSClientConfig.RootCAs = w.ca.pool()
	res, err := client.Get("https://stranger.example:" + tls.port() + "/x")
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(res.Body)
	res.Body.Close()
	client.CloseIdleConnections()
	if e := w.last(1); string(body) != "hello" || e.Verdict != Passed || e.Method != "CONNECT" || e.Bytes == 0 || e.Path != "" {
		t.Errorf("%q, %+v", body, e)
	}
}

// TestPass reaches an origin that the policy names without a credential, on loopback and in a sealed build.
func TestPass(t *testing.T) {
	w := newWorld(t, func(o *Options) {
		o.Policy.Seal = true
		o.Policy.Pass = []Origin{{"http", "near.example", "1"}}
	})
	w.gate.policy.Pass[0].Port = w.near.port()
	if status, _, _ := w.get("http://near.example:"+w.near.port()+"/", nil); status != 200 || w.near.requests()[0].auth != "" {
		t.Errorf("status %d", status)
	}
}

func TestPhantom(t *testing.T) {
	w := newWorld(t, nil)
	p := w.gate.Phantom("npm")
	for _, tt := range []struct{ name, value, header, want string }{
		{"bearer", "Bearer " + p, "Authorization", "Bearer " + w.value},
		{"another case", "bearer " + p, "Authorization", "bearer " + w.value},
		{"token", "token " + p, "Authorization", "token " + w.value},
		{"password", basic("somebody", p), "Authorization", basic("somebody", w.value)},
		{"user", basic(p, "x-oauth-basic"), "Authorization", basic(w.value, "x-oauth-basic")},
		{"npm's _auth", "Basic " + p, "Authorization", "Basic " + w.value},
		{"another password", basic("somebody", "else"), "Authorization", "Bearer " + w.value},
		{"part of it", "Bearer " + p[:10], "Authorization", "Bearer " + w.value},
		{"another scheme", "Digest " + p, "Authorization", "Bearer " + w.value},
		{"a known header", p, "Private-Token", w.value},
		{"another value there", "mine", "Private-Token", ""},
	} {
		w.get("https://npm.corp.example/repo/x", func(r *http.Request) { r.Header.Set(tt.header, tt.value) })
		got := w.npm.requests()
		if v := got[len(got)-1].r.Header.Get(tt.header); v != tt.want {
			t.Errorf("%s: the origin got %d bytes, want %d", tt.name, len(v), len(tt.want))
		}
	}
}

func TestPhantomForm(t *testing.T) {
	for _, tt := range []struct{ value, prefix string }{{"npm_" + strings.Repeat("a", 36), "npm_"}, {"canary" + strings.Repeat("b", 30), "phantom"}} {
		a, b := newPhantom("id", tt.value), newPhantom("id", tt.value)
		if a == b || !strings.HasPrefix(a, tt.prefix) || tt.prefix == "npm_" && len(a) != len(tt.value) {
			t.Errorf("%s, %s", a, b)
		}
	}
}

func TestHeaderRoute(t *testing.T) {
	w := newWorld(t, func(o *Options) {
		for i := range o.Policy.Routes {
			o.Policy.Routes[i].Attach = Attach{Header, "x-feed-key"}
		}
	})
	w.get("https://npm.corp.example/repo/x", func(r *http.Request) {
		r.Header.Set("Authorization", "Bearer mine")
		r.Header.Set("X-Feed-Key", "mine")
	})
	if got := w.npm.requests()[0]; got.r.Header.Get("X-Feed-Key") != w.value || got.auth != "" {
		t.Error("the origin did not get the header")
	}
}

// TestAnswersPass has answers of upstreams that a client must see as they are.
func TestAnswersPass(t *testing.T) {
	w := newWorld(t, nil)
	for _, status := range []int{401, 404, 429, 503} {
		w.npm.respond(func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Retry-After", "7")
			rw.WriteHeader(status)
			fmt.Fprint(rw, "wait")
		})
		if got, body, header := w.get("https://npm.corp.example/repo/x", nil); got != status || body != "wait" || header.Get("Retry-After") != "7" {
			t.Errorf("status %d, %q", got, body)
		}
	}
}

func TestUpstreamErrors(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Stall = 300 * time.Millisecond })
	w.npm.respond(func(_ http.ResponseWriter, r *http.Request) { time.Sleep(time.Second) })
	if status, body, _ := w.get("https://npm.corp.example/repo/x", nil); status != 504 || !strings.Contains(body, "in time") {
		t.Errorf("a slow upstream: %d, %s", status, body)
	}
	w.npm.respond(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	if status, _, _ := w.get("https://npm.corp.example/repo/x", nil); status != 502 {
		t.Errorf("an upstream that hangs up: %d", status)
	}
	w.npm.CloseClientConnections()
	w.npm.Close()
	w.gate.upstream.CloseIdleConnections()
	if status, body, _ := w.get("https://npm.corp.example/repo/x", nil); status != 502 || !strings.Contains(body, "cannot be reached") {
		t.Errorf("no upstream: %d, %s", status, body)
	}
	if status, body, _ := w.get("http://nowhere.example/", nil); status != 502 || !strings.Contains(body, "resolved") {
		t.Errorf("no name: %d, %s", status, body)
	}
}

// TestStalledDownload has an upstream stop in the middle.
func TestStalledDownload(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Stall = 300 * time.Millisecond })
	w.npm.respond(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Length", "1000000")
		fmt.Fprint(rw, strings.Repeat("x", 1000))
		_ = http.NewResponseController(rw).Flush()
		<-r.Context().Done()
	})
	res, err := w.client().Get("https://npm.corp.example/repo/x")
	if err == nil {
		_, err = io.ReadAll(res.Body)
		res.Body.Close()
	}
	if err == nil {
		t.Error("the client does not know")
	}
	if e := w.last(1); e.Reason == "" {
		t.Errorf("the audit says %+v", e)
	}
}

// TestSlowClients open connections and say too little.
func TestSlowClients(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Stall = 200 * time.Millisecond })
	for _, text := range []string{"GET http://apt.corp.example/ HTTP/1.1\r\nHost:", "POST http://apt.corp.example/git-upload-pack HTTP/1.1\r\nHost: apt.corp.example\r\nContent-Length: 10\r\n" + w.proxyAuth() + "\r\nx"} {
		conn, err := net.Dial("tcp", w.proxy)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(conn, text)
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		if _, err := io.ReadAll(conn); err != nil {
			t.Errorf("after %.10q: %v", text, err)
		}
		conn.Close()
	}
}

// TestPosts lets through those that only ask.
func TestPosts(t *testing.T) {
	w := newWorld(t, nil)
	for path, want := range map[string]int{
		"/repo/app.git/git-upload-pack": 200, "/-/npm/v1/security/audits/quick": 200, "/free/x": 200, "/free/app.git/git-receive-pack": 200, "/repo/x": 403,
	} {
		res, err := w.client().Post("https://npm.corp.example"+path, "text/plain", strings.NewReader("body"))
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("%s: %d", path, res.StatusCode)
		}
	}
	for _, r := range w.npm.requests() {
		if r.body != "body" {
			t.Errorf("the origin got %q", r.body)
		}
	}
}

// TestLargeBodies has memory stay flat, both ways.
func TestLargeBodies(t *testing.T) {
	const size = 256 << 20
	w := newWorld(t, nil)
	block := bytes.Repeat([]byte("0123456789abcdef"), 4096)
	w.npm.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		if r.Method == http.MethodPut {
			fmt.Fprint(rw, n)
			return
		}
		for range size / len(block) {
			_, _ = rw.Write(block)
		}
	})
	var most atomic.Uint64
	done := make(chan bool)
	go func() {
		var m runtime.MemStats
		for {
			select {
			case <-done:
				return
			case <-time.After(20 * time.Millisecond):
				runtime.ReadMemStats(&m)
				most.Store(max(most.Load(), m.HeapInuse))
			}
		}
	}()
	res, err := w.client().Get("https://npm.corp.example/repo/x")
	if err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(io.Discard, res.Body)
	res.Body.Close()
	req, _ := http.NewRequest(http.MethodPut, "https://npm.corp.example/free/x", io.LimitReader(zeros{}, size))
	up, err2 := w.client().Do(req)
	if err != nil || err2 != nil || n != size {
		t.Fatal(n, err, err2)
	}
	body, _ := io.ReadAll(up.Body)
	up.Body.Close()
	close(done)
	if string(body) != fmt.Sprint(size) {
		t.Errorf("the origin got %s bytes", body)
	}
	if most.Load() > 64<<20 {
		t.Errorf("the heap grew to %d MB", most.Load()>>20)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// TestFilesArrive has files come through as they are, gzip or not, whatever the sizes.
func TestFilesArrive(t *testing.T) {
	w := newWorld(t, nil)
	for name, want := range map[string][]byte{
		"empty": nil, "one byte": {0x1f}, "magic alone": {0x1f, 0x8b}, "gzip": zipped(strings.Repeat("hello ", 100_000)), "two in one": append(zipped("a"), zipped("b")...),
		"gzip and more": append(zipped(strings.Repeat("x", 70_000)), "tail"...), "cut off": zipped(strings.Repeat("hello", 1000))[:40], "noise": randomBytes(300_000),
		"zipped noise": zipped(string(randomBytes(300_000))), "broken": append(zipped("x")[:10], randomBytes(200_000)...),
	} {
		w.npm.respond(func(rw http.ResponseWriter, _ *http.Request) { _, _ = rw.Write(want) })
		_, got, _ := w.get("https://npm.corp.example/repo/x", nil)
		if got != string(want) {
			t.Errorf("%s: %d bytes arrive of %d", name, len(got), len(want))
		}
	}
}

func TestReverse(t *testing.T) {
	w := newWorld(t, nil)
	door := "http://" + w.reverse
	ask := func(path, auth string) (*http.Response, string) {
		req, _ := http.NewRequest(http.MethodGet, door+path, nil)
		req.Header.Set("Authorization", auth)
		res, err := (&http.Transport{}).RoundTrip(req)
		if err != nil {
			return nil, "" // it was cut
		}
		defer res.Body.Close()
		body, _ := io.ReadAll(res.Body)
		return res, string(body)
	}
	const text = `{"a":"https://npm.corp.example/repo/x.tgz","b":"https:\/\/npm.corp.example:443\/repo","c":"https://npm.corp.example.evil/","d":"https://npm.corp.example:8443/","e":"https://npm.corp.example"}`
	escaped := strings.ReplaceAll(door, "/", `\/`)
	want := `{"a":"` + door + `/repo/x.tgz","b":"` + escaped + `\/repo","c":"https://npm.corp.example.evil/","d":"https://npm.corp.example:8443/","e":"` + door + `"}`
	for _, tt := range []struct {
		kind, coding, want string
	}{
		{"application/json", "", want}, {"application/vnd.npm.install-v1+json", "", want}, {"text/html; charset=utf-8", "", want}, {"application/json", "gzip", want},
		{"application/octet-stream", "", text}, {"application/vnd.oci.image.index.v1+json", "", text}, {"application/vnd.docker.distribution.manifest.v2+json", "", text},
	} {
		w.npm.respond(func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Type", tt.kind)
			rw.Header().Set("Location", "https://npm.corp.example/repo/y")
			if tt.coding != "" {
				rw.Header().Set("Content-Encoding", tt.coding)
				_, _ = rw.Write(zipped(text))
				return
			}
			fmt.Fprint(rw, text)
		})
		res, body := ask("/repo/x", "Bearer "+w.gate.Phantom("npm"))
		if res == nil || res.StatusCode != 200 || body != tt.want || res.Header.Get("Location") != door+"/repo/y" {
			t.Errorf("%s %s: %d %s", tt.kind, tt.coding, res.StatusCode, body)
		}
	}
	for _, auth := range []string{basic("ci", w.gate.Phantom("npm")), basic("x", w.gate.Ticket())} {
		if res, _ := ask("/repo/x", auth); res == nil || res.StatusCode != 200 {
			t.Errorf("the door answers %+v", res)
		}
	}
	w.npm.respond(reflected(same))
	if res, body := ask("/echo", basic("x", w.gate.Ticket())); res != nil {
		t.Errorf("the client got %d bytes of a body with the credential", len(body))
	}
}

func TestUnfit(t *testing.T) {
	policy := Policy{Routes: []Route{{Secret: "npm", Origin: Origin{"https", "npm.corp.example", "443"}, Attach: Attach{Kind: Bearer}}}}
	for value, want := range map[string]string{
		"": "empty", " \n": "empty", "short": "under 8", "two\nlines of text": "no token, and no file", strings.Repeat("x", 5000): "more than 4 KiB",
	} {
		if g, err := New(Options{Policy: policy, Secrets: map[string]secret.Value{"npm": secret.NewValue([]byte(value))}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: %v %v", value, g, err)
		}
	}
	if _, err := New(Options{Policy: policy}); err == nil || !strings.Contains(err.Error(), "not given") {
		t.Errorf("no secret: %v", err)
	}
	policy.Routes[0].Attach.Kind = Basic
	if _, err := New(Options{Policy: policy, Secrets: map[string]secret.Value{"npm": secret.NewValue([]byte("a-password-alone"))}}); err == nil || !strings.Contains(err.Error(), "needs a user") {
		t.Errorf("no user: %v", err)
	}
}

func TestEnviron(t *testing.T) {
	w := newWorld(t, nil)
	env := strings.Join(w.gate.Environ("127.0.0.1:1", "/bundle.pem", "localhost,.corp.example,npm.corp.example:443,other.example,example"), "\n")
	for _, want := range []string{
		"HTTPS_PROXY=http://tightlip:" + w.gate.Ticket() + "@127.0.0.1:1", "NO_PROXY=localhost,other.example\n", "NODE_EXTRA_CA_CERTS=/bundle.pem", "PHANTOM_NPM=" + w.gate.Phantom("npm"),
	} {
		if !strings.Contains(env, want) {
			t.Errorf("there is no %s in\n%s", want, env)
		}
	}
	w.noTraces("the environment", env)
}

func TestAuditLog(t *testing.T) {
	var b bytes.Buffer
	log := AuditTo(&b)
	want := Event{Time: time.Unix(1, 0).UTC(), Secret: "npm", Origin: "https://npm.corp.example", Method: "GET", Path: "/x\ny", Status: 200, Verdict: Allowed}
	log.Write(want)
	log.Write(want)
	if got, err := ReadAudit(&b); err != nil || len(got) != 2 || got[0] != want || log.Err() != nil {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := ReadAudit(strings.NewReader("{}\nx")); err == nil || !strings.Contains(err.Error(), "event 2") {
		t.Errorf("got %v", err)
	}
}

// TestRenderings has no verb print a credential.
func TestRenderings(t *testing.T) {
	w := newWorld(t, nil)
	for _, verb := range []string{"%v", "%+v", "%#v"} {
		w.noTraces(verb, fmt.Sprintf(verb, w.gate.secrets)+fmt.Sprintf(verb, w.gate.options)+fmt.Sprintf(verb, *w.gate.secrets["npm"]))
	}
	text, _ := json.Marshal(w.gate.policy)
	w.noTraces("the policy", string(text))
}
