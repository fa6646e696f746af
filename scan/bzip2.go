package scan

import (
	"bufio"
	"compress/bzip2"
	"io"
)

// errBzip2Tail is what the decoder says about bytes after the end of a file: it looks for another one to follow.
const errBzip2Tail = bzip2.StructuralError("bad magic value in continuation file")

// bzip2Reader reads concatenated bzip2 files and leaves what follows them.
//
// The decoder looks two bytes past the end of a file, so its input lags two bytes behind what it was given. Two zero
// bytes stand in for what is missing at the end of the data: thereby every sound file ends in errBzip2Tail.
type bzip2Reader struct {
	in     bzip2Input
	z      io.Reader
	closed bool
}

func newBzip2Reader(in *bufio.Reader) *bzip2Reader {
	b := &bzip2Reader{in: bzip2Input{r: in}}
	b.z = bzip2.NewReader(&b.in)
	return b
}

func (b *bzip2Reader) Read(p []byte) (int, error) {
	if b.closed {
		return 0, io.EOF
	}
	n, err := b.z.Read(p)
	if err == errBzip2Tail {
		b.closed = true
		b.in.settle()
		err = io.EOF
	}
	return n, err
}

type bzip2Input struct {
	r     *bufio.Reader
	ahead int // bytes that were given but not taken from r: 2 at most
	fake  int // zero bytes given at the end
}

// Read is never called: bzip2 reads single bytes where it can.
func (b *bzip2Input) Read(p []byte) (int, error) { return b.r.Read(p) }

func (b *bzip2Input) ReadByte() (byte, error) {
	head, err := b.r.Peek(b.ahead + 1)
	if len(head) <= b.ahead {
		if err != io.EOF || b.fake == 2 {
			return 0, err
		}
		b.fake++
		return 0, nil
	}
	c := head[b.ahead]
	if b.ahead < 2 {
		b.ahead++
		return c, nil
	}
	_, err = b.r.Discard(1)
	return c, err
}

// settle takes from r all that belongs to the file: everything that was given but for the last two bytes.
func (b *bzip2Input) settle() {
	_, _ = b.r.Discard(b.ahead + b.fake - 2)
}
