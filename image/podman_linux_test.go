package image_test

import (
	"compress/gzip"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/moby/moby/client"

	"github.com/tightlip/tightlip/finding"
	"github.com/tightlip/tightlip/image"
	"github.com/tightlip/tightlip/image/imagetest"
	"github.com/tightlip/tightlip/internal/enginetest"
)

func TestMain(m *testing.M) { os.Exit(enginetest.Main(m)) }

// podmanStore makes this process's podman use a storage of its own, and returns a way to run it.
func podmanStore(t *testing.T) func(args ...string) string {
	t.Helper()
	for _, v := range enginetest.NewPodman(t).Env {
		name, value, _ := strings.Cut(v, "=")
		t.Setenv(name, value)
	}
	return func(args ...string) string {
		t.Helper()
		out, err := exec.Command("podman", args...).Output()
		if err != nil {
			t.Fatalf("podman %s: %v", args, err)
		}
		return strings.TrimSpace(string(out))
	}
}

// unpacked are the pieces without compression.
func unpacked(t *testing.T, pieces []piece) []piece {
	t.Helper()
	for i, p := range pieces {
		if !strings.HasPrefix(p.bytes, "\x1f\x8b") {
			continue
		}
		r, err := gzip.NewReader(strings.NewReader(p.bytes))
		must(t, err)
		raw, err := io.ReadAll(r)
		must(t, err)
		pieces[i].bytes = string(raw)
	}
	return pieces
}

func TestPodman(t *testing.T) {
	podman := podmanStore(t)
	for _, format := range []string{"oci", "docker"} {
		t.Run(format, func(t *testing.T) {
			inFile, inEnv, other := rand.Text(), rand.Text(), rand.Text()
			dir := folderOf(t, map[string]string{
				"big": strings.Repeat(inFile, 10_000), "small": "x",
				"Dockerfile": "FROM scratch\nCOPY big /\nCOPY small /\nENV A=" + inEnv + "\nHEALTHCHECK CMD " + other + "\n",
			})
			id := podman("build", "-q", "--format", format, "--annotation", "a="+other, "-t", "app:"+format, dir)
			tmp := t.TempDir()
			t.Setenv("TMPDIR", tmp)
			im, err := image.Open(t.Context(), image.Ref{Scheme: image.Podman, Name: "app:" + format}, image.Options{})
			im = opened(t, im, err)
			before := layoutOf(t, im)
			for range 2 { // it can be read again
				pieces := unpacked(t, drain(t, im))
				for value, kind := range map[string]finding.Kind{inFile: finding.InLayer, inEnv: finding.InConfig} {
					if got := kinds(containing(pieces, value)); got[kind] != 1 {
						t.Errorf("%s: found in %v", kind, got)
					}
				}
				if len(containing(pieces, other)) == 0 {
					t.Error("no annotation or health check, of which each format knows one only")
				}
			}
			if im.Ref() != "podman:app:"+format {
				t.Errorf("called %s", im.Ref())
			}
			samePodmanLayout(t, before, layoutOf(t, im), "localhost/app:"+format, id)
			for range im.Blobs(t.Context()) {
				break // and leaves nothing if it is stopped
			}
			if left, err := os.ReadDir(tmp); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v (%v)", left, err)
			}
		})
	}
}

// samePodmanLayout compares what podman says of an image with what is in the archive.
func samePodmanLayout(t *testing.T, before, after image.Layout, name, id string) {
	t.Helper()
	p, q := before.Platforms[0], after.Platforms[0]
	if before.Digest != after.Digest || p.Config != "sha256:"+id || q.Config != p.Config || len(q.Layers) != 2 || !slices.Equal(after.Names, []string{name}) {
		t.Errorf("layout was %+v and is %+v", before, after)
	}
	for i, l := range p.Layers {
		if l.DiffID != q.Layers[i].DiffID || l.CreatedBy != q.Layers[i].CreatedBy || !strings.Contains(l.CreatedBy, "COPY") {
			t.Errorf("layer %d was %+v and is %+v", i, l, q.Layers[i])
		}
	}
}

