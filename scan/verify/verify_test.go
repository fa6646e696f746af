package verify

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tightlip/tightlip/finding"
	"github.com/tightlip/tightlip/scan/detect"
)

// issuers is a fake of all issuers: one server that every name leads to, and that answers with what they document.
type issuers struct {
	t        *testing.T
	server   *httptest.Server
	verifier *Verifier

	mu       sync.Mutex
	logged   bytes.Buffer                // what the server and its connections complain about
	requests []string                    // "GET https://host/path"
	dead     map[string]bool             // tokens
	answer   func(w http.ResponseWriter) // instead, if it is not nil
	now, top int                         // calls at once
	hold     time.Duration
}

func newIssuers(t *testing.T) *issuers {
	t.Helper()
	f := &issuers{t: t, dead: map[string]bool{}, verifier: New()}
	f.server = httptest.NewUnstartedServer(http.HandlerFunc(f.serve))
	f.server.Config.ErrorLog = log.New(f, "", 0)
	f.server.StartTLS()
	t.Cleanup(f.server.Close)
	roots := x509.NewCertPool()
	roots.AddCert(f.server.Certificate())
	transport := f.verifier.client.Transport.(*http.Transport)
	transport.Proxy = nil
	transport.TLSClientConfig.RootCAs, transport.TLSClientConfig.ServerName = roots, "example.com"
	transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", f.server.Listener.Addr().String())
	}
	return f
}

// Write implements io.Writer: it is the server's log.
func (f *issuers) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.logged.Write(p)
}

func (f *issuers) log() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.logged.String()
}

// calls are the requests so far.
func (f *issuers) calls() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.requests)
}

func (f *issuers) serve(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.requests = append(f.requests, fmt.Sprintf("%s https://%s%s", r.Method, r.Host, r.URL))
	f.now++
	f.top = max(f.top, f.now)
	answer := f.answer
	f.mu.Unlock()
	time.Sleep(f.hold)
	defer func() {
		f.mu.Lock()
		f.now--
		f.mu.Unlock()
	}()
	if answer != nil {
		answer(w)
		return
	}
	i := slices.IndexFunc(checks, func(c check) bool { return c.host == r.Host })
	if i < 0 {
		f.t.Errorf("%s was called", r.Host)
		return
	}
	c := &checks[i]
	token := strings.TrimPrefix(r.Header.Get(c.header), c.scheme)
	if !c.takes(token) || r.UserAgent() != "tightlip" || r.TLS == nil || r.ProtoMajor != 1 {
		f.t.Errorf("%s got a call by HTTP %d with the headers %v", c.host, r.ProtoMajor, len(r.Header))
	}
	body, err := io.ReadAll(r.Body)
	if err != nil || string(body) != c.body {
		f.t.Errorf("%s got the body %q: %v", c.host, body, err)
	}
	documented(w, c.issuer, f.dead[token])
}

