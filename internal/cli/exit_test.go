package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tightlip/tightlip/build"
	"github.com/tightlip/tightlip/build/engine/embedded"
	"github.com/tightlip/tightlip/internal/redact"
	"github.com/tightlip/tightlip/proof"
	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/secrettest"
)

func TestCodes(t *testing.T) {
	for _, test := range []struct {
		command string
		err     error
		want    int
	}{
		{"build", nil, 0},
		{"build", build.ErrLeaked, 3},
		{"build", errors.Join(build.ErrLeaked, errors.New("and more")), 3},
		{"build", errors.Join(build.ErrRecorded, &build.FailedError{Code: 1}), 3},
		{"prove", fmt.Errorf("proving: %w", build.ErrLeaked), 3},
		{"build", build.ErrUnproven, 2},
		{"build", &build.UsageError{Err: errors.New("no")}, 2},
		{"build", fmt.Errorf("x: %w", &secret.ResolveError{Problem: "unset"}), 2},
		{"build", &secret.SyntaxError{Problem: "bad"}, 2},
		{"build", fmt.Errorf("no Docker answers, and %w", embedded.ErrNoRuntime), 2},
		{"build", &build.FailedError{Code: 7}, 7},
		{"build", errors.New("the push failed"), 1},
		{"prove", errors.New("no such image"), 2},
	} {
		a := newTestApp(t)
		a.command = test.command
		if got := a.exit(context.Background(), test.err); got != test.want {
			t.Errorf("%s: %v ends with %d, want %d", test.command, test.err, got, test.want)
		}
	}
}

func newTestApp(t *testing.T) *app {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return &app{streams: Streams{In: os.Stdin, Out: f, Err: f}}
}

func printed(t *testing.T, a *app) string {
	t.Helper()
	text, err := os.ReadFile(a.streams.Err.Name())
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestErrorsHaveHintsOnce(t *testing.T) {
	a := newTestApp(t)
	one := &build.UsageError{Err: errors.New("first"), Try: "type this"}
	a.printError(errors.Join(one, fmt.Errorf("second: %w", one)))
	const want = "tightlip: error: first\ntightlip: error: second: first\ntightlip: hint: type this\n"
	if got := printed(t, a); got != want {
		t.Errorf("got:\n%s", got)
	}
}

func TestErrorsAreRedacted(t *testing.T) {
	value := secrettest.Canary(t)
	n, err := proof.NewNeedles([]proof.Secret{{ID: "a", Value: secret.NewValue(value)}})
	if err != nil {
		t.Fatal(err)
	}
	a := newTestApp(t)
	a.setRedactor(redact.New(n))
	a.printError(&build.UsageError{Err: fmt.Errorf("it said %s", value), Try: "leave out " + string(value)})
	if got := printed(t, a); secrettest.Leak(got, value) != "" || strings.Count(got, "***") != 2 {
		t.Errorf("got:\n%s", got)
	}
}

func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(errInterrupted)
	a := newTestApp(t)
	a.named = []string{"first.tar"}
	if code := a.exit(ctx, context.Canceled); code != 130 {
		t.Errorf("exit code %d", code)
	}
	if got := printed(t, a); !strings.Contains(got, "already named: first.tar") {
		t.Errorf("got:\n%s", got)
	}
}
