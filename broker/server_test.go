package broker_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ssh/agent"

	"github.com/tightlip/tightlip/broker"
	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/secrettest"
)

// values are the secrets of a build.
type values map[string][]byte

func (v values) Get(_ context.Context, id string) (secret.Value, error) {
	b, ok := v[id]
	if !ok {
		return secret.Value{}, secret.ErrNotFound
	}
	return secret.NewValue(b), nil
}

// journal collects events.
type journal struct {
	mu     sync.Mutex
	events []broker.Event
}

func (j *journal) add(e broker.Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.events = append(j.events, e)
}

func (j *journal) texts() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	var out []string
	for _, e := range j.events {
		out = append(out, fmt.Sprintf("%s %q %d", e.Kind, e.ID, e.Status))
	}
	return out
}

// start serves on loopback, and returns where.
func start(t *testing.T, o broker.Options) (s *broker.Server, address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s = broker.New(o)
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		s.Close()
		if err := <-done; !errors.Is(err, net.ErrClosed) {
			t.Errorf("Serve returned %v", err)
		}
	})
	return s, l.Addr().String()
}

var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}

func request(t *testing.T, method, address, path string) (status int, body []byte, header http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+address+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, body, resp.Header
}

func TestServer(t *testing.T) {
	value, large := secrettest.Canary(t), make([]byte, 5<<20)
	_, _ = rand.Read(large)
	odd := "a/b%2F\n\"\x1b[31m"
	var log journal
	s, address := start(t, broker.Options{
		Secrets: values{"npm": value, "large": large, odd: []byte("\x00\n"), "": []byte("x")},
		Agents:  ring(t), Shim: []byte("\x7fELF"), Audit: log.add,
	})
	secretPath := func(id string) string { return "/TICKET/secret/" + url.PathEscape(id) }
	for _, tt := range []struct {
		method, path string
		status       int
		body         []byte
		event        string
	}{
		{"GET", "/shim", 200, []byte("\x7fELF"), `shim "" 200`}, // no secret, and no ticket in the arguments of what fetches it
		{"GET", "/TICKET/shim", 404, nil, `refused "" 404`},
		{"GET", secretPath("npm"), 200, value, `secret "npm" 200`},
		{"GET", secretPath("large"), 200, large, `secret "large" 200`},
		{"GET", secretPath(odd), 200, []byte("\x00\n"), `secret "a/b%2F\n\"\x1b[31m" 200`},
		{"GET", secretPath(""), 200, []byte("x"), `secret "" 200`},
		{"GET", secretPath("none"), 404, nil, `secret "none" 404`},
		{"GET", secretPath("NPM"), 404, nil, `secret "NPM" 404`},
		{"GET", secretPath("npm") + "/", 404, nil, `refused "" 404`},
		{"GET", secretPath("npm") + "?x", 404, nil, `refused "" 404`},
		{"GET", "/TICKET/secret", 404, nil, `refused "" 404`},
		{"GET", "/TICKET/secrets/npm", 404, nil, `refused "" 404`},
		{"GET", "/TICKET/secret/../secret/npm", 404, nil, `refused "" 404`},
		{"GET", "/TICKET/shim/", 404, nil, `refused "" 404`},
		{"GET", "/TICKET/", 404, nil, `refused "" 404`},
		{"GET", "/TICKET", 404, nil, `refused "" 404`},
		{"GET", "//TICKET/shim", 403, nil, `refused "" 403`},
		{"GET", "/", 403, nil, `refused "" 403`},
		{"GET", "/secret/npm", 403, nil, `refused "" 403`},
		{"GET", "/TICKETx/secret/npm", 403, nil, `refused "" 403`},
		{"GET", "/" + strings.ToUpper(s.Ticket()) + "/secret/npm", 403, nil, `refused "" 403`},
		{"GET", "/" + s.Ticket()[1:] + "/secret/npm", 403, nil, `refused "" 403`},
		{"POST", secretPath("npm"), 405, nil, `refused "" 405`},
		{"HEAD", secretPath("npm"), 405, nil, `refused "" 405`},
		{"DELETE", "/TICKET/secret/npm", 405, nil, `refused "" 405`},
		{"POST", "/TICKET/ssh/default", 405, nil, `refused "" 405`},
		{"PUT", "/wrong/shim", 403, nil, `refused "" 403`},
		{"HEAD", "/TICKET/ssh/default", 200, nil, `ssh "default" 200`},
		{"HEAD", "/TICKET/ssh/none", 404, nil, `ssh "none" 404`},
		{"HEAD", "/TICKET/ssh/broken", 502, nil, `ssh "broken" 502`},
		{"GET", "/TICKET/ssh/default", 426, nil, `ssh "default" 426`},
	} {
		log.events = nil
		status, body, header := request(t, tt.method, address, strings.ReplaceAll(tt.path, "TICKET", s.Ticket()))
		if status != tt.status || !bytes.Equal(body, tt.body) {
			t.Errorf("%s %s: status %d and %d bytes", tt.method, tt.path, status, len(body))
		}
		if status == 200 && tt.method == "GET" && header.Get("Content-Length") != fmt.Sprint(len(tt.body)) {
			t.Errorf("%s: the length is %q", tt.path, header.Get("Content-Length"))
		}
		if got := log.texts(); !slices.Equal(got, []string{tt.event}) || strings.Contains(fmt.Sprint(log.events), s.Ticket()) {
			t.Errorf("%s %s: the events are %q", tt.method, tt.path, got)
		}
		if d := time.Since(log.events[0].Time); d < 0 || d > time.Minute {
			t.Errorf("%s: the event is %s old", tt.path, d)
		}
	}
}