// documented answers like an issuer.
func documented(w http.ResponseWriter, issuer string, dead bool) {
	status, body := http.StatusOK, `{"id": "5f3c"}`
	if dead {
		status, body = http.StatusUnauthorized, `{"message": "Unauthorized"}`
	}
	switch issuer {
	case "Slack":
		status, body = http.StatusOK, `{"ok": true, "url": "https://corp.slack.example/", "team_id": "T1"}`
		if dead {
			body = `{"ok": false, "error": "token_revoked"}`
		}
	case "OpenAI":
		if dead {
			body = `{"error": {"message": "Incorrect API key provided", "type": "invalid_request_error", "param": null, "code": "invalid_api_key"}}`
		}
	case "Cloudflare":
		if !dead {
			body = `{"success": true, "errors": [], "messages": [], "result": {"id": "ed17", "status": "active"}}`
		}
	case "Linear":
		if !dead {
			body = `{"data": {"viewer": {"id": "9cfb"}}}`
		}
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

// sample makes a token that starts like one of the issuer.
func sample(start string) string {
	var b strings.Builder
	b.WriteString(start)
	for range 24 {
		b.WriteByte("0123456789abcdefghijklmnopqrstuvwxyz"[rand.IntN(36)])
	}
	return b.String()
}

// found has the verifier see values of a rule, and is what a scan would find.
func (f *issuers) found(rule string, values ...string) []*finding.Leak {
	var out []*finding.Leak
	for _, value := range values {
		own := []byte(value)
		out = append(out, &finding.Leak{Rule: rule, Ticket: f.verifier.Seen(rule, own)})
		clear(own) // the caller's bytes are not kept
	}
	return out
}

// ask asks about leaks, and wants none of the values told.
func (f *issuers) ask(leaks []*finding.Leak, values ...string) error {
	f.t.Helper()
	err := f.verifier.Ask(f.t.Context(), leaks, func([]string) {})
	for _, value := range values {
		for what, text := range map[string]string{
			"error": fmt.Sprintf("%v %+v %q", err, err, err), "verifier": fmt.Sprintf("%+v %#v", f.verifier, f.verifier.tokens), "log": f.log(), "leak": fmt.Sprintf("%+v", leaks),
		} {
			if strings.Contains(text, value) {
				f.t.Errorf("a value is in the %s", what)
			}
		}
	}
	return err
}

func TestVerdicts(t *testing.T) {
	f := newIssuers(t)
	type want struct {
		leak    *finding.Leak
		verdict finding.Verdict
		issuer  string
	}
	var wants []want
	var all []*finding.Leak
	var values, hosts, calls []string
	for _, c := range checks {
		for _, rule := range c.rules {
			alive, dead := sample(c.starts[0]), sample(c.starts[len(c.starts)-1])
			f.dead[dead] = true
			leaks := f.found(rule, alive, dead)
			refused := finding.Dead
			if c.elsewhere {
				refused = finding.Unknown
			}
			wants = append(wants, want{leaks[0], finding.Alive, c.issuer}, want{leaks[1], refused, c.issuer})
			all, values = append(all, leaks...), append(values, alive, dead)
			call := methodOf(c) + " " + c.url()
			calls = append(calls, call, call)
		}
		hosts = append(hosts, c.host)
	}
	var told []string
	err := f.verifier.Ask(t.Context(), all, func(list []string) {
		if len(f.calls()) > 0 {
			t.Error("a host was asked before it was told")
		}
		told = append(told, list...)
	})
	slices.Sort(hosts)
	if !slices.Equal(told, hosts) {
		t.Errorf("told %q", told)
	}
	for _, w := range wants {
		if w.leak.Verified != w.verdict {
			t.Errorf("%s: %q, want %q", w.issuer, w.leak.Verified, w.verdict)
		}
	}
	slices.Sort(calls)
	got := f.calls()
	slices.Sort(got)
	if !slices.Equal(got, calls) {
		t.Errorf("called\n%s", strings.Join(got, "\n"))
	}
	if err == nil || strings.Count(err.Error(), "\n") != 1 || !strings.Contains(err.Error(), "asking api.github.com: it answered 401") {
		t.Errorf("said %v", err) // about GitHub and GitLab
	}
	for _, value := range values {
		if strings.Contains(err.Error()+f.log(), value) {
			t.Error("a value was told")
		}
	}
}

func methodOf(c check) string {
	if c.method == "" {
		return http.MethodGet
	}
	return c.method
}

// TestOddAnswers: what is no documented answer says nothing, and nobody else gets the token.
func TestOddAnswers(t *testing.T) {
	const rule, host = "digitalocean-pat", "api.digitalocean.com"
	status := func(code int) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) { w.WriteHeader(code) }
	}
	redirect := func(code int) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			w.Header().Set("Location", "https://elsewhere.example/v2/account")
			w.WriteHeader(code)
		}
	}
	value := sample("dop_v1_")
	raw := func(text string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = io.WriteString(conn, text)
			_ = conn.Close()
		}
	}
	for name, test := range map[string]struct {
		answer func(http.ResponseWriter)
		want   string
	}{
		"too many requests":      {status(429), "it answered 429"},
		"a fault":                {status(500), "it answered 500"},
		"forbidden":              {status(403), "it answered 403"},
		"a page in between":      {status(204), "it answered 204"},
		"moved":                  {redirect(301), "it answered 301"},
		"found elsewhere":        {redirect(302), "it answered 302"},
		"elsewhere, same call":   {redirect(307), "it answered 307"},
		"late":                   {func(http.ResponseWriter) { time.Sleep(time.Second) }, "no answer within"},
		"no HTTP, and an echo":   {raw("you said " + value + "\r\n\r\n"), "no proper answer"},
		"a header with an echo":  {raw("HTTP/1.1 200 OK\r\n" + value + "\r\n\r\n"), "no proper answer"},
		"a status with an echo":  {raw("HTTP/1.1 " + value + "\r\n\r\n"), "no proper answer"},
		"closed":                 {raw(""), "no proper answer"},
		"headers without an end": {raw("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 1<<20)), "no proper answer"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newIssuers(t)
			f.answer = test.answer
			f.verifier.client.Timeout = 300 * time.Millisecond
			leaks := f.found(rule, value)
			err := f.ask(leaks, value)
			if leaks[0].Verified != finding.Unknown {
				t.Errorf("is %q", leaks[0].Verified)
			}
			if err == nil || !strings.HasPrefix(err.Error(), "asking "+host+": ") || !strings.Contains(err.Error(), test.want) {
				t.Errorf("said %v", err)
			}
			if len(f.calls()) == 0 || slices.ContainsFunc(f.calls(), func(r string) bool { return r != "GET https://"+host+"/v2/account" }) {
				t.Errorf("called %q", f.calls())
			}
		})
	}
}

