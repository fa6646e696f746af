package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tightlip/tightlip/internal/enginetest"
)

// running is a build in the background.
type running struct {
	t    *testing.T
	cmd  *exec.Cmd
	mu   sync.Mutex
	text bytes.Buffer
	done chan struct{}
}

// Write implements io.Writer for what the build prints.
func (r *running) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(p)
}

func (r *running) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}

func begin(t *testing.T, cmd *exec.Cmd) *running {
	t.Helper()
	r := &running{t: t, cmd: cmd, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = r, r
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = cmd.Wait(); close(r.done) }()
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-r.done })
	return r
}

// waitFor waits until the build has printed a text.
func (r *running) waitFor(text string) {
	r.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(r.String(), text); time.Sleep(5 * time.Millisecond) {
		select {
		case <-r.done:
			r.t.Fatalf("the build ended before it said %q:\n%s", text, r)
		default:
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("the build has not said %q:\n%s", text, r)
		}
	}
}

// end waits for the build's end and returns its exit code.
func (r *running) end() int {
	r.t.Helper()
	select {
	case <-r.done:
	case <-time.After(25 * time.Second):
		r.t.Fatalf("the build does not end:\n%s", r)
	}
	return r.cmd.ProcessState.ExitCode()
}

// processes lists the processes whose command line, root or working directory has to do with a folder.
func processes(dir string) (pids []int, shown []string) {
	all, _ := filepath.Glob("/proc/[0-9]*")
	for _, p := range all {
		cmdline, _ := os.ReadFile(p + "/cmdline")
		text := strings.ReplaceAll(string(cmdline), "\x00", " ")
		mounts, _ := os.ReadFile(p + "/mountinfo")
		if strings.Contains(text, dir) || bytes.Contains(mounts, []byte(dir)) {
			pid, _ := strconv.Atoi(filepath.Base(p))
			pids, shown = append(pids, pid), append(shown, filepath.Base(p)+" "+text)
		}
	}
	return pids, shown
}

// nothingRuns waits until no process and no mount has to do with a box.
func nothingRuns(t *testing.T, b *enginetest.Box) {
	t.Helper()
	var shown []string
	for deadline := time.Now().Add(15 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if _, shown = processes(b.Dir); len(shown) == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("still running, or with mounts of the build:\n%s", strings.Join(shown, "\n"))
		}
	}
	if bytes.Contains(readFile(t, "/proc/self/mounts"), []byte(b.Dir)) {
		t.Error("the host has mounts of the build")
	}
}

// enginePID finds the embedded engine of a box.
func enginePID(t *testing.T, b *enginetest.Box) int {
	t.Helper()
	all, _ := filepath.Glob("/proc/[0-9]*")
	for _, p := range all {
		cmdline, _ := os.ReadFile(p + "/cmdline")
		if bytes.Contains(cmdline, []byte("engine\x00serve\x00")) && bytes.Contains(cmdline, []byte(b.Dir)) {
			pid, _ := strconv.Atoi(filepath.Base(p))
			return pid
		}
	}
	t.Fatal("there is no engine")
	return 0
}

func slowBuild(t *testing.T, b *enginetest.Box, engine string, args ...string) *running {
	t.Helper()
	args = slices.Concat([]string{"build", "--engine", engine, "--progress", "plain"}, secretFlag, args, []string{"."})
	return begin(t, b.Command(enginetest.Binary(t), args...))
}
