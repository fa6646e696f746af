package cli

import (
	"bytes"
	"crypto/rand"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/tightlip/tightlip/finding"
	"github.com/tightlip/tightlip/lint"
	"github.com/tightlip/tightlip/lint/caller"
	"github.com/tightlip/tightlip/scan/detect"
	"go.yaml.in/yaml/v3"
)

// talk is a command's standard error, and what was said there.
func talk(t *testing.T) (a *app, said func() string) {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return &app{streams: Streams{In: os.Stdin, Out: &bytes.Buffer{}, Err: f}}, func() string {
		text, err := os.ReadFile(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
}

func aProject(folder string) *project {
	return &project{options: &lintOptions{folder: folder}, meter: newMeter(os.Stderr, "checking"), detector: detect.New()}
}

// fixable is a check whose one finding has these fixes.
func fixable(fixes ...lint.Fix) *lint.Result {
	return &lint.Result{Findings: []finding.Leak{{Rule: "secret-arg", Fixable: true, Path: "Dockerfile"}}, Fixes: fixes, Hints: []string{"build\x1b[2J it"}}
}

func TestLintFixWrites(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "Dockerfile")
	write(t, file, "before\n")
	a, said := talk(t)
	r, err := a.mend(t.Context(), aProject(dir), fixable(
		lint.Fix{Path: "Dockerfile", Before: []byte("before\n"), After: []byte("FROM scratch\n")}, lint.Fix{Path: ".dockerignore", After: []byte(".env\n")}))
	if err != nil || r == nil || len(r.Findings) != 0 {
		t.Fatalf("got %+v, %v", r, err)
	}
	for name, want := range map[string]string{"Dockerfile": "FROM scratch\n", ".dockerignore": ".env\n"} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != want {
			t.Errorf("%s has %q: %v", name, got, err)
		}
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the mode is %v: %v", info.Mode(), err)
	}
	if want := "tightlip: changed " + dir + "/Dockerfile\ntightlip: wrote " + dir + "/.dockerignore\ntightlip: hint: build\\x1b[2J it\n"; said() != want {
		t.Errorf("said %s", said())
	}
}

// TestLintFixRefuses: nothing is written if one of the files is not what the fix is for.
func TestLintFixRefuses(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"outside": "linked\n", "project/a": "a\n", "project/there": "x\n"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, name), text)
	}
	root := filepath.Join(dir, "project")
	if err := os.Symlink("../outside", filepath.Join(root, "link")); err != nil {
		t.Fatal(err)
	}
	first := lint.Fix{Path: "a", Before: []byte("a\n"), After: []byte("b\n")}
	for name, test := range map[string]struct {
		fix  lint.Fix
		want string
	}{
		"changed":  {lint.Fix{Path: "there", Before: []byte("y\n"), After: []byte("z\n")}, "no longer as it was read"},
		"appeared": {lint.Fix{Path: "there", After: []byte("z\n")}, "no longer as it was read"},
		"gone":     {lint.Fix{Path: "nowhere", Before: []byte("y\n"), After: []byte("z\n")}, "no such file"},
		"link":     {lint.Fix{Path: "link", Before: []byte("linked\n"), After: []byte("z\n")}, "a link to a file outside"},
	} {
		t.Run(name, func(t *testing.T) {
			a, _ := talk(t)
			r, err := a.mend(t.Context(), aProject(root), fixable(first, test.fix))
			if err == nil || !strings.Contains(err.Error(), test.want) || r == nil || len(r.Findings) != 1 {
				t.Errorf("got %+v, %v", r, err)
			}
			if text, err := os.ReadFile(filepath.Join(root, "a")); err != nil || string(text) != "a\n" {
				t.Errorf("the other file has %q: %v", text, err)
			}
		})
	}
}

func TestLintDiffIsMasked(t *testing.T) {
	value := "kX9-" + rand.Text()
	before := "FROM scratch\nENV DB_PASSWORD=" + value + " A=b\nENV A=b \\\n  API_TOKEN=" + value + "\n-- \nRUN curl -u me:" + value + " https://me:" + value + "@files.corp.example\n"
	after := "FROM scratch\nRUN --mount=type=secret,id=npm_token,env=NPM_TOKEN,required=true npm ci\n"
	text := aProject(".").diff(lint.Fix{Path: "Dockerfile", Before: []byte(before), After: []byte(after)})
	if strings.Contains(text, value) {
		t.Errorf("the value is in the diff:\n%s", text)
	}
	for _, want := range []string{"--- a/Dockerfile\n+++ b/Dockerfile\n@@ ", "\n FROM scratch\n", "\n+RUN --mount=type=secret,id=npm_token,env=NPM_TOKEN,required=true npm ci\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if created := aProject(".").diff(lint.Fix{Path: ".dockerignore", After: []byte(".env\n")}); created != "--- /dev/null\n+++ b/.dockerignore\n@@ -0,0 +1,1 @@\n+.env\n" {
		t.Errorf("got\n%s", created)
	}
}

func TestLintRoot(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for folder, want := range map[string]string{".": ".", "": ".", "a/": "a", "./a/b": "a/b", dir: ".", filepath.Join(dir, "a"): "a", "..": "..", "/": "/"} {
		if got := aProject(folder).root(); got != want {
			t.Errorf("%q is %q, not %q", folder, got, want)
		}
	}
}

// TestHookFiles: pre-commit runs the check whenever a file changes that it reads.
func TestHookFiles(t *testing.T) {
	text, err := os.ReadFile("../../.pre-commit-hooks.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var hooks []struct{ ID, Entry, Files string }
	if err := yaml.Unmarshal(text, &hooks); err != nil {
		t.Fatal(err)
	}
	if len(hooks) != 2 {
		t.Fatalf("there are %d hooks", len(hooks))
	}
	for _, h := range hooks {
		verbose, pattern, _ := strings.Cut(h.Files, ")") // Go has no x, which leaves out spaces
		files := regexp.MustCompile(strings.Replace(verbose, "x", "", 1) + ")" + strings.Join(strings.Fields(pattern), ""))
		for _, name := range []string{".github/workflows/ci.yml", ".forgejo/workflows/ci.yaml", "action.yml", ".gitlab-ci.yml", ".gitlab/build.yml", "x.gitlab-ci.yml",
			".circleci/config.yml", "bitbucket-pipelines.yml", "azure-pipelines.yml", ".azure-pipelines/a.yml", "cloudbuild.yaml", "compose.yaml", "a/docker-compose.prod.yml",
			"docker-bake.hcl", "docker-bake.override.json", "bake.hcl", "Jenkinsfile", "ci/app.jenkinsfile", "Makefile", "build.mk", "justfile", "Taskfile.yml", "build.sh", ".tekton/a.yaml"} {
			if caller.Kind(name) == "" || !files.MatchString(name) {
				t.Errorf("%s: the check reads it as %q, and the hook %s takes it: %v", name, caller.Kind(name), h.ID, files.MatchString(name))
			}
		}
		for name, want := range map[string]bool{"Dockerfile": true, "a/app.dockerfile": true, "Containerfile": true, ".dockerignore": true, "a/.npmrc": true, ".env.local": true,
			"id_ed25519": true, "main.go": false, "README.md": false, "src/composer.json": false} {
			if files.MatchString(name) != want {
				t.Errorf("%s: the hook %s takes it: %v", name, h.ID, !want)
			}
		}
	}
}
