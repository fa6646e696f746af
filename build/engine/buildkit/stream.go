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

// streamConn is a connection over a stream of messages. It writes large ones: what a message costs does not depend on its size.
type streamConn struct {
	stream sshforward.SSH_ForwardAgentServer
	closed chan struct{}
	once   sync.Once

	reads chan []byte // closed at the end
	rest  []byte
	write sync.Mutex

	deadline *deadline
}

func newStreamConn(stream sshforward.SSH_ForwardAgentServer) *streamConn {
	c := &streamConn{stream: stream, closed: make(chan struct{}), reads: make(chan []byte, 4), deadline: newDeadline()}
	go c.receive()
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
	c.write.Lock()
	defer c.write.Unlock()
	n := 0
	for n < len(b) {
		select {
		case <-c.closed:
			return n, net.ErrClosed
		default:
		}
		piece := b[n:min(len(b), n+maxMessage)]
		if err := c.stream.SendMsg(&sshforward.BytesMessage{Data: piece}); err != nil {
			return n, err
		}
		n += len(piece)
	}
	return n, nil
}

// Close implements net.Conn. It ends the stream.
func (c *streamConn) Close() error {
	c.once.Do(func() { close(c.closed) })
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
