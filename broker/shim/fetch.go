package shim

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// Bounds of a response. net/http would do the same and make the shim twice as large.
const (
	maxHeader = 16 << 10
	maxBody   = 64 << 20
)

// stall is how long the server may take for the next bytes.
var stall = 30 * time.Second

var errNotFound = errors.New("the build has none")

// client asks the server for things, each over a connection of its own.
type client struct{ server Address }

// get returns a secret's value, or the archive of a path in the build context, or errNotFound.
func (c client) get(ctx context.Context, kind Kind, id string) ([]byte, error) {
	var value []byte
	err := c.exchange(ctx, "GET", c.server.path(kind, id), "close", func(r *bufio.Reader) (err error) {
		value, err = readValue(r)
		return err
	})
	return value, err
}

// hasAgent returns errNotFound if the build has no SSH agent with that id.
func (c client) hasAgent(ctx context.Context, id string) error {
	return c.exchange(ctx, "HEAD", c.server.path(SSH, id), "close", func(r *bufio.Reader) error {
		h, err := readHeader(r)
		if err != nil {
			return err
		}
		return h.want(200)
	})
}

// agent connects to an SSH agent. The reader holds what came behind the response's header.
func (c client) agent(ctx context.Context, id string) (net.Conn, *bufio.Reader, error) {
	return c.stream(ctx, SSH, id, Upgrade)
}

// stream connects to what speaks a protocol of its own behind the response's header.
func (c client) stream(ctx context.Context, kind Kind, id, protocol string) (net.Conn, *bufio.Reader, error) {
	conn, err := c.dial(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	p := &patient{Conn: conn}
	from := bufio.NewReader(p)
	if err := c.upgrade(conn, from, kind, id, protocol); err != nil {
		conn.Close()
		return nil, nil, err
	}
	p.forever = true
	return conn, from, conn.SetDeadline(time.Time{})
}

// upgrade makes a connection to the server one of another protocol.
func (c client) upgrade(conn net.Conn, from *bufio.Reader, kind Kind, id, protocol string) error {
	if err := c.request(conn, "GET", c.server.path(kind, id), "Upgrade\r\nUpgrade: "+protocol); err != nil {
		return err
	}
	h, err := readHeader(from)
	if err != nil {
		return err
	}
	return h.want(101)
}

// exchange sends a request and reads the response.
func (c client) exchange(ctx context.Context, method, path, connection string, read func(*bufio.Reader) error) error {
	conn, err := c.dial(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	err = c.request(conn, method, path, connection)
	if err == nil {
		err = read(bufio.NewReader(&patient{Conn: conn}))
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

func (c client) dial(ctx context.Context) (net.Conn, error) {
	d := net.Dialer{Timeout: stall}
	conn, err := d.DialContext(ctx, "tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(c.server.Port)))
	if err != nil {
		return nil, fmt.Errorf("connecting to tightlip's server: %w", err)
	}
	return conn, nil
}

func (c client) request(conn net.Conn, method, path, connection string) error {
	if err := conn.SetDeadline(time.Now().Add(stall)); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: tightlip\r\nConnection: %s\r\n\r\n", method, path, connection); err != nil {
		return fmt.Errorf("asking tightlip's server: %w", err)
	}
	return nil
}

// patient reads with a new deadline each time: what makes progress may take as long as it needs.
type patient struct {
	net.Conn
	forever bool
}

func (p *patient) Read(b []byte) (int, error) {
	if p.forever {
		return p.Conn.Read(b)
	}
	if err := p.SetReadDeadline(time.Now().Add(stall)); err != nil {
		return 0, err
	}
	return p.Conn.Read(b)
}

// header is what the shim needs of a response's header.
type header struct {
	status int
	length int64 // -1 if there is none
}

// want is an error unless the response has a status.
func (h header) want(status int) error {
	switch h.status {
	case status:
		return nil
	case 404:
		return errNotFound
	case 403:
		return errors.New("tightlip's server does not know this build's ticket")
	}
	return fmt.Errorf("tightlip's server answered with status %d", h.status)
}

// readValue reads a response and all of its body.
func readValue(r *bufio.Reader) ([]byte, error) {
	h, err := readHeader(r)
	if err != nil {
		return nil, err
	}
	if err := h.want(200); err != nil {
		return nil, err
	}
	if h.length < 0 {
		return nil, errors.New("the response of tightlip's server has no length")
	}
	value := make([]byte, h.length)
	if n, err := io.ReadFull(r, value); err != nil {
		return nil, fmt.Errorf("tightlip's server sent %d of %d bytes: %w", n, h.length, err)
	}
	if _, err := r.ReadByte(); err == nil {
		return nil, fmt.Errorf("tightlip's server sent more than %d bytes", h.length)
	}
	return value, nil
}

// readHeader reads a response up to its body.
func readHeader(r *bufio.Reader) (header, error) {
	h := header{length: -1}
	left := maxHeader
	line, err := readLine(r, &left)
	if err != nil {
		return h, err
	}
	if h.status, err = parseStatus(line); err != nil {
		return h, err
	}
	for {
		line, err := readLine(r, &left)
		if err != nil || line == "" {
			return h, err
		}
		if err := h.add(line); err != nil {
			return h, err
		}
	}
}

// add takes one field of the header in.
func (h *header) add(line string) error {
	name, value, ok := strings.Cut(line, ":")
	if !ok || name == "" || strings.ContainsAny(name, " \t") {
		return errors.New("the response of tightlip's server has a broken header")
	}
	switch strings.ToLower(name) {
	case "transfer-encoding", "content-encoding":
		return errors.New("the response of tightlip's server is encoded")
	case "content-length":
		n, err := strconv.ParseUint(strings.Trim(value, " \t"), 10, 63)
		if err != nil || h.length >= 0 || n > maxBody {
			return errors.New("the response of tightlip's server has a broken length")
		}
		h.length = int64(n)
	}
	return nil
}

func parseStatus(line string) (int, error) {
	rest, ok := strings.CutPrefix(line, "HTTP/1.1 ")
	code, _, _ := strings.Cut(rest, " ")
	n, err := strconv.ParseUint(code, 10, 16)
	if !ok || len(code) != 3 || err != nil || n < 100 {
		return 0, errors.New("what answers is not tightlip's server")
	}
	return int(n), nil
}

// readLine reads a line of the header, within what is left of the header's limit.
func readLine(r *bufio.Reader, left *int) (string, error) {
	var line []byte
	for {
		c, err := r.ReadByte()
		if err != nil {
			return "", fmt.Errorf("reading the response of tightlip's server: %w", noEOF(err))
		}
		if *left--; *left < 0 {
			return "", errors.New("the response of tightlip's server has a header that is too long")
		}
		if c == '\n' {
			return strings.TrimSuffix(string(line), "\r"), nil
		}
		line = append(line, c)
	}
}

func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
