package podman

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/tightlip/tightlip/build"
	"github.com/tightlip/tightlip/dockerfile/translate"
)

// tailSize is how much of a quiet build's output is shown if it fails, in bytes.
const tailSize = 8 << 10

// display shows what a tool prints, redacted.
type display struct {
	io.WriteCloser // redacts
	to             io.Writer
	quiet          bool
	tail           []byte // the last of what was redacted
	names          *translate.Result
	line           []byte // of which the end is still to come, if steps have to be named
}

// newDisplay shows steps that were led through the broker, or have agents of ours, as they are in the Dockerfile; names may be nil.
func newDisplay(to io.Writer, job build.Job, names *translate.Result) *display {
	r := job.Request
	if job.Broker == nil && !r.Rehearse && (names == nil || len(names.Sockets) == 0) {
		names = nil
	}
	d := &display{to: to, names: names, quiet: r.Quiet || r.Progress == "quiet" || r.Progress == "none"}
	d.WriteCloser = job.Redact.Writer(shown{d})
	return d
}

// shown is the end of a display that gets redacted text.
type shown struct{ *display }

// Write implements io.Writer.
func (s shown) Write(p []byte) (int, error) {
	s.tail = append(s.tail, p...)
	if over := len(s.tail) - tailSize; over > 0 {
		s.tail = append(s.tail[:0], s.tail[over:]...)
	}
	switch {
	case s.quiet:
		return len(p), nil
	case s.names == nil:
		return s.to.Write(p)
	}
	s.line = append(s.line, p...)
	end := bytes.LastIndexByte(s.line, '\n') + 1
	var out strings.Builder
	for line := range bytes.Lines(s.line[:end]) {
		out.WriteString(s.named(string(line)))
	}
	s.line = append(s.line[:0], s.line[end:]...)
	_, err := io.WriteString(s.to, out.String())
	return len(p), err
}

// named is a line with the step in it as it was written.
func (d *display) named(line string) string {
	text, end := strings.CutSuffix(line, "\n")
	if strings.HasPrefix(text, "STEP ") {
		text = d.names.Name(text)
	}
	text = d.names.AsWritten(text)
	if end {
		text += "\n"
	}
	return text
}

// Close shows the rest, and the end of what a quiet build that failed has printed.
func (d *display) Close(failed bool) error {
	err := d.WriteCloser.Close()
	if len(d.line) > 0 && err == nil {
		_, err = io.WriteString(d.to, d.named(string(d.line)))
	}
	if failed && d.quiet && err == nil {
		_, err = d.to.Write(d.tail)
	}
	return err
}

// reason is what a tool that failed said last.
func (d *display) reason(code int) string {
	const prefix = "Error: "
	for _, line := range strings.Split(string(d.tail), "\n") {
		if text, ok := strings.CutPrefix(line, prefix); ok {
			return d.names.AsWritten(text)
		}
	}
	return fmt.Sprintf("it ended with code %d", code)
}
