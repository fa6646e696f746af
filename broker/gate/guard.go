package gate

import (
	"bufio"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/tightlip/tightlip/internal/redact"
	"github.com/tightlip/tightlip/proof"
)

// Errors of responses that are not passed on.
var (
	errLeak     = errors.New("the response holds the credential")
	errCoding   = errors.New("the response is in an encoding that cannot be searched")
	errUnzip    = errors.New("the response says gzip and is not")
	errHeldBack = errors.New("the response unpacks to nothing for too long")
)

// chunk is how much of a body is looked at in one go, in bytes.
const chunk = 64 << 10

// strictly is how many bytes of a body, from its beginning, are searched also for encodings that are broken into lines in odd
// places. That costs more; what reflects requests is short.
const strictly = 256 << 10

// guard passes a body on as long as no credential is in it, in any encoding. What may be the beginning of one is held back.
type guard struct {
	src     io.Reader
	needles *proof.Needles
	scanner *proof.Scanner
	masker  *proof.Masker // nil after so many bytes
	seen    int64
	buf     []byte
	held    []byte
	next    []byte // of held, what may be passed on
	hit     bool
	err     error
}

// newGuard guards a body of some size in bytes; a negative one is unknown.
func newGuard(src io.Reader, needles *proof.Needles, size int64) *guard {
	g := &guard{src: src, needles: needles, buf: make([]byte, bufferFor(size))}
	g.scanner = needles.NewScanner(func(proof.Hit) { g.hit = true })
	g.masker = needles.NewMasker(g.mark)
	return g
}

// bufferFor is how large a buffer a body needs, in bytes.
func bufferFor(size int64) int64 {
	if size < 0 {
		return chunk
	}
	return min(max(size+1, 512), chunk)
}

func (g *guard) mark(_ []byte, masked bool) { g.hit = g.hit || masked }

// Read implements io.Reader. It returns errLeak in place of the bytes that hold a credential and all that follow.
func (g *guard) Read(p []byte) (int, error) {
	for len(g.next) == 0 {
		if g.err != nil {
			return 0, g.err
		}
		g.fill()
	}
	n := copy(p, g.next)
	g.next = g.next[n:]
	return n, nil
}

func (g *guard) fill() {
	n, err := g.src.Read(g.buf)
	g.search(g.buf[:n], err == io.EOF)
	if g.hit {
		err = errLeak
	}
	g.err = err
	switch keep := max(0, g.needles.MaxLen()-1); {
	case g.hit || err != nil && err != io.EOF:
		g.held = nil
	case err == io.EOF:
		g.next = g.held
	case len(g.held) > keep:
		g.next = g.held[:len(g.held)-keep]
	}
}

// search looks at the next bytes, and holds them with what was held before.
func (g *guard) search(p []byte, end bool) {
	if n := len(g.held) - g.needles.MaxLen() + 1; n > 0 && g.seen > 0 {
		g.held = g.held[:copy(g.held, g.held[n:])] // the rest was passed on
	}
	g.held = append(g.held, p...)
	g.seen += int64(len(p))
	_, _ = g.scanner.Write(p)
	if g.masker != nil {
		_, _ = g.masker.Write(p)
	}
	if end {
		g.searchEnd()
	} else if g.seen > strictly {
		g.masker = nil
	}
}

// searchEnd looks for the first part of a credential at the end.
func (g *guard) searchEnd() {
	if g.masker == nil {
		g.masker = g.needles.NewMasker(g.mark)
		_, _ = g.masker.Write(g.held)
	}
	g.masker.Flush()
}

// unzipGuard looks into gzip and passes on what it was made of. Compressed bytes go once what they unpack to was looked at and
// no credential begins in it.
type unzipGuard struct {
	src     *bufio.Reader
	needles *proof.Needles
	must    bool // it is an error if it is no gzip
	zr      *gzip.Reader
	look    *guard // over zr; it only looks. nil before the first bytes
	tape    []byte // compressed bytes not yet passed on
	ready   int    // of tape
	marks   []mark
	zipped  int64 // bytes read
	bytes   int64 // unpacked
	looked  int64 // of those, in which no credential begins
	plain   bool  // it is no gzip, or not any more
	err     error
	skip    [1]byte
}

