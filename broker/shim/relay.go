package shim

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/yamux"
)

// Hello is the first line that a relay writes, on a stream of its own.
type Hello struct {
	Port  int    `json:"port,omitempty"`
	Error string `json:"error,omitempty"` // why it does not listen
}

// Mux is the configuration of both sides of a relay. A peer that does not answer is given up within 20 seconds.
func Mux() *yamux.Config {
	c := yamux.DefaultConfig()
	c.KeepAliveInterval = 10 * time.Second
	c.ConnectionWriteTimeout = 10 * time.Second
	c.LogOutput = io.Discard
	return c
}

// ErrLost is how a relay ends whose other side has gone.
var ErrLost = errors.New("the connection to tightlip is lost")

// Relay listens on an address and carries every connection over rw, to where broker.Attach accepts it. It ends with an error:
// when the other side is gone, when ctx ends, or after the deadline. The connections end with it.
func Relay(ctx context.Context, listen string, rw io.ReadWriteCloser, deadline time.Duration) error {
	ctx, cancel := context.WithTimeoutCause(ctx, deadline, fmt.Errorf("the relay ends after %s", deadline))
	defer cancel()
	session, err := yamux.Client(rw, Mux())
	if err != nil {
		return err
	}
	defer session.Close()
	l, err := listenAndSay(listen, session)
	if err != nil {
		return err
	}
	go func() {
		select {
		case <-ctx.Done():
		case <-session.CloseChan():
		}
		l.Close()
	}()
	var conns sync.WaitGroup
	accept := RootOnly(l)
	for {
		conn, err := accept.Accept()
		if err != nil {
			session.Close()
			conns.Wait()
			return ended(ctx, session, err)
		}
		conns.Go(func() { forward(session, conn) })
	}
}

// ended is why a relay accepts no more.
func ended(ctx context.Context, session *yamux.Session, err error) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case session.IsClosed() && errors.Is(err, net.ErrClosed):
		return ErrLost
	}
	return err
}

// listenAndSay listens, and tells the other side on which port, or why not.
func listenAndSay(address string, session *yamux.Session) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	hello := Hello{}
	if err != nil {
		hello.Error = err.Error()
	} else {
		hello.Port = l.Addr().(*net.TCPAddr).Port
	}
	if sayErr := say(session, hello); sayErr != nil && err == nil {
		l.Close()
		return nil, fmt.Errorf("%w: %w", ErrLost, sayErr)
	}
	return l, err
}

func say(session *yamux.Session, hello Hello) error {
	control, err := session.Open()
	if err != nil {
		return err
	}
	defer control.Close()
	line, err := json.Marshal(hello)
	if err != nil {
		return err
	}
	_, err = control.Write(append(line, '\n'))
	if err == nil && hello.Error != "" {
		// This process is about to end. The other side fails at its first write then, unless it has read why by that time.
		_ = control.SetReadDeadline(time.Now().Add(2 * time.Second))
		_, _ = io.Copy(io.Discard, control)
	}
	return err
}

// forward carries one connection.
func forward(session *yamux.Session, conn net.Conn) {
	defer conn.Close()
	stream, err := session.Open()
	if err != nil {
		return
	}
	defer stream.Close()
	Join(conn, stream, stream)
}

// Join copies both ways between a connection and another one, of which bytes may have been read already. It ends when
// the other side has nothing more to say, and closes both then. A side that only ends its own half does not end the other.
func Join(conn, other io.ReadWriteCloser, from io.Reader) {
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(other, conn)
		closeWrite(other)
	})
	_, _ = io.Copy(conn, from)
	conn.Close()
	other.Close()
	back.Wait()
}

// Ahead is a connection of which more was read than its next reader knows.
type Ahead struct {
	net.Conn
	From *bufio.Reader
}

// Read implements net.Conn.
func (a Ahead) Read(p []byte) (int, error) { return a.From.Read(p) }

// CloseWrite ends one half of the connection, if it has halves.
func (a Ahead) CloseWrite() error {
	if half, ok := a.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// closeWrite ends one half of a connection. With yamux, Close does that.
func closeWrite(c io.Closer) {
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
		return
	}
	_ = c.Close()
}
