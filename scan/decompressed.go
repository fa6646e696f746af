package scan

import (
	"bufio"
	"compress/bzip2"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/therootcompany/xz"
)

// Decompressed undoes the compression that a layer has, found by its magic number; what has none stays as it is. Windows of more
// than the given number of bytes are an error. Unlike Walk it gives the bytes to a reader of one's own and looks no deeper.
func Decompressed(r io.Reader, window int) (io.Reader, error) {
	b := bufio.NewReaderSize(r, 64<<10)
	head, _ := b.Peek(SniffLen)
	switch Sniff(head) {
	case Gzip:
		return gzip.NewReader(b)
	case Zstd:
		return zstd.NewReader(b, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(uint64(window)))
	case XZ:
		return xz.NewReader(b, uint32(window))
	case Bzip2:
		return bzip2.NewReader(b), nil
	}
	return b, nil
}