func TestPodmanRefuses(t *testing.T) {
	podman := podmanStore(t)
	podman("build", "-q", "-t", "app", folderOf(t, map[string]string{"Dockerfile": "FROM scratch\nENV A=b\n"}))
	ctx, cancel := context.WithCancel(t.Context())
	im, err := image.OpenPodman(ctx, "app", image.Options{})
	im = opened(t, im, err)
	cancel()
	for _, err := range im.Blobs(ctx) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
	}
	podman("manifest", "create", "list", "containers-storage:localhost/app")
	for name, want := range map[string]string{"other": image.ErrNotFound.Error(), "list": "manifest list", "--help": "invalid reference"} {
		_, err := image.OpenPodman(t.Context(), name, image.Options{})
		if err == nil || !strings.Contains(err.Error(), want) || errors.Is(err, image.ErrNotFound) != (name == "other") {
			t.Errorf("%s: %v", name, err)
		}
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := image.OpenPodman(t.Context(), "app", image.Options{}); !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("without podman: %v", err)
	}
}

// TestPodmanFails: an archive that ends because podman failed is not taken for a whole one.
func TestPodmanFails(t *testing.T) {
	archive := file(t, "archive.tar", imagetest.NewArchive(t, "a", sample(t, "linux/amd64")))
	fakePodman(t, `case "$1 $2" in
"image inspect") echo '[{"Id":"1"}]';;
"manifest exists") exit 1;;
save*) /bin/cat `+archive+`; echo Error: disk full >&2; exit 125;;
esac`)
	im, err := image.OpenPodman(t.Context(), "a", image.Options{})
	if err := failure(t, opened(t, im, err)); err == nil || !strings.Contains(err.Error(), "disk full") {
		t.Errorf("got %v", err)
	}
}

// fakePodman makes a script podman.
func fakePodman(t *testing.T, script string) {
	t.Helper()
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "podman"), []byte("#!/bin/sh\n"+script+"\n"), 0o755))
	t.Setenv("PATH", dir)
}

func TestOpenWithoutSchemeAsksPodman(t *testing.T) {
	podman := podmanStore(t)
	dir := folderOf(t, map[string]string{"Dockerfile": "FROM scratch\nENV A=b\n"})
	host, keys := imagetest.Registry(t, nil)
	remote := pushed(t, host, keys, `{"_type":"x"}`, "signature")
	podman("build", "-q", "-t", "app:1", "-t", "only:1", "-t", remote, dir)
	img := sample(t, "linux/amd64")
	cli, _ := daemonWith(t, img, imagetest.NewArchive(t, "app:1", img))
	gone, err := client.New(client.WithHost("unix:///nonexistent.sock"), client.WithAPIVersion("1.47"))
	must(t, err)
	for _, tc := range []struct {
		name   string
		docker *client.Client
		script string
		want   string
	}{
		{"app:1", cli, "", "docker:"},
		{"only:1", cli, "", "podman:"},
		{"app:1", gone, "", "podman:"},
		{remote, cli, "", "podman:"},
		{remote, gone, "exit 1", "registry:"},
		{remote, gone, "exit 125", "registry:"}, // does not work at all
		{remote, gone, `[ "$1" = info ] || exit 125`, ""},
	} {
		t.Run(tc.name+" "+tc.want+" "+tc.script, func(t *testing.T) {
			if tc.script != "" {
				fakePodman(t, tc.script)
			}
			im, err := image.Open(t.Context(), image.Ref{Name: tc.name}, image.Options{Docker: tc.docker, Keychain: keys})
			if tc.want == "" {
				if err == nil || errors.Is(err, image.ErrNotFound) {
					t.Errorf("podman failed, and the result is %v, %v", im, err)
				}
				return
			}
			if got := opened(t, im, err).Ref(); got != tc.want+tc.name {
				t.Errorf("opened %s", got)
			}
		})
	}
}

// TestPodmanEnviron: podman gets the environment that the options make.
func TestPodmanEnviron(t *testing.T) {
	got := filepath.Join(t.TempDir(), "environ")
	fakePodman(t, "/usr/bin/env >> "+got+"; exit 1")
	t.Setenv("OURS", "here")
	for _, o := range []image.Options{{}, {Environ: func() []string { return []string{"ONLY=this"} }}} {
		_, err := image.OpenPodman(t.Context(), "app", o)
		if !errors.Is(err, image.ErrNotFound) {
			t.Errorf("got %v", err)
		}
		text, err := os.ReadFile(got)
		must(t, err)
		must(t, os.Remove(got))
		if ours := o.Environ == nil; strings.Contains(string(text), "OURS=here") != ours || strings.Contains(string(text), "ONLY=this") == ours {
			t.Errorf("it got %s", text)
		}
	}
}
