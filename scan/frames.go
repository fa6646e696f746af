package scan

import (
	"bufio"
	"errors"
	"io"

	"github.com/klauspost/compress/zstd"
)

// frames gives a decoder the frames of a compressed stream and not a byte more, whatever it asks for. So what follows
// them is still there, and the decoder's memory is known before it sees the frame that needs it.
type frames struct {
	in   *bufio.Reader
	left int64                 // bytes of the piece that are still to come
	next func() (int64, error) // the length of the next piece; io.EOF after the last frame
	err  error
}

func (f *frames) Read(p []byte) (int, error) {
	for f.left == 0 {
		if f.err == nil {
			f.left, f.err = f.next()
		}
		if f.err != nil {
			return 0, f.err
		}
	}
	n, err := f.in.Read(p[:min(int64(len(p)), f.left)])
	f.left -= int64(n)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// peek is Peek, but there have to be n bytes.
func (f *frames) peek(n int) ([]byte, error) {
	b, err := f.in.Peek(n)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return b, err
}

var errFrame = errors.New("impossible block header")

// zstdFrames finds the ends of zstd frames (RFC 8878, section 3.1).
type zstdFrames struct {
	frames
	reserve   func(window uint64) error
	skippable func(header, size int64) error // reads a frame that the decoder has no use for
	inFrame   bool
	checksum  int64 // bytes after the last block
}

func newZstdFrames(in *bufio.Reader, reserve func(uint64) error) *zstdFrames {
	z := &zstdFrames{frames: frames{in: in}, reserve: reserve}
	z.next = z.piece
	return z
}

func (z *zstdFrames) piece() (int64, error) {
	if z.inFrame {
		return z.block()
	}
	return z.frame()
}

func (z *zstdFrames) frame() (int64, error) {
	head, err := z.in.Peek(zstd.HeaderMaxSize)
	if !isZstd(head) {
		if err == nil {
			err = io.EOF
		}
		return 0, err
	}
	var h zstd.Header
	if err := h.Decode(head); err != nil {
		return 0, err
	}
	if h.Skippable {
		return 0, z.skippable(int64(h.HeaderSize), int64(h.SkippableSize))
	}
	if h.DictionaryID != 0 {
		return 0, unread(Unsupported, "zstd frame needs dictionary %d", h.DictionaryID)
	}
	window := h.WindowSize
	if h.SingleSegment {
		window = h.FrameContentSize
	}
	z.inFrame, z.checksum = true, 0
	if h.HasCheckSum {
		z.checksum = 4
	}
	return int64(h.HeaderSize), z.reserve(window)
}

func (z *zstdFrames) block() (int64, error) {
	b, err := z.peek(3)
	if err != nil {
		return 0, err
	}
	header := uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16
	last, kind, size := header&1 != 0, header>>1&3, int64(header>>3)
	switch kind {
	case 1: // a single byte, repeated
		size = 1
	case 3:
		return 0, errFrame
	}
	size += 3
	if last {
		z.inFrame = false
		size += z.checksum
	}
	return size, nil
}
