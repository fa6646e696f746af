package scan

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// recorder is a Visitor that remembers everything.
type recorder struct {
	t       testing.TB
	streams []*recorded
	unread  []string // "path: reason"
}

type recorded struct {
	t      testing.TB
	path   Path
	bytes  bytes.Buffer
	parts  []part
	texts  []string // "member field=value"
	closed bool
}

type part struct {
	path   Path
	offset int64
}

func (r *recorder) Stream(p Path) Sink {
	s := &recorded{t: r.t, path: p, parts: []part{{p, 0}}}
	r.streams = append(r.streams, s)
	return s
}

func (r *recorder) Unread(p Path, why error) {
	u, ok := why.(*UnreadError)
	if !ok {
		r.t.Errorf("Unread(%s) without a reason: %v", p, why)
		return
	}
	r.unread = append(r.unread, fmt.Sprintf("%s: %s", p, u.Reason))
}

func (s *recorded) Write(p []byte) { s.bytes.Write(p) }

func (s *recorded) Member(p Path, offset int64) {
	if last := s.parts[len(s.parts)-1]; offset < last.offset || offset > int64(s.bytes.Len()) {
		s.t.Errorf("member %q at %d, after one at %d, with %d bytes written", p, offset, last.offset, s.bytes.Len())
	}
	s.parts = append(s.parts, part{p, offset})
}

func (s *recorded) Text(field, value string) {
	s.texts = append(s.texts, fmt.Sprintf("%s %s=%s", s.parts[len(s.parts)-1].path, field, value))
}

func (s *recorded) Close() { s.closed = true }

// at returns whose byte the one at offset is.
func (s *recorded) at(offset int) string {
	owner := s.parts[0]
	for _, p := range s.parts {
		if p.offset <= int64(offset) {
			owner = p
		}
	}
	return owner.path.String()
}

// where returns the paths at which the bytes are, one for each time they pass.
func (r *recorder) where(needle string) []string {
	var paths []string
	for _, s := range r.streams {
		for from, data := 0, s.bytes.String(); ; {
			i := strings.Index(data[from:], needle)
			if i < 0 {
				break
			}
			paths = append(paths, s.at(from+i))
			from += i + len(needle)
		}
	}
	return paths
}

func (r *recorder) texts() string {
	var all []string
	for _, s := range r.streams {
		all = append(all, s.texts...)
	}
	return strings.Join(all, "\n")
}

// walk walks over data and checks what holds for every walk: the root's bytes pass once and in order, and streams end.
func walk(t testing.TB, data []byte, l Limits) *recorder {
	t.Helper()
	return walkReader(t, data, bytes.NewReader(data), l)
}

func walkReader(t testing.TB, data []byte, r io.Reader, l Limits) *recorder {
	t.Helper()
	rec := &recorder{t: t}
	if err := Walk(context.Background(), r, "", rec, l); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(rec.streams[0].bytes.Bytes(), data) {
		t.Errorf("the root's sink got %d bytes, not the %d of the input", rec.streams[0].bytes.Len(), len(data))
	}
	for _, s := range rec.streams {
		if !s.closed {
			t.Errorf("stream %q was not closed", s.path)
		}
	}
	if len(largeWindows) != 0 {
		t.Error("the place for large windows is still held")
	}
	return rec
}

// slowly gives a byte at a time, so that every field of every header straddles two reads.
func slowly(data []byte) io.Reader { return iotest.OneByteReader(bytes.NewReader(data)) }
