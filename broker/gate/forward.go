package gate

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tightlip/tightlip/broker/shim"
)

// session is what is known of a connection whose TLS is ours.
type session struct {
	net.Conn
	origin Origin
	step   string
}

type (
	sessionKey struct{}
	ownKey     struct{}
)

func withSession(ctx context.Context, c net.Conn) context.Context {
	strict, ok := c.(*strictConn)
	if !ok {
		return ctx
	}
	switch conn := strict.Conn.(type) {
	case *session:
		return context.WithValue(ctx, sessionKey{}, conn)
	case ownConn:
		return context.WithValue(ctx, ownKey{}, conn.step)
	}
	return ctx
}

// ownStep is the step whose shim knows the client as one of the step's processes.
func ownStep(r *http.Request) (step string, ok bool) {
	step, ok = r.Context().Value(ownKey{}).(string)
	return step, ok
}

// stepOf is the step of a client whose header shows the ticket.
func (g *Gate) stepOf(header string) (step string, ok bool) {
	user, ticket := password(header)
	if !g.isTicket(ticket) {
		return "", false
	}
	if user == defaultUser {
		user = ""
	}
	return user[:min(len(user), maxUser)], true
}

// serveForward answers one request to the proxy.
func (g *Gate) serveForward(w http.ResponseWriter, r *http.Request) {
	step, ok := ownStep(r)
	if !ok {
		step, ok = g.stepOf(r.Header.Get("Proxy-Authorization"))
	}
	o := originOf(r.URL)
	if r.Method == http.MethodConnect {
		o = connectOrigin(r.RequestURI)
	}
	x := g.newExchange(w, r, o, step)
	if content := g.handedFor(r); content != nil {
		x.handOut(r, content)
		return
	}
	refuse := func(status int, reason string) {
		defer x.finish()
		x.fail(&refusal{status, reason})
	}
	switch {
	case !ok:
		w.Header().Set("Proxy-Authenticate", `Basic realm="tightlip"`)
		refuse(http.StatusProxyAuthRequired, "the proxy wants its ticket")
	case r.Method == http.MethodConnect && !validPort(o.Port):
		refuse(http.StatusBadRequest, "the request names no host and port")
	case r.Method == http.MethodConnect:
		x.event.Origin, x.event.Path = o.String(), ""
		g.connect(x, w, r)
	case !r.URL.IsAbs() || r.URL.Scheme != "http" || r.URL.Host == "":
		refuse(http.StatusBadRequest, "this is a proxy: it takes http:// URLs, and CONNECT for https://")
	case g.policy.declared(o):
		x.run(r)
	case slices.Contains(g.policy.Pass, o):
		x.pass(r, g.upstream)
	case g.policy.Seal:
		refuse(http.StatusForbidden, sealed)
	default:
		x.pass(r, g.others)
	}
}

const sealed = "the build is sealed, and the policy does not name this host"

// connectOrigin is what a CONNECT asks for. It is taken for https, which is what a credential would be for.
func connectOrigin(authority string) Origin {
	host, port, err := net.SplitHostPort(authority)
	if err != nil {
		return Origin{}
	}
	return Origin{Scheme: "https", Host: strings.ToLower(host), Port: port}
}

// connect answers a CONNECT: with TLS of ours for a declared origin, with a tunnel for others.
func (g *Gate) connect(x *exchange, w http.ResponseWriter, r *http.Request) {
	switch {
	case g.policy.declared(x.origin):
		g.intercept(x, w)
	case slices.Contains(g.policy.Pass, x.origin):
		g.tunnel(x, w, r, trustOf(x.origin.Host))
	case g.policy.Seal:
		defer x.finish()
		x.fail(&refusal{http.StatusForbidden, sealed})
	default:
		g.tunnel(x, w, r, stranger)
	}
}

