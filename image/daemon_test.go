package image_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/moby/moby/client"

	"github.com/tightlip/tightlip/finding"
	"github.com/tightlip/tightlip/image"
	"github.com/tightlip/tightlip/image/imagetest"
)

// daemonWith is a daemon with one image, app:1, which it saves as raw.
func daemonWith(t testing.TB, img v1.Image, raw []byte) (*client.Client, string) {
	t.Helper()
	id, err := img.ConfigName()
	must(t, err)
	cfg, err := img.ConfigFile()
	must(t, err)
	var diffIDs []string
	for _, d := range cfg.RootFS.DiffIDs {
		diffIDs = append(diffIDs, d.String())
	}
	history := []map[string]any{}
	for _, h := range slices.Backward(cfg.History) {
		size := 1000
		if h.EmptyLayer {
			size = 0
		}
		history = append(history, map[string]any{"CreatedBy": h.CreatedBy, "Size": size})
	}
	inspect := map[string]any{
		"Id": id.String(), "RepoTags": []string{"app:1"}, "Os": cfg.OS, "Architecture": cfg.Architecture,
		"RootFS": map[string]any{"Type": "layers", "Layers": diffIDs},
	}
	return imagetest.Daemon(t, map[string]any{
		"GET /images/app:1/json": inspect, "GET /images/" + id.String() + "/history": history, "GET /images/get": raw,
	}), id.String()
}

func TestDaemon(t *testing.T) {
	secret := strings.Repeat("long enough to be a stream of its own. ", 100)
	img := imagetest.Image(t, "linux/amd64", twice(t, secret)...)
	for style, raw := range map[string][]byte{
		"old": imagetest.OldArchive(t, "app:1", img), "new": imagetest.NewArchive(t, "app:1", img),
	} {
		t.Run(style, func(t *testing.T) {
			cli, id := daemonWith(t, img, raw)
			im, err := image.OpenDaemon(t.Context(), cli, "app:1")
			im = opened(t, im, err)
			before := layoutOf(t, im)
			checkDockerArchive(t, im, secret)
			after := layoutOf(t, im)
			if before.Digest != id || after.Digest != id || !slices.Equal(after.Names, []string{"app:1"}) {
				t.Errorf("called %s, then %s %q, want %s app:1", before.Digest, after.Digest, after.Names, id)
			}
			for i, l := range before.Platforms[0].Layers {
				if l.DiffID != after.Platforms[0].Layers[i].DiffID || l.CreatedBy != after.Platforms[0].Layers[i].CreatedBy {
					t.Errorf("layer %d was announced as %+v and is %+v", i, l, after.Platforms[0].Layers[i])
				}
			}
		})
	}
}

func TestDaemonLayersWithoutReading(t *testing.T) {
	img := sample(t, "linux/arm64")
	cli, id := daemonWith(t, img, nil)
	l, err := image.DaemonLayers(t.Context(), cli, "app:1")
	must(t, err)
	p := l.Platforms[0]
	if l.Digest != id || p.Config != id || p.String() != "linux/arm64" || len(p.Layers) != 2 {
		t.Fatalf("layout %+v", l)
	}
	if top := p.Layers[1]; top.History != 2 || top.CreatedBy != "RUN make linux/arm64" || top.Digest != top.DiffID {
		t.Errorf("upper layer %+v", top)
	}
}

