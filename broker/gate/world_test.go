package gate

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/secrettest"
)

// publicAddress stands for an address on the Internet: it is on loopback, and the tests' gates take it for public.
const publicAddress = "127.0.0.2"

// testAuthority issues the certificates of upstreams.
type testAuthority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newTestAuthority(t testing.TB) *testAuthority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &testAuthority{key, cert}
}

func (a *testAuthority) issue(t testing.TB, host string) tls.Certificate {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(2), DNSNames: []string{host}, NotBefore: a.cert.NotBefore, NotAfter: a.cert.NotAfter}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: a.key}
}

func (a *testAuthority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// seen is what a server got.
type seen struct {
	head string // method, URI, Host and headers, sorted
	auth string
	r    *http.Request
	body string
}

// server is an upstream that remembers what it got.
type server struct {
	*httptest.Server
	mu      sync.Mutex
	got     []seen
	handler http.HandlerFunc
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	var head bytes.Buffer
	fmt.Fprintf(&head, "%s %s %s\n", r.Method, r.RequestURI, r.Host)
	_ = r.Header.Write(&head)
	s.mu.Lock()
	s.got = append(s.got, seen{head: head.String(), auth: r.Header.Get("Authorization"), r: r, body: string(body)})
	handler := s.handler
	s.mu.Unlock()
	if handler != nil {
		handler(w, r)
		return
	}
	fmt.Fprint(w, "hello")
}

func (s *server) requests() []seen {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.got)
}

func (s *server) respond(h http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handler = h
}

// startServer starts an upstream at an address of loopback, with TLS if it has a certificate.
func startServer(t testing.TB, address string, cert *tls.Certificate) *server {
	t.Helper()
	s := &server{}
	s.Server = httptest.NewUnstartedServer(s)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	l, err := net.Listen("tcp", address+":0")
	if err != nil {
		t.Fatal(err)
	}
	s.Listener.Close()
	s.Listener = l
	if cert == nil {
		s.Start()
	} else {
		s.TLS = &tls.Config{Certificates: []tls.Certificate{*cert}}
		s.StartTLS()
	}
	t.Cleanup(s.Close)
	return s
}

func (s *server) port() string {
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	return port
}

// world is a gate with a declared origin of each scheme, another declared one, and one that nobody declared.
type world struct {
	t        testing.TB
	value    string
	ca       *testAuthority
	npm      *server // https://npm.corp.example, bearer; /free/ may be written to
	apt      *server // http://apt.corp.example, basic
	stranger *server // http://stranger.example and https://… by tunnel
	near     *server // http://near.example, which is on loopback
	gate     *Gate
	proxy    string
	reverse  string // of npm

	mu     sync.Mutex
	events []Event
}

func newWorld(t testing.TB, change func(*Options)) *world {
	t.Helper()
	w := &world{t: t, value: string(secrettest.Canary(t)) + "/x+y=~", ca: newTestAuthority(t)}
	cert := w.ca.issue(t, "npm.corp.example")
	w.npm, w.apt = startServer(t, "127.0.0.1", &cert), startServer(t, "127.0.0.1", nil)
	w.stranger, w.near = startServer(t, publicAddress, nil), startServer(t, "127.0.0.1", nil)
	npm, apt := Origin{"https", "npm.corp.example", "443"}, Origin{"http", "apt.corp.example", "80"}
	route := Route{Secret: "npm", Origin: npm, Attach: Attach{Kind: Bearer}, Connect: w.npm.Listener.Addr().String()}
	only, free := route, route
	only.Paths = []string{"/repo/", "/-/npm/", "/@acme", "/echo"}
	free.Paths, free.Uploads = []string{"/free/"}, true
	o := Options{
		Policy: Policy{Routes: []Route{only, free, {
			Secret: "npm", Origin: apt, Attach: Attach{Basic, "ci"}, Connect: w.apt.Listener.Addr().String(),
		}}},
		Secrets: map[string]secret.Value{"npm": secret.NewValue([]byte(w.value))}, Roots: w.ca.pool(), Audit: w.audit, Stall: 10 * time.Second,
	}
	if change != nil {
		change(&o)
	}
	g, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	w.gate = g
	g.dialer.lookup = w.lookup
	g.dialer.public = func(a netip.Addr) bool { return a.String() == publicAddress || isPublic(a) }
	w.proxy = w.serve(g.ServeForward)
	w.reverse = w.serve(func(l net.Listener) error { return g.ServeReverse(l, npm) })
	t.Cleanup(func() { g.Close() })
	return w
}

