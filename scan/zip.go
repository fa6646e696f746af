package scan

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
)

// The records of a zip archive (APPNOTE.TXT 6.3.10, section 4.3).
const (
	zipLocal     = "PK\x03\x04" // before each member
	zipCentral   = "PK\x01\x02" // in the directory, once more for each
	zipEnd       = "PK\x05\x06"
	zipEnd64     = "PK\x06\x06"
	zipLocator64 = "PK\x06\x07"
	zipSize      = "PK\x07\x08" // after a member whose header did not know its size

	zipLocalLen   = 30
	zipCentralLen = 46
	zipEndLen     = 22
)

var errMembersMissing = errors.New("the directory has members that were not there")

// zip unpacks a zip archive from front to back, by the header before each member. The directory at its end only adds
// comments, and shows whether something is missing.
func (w *walker) zip(in *input) (read bool, err error) {
	z := zipReader{w: w, in: in}
	for {
		if err := z.find(); err != nil {
			return z.read, err
		}
		head, _ := in.Peek(4)
		switch string(head) {
		case zipLocal:
			err = z.member()
		case zipCentral:
			err = z.directory()
		case zipEnd:
			return true, z.end()
		default: // zip64's own end records only repeat numbers
			err = in.skip(4)
		}
		if err != nil {
			return z.read, err
		}
	}
}

type zipReader struct {
	w       *walker
	in      *input
	read    bool // found more than a single signature, which four chance bytes are too
	members int
	listed  int // in the directory
}

// find moves to the next record. There may be something in between: a member's size, padding, the signatures of an
// Android package, or the rest of a member whose end is not known.
func (z *zipReader) find() error {
	for {
		if _, err := z.in.Peek(4); err != nil {
			return io.ErrUnexpectedEOF
		}
		b, _ := z.in.Peek(z.in.Buffered())
		at := bytes.Index(b, []byte("PK"))
		switch {
		case at < 0:
			at = len(b) - 1 // it may be a P
		case at > len(b)-4: // read more
		case zipRecord(b[at:]):
			return z.in.skip(int64(at))
		default:
			at += 2
		}
		if err := z.in.skip(int64(at)); err != nil {
			return err
		}
	}
}

func zipRecord(b []byte) bool {
	switch string(b[:4]) {
	case zipLocal, zipCentral, zipEnd, zipEnd64, zipLocator64:
		return true
	}
	return false
}

// zipMember is what the header before a member says.
type zipMember struct {
	name   string
	extra  []byte
	flags  uint16
	method uint16
	size   int64 // compressed; -1: not known yet
}

func (z *zipReader) member() error {
	m, err := z.header()
	if err != nil {
		return err
	}
	z.read = z.read || z.members > 0
	z.members++
	in, path := z.in, member(z.in.path, m.name)
	in.member(path)
	in.text("name", m.name)
	in.text("extra", string(m.extra))
	err = z.content(m, path)
	in.between()
	return err
}

func (z *zipReader) header() (m zipMember, err error) {
	head, err := z.in.Peek(zipLocalLen)
	if err != nil {
		return m, io.ErrUnexpectedEOF
	}
	m.flags, m.method = u16(head[6:]), u16(head[8:])
	m.size = int64(u32(head[18:]))
	unpacked := u32(head[22:])
	nameLen, extraLen := int(u16(head[26:])), int(u16(head[28:]))
	_ = z.in.skip(zipLocalLen)
	texts := make([]byte, nameLen+extraLen)
	if _, err := io.ReadFull(z.in, texts); err != nil {
		return m, io.ErrUnexpectedEOF
	}
	m.name, m.extra = string(texts[:nameLen]), texts[nameLen:]
	if m.size == 1<<32-1 {
		m.size = size64(m.extra, unpacked == 1<<32-1)
	}
	if m.flags&8 != 0 && m.size == 0 && (m.method != 0 || !strings.HasSuffix(m.name, "/")) {
		m.size = -1
	}
	return m, nil
}

// size64 finds the compressed size in the zip64 field of the extra data, behind the unpacked size if that is there.
func size64(extra []byte, both bool) int64 {
	for len(extra) >= 4 {
		id, n := u16(extra), int(u16(extra[2:]))
		extra = extra[4:]
		field := extra[:min(n, len(extra))]
		extra = extra[len(field):]
		if id != 1 {
			continue
		}
		if both {
			field = field[min(8, len(field)):]
		}
		if len(field) >= 8 {
			return int64(binary.LittleEndian.Uint64(field) &^ (1 << 63))
		}
	}
	return 1<<32 - 1
}

// directory reads one entry of the directory.
func (z *zipReader) directory() error {
	z.read = true
	z.listed++
	head, err := z.in.Peek(zipCentralLen)
	if err != nil {
		return io.ErrUnexpectedEOF
	}
	names, comment := int64(u16(head[28:]))+int64(u16(head[30:])), int(u16(head[32:]))
	if err := z.in.skip(zipCentralLen + names); err != nil {
		return err
	}
	return z.comment(comment)
}

func (z *zipReader) end() error {
	head, err := z.in.Peek(zipEndLen)
	if err != nil {
		return io.ErrUnexpectedEOF
	}
	comment := int(u16(head[20:]))
	_ = z.in.skip(zipEndLen)
	if err := z.comment(comment); err != nil {
		return err
	}
	if z.listed > z.members {
		return errMembersMissing
	}
	return nil
}

func (z *zipReader) comment(n int) error {
	b := make([]byte, n)
	if _, err := io.ReadFull(z.in, b); err != nil {
		return io.ErrUnexpectedEOF
	}
	z.in.text("comment", string(b))
	return nil
}

func u16(b []byte) uint16 { return binary.LittleEndian.Uint16(b) }
func u32(b []byte) uint32 { return binary.LittleEndian.Uint32(b) }
