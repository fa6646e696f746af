// Package redact replaces secrets in text and streams, in any encoding, by three asterisks.
package redact

import (
	"io"
	"sync/atomic"

	"github.com/tightlip/tightlip/proof"
)

// Mask is shown in place of a secret, however long. Secrets that touch share one.
const Mask = "***"

// Redactor masks one set of secrets. It is safe for concurrent use, and needles are sealed in it.
type Redactor struct {
	needles *proof.Needles
	masked  atomic.Bool
}

// New returns a Redactor of all that n was made from, waived secrets included.
func New(n *proof.Needles) *Redactor { return &Redactor{needles: n} }

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
	masker *proof.Masker
	out    []byte // what the call at hand returns
	masked bool   // the last thing shown was a mask
	seen   *atomic.Bool
}

// NewStream starts a stream.
func (r *Redactor) NewStream() *Stream {
	s := &Stream{seen: &r.masked}
	s.masker = r.needles.NewMasker(s.emit)
	return s
}

func (s *Stream) emit(text []byte, masked bool) {
	switch {
	case !masked:
		s.out = append(s.out, text...)
	case !s.masked:
		s.out = append(s.out, Mask...)
		s.seen.Store(true)
	}
	s.masked = masked
}

// Push takes the next piece and returns what may be shown by now: all but a tail that may be the start of a secret.
func (s *Stream) Push(p []byte) []byte {
	s.out = nil
	_, _ = s.masker.Write(p)
	return s.out
}

// Flush returns the rest at the end. The first bytes of a secret that was cut off there are masked if they are 8 or more.
// The Stream can then be used for another text.
func (s *Stream) Flush() []byte {
	s.out = nil
	s.masker.Flush()
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