func TestTicket(t *testing.T) {
	a, b := broker.New(broker.Options{}), broker.New(broker.Options{})
	if a.Ticket() == b.Ticket() || len(a.Ticket()) < 42 || strings.Trim(a.Ticket(), "abcdefghijklmnopqrstuvwxyz0123456789") != "" {
		t.Errorf("%q and %q", a.Ticket(), b.Ticket())
	}
	if got := a.Element(7913); got != "tightlip.7913."+a.Ticket() {
		t.Error(got)
	}
}

// TestNothingToServe uses a server without secrets, agents and audit.
func TestNothingToServe(t *testing.T) {
	s, address := start(t, broker.Options{})
	for _, path := range []string{"/secret/npm", "/ssh/default"} {
		method := http.MethodGet
		if path == "/ssh/default" {
			method = http.MethodHead
		}
		if status, _, _ := request(t, method, address, "/"+s.Ticket()+path); status != 404 {
			t.Errorf("%s: %d", path, status)
		}
	}
}

// rawRequest sends text, and returns what comes back within a time.
func rawRequest(t *testing.T, address, text string) string {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	_, _ = io.WriteString(conn, text)
	got, _ := io.ReadAll(conn)
	return string(got)
}

func TestOddClients(t *testing.T) {
	value := secrettest.Canary(t)
	s, address := start(t, broker.Options{Secrets: values{"npm": value}})
	path := "/" + s.Ticket() + "/secret/npm"
	for _, tt := range []struct {
		request, want string
		given         bool
	}{
		{"GET " + path + " HTTP/1.0\r\n\r\n", "HTTP/1.0 200 OK", true}, // what scripts without an HTTP client send
		{"GET http://example.com" + path + " HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 OK", true},
		{"GET " + path + " HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 32<<10) + "\r\n\r\n", "HTTP/1.1 431 ", false},
		{"GET /" + strings.Repeat("x", 32<<10) + " HTTP/1.1\r\n\r\n", "HTTP/1.1 431 ", false},
		{"SSH-2.0-x\r\n\r\n", "HTTP/1.1 400 ", false},
		{"GET " + path + "%zz HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 400 ", false},
		{"GET /" + s.Ticket() + "/ssh/default HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", "HTTP/1.1 426 ", false},
	} {
		got := rawRequest(t, address, tt.request)
		if !strings.HasPrefix(got, tt.want) || strings.Contains(got, string(value)) != tt.given {
			t.Errorf("%.80q: %.80q, want %s", tt.request, got, tt.want)
		}
	}
}

func Test200AtOnce(t *testing.T) {
	value := bytes.Repeat(secrettest.Canary(t), 1000)
	var log journal
	s, address := start(t, broker.Options{Secrets: values{"npm": value}, Audit: log.add})
	manyRequests(t, address, "/"+s.Ticket()+"/secret/npm", value)
	if got := len(log.texts()); got != 200 {
		t.Errorf("%d events", got)
	}
}

func manyRequests(t *testing.T, address, path string, want []byte) {
	t.Helper()
	var wg sync.WaitGroup
	for range 200 {
		wg.Go(func() {
			resp, err := client.Get("http://" + address + path)
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			if got, err := io.ReadAll(resp.Body); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		})
	}
	wg.Wait()
}

// TestClose has clients in every state hold their connections open.
func TestClose(t *testing.T) {
	large := make([]byte, 32<<20)
	asked := make(chan bool, 1)
	blocked := slowSecrets{values{"large": large}, asked}
	s, address := start(t, broker.Options{Secrets: blocked, Agents: ring(t)})
	dial := func(text string) net.Conn {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		if _, err := io.WriteString(conn, text); err != nil {
			t.Fatal(err)
		}
		return conn
	}
	get := "GET /" + s.Ticket()
	silent := dial("")
	half := dial(get)
	reading := dial(get + "/secret/large HTTP/1.1\r\nHost: x\r\n\r\n")
	if _, err := reading.Read(make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	waiting := dial(get + "/secret/slow HTTP/1.1\r\nHost: x\r\n\r\n")
	<-asked
	ssh := dial(get + "/ssh/default HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: ssh-agent\r\n\r\n")
	if _, err := ssh.Read(make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	for i, conn := range []net.Conn{silent, half, reading, waiting, ssh} {
		_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		n, err := io.Copy(io.Discard, conn)
		if nerr, ok := errors.AsType[net.Error](err); ok && nerr.Timeout() || n >= 16<<20 {
			t.Errorf("connection %d: %d bytes, %v", i, n, err)
		}
	}
	if d := time.Since(begin); d > 5*time.Second {
		t.Errorf("closing took %s", d)
	}
	if conn, err := net.Dial("tcp", address); err == nil {
		conn.Close()
		t.Error("it still listens")
	}
	if err := s.Close(); err != nil {
		t.Errorf("closing again: %v", err)
	}
}

// slowSecrets answers a request for another than its own only when it is cancelled.
type slowSecrets struct {
	values
	asked chan bool
}

func (s slowSecrets) Get(ctx context.Context, id string) (secret.Value, error) {
	if v, err := s.values.Get(ctx, id); err == nil {
		return v, nil
	}
	s.asked <- true
	<-ctx.Done()
	return secret.NewValue([]byte("too late")), nil
}

func TestServeAfterClose(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := broker.New(broker.Options{})
	s.Close()
	if err := s.Serve(l); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}

// ring is an agent with one key, and one that fails.
func ring(t *testing.T) broker.Agents {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	keys := agent.NewKeyring()
	if err := keys.Add(agent.AddedKey{PrivateKey: key, Comment: "a test's"}); err != nil {
		t.Fatal(err)
	}
	return func(_ context.Context, id string) (io.ReadWriteCloser, error) {
		switch id {
		case "default":
			here, there := net.Pipe()
			go func() {
				_ = agent.ServeAgent(keys, there)
				there.Close()
			}()
			return here, nil
		case "broken":
			return nil, errors.New("no")
		}
		return nil, broker.ErrNoAgent
	}
}

func TestAgent(t *testing.T) {
	var log journal
	var open atomic.Int32
	agents := ring(t)
	s, address := start(t, broker.Options{Audit: log.add, Agents: func(ctx context.Context, id string) (io.ReadWriteCloser, error) {
		a, err := agents(ctx, id)
		if err == nil {
			open.Add(1)
			a = counted{a, sync.OnceFunc(func() { open.Add(-1) })}
		}
		return a, err
	}})
	useAgent(t, address, s.Ticket())
	if got, want := log.texts(), []string{`ssh "default" 101`}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for deadline := time.Now().Add(10 * time.Second); open.Load() > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the connection to the agent is still open")
		}
	}
}

// counted is a connection whose end is counted.
type counted struct {
	io.ReadWriteCloser
	closed func()
}

func (c counted) Close() error {
	c.closed()
	return c.ReadWriteCloser.Close()
}

func useAgent(t *testing.T, address, ticket string) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	fmt.Fprintf(conn, "GET /%s/ssh/default HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: ssh-agent\r\n\r\n", ticket)
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, nil)
	if err != nil || resp.StatusCode != 101 || resp.Header.Get("Upgrade") != "ssh-agent" {
		t.Fatalf("%v, %v", resp, err)
	}
	keys, err := agent.NewClient(struct {
		io.Reader
		io.Writer
	}{r, conn}).List()
	if err != nil || len(keys) != 1 || keys[0].Comment != "a test's" {
		t.Errorf("%v, %v", keys, err)
	}
}

// TestFiles wants exactly the archives of the build, whatever is asked for.
func TestFiles(t *testing.T) {
	name := filepath.Join(t.TempDir(), "a.tar")
	if err := os.WriteFile(name, []byte("archive"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := broker.New(broker.Options{Files: map[string]string{"src/a": name, "": name}})
	defer s.Close()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = s.Serve(ln) }()
	for path, want := range map[string]int{
		"/" + s.Ticket() + "/bind/src%2Fa": 200, "/" + s.Ticket() + "/bind/": 200, "/" + s.Ticket() + "/bind/src": 404,
		"/" + s.Ticket() + "/bind/..%2F..%2Fetc%2Fpasswd": 404, "/x/bind/src%2Fa": 403,
	} {
		resp, err := http.Get("http://" + ln.Addr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != want || want == 200 && string(body) != "archive" {
			t.Errorf("%s: %d %q, want %d", path, resp.StatusCode, body, want)
		}
	}
}
