package broker

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/hashicorp/yamux"

	"github.com/tightlip/tightlip/broker/shim"
)

// Relay is a listener in another place: where a shim runs as a relay. Its connections come over the relay's standard streams.
type Relay struct {
	session *yamux.Session
	port    int
}

// Port is where the relay listens, on the loopback address of its network.
func (r *Relay) Port() int { return r.port }

// Accept implements net.Listener.
func (r *Relay) Accept() (net.Conn, error) {
	conn, err := r.session.Accept()
	if err != nil {
		return nil, fmt.Errorf("the relay is lost: %w", err)
	}
	return conn, nil
}

// Close ends the relay, and with it all of its connections.
func (r *Relay) Close() error { return r.session.Close() }

// Addr implements net.Listener.
func (r *Relay) Addr() net.Addr { return r.session.Addr() }

// Attach waits until the relay at the other end of rw listens. Closing rw must end its reads. Whatever happens, rw is the relay's
// from then on. A relay that does not answer any more is noticed within 20 seconds: Accept fails then, and all connections do.
func Attach(ctx context.Context, rw io.ReadWriteCloser) (*Relay, error) {
	session, err := yamux.Server(rw, shim.Mux())
	if err != nil {
		rw.Close()
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { session.Close() })
	port, err := hello(session)
	if !stop() {
		err = context.Cause(ctx)
	}
	if err != nil {
		session.Close()
		return nil, fmt.Errorf("waiting for the relay: %w", err)
	}
	return &Relay{session: session, port: port}, nil
}

// hello reads what the relay says first.
func hello(session *yamux.Session) (int, error) {
	control, err := session.AcceptStream()
	if err != nil {
		return 0, err
	}
	defer control.Close()
	line, err := bufio.NewReader(io.LimitReader(control, 4<<10)).ReadBytes('\n')
	if err != nil {
		return 0, err
	}
	var h shim.Hello
	if err := json.Unmarshal(line, &h); err != nil {
		return 0, err
	}
	switch {
	case h.Error != "":
		return 0, errors.New(h.Error)
	case h.Port < 1 || h.Port > 65535:
		return 0, fmt.Errorf("it listens on port %d", h.Port)
	}
	return h.Port, nil
}
