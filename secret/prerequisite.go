package secret

import (
	"context"
	"errors"
)

// Prerequisite is for errors of what has to be done before a value can be asked for, such as a login or reading the key that signs. It
// wraps none of the sentinels, which are about the value: nobody may take a missing key for a missing value.
func Prerequisite(doing string, err error) *ResolveError {
	re := &ResolveError{Problem: doing + ": " + err.Error(), Try: hint(err)}
	for _, keep := range []error{context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, keep) {
			re.Err = errors.Join(re.Err, keep)
		}
	}
	return re
}

func hint(err error) string {
	if h, ok := errors.AsType[interface {
		error
		Hint() string
	}](err); ok {
		return h.Hint()
	}
	return ""
}
