package build_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tightlip/tightlip/build"
	"github.com/tightlip/tightlip/image"
	"github.com/tightlip/tightlip/proof"
	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/secrettest"
	"github.com/tightlip/tightlip/secret/source/env"
)

// folderEngine "builds" by writing files into a folder. It is here to see what Run does in which order; real engines have
// tests of their own.
type folderEngine struct {
	files   func(job build.Job) map[string]string
	err     error
	dir     string
	calls   []string
	request *build.Request
}

func (e *folderEngine) Name() string        { return "folder" }
func (e *folderEngine) Description() string { return "a folder" }
func (e *folderEngine) Close() error        { e.calls = append(e.calls, "close"); return nil }

func (e *folderEngine) Build(ctx context.Context, job build.Job) (build.Result, error) {
	e.calls, e.request = append(e.calls, "build"), job.Request
	if e.err != nil {
		return nil, e.err
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	for name, content := range e.files(job) {
		if err := os.WriteFile(filepath.Join(e.dir, name), []byte(content), 0o600); err != nil {
			return nil, err
		}
	}
	if e.err != nil {
		return nil, e.err
	}
	return folderResult{e}, nil
}

// folderResult is what a folderEngine built.
type folderResult struct{ *folderEngine }

func (e folderResult) Images(context.Context) ([]image.Image, error) {
	img, err := image.OpenDir(e.dir)
	e.calls = append(e.calls, "prove")
	return []image.Image{img}, err
}

func (e folderResult) Discard(context.Context) error {
	e.calls = append(e.calls, "discard")
	return nil
}

func (r folderResult) Name(context.Context) (build.Named, error) {
	r.calls = append(r.calls, "name")
	return build.Named{Names: []string{"app"}}, nil
}

const variable = "BUILD_TEST_CANARY"

// run runs a build of an engine that writes the files, with one secret.
func run(t *testing.T, e *folderEngine, change func(*build.Request)) (*build.Outcome, error) {
	t.Helper()
	ref, err := secret.ParseRef("env:" + variable)
	if err != nil {
		t.Fatal(err)
	}
	cache, err := proof.OpenCache(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	e.dir = t.TempDir()
	r := &build.Request{Context: t.TempDir(), Prove: build.ProveStrict, Secrets: []build.Secret{{ID: "npm", Ref: ref}}}
	if change != nil {
		change(r)
	}
	stage := t.TempDir()
	out, err := build.Run(t.Context(), r, build.Tools{
		Resolver: secret.NewResolver(env.Source{}), Cache: cache, StageDir: stage,
		Engine: func(context.Context, *build.Request) (build.Engine, error) { return e, nil },
	})
	if left, _ := os.ReadDir(stage); len(left) > 0 {
		t.Errorf("the stage holds %v after the build", left)
	}
	return out, err
}

func calls(e *folderEngine) string { return strings.Join(e.calls, " ") }

func setCanary(t *testing.T) string {
	t.Helper()
	value := string(secrettest.Canary(t))
	t.Setenv(variable, value)
	return value
}

func clean(build.Job) map[string]string { return map[string]string{"a": "clean"} }

func leaking(value string) func(build.Job) map[string]string {
	return func(build.Job) map[string]string { return map[string]string{"config": "token=" + value} }
}

func TestRunNamesWhatIsProven(t *testing.T) {
	setCanary(t)
	e := &folderEngine{files: func(job build.Job) map[string]string {
		if _, err := job.Handoff.Get(t.Context(), "npm"); err != nil {
			t.Error("the secret is not there")
		}
		job.Handoff.Get(t.Context(), "other")
		return clean(job)
	}}
	out, err := run(t, e, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := calls(e); got != "build prove name discard close" {
		t.Errorf("got the calls %s", got)
	}
	if !out.Named || out.Proof.Verdict != proof.Clean || !out.Secrets[0].Requested || len(out.Unknown) != 1 || out.Unknown[0] != "other" {
		t.Errorf("got %+v", out)
	}
}

func TestRunRefusesALeak(t *testing.T) {
	e := &folderEngine{files: leaking(setCanary(t))}
	out, err := run(t, e, nil)
	if !errors.Is(err, build.ErrLeaked) {
		t.Fatalf("got %v, want ErrLeaked", err)
	}
	if got := calls(e); got != "build prove discard close" {
		t.Errorf("got the calls %s", got)
	}
	if out.Named || len(out.Findings) != 1 || out.Findings[0].Path != "config" || out.Findings[0].Offset != 6 {
		t.Errorf("got %+v", out)
	}
}

func TestRunModes(t *testing.T) {
	value := setCanary(t)
	for mode, want := range map[build.ProveMode]string{
		build.ProveWarn: "build prove name discard close", build.ProveOff: "build name discard close",
	} {
		e := &folderEngine{files: leaking(value)}
		out, err := run(t, e, func(r *build.Request) { r.Prove = mode })
		if err != nil || !out.Named {
			t.Errorf("%s: named %t, %v", mode, out.Named, err)
		}
		if got := calls(e); got != want {
			t.Errorf("%s: got the calls %s", mode, got)
		}
		if (mode == build.ProveWarn) != (len(out.Findings) == 1) {
			t.Errorf("%s: got the findings %v", mode, out.Findings)
		}
	}
}

func TestRunStopsBeforeTheEngine(t *testing.T) {
	for name, test := range map[string]struct {
		value  string
		change func(*build.Request)
	}{
		"unset":       {"", nil},
		"short":       {"1234567", nil},
		"given twice": {"long enough value", func(r *build.Request) { r.Secrets = append(r.Secrets, r.Secrets[0]) }},
		"mode":        {"long enough value", func(r *build.Request) { r.Prove = "perhaps" }},
		"caches":      {"long enough value", func(r *build.Request) { r.NoCache, r.NoCacheFilter = true, []string{"a"} }},
	} {
		t.Setenv(variable, test.value)
		e := &folderEngine{files: clean}
		_, err := run(t, e, test.change)
		if err == nil || len(e.calls) > 0 {
			t.Errorf("%s: got %v after the calls %s", name, err, calls(e))
			continue
		}
		if test.value != "" && strings.Contains(err.Error(), test.value) {
			t.Errorf("%s: the error holds the value", name)
		}
	}
}

func TestRunWaivesShortValues(t *testing.T) {
	t.Setenv(variable, "1234567")
	e := &folderEngine{files: clean}
	out, err := run(t, e, func(r *build.Request) { r.Secrets[0].Waived = true })
	if err != nil || len(out.Proof.Waived) != 1 {
		t.Errorf("got %+v, %v", out, err)
	}
}

func TestRunFailedBuild(t *testing.T) {
	setCanary(t)
	e := &folderEngine{err: &build.FailedError{Code: 7, Text: "it failed"}}
	_, err := run(t, e, nil)
	if failed := (*build.FailedError)(nil); !errors.As(err, &failed) || failed.Code != 7 {
		t.Errorf("got %v", err)
	}
	if got := calls(e); got != "build close" {
		t.Errorf("got the calls %s", got)
	}
}

func TestRunRebuildNeedsADockerfile(t *testing.T) {
	setCanary(t)
	e := &folderEngine{files: clean}
	_, err := run(t, e, func(r *build.Request) {
		r.Context, r.Secrets[0].RebuildOnChange = "https://git.corp.example/app.git", true
	})
	if usage := (*build.UsageError)(nil); !errors.As(err, &usage) {
		t.Errorf("got %v, want a UsageError", err)
	}
}

// TestRunRebuild: the Dockerfile gets a mount for the step, and the fingerprint changes with the value and only with it.
func TestRunRebuild(t *testing.T) {
	print := func(value string) string {
		t.Setenv(variable, value)
		var print string
		e := &folderEngine{files: func(job build.Job) map[string]string {
			if !strings.Contains(string(job.Dockerfile), "RUN --mount=type=bind,from=tightlip-fingerprint-") {
				t.Errorf("the Dockerfile has no mount:\n%s", job.Dockerfile)
			}
			for _, dir := range job.Contexts {
				data, err := os.ReadFile(filepath.Join(dir, "fingerprint"))
				if err != nil {
					t.Error(err)
				}
				print = string(data)
			}
			return clean(job)
		}}
		dir := t.TempDir()
		dockerfile := "FROM scratch\nRUN --mount=type=secret,id=npm true\n"
		if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(dockerfile), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := run(t, e, func(r *build.Request) { r.Context, r.Secrets[0].RebuildOnChange = dir, true }); err != nil {
			t.Fatal(err)
		}
		if print == "" || strings.Contains(print, value) {
			t.Errorf("got the fingerprint %q", print)
		}
		return print
	}
	// The key is in the cache's folder, which each run has anew here: two runs differ even for one value.
	first, second := print("first value"), print("first value")
	if first == second {
		t.Error("fingerprints under different keys are equal: they are plain hashes")
	}
}
