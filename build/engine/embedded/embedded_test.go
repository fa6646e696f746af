package embedded

import (
	"context"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// serveHolders runs the holding side of an engine.
func serveHolders(t *testing.T, patience time.Duration) (h *holders, socket string) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "hold.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	h = newHolders(patience)
	go h.serve(l, func() error { return nil })
	return h, socket
}

func idle(h *holders, within time.Duration) bool {
	select {
	case <-h.idle:
		return true
	case <-time.After(within):
		return false
	}
}

func TestHoldersStopWithTheLast(t *testing.T) {
	h, socket := serveHolders(t, time.Minute)
	first, err := hold(t.Context(), socket, 0)
	if err != nil {
		t.Fatal(err)
	}
	second, err := hold(t.Context(), socket, 0)
	if err != nil {
		t.Fatal(err)
	}
	first.Close()
	if idle(h, 50*time.Millisecond) {
		t.Fatal("it stops while somebody holds it")
	}
	second.Close()
	if !idle(h, 5*time.Second) {
		t.Fatal("it does not stop although nobody holds it")
	}
}

func TestHoldersKeep(t *testing.T) {
	h, socket := serveHolders(t, time.Minute)
	c, err := hold(t.Context(), socket, 200*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if idle(h, 50*time.Millisecond) {
		t.Error("it stops before its keep time")
	}
	if !idle(h, 5*time.Second) {
		t.Error("it does not stop after its keep time")
	}
}

func TestHoldersPatience(t *testing.T) {
	if h, _ := serveHolders(t, 20*time.Millisecond); !idle(h, 5*time.Second) {
		t.Error("an engine that nobody comes to hold does not stop")
	}
}

func TestHoldersIgnoreStrangers(t *testing.T) {
	h, socket := serveHolders(t, time.Minute)
	c, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write([]byte("no greeting\n")); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("it answers what is no greeting")
	}
	if idle(h, 20*time.Millisecond) {
		t.Error("a stranger stops it")
	}
}

func TestDefaultRunDirFitsASocket(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", "/"+strings.Repeat("r", 100))
	a, b := defaultRunDir("/"+strings.Repeat("s", 100)+"/a"), defaultRunDir("/"+strings.Repeat("s", 100)+"/b")
	if a == b {
		t.Error("two states share a run folder")
	}
	if o := (Options{RunDir: a}); len(o.controlSocket()) > 107 {
		t.Errorf("the socket's path %s is too long", o.controlSocket())
	}
}

// TestHoldGivesUp: an engine that was stopped, in a debugger perhaps, accepts and says nothing.
func TestHoldGivesUp(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "hold.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := hold(ctx, socket, 0); err == nil {
		t.Error("it holds an engine that never answered")
	}
}

// TestHoldersRefuseAtTheEnd: who comes when the engine stops has to start another.
func TestHoldersRefuseAtTheEnd(t *testing.T) {
	h, socket := serveHolders(t, time.Millisecond)
	if !idle(h, 5*time.Second) {
		t.Fatal("it does not stop")
	}
	if _, err := hold(t.Context(), socket, 0); err == nil {
		t.Error("an engine that stops was held")
	}
}
