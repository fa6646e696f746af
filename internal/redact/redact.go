// Package redact replaces secrets in text and streams, in any encoding, by three asterisks.
package redact

import (
	"io"
	"slices"
	"sync/atomic"

	"github.com/tightlip/tightlip/proof"
)

// Mask is shown in place of a secret, however long. Secrets that touch share one.
const Mask = "***"

// Redactor masks a set of secrets that may grow. It is safe for concurrent use, and needles are sealed in it.
type Redactor struct {
	needles atomic.Pointer[[]*proof.Needles]
	masked  atomic.Bool
}

// New returns a Redactor of all that n was made from, waived secrets included.
func New(n *proof.Needles) *Redactor {
	r := &Redactor{}
	r.needles.Store(&[]*proof.Needles{n})
	return r
}

// Add has more secrets masked, also in the streams that have begun, from what they are given next.
func (r *Redactor) Add(n *proof.Needles) {
	for {
		old := r.needles.Load()
		grown := append(slices.Clone(*old), n)
		if r.needles.CompareAndSwap(old, &grown) {
			return
		}
	}
}

// Masked tells whether there was anything to mask so far.
func (r *Redactor) Masked() bool { return r.masked.Load() }

// String is s with the secrets masked.
func (r *Redactor) String(s string) string { return string(r.Bytes([]byte(s))) }

// Bytes is b with the secrets masked, in memory of its own.
func (r *Redactor) Bytes(b []byte) []byte {
	s := r.NewStream()
	return append(s.Push(b), s.Flush()...)
}

// Stream redacts text that arrives in pieces. It must not be used by several goroutines at once.
type Stream struct {
	from    *Redactor
	maskers []*proof.Masker // each takes what the one before lets through
	out     []byte          // what the call at hand returns
	masked  bool            // the last thing shown was a mask
}

// NewStream starts a stream.
func (r *Redactor) NewStream() *Stream { return &Stream{from: r} }

// grow has a masker for each of the redactor's needles.
func (s *Stream) grow() {
	all := *s.from.needles.Load()
	for i := len(s.maskers); i < len(all); i++ {
		s.maskers = append(s.maskers, all[i].NewMasker(func(text []byte, masked bool) { s.emit(i, text, masked) }))
	}
}

// emit passes on what the masker with a number lets through. A mask ends the text of those that come after it.
func (s *Stream) emit(number int, text []byte, masked bool) {
	for _, m := range s.maskers[number+1:] {
		if !masked {
			_, _ = m.Write(text)
			return
		}
		m.Flush()
	}
	switch {
	case !masked:
		s.out = append(s.out, text...)
	case !s.masked:
		s.out = append(s.out, Mask...)
		s.from.masked.Store(true)
	}
	s.masked = masked
}

// Push takes the next piece and returns what may be shown by now: all but a tail that may be the start of a secret.
func (s *Stream) Push(p []byte) []byte {
	s.out = nil
	s.grow()
	_, _ = s.maskers[0].Write(p)
	return s.out
}

// Flush returns the rest at the end. The first bytes of a secret that was cut off there are masked if they are 8 or more.
// The Stream can then be used for another text.
func (s *Stream) Flush() []byte {
	s.out = nil
	s.grow()
	for _, m := range s.maskers {
		m.Flush()
	}
	s.masked = false
	return s.out
}

// Writer returns a writer that passes on to w what may be shown. Close passes on the rest; it does not close w.
func (r *Redactor) Writer(w io.Writer) io.WriteCloser {
	return &writer{to: w, stream: r.NewStream()}
}

type writer struct {
	to     io.Writer
	stream *Stream
}

func (w *writer) Write(p []byte) (int, error) {
	if err := w.pass(w.stream.Push(p)); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (w *writer) Close() error { return w.pass(w.stream.Flush()) }

func (w *writer) pass(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	_, err := w.to.Write(p)
	return err
}