// TestOddBodies: in these answers the status does not say everything.
func TestOddBodies(t *testing.T) {
	for _, test := range []struct {
		issuer string
		status int
		body   string
		want   finding.Verdict
	}{
		{"Slack", 200, `{"ok":true}`, finding.Alive},
		{"Slack", 200, `{"ok":false,"error":"invalid_auth"}`, finding.Dead},
		{"Slack", 200, `{"ok":false,"error":"account_inactive"}`, finding.Dead},
		{"Slack", 200, `{"ok":false,"error":"ratelimited"}`, finding.Unknown},
		{"Slack", 200, `{"ok":false,"error":"internal_error"}`, finding.Unknown},
		{"Slack", 200, `{"ok":false}`, finding.Unknown},
		{"Slack", 200, `{"ok":"true"}`, finding.Unknown},
		{"Slack", 200, `{"ok":true`, finding.Unknown},
		{"Slack", 200, ``, finding.Unknown},
		{"Slack", 200, `<html>`, finding.Unknown},
		{"Slack", 503, `{"ok":true}`, finding.Unknown},
		{"OpenAI", 200, ``, finding.Alive},
		{"OpenAI", 401, `{"error":{"code":"invalid_api_key"}}`, finding.Dead},
		{"OpenAI", 401, `{"error":{"code":"incorrect_hostname"}}`, finding.Unknown},
		{"OpenAI", 401, `{"error":{"code":null}}`, finding.Unknown},
		{"OpenAI", 401, `nothing`, finding.Unknown},
		{"OpenAI", 403, `{"error":{"code":"invalid_api_key"}}`, finding.Unknown},
		{"Cloudflare", 200, `{"result":{"status":"active"}}`, finding.Alive},
		{"Cloudflare", 200, `{"result":{"status":"disabled"}}`, finding.Dead},
		{"Cloudflare", 200, `{"result":{"status":"expired"}}`, finding.Dead},
		{"Cloudflare", 200, `{"result":null}`, finding.Unknown},
		{"Cloudflare", 401, ``, finding.Dead},
		{"Cloudflare", 400, `{"result":{"status":"active"}}`, finding.Unknown},
		{"Linear", 200, `{"data":{"viewer":{"id":"x"}}}`, finding.Alive},
		{"Linear", 200, `{"errors":[{"message":"x"}],"data":null}`, finding.Unknown},
		{"Linear", 401, ``, finding.Dead},
		{"GitHub", 200, ``, finding.Alive},
		{"GitHub", 401, ``, finding.Unknown},
		{"GitLab", 401, ``, finding.Unknown},
		{"Stripe", 401, ``, finding.Dead},
		{"Stripe", 402, ``, finding.Unknown},
	} {
		i := slices.IndexFunc(checks, func(c check) bool { return c.issuer == test.issuer })
		if got := checks[i].verdict(test.status, []byte(test.body)); got != test.want {
			t.Errorf("%s: %d %s is %q, want %q", test.issuer, test.status, test.body, got, test.want)
		}
	}
}

