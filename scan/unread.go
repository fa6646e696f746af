package scan

import (
	"errors"
	"fmt"

	"github.com/therootcompany/xz"
)

// Reason is why something could not be read. Its values are stable: reports may contain them.
type Reason string

// The reasons.
const (
	Damaged     Reason = "damaged"     // truncated, or not what its format says
	Encrypted   Reason = "encrypted"   // a member of a zip archive that needs a password
	Unsupported Reason = "unsupported" // a compression method or filter that Walk does not know
	OverWindow  Reason = "window"      // needs more memory than Limits.Window
	OverDepth   Reason = "depth"       // nested deeper than Limits.Depth
	OverBytes   Reason = "bytes"       // decompresses to more than Limits.Bytes
	NotLayer    Reason = "not-a-layer" // not a tar archive, although Limits.MustUnpack
)

// UnreadError says why something could not be read, or not completely.
type UnreadError struct {
	Reason Reason
	Err    error
}

func (e *UnreadError) Error() string { return fmt.Sprintf("%s: %v", e.Reason, e.Err) }

// Unwrap returns what the decoder said.
func (e *UnreadError) Unwrap() error { return e.Err }

func unread(r Reason, format string, args ...any) *UnreadError {
	return &UnreadError{Reason: r, Err: fmt.Errorf(format, args...)}
}

// asUnread gives a decoder's error its reason.
func asUnread(err error) *UnreadError {
	if u, ok := errors.AsType[*UnreadError](err); ok {
		return u
	}
	if errors.Is(err, xz.ErrOptions) || errors.Is(err, xz.ErrUnsupportedCheck) {
		return &UnreadError{Reason: Unsupported, Err: err}
	}
	return &UnreadError{Reason: Damaged, Err: err}
}
