// Package fake has HTTP fakes of stores and issuers, with the documented shapes, for tests only. Each file names the API documentation it follows.
package fake

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// API is what a product adds to the core: its calls, and what its refusals look like.
type API struct {
	Calls map[string]func(*http.Request) Answer   // by pattern of http.ServeMux: "GET /v1/{path...}"
	Error func(status int, message string) Answer // a refusal; nil: the message alone
	TLS   bool                                    // with an authority of its own: see Fake.CA
}

// Answer is what a call returns. The zero Status is 200.
type Answer struct {
	Status int
	Header map[string]string
	Body   any // []byte as it is, nil as nothing, the rest as JSON
}

// OK is an answer with a JSON body.
func OK(body any) Answer { return Answer{Body: body} }

// Fake is a server of one API. It is safe for concurrent use.
type Fake struct {
	URL  string
	Bait string // a text that is in the body of each refusal, to look for in errors

	api    API
	server *httptest.Server
	ended  chan struct{}

	mu     sync.Mutex
	skew   time.Duration
	faults []*Fault
	log    []Request
	tokens []Token
}

// New returns a fake that serves nothing yet, so that a product can have its methods called: see Serve.
func New() *Fake { return &Fake{Bait: "bait-" + rand.Text(), ended: make(chan struct{})} }

// Start returns a fake that serves an API until the test ends.
func Start(t testing.TB, api API) *Fake {
	t.Helper()
	f := New()
	f.Serve(t, api)
	return f
}

// Serve serves an API until the test ends.
func (f *Fake) Serve(t testing.TB, api API) {
	t.Helper()
	f.api = api
	mux := http.NewServeMux()
	for pattern, call := range api.Calls {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { f.write(w, call(r)) })
	}
	f.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { f.serve(mux, w, r) }))
	if api.TLS {
		f.server.TLS = &tls.Config{MinVersion: tls.VersionTLS12, ClientAuth: tls.RequestClientCert}
		f.server.StartTLS()
	} else {
		f.server.Start()
	}
	f.URL = f.server.URL
	t.Cleanup(func() { close(f.ended); f.server.Close() })
}

// CA is the certificate that signed the server's, as PEM.
func (f *Fake) CA() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: f.server.Certificate().Raw})
}

// serve answers one request, rightly or wrongly.
func (f *Fake) serve(mux *http.ServeMux, w http.ResponseWriter, r *http.Request) {
	fault := f.fault(r)
	if fault.Slow {
		select {
		case <-r.Context().Done():
		case <-f.ended:
		}
		return
	}
	answer := httptest.NewRecorder()
	switch _, pattern := mux.Handler(r); {
	case fault.Status != 0:
		f.write(answer, f.Refuse(fault.Status, "on request"))
	case pattern == "":
		f.write(answer, f.Refuse(http.StatusNotFound, "no such call"))
	default:
		mux.ServeHTTP(answer, r)
	}
	if fault.RetryAfter != "" {
		answer.Header().Set("Retry-After", fault.RetryAfter)
	}
	f.record(r, answer.Code)
	for name, values := range answer.Header() {
		w.Header()[name] = values
	}
	w.Header().Set("Date", f.Now().UTC().Format(http.TimeFormat))
	w.WriteHeader(answer.Code)
	_, _ = w.Write(fault.spoil(answer.Body.Bytes())) // who hung up wants no answer
}

func (f *Fake) write(w http.ResponseWriter, a Answer) {
	body, raw := a.Body.([]byte)
	if !raw && a.Body != nil {
		var err error
		if body, err = json.Marshal(a.Body); err != nil {
			panic(err) // a fake that answers what is no JSON is a broken test
		}
	}
	if body != nil {
		w.Header().Set("Content-Type", "application/json")
	}
	for name, value := range a.Header {
		w.Header().Set(name, value)
	}
	if a.Status == 0 {
		a.Status = http.StatusOK
	}
	w.WriteHeader(a.Status)
	_, _ = w.Write(body)
}

// Refuse is an answer in the shape of the API's errors. It has the bait in it.
func (f *Fake) Refuse(status int, message string) Answer {
	message += " " + f.Bait
	if f.api.Error == nil {
		return Answer{Status: status, Body: []byte(message)}
	}
	a := f.api.Error(status, message)
	if a.Status == 0 {
		a.Status = status
	}
	return a
}

