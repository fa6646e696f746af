// Package buildtest is the contract that every engine passes.
package buildtest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tightlip/tightlip/build"
	"github.com/tightlip/tightlip/image"
	"github.com/tightlip/tightlip/internal/redact"
	"github.com/tightlip/tightlip/proof"
	"github.com/tightlip/tightlip/secret"
)

// Fixture is an engine under test.
type Fixture struct {
	// Engine is the engine. The contract closes it at its end.
	Engine build.Engine
	// Busybox is the path of a static busybox, which serves as the base of all images.
	Busybox string
	// Output is what makes the engine write an image to the path, as --output has it.
	Output func(path string) string
	// Log returns what the engine has shown so far.
	Log func() string
}

// base is the part that all Dockerfiles of the contract begin with.
const base = `FROM scratch AS base
COPY busybox /bin/busybox
RUN ["/bin/busybox", "--install", "-s", "/bin"]
FROM base
`

// Contract runs all of it.
func Contract(t *testing.T, f Fixture) {
	t.Helper()
	t.Cleanup(func() {
		if err := f.Engine.Close(); err != nil {
			t.Errorf("closing the engine: %v", err)
		}
	})
	if f.Engine.Name() == "" || f.Engine.Description() == "" {
		t.Error("an engine has a name and a description")
	}
	for name, test := range map[string]func(*testing.T, Fixture){
		"hands over on request": handsOver, "names last": namesLast, "discards": discards,
		"failed step": failedStep, "redacts": redacts, "cancel": cancels,
	} {
		t.Run(name, func(t *testing.T) { test(t, f) })
	}
}

// build runs one build in a folder of its own.
func (f Fixture) build(ctx context.Context, t *testing.T, dockerfile, output, value string) (build.Result, build.Job, error) {
	t.Helper()
	dir := t.TempDir()
	busybox, err := os.ReadFile(f.Busybox)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "busybox"), busybox, 0o755)
	write(t, filepath.Join(dir, "Dockerfile"), []byte(base+dockerfile), 0o644)
	set := secret.NewSet()
	if err := set.Add("canary", &secret.Lease{Value: secret.NewValue([]byte(value))}); err != nil {
		t.Fatal(err)
	}
	needles, err := proof.NewNeedles([]proof.Secret{{ID: "canary", Value: secret.NewValue([]byte(value))}})
	if err != nil {
		t.Fatal(err)
	}
	job := build.Job{
		Request: &build.Request{Context: dir, Prove: build.ProveStrict, Output: []string{output}, Progress: "plain", Network: "default"},
		Handoff: build.NewHandoff(set), Redact: redact.New(needles), Stage: t.TempDir(),
	}
	result, err := f.Engine.Build(ctx, job)
	return result, job, err
}

func write(t *testing.T, name string, data []byte, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(name, data, mode); err != nil {
		t.Fatal(err)
	}
}

// handsOver: a value is handed over when a step mounts it, and only then.
func handsOver(t *testing.T, f Fixture) {
	unique := canary(t) // a step that is in the cache asks for nothing
	for dockerfile, want := range map[string]bool{
		"RUN --mount=type=secret,id=canary test -s /run/secrets/canary && echo " + unique: true,
		"RUN echo " + unique: false,
	} {
		result, job, err := f.build(t.Context(), t, dockerfile, f.Output(filepath.Join(t.TempDir(), "out")), canary(t))
		if err != nil {
			t.Fatal(err)
		}
		if got := job.Handoff.Requested("canary"); got != want {
			t.Errorf("%s: the secret was requested: %t, want %t", dockerfile, got, want)
		}
		if err := result.Discard(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// namesLast: nothing is at its place before Name, everything is after, and Discard then leaves it there.
func namesLast(t *testing.T, f Fixture) {
	out := filepath.Join(t.TempDir(), "out")
	result, _, err := f.build(t.Context(), t, "RUN echo hello > /hello", f.Output(out), canary(t))
	if err != nil {
		t.Fatal(err)
	}
	absent(t, out)
	images, err := result.Images(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	readAll(t, images)
	absent(t, out)
	if _, err := result.Name(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := result.Discard(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(out); err != nil {
		t.Errorf("after Name and Discard: %v", err)
	}
}

// readAll checks that an engine's images can be read to their last byte.
func readAll(t *testing.T, images []image.Image) {
	t.Helper()
	if len(images) == 0 {
		t.Error("there is no image to prove")
	}
	for _, img := range images {
		needles, err := proof.NewNeedles([]proof.Secret{{ID: "x", Value: secret.NewValue([]byte(canary(t)))}})
		if err != nil {
			t.Fatal(err)
		}
		p, err := proof.Prove(t.Context(), []image.Image{img}, needles, proof.Options{})
		if err != nil || p.Verdict != proof.Clean {
			t.Errorf("proving %s: %v %+v", img.Ref(), err, p)
		}
		if err := img.Close(); err != nil {
			t.Error(err)
		}
	}
}

// discards: a result that is not named leaves nothing behind.
func discards(t *testing.T, f Fixture) {
	parent := t.TempDir()
	result, job, err := f.build(t.Context(), t, "RUN echo bye > /bye", f.Output(filepath.Join(parent, "out")), canary(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := result.Discard(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{parent, job.Stage} {
		entries, err := os.ReadDir(dir)
		if err != nil || len(entries) > 0 {
			t.Errorf("%s holds %v (%v)", dir, entries, err)
		}
	}
}

// failedStep: a step that fails is a *FailedError, and nothing is left.
func failedStep(t *testing.T, f Fixture) {
	out := filepath.Join(t.TempDir(), "out")
	_, _, err := f.build(t.Context(), t, "RUN exit 7", f.Output(out), canary(t))
	if failed := (*build.FailedError)(nil); !errors.As(err, &failed) || failed.Code == 0 {
		t.Errorf("got %v, want a FailedError", err)
	}
	absent(t, out)
}

// redacts: neither the log nor an error shows a value.
func redacts(t *testing.T, f Fixture) {
	value := canary(t)
	dockerfile := "RUN --mount=type=secret,id=canary cat /run/secrets/canary; echo; base64 /run/secrets/canary; false # " + value
	_, _, err := f.build(t.Context(), t, dockerfile, f.Output(filepath.Join(t.TempDir(), "out")), value)
	if err == nil {
		t.Fatal("the build did not fail")
	}
	for name, text := range map[string]string{"log": f.Log(), "error": err.Error()} {
		if leak := leakIn(text, value); leak != "" {
			t.Errorf("the %s shows the value: %s", name, leak)
		}
	}
}

// cancels: Build returns soon after its context ends, with the cause.
func cancels(t *testing.T, f Fixture) {
	out := filepath.Join(t.TempDir(), "out")
	cause := errors.New("the test ends it")
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(time.Second, func() { cancel(cause) })
	start := time.Now()
	_, _, err := f.build(ctx, t, "RUN sleep 60", f.Output(out), canary(t))
	if !errors.Is(err, cause) {
		t.Errorf("got %v, want %v", err, cause)
	}
	if d := time.Since(start); d > 30*time.Second {
		t.Errorf("it took %s to end", d)
	}
	absent(t, out)
}

func absent(t *testing.T, path string) {
	t.Helper()
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is there, or %v", path, err)
	}
}
