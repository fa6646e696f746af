package image_test

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tightlip/tightlip/finding"
	"github.com/tightlip/tightlip/image"
	"github.com/tightlip/tightlip/internal/enginetest"
)

// folderOf makes a folder with files.
func folderOf(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		p := filepath.Join(dir, name)
		must(t, os.MkdirAll(filepath.Dir(p), 0o755))
		must(t, os.WriteFile(p, []byte(text), 0o644))
	}
	return dir
}

func TestContainer(t *testing.T) {
	docker := enginetest.StartDocker(t)
	inEnv, inFile, deleted := rand.Text(), rand.Text(), rand.Text()
	dir := folderOf(t, map[string]string{"gone": deleted, "Dockerfile": "FROM scratch\nCOPY sh /bin/\nCOPY gone /\n"})
	busybox, err := os.ReadFile("/bin/busybox")
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "sh"), busybox, 0o755))
	docker.Run(t, dir, "build", "-q", "-t", "base", ".")
	t.Cleanup(func() { docker.Run(t, dir, "rm", "--force", "web") })
	docker.Run(t, dir, "run", "-d", "--network", "none", "--name", "web", "--env", "TOKEN="+inEnv, "base", "/bin/sh", "-c",
		"echo "+inFile[:9]+"''"+inFile[9:]+" >/written; rm /gone; echo ready; while :; do sleep 1; done")
	enginetest.Eventually(t, 20*time.Second, "the container writes its file", func() bool {
		return docker.Run(t, dir, "logs", "web") == "ready"
	})
	t.Setenv("DOCKER_HOST", docker.Host)
	for _, state := range []string{"running", "stopped"} {
		if state == "stopped" {
			docker.Run(t, dir, "stop", "-t", "0", "web")
		}
		im, err := image.Open(t.Context(), image.Ref{Scheme: image.Container, Name: "web"}, image.Options{})
		im = opened(t, im, err)
		pieces := drain(t, im)
		for value, kind := range map[string]finding.Kind{inFile: finding.InFile, inEnv: finding.InConfig, deleted: ""} {
			got := containing(pieces, value)
			if kind == "" && len(got) > 0 || kind != "" && (len(got) != 1 || got[0].Kind != kind) {
				t.Errorf("%s: found in %v, not in one %q", state, kinds(got), kind)
			}
		}
		if im.Ref() != "container:web" || !strings.Contains(containing(pieces, inEnv)[0].bytes, `"Status":"`) {
			t.Errorf("%s: called %s", state, im.Ref())
		}
	}
	_, err = image.Open(t.Context(), image.Ref{Scheme: image.Container, Name: "none"}, image.Options{})
	if !errors.Is(err, image.ErrNotFound) {
		t.Errorf("a container that is not there: %v", err)
	}
}

// TestContext compares with what BuildKit is sent.
func TestContext(t *testing.T) {
	docker := enginetest.StartDocker(t)
	files := map[string]string{}
	for _, name := range []string{"a.txt", "b.md", "keep.md", ".env", "src/a.go", "src/a_test.go", "src/deep/.env", "logs/1.log", "logs/2.log",
		"node_modules/x/index.js", "node_modules/x/LICENSE", "vendor/y/z", "vendor/keep/z", "api/Dockerfile", "api/Dockerfile.dockerignore"} {
		files[name] = "this is " + name
	}
	for name, ignore := range map[string]string{
		"nothing":              "",
		"files and folders":    "*.md\n!keep.md\n**/.env\nlogs\n/vendor\n",
		"all but some":         "*\n!src\nsrc/*_test.go\n",
		"below a folder":       "vendor\n!vendor/keep\nlogs/*\n!logs/2.log\n",
		"with a wildcard":      "node_modules\n!**/LICENSE\n",
		"the files themselves": "# comment\n.dockerignore\nDockerfile\n\\.env\n",
	} {
		t.Run(name, func(t *testing.T) {
			dir := folderOf(t, files)
			must(t, os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte("FROM scratch\nCOPY . /\n"), 0o600))
			must(t, os.WriteFile(filepath.Join(dir, ".dockerignore"), []byte(ignore), 0o600))
			must(t, os.Symlink("a.txt", filepath.Join(dir, "src/link")))
			out := filepath.Join(t.TempDir(), "out")
			docker.Run(t, dir, "build", "-q", "-o", out, ".")
			want := map[string]bool{"Dockerfile": true, ".dockerignore": true}
			must(t, filepath.WalkDir(out, func(p string, d fs.DirEntry, err error) error {
				rel, _ := filepath.Rel(out, p)
				if !d.IsDir() {
					want[rel] = true
				}
				return err
			}))
			wantFiles(t, dir, image.Options{}, want)
		})
	}
}

func wantFiles(t *testing.T, dir string, opts image.Options, want map[string]bool) {
	t.Helper()
	im, err := image.Open(t.Context(), image.Ref{Scheme: image.Context, Name: dir}, opts)
	im = opened(t, im, err)
	got := map[string]bool{}
	for _, p := range drain(t, im) {
		if fi, err := os.Lstat(filepath.Join(dir, p.Path)); err != nil || !fi.IsDir() {
			got[p.Path] = true
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("sent %q\nnot  %q", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
	}
	if im.Ref() != "context:"+dir {
		t.Errorf("called %s", im.Ref())
	}
}

func TestContextOfADockerfile(t *testing.T) {
	dir := folderOf(t, map[string]string{
		"a": "", "b": "", ".dockerignore": "a", "Dockerfile": "", "api/Dockerfile": "", "api/Dockerfile.dockerignore": "b\napi\nDockerfile\n.dockerignore\n",
	})
	wantFiles(t, dir, image.Options{ContextIgnore: filepath.Join(dir, "api/Dockerfile.dockerignore")},
		map[string]bool{"a": true, "api/Dockerfile": true, "api/Dockerfile.dockerignore": true})
	outside := file(t, "x.dockerignore", []byte("api\n"))
	wantFiles(t, dir, image.Options{ContextIgnore: outside},
		map[string]bool{"a": true, "b": true, ".dockerignore": true, "Dockerfile": true})
	for name, opts := range map[string]image.Options{"nowhere": {}, dir: {ContextIgnore: "nowhere"}} {
		if _, err := image.OpenContext(name, opts); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s with %q: %v", name, opts.ContextIgnore, err)
		}
	}
	bad := folderOf(t, map[string]string{".dockerignore": "[\n"})
	if _, err := image.OpenContext(bad, image.Options{}); err == nil {
		t.Error("took a pattern that is none")
	}
}
