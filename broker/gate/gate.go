package gate

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tightlip/tightlip/internal/redact"
	"github.com/tightlip/tightlip/proof"
	"github.com/tightlip/tightlip/secret"
)

// Options are what a gate needs.
type Options struct {
	Policy  Policy
	Secrets map[string]secret.Value // by id; those that the policy names
	Minted  map[string]Mint         // by id; those that have no value before a request needs one
	// Ticket is the password of the doors; empty: a random one. Who makes it makes it for one build.
	Ticket secret.Value
	// Host is the name by which clients reach the listeners; empty: they are on the same machine.
	Host string
	// Roots verify upstreams; nil: the system's.
	Roots *x509.CertPool
	// Validity is how long the certificates for clients hold; 0: 12 hours.
	Validity time.Duration
	// Stall is how long a client or an upstream may stand still; 0: 2 minutes.
	Stall time.Duration
	// Open lets everybody who reaches a reverse door use it, for networks that only the build is in.
	Open bool
	// Audit is called for each request when it ends, by several goroutines at once; nil: nobody listens.
	Audit func(Event)
}

// Gate serves one build. Clients with its ticket use the credentials of its policy; none of them gets one.
type Gate struct {
	options  Options
	policy   Policy
	secrets  map[string]*material
	search   atomic.Pointer[searched]
	ca       *authority
	dialer   *dialer
	upstream *http.Transport // to origins of the policy
	others   *http.Transport // to all others
	ticket   string
	handed   map[string][]byte // by path; guarded by mu
	inside   *handover         // connections whose TLS is ours
	buffers  *buffers
	tls      map[Origin]*tls.Config // of declared origins, towards clients; one each, so that sessions can be resumed

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex
	servers []*http.Server
	conns   map[net.Conn]bool // not the HTTP servers' any more
}

// Bounds of requests and responses.
const (
	maxAnswer     = 256 << 10 // bytes of a response's headers
	headerTimeout = 10 * time.Second
	idleTimeout   = 2 * time.Minute
)

// New makes a gate that does not listen yet. The error joins a *PolicyError or an *UnfitError for all that is wrong.
func New(o Options) (*Gate, error) {
	if err := o.Policy.Check(); err != nil {
		return nil, err
	}
	secrets, err := materials(o)
	if err != nil {
		return nil, err
	}
	return open(o, secrets)
}

// open makes a gate of secrets that are made ready.
func open(o Options, secrets map[string]*material) (g *Gate, err error) {
	if o.Validity == 0 {
		o.Validity = 12 * time.Hour
	}
	if o.Stall == 0 {
		o.Stall = 2 * time.Minute
	}
	g = &Gate{
		options: o, policy: o.Policy, secrets: secrets, dialer: newDialer(), handed: map[string][]byte{},
		inside: newHandover(), buffers: newBuffers(), conns: map[net.Conn]bool{},
	}
	if o.Host != "" && !validHost(o.Host) {
		return nil, &PolicyError{Problem: "the name by which clients reach the broker is no host's", Try: "a name or an address without a port, in lower case"}
	}
	if g.ticket, err = ticketFrom(o.Ticket); err != nil {
		return nil, err
	}
	if err = g.searchFor(map[string][]secret.Value{}); err != nil {
		return nil, err
	}
	if g.ca, err = newAuthority(o.Policy.Origins(), o.Validity); err != nil {
		return nil, fmt.Errorf("making a certificate authority: %w", err)
	}
	g.tls = map[Origin]*tls.Config{}
	for _, origin := range o.Policy.Origins() {
		g.tls[origin] = g.tlsConfig(origin)
	}
	g.upstream, g.others = g.transport(g.dialNamed), g.transport(g.dialStranger)
	g.ctx, g.cancel = context.WithCancel(context.Background())
	g.start(g.inside, http.HandlerFunc(g.serveInside))
	return g, nil
}

// needlesOf are the credentials that a policy sends, and all others beside them.
func needlesOf(p Policy, materials map[string]*material) []proof.Secret {
	var secrets []proof.Secret
	for _, id := range p.IDs() {
		for _, c := range materials[id].creds {
			if c.mint != nil {
				continue // there is no value yet
			}
			secrets = append(secrets, proof.Secret{ID: id, Value: c.value})
		}
		for _, v := range materials[id].contents {
			secrets = append(secrets, proof.Secret{ID: id, Value: v, Waived: true})
		}
	}
	return secrets
}