// Body is the JSON of a request.
func Body[T any](r *http.Request) (body T) {
	if json.NewDecoder(r.Body).Decode(&body) != nil {
		return *new(T)
	}
	return body
}

// Request is one line of the log. It has no values: neither header nor body, and of the query the names of its keys.
type Request struct {
	Method, Path string
	Keys         []string
	Status       int
}

// String is "GET /v1/x?k 200".
func (r Request) String() string {
	path := r.Path
	if len(r.Keys) > 0 {
		path += "?" + strings.Join(r.Keys, "&")
	}
	return fmt.Sprintf("%s %s %d", r.Method, path, r.Status)
}

func (f *Fake) record(r *http.Request, status int) {
	var keys []string
	for key := range r.URL.Query() {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.log = append(f.log, Request{Method: r.Method, Path: r.URL.EscapedPath(), Keys: keys, Status: status})
}

// Log is what was asked so far, as strings of Request.
func (f *Fake) Log() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	lines := make([]string, len(f.log))
	for i, r := range f.log {
		lines[i] = r.String()
	}
	return lines
}

// Now is the fake's clock.
func (f *Fake) Now() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return time.Now().Add(f.skew)
}

// Skew moves the fake's clock: what it issued ends sooner or later.
func (f *Fake) Skew(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.skew += d
}

// Fault is something that a fake does wrong.
type Fault struct {
	Path  string // to requests whose path contains it; empty: to all
	After int    // so many of them are let through first
	Times int    // how often; 0: from then on

	Status     int              // refuses with it
	RetryAfter string           // and this header
	Slow       bool             // does not answer before the test ends
	Malformed  bool             // leaves the end of the answer out
	Revoke     bool             // revokes tokens before it answers: those that Tokens is true for
	Tokens     func(Token) bool // nil: all

	seen int // requests to Path
}

// Faults are those that every client has to live with, for suites.
func Faults() map[string]Fault {
	return map[string]Fault{
		"401":       {Status: http.StatusUnauthorized},
		"403":       {Status: http.StatusForbidden},
		"404":       {Status: http.StatusNotFound},
		"429":       {Status: http.StatusTooManyRequests, RetryAfter: "3600"},
		"429 once":  {Status: http.StatusTooManyRequests, RetryAfter: "0", Times: 1},
		"500":       {Status: http.StatusInternalServerError, RetryAfter: "3600"},
		"500 once":  {Status: http.StatusInternalServerError, RetryAfter: "0", Times: 1},
		"slow":      {Slow: true},
		"malformed": {Malformed: true},
	}
}

// Fail has the fake do something wrong, besides what it does already.
func (f *Fake) Fail(fault Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = append(f.faults, &fault)
}

// Mend has it do all right again.
func (f *Fake) Mend() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = nil
}

// fault is what is done wrong to one request.
func (f *Fake) fault(r *http.Request) Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, fault := range f.faults {
		if !strings.Contains(r.URL.Path, fault.Path) {
			continue
		}
		fault.seen++
		if fault.seen <= fault.After || fault.Times > 0 && fault.seen > fault.After+fault.Times {
			continue
		}
		if fault.Revoke {
			f.revoke(func(t Token) bool { return fault.Tokens == nil || fault.Tokens(t) })
		}
		return *fault
	}
	return Fault{}
}

// spoil keeps all but the end, so that what should be secret in an answer is in the malformed one, too.
func (f Fault) spoil(body []byte) []byte {
	if !f.Malformed {
		return body
	}
	return append(bytes.TrimRight(body, "}]>\n"), `,"`...)
}

// HTTP is a client that brings every request here, whatever host it is for. The server sees which one that was.
func (f *Fake) HTTP() *http.Client {
	return &http.Client{Transport: detour{f.server.Client().Transport, f.server.Listener.Addr().String(), f.api.TLS}}
}

type detour struct {
	to   http.RoundTripper
	addr string
	tls  bool
}

func (d detour) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Host, r.URL.Host, r.URL.Scheme = r.URL.Host, d.addr, "http"
	if d.tls {
		r.URL.Scheme = "https"
	}
	return d.to.RoundTrip(r)
}