// mark is a place: so many compressed bytes make so many.
type mark struct{ zipped, bytes int64 }

// maxTape bounds the compressed bytes held back: gzip with nothing in it may be long.
const maxTape = 4 << 20

func newUnzipGuard(src io.Reader, needles *proof.Needles, size int64, must bool) *unzipGuard {
	return &unzipGuard{src: bufio.NewReaderSize(src, int(bufferFor(size))), needles: needles, must: must}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// tap is what gzip reads from: it keeps what was read.
type tap struct{ u *unzipGuard }

// ReadByte implements io.ByteReader, which keeps gzip from reading ahead.
func (t tap) ReadByte() (byte, error) {
	if len(t.u.tape) > maxTape {
		return 0, errHeldBack
	}
	b, err := t.u.src.ReadByte()
	if err == nil {
		t.u.tape = append(t.u.tape, b)
		t.u.zipped++
	}
	return b, err
}

// Read implements io.Reader.
func (t tap) Read(p []byte) (int, error) {
	if len(t.u.tape) > maxTape {
		return 0, errHeldBack
	}
	n, err := t.u.src.Read(p)
	t.u.tape = append(t.u.tape, p[:n]...)
	t.u.zipped += int64(n)
	return n, err
}

// unzip reads unpacked bytes.
func (u *unzipGuard) unzip(p []byte) (int, error) {
	if u.zr == nil {
		zr, err := gzip.NewReader(tap{u})
		if err != nil {
			return 0, err
		}
		u.zr = zr
	}
	n, err := u.zr.Read(p)
	u.bytes += int64(n)
	u.marks = append(u.marks, mark{u.zipped, u.bytes})
	return n, err
}

// Read implements io.Reader.
func (u *unzipGuard) Read(p []byte) (int, error) {
	for u.ready == 0 {
		switch {
		case u.err != nil:
			return 0, u.err
		case u.plain:
			return u.src.Read(p)
		}
		u.advance()
	}
	n := copy(p, u.tape[:u.ready])
	u.tape = u.tape[:copy(u.tape, u.tape[n:])]
	u.ready -= n
	return n, nil
}

// advance unpacks some more.
func (u *unzipGuard) advance() {
	if !u.begins() {
		return
	}
	n, err := u.look.Read(u.skip[:])
	u.looked += int64(n + len(u.look.next))
	u.look.next = nil // each look is at bytes that are new
	switch {
	case err == nil:
		u.release()
	case err == io.EOF:
		u.ready, u.err = len(u.tape), io.EOF
	case errors.Is(err, errLeak), errors.Is(err, errHeldBack):
		u.tape, u.err = nil, err
	case u.must:
		u.tape, u.err = nil, errUnzip
	default: // the rest goes as it is; an error of the source comes again
		u.ready, u.plain = len(u.tape), true
	}
}

// release lets go of the compressed bytes of what was looked at.
func (u *unzipGuard) release() {
	for len(u.marks) > 0 && u.marks[0].bytes <= u.looked {
		u.ready = len(u.tape) - int(u.zipped-u.marks[0].zipped)
		u.marks = u.marks[1:]
	}
}

// begins finds out once whether this is gzip at all.
func (u *unzipGuard) begins() bool {
	if u.look != nil {
		return true
	}
	magic, _ := u.src.Peek(2)
	if len(magic) == 2 && magic[0] == 0x1f && magic[1] == 0x8b {
		u.look = newGuard(readerFunc(u.unzip), u.needles, -1)
		return true
	}
	if u.must && len(magic) > 0 {
		u.err = errUnzip
	} else {
		u.plain = true
	}
	return false
}

// headersLeak tells whether a credential is in a header's name or value.
func headersLeak(h http.Header, r *redact.Redactor) bool {
	var all strings.Builder
	for name, values := range h {
		all.WriteString(name + "\x00" + strings.Join(values, "\x00") + "\x00")
	}
	return r.String(all.String()) != all.String()
}
