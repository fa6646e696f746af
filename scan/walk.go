package scan

import (
	"bufio"
	"bytes"
	"context"
	"io"
)

// walker is one call of Walk.
type walker struct {
	ctx     context.Context
	visitor Visitor
	limits  Limits

	err      error // what ends the walk: the blob's own reader's, or ctx's
	decoded  int64 // bytes that decoders have made
	windows  int64 // memory of open windows over freeWindow
	visiting bool  // the visitor is being called
}

func (w *walker) fail(err error) {
	if w.err == nil {
		w.err = err
	}
}

// unread reports why in was not read. If the stream that in is in has failed, that is all there is to say, and whoever
// decodes the stream says it.
func (w *walker) unread(in *input, path *Path, err error) {
	if w.err == nil && !in.from.failed() {
		w.visitor.Unread(*path, asUnread(err))
	}
}

// unpack unpacks what in starts with and, as long as containers follow each other, what comes next. It leaves the rest
// unread. layer: in must be a tar archive, compressed or not.
func (w *walker) unpack(in *input, layer bool) {
	for ; !in.from.failed(); layer = false {
		f := in.sniff()
		if layer {
			w.requireLayer(in, f)
		}
		if f == Plain && in.skipStub() {
			f = in.sniff()
		}
		if f == Plain {
			return
		}
		if in.depth >= w.limits.Depth {
			w.unread(in, in.path, unread(OverDepth, "%s inside %d other containers", f, in.depth))
			return
		}
		start := in.offset()
		if read, err := w.open(in, f, layer); err != nil {
			w.explain(in, err, read && (f != Zlib || w.isLayer(in)) || layer)
			return
		}
		if in.offset() == start {
			return // nothing in it, so the same would come again
		}
		in.skipZeros()
	}
}

// explain reports err, unless it only shows that a magic was there by chance: because nothing was read.
func (w *walker) explain(in *input, err error, read bool) {
	if why := asUnread(err); read || why.Reason != Damaged {
		w.unread(in, in.path, why)
	}
}

func (w *walker) requireLayer(in *input, f Format) {
	if f == Tar || f.compressed() {
		return
	}
	if f == Plain {
		in.skipZeros()
		if in.atEnd() {
			return
		}
	}
	w.unread(in, in.path, unread(NotLayer, "neither a tar archive nor a compressed one but %s data", f))
}

// open unpacks one container. read is false if it failed before anything came out of it.
func (w *walker) open(in *input, f Format, layer bool) (read bool, err error) {
	switch f {
	case Tar:
		return w.tar(in)
	case Zip:
		return w.zip(in)
	case Ar:
		return w.ar(in)
	case CPIO:
		return w.cpio(in)
	case GitPack:
		return w.gitPack(in)
	default:
		path := in.path.Decoded()
		if w.isLayer(in) {
			in.between() // what came before is not packed
		}
		n, err := w.decode(in, f, &path, layer)
		if err == nil && w.isLayer(in) {
			in.between()
		}
		return n > 0, err
	}
}

// isLayer tells whether in is the image layer that is walked through, as it is stored.
func (w *walker) isLayer(in *input) bool {
	return w.limits.MustUnpack && in.from.root && in.outer == nil
}

// decode decompresses in to a stream of its own and reads that to its end. n is how many bytes it had.
func (w *walker) decode(in *input, f Format, path *Path, layer bool) (n int64, err error) {
	dec, err := w.decoder(in, f)
	if err != nil {
		return 0, err
	}
	defer dec.close()
	return w.walk(&stream{w: w, src: dec, path: path}, in.depth+1, layer)
}

func (w *walker) walk(s *stream, depth int, layer bool) (int64, error) {
	buffers := smallBuffers
	if depth == 1 {
		buffers = largeBuffers // what a compressed layer decompresses to
	}
	in := newInput(buffers, s, depth)
	w.unpack(in, layer)
	in.drain()
	in.free(buffers)
	if s.sink != nil {
		s.sink.Close()
	}
	if s.failed() {
		return s.n, s.end
	}
	return s.n, nil
}

// inside unpacks a member, whose bytes r reads from in.
func (w *walker) inside(in *input, r io.Reader, path Path) {
	child := in.span(r, &path)
	child.depth++
	w.unpack(child, false)
	child.free(smallBuffers)
}

// mayNest reports whether a member with these first bytes is worth a closer look.
func mayNest(head []byte) bool {
	return Sniff(head) != Plain || bytes.HasPrefix(head, []byte("#!"))
}

// skipStub moves over the script that a self-extracting archive starts with, to the first line that is a container.
func (in *input) skipStub() bool {
	if head, _ := in.Peek(2); string(head) != "#!" {
		return false
	}
	for {
		_, err := in.ReadSlice('\n')
		if err == bufio.ErrBufferFull {
			continue
		}
		if err != nil {
			return false
		}
		if head, _ := in.Peek(magicLen); sniffMagic(head) != Plain {
			in.between()
			return true
		}
	}
}
