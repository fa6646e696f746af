package shim

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestReadValue(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	for _, tt := range []struct{ response, want, err string }{
		{ok + "Content-Length: 3\r\n\r\nabc", "abc", ""},
		{ok + "X: y\r\ncontent-length:3\r\nDate: today\r\n\r\na\x00c", "a\x00c", ""},
		{ok + "Content-Length: 0\r\n\r\n", "", ""},
		{"HTTP/1.1 200 OK\nContent-Length: 1\n\n\n", "\n", ""},
		{"HTTP/1.1 200\r\nContent-Length: 1\r\n\r\na", "a", ""},
		{"HTTP/1.1 404 Not Found\r\n\r\n", "", "the build has none"},
		{"HTTP/1.1 403 Forbidden\r\n\r\n", "", "does not know this build's ticket"},
		{"HTTP/1.1 206 Partial\r\nContent-Length: 1\r\n\r\na", "", "answered with status 206"},
		{"HTTP/1.1 100 Continue\r\n\r\n" + ok + "Content-Length: 1\r\n\r\na", "", "answered with status 100"},
		{ok + "\r\nabc", "", "has no length"},
		{ok + "Content-Length: 3\r\n\r\nab", "", "sent 2 of 3 bytes"},
		{ok + "Content-Length: 3\r\n\r\n", "", "sent 0 of 3 bytes"},
		{ok + "Content-Length: 1\r\n\r\nab", "", "sent more than 1 bytes"},
		{ok + "Content-Length: -1\r\n\r\n", "", "broken length"},
		{ok + "Content-Length: +1\r\n\r\na", "", "broken length"},
		{ok + "Content-Length: 0x1\r\n\r\na", "", "broken length"},
		{ok + "Content-Length: \r\n\r\na", "", "broken length"},
		{ok + "Content-Length: 99999999999999999999\r\n\r\na", "", "broken length"},
		{ok + fmt.Sprintf("Content-Length: %d\r\n\r\na", maxBody+1), "", "broken length"},
		{ok + "Content-Length: 1\r\nContent-Length: 1\r\n\r\na", "", "broken length"},
		{ok + "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", "", "is encoded"},
		{ok + "Content-Encoding: gzip\r\nContent-Length: 1\r\n\r\na", "", "is encoded"},
		{ok + "no colon\r\n\r\n", "", "broken header"},
		{ok + ": x\r\n\r\n", "", "broken header"},
		{ok + "Content-Length : 1\r\n\r\na", "", "broken header"},
		{ok + " folded: 1\r\n\r\na", "", "broken header"},
		{ok + "Content-Length: 1", "", "unexpected EOF"},
		{"", "", "unexpected EOF"},
		{"HTTP/1.0 200 OK\r\n\r\n", "", "what answers is not tightlip's server"},
		{"HTTP/1.1 +20 OK\r\n\r\n", "", "what answers is not tightlip's server"},
		{"HTTP/1.1 099 OK\r\n\r\n", "", "what answers is not tightlip's server"},
		{"HTTP/1.1 2000 OK\r\n\r\n", "", "what answers is not tightlip's server"},
		{"\x15\x03\x01\x00\x02\x02\n", "", "what answers is not tightlip's server"},
		{ok + strings.Repeat("X: y\r\n", maxHeader/6), "", "too long"},
		{strings.Repeat("x", maxHeader+1), "", "too long"},
	} {
		got, err := readValue(bufio.NewReader(strings.NewReader(tt.response)))
		if string(got) != tt.want || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%.80q: got %q, %v, want %q, %s", tt.response, got, err, tt.want, tt.err)
		}
	}
}

// FuzzReadValue compares with net/http: what the shim takes for a value, it must take, too, and as the same.
func FuzzReadValue(f *testing.F) {
	f.Add("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc")
	f.Add("HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n")
	f.Fuzz(func(t *testing.T, response string) {
		value, err := readValue(bufio.NewReader(strings.NewReader(response)))
		if err != nil {
			if value != nil {
				t.Errorf("%d bytes and the error %v", len(value), err)
			}
			return
		}
		if !strings.HasSuffix(response, string(value)) {
			t.Errorf("%q is not the end of %q", value, response)
		}
		resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(response)), nil)
		if err != nil {
			return // net/http looks at more of the header
		}
		resp.Body.Close()
		if resp.StatusCode != 200 || resp.ContentLength != int64(len(value)) {
			t.Errorf("net/http reads status %d and %d bytes of %q", resp.StatusCode, resp.ContentLength, response)
		}
	})
}

// impatient makes the shim wait for 300 ms only.
func impatient(t *testing.T) {
	before := stall
	stall = 300 * time.Millisecond
	t.Cleanup(func() { stall = before })
}

// serve answers one connection.
func serve(t *testing.T, answer func(net.Conn)) client {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = conn.Read(make([]byte, 4096))
		answer(conn)
	}()
	return client{Address{Port: l.Addr().(*net.TCPAddr).Port, Ticket: "abc"}}
}

func TestSlowResponse(t *testing.T) {
	impatient(t)
	c := serve(t, func(conn net.Conn) {
		for _, b := range []byte("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc") {
			_, _ = conn.Write([]byte{b})
			time.Sleep(20 * time.Millisecond)
		}
	})
	start := time.Now()
	value, err := c.get(t.Context(), Secret, "x")
	if string(value) != "abc" || err != nil {
		t.Errorf("got %q, %v", value, err)
	}
	if d := time.Since(start); d < 2*stall {
		t.Errorf("the test's server is not slow: %s", d)
	}
}

func TestStalledResponse(t *testing.T) {
	impatient(t)
	for _, part := range []string{"", "HTTP/1.1 200", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"} {
		c := serve(t, func(conn net.Conn) {
			_, _ = conn.Write([]byte(part))
			_, _ = conn.Read(make([]byte, 1)) // until the client gives up
		})
		value, err := c.get(t.Context(), Secret, "x")
		if nerr, ok := errors.AsType[net.Error](err); !ok || !nerr.Timeout() || value != nil {
			t.Errorf("%q: got %d bytes, %v", part, len(value), err)
		}
	}
}

func TestFetchCancelled(t *testing.T) {
	c := serve(t, func(conn net.Conn) { _, _ = conn.Read(make([]byte, 1)) })
	gone := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(50*time.Millisecond, func() { cancel(gone) })
	if _, err := c.get(ctx, Secret, "x"); !errors.Is(err, gone) {
		t.Errorf("got %v", err)
	}
}

// TestAgentWaits checks that the time limit ends with the response's header: agents ask their users.
func TestAgentWaits(t *testing.T) {
	impatient(t)
	c := serve(t, func(conn net.Conn) {
		_, _ = conn.Write([]byte("HTTP/1.1 101 Switching Protocols\r\nUpgrade: ssh-agent\r\n\r\nearly"))
		time.Sleep(3 * stall)
		_, _ = conn.Write([]byte(" late"))
	})
	conn, from, err := c.agent(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	buf := make([]byte, 10)
	for n := 0; n < len(buf); {
		m, err := from.Read(buf[n:])
		if err != nil {
			t.Fatal(err)
		}
		n += m
	}
	if string(buf) != "early late" {
		t.Errorf("got %q", buf)
	}
}
