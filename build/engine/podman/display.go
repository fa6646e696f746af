package podman

import (
	"fmt"
	"io"
	"strings"

	"github.com/tightlip/tightlip/build"
)

// tailSize is how much of a quiet build's output is shown if it fails, in bytes.
const tailSize = 8 << 10

// display shows what a tool prints, redacted.
type display struct {
	io.WriteCloser // redacts
	to             io.Writer
	quiet          bool
	tail           []byte // the last of what was redacted
}

func newDisplay(to io.Writer, job build.Job) *display {
	r := job.Request
	d := &display{to: to, quiet: r.Quiet || r.Progress == "quiet" || r.Progress == "none"}
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
	if s.quiet {
		return len(p), nil
	}
	return s.to.Write(p)
}

// Close shows the rest, and the end of what a quiet build that failed has printed.
func (d *display) Close(failed bool) error {
	err := d.WriteCloser.Close()
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
			return text
		}
	}
	return fmt.Sprintf("it ended with code %d", code)
}
