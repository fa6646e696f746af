package scan

import (
	"encoding/binary"
	"errors"
	"io"
	"strconv"
)

// A pack of git (gitformat-pack(5)).
const (
	packMagic      = "PACK"
	packHeaderLen  = 12      // magic, version, number of objects
	packMaxObjects = 1 << 28 // the largest repositories have some tens of millions
	packAdlerLen   = 4       // the checksum behind an object's zlib stream

	packOffsetDelta = 6 // types of objects; 1 to 4 are commit, tree, blob and tag
	packNameDelta   = 7

	sha1Len   = 20 // of object names, and of the checksum at the end
	sha256Len = 32
)

var errPackSize = errors.New("an object has another size than its header says")

// isGitPack asks for a version and a number of objects that can be, too: the magic is but a word.
func isGitPack(b []byte) bool {
	if len(b) < packHeaderLen || string(b[:4]) != packMagic {
		return false
	}
	version, objects := binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint32(b[8:])
	return (version == 2 || version == 3) && 0 < objects && objects <= packMaxObjects
}

// gitPack unpacks a pack, which is where git keeps most of a repository's history. Each object is a member, named by its
// offset in the pack, as git verify-pack -v lists it.
//
// Deltas are not resolved. What a delta inserts passes as it stands, and what it copies passes with the object that it is
// copied from, so a text that is made of both passes in pieces only.
func (w *walker) gitPack(in *input) (read bool, err error) {
	p := packReader{w: w, in: in}
	start := in.offset()
	head, err := in.Peek(packHeaderLen)
	if err != nil {
		return false, io.ErrUnexpectedEOF
	}
	objects := binary.BigEndian.Uint32(head[8:])
	_ = in.skip(packHeaderLen)
	for range objects {
		path := member(in.path, strconv.FormatInt(in.offset()-start, 10))
		in.member(path)
		n, err := p.object(&path)
		in.between()
		read = read || n > 0
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return read, err
		}
	}
	return read, p.trailer()
}

type packReader struct {
	w       *walker
	in      *input
	nameLen int // of object names; 0 while no object has shown it
}

// object unpacks the next object. n is how many bytes came out of it.
func (p *packReader) object(path *Path) (n int64, err error) {
	size, err := p.header()
	if err != nil {
		return 0, err
	}
	if n, err = p.w.decode(p.in, Zlib, path, false); err != nil {
		return n, err
	}
	if n != size {
		return n, errPackSize
	}
	return n, p.in.skip(packAdlerLen)
}

// header reads the type and the unpacked size of an object and, of a delta, passes what it is based on.
func (p *packReader) header() (size int64, err error) {
	b, err := p.in.ReadByte()
	if err != nil {
		return 0, err
	}
	kind, size := b>>4&7, int64(b&15)
	for shift := 4; b&0x80 != 0; shift += 7 {
		if b, err = p.in.ReadByte(); err != nil {
			return 0, err
		}
		if shift > 60 {
			return 0, errHeader
		}
		size |= int64(b&0x7f) << shift
	}
	switch kind {
	case 1, 2, 3, 4:
		return size, nil
	case packOffsetDelta:
		return size, p.skipOffset()
	case packNameDelta:
		return size, p.skipName()
	}
	return 0, errHeader
}

// skipOffset passes how far before a delta its base is.
func (p *packReader) skipOffset() error {
	for range 10 {
		b, err := p.in.ReadByte()
		if err != nil || b&0x80 == 0 {
			return err
		}
	}
	return errHeader
}

// skipName passes the name of a delta's base. A pack does not say which hash it uses: the first name shows it, because a
// zlib stream follows.
func (p *packReader) skipName() error {
	if p.nameLen == 0 {
		head, _ := p.in.Peek(sha256Len + 2)
		for _, n := range []int{sha256Len, sha1Len} {
			if len(head) >= n+2 && head[n] == 'x' && isZlib(head[n:]) {
				p.nameLen = n
			}
		}
	}
	if p.nameLen == 0 {
		return errHeader
	}
	return p.in.skip(int64(p.nameLen))
}

// trailer passes the checksum. If nothing has shown the hash it is git's usual one, unless the end shows the other.
func (p *packReader) trailer() error {
	if p.nameLen == 0 {
		p.nameLen = sha1Len
		if head, err := p.in.Peek(sha256Len + 1); len(head) == sha256Len && err == io.EOF {
			p.nameLen = sha256Len
		}
	}
	return p.in.skip(int64(p.nameLen))
}