// lookup is the tests' only resolver.
func (w *world) lookup(_ context.Context, host string) ([]netip.Addr, error) {
	switch host {
	case "stranger.example":
		return []netip.Addr{netip.MustParseAddr(publicAddress)}, nil
	case "near.example", "localhost":
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
	case "metadata.corp.example", "metadata.example":
		return []netip.Addr{netip.MustParseAddr("169.254.169.254")}, nil
	case "mapped.example":
		return []netip.Addr{netip.MustParseAddr("::ffff:127.0.0.1")}, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}

func (w *world) serve(serve func(net.Listener) error) string {
	w.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- serve(l) }()
	w.t.Cleanup(func() {
		w.gate.Close()
		if err := <-done; !errors.Is(err, net.ErrClosed) {
			w.t.Errorf("serving ended with %v", err)
		}
	})
	return l.Addr().String()
}

func (w *world) audit(e Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, e)
}

// last waits for the next event, or for as many as there shall be.
func (w *world) last(count int) Event {
	w.t.Helper()
	for range 500 {
		w.mu.Lock()
		n := len(w.events)
		var e Event
		if n > 0 {
			e = w.events[n-1]
		}
		w.mu.Unlock()
		if n >= count {
			return e
		}
		time.Sleep(10 * time.Millisecond)
	}
	w.t.Fatalf("there are fewer than %d events", count)
	return Event{}
}

func (w *world) proxyAuth() string {
	return "Proxy-Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("tightlip:"+w.gate.Ticket())) + "\r\n"
}

// client is an ordinary one that uses the proxy, and follows no redirects.
func (w *world) client() *http.Client {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(w.gate.CA())
	proxy, err := url.Parse(w.gate.ProxyURL(w.proxy, "step"))
	if err != nil {
		w.t.Fatal(err)
	}
	tr := &http.Transport{Proxy: http.ProxyURL(proxy), TLSClientConfig: &tls.Config{RootCAs: roots}}
	w.t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// inside is a connection to npm.corp.example through the proxy, with TLS.
func (w *world) inside(serverName string) (net.Conn, error) {
	conn, err := net.Dial("tcp", w.proxy)
	if err != nil {
		return nil, err
	}
	w.t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	fmt.Fprintf(conn, "CONNECT npm.corp.example:443 HTTP/1.1\r\nHost: npm.corp.example:443\r\n%s\r\n", w.proxyAuth())
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d", res.StatusCode)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(w.gate.CA())
	tc := tls.Client(conn, &tls.Config{RootCAs: roots, ServerName: serverName})
	return tc, tc.Handshake()
}

// traces names the forms of the credential that are in a text, without the gate's own search.
func traces(text, value string) []string {
	var found []string
	forms := map[string][]string{
		"raw": {value}, "hex": {hex.EncodeToString([]byte(value)), strings.ToUpper(hex.EncodeToString([]byte(value)))},
		"URL": {url.QueryEscape(value), url.PathEscape(value)},
	}
	for before := range 3 {
		enc := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", before) + value + "xxx"))
		forms["base64"] = append(forms["base64"], enc[(before*8+5)/6:(before+len(value))*8/6])
	}
	for name, list := range forms {
		if slices.ContainsFunc(list, func(f string) bool { return strings.Contains(text, f) }) {
			found = append(found, name)
		}
	}
	return found
}

// noTraces fails the test if the credential is in a text.
func (w *world) noTraces(what, text string) {
	w.t.Helper()
	if found := traces(text, w.value); found != nil {
		w.t.Errorf("%s holds the credential: %v", what, found)
	}
}
