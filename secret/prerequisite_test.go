package secret_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/tightlip/tightlip/secret"
)

func TestPrerequisite(t *testing.T) {
	cause := &secret.ResolveError{Problem: "file key.pem does not exist", Try: "check the path", Err: secret.ErrNotFound}
	err := secret.Prerequisite("reading the key that signs", cause)
	if got := err.Error() + " | " + err.Hint(); got != "reading the key that signs: file key.pem does not exist | check the path" {
		t.Errorf("got %q", got)
	}
	if errors.Is(err, secret.ErrNotFound) {
		t.Error("a missing key is taken for a missing value")
	}
	if err := secret.Prerequisite("logging in", fmt.Errorf("asking: %w", context.Canceled)); !errors.Is(err, context.Canceled) {
		t.Error("the cancellation is lost")
	}
}
