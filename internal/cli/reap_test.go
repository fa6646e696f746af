package cli

import (
	"errors"
	"testing"
	"time"

	"github.com/tightlip/tightlip/secret"
)

// TestUnreaped: reap ends with 0 if nothing is left that does not end on its own.
func TestUnreaped(t *testing.T) {
	later := time.Now().Add(time.Hour)
	for _, tt := range []struct {
		ending secret.Ending
		left   bool
	}{
		{secret.Ending{Fate: secret.Dead}, false},
		{secret.Ending{Fate: secret.Unasked}, false},
		{secret.Ending{Fate: secret.Expired, Err: errors.New("403")}, false},
		{secret.Ending{Fate: secret.Lives, Expires: later}, false},
		{secret.Ending{Fate: secret.Lives}, true},
		{secret.Ending{Fate: secret.Lives, Unsure: true}, false},
		{secret.Ending{Fate: secret.Unknown, Expires: later}, true},
		{secret.Ending{Fate: secret.Unknown, Unsure: true}, false},
		{secret.Ending{Fate: secret.Unrevoked, Expires: later, Err: errors.New("403")}, true},
	} {
		if err := unreaped(tt.ending); err != nil != tt.left {
			t.Errorf("%s: got %v", tt.ending, err)
		}
	}
}
