package embedded

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"
)

// greeting is what a holder says first, as one line of JSON. The engine answers with one line:
// "ready", or "error: " and why it cannot serve.
type greeting struct {
	Keep time.Duration `json:"keep"`
}

// holders counts who holds the engine and says when the last one has gone.
type holders struct {
	mu    sync.Mutex
	n     int
	keep  time.Duration
	timer *time.Timer
	idle  chan struct{} // closed when the engine has to stop
}

// newHolders gives the first holder some time to come.
func newHolders(patience time.Duration) *holders {
	h := &holders{idle: make(chan struct{})}
	h.timer = time.AfterFunc(patience, h.stop)
	return h
}

func (h *holders) stop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.n == 0 {
		select {
		case <-h.idle:
		default:
			close(h.idle)
		}
	}
}

// add fails if the engine is about to stop.
func (h *holders) add(keep time.Duration) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	select {
	case <-h.idle:
		return false
	default:
	}
	h.n++
	h.keep = keep
	h.timer.Stop()
	return true
}

// remove reports whether the engine stops now.
func (h *holders) remove() bool {
	h.mu.Lock()
	h.n--
	last, keep := h.n == 0, h.keep
	h.mu.Unlock()
	if !last {
		return false
	}
	if keep > 0 {
		h.timer.Reset(keep)
		return false
	}
	h.stop()
	return true
}

// serve answers holders on l until l is closed. ready yields nil or why the engine cannot serve.
func (h *holders) serve(l net.Listener, ready func() error) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go h.answer(c, ready)
	}
}

// answer keeps c open for as long as the holder does. If the engine stops with this holder, c stays open until
// the process ends, so that the holder can wait for that.
func (h *holders) answer(c net.Conn, ready func() error) {
	r := bufio.NewReader(c)
	line, err := r.ReadString('\n')
	var g greeting
	if err != nil || json.Unmarshal([]byte(line), &g) != nil {
		c.Close()
		return
	}
	if !h.add(g.Keep) {
		c.Close()
		return
	}
	if err := ready(); err != nil {
		fmt.Fprintf(c, "error: %s\n", strings.ReplaceAll(err.Error(), "\n", " "))
	} else {
		fmt.Fprintln(c, "ready")
	}
	_, _ = r.ReadByte() // returns when the holder lets go or dies
	if !h.remove() {
		c.Close()
	}
}

// hold takes hold of the engine behind the socket. It gives up when ctx ends.
func hold(ctx context.Context, socket string, keep time.Duration) (_ *net.UnixConn, err error) {
	c, err := (&net.Dialer{}).DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Now()) })
	defer func() {
		if !stop() && err == nil {
			c.Close()
			err = context.Cause(ctx)
		}
	}()
	line, err := json.Marshal(greeting{Keep: keep})
	if err != nil {
		return nil, err
	}
	if _, err := c.Write(append(line, '\n')); err != nil {
		c.Close()
		return nil, err
	}
	answer, err := bufio.NewReader(c).ReadString('\n')
	switch answer = strings.TrimSpace(answer); {
	case err != nil:
		c.Close()
		return nil, err
	case answer != "ready":
		c.Close()
		return nil, &startError{errors.New(strings.TrimPrefix(answer, "error: "))}
	}
	return c.(*net.UnixConn), nil
}

// startError is an engine's own word on why it cannot serve: waiting longer does not help.
type startError struct{ error }

func (e *startError) Unwrap() error { return e.error }
