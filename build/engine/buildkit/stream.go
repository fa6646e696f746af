package buildkit

import (
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/moby/buildkit/session/sshforward"
	"github.com/tightlip/tightlip/broker/shim"
)

// streamConn is a connection over a stream of messages. What is written is gathered while a message is on its way: what one costs hardly
// depends on its size.
type streamConn struct {
	stream sshforward.SSH_ForwardAgentServer
	closed chan struct{} // when all that was written before Close is sent

	reads    chan []byte // closed at the end
	rest     []byte
	deadline *deadline

	mu      sync.Mutex
	changed *sync.Cond
	pending []byte
	closing bool
	err     error
}

func newStreamConn(stream sshforward.SSH_ForwardAgentServer) *streamConn {
	c := &streamConn{stream: stream, closed: make(chan struct{}), reads: make(chan []byte, 4), deadline: newDeadline()}
	c.changed = sync.NewCond(&c.mu)
	go c.receive()
	go c.send()
	return c
}

func (c *streamConn) receive() {
	defer close(c.reads)
	for {
		var m sshforward.BytesMessage
		if err := c.stream.RecvMsg(&m); err != nil {
			return
		}
		select {
		case c.reads <- m.Data:
		case <-c.closed:
			return
		}
	}
}

// Read implements net.Conn.
func (c *streamConn) Read(b []byte) (int, error) {
	for len(c.rest) == 0 {
		select {
		case data, ok := <-c.reads:
			if !ok {
				return 0, io.EOF
			}
			c.rest = data
		case <-c.closed:
			return 0, net.ErrClosed
		case <-c.deadline.wait():
			return 0, errDeadline
		}
	}
	n := copy(b, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

// errDeadline is what net has for it.
var errDeadline error = &net.OpError{Op: "read", Net: "stream", Err: os.ErrDeadlineExceeded}

// maxMessage is, in bytes, what old BuildKits take in one message, with room to spare.
const maxMessage = 1 << 20

// Write implements net.Conn.
func (c *streamConn) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for n := 0; n < len(b); {
		for len(c.pending) >= maxMessage && c.err == nil && !c.closing {
			c.changed.Wait()
		}
		switch {
		case c.err != nil:
			return n, c.err
		case c.closing:
			return n, net.ErrClosed
		}
		more := b[n:min(len(b), n+maxMessage-len(c.pending))]
		c.pending = append(c.pending, more...)
		n += len(more)
		c.changed.Broadcast()
	}
	return len(b), nil
}

// send sends what is written.
func (c *streamConn) send() {
	defer close(c.closed)
	var spare []byte
	for {
		c.mu.Lock()
		for len(c.pending) == 0 && !c.closing {
			c.changed.Wait()
		}
		data := c.pending
		c.pending = spare[:0]
		c.changed.Broadcast()
		c.mu.Unlock()
		if len(data) == 0 {
			return
		}
		if err := c.stream.SendMsg(&sshforward.BytesMessage{Data: data}); err != nil {
			c.mu.Lock()
			c.err = err
			c.changed.Broadcast()
			c.mu.Unlock()
			return
		}
		spare = data
	}
}

// Close implements net.Conn. It ends the stream when everything is sent.
func (c *streamConn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closing = true
	c.changed.Broadcast()
	return nil
}

// CloseWrite ends the stream: this end of one cannot be closed by half, and what was written is on its way.
func (c *streamConn) CloseWrite() error { return c.Close() }

// LocalAddr implements net.Conn.
func (c *streamConn) LocalAddr() net.Addr { return &net.UnixAddr{Name: shim.Forward, Net: "unix"} }

// RemoteAddr implements net.Conn.
func (c *streamConn) RemoteAddr() net.Addr { return c.LocalAddr() }

// SetDeadline implements net.Conn. Only reads have one: the stream's own flow control bounds writes.
func (c *streamConn) SetDeadline(t time.Time) error { return c.SetReadDeadline(t) }

// SetWriteDeadline implements net.Conn.
func (c *streamConn) SetWriteDeadline(time.Time) error { return nil }

// SetReadDeadline implements net.Conn.
func (c *streamConn) SetReadDeadline(t time.Time) error {
	c.deadline.set(t)
	return nil
}

// deadline ends waiting, also that which began before it was set.
type deadline struct {
	mu    sync.Mutex
	timer *time.Timer
	over  chan struct{}
}

func newDeadline() *deadline { return &deadline{over: make(chan struct{})} }

func (d *deadline) wait() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.over
}

func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil && !d.timer.Stop() {
		<-d.over // it is being closed
	}
	d.timer = nil
	over := false
	select {
	case <-d.over:
		over = true
	default:
	}
	left := time.Until(t)
	switch {
	case !t.IsZero() && left <= 0 && !over:
		close(d.over)
	case !t.IsZero() && left <= 0:
	case over:
		d.over = make(chan struct{})
	}
	if !t.IsZero() && left > 0 {
		ended := d.over
		d.timer = time.AfterFunc(left, func() { close(ended) })
	}
}
