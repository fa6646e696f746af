package broker_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/yamux"

	"github.com/tightlip/tightlip/broker"
	"github.com/tightlip/tightlip/broker/shim"
	"github.com/tightlip/tightlip/secret/secrettest"
)

// pipes is a connection of two pipes, as a container's standard streams are.
type pipes struct{ in, out *os.File }

func (p pipes) Read(b []byte) (int, error)  { return p.in.Read(b) }
func (p pipes) Write(b []byte) (int, error) { return p.out.Write(b) }
func (p pipes) Close() error                { return errors.Join(p.in.Close(), p.out.Close()) }

func newPipes(t *testing.T) (here, there pipes) {
	t.Helper()
	r1, w1, err1 := os.Pipe()
	r2, w2, err2 := os.Pipe()
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	return pipes{r1, w2}, pipes{r2, w1}
}

// startRelay serves through a relay, and returns where that listens.
func startRelay(t *testing.T, o broker.Options) (s *broker.Server, address string) {
	t.Helper()
	here, there := newPipes(t)
	relayed := make(chan error, 1)
	go func() { relayed <- shim.Relay(context.Background(), "127.0.0.1:0", there, time.Hour) }()
	relay, err := broker.Attach(t.Context(), here)
	if err != nil {
		t.Fatal(err)
	}
	s = broker.New(o)
	served := make(chan error, 1)
	go func() { served <- s.Serve(relay) }()
	t.Cleanup(func() {
		s.Close()
		if err := <-served; !errors.Is(err, net.ErrClosed) {
			t.Errorf("Serve returned %v", err)
		}
		if err := <-relayed; !errors.Is(err, shim.ErrLost) {
			t.Errorf("Relay returned %v", err)
		}
	})
	return s, fmt.Sprintf("127.0.0.1:%d", relay.Port())
}

func TestRelay(t *testing.T) {
	value := bytes.Repeat(secrettest.Canary(t), 200_000)
	s, address := startRelay(t, broker.Options{Secrets: values{"npm": value}, Agents: ring(t)})
	for range 3 {
		if status, body, _ := request(t, "GET", address, "/"+s.Ticket()+"/secret/npm"); status != 200 || !bytes.Equal(body, value) {
			t.Errorf("status %d and %d bytes", status, len(body))
		}
		useAgent(t, address, s.Ticket())
	}
	if status, _, _ := request(t, "GET", address, "/x/secret/npm"); status != 403 {
		t.Errorf("status %d", status)
	}
}

func TestRelay200AtOnce(t *testing.T) {
	value := bytes.Repeat(secrettest.Canary(t), 1000)
	s, address := startRelay(t, broker.Options{Secrets: values{"npm": value}})
	manyRequests(t, address, "/"+s.Ticket()+"/secret/npm", value)
}

// TestRelayClose ends the server while a client holds a connection.
func TestRelayClose(t *testing.T) {
	s, address := startRelay(t, broker.Options{Agents: ring(t)})
	var conns []net.Conn
	for _, text := range []string{"", "GET /" + s.Ticket() + "/ssh/default HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: ssh-agent\r\n\r\n"} {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, text); err != nil {
			t.Fatal(err)
		}
		if text != "" {
			if _, err := conn.Read(make([]byte, 1000)); err != nil {
				t.Fatal(err)
			}
		}
		conns = append(conns, conn)
	}
	s.Close()
	for _, conn := range conns {
		_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the connection is still open: %v", err)
		}
	}
}

func TestAttachErrors(t *testing.T) {
	for _, tt := range []struct{ hello, want string }{
		{`{"error":"listen tcp 127.0.0.1:7913: bind: address already in use"}`, "address already in use"},
		{`{"port":0}`, "it listens on port 0"},
		{`{"port":70000}`, "it listens on port 70000"},
		{`hello`, "invalid character"},
		{strings.Repeat(" ", 5000), "EOF"},
	} {
		here, there := net.Pipe()
		go func() {
			session, err := yamux.Client(there, shim.Mux())
			if err != nil {
				return
			}
			control, err := session.Open()
			if err != nil {
				return
			}
			_, _ = io.WriteString(control, tt.hello+"\n")
		}()
		relay, err := broker.Attach(t.Context(), here)
		if relay != nil || err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%.80s: got %v", tt.hello, err)
		}
	}
}

func TestAttachNoRelay(t *testing.T) {
	for name, text := range map[string]string{"nothing": "", "a message": "exec /tightlip: no such file or directory\n"} {
		here, there := newPipes(t)
		_, _ = io.WriteString(there, text)
		there.Close()
		if _, err := broker.Attach(t.Context(), here); err == nil {
			t.Errorf("%s: attached", name)
		}
	}
}

func TestAttachCancelled(t *testing.T) {
	here, there := newPipes(t)
	defer there.Close()
	enough := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(50*time.Millisecond, func() { cancel(enough) })
	if _, err := broker.Attach(ctx, here); !errors.Is(err, enough) {
		t.Errorf("got %v", err)
	}
	if _, err := here.Read(make([]byte, 1)); !errors.Is(err, os.ErrClosed) {
		t.Errorf("the connection is still open: %v", err)
	}
}

// TestDeadPeer has the other side stop in mid-session, without closing anything.
func TestDeadPeer(t *testing.T) {
	t.Parallel() // it waits for real: yamux shares its timers, so it cannot live in a bubble of synctest
	here, there := net.Pipe()
	gate := &gated{Conn: there, open: make(chan bool)}
	defer close(gate.open)
	session, err := yamux.Client(gate, shim.Mux())
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		control, err := session.Open()
		if err == nil {
			_, _ = io.WriteString(control, `{"port":7913}`+"\n")
		}
	}()
	relay, err := broker.Attach(t.Context(), here)
	if err != nil {
		t.Fatal(err)
	}
	defer relay.Close()
	gate.shut()
	begin := time.Now()
	if conn, err := relay.Accept(); err == nil {
		t.Errorf("accepted %v", conn)
	}
	if d := time.Since(begin); d > 22*time.Second {
		t.Errorf("a dead relay was noticed after %s", d)
	}
}

// gated is a connection that stops to move anything, as one to a machine that has gone.
type gated struct {
	net.Conn
	closed atomic.Bool
	open   chan bool // closed at the end of the test
}

func (g *gated) shut() { g.closed.Store(true) }

func (g *gated) Read(b []byte) (int, error) {
	n, err := g.Conn.Read(b)
	if g.closed.Load() {
		<-g.open
		return 0, net.ErrClosed
	}
	return n, err
}

func (g *gated) Write(b []byte) (int, error) {
	if g.closed.Load() {
		return len(b), nil
	}
	return g.Conn.Write(b)
}
