package gate

import (
	"bytes"
	"errors"
	"net"
	"net/url"
	"strings"
)

// maxHead bounds, in bytes, the request line and the headers of a request.
const maxHead = 64 << 10

// strictConn is a client's connection on which each request has one meaning. It follows the framing of HTTP/1 in what is read,
// and ends the connection where servers differ in how they read it: a request in front of a proxy must not become two behind it.
type strictConn struct {
	net.Conn
	f       framing
	refused func(error) // called once; nil: nobody listens
	err     error
}

// Read implements net.Conn. Of a head that is refused, the end is never passed on.
func (c *strictConn) Read(p []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	n, err := c.Conn.Read(p)
	if ferr := c.f.feed(p[:n]); ferr != nil {
		c.err = ferr
		if c.refused != nil {
			c.refused(ferr)
		}
		return 0, ferr
	}
	return n, err
}

// CloseWrite passes on that a tunnel's other end has no more to say.
func (c *strictConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// Errors of framing. They quote nothing of the request.
var (
	errHeadSize  = errors.New("the head of a request is too large")
	errHead      = errors.New("the head of a request is malformed")
	errLength    = errors.New("the length of a request can be read in two ways")
	errChunk     = errors.New("a chunk of a request is malformed")
	errTrailer   = errors.New("a request has trailers")
	errHostTwice = errors.New("the Host header is not the host of the request line")
)

// framing follows one connection.
type framing struct {
	state frameState
	line  []byte // of the head, or of a chunk's size
	left  int64  // of a body or a chunk
}

type frameState int

const (
	inHead frameState = iota
	inBody
	inChunkSize
	inChunk
	afterChunk
	afterLastChunk
	inTunnel // anything goes: it is no HTTP
)

// feed takes the next bytes of the connection.
func (f *framing) feed(p []byte) error {
	for len(p) > 0 {
		n, err := f.step(p)
		if err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}

// step takes some bytes, at least one.
func (f *framing) step(p []byte) (int, error) {
	switch f.state {
	case inHead:
		return f.head(p)
	case inBody, inChunk:
		n := int(min(int64(len(p)), f.left))
		if f.left -= int64(n); f.left == 0 {
			f.state = map[frameState]frameState{inBody: inHead, inChunk: afterChunk}[f.state]
		}
		return n, nil
	case inTunnel:
		return len(p), nil
	}
	return f.chunkLine(p)
}

// head collects up to the empty line.
func (f *framing) head(p []byte) (int, error) {
	from := max(0, len(f.line)-3)
	before := len(f.line)
	f.line = append(f.line, p...)
	end := bytes.Index(f.line[from:], []byte("\r\n\r\n"))
	if end < 0 {
		if len(f.line) > maxHead {
			return 0, errHeadSize
		}
		return len(p), nil
	}
	head := f.line[:from+end+2]
	taken := from + end + 4 - before
	err := f.begin(head)
	f.line = f.line[:0]
	return taken, err
}

// chunkLine collects the line of a chunk's size, or the end of a chunk.
func (f *framing) chunkLine(p []byte) (int, error) {
	f.line = append(f.line, p[0])
	if p[0] != '\n' {
		if len(f.line) > 1<<10 {
			return 0, errChunk
		}
		return 1, nil
	}
	line, ok := bytes.CutSuffix(f.line, []byte("\r\n"))
	if !ok || bytes.IndexByte(line, '\r') >= 0 {
		return 0, errChunk
	}
	f.line = f.line[:0]
	return 1, f.chunkEnd(string(line))
}

func (f *framing) chunkEnd(line string) error {
	switch {
	case f.state == inChunkSize:
		size, _, _ := strings.Cut(line, ";")
		n, ok := number(size, 16)
		if !ok {
			return errChunk
		}
		f.left = n
		f.state = inChunk
		if n == 0 {
			f.state = afterLastChunk
		}
	case line != "" && f.state == afterLastChunk:
		return errTrailer
	case line != "":
		return errChunk
	case f.state == afterChunk:
		f.state = inChunkSize
	default:
		f.state = inHead
	}
	return nil
}

// number reads digits alone, of a number that is well within an int64.
func number(s string, base int64) (int64, bool) {
	if s == "" || len(s) > 14 {
		return 0, false
	}
	var n int64
	for _, c := range []byte(s) {
		if !isHex(c) || int64(unhex(c)) >= base {
			return 0, false
		}
		n = n*base + int64(unhex(c))
	}
	return n, true
}

// headFields is what framing depends on.
type headFields struct {
	method, target, version string
	lengths, codings, hosts []string
}

// begin reads a head, and says what follows it.
func (f *framing) begin(head []byte) error {
	h, err := parseHead(head)
	if err != nil {
		return err
	}
	if err := h.checkHost(); err != nil {
		return err
	}
	switch {
	case len(h.codings) > 0:
		if len(h.codings) > 1 || len(h.lengths) > 0 || h.version != "HTTP/1.1" || !strings.EqualFold(h.codings[0], "chunked") {
			return errLength
		}
		f.state = inChunkSize
	case len(h.lengths) > 1:
		return errLength
	case len(h.lengths) == 1:
		n, ok := number(h.lengths[0], 10)
		if !ok {
			return errLength
		}
		if f.left = n; n > 0 {
			f.state = inBody
		}
	}
	if h.method == "CONNECT" {
		if f.state != inHead {
			return errLength
		}
		f.state = inTunnel
	}
	return nil
}

// parseHead is stricter than net/http: no bare line ends, no folded lines, nothing but a token before a colon.
func parseHead(head []byte) (h headFields, err error) {
	lines := strings.Split(strings.TrimSuffix(string(head), "\r\n"), "\r\n")
	request := strings.Split(lines[0], " ")
	if len(request) != 3 || !isToken(request[0]) || request[1] == "" || request[2] != "HTTP/1.1" && request[2] != "HTTP/1.0" {
		return h, errHead
	}
	h.method, h.target, h.version = request[0], request[1], request[2]
	for i, line := range lines {
		if strings.ContainsAny(line, "\r\n\x00") {
			return h, errHead
		}
		if i == 0 {
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || !isToken(name) {
			return h, errHead
		}
		value = strings.Trim(value, " \t")
		switch strings.ToLower(name) {
		case "content-length":
			h.lengths = append(h.lengths, value)
		case "transfer-encoding":
			h.codings = append(h.codings, value)
		case "host":
			h.hosts = append(h.hosts, value)
		}
	}
	return h, nil
}

// checkHost wants one host. A target with a host of its own must have the same.
func (h *headFields) checkHost() error {
	if len(h.hosts) > 1 || len(h.hosts) == 0 && h.version == "HTTP/1.1" {
		return errHostTwice
	}
	if len(h.hosts) == 1 && strings.ContainsAny(h.hosts[0], "@/\\?#%,; \t\"<>") {
		return errHead
	}
	if strings.HasPrefix(h.target, "/") || h.target == "*" || h.method == "CONNECT" {
		return nil
	}
	u, err := url.Parse(h.target)
	if err != nil || u.Host == "" {
		return errHead
	}
	if len(h.hosts) == 1 && !originOf(u).matchesHost(h.hosts[0]) {
		return errHostTwice
	}
	return nil
}

// isToken is for the names of methods and headers.
func isToken(s string) bool {
	for _, c := range []byte(s) {
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return false
		}
	}
	return s != ""
}

// strictListener makes strict connections.
type strictListener struct {
	net.Listener
	refused func(error)
}

// Accept implements net.Listener.
func (l strictListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &strictConn{Conn: conn, refused: l.refused}, nil
}