// TestLongAnswer: of an answer without an end, a part is read.
func TestLongAnswer(t *testing.T) {
	f := newIssuers(t)
	written := 0
	f.answer = func(w http.ResponseWriter) {
		_, err := io.WriteString(w, `{"ok":true,"x":"`)
		for line := strings.Repeat("x", 1<<16); err == nil && written < 1<<30; written += len(line) {
			_, err = io.WriteString(w, line)
		}
	}
	value := sample("xoxb-")
	leaks := f.found("slack-bot-token", value)
	if err := f.ask(leaks, value); err == nil || leaks[0].Verified != finding.Unknown {
		t.Errorf("%q: %v", leaks[0].Verified, err)
	}
	f.server.Close() // waits for the handler
	if written == 1<<30 {
		t.Error("everything was read")
	}
}

// TestSlowAnswer: the time is that of the whole call.
func TestSlowAnswer(t *testing.T) {
	f := newIssuers(t)
	f.verifier.client.Timeout = 200 * time.Millisecond
	f.answer = func(w http.ResponseWriter) {
		for range 10 {
			_, _ = io.WriteString(w, " ")
			w.(http.Flusher).Flush()
			time.Sleep(50 * time.Millisecond)
		}
		_, _ = io.WriteString(w, `{"ok":true}`)
	}
	value := sample("xoxb-")
	leaks := f.found("slack-bot-token", value)
	if err := f.ask(leaks, value); err == nil || !strings.Contains(err.Error(), "no answer within") || leaks[0].Verified != finding.Unknown {
		t.Errorf("%q: %v", leaks[0].Verified, err)
	}
}

// TestEachOnce: a value is asked about once, wherever and however often it is found, and no more than four at a time.
func TestEachOnce(t *testing.T) {
	f := newIssuers(t)
	f.hold = 20 * time.Millisecond
	var values []string
	for range 12 {
		values = append(values, sample("SG."))
	}
	const rule = "sendgrid-api-token"
	leaks := append(f.found(rule, values...), f.found(rule, values...)...)
	if err := f.ask(leaks, values...); err != nil {
		t.Fatal(err)
	}
	if len(f.calls()) != len(values) || f.top > atOnce || f.top < 2 {
		t.Errorf("%d calls, %d at once", len(f.calls()), f.top)
	}
	again := f.found(rule, values...)
	if err := f.ask(again, values...); err != nil {
		t.Fatal(err)
	}
	for _, l := range append(leaks, again...) {
		if l.Verified != finding.Alive {
			t.Errorf("is %q", l.Verified)
		}
	}
	if len(f.calls()) != len(values) {
		t.Errorf("%d calls", len(f.calls()))
	}
}

