package scan

import (
	"bufio"
	"bytes"
	"io"
	"sync"
)

// A layer is read in large pieces. What is nested in it is often small and comes out of decoders in pieces of 32 KiB.
var (
	largeBuffers = newBuffers(256 << 10)
	smallBuffers = newBuffers(32 << 10)
)

func newBuffers(size int) *sync.Pool {
	return &sync.Pool{New: func() any { return bufio.NewReaderSize(nil, size) }}
}

// stream is one run of bytes on its way to its sink: the blob's own, or what a decoder makes of other bytes.
type stream struct {
	w    *walker
	src  io.Reader
	path *Path
	root bool
	sink Sink  // nil until the first byte: a decoder that fails before it was called by a chance magic
	n    int64 // bytes given to the sink
	end  error // why there are no more: io.EOF or a failure
}

// Read shows each byte to the sink once, when it leaves the source.
func (s *stream) Read(p []byte) (int, error) {
	if s.end != nil {
		return 0, s.end
	}
	if err := s.w.ctx.Err(); err != nil {
		s.w.fail(err)
		s.end = err
		return 0, err
	}
	n, err := s.src.Read(p)
	if n > 0 {
		s.show(p[:n])
	}
	if err != nil {
		s.end = err
		if s.root && err != io.EOF {
			s.w.fail(err)
		}
	}
	if !s.root {
		s.w.decoded += int64(n)
		if s.w.decoded > s.w.limits.Bytes && !s.failed() {
			s.end = unread(OverBytes, "more than %d bytes decompressed in all", s.w.limits.Bytes)
		}
	}
	return n, s.end
}

func (s *stream) show(p []byte) {
	s.w.visiting = true
	if s.sink == nil {
		s.sink = s.w.visitor.Stream(*s.path)
	}
	s.sink.Write(p)
	s.w.visiting = false
	s.n += int64(len(p))
}

func (s *stream) failed() bool { return s.end != nil && s.end != io.EOF }

// input is a stream, or a member in one, while it is searched for containers.
type input struct {
	*bufio.Reader
	from  *stream // whose bytes they are
	outer *input  // what the Reader reads from; nil: the stream itself
	path  *Path
	depth int // containers around it
}

func newInput(buffers *sync.Pool, s *stream, depth int) *input {
	b := buffers.Get().(*bufio.Reader)
	b.Reset(s)
	return &input{Reader: b, from: s, path: s.path, depth: depth}
}

// span returns the part of in that r reads from it: a member of the archive that in is.
func (in *input) span(r io.Reader, path *Path) *input {
	b := smallBuffers.Get().(*bufio.Reader)
	b.Reset(r)
	return &input{Reader: b, from: in.from, outer: in, path: path, depth: in.depth}
}

func (in *input) free(buffers *sync.Pool) {
	in.Reset(nil)
	buffers.Put(in.Reader)
	in.Reader = nil
}

// offset is where in the stream the next byte stands.
func (in *input) offset() int64 {
	if in.outer == nil {
		return in.from.n - int64(in.Buffered())
	}
	return in.outer.offset() - int64(in.Buffered())
}

// member says that a member starts here.
func (in *input) member(p Path) { in.from.sink.Member(p, in.offset()) }

// between says that a member, or what is compressed, has ended: what follows belongs to the archive.
func (in *input) between() { in.member(*in.path) }

func (in *input) text(field, value string) {
	if value == "" {
		return
	}
	in.from.w.visiting = true
	in.from.sink.Text(field, value)
	in.from.w.visiting = false
}

func (in *input) sniff() Format {
	head, _ := in.Peek(SniffLen)
	return Sniff(head)
}

// skip moves n bytes ahead. Unlike Discard it takes sizes that no int holds, and an early end is an error.
func (in *input) skip(n int64) error {
	for n > 0 {
		k, err := in.Discard(int(min(n, 1<<30)))
		n -= int64(k)
		if err == io.EOF {
			return io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// drain moves to the end.
func (in *input) drain() {
	for {
		if _, err := in.Discard(1 << 30); err != nil {
			return
		}
	}
}

var zeroBlock [SniffLen]byte

// skipZeros moves over the padding after a container. It goes by whole blocks while it can, because a tar header may
// start with a zero byte.
func (in *input) skipZeros() {
	for {
		b, _ := in.Peek(len(zeroBlock))
		if !bytes.Equal(b, zeroBlock[:]) {
			break
		}
		_, _ = in.Discard(len(b))
	}
	if in.sniff() != Plain {
		return
	}
	for {
		if b, err := in.Peek(1); err != nil || b[0] != 0 {
			return
		}
		_, _ = in.Discard(1)
	}
}

// atEnd reports whether nothing follows. A failed stream is not at its end.
func (in *input) atEnd() bool {
	_, err := in.Peek(1)
	return err == io.EOF
}
