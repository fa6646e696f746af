package scan

import (
	"strconv"
	"strings"
)

const cpioTrailer = "TRAILER!!!"

// cpioHeader is where the two formats keep what is needed. Their numbers are text.
type cpioHeader struct {
	len, align, base       int
	nameFrom, nameTo       int
	contentFrom, contentTo int
}

var (
	cpioNew = cpioHeader{len: 110, align: 4, base: 16, nameFrom: 94, nameTo: 102, contentFrom: 54, contentTo: 62}
	cpioOld = cpioHeader{len: 76, align: 1, base: 8, nameFrom: 59, nameTo: 65, contentFrom: 65, contentTo: 76}
)

// cpioFormat knows newc, its variant with checksums, and odc.
func cpioFormat(b []byte) (h cpioHeader, ok bool) {
	if len(b) < 6 {
		return h, false
	}
	switch string(b[:6]) {
	case "070701", "070702":
		return cpioNew, true
	case "070707":
		return cpioOld, true
	}
	return h, false
}

// isCPIO asks for a whole valid header, since the magic is but a number in text.
func isCPIO(b []byte) bool {
	h, ok := cpioFormat(b)
	if !ok || len(b) < h.len {
		return false
	}
	for i := 6; i < h.len; i += 2 {
		if _, err := strconv.ParseUint(string(b[i:i+2]), h.base, 8); err != nil {
			return false
		}
	}
	return true
}

// cpio unpacks a cpio archive, up to its trailer.
func (w *walker) cpio(in *input) (read bool, err error) {
	start := in.offset()
	for {
		head, _ := in.Peek(cpioNew.len)
		if !isCPIO(head) {
			return true, errHeader
		}
		h, _ := cpioFormat(head)
		nameLen, _ := strconv.ParseInt(string(head[h.nameFrom:h.nameTo]), h.base, 64)
		size, _ := strconv.ParseInt(string(head[h.contentFrom:h.contentTo]), h.base, 64)
		_ = in.skip(int64(h.len))
		raw, err := in.take(int(nameLen))
		if err != nil {
			return true, err
		}
		if err := in.pad(start, h.align); err != nil {
			return true, err
		}
		name := strings.TrimRight(string(raw), "\x00")
		if name == cpioTrailer {
			return true, nil
		}
		if err := w.plainMember(in, name, size); err != nil {
			return true, err
		}
		if err := in.pad(start, h.align); err != nil {
			return true, err
		}
	}
}

// pad moves to the next multiple of align bytes from start.
func (in *input) pad(start int64, align int) error {
	return in.skip((start - in.offset()) & int64(align-1))
}