// credential is what a route sends.
func (g *Gate) credential(r Route) *credential { return g.secrets[r.Secret].creds[r.Origin] }

// transport never asks the environment for a proxy.
func (g *Gate) transport(dial func(context.Context, string, string) (net.Conn, error)) *http.Transport {
	return &http.Transport{
		DialContext: dial, TLSClientConfig: &tls.Config{RootCAs: g.options.Roots, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true,
		TLSHandshakeTimeout: headerTimeout, IdleConnTimeout: idleTimeout, MaxIdleConnsPerHost: 32, ExpectContinueTimeout: time.Second,
		MaxResponseHeaderBytes: maxAnswer, WriteBufferSize: chunk, ReadBufferSize: chunk,
	}
}

// dialNamed connects to an origin of the policy.
func (g *Gate) dialNamed(ctx context.Context, _, address string) (net.Conn, error) {
	for _, r := range g.policy.Routes {
		if r.Origin.address() == address && r.Connect != "" {
			host, _, err := net.SplitHostPort(r.Connect)
			if err != nil {
				return nil, err
			}
			return g.dialer.dial(ctx, r.Connect, trustOf(host))
		}
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	return g.dialer.dial(ctx, address, trustOf(host))
}

func (g *Gate) dialStranger(ctx context.Context, _, address string) (net.Conn, error) {
	return g.dialer.dial(ctx, address, stranger)
}

// Ticket is the password of the doors.
func (g *Gate) Ticket() string { return g.ticket }

// CA is the certificate, in PEM, that clients of the forward door have to trust. It is of no use for hosts that the policy does not name.
func (g *Gate) CA() []byte { return g.ca.pem() }

// Phantom is the worthless stand-in for a secret, to be put where a client wants a credential; empty if there is no such secret.
func (g *Gate) Phantom(id string) string {
	if m, ok := g.secrets[id]; ok {
		return m.phantom
	}
	return ""
}

// Redactor masks the credentials and the ticket in texts.
func (g *Gate) Redactor() *redact.Redactor { return g.search.Load().redactor }

// ProxyURL is what clients use as their proxy if the forward door listens at an address. The step, which may be empty, is shown in
// the audit.
func (g *Gate) ProxyURL(address, step string) string {
	user := step
	if user == "" {
		user = defaultUser
	}
	return (&url.URL{Scheme: "http", User: url.UserPassword(user, g.ticket), Host: address}).String()
}

// defaultUser is the user of a ticket that is no step's.
const defaultUser = "tightlip"

// ServeForward answers the connections of a listener as a forward proxy. It closes the listener in the end, and returns
// net.ErrClosed after Close.
func (g *Gate) ServeForward(l net.Listener) error {
	g.dialer.listening(l.Addr())
	return g.serve(strictListener{l, g.malformed("")}, http.HandlerFunc(g.serveForward))
}

// ServeReverse answers the connections of a listener as an origin, in plain HTTP. The origin must be one of the policy's.
func (g *Gate) ServeReverse(l net.Listener, o Origin) error {
	if !g.policy.declared(o) {
		l.Close()
		return &PolicyError{Problem: "no route is for " + o.String()}
	}
	g.dialer.listening(l.Addr())
	d := &reverseDoor{gate: g, origin: o, address: g.Address(l.Addr())}
	return g.serve(strictListener{l, g.malformed(o.String())}, http.HandlerFunc(d.serve))
}

func (g *Gate) server(h http.Handler) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: min(headerTimeout, g.options.Stall), IdleTimeout: idleTimeout, MaxHeaderBytes: 2 * maxHead, DisableGeneralOptionsHandler: true,
		BaseContext: func(net.Listener) context.Context { return g.ctx },
		ConnContext: withSession,
		ErrorLog:    log.New(io.Discard, "", 0), // it would show what clients send
	}
}

func (g *Gate) serve(l net.Listener, h http.Handler) error {
	s := g.server(h)
	g.mu.Lock()
	g.servers = append(g.servers, s)
	g.mu.Unlock()
	if g.ctx.Err() != nil {
		l.Close()
		return net.ErrClosed
	}
	err := s.Serve(l)
	if errors.Is(err, http.ErrServerClosed) {
		return net.ErrClosed
	}
	return err
}

