package scan

import (
	"bytes"
	"io"
)

// zipMethods are the compression methods that can be read, except for 0: stored.
var zipMethods = map[uint16]Format{8: deflate, 12: Bzip2, 20: Zstd, 93: Zstd, 95: XZ}

const zipEncrypted = 1 // of a member's flags

// content unpacks a member and moves to its end or, if nobody knows where that is, to a place before it.
func (z *zipReader) content(m zipMember, path Path) error {
	format, known := zipMethods[m.method]
	switch {
	case m.flags&zipEncrypted != 0:
		z.w.unread(z.in, &path, unread(Encrypted, "needs a password"))
		return z.in.skip(max(m.size, 0))
	case m.method == 0 && m.size >= 0:
		return z.w.content(z.in, m.size, path)
	case m.method == 0:
		return z.storedOpen(path)
	case !known:
		z.w.unread(z.in, &path, unread(Unsupported, "zip method %d", m.method))
		return z.in.skip(max(m.size, 0))
	case m.size < 0 && format == deflate:
		z.report(path, z.decode(z.in, format, path)) // which knows its own end
		return nil
	case m.size < 0:
		body := &openMember{in: z.in}
		z.report(path, z.decodeSpan(body, format, path))
		return z.finish(body, path)
	default:
		body := &io.LimitedReader{R: z.in.Reader, N: m.size}
		z.report(path, z.decodeSpan(body, format, path))
		return z.in.skip(body.N)
	}
}

// storedOpen unpacks a member that is not compressed and whose header does not tell its size.
func (z *zipReader) storedOpen(path Path) error {
	body := &openMember{in: z.in}
	if head, _ := z.in.Peek(SniffLen); mayNest(head) {
		z.w.inside(z.in, body, path)
	}
	return z.finish(body, path)
}

// finish moves to the end of a member. If there is none, it has swallowed all that follows.
func (z *zipReader) finish(body *openMember, path Path) error {
	_, err := io.Copy(io.Discard, body)
	z.report(path, err)
	return err
}

// decodeSpan decompresses a member, whose bytes r reads from the archive.
func (z *zipReader) decodeSpan(r io.Reader, f Format, path Path) error {
	span := z.in.span(r, &path)
	defer span.free(smallBuffers)
	return z.decode(span, f, path)
}

func (z *zipReader) decode(in *input, f Format, path Path) error {
	n, err := z.w.decode(in, f, &path, false)
	z.read = z.read || n > 0
	return err
}

// report tells of a member that could not be read, also if nothing came out of it: its format is not a guess.
func (z *zipReader) report(path Path, err error) {
	if err != nil {
		z.w.unread(z.in, &path, err)
	}
}

// openMember reads a member whose size only stands behind it. Its end is a record with the number of bytes that were
// read so far.
type openMember struct {
	in *input
	n  int64
}

const (
	zipSizeLen = 16 // signature, checksum, compressed and unpacked size; zip64 has 24
	packedAt   = 8
)

func (o *openMember) Read(p []byte) (int, error) {
	head, err := o.in.Peek(zipSizeLen)
	if len(head) == zipSizeLen && string(head[:4]) == zipSize && u32(head[packedAt:]) == uint32(o.n) {
		return 0, io.EOF
	}
	if len(head) < zipSizeLen {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return 0, err
	}
	b, _ := o.in.Peek(o.in.Buffered())
	b = b[:min(len(b), len(p))]
	n := len(b)
	if at := bytes.Index(b[1:], []byte(zipSize)); at >= 0 {
		n = at + 1
	} else if n > len(zipSize) {
		n -= len(zipSize) - 1 // the signature may have begun
	}
	copy(p, b[:n])
	o.n += int64(n)
	_, err = o.in.Discard(n)
	return n, err
}
