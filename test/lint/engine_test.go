package lint_test

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"golang.org/x/sync/errgroup"

	"github.com/tightlip/tightlip/build/engine/embedded"
	"github.com/tightlip/tightlip/dockerfile"
	"github.com/tightlip/tightlip/internal/enginetest"
)

func TestMain(m *testing.M) { os.Exit(enginetest.Main(m)) }

// builder builds projects, by itself and through tightlip, on one BuildKit.
type builder struct {
	box    *enginetest.Box
	buildx string
	base   string // an image with busybox, in place of all that Dockerfiles start from
}

// newBuilder starts BuildKit for one test, in the box that tightlip runs in, too.
func newBuilder(t *testing.T) *builder {
	t.Helper()
	b := &builder{
		box:    enginetest.NewBox(t, nil),
		buildx: filepath.Join(enginetest.Root(t), ".tools/docker26/usr/libexec/docker/cli-plugins/docker-buildx"),
	}
	if _, err := os.Stat(b.buildx); err != nil {
		t.Fatalf("buildx is missing in .tools: run .ci/setup (%v)", err)
	}
	b.base = busyboxLayout(t, filepath.Join(b.box.Dir, "base"))
	state := filepath.Join(b.box.Env["TIGHTLIP_STATE_DIR"], "engine")
	engine, err := embedded.Start(t.Context(), embedded.Options{
		StateDir: state, RunDir: filepath.Join(state, "run"), Command: []string{enginetest.Binary(t), "engine", "serve"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := engine.Close(); err != nil {
			t.Error(err)
		}
	})
	if r := b.box.Run(b.buildx, "create", "--name", "engine", "--driver", "remote", engine.Address()); r.Code != 0 {
		t.Fatal(r.All())
	}
	return b
}

// busyboxLayout makes an image that has all of busybox's commands, and returns what BuildKit calls it.
func busyboxLayout(t *testing.T, dir string) string {
	t.Helper()
	shell, err := os.ReadFile(enginetest.Tool(t, "busybox"))
	if err != nil {
		t.Fatal(err)
	}
	applets, err := exec.Command(enginetest.Tool(t, "busybox"), "--list").Output()
	if err != nil {
		t.Fatal(err)
	}
	var files bytes.Buffer
	w := tar.NewWriter(&files)
	add := func(h tar.Header, content []byte) {
		h.Size = int64(len(content))
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(content); err != nil {
			t.Fatal(err)
		}
	}
	add(tar.Header{Typeflag: tar.TypeReg, Name: "bin/busybox", Mode: 0o755}, shell)
	for _, name := range strings.Fields(string(applets)) {
		if name != "busybox" {
			add(tar.Header{Typeflag: tar.TypeSymlink, Name: "bin/" + name, Linkname: "busybox"}, nil)
		}
	}
	// Debian's has no printenv.
	add(tar.Header{Typeflag: tar.TypeReg, Name: "bin/printenv", Mode: 0o755}, []byte("#!/bin/sh\nexec env\n"))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	img, err := mutate.AppendLayers(mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON),
		static.NewLayer(files.Bytes(), types.OCIUncompressedLayer))
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config.OS, config.Architecture = "linux", runtime.GOARCH
	config.Config.Env = []string{"PATH=/bin"}
	if img, err = mutate.ConfigFile(img, config); err != nil {
		t.Fatal(err)
	}
	to, err := layout.Write(dir, empty.Index)
	if err == nil {
		err = to.AppendImage(img, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": "latest"}))
	}
	if err != nil {
		t.Fatal(err)
	}
	return "oci-layout://" + dir + ":latest"
}

// atOnce is how many builds run at a time: they wait more than they work.
const atOnce = 4

// each runs a test for each of the projects, some of them at once.
func each(t *testing.T, projects []project, test func(t *testing.T, p project)) {
	t.Helper()
	group := errgroup.Group{}
	group.SetLimit(atOnce)
	for _, p := range projects {
		group.Go(func() error {
			t.Run(p.name, func(t *testing.T) { test(t, p) })
			return nil
		})
	}
	_ = group.Wait() // its functions return nothing
}

// built is what is left of a build: the image and the log.
type built struct {
	places map[string][]string // of the image, and what they hold; all files of a layer are one
	log    string
}

// in tells whether a value is in a place.
func (b *built) in(place, value string) bool {
	if place == "log" {
		return strings.Contains(b.log, value)
	}
	return slices.ContainsFunc(b.places[place], func(s string) bool { return strings.Contains(s, value) })
}

// plain builds a project as it is, with BuildKit alone.
func (b *builder) plain(t *testing.T, p project) *built {
	t.Helper()
	archive := filepath.Join(t.TempDir(), "image.tar")
	args := []string{"build", "--builder", "engine", "--progress", "plain", "--provenance=false", "-o", "type=docker,compression=uncompressed,dest=" + archive}
	cmd := b.command(t, b.buildx, p, args)
	for i, id := range slices.Sorted(maps.Keys(p.build.secrets)) {
		cmd.add(t, i, id, p.build.secrets[id])
	}
	for _, name := range slices.Sorted(maps.Keys(p.build.args)) {
		cmd.Args = append(cmd.Args, "--build-arg", name+"="+p.build.args[name])
	}
	r := cmd.run(t)
	if r.Code != 0 {
		t.Fatalf("it cannot be built:\n%s", r.All())
	}
	return &built{readImage(t, archive), r.All()}
}

// command is one that builds a project.
type command struct{ *exec.Cmd }

// command is the start of a build's command line. No step is taken from the cache, where another project's could be, and none has a network.
func (b *builder) command(t *testing.T, program string, p project, args []string) command {
	t.Helper()
	cmd := b.box.Command(program, append(args, "--no-cache", "--network", "none", "-f", filepath.FromSlash(p.build.dockerfile))...)
	cmd.Dir = p.dir
	if p.build.target != "" {
		cmd.Args = append(cmd.Args, "--target", p.build.target)
	}
	for _, name := range bases(t, p) {
		cmd.Args = append(cmd.Args, "--build-context", name+"="+b.base)
	}
	cmd.Args = append(cmd.Args, filepath.FromSlash(p.build.context))
	return command{cmd}
}

// add gives the build a secret.
func (c command) add(t *testing.T, i int, id, value string) {
	t.Helper()
	c.Env = append(c.Env, "SECRET_"+string(rune('A'+i))+"="+value)
	c.Args = append(c.Args, "--secret", "id="+id+",env=SECRET_"+string(rune('A'+i)))
}

func (c command) run(t *testing.T) enginetest.Result {
	t.Helper()
	return enginetest.Finish(t, c.Cmd)
}

// bases are the images that the stages of a project start from.
func bases(t *testing.T, p project) []string {
	t.Helper()
	f, err := dockerfile.Parse(p.build.dockerfile, []byte(p.read(t, p.build.dockerfile)))
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for i, s := range f.Stages() {
		name, err := f.Expand(s.BaseName, nil)
		if err != nil {
			t.Fatal(err)
		}
		if name != "scratch" && f.Stage(name, i) < 0 && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

// readImage reads an archive of docker save.
func readImage(t *testing.T, archive string) map[string][]string {
	t.Helper()
	img, err := tarball.ImageFromPath(archive, nil)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := img.RawConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	var config struct{ Config, History any }
	if err := json.Unmarshal(raw, &config); err != nil {
		t.Fatal(err)
	}
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	places := map[string][]string{"config": texts(config.Config), "history": texts(config.History)}
	for _, l := range layers {
		r, err := l.Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		r.Close()
		if err != nil {
			t.Fatal(err)
		}
		places["layer"] = append(places["layer"], string(content))
	}
	return places
}

// texts are all strings in a piece of JSON.
func texts(v any) []string {
	var out []string
	switch v := v.(type) {
	case string:
		out = append(out, v)
	case []any:
		for _, e := range v {
			out = append(out, texts(e)...)
		}
	case map[string]any:
		for k, e := range v {
			out = append(append(out, k), texts(e)...)
		}
	}
	return out
}
