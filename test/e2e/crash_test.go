package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/tightlip/tightlip/internal/enginetest"
)

// slow is a build whose step goes on for longer than any test waits. It says when it has begun, in words that its name has not.
const slow = base + `RUN --mount=type=secret,id=npm printf 'step-has-%s\n' begun; sleep 600 & sleep 601
`

// TestEngineKilled wants an error, nothing named and nothing left when the engine dies in the middle of a step.
func TestEngineKilled(t *testing.T) {
	enginetest.NeedRoot(t)
	t.Parallel()
	b := newEmbeddedBox(t)
	value := withSecret(b, slow)
	r := slowBuild(t, b, "embedded", "-o", "type=oci,dest=out.tar")
	r.waitFor("step-has-begun")
	if err := syscall.Kill(enginePID(t, b), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if code := r.end(); code != 1 {
		t.Errorf("exit code %d, not 1:\n%s", code, r)
	}
	wantText(t, r.String(), "tightlip: error: ")
	nothingRuns(t, b)
	nothingLeft(t, b)
	if _, err := os.Lstat(filepath.Join(b.Work, "out.tar")); err == nil {
		t.Error("there is an output")
	}
	enginetest.NoTracesIn(t, b.Dir, value)
	b.Write("Dockerfile", []byte(clean))
	wantCode(t, buildWith(b, "embedded"), 0)
}

// TestKilled wants the embedded engine to go with the program, and the next build to clear what that left.
func TestKilled(t *testing.T) {
	enginetest.NeedRoot(t)
	t.Parallel()
	b := newEmbeddedBox(t)
	value := withSecret(b, slow)
	r := slowBuild(t, b, "embedded", "-o", "type=oci,dest=out.tar")
	r.waitFor("step-has-begun")
	_ = r.cmd.Process.Kill()
	r.end()
	nothingRuns(t, b)
	enginetest.NoTracesIn(t, b.Dir, value)

	stages, _ := filepath.Glob(b.Env["TIGHTLIP_CACHE_DIR"] + "/stage/build-*")
	if len(stages) != 1 {
		t.Errorf("the killed build's stages are %q: this test wants one to see it go", stages)
	}
	old := time.Now().Add(-2 * time.Minute)
	for _, dir := range stages {
		if err := os.Chtimes(dir, old, old); err != nil {
			t.Fatal(err)
		}
	}
	b.Write("Dockerfile", []byte(clean))
	wantCode(t, buildWith(b, "embedded"), 0)
	nothingLeft(t, b)
}

// moments are when a build is interrupted: by what it has printed, or after a time.
var moments = []struct {
	name          string
	after, docker string // what the build has printed; on Docker, where it says it in other words
	delay         time.Duration
	dockerfile    string
}{
	{name: "at once", dockerfile: slow},
	{name: "while starting", delay: 40 * time.Millisecond, dockerfile: slow},
	{name: "while connecting", delay: 120 * time.Millisecond, dockerfile: slow},
	{name: "in a step", after: "step-has-begun", dockerfile: slow},
	{name: "while exporting", after: "exporting layers", dockerfile: large},
	{name: "while sending", after: "exporting config", docker: "writing image", dockerfile: large},
	{name: "while proving", after: "#7 DONE", docker: "#7 DONE", delay: 30 * time.Millisecond, dockerfile: large},
}

// large makes an image of 400 MB that cannot be compressed.
const large = base + `RUN --mount=type=secret,id=npm for i in 1 2 3 4; do head -c 100000000 /dev/urandom > /$i; done
`

// TestInterrupted sends signals at several moments and wants exit code 130 with nothing named and nothing left.
func TestInterrupted(t *testing.T) {
	enginetest.NeedRoot(t)
	for i, m := range moments {
		signal := []syscall.Signal{syscall.SIGINT, syscall.SIGTERM}[i%2]
		t.Run(fmt.Sprintf("%s by %s", m.name, signal), func(t *testing.T) {
			onAll(t, func(t *testing.T, e engine) {
				if e.name == "classic" && m.dockerfile != slow {
					return // it exports nothing, and proves as the others do
				}
				b := e.box(t)
				value := withSecret(b, m.dockerfile)
				args := []string{"-t", "interrupted"}
				if e.name == "embedded" {
					args = append(args, "-o", "type=oci,dest=out.tar")
				}
				r := slowBuild(t, b, e.name, args...)
				if e.name == "docker" && m.docker != "" {
					r.waitFor(m.docker)
				} else {
					r.waitFor(m.after)
				}
				time.Sleep(m.delay)
				sent := time.Now()
				if err := r.cmd.Process.Signal(signal); err != nil {
					t.Fatal(err)
				}
				// In its first milliseconds, which are many on a busy machine, the program handles no signals, and the signal itself ends it:
				// before it has printed anything.
				if code := r.end(); code != 130 && (m.after != "" || code != -1 || r.String() != "") {
					t.Errorf("exit code %d, not 130:\n%s", code, r)
				}
				if took := time.Since(sent); took > 8*time.Second {
					t.Errorf("it took %s to end", took)
				}
				if e.name == "embedded" {
					nothingRuns(t, b)
				} else if names := b.Docker("images", "-q", "interrupted"); names != "" {
					t.Error("the image has its name")
				}
				if _, err := os.Lstat(filepath.Join(b.Work, "out.tar")); err == nil {
					t.Error("there is an output")
				}
				nothingLeft(t, b)
				if m.dockerfile == slow { // random data takes long to search, and no value is in it
					enginetest.NoTracesIn(t, b.Dir, value)
				}
				enginetest.NoTraces(t, "the output", r.String(), value)
			})
		})
	}
}

// TestInterruptedTerminal wants the terminal as it was: its mode, and the cursor to be seen.
func TestInterruptedTerminal(t *testing.T) {
	enginetest.NeedRoot(t)
	t.Parallel()
	b := newEmbeddedBox(t)
	withSecret(b, slow)
	master, slave, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	defer slave.Close()
	mode := func() string {
		cmd := b.Command("stty", "-a")
		cmd.Stdin = slave
		return enginetest.Finish(t, cmd).Stdout
	}
	before := mode()
	cmd := b.Command(enginetest.Binary(t), slices.Concat([]string{"build", "--engine", "embedded"}, secretFlag, []string{"."})...)
	r := &running{t: t, cmd: cmd, done: make(chan struct{})}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := master.Read(buf)
			_, _ = r.Write(buf[:n])
			if err != nil {
				return
			}
		}
	}()
	go func() { _ = cmd.Wait(); close(r.done) }()
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-r.done })
	r.waitFor(`'step-has-%s`) // its name: a small terminal shows no more of it
	time.Sleep(time.Second)
	if _, err := master.Write([]byte{3}); err != nil { // Ctrl-C
		t.Fatal(err)
	}
	if code := r.end(); code != 130 {
		t.Errorf("exit code %d, not 130:\n%q", code, r)
	}
	if after := mode(); after != before {
		t.Errorf("the terminal was\n%s\nand is\n%s", before, after)
	}
	shown := r.String()
	if hidden, visible := strings.LastIndex(shown, "\x1b[?25l"), strings.LastIndex(shown, "\x1b[?25h"); hidden > visible {
		t.Errorf("the cursor stays hidden: %q", shown[hidden:])
	}
	nothingRuns(t, b)
}

// TestSecondSignal wants a second signal to end a program that is still cleaning up.
func TestSecondSignal(t *testing.T) {
	enginetest.NeedRoot(t)
	t.Parallel()
	b := newEmbeddedBox(t)
	withSecret(b, slow)
	r := slowBuild(t, b, "embedded")
	r.waitFor("step-has-begun")
	for range 2 {
		_ = r.cmd.Process.Signal(syscall.SIGTERM)
		time.Sleep(10 * time.Millisecond)
	}
	if code := r.end(); code != 130 {
		t.Errorf("exit code %d, not 130:\n%s", code, r)
	}
	nothingRuns(t, b)
}
