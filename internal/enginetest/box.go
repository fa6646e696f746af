package enginetest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/tightlip/tightlip/broker/shimbin"
)

// systemPath is where Debian's programs are.
const systemPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

var built struct {
	once sync.Once
	path string
}

// Binary builds the program, once for all tests of a package, and returns its path.
func Binary(t testing.TB) string {
	t.Helper()
	NeedShim(t)
	built.once.Do(func() {
		dir := shortTemp(t)
		if err := os.Chmod(dir, 0o755); err != nil { // other users run it, too
			t.Fatal(err)
		}
		atEnd(func() { os.RemoveAll(dir) })
		path := filepath.Join(dir, "tightlip")
		cmd := exec.Command("go", "build", "-o", path, "./cmd/tightlip")
		cmd.Dir = Root(t)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("building tightlip: %v\n%s", err, out)
		}
		built.path = path
	})
	if built.path == "" {
		t.Fatal("tightlip could not be built: see the first test")
	}
	return built.path
}

// NeedShim fails a test of a program that would have no shim in it: make builds it, and git ignores it.
func NeedShim(t testing.TB) {
	t.Helper()
	if _, err := shimbin.For(runtime.GOARCH); err != nil {
		t.Fatalf("%v: run make shim", err)
	}
}

// Box is a place to run the program in, with a home, a configuration, a cache and a state of its own.
type Box struct {
	T    testing.TB
	Dir  string // the root of all folders below
	Work string // the working directory
	Env  map[string]string

	docker *Docker
}

// NewBox makes a box. With a nil Docker, the program finds none.
func NewBox(t testing.TB, docker *Docker) *Box {
	t.Helper()
	dir := shortTemp(t)
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("something still holds the folder of the test: %v", err)
		}
	})
	b := &Box{T: t, Dir: dir, Work: filepath.Join(dir, "work"), docker: docker}
	b.Env = map[string]string{
		"PATH": systemPath, "HOME": filepath.Join(dir, "home"), "TMPDIR": filepath.Join(dir, "tmp"), "TERM": "xterm",
		"DOCKER_CONFIG":      filepath.Join(dir, "docker"),
		"DOCKER_HOST":        "unix://" + dir + "/no-docker.sock",
		"TIGHTLIP_CACHE_DIR": filepath.Join(dir, "cache"), "TIGHTLIP_STATE_DIR": filepath.Join(dir, "state"),
	}
	if docker != nil {
		b.Env["DOCKER_HOST"] = docker.Host
		b.Env["PATH"] = docker.bin + ":" + systemPath
	}
	for _, d := range []string{b.Work, b.Env["HOME"], b.Env["TMPDIR"], b.Env["DOCKER_CONFIG"]} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	b.plugins()
	return b
}

// plugins makes buildx and tightlip commands of Docker's.
func (b *Box) plugins() {
	dir := filepath.Join(b.Env["DOCKER_CONFIG"], "cli-plugins")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		b.T.Fatal(err)
	}
	links := map[string]string{"docker-tightlip": Binary(b.T)}
	if b.docker != nil {
		links["docker-buildx"] = b.docker.buildx
	}
	for name, target := range links {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			b.T.Fatal(err)
		}
	}
}

// Login makes the box know a registry's password, as docker login does.
func (b *Box) Login(r *Registry) {
	b.T.Helper()
	b.DockerConfig(map[string]any{"auths": map[string]any{
		r.Host: map[string]string{"auth": base64.StdEncoding.EncodeToString([]byte(r.user + ":" + r.password))},
	}})
}

// DockerConfig writes Docker's config.json.
func (b *Box) DockerConfig(v any) {
	b.T.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		b.T.Fatal(err)
	}
	write(b.T, filepath.Join(b.Env["DOCKER_CONFIG"], "config.json"), text)
}

// Write writes a file in the working directory and returns its path.
func (b *Box) Write(name string, content []byte) string {
	b.T.Helper()
	path := filepath.Join(b.Work, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		b.T.Fatal(err)
	}
	write(b.T, path, content)
	return path
}

func write(t testing.TB, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
}

// Result is what a command printed and how it ended.
type Result struct {
	Stdout, Stderr string
	Code           int // -1 if a signal ended it
}

// All is everything that was printed.
func (r Result) All() string { return r.Stdout + r.Stderr }

// Command prepares a program to run in the box.
func (b *Box) Command(name string, args ...string) *exec.Cmd {
	b.T.Helper()
	if !strings.Contains(name, "/") {
		path := ""
		for _, dir := range filepath.SplitList(b.Env["PATH"]) {
			if p, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
				path = p
				break
			}
		}
		if path == "" {
			b.T.Fatalf("%s is missing: run .ci/setup", name)
		}
		name = path
	}
	cmd := exec.Command(name, args...)
	cmd.Dir = b.Work
	for k, v := range b.Env {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	return cmd
}

// Run runs a program in the box, to its end.
func (b *Box) Run(name string, args ...string) Result {
	b.T.Helper()
	return Finish(b.T, b.Command(name, args...))
}

// Tightlip runs the program in the box.
func (b *Box) Tightlip(args ...string) Result {
	b.T.Helper()
	return b.Run(Binary(b.T), args...)
}

// Docker runs Docker's command line, which must succeed, and returns its output without the last newline.
func (b *Box) Docker(args ...string) string {
	b.T.Helper()
	r := b.Run("docker", args...)
	if r.Code != 0 {
		b.T.Fatalf("docker %s: exit code %d\n%s", strings.Join(args, " "), r.Code, r.All())
	}
	return strings.TrimSuffix(r.Stdout, "\n")
}

// Finish runs a prepared command to its end.
func Finish(t testing.TB, cmd *exec.Cmd) Result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatalf("running %s: %v", cmd.Path, err)
	}
	return Result{Stdout: stdout.String(), Stderr: stderr.String(), Code: cmd.ProcessState.ExitCode()}
}