// hijack takes a connection over, and tells the client so.
func hijack(w http.ResponseWriter) (net.Conn, error) {
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, err
	}
	err = conn.SetDeadline(time.Time{})
	if err == nil {
		_, err = io.WriteString(conn, "HTTP/1.1 200 Connection established\r\n\r\n")
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return shim.Ahead{Conn: conn, From: rw.Reader}, nil
}

func closeWrite(c net.Conn) error {
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// intercept speaks TLS with a client in the place of a declared origin. Only what goes wrong is an event: requests are their own.
func (g *Gate) intercept(x *exchange, w http.ResponseWriter) {
	conn, err := hijack(w)
	if err != nil {
		return
	}
	if !g.hold(conn) {
		conn.Close()
		return
	}
	defer g.drop(conn)
	server := tls.Server(conn, g.tls[x.origin])
	ctx, cancel := context.WithTimeout(g.ctx, headerTimeout)
	defer cancel()
	if err := server.HandshakeContext(ctx); err != nil {
		conn.Close()
		x.event.Reason = "the client does not take the certificate (does it trust the broker's?): " + plainTLS(err)
		x.finish()
		return
	}
	g.inside.give(&strictConn{
		Conn:    &session{Conn: server, origin: x.origin, step: x.event.Step},
		refused: g.malformed(x.origin.String()),
	})
}

// plainTLS is what may be said of a handshake that failed.
func plainTLS(err error) string {
	if errors.Is(err, errServerName) {
		return errServerName.Error()
	}
	if alert, ok := errors.AsType[tls.AlertError](err); ok {
		return alert.Error()
	}
	return "the handshake failed"
}

var errServerName = errors.New("it asks for another name inside than outside")

// tlsConfig has a certificate for one origin, and wants the client to mean that origin.
func (g *Gate) tlsConfig(o Origin) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"},
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			if hello.ServerName != "" && !strings.EqualFold(strings.TrimSuffix(hello.ServerName, "."), o.Host) {
				return nil, errServerName
			}
			return g.ca.leaf(o.Host)
		},
	}
}

// serveInside answers one request in TLS of ours.
func (g *Gate) serveInside(w http.ResponseWriter, r *http.Request) {
	s, ok := r.Context().Value(sessionKey{}).(*session)
	if !ok {
		http.Error(w, "tightlip: no session", http.StatusInternalServerError)
		return
	}
	g.newExchange(w, r, s.origin, s.step).run(r)
}

// tunnel connects a client to a host, and looks at nothing.
func (g *Gate) tunnel(x *exchange, w http.ResponseWriter, r *http.Request, t trust) {
	defer x.finish()
	x.event.Verdict = Passed
	up, err := g.dialer.dial(r.Context(), x.origin.address(), t)
	if err != nil {
		x.answer.Header().Set("Connection", "close")
		x.broken(r, err)
		return
	}
	defer up.Close()
	down, err := hijack(w)
	if err != nil {
		return
	}
	defer down.Close()
	x.event.Status = http.StatusOK
	if g.hold(down) && g.hold(up) {
		x.answer.bytes = join(down, up)
	}
	g.drop(down)
	g.drop(up)
}

// join copies both ways until both ends are done, and returns the bytes that came down.
func join(down, up net.Conn) int64 {
	var n atomic.Int64
	var wg sync.WaitGroup
	wg.Go(func() {
		_, _ = io.Copy(up, down)
		_ = closeWrite(up)
	})
	wg.Go(func() {
		got, _ := io.Copy(down, up)
		n.Store(got)
		_ = closeWrite(down)
	})
	wg.Wait()
	return n.Load()
}

// handover is a listener of connections that come from another one.
type handover struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newHandover() *handover { return &handover{conns: make(chan net.Conn), done: make(chan struct{})} }

func (h *handover) give(c net.Conn) {
	select {
	case h.conns <- c:
	case <-h.done:
		c.Close()
	}
}

// Accept implements net.Listener.
func (h *handover) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (h *handover) Close() error {
	h.once.Do(func() { close(h.done) })
	return nil
}

// Addr implements net.Listener.
func (h *handover) Addr() net.Addr { return &net.TCPAddr{} }
