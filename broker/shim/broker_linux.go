package shim

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// brokerTime is how long the broker may take to answer the first request: there may be a slow network in between.
const brokerTime = time.Minute

// certificates are where distributions keep the certificates that they trust, as Go's crypto/x509 knows them.
var certificates = []string{
	"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem", "/etc/pki/tls/cacert.pem",
	"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", "/etc/ssl/cert.pem",
}

// named are variables of an image that name further certificates.
var named = []string{"SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO"}

// connectBroker listens for the step's clients, and returns the environment in which they find the broker.
func (s *step) connectBroker(ctx context.Context, slot int, socket string, env []string) ([]string, error) {
	b := &brokered{socket: socket, client: s.client, notes: s.notes, room: make(chan struct{}, maxConns), done: make(chan struct{}), conns: map[net.Conn]bool{}}
	s.later(b.close)
	file, err := s.inMemory(slot, "certificates.pem")
	if err != nil {
		return nil, err
	}
	settings, err := b.open(ctx, BrokerRequest{Door: SetUp, Bundle: file, NoProxy: noProxy(env)})
	if err != nil {
		return nil, fmt.Errorf("connecting to tightlip's broker: %w", err)
	}
	b.vouch.Store(len(settings.Clients) > 0)
	for _, d := range settings.Doors {
		if _, err := b.listen(ctx, d.address(), d.Door); err != nil {
			return nil, err
		}
	}
	bundle, err := trusted(env)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(file, append(bundle, settings.CA...), 0o444); err != nil {
		return nil, err
	}
	if agent, ok := lookup(env, "SSH_AUTH_SOCK"); ok && agent == socket { // the builder's doing
		env = withoutVar(env, "SSH_AUTH_SOCK")
	}
	for _, kv := range settings.Env {
		name, value, _ := strings.Cut(kv, "=")
		env = setVar(env, name, value)
	}
	for _, c := range settings.Clients {
		if env, err = c.apply(file, env); err != nil {
			return nil, err
		}
	}
	return env, nil
}

// noProxy is the step's own list, with its loopback: what a step starts for itself is no business of the proxy.
func noProxy(env []string) string {
	list := "localhost,127.0.0.1,::1"
	for _, name := range []string{"NO_PROXY", "no_proxy"} {
		if own, ok := lookup(env, name); ok && own != "" {
			return own + "," + list
		}
	}
	return list
}

// trusted are the certificates that the image trusts, in PEM.
func trusted(env []string) ([]byte, error) {
	var files []string
	for _, name := range named {
		if file, ok := lookup(env, name); ok && file != "" && !slices.Contains(files, file) {
			files = append(files, file)
		}
	}
	if _, ok := lookup(env, "SSL_CERT_FILE"); !ok {
		for _, file := range certificates {
			if _, err := os.Stat(file); err == nil {
				files = append(files, file)
				break
			}
		}
	}
	var out bytes.Buffer
	for _, file := range files {
		text, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading the certificates that the image trusts: %w", err)
		}
		out.Write(bytes.TrimRight(text, "\n"))
		out.WriteByte('\n')
	}
	return out.Bytes(), nil
}

// brokered carries the connections of a step's clients to the broker.
type brokered struct {
	socket string // Spec.Broker
	client client
	notes  io.Writer
	room   chan struct{} // has an element for each connection
	vouch  atomic.Bool   // tells the broker which connections are of the step's own processes
	done   chan struct{} // closed at the end
	wg     sync.WaitGroup

	mu        sync.Mutex
	listeners []net.Listener
	conns     map[net.Conn]bool
}

