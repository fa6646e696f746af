// Package enginetest starts real engines, registries and the program itself for tests. Everything lives in folders of its
// own and is stopped by its own process id: a Docker that is installed on the machine is never touched.
package enginetest

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"
)

// cleanups run once, after the last test of the package.
var (
	cleanupMu sync.Mutex
	cleanups  []func()
)

// Main runs the tests of a package that uses this one, and stops what they share. TestMain passes its result to os.Exit.
func Main(m *testing.M) int {
	defer func() {
		for _, clean := range slices.Backward(cleanups) {
			clean()
		}
	}()
	return m.Run()
}

func atEnd(clean func()) {
	cleanupMu.Lock()
	defer cleanupMu.Unlock()
	cleanups = append(cleanups, clean)
}

// Root is the folder of the repository.
func Root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for d := dir; ; d = filepath.Dir(d) {
		if _, err := os.Stat(filepath.Join(d, "go.mod")); err == nil {
			return d
		}
		if d == filepath.Dir(d) {
			t.Fatalf("no go.mod above %s", dir)
		}
	}
}

// NeedRoot skips a test that cannot work for an ordinary user.
func NeedRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: it starts a Docker daemon, or looks at other users' processes")
	}
}

// Tool is the path of a program that .ci/setup installs.
func Tool(t testing.TB, name string) string {
	t.Helper()
	for _, dir := range []string{"/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"} {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path
		}
	}
	t.Fatalf("%s is missing: run .ci/setup", name)
	return ""
}

// shortTemp makes a folder with a path short enough for sockets in it.
func shortTemp(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "tl")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// stop ends a process that this package started, and waits until it has ended.
func stop(cmd *exec.Cmd, patience time.Duration) {
	_ = cmd.Process.Signal(syscall.SIGTERM)
	timer := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	_ = cmd.Wait()
}

// Eventually fails the test unless ok becomes true in time.
func Eventually(t testing.TB, patience time.Duration, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}
