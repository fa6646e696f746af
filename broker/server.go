// Package broker serves one build's secrets and SSH agents to the steps of builders that have no mounts.
package broker

import (
	"context"
	"crypto/subtle"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tightlip/tightlip/broker/shim"
	"github.com/tightlip/tightlip/secret"
)

// Secrets are the secrets of a build. build.Handoff is one.
type Secrets interface {
	// Get returns an error that wraps secret.ErrNotFound if the build has no secret with that id.
	Get(ctx context.Context, id string) (secret.Value, error)
}

// Agents opens a connection to the SSH agent with an id. It returns ErrNoAgent if the build has none with that id.
type Agents func(ctx context.Context, id string) (io.ReadWriteCloser, error)

// ErrNoAgent is what Agents returns for an id that the build does not have.
var ErrNoAgent = errors.New("the build has no such SSH agent")

// Kind is what a request asked for.
type Kind string

// The kinds of requests. Refused ones had a wrong ticket, or asked for nothing that there is.
const (
	Shim    Kind = "shim"
	Secret  Kind = "secret"
	SSH     Kind = "ssh"
	Bind    Kind = "bind"
	Through Kind = "broker"
	Refused Kind = "refused"
)

// Event is one request. The id is whatever was asked for, so it is quoted when it is shown.
type Event struct {
	Time   time.Time
	Kind   Kind
	ID     string // of a secret or an agent
	Status int    // of HTTP: 200 or, for an agent's connection, 101 if it was granted
}

// Options are what a server serves.
type Options struct {
	Secrets Secrets // nil: none
	Agents  Agents  // nil: none
	Shim    []byte  // the program that steps run
	// Files are archives of paths in the build context, on our disk, by those paths.
	Files map[string]string
	// Through takes a step's connection to the broker, which it closes in the end; nil: there is no broker.
	Through func(id string, conn net.Conn) error
	// Allow tells whether the step that runs has asked for a thing in its mounts; nil: the ticket is enough.
	Allow func(ctx context.Context, kind Kind, id string) bool
	Audit func(Event) // called for each request before it is answered, by several goroutines at once; nil: nobody listens
}

// Server serves one build. Whoever knows its ticket gets what Allow lets through.
type Server struct {
	options Options
	ticket  string
	http    http.Server
	ctx     context.Context // ends with Close
	cancel  context.CancelFunc

	mu    sync.Mutex
	talks map[*talk]bool // not the HTTP server's any more
}

// talk is a client's conversation with an agent.
type talk struct {
	conn  net.Conn
	agent io.ReadWriteCloser
}

func (t *talk) close() {
	t.conn.Close()
	t.agent.Close()
}

// Bounds of a request. Values may be large, and the way to a remote builder slow.
const (
	maxHeader      = 16 << 10
	requestTimeout = 10 * time.Second
	answerTimeout  = 10 * time.Minute
)

// New makes a server that does not listen yet.
func New(o Options) *Server {
	s := &Server{options: o, ticket: shim.NewTicket(), talks: map[*talk]bool{}}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.http = http.Server{
		Handler:           http.HandlerFunc(s.serve),
		ReadHeaderTimeout: requestTimeout,
		ReadTimeout:       requestTimeout,
		WriteTimeout:      answerTimeout,
		MaxHeaderBytes:    maxHeader,
		BaseContext:       func(net.Listener) context.Context { return s.ctx },
		ErrorLog:          log.New(io.Discard, "", 0), // it would show what clients send
	}
	s.http.SetKeepAlivesEnabled(false)
	return s
}

// Ticket is what requests show, as the first element of their path: 130 random bits.
func (s *Server) Ticket() string { return s.ticket }

// Element is the last element of NO_PROXY for the steps of the build, if they reach the server at a port of theirs.
func (s *Server) Element(port int) string {
	return shim.Address{Port: port, Ticket: s.ticket}.Element()
}

// Serve answers the connections of a listener, and closes it in the end. It returns net.ErrClosed after Close.
func (s *Server) Serve(l net.Listener) error {
	err := s.http.Serve(l)
	if errors.Is(err, http.ErrServerClosed) {
		return net.ErrClosed
	}
	return err
}

// Close ends everything at once: listeners, requests and connections to agents. No value is handed out afterwards.
func (s *Server) Close() error {
	s.cancel()
	err := s.http.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	for t := range s.talks {
		t.close()
	}
	return err
}

// serve answers one request.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	kind, id, status := s.route(r)
	switch {
	case status != http.StatusOK:
		s.audit(Refused, "", status)
		w.WriteHeader(status)
	case kind == Shim:
		s.audit(kind, "", status)
		send(w, s.options.Shim)
	case s.options.Allow != nil && !s.options.Allow(r.Context(), kind, id):
		s.fail(w, kind, id, http.StatusForbidden)
	case kind == Secret:
		s.serveSecret(w, r, id)
	case kind == Bind:
		s.serveFile(w, id)
	case kind == Through:
		s.serveThrough(w, r, id)
	case r.Method == http.MethodHead:
		s.probeAgent(w, r, id)
	default:
		s.serveAgent(w, r, id)
	}
}