// TestNotAsked: what is ignored, what is nobody's token and what was only seen stays here.
func TestNotAsked(t *testing.T) {
	f := newIssuers(t)
	ignored, wanted := sample("SG."), sample("SG.")
	leaks := f.found("sendgrid-api-token", ignored)
	leaks[0].Ignored = "a test"
	for _, other := range []struct{ rule, value string }{
		{"generic-secret", sample("SG.")}, {"npm-access-token", sample("npm_")}, {"sendgrid-api-token", sample("other")},
		{"sendgrid-api-token", sample("SG.") + "\r\nHost: x"}, {"sendgrid-api-token", sample("SG. ")}, {"sendgrid-api-token", "SG." + strings.Repeat("x", maxValue)},
		{"openai-api-key", sample("sk-admin-")}, {"stripe-access-token", sample("sk_live_") + "0123456789abcdef"}, {"slack-user-token", sample("xoxc-")},
		{"github-refresh-token", sample("ghr_")}, {"github-app-token", sample("ghs_")}, {"notion-api-token", sample("secret_")},
	} {
		leak := f.found(other.rule, other.value)
		if leak[0].Ticket != 0 {
			t.Errorf("%s has a ticket", other.rule)
		}
		leaks = append(leaks, leak...)
	}
	leaks = append(leaks, &finding.Leak{Ticket: 99})
	err := f.verifier.Ask(t.Context(), leaks, func(hosts []string) { t.Errorf("told %q", hosts) })
	if err != nil || len(f.calls()) > 0 || slices.ContainsFunc(leaks, func(l *finding.Leak) bool { return l.Verified != "" }) {
		t.Errorf("%v, %q", err, f.calls())
	}
	leaks = f.found("sendgrid-api-token", ignored, wanted)
	if err := f.ask(leaks[1:], ignored, wanted); err != nil || len(f.calls()) != 1 || leaks[1].Verified != finding.Alive {
		t.Errorf("%v, %q, %q", err, f.calls(), leaks[1].Verified)
	}
	leaks = f.found("sendgrid-api-token", ignored)
	if err := f.ask(leaks, ignored); err != nil || len(f.calls()) != 2 || leaks[0].Verified != finding.Alive {
		t.Errorf("asked later: %v, %q, %q", err, f.calls(), leaks[0].Verified)
	}
}

// TestForgets: values are not printed, and gone after they were asked about.
func TestForgets(t *testing.T) {
	f := newIssuers(t)
	value := sample("SG.")
	leaks := f.found("sendgrid-api-token", value)
	kept := f.verifier.tokens[0].value()
	if string(kept) != value {
		t.Fatal("another value is kept")
	}
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		if text := fmt.Sprintf(format, *f.verifier.tokens[0]); strings.Contains(text, value) {
			t.Errorf("%s shows the value", format)
		}
	}
	if err := f.ask(leaks, value); err != nil {
		t.Fatal(err)
	}
	if len(bytes.Trim(kept, "\x00")) > 0 || f.verifier.tokens[0].value != nil {
		t.Error("the value is still there")
	}
}

// TestNoMoreCalls: a host that has enough is left alone.
func TestNoMoreCalls(t *testing.T) {
	var values []string
	for range maxCalls + 10 {
		values = append(values, sample("SG."))
	}
	f := newIssuers(t)
	leaks := f.found("sendgrid-api-token", values...)
	err := f.ask(leaks, values...)
	if len(f.calls()) != maxCalls || err == nil || err.Error() != "asking api.sendgrid.com: there are more than 50 tokens: the others were not asked about" {
		t.Errorf("%d calls, %v", len(f.calls()), err)
	}
	f = newIssuers(t)
	f.answer = func(w http.ResponseWriter) { w.WriteHeader(http.StatusTooManyRequests) }
	leaks = f.found("sendgrid-api-token", values...)
	if err := f.ask(leaks, values...); err == nil || len(f.calls()) > 2*atOnce {
		t.Errorf("%d calls after the first was one too many: %v", len(f.calls()), err)
	}
	for _, l := range leaks {
		if l.Verified != finding.Unknown {
			t.Errorf("is %q", l.Verified)
		}
	}
}

