// Package scan shows every byte of a stream, and of everything packed in it, to a visitor.
//
// Walk reads a stream once, from its start to its end, in constant memory. What is compressed or archived in it is
// found by its magic number, never by its name, and unpacked while it passes: gzip, zstd, xz, bzip2, zlib, tar, zip (and so
// jar, whl and apk), ar (and so deb), cpio and git packs, one inside the other. What cannot be unpacked is told, never
// skipped in silence. The package does not know what the visitor looks for.
package scan

import (
	"context"
	"io"
)

// Visitor is told of every stream that Walk finds and is given all of its bytes.
// A walk makes its calls one after the other, in its own goroutine.
type Visitor interface {
	// Stream starts a stream: the blob itself, what a compressed stream decompresses to, a frame of zstd that is left out of
	// that, or a compressed member of a zip archive or git pack. Only the blob itself may turn out to be empty. Uncompressed members of an archive are parts of the
	// stream that the archive is in: their bytes pass once, and Sink.Member says whose they were.
	Stream(p Path) Sink
	// Unread says that what is at p could not be read, or not completely. why is an *UnreadError, which says why.
	Unread(p Path, why error)
}

// Sink is given one stream.
type Sink interface {
	// Write is given the bytes of the stream in order. It must not keep or change p.
	Write(p []byte)
	// Member says that the bytes of the stream from offset on, until the next call, belong to p: to a member of an
	// archive or, between two members, to the archive itself. Bytes before the first call belong to the stream's own
	// path. Offsets never go back from one call to the next. The bytes have often been written already, because the
	// walk reads ahead. Of a compressed layer it says where its compressed bytes begin and end: what stands before or
	// behind them is in no other stream.
	Member(p Path, offset int64)
	// Text gives a text from the header of the latest member (before the first: of the stream), decoded, because it may
	// not stand in one piece in the bytes: a name split in two, a link's target, an extended attribute. field is
	// "name", "link" or HardLink, "user", "group", "comment", "extra" or "pax " and the record's key.
	Text(field, value string)
	// Close ends the stream.
	Close()
}

// HardLink is the field of Text that has the target of a hard link in a tar archive.
const HardLink = "hard link"

// Limits bound a walk, so that a hostile stream cannot keep it busy or use up the memory. Over a limit, the visitor is
// told what was not read. The zero value of each field means its default.
type Limits struct {
	// Depth is how many containers may be open inside each other: a file in a compressed tar is two deep. Default 12.
	Depth int
	// Bytes is how much may be decompressed in all. Default 256 GiB.
	Bytes int64
	// Window is how much memory the zstd windows and xz dictionaries over 8 MiB may need at a time. The default,
	// 128 MiB, is what the zstd tool accepts and twice the largest dictionary of xz's presets. In a process, only one
	// walk at a time has windows over 8 MiB; others wait for it.
	Window int64
	// MustUnpack says that the stream is an image layer: a tar archive, compressed or not. Anything else is then told
	// as unread, except that an empty stream and one of zero bytes are archives without members.
	MustUnpack bool
}

func (l Limits) withDefaults() Limits {
	if l.Depth == 0 {
		l.Depth = 12
	}
	if l.Bytes == 0 {
		l.Bytes = 256 << 30
	}
	if l.Window == 0 {
		l.Window = 128 << 20
	}
	return l
}

// Walk reads r to its end and shows it, and everything packed in it, to v. The name starts the path of each stream; it
// may be empty.
//
// The error is r's own or ctx's; then the visitor has not seen everything. Whatever else cannot be read is reported to
// v.Unread and does not end the walk.
func Walk(ctx context.Context, r io.Reader, name string, v Visitor, l Limits) error {
	w := &walker{ctx: ctx, visitor: v, limits: l.withDefaults()}
	root := &stream{w: w, src: r, path: &Path{name: name}, root: true}
	root.sink = v.Stream(*root.path)
	in := newInput(largeBuffers, root, 0)
	w.unpack(in, l.MustUnpack)
	in.drain()
	in.free(largeBuffers)
	root.sink.Close()
	return w.err
}