// route says what a request asks for, with the status 200, or why it is refused.
func (s *Server) route(r *http.Request) (kind Kind, id string, status int) {
	parts := strings.Split(r.URL.EscapedPath(), "/")
	if r.Method == http.MethodGet && r.URL.Path == "/shim" && r.URL.RawQuery == "" {
		return Shim, "", http.StatusOK // it is no secret, and what fetches it shows its arguments to everybody
	}
	if len(parts) < 2 || subtle.ConstantTimeCompare([]byte(parts[1]), []byte(s.ticket)) != 1 {
		return "", "", http.StatusForbidden
	}
	parts = parts[2:]
	if len(parts) == 0 || r.URL.RawQuery != "" {
		return "", "", http.StatusNotFound
	}
	kind = Kind(parts[0])
	if r.Method != http.MethodGet && (kind != SSH || r.Method != http.MethodHead) {
		return "", "", http.StatusMethodNotAllowed
	}
	if kind != Secret && kind != SSH && kind != Bind && kind != Through || len(parts) != 2 {
		return "", "", http.StatusNotFound
	}
	id, err := url.PathUnescape(parts[1])
	if err != nil {
		return "", "", http.StatusNotFound
	}
	return kind, id, http.StatusOK
}

func (s *Server) serveSecret(w http.ResponseWriter, r *http.Request, id string) {
	var value secret.Value
	err := secret.ErrNotFound
	if s.options.Secrets != nil {
		value, err = s.options.Secrets.Get(r.Context(), id)
	}
	switch {
	case s.ctx.Err() != nil:
		s.fail(w, Secret, id, http.StatusServiceUnavailable)
	case errors.Is(err, secret.ErrNotFound):
		s.fail(w, Secret, id, http.StatusNotFound)
	case err != nil:
		s.fail(w, Secret, id, http.StatusBadGateway)
	default:
		s.audit(Secret, id, http.StatusOK)
		send(w, value.Open())
	}
}

// serveFile answers with an archive of a path in the build context.
func (s *Server) serveFile(w http.ResponseWriter, id string) {
	f, err := os.Open(s.options.Files[id])
	if err != nil {
		s.fail(w, Bind, id, http.StatusNotFound)
		return
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		s.fail(w, Bind, id, http.StatusNotFound)
		return
	}
	s.audit(Bind, id, http.StatusOK)
	w.Header().Set("Content-Length", strconv.FormatInt(info.Size(), 10))
	_, _ = io.Copy(w, f)
}

// send answers with exact bytes.
func send(w http.ResponseWriter, content []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Length", strconv.Itoa(len(content)))
	h.Set("Cache-Control", "no-store")
	_, _ = w.Write(content)
}

func (s *Server) fail(w http.ResponseWriter, kind Kind, id string, status int) {
	s.audit(kind, id, status)
	w.WriteHeader(status)
}

func (s *Server) audit(kind Kind, id string, status int) {
	if s.options.Audit != nil {
		s.options.Audit(Event{Time: time.Now(), Kind: kind, ID: id, Status: status})
	}
}

// probeAgent tells whether there is an agent.
func (s *Server) probeAgent(w http.ResponseWriter, r *http.Request, id string) {
	agent, status := s.openAgent(r.Context(), id)
	if agent != nil {
		agent.Close()
	}
	s.fail(w, SSH, id, status)
}

// openAgent connects to an agent. The status is 200 if that worked.
func (s *Server) openAgent(ctx context.Context, id string) (io.ReadWriteCloser, int) {
	if s.options.Agents == nil {
		return nil, http.StatusNotFound
	}
	agent, err := s.options.Agents(ctx, id)
	switch {
	case errors.Is(err, ErrNoAgent):
		return nil, http.StatusNotFound
	case err != nil:
		return nil, http.StatusBadGateway
	}
	return agent, http.StatusOK
}

// serveAgent connects a client to an agent, for as long as both want.
func (s *Server) serveAgent(w http.ResponseWriter, r *http.Request, id string) {
	if !strings.EqualFold(r.Header.Get("Connection"), "Upgrade") || r.Header.Get("Upgrade") != shim.Upgrade {
		s.fail(w, SSH, id, http.StatusUpgradeRequired)
		return
	}
	agent, status := s.openAgent(r.Context(), id)
	if status != http.StatusOK {
		s.fail(w, SSH, id, status)
		return
	}
	conn, from, err := http.NewResponseController(w).Hijack()
	if err != nil {
		agent.Close()
		s.fail(w, SSH, id, http.StatusInternalServerError)
		return
	}
	t := &talk{conn, agent}
	defer t.close()
	s.audit(SSH, id, http.StatusSwitchingProtocols)
	defer s.end(t)
	if s.begin(t) && upgrade(conn, shim.Upgrade) == nil {
		shim.Join(shim.Ahead{Conn: conn, From: from.Reader}, agent, agent)
	}
}

// serveThrough hands a connection to the broker.
func (s *Server) serveThrough(w http.ResponseWriter, r *http.Request, id string) {
	switch {
	case s.options.Through == nil:
		s.fail(w, Through, id, http.StatusNotFound)
		return
	case !strings.EqualFold(r.Header.Get("Connection"), "Upgrade") || r.Header.Get("Upgrade") != shim.UpgradeBroker:
		s.fail(w, Through, id, http.StatusUpgradeRequired)
		return
	}
	conn, from, err := http.NewResponseController(w).Hijack()
	if err != nil {
		s.fail(w, Through, id, http.StatusInternalServerError)
		return
	}
	s.audit(Through, id, http.StatusSwitchingProtocols)
	if err := upgrade(conn, shim.UpgradeBroker); err != nil {
		conn.Close()
		return
	}
	_ = s.options.Through(id, shim.Ahead{Conn: conn, From: from.Reader})
}

// upgrade answers that the connection has another protocol from now on.
func upgrade(conn net.Conn, protocol string) error {
	if err := conn.SetDeadline(time.Time{}); err != nil {
		return err
	}
	_, err := io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "+protocol+"\r\n\r\n")
	return err
}

// begin makes Close end a talk. It returns false if that was before.
func (s *Server) begin(t *talk) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.talks[t] = true
	return s.ctx.Err() == nil
}

func (s *Server) end(t *talk) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.talks, t)
}