// TestStranger: who cannot prove to be the issuer gets nothing.
func TestStranger(t *testing.T) {
	f := newIssuers(t)
	f.verifier.client.Transport.(*http.Transport).TLSClientConfig.ServerName = ""
	value := sample("SG.")
	leaks := f.found("sendgrid-api-token", value)
	err := f.ask(leaks, value)
	if err == nil || !strings.Contains(err.Error(), "asking api.sendgrid.com: tls: failed to verify certificate") || len(f.calls()) > 0 || leaks[0].Verified != finding.Unknown {
		t.Errorf("%v, %q, %q", err, f.calls(), leaks[0].Verified)
	}
}

func TestNobodyThere(t *testing.T) {
	f := newIssuers(t)
	f.server.Close()
	value := sample("SG.")
	leaks := f.found("sendgrid-api-token", value)
	if err := f.ask(leaks, value); err == nil || !strings.Contains(err.Error(), "connection refused") || leaks[0].Verified != finding.Unknown {
		t.Errorf("%v, %q", err, leaks[0].Verified)
	}
}

func TestCancelled(t *testing.T) {
	f := newIssuers(t)
	ctx, cancel := context.WithCancel(t.Context())
	f.answer = func(http.ResponseWriter) { cancel(); time.Sleep(300 * time.Millisecond) }
	value := sample("SG.")
	leaks := f.found("sendgrid-api-token", value)
	if err := f.verifier.Ask(ctx, leaks, func([]string) {}); !errors.Is(err, context.Canceled) || leaks[0].Verified != finding.Unknown {
		t.Errorf("%v, %q", err, leaks[0].Verified)
	}
	if f.verifier.tokens[0].value != nil {
		t.Error("the value is still there")
	}
}

func TestManyTickets(t *testing.T) {
	v := New()
	for i := range maxTickets + 100 {
		ticket := v.Seen("sendgrid-api-token", fmt.Appendf(nil, "SG.%d", i))
		if want := i + 1; ticket != want && i < maxTickets || ticket != 0 && i >= maxTickets {
			t.Fatalf("the ticket of value %d is %d", i, ticket)
		}
	}
}

// TestTable: the rules are there, no two issuers share one, each takes its tokens, and none has a package registry's host.
func TestTable(t *testing.T) {
	known := map[string]bool{}
	for _, r := range detect.New().Rules() {
		known[r.ID] = true
	}
	taken := map[string]bool{}
	registry := regexp.MustCompile(`npm|pypi|python|crates|debian|maven|rubygems|nuget|packag`)
	for _, c := range checks {
		for _, rule := range c.rules {
			if !known[rule] || taken[rule] {
				t.Errorf("%s: there is no rule %s, or it is there twice", c.issuer, rule)
			}
			taken[rule] = true
		}
		for _, start := range c.starts {
			if !c.takes(sample(start)) {
				t.Errorf("%s does not take %s", c.issuer, start)
			}
		}
		if len(c.rules) == 0 || len(c.starts) == 0 || c.host == "" || !strings.HasPrefix(c.path, "/") || c.header == "" || registry.MatchString(c.host) || c.elsewhere && c.reads != nil {
			t.Errorf("%+v", c)
		}
	}
	if len(checks) < 8 {
		t.Errorf("only %d issuers", len(checks))
	}
}

// TestDocumented: docs/scan.md has a line for each call, and no other.
func TestDocumented(t *testing.T) {
	doc, err := os.ReadFile("../../docs/scan.md")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, c := range checks {
		want = append(want, fmt.Sprintf("| %s | `%s %s` |", c.issuer, methodOf(c), c.url()))
	}
	if got := regexp.MustCompile("(?m)^\\| [^|]+ \\| `[A-Z]+ https://[^`]+` \\|").FindAllString(string(doc), -1); !slices.Equal(got, want) {
		t.Errorf("documented is\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
