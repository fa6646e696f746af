package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tightlip/tightlip/internal/enginetest"
)

// waiting is a build with a step that has its secret and waits, one that would be next, and a leak if both could run.
const waiting = base + `RUN --mount=type=secret,id=npm [ -s /run/secrets/npm ] && printf 'step-has-%s\n' begun && sleep 600
RUN --mount=type=secret,id=npm cat /run/secrets/npm > /next-step-has-run
`

// begun starts a build of waiting and returns when its step waits.
func begun(t *testing.T, b *enginetest.Box) (r *running, value string) {
	t.Helper()
	value = withSecret(b, waiting)
	r = slowBuild(t, b, "classic", "-t", "never", "--iidfile", "iid")
	r.waitFor("step-has-begun")
	return r, value
}

// failed wants a build that ends soon with one error, and nothing of it left.
func failed(t *testing.T, b *enginetest.Box, r *running, value string, says ...string) {
	t.Helper()
	start := time.Now()
	if code := r.end(); code != 1 {
		t.Errorf("exit code %d, not 1:\n%s", code, r)
	}
	if took := time.Since(start); took > 15*time.Second {
		t.Errorf("it took %s to end", took)
	}
	wantText(t, r.String(), says...)
	if n := strings.Count(r.String(), "tightlip: error: "); n != 1 {
		t.Errorf("%d errors:\n%s", n, r)
	}
	enginetest.NoTraces(t, "the output", r.String(), value)
	if there(filepath.Join(b.Work, "iid")) {
		t.Error("the image's ID was written")
	}
}

// TestClassicFaults ends each part of a build in the middle of a step. The daemon is a test's own, because all that it stores
// is searched.
func TestClassicFaults(t *testing.T) {
	enginetest.NeedRoot(t)
	t.Parallel()
	d := enginetest.OwnDocker(t)
	box := func(t *testing.T) *enginetest.Box { return enginetest.NewBox(t, d) }
	clear := func(t *testing.T, b *enginetest.Box, value string) {
		t.Helper()
		neverNamed(t, b, "never")
		enginetest.NoTracesIn(t, b.Dir, value)
		enginetest.NoTracesIn(t, d.Data, value)
	}
	t.Run("server killed", func(t *testing.T) {
		b := box(t)
		r, value := begun(t, b)
		b.Docker("kill", serverOf(t, b)[0])
		failed(t, b, r, value, "tightlip: error: the build's server ended during the build")
		clear(t, b, value)
	})
	t.Run("server paused and killed", func(t *testing.T) {
		b := box(t)
		r, value := begun(t, b)
		server := serverOf(t, b)[0]
		b.Docker("pause", server)
		time.Sleep(200 * time.Millisecond)
		b.Docker("kill", server)
		failed(t, b, r, value, "tightlip: error: the build's server ended during the build")
		clear(t, b, value)
	})
	t.Run("step killed", func(t *testing.T) {
		b := box(t)
		value := withSecret(b, waiting)
		r := slowBuild(t, b, "classic", "-t", "never")
		r.waitFor("step-has-begun")
		for _, id := range strings.Fields(b.Docker("ps", "-q", "--no-trunc")) {
			if id != serverOf(t, b)[0] {
				b.Docker("kill", id)
			}
		}
		if code := r.end(); code != 137 {
			t.Errorf("exit code %d, not 137:\n%s", code, r)
		}
		clear(t, b, value)
	})
	t.Run("tightlip killed", func(t *testing.T) {
		b := box(t)
		r, value := begun(t, b)
		_ = r.cmd.Process.Kill()
		r.end()
		enginetest.Eventually(t, 10*time.Second, "the containers go by themselves", func() bool { return b.Docker("ps", "-aq") == "" })
		reap := b.Tightlip("reap")
		wantCode(t, reap, 0)
		wantText(t, reap.Stdout, "removed docker container tightlip-", "removed docker image sha256:", "removed folder ")
		again := b.Tightlip("reap")
		wantCode(t, again, 0)
		if again.All() != "" {
			t.Errorf("the second reap says %s", again.All())
		}
		clear(t, b, value)
	})
	t.Run("interrupted", func(t *testing.T) {
		b := box(t)
		r, value := begun(t, b)
		_ = r.cmd.Process.Signal(syscall.SIGTERM)
		if code := r.end(); code != 130 {
			t.Errorf("exit code %d, not 130:\n%s", code, r)
		}
		clear(t, b, value)
	})
	t.Run("before the build", func(t *testing.T) {
		b := box(t)
		for _, delay := range []time.Duration{50, 150, 250, 400} {
			value := withSecret(b, waiting)
			r := slowBuild(t, b, "classic", "-t", "never")
			time.Sleep(delay * time.Millisecond)
			_ = r.cmd.Process.Signal(os.Interrupt)
			if code := r.end(); code != 130 && code != -1 {
				t.Errorf("exit code %d, not 130:\n%s", code, r)
			}
			neverNamed(t, b, "never")
			enginetest.NoTraces(t, "the output", r.String(), value)
		}
	})
	t.Run("daemon killed", func(t *testing.T) {
		b := box(t)
		r, value := begun(t, b)
		d.Kill()
		if code := r.end(); code != 1 {
			t.Errorf("exit code %d, not 1:\n%s", code, r)
		}
		wantText(t, r.String(), "tightlip: error: removing the build's server, which tightlip reap does later: ")
		enginetest.NoTraces(t, "the output", r.String(), value)
		enginetest.NoTracesIn(t, b.Dir, value)
		d.Start(t)
		wantCode(t, b.Tightlip("reap"), 0)
		b.Docker("container", "prune", "-f") // of the daemon's: the step that it lost
		clear(t, b, value)
	})
}
