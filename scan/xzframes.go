package scan

import (
	"bufio"
	"encoding/binary"
	"io"
)

const (
	xzMagic      = "\xfd7zXZ\x00"
	xzHeaderLen  = 12 // of the stream's header, and of its footer
	xzLZMA2      = 0x21
	maxVarintLen = 9
)

// xzFrames finds the ends of xz streams, down to the chunks of LZMA2, which is the last filter of every block
// (The .xz File Format 1.2.1).
type xzFrames struct {
	frames
	reserve func(dictionary uint64) error
	state   func() (int64, error) // finds the next piece
	check   int64                 // length of a block's check
	packed  int64                 // of the block or index, so far
	records uint64                // varints still to come in the index
}

func newXZFrames(in *bufio.Reader, reserve func(uint64) error) *xzFrames {
	x := &xzFrames{frames: frames{in: in}, reserve: reserve}
	x.state = x.stream
	x.next = func() (int64, error) { return x.state() }
	return x
}

func (x *xzFrames) stream() (int64, error) {
	b, err := x.in.Peek(xzHeaderLen)
	if len(b) < xzHeaderLen || string(b[:len(xzMagic)]) != xzMagic {
		if err == nil {
			err = io.EOF
		}
		return 0, err
	}
	checks := [...]int64{0, 4, 8, 16, 32, 64}
	x.check = checks[(b[7]&15+2)/3]
	x.state = x.block
	return xzHeaderLen, nil
}

func (x *xzFrames) block() (int64, error) {
	b, err := x.peek(1)
	if err != nil {
		return 0, err
	}
	if b[0] == 0 {
		x.state = x.index
		return 0, nil
	}
	b, err = x.peek((int(b[0]) + 1) * 4)
	if err != nil {
		return 0, err
	}
	size, ok := xzDictionary(b)
	if !ok {
		return 0, errFrame
	}
	x.packed, x.state = 0, x.chunk
	return int64(len(b)), x.reserve(size)
}

// xzDictionary reads the size of the LZMA2 dictionary from a block header.
func xzDictionary(header []byte) (size uint64, ok bool) {
	flags, rest := header[1], header[2:]
	for _, present := range []bool{flags&0x40 != 0, flags&0x80 != 0} { // packed and unpacked size
		if present {
			if _, rest, ok = xzVarint(rest); !ok {
				return 0, false
			}
		}
	}
	for range flags&3 + 1 {
		var id, n uint64
		if id, rest, ok = xzVarint(rest); !ok {
			return 0, false
		}
		if n, rest, ok = xzVarint(rest); !ok || n > uint64(len(rest)) {
			return 0, false
		}
		if id == xzLZMA2 && n == 1 && rest[0] <= 40 {
			bits := rest[0]
			return uint64(2|bits&1) << (bits/2 + 11), true
		}
		rest = rest[n:]
	}
	return 0, false
}

func xzVarint(b []byte) (v uint64, rest []byte, ok bool) {
	v, n := binary.Uvarint(b[:min(len(b), maxVarintLen)])
	if n <= 0 {
		return 0, nil, false
	}
	return v, b[n:], true
}

func (x *xzFrames) chunk() (int64, error) {
	b, err := x.in.Peek(6)
	if len(b) == 0 || b[0] != 0 && len(b) < 6 {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return 0, err
	}
	var n int64
	switch control := b[0]; {
	case control == 0:
		x.state = x.block
		return 1 + padding4(x.packed+1) + x.check, nil
	case control <= 2: // stored
		n = 3 + int64(binary.BigEndian.Uint16(b[1:])) + 1
	case control < 0x80:
		return 0, errFrame
	default:
		n = 5 + int64(binary.BigEndian.Uint16(b[3:])) + 1
		if control >= 0xc0 {
			n++ // new properties
		}
	}
	x.packed += n
	return n, nil
}

// index is one zero byte, the number of records, and two numbers for each.
func (x *xzFrames) index() (int64, error) {
	b, err := x.in.Peek(1 + maxVarintLen)
	if len(b) == 0 {
		return 0, err
	}
	records, rest, ok := xzVarint(b[1:])
	if !ok || records > 1<<60 {
		return 0, errFrame
	}
	x.records, x.state = 2*records, x.record
	x.packed = int64(len(b) - len(rest))
	return x.packed, nil
}

func (x *xzFrames) record() (int64, error) {
	if x.records == 0 {
		x.state = x.stream
		return padding4(x.packed) + 4 + xzHeaderLen, nil
	}
	b, _ := x.in.Peek(maxVarintLen)
	_, rest, ok := xzVarint(b)
	if !ok {
		return 0, errFrame
	}
	n := int64(len(b) - len(rest))
	x.records--
	x.packed += n
	return n, nil
}

func padding4(n int64) int64 { return -n & 3 }
