package build_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tightlip/tightlip/build"
	"github.com/tightlip/tightlip/secret"
)

// runProgram runs a command with one secret in a file.
func runProgram(t *testing.T, ctx context.Context, command ...string) (*build.Outcome, string, error) {
	t.Helper()
	i := &issuer{t: t, alive: map[string]bool{}}
	var out strings.Builder
	r := &build.CommandRequest{
		Secrets: []build.CommandSecret{{Secret: build.Secret{ID: "a", Ref: secret.Ref{Scheme: "issuer", Rest: "x"}}, Variable: "FILE", AsFile: true}},
		Command: command, Out: &out, Err: io.Discard,
	}
	got, err := build.RunCommand(ctx, r, nil, build.Tools{Resolver: secret.NewResolver(i)})
	for _, alive := range i.alive {
		if alive {
			t.Error("the credential outlives its command")
		}
	}
	if got != nil && (len(got.Leases) != 1 || got.Leases[0].Fate != secret.Dead) {
		t.Errorf("the leases are %+v", got.Leases)
	}
	return got, out.String(), err
}

func TestProgramNotStarted(t *testing.T) {
	dir := t.TempDir()
	script := filepath.Join(dir, "script")
	if err := os.WriteFile(script, []byte("no first line"), 0o644); err != nil {
		t.Fatal(err)
	}
	loader := filepath.Join(dir, "loader")
	if err := os.WriteFile(loader, []byte("#!/no/such/shell\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, hint := range map[string]string{"no-such-program": "install it", filepath.Join(dir, "nothing"): "path of a program that exists", loader: "in its first line", script: "chmod +x", dir: "chmod +x"} {
		_, _, err := runProgram(t, t.Context(), name)
		if usage := (*build.UsageError)(nil); !errors.As(err, &usage) || !strings.Contains(usage.Try, hint) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestProgramEndedBySignal(t *testing.T) {
	_, _, err := runProgram(t, t.Context(), "sh", "-c", "kill -TERM $$ # not-repeated")
	if failed := (*build.FailedError)(nil); !errors.As(err, &failed) || failed.Code != 143 || failed.Text != "sh was ended by a signal: terminated" {
		t.Errorf("got %v", err)
	}
}

func TestProgramLeavesSomething(t *testing.T) {
	if testing.Short() {
		t.Skip("waits 5 s for what the command left")
	}
	out, text, err := runProgram(t, t.Context(), "sh", "-c", `sleep 7 & echo "done"`)
	if err != nil || !out.Left || text != "done\n" {
		t.Errorf("got %+v, %q, %v", out, text, err)
	}
	if out, _, err := runProgram(t, t.Context(), "sh", "-c", `sleep 7 > /dev/null 2>&1 &`); err != nil || out.Left {
		t.Errorf("of what is quiet: %+v, %v", out, err)
	}
}

func TestProgramCancelled(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, _, err := runProgram(t, ctx, "sh", "-c", `echo "$FILE" > `+t.TempDir()+`/path; sleep 60; echo after`)
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 4*time.Second {
		t.Errorf("after %s: %v", time.Since(start), err)
	}
}