func TestDaemonFailsClosed(t *testing.T) {
	img := sample(t, "linux/amd64")
	old := imagetest.OldArchive(t, "app:1", img)
	for name, c := range map[string]struct {
		raw  []byte
		want error
	}{
		"changed layer": {bytes.Replace(old, []byte("linux/amd64\x00"), []byte("linux/arm64\x00"), 1), image.ErrDigest},
		"cut short":     {old[:len(old)/2], nil},
		"no image":      {imagetest.Tar(t, imagetest.File{Name: "a"}), nil},
		"layer is no tar": {imagetest.Tar(t,
			imagetest.File{Name: "c.json", Body: `{"rootfs":{}}`}, imagetest.File{Name: "l", Body: "text"},
			imagetest.File{Name: "manifest.json", Body: `[{"Config":"c.json","Layers":["l"]}]`}), image.ErrNotTar},
		"layer is a circle": {imagetest.Tar(t,
			imagetest.File{Name: "c.json", Body: `{"rootfs":{}}`}, imagetest.File{Name: "l", Type: tar.TypeSymlink, Link: "l"},
			imagetest.File{Name: "manifest.json", Body: `[{"Config":"c.json","Layers":["l"]}]`}), image.ErrMissing},
	} {
		cli, _ := daemonWith(t, img, c.raw)
		im, err := image.OpenDaemon(t.Context(), cli, "app:1")
		err = failure(t, opened(t, im, err))
		if err == nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	cli, _ := daemonWith(t, img, old)
	if _, err := image.OpenDaemon(t.Context(), cli, "other"); !errors.Is(err, image.ErrNotFound) {
		t.Errorf("an image that is not there: %v, want ErrNotFound", err)
	}
}

func TestOpenDaemonOfTheEnvironment(t *testing.T) {
	img := sample(t, "linux/amd64")
	cli, _ := daemonWith(t, img, imagetest.NewArchive(t, "app:1", img))
	t.Setenv("DOCKER_HOST", cli.DaemonHost())
	t.Setenv("DOCKER_API_VERSION", "1.47")
	im, err := image.Open(t.Context(), image.Ref{Scheme: image.Docker, Name: "app:1"}, image.Options{})
	if n := kinds(drain(t, opened(t, im, err)))[finding.InLayer]; n != 2 {
		t.Errorf("%d layers, want 2", n)
	}
	_, err = image.Open(t.Context(), image.Ref{Scheme: image.Docker, Name: "other"}, image.Options{})
	if !errors.Is(err, image.ErrNotFound) {
		t.Errorf("an image that is not there: %v, want ErrNotFound", err)
	}
}

func TestOpenWithoutScheme(t *testing.T) {
	t.Setenv("PATH", t.TempDir()) // the machine's podman is none of the test's business
	img := sample(t, "linux/amd64")
	cli, _ := daemonWith(t, img, imagetest.NewArchive(t, "app:1", img))
	host, keys := imagetest.Registry(t, nil)
	remoteRef := pushed(t, host, keys, `{"_type":"x"}`, "signature")
	opts := image.Options{Docker: cli, Keychain: keys}
	for name, want := range map[string]string{
		imagetest.Layout(t, "v1", img): "oci:",
		t.TempDir():                    "dir:",
		file(t, "x.tar", imagetest.NewArchive(t, "a", img)): "tar:",
		"app:1":   "docker:",
		remoteRef: "registry:",
	} {
		im, err := image.Open(t.Context(), image.Ref{Name: name}, opts)
		if got := opened(t, im, err).Ref(); got != want+name {
			t.Errorf("%s was opened as %s", name, got)
		}
	}
	_, err := image.Open(t.Context(), image.Ref{Name: host + "/nowhere"}, opts)
	for _, tried := range []string{"a path", "docker daemon", "podman", "registry", host + "/nowhere"} {
		if err == nil || !errors.Is(err, image.ErrNotFound) || !strings.Contains(err.Error(), tried) {
			t.Errorf("%v does not say that it tried %s", err, tried)
		}
	}
}

func TestOpenDoesNotReplaceABrokenDaemon(t *testing.T) {
	host, keys := imagetest.Registry(t, nil)
	ref := pushed(t, host, keys, `{"_type":"x"}`, "signature")
	cli := imagetest.Daemon(t, map[string]any{"GET /images/" + ref + "/json": []byte("not JSON")})
	if im, err := image.Open(t.Context(), image.Ref{Name: ref}, image.Options{Docker: cli, Keychain: keys}); err == nil {
		t.Errorf("opened %s though the daemon has an image of that name", im.Ref())
	}
}

func TestDaemonDocumentsAreTold(t *testing.T) {
	img := sample(t, "linux/amd64")
	cli, _ := daemonWith(t, img, pack(t, imagetest.Layout(t, "v1", imagetest.Attest(t, imagetest.Index(t, img), img, `{"_type":"statement"}`))))
	im, err := image.OpenDaemon(t.Context(), cli, "app:1")
	got := kinds(drain(t, opened(t, im, err)))
	for kind, n := range map[finding.Kind]int{finding.InLayer: 2, finding.InConfig: 2, finding.InAttestation: 1} {
		if got[kind] != n {
			t.Errorf("%d blobs of kind %s, want %d", got[kind], kind, n)
		}
	}
}
