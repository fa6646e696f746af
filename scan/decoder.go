package scan

import (
	"fmt"
	"io"
	"math"
	"sync"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/therootcompany/xz"
)

// maxZstdWindow is what the decoder itself refuses; Limits.Window is checked before it sees a frame.
const maxZstdWindow = 1 << 32

var (
	gzipPool  = sync.Pool{New: func() any { return new(gzip.Reader) }}
	flatePool = sync.Pool{New: func() any { return flate.NewReader(nil) }}
	zstdPool  = sync.Pool{New: func() any {
		d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(maxZstdWindow))
		if err != nil {
			panic(err) // only for an invalid option
		}
		return d
	}}
	xzPool = sync.Pool{New: func() any {
		z, err := xz.NewReader(nil, math.MaxUint32)
		if err != nil {
			panic(err) // only for an invalid header, and there is none yet
		}
		return z
	}}
)

// decoder decompresses, from pooled state where the library allows it. Its input is left at the exact end of what it
// has decompressed.
type decoder struct {
	w      *walker
	r      io.Reader
	input  *frames    // between in and r, for some formats
	pool   *sync.Pool // where state goes back to; nil: nowhere
	state  any
	window int64 // large windows held
}

// decoder starts decompressing in, whose format is f.
func (w *walker) decoder(in *input, f Format) (d *decoder, err error) {
	d = &decoder{w: w}
	defer func() {
		if err != nil {
			d.close()
		}
	}()
	defer d.contain(&err)
	switch f {
	case Gzip:
		return d, d.gzip(in)
	case Zstd:
		return d, d.zstd(in)
	case XZ:
		return d, d.xz(in)
	case Bzip2:
		d.r = newBzip2Reader(in.Reader)
		return d, nil
	case Zlib:
		if _, err := in.Discard(2); err != nil {
			return d, err
		}
		fallthrough
	default:
		fr := d.take(&flatePool)
		d.r = fr.(io.Reader)
		return d, fr.(flate.Resetter).Reset(in.Reader, nil)
	}
}

func (d *decoder) take(pool *sync.Pool) any {
	d.pool, d.state = pool, pool.Get()
	return d.state
}

func (d *decoder) gzip(in *input) error {
	zr := d.take(&gzipPool).(*gzip.Reader)
	g := &gzipReader{in: in, zr: zr}
	d.r = g
	return g.next()
}

func (d *decoder) zstd(in *input) error {
	zr := d.take(&zstdPool).(*zstd.Decoder)
	d.r = zr
	z := newZstdFrames(in.Reader, d.reserve)
	z.skippable = func(header, size int64) error { return d.w.skippable(in, header, size) }
	d.input = &z.frames
	return zr.Reset(z)
}

// skippable shows a frame of zstd that decompresses to nothing, and may hold anything.
func (w *walker) skippable(in *input, header, size int64) error {
	if err := in.skip(header); err != nil {
		return err
	}
	path, body := in.path.Decoded(), &io.LimitedReader{R: in.Reader, N: size}
	if _, err := w.walk(&stream{w: w, src: body, path: &path}, in.depth+1, false); err != nil {
		return err
	}
	if body.N > 0 {
		return io.ErrUnexpectedEOF
	}
	return nil
}

func (d *decoder) xz(in *input) error {
	zr := d.take(&xzPool).(*xz.Reader)
	d.r = zr
	x := newXZFrames(in.Reader, d.reserve)
	d.input = &x.frames
	return zr.Reset(x)
}

// Read implements io.Reader.
func (d *decoder) Read(p []byte) (n int, err error) {
	defer d.contain(&err)
	n, err = d.r.Read(p)
	if err == io.EOF && d.input != nil && d.input.err != nil {
		return n, d.input.err // zstd takes a frame that breaks off in its header for the end
	}
	return n, err
}

// contain turns a panic of a decoder over hostile input into an error. Panics of the visitor, which is called in the
// middle of a Read when one decoder feeds another, are none of its business.
func (d *decoder) contain(err *error) {
	if d.w.visiting {
		return
	}
	if v := recover(); v != nil {
		d.pool = nil
		*err = unread(Damaged, "decoder failed: %s", kind(v))
	}
}

// kind describes a panic by its type only: its text might hold a piece of the data.
func kind(v any) string { return fmt.Sprintf("panic with a %T", v) }

// close gives back what the decoder holds. Decoders with large windows are left to the garbage collector.
func (d *decoder) close() {
	if d.pool != nil && d.window == 0 {
		d.pool.Put(d.state)
	}
	window := d.window
	*d = decoder{w: d.w}
	d.w.release(window)
}

// gzipReader reads the members of a gzip file, and stops before what is no member.
type gzipReader struct {
	in *input
	zr *gzip.Reader
}

func (g *gzipReader) next() error {
	if err := g.zr.Reset(g.in.Reader); err != nil {
		return err
	}
	g.zr.Multistream(false)
	g.in.text("name", g.zr.Name)
	g.in.text("comment", g.zr.Comment)
	g.in.text("extra", string(g.zr.Extra))
	return nil
}

func (g *gzipReader) Read(p []byte) (int, error) {
	for {
		n, err := g.zr.Read(p)
		if n > 0 && err == io.EOF {
			return n, nil // it says so again
		}
		if err != io.EOF {
			return n, err
		}
		if head, _ := g.in.Peek(magicLen); sniffMagic(head) != Gzip {
			return 0, io.EOF
		}
		if err := g.next(); err != nil {
			return 0, err
		}
	}
}