func (g *Gate) start(l net.Listener, h http.Handler) {
	g.wg.Go(func() { _ = g.serve(l, h) })
}

// Close ends everything at once. No credential is used afterwards.
func (g *Gate) Close() error {
	g.cancel()
	g.mu.Lock()
	servers, conns := slices.Clone(g.servers), g.conns
	g.conns = nil
	g.mu.Unlock()
	var errs []error
	for _, s := range servers {
		errs = append(errs, s.Close())
	}
	for c := range conns {
		c.Close()
	}
	g.inside.Close()
	g.upstream.CloseIdleConnections()
	g.others.CloseIdleConnections()
	g.wg.Wait()
	return errors.Join(errs...)
}

// hold makes Close end a connection. It returns false if that was before.
func (g *Gate) hold(c net.Conn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.conns == nil {
		return false
	}
	g.conns[c] = true
	return true
}

func (g *Gate) drop(c net.Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.conns, c)
}

// audit hands an event on, with nothing in it that should not be.
func (g *Gate) audit(e Event) {
	if g.options.Audit == nil {
		return
	}
	e.Path = g.Redactor().String(e.Path[:min(len(e.Path), maxAuditPath)])
	e.Reason, e.Step = g.Redactor().String(e.Reason), g.Redactor().String(e.Step)
	e.Method = e.Method[:min(len(e.Method), 20)]
	g.options.Audit(e)
}

// malformed makes events of requests that are none.
func (g *Gate) malformed(origin string) func(error) {
	return func(err error) {
		g.audit(Event{Time: time.Now(), Origin: origin, Status: http.StatusBadRequest, Verdict: Refused, Reason: err.Error()})
	}
}

// Environ is what clients of the forward door need in their environment, as NAME=VALUE: the proxy at an address, a bundle of
// certificates that they trust, and the phantoms. noProxy is the user's own list, of which the declared hosts are taken out.
func (g *Gate) Environ(address, bundle, noProxy string) []string {
	return g.environ(address, "", bundle, noProxy)
}

func (g *Gate) environ(address, step, bundle, noProxy string) []string {
	var out []string
	proxy := g.ProxyURL(address, step)
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "YARN_HTTP_PROXY", "YARN_HTTPS_PROXY"} {
		out = append(out, name+"="+proxy)
	}
	rest := g.withoutDeclared(noProxy)
	out = append(out, "NO_PROXY="+rest, "no_proxy="+rest)
	for _, name := range bundleVariables {
		out = append(out, name+"="+bundle)
	}
	for _, id := range g.policy.IDs() {
		out = append(out, PhantomVariable(id)+"="+g.Phantom(id))
	}
	return out
}

// bundleVariables name a file of certificates to programs and libraries.
var bundleVariables = []string{
	"SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "npm_config_cafile", "REQUESTS_CA_BUNDLE", "PIP_CERT", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "CARGO_HTTP_CAINFO", "AWS_CA_BUNDLE", "DENO_CERT",
}

// PhantomVariable is the name of the variable that holds the phantom of a secret: PHANTOM_NPM for npm.
func PhantomVariable(id string) string {
	return "PHANTOM_" + strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToUpper(id))
}

// withoutDeclared takes out of a NO_PROXY list what would keep a client from using the proxy for a declared host.
func (g *Gate) withoutDeclared(list string) string {
	var kept []string
	for entry := range strings.SplitSeq(list, ",") {
		entry = strings.TrimSpace(entry)
		hides := slices.ContainsFunc(g.policy.Origins(), func(o Origin) bool { return hidesHost(strings.ToLower(entry), o) })
		if entry != "" && !hides {
			kept = append(kept, entry)
		}
	}
	return strings.Join(kept, ",")
}

// hidesHost tells whether an entry of NO_PROXY is about an origin.
func hidesHost(entry string, o Origin) bool {
	if entry == "*" {
		return true
	}
	if _, network, err := net.ParseCIDR(entry); err == nil {
		return network.Contains(net.ParseIP(o.Host))
	}
	if host, port, err := net.SplitHostPort(entry); err == nil {
		if _, err := strconv.Atoi(port); err == nil {
			entry = host
		}
	}
	entry = strings.TrimLeft(strings.Trim(entry, "[]"), "*.")
	return entry != "" && (o.Host == entry || strings.HasSuffix(o.Host, "."+entry))
}
