package e2e

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/tightlip/tightlip/internal/enginetest"
)

// keptEngine starts an embedded engine that stays for the test, and returns its address.
func keptEngine(t *testing.T) string {
	t.Helper()
	b := newEmbeddedBox(t)
	withSecret(b, clean)
	wantCode(t, buildWith(b, "embedded", "--engine-keep", "5m", "-o", "out"), 0)
	t.Cleanup(func() { wantCode(t, b.Tightlip("engine", "prune"), 0); nothingRuns(t, b) })
	socket, err := filepath.Glob(filepath.Join(b.Env["TIGHTLIP_STATE_DIR"], "engine/run/buildkit.sock"))
	if err != nil || len(socket) != 1 {
		t.Fatalf("no socket of the engine: %v", err)
	}
	return "unix://" + socket[0]
}

// twoNodes makes a builder of two engines, one for each platform.
func twoNodes(t *testing.T, b *enginetest.Box) {
	t.Helper()
	b.Docker("buildx", "create", "--name", "two", "--driver", "remote", "--platform", "linux/amd64", keptEngine(t))
	b.Docker("buildx", "create", "--name", "two", "--append", "--driver", "remote", "--platform", "linux/arm64", keptEngine(t))
}

// manifests lists the digests of a layout's only image by platform.
func manifests(t *testing.T, dir string) map[string]string {
	t.Helper()
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	top, err := index.IndexManifest()
	if err != nil || len(top.Manifests) != 1 || !top.Manifests[0].MediaType.IsIndex() {
		t.Fatalf("the layout lists %+v, %v", top, err)
	}
	inner, err := index.ImageIndex(top.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := inner.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	return digestsByPlatform(t, manifest)
}

func digestsByPlatform(t *testing.T, manifest *v1.IndexManifest) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, d := range manifest.Manifests {
		if d.Platform == nil {
			t.Fatalf("a manifest has no platform: %+v", d)
		}
		out[d.Platform.String()] = d.Digest.String()
	}
	return out
}

// TestSeveralNodes has two nodes of a builder build a platform each, and wants the image that buildx makes of it, and a
// leak in only one of them found.
func TestSeveralNodes(t *testing.T) {
	registry := enginetest.StartRegistry(t, "ci", "password")
	b := enginetest.NewBox(t, enginetest.StartDocker(t))
	b.Login(registry)
	value := withSecret(b, "FROM scratch\nARG TARGETARCH\nCOPY for-$TARGETARCH /file\n")
	b.Write("for-amd64", []byte("clean"))
	b.Write("for-arm64", []byte("clean, too"))
	twoNodes(t, b)
	b.Env["SOURCE_DATE_EPOCH"] = "1700000000" // the same times of creation
	b.Docker("buildx", "build", "--builder", "two", "--platform", "linux/amd64,linux/arm64", "--provenance=false",
		"--push", "-t", registry.Host+"/plain:1", ".")
	build := func(code int, args ...string) enginetest.Result {
		t.Helper()
		flags := []string{"build", "--builder", "two", "--platform", "linux/amd64,linux/arm64", "--provenance=false", "--progress", "plain", "--format", "json"}
		r := b.Tightlip(slices.Concat(flags, secretFlag, args, []string{"."})...)
		wantCode(t, r, code)
		return r
	}
	r := build(0, "--annotation", "index:of=both", "--push", "-t", registry.Host+"/ours:1")
	plain, ours := registry.Index(t, "plain", "1"), registry.Index(t, "ours", "1")
	if p, o := digestsByPlatform(t, plain), digestsByPlatform(t, ours); len(o) != 2 || p["linux/amd64"] != o["linux/amd64"] || p["linux/arm64"] != o["linux/arm64"] {
		t.Errorf("buildx pushed %v and tightlip %v", p, o)
	}
	if ours.Annotations["of"] != "both" { // buildx 0.13 loses it
		t.Errorf("the annotations are %v", ours.Annotations)
	}
	digest, _, _ := registry.Manifest(t, "ours", "1")
	if o := parse(t, r); o.Image.Digest != digest {
		t.Errorf("the registry has %s, and the report says %s", digest, o.Image.Digest)
	}

	build(0, "-o", "type=oci,tar=false,dest=layout", "-o", "type=local,dest=tree", "-t", "app", "--metadata-file", "meta.json")
	if got := manifests(t, filepath.Join(b.Work, "layout")); got["linux/arm64"] != digestsByPlatform(t, ours)["linux/arm64"] {
		t.Errorf("the layout has %v", got)
	}
	wantFile(t, filepath.Join(b.Work, "tree/linux_amd64/file"), "clean")
	wantFile(t, filepath.Join(b.Work, "tree/linux_arm64/file"), "clean, too")
	var meta map[string]any
	if err := json.Unmarshal(readFile(t, filepath.Join(b.Work, "meta.json")), &meta); err != nil || meta["image.name"] != "docker.io/library/app:latest" {
		t.Errorf("the metadata is %v, %v", meta, err)
	}
	wantText(t, build(2, "-o", "type=tar,dest=x.tar").Stderr, "several nodes")

	b.Write("for-arm64", []byte("x"+value))
	wantText(t, build(3, "--push", "-t", registry.Host+"/ours:1").Stdout, `"platform": "linux/arm64"`)
	if after, _, _ := registry.Manifest(t, "ours", "1"); after != digest {
		t.Error("the tag has changed")
	}
	nothingLeft(t, b)
}

// TestLocalDelete wants what was in the folder gone, but only after the proof, and only where it is allowed.
func TestLocalDelete(t *testing.T) {
	t.Parallel()
	b := newEmbeddedBox(t)
	withSecret(b, leakyFile)
	b.Write("out/old/file", []byte("old"))
	b.Write("out/size", []byte("old"))
	flag := "type=local,mode=delete,dest=out"
	wantCode(t, buildWith(b, "embedded", "-o", flag), 3)
	wantFile(t, filepath.Join(b.Work, "out/old/file"), "old")

	b.Write("Dockerfile", []byte(clean))
	wantCode(t, buildWith(b, "embedded", "-o", flag), 0)
	wantFile(t, filepath.Join(b.Work, "out/size"), size+"\n")
	if there(filepath.Join(b.Work, "out/old")) {
		t.Error("what was not built is still there")
	}

	outside := t.TempDir()
	r := buildWith(b, "embedded", "-o", "type=local,mode=delete,dest="+outside)
	wantCode(t, r, 2)
	wantText(t, r.Stderr, "--allow=buildx.local.delete")
	wantCode(t, buildWith(b, "embedded", "-o", "type=local,mode=delete,dest="+outside, "--allow", "buildx.local.delete"), 0)
	wantFile(t, filepath.Join(outside, "size"), size+"\n")
	wantText(t, buildWith(b, "embedded", "-o", "type=local,mode=x,dest=out").Stderr, "invalid local exporter mode")
}
