package scan

import (
	"errors"
	"io"
	"strconv"
	"strings"
)

const (
	arMagic     = "!<arch>\n"
	arHeaderLen = 60
)

var errHeader = errors.New("impossible header")

// ar unpacks an ar archive, as deb packages are.
func (w *walker) ar(in *input) (read bool, err error) {
	start := in.offset()
	if err := in.skip(int64(len(arMagic))); err != nil {
		return false, err
	}
	var names string // GNU's table of long names
	for {
		head, err := in.Peek(arHeaderLen)
		if len(head) == 0 && err == io.EOF {
			return true, nil
		}
		if err != nil {
			return read, io.ErrUnexpectedEOF
		}
		name := strings.TrimRight(string(head[:16]), " ")
		size, err := strconv.ParseInt(strings.TrimRight(string(head[48:58]), " "), 10, 64)
		if err != nil || size < 0 || string(head[58:]) != "`\n" {
			return read, errHeader
		}
		read = true
		_ = in.skip(arHeaderLen)
		if name, size, err = in.arName(name, size, &names); err != nil {
			return read, err
		}
		if err := w.plainMember(in, name, size); err != nil {
			return read, err
		}
		_ = in.pad(start, 2) // with a newline, or in Go's archives a zero; the last member may lack it
	}
}

// arName completes a member's name from where the two dialects keep long ones: BSD before the content, whose size it
// corrects, and GNU in a member called "//", which it takes in.
func (in *input) arName(name string, size int64, table *string) (string, int64, error) {
	if long, ok := strings.CutPrefix(name, "#1/"); ok {
		n, err := strconv.Atoi(long)
		if err != nil || n < 0 || int64(n) > size {
			return "", 0, errHeader
		}
		full, err := in.take(n)
		return strings.TrimRight(string(full), "\x00"), size - int64(n), err
	}
	if name == "//" {
		head, _ := in.Peek(int(min(size, int64(in.Size()))))
		*table = string(head)
		return name, size, nil
	}
	if at, err := strconv.Atoi(strings.TrimPrefix(name, "/")); err == nil && name[0] == '/' && at >= 0 && at < len(*table) {
		name, _, _ = strings.Cut((*table)[at:], "\n")
	}
	if len(name) > 1 {
		name = strings.TrimSuffix(name, "/")
	}
	return name, size, nil
}

// take reads n bytes of a header and keeps the first of them, as many as a buffer holds.
func (in *input) take(n int) ([]byte, error) {
	head, err := in.Peek(min(n, in.Size()))
	if err != nil {
		return nil, io.ErrUnexpectedEOF
	}
	head = append([]byte(nil), head...)
	return head, in.skip(int64(n))
}

// plainMember shows and unpacks a member of size uncompressed bytes that starts here, and moves to its end.
func (w *walker) plainMember(in *input, name string, size int64) error {
	path := member(in.path, name)
	in.member(path)
	in.text("name", name)
	err := w.content(in, size, path)
	in.between()
	return err
}

// content unpacks the next size bytes, which are path's, if they are a container.
func (w *walker) content(in *input, size int64, path Path) error {
	if head, _ := in.Peek(int(min(size, SniffLen))); !mayNest(head) {
		return in.skip(size)
	}
	body := &io.LimitedReader{R: in.Reader, N: size}
	w.inside(in, body, path)
	return in.skip(body.N)
}