// open listens for clients of the proxy and asks for the settings. The port that the system chose must be none of the doors'.
func (b *brokered) open(ctx context.Context, r BrokerRequest) (BrokerSettings, error) {
	for {
		proxy, err := b.listen(ctx, "127.0.0.1:0", Forward)
		if err != nil {
			return BrokerSettings{}, err
		}
		r.Address = proxy.String()
		settings, err := b.setUp(ctx, r)
		isDoor := func(d BrokerDoor) bool { return d.address() == r.Address }
		if err != nil || !slices.ContainsFunc(settings.Doors, isDoor) {
			return settings, err
		}
		l := b.listeners[len(b.listeners)-1]
		defer l.Close() // only then, or the system might choose it again
	}
}

// listen takes the connections to an address to a door.
func (b *brokered) listen(ctx context.Context, address, door string) (net.Addr, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp4", address)
	for waited := false; errors.Is(err, unix.EADDRINUSE) && ctx.Err() == nil; l, err = new(net.ListenConfig).Listen(ctx, "tcp4", address) {
		if !waited {
			fmt.Fprintf(b.notes, "tightlip: waiting for %s, where something else in this network listens\n", address)
			waited = true
		}
		time.Sleep(200 * time.Millisecond)
	}
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	b.listeners = append(b.listeners, l)
	b.mu.Unlock()
	b.wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if !b.enter() {
				conn.Close()
				return
			}
			b.wg.Go(func() {
				defer func() { <-b.room }()
				if ofStep(conn) {
					b.carry(conn, door)
				}
				conn.Close()
			})
		}
	})
	return l.Addr(), nil
}

// maxConns is how many connections a step has at a time. A builder's session carries 250 for all steps, and hangs at more.
const maxConns = 60

// enter waits for room for one more connection. It is false at the end.
func (b *brokered) enter() bool {
	select {
	case b.room <- struct{}{}:
		return true
	case <-b.done:
		return false
	}
}

// carry takes one connection to a door.
func (b *brokered) carry(conn net.Conn, door string) {
	defer conn.Close()
	up, err := b.dial(context.Background(), BrokerRequest{Door: door, Own: b.vouch.Load() && ownProcess(conn)})
	if err != nil {
		return
	}
	defer up.Close()
	if !b.hold(conn, up) {
		return
	}
	defer b.drop(conn, up)
	Join(conn, up, up)
}

// dial connects to the broker and says what for.
func (b *brokered) dial(ctx context.Context, r BrokerRequest) (net.Conn, error) {
	conn, err := b.connect(ctx)
	if err != nil {
		return nil, err
	}
	line, err := json.Marshal(r)
	if err == nil {
		_, err = conn.Write(append(line, '\n'))
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

func (b *brokered) connect(ctx context.Context) (net.Conn, error) {
	id, ok := strings.CutPrefix(b.socket, serverPrefix)
	if !ok {
		return new(net.Dialer).DialContext(ctx, "unix", b.socket)
	}
	conn, from, err := b.client.stream(ctx, Through, id, UpgradeBroker)
	if err != nil {
		return nil, err
	}
	return Ahead{conn, from}, nil
}

// setUp asks for the settings.
func (b *brokered) setUp(ctx context.Context, r BrokerRequest) (BrokerSettings, error) {
	var out BrokerSettings
	conn, err := b.dial(ctx, r)
	if err != nil {
		return out, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if err := conn.SetReadDeadline(time.Now().Add(brokerTime)); err != nil {
		return out, err
	}
	line, err := bufio.NewReader(conn).ReadBytes('\n')
	if err != nil {
		return out, noEOF(err)
	}
	return out, json.Unmarshal(line, &out)
}

// hold makes close end connections. It returns false if that was before.
func (b *brokered) hold(conns ...net.Conn) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range conns {
		b.conns[c] = true
	}
	select {
	case <-b.done:
		return false
	default:
		return true
	}
}

func (b *brokered) drop(conns ...net.Conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range conns {
		delete(b.conns, c)
	}
}

func (b *brokered) close() error {
	close(b.done)
	b.mu.Lock()
	for _, l := range b.listeners {
		l.Close()
	}
	for c := range b.conns {
		c.Close()
	}
	b.mu.Unlock()
	b.wg.Wait()
	return nil
}
