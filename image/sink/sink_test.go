package sink_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/tightlip/tightlip/image"
	"github.com/tightlip/tightlip/image/imagetest"
	"github.com/tightlip/tightlip/image/sink"
)

// layout writes an index of two platforms, one of them attested, and returns the folder and the index's digest.
func layout(t testing.TB) (dir, digest string) {
	t.Helper()
	var images []v1.Image
	for _, p := range []string{"linux/amd64", "linux/arm64"} {
		images = append(images, imagetest.Image(t, p,
			imagetest.Step{CreatedBy: "COPY x", Files: []imagetest.File{{Name: "x", Body: rand.Text()}}}))
	}
	index := imagetest.Attest(t, imagetest.Index(t, images...), images[0], `{"_type":"statement"}`)
	signature := imagetest.Descriptor(t, index)
	signer := imagetest.Artifact(t, "application/vnd.example.config+json", "text/plain", rand.Text(), &signature)
	return imagetest.Layout(t, "other", index, signer), imagetest.Descriptor(t, index).Digest.String()
}

// digests are those of all blobs that an image has with a digest.
func digests(t testing.TB, im image.Image, err error) []string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer im.Close()
	var out []string
	for b, err := range im.Blobs(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		r, err := b.Open()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, r); err != nil {
			t.Fatal(err)
		}
		r.Close()
		if b.Digest != "" {
			out = append(out, b.Digest)
		}
	}
	slices.Sort(out)
	return out
}

func covered(t testing.TB, dir, digest string) []string {
	t.Helper()
	im, err := image.OpenLayout(t.Context(), dir, digest, image.Options{NoReferrers: true})
	return digests(t, im, err)
}

func TestPush(t *testing.T) {
	dir, digest := layout(t)
	host, keys := imagetest.Registry(t, nil)
	opts := sink.Options{Keychain: keys}
	for _, ref := range []string{host + "/team/app:v1", host + "/team/app", host + "/team/bare@" + digest} {
		got, err := sink.Push(t.Context(), dir, digest, ref, opts)
		if err != nil || got != digest {
			t.Fatalf("pushing to %s: %s, %v", ref, got, err)
		}
		im, err := image.OpenRegistry(t.Context(), ref, image.Options{Keychain: keys})
		if got := digests(t, im, err); !slices.Equal(got, covered(t, dir, digest)) {
			t.Errorf("%s has the blobs %q", ref, got)
		}
	}
	repo, err := name.NewRepository(host + "/team/bare")
	if err != nil {
		t.Fatal(err)
	}
	if tags, err := remote.List(repo, remote.WithAuthFromKeychain(keys)); len(tags) != 0 {
		t.Errorf("pushing by digest left the tags %q, %v", tags, err)
	}
}

func TestPushNamesLast(t *testing.T) {
	dir, digest := layout(t)
	var tagged bool
	host, keys := imagetest.Registry(t, func(inner http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/manifests/v1") {
				tagged = true
			} else if r.Method == http.MethodPut && tagged {
				t.Errorf("%s came after the tag", r.URL.Path)
			}
			inner.ServeHTTP(w, r)
		})
	})
	if _, err := sink.Push(t.Context(), dir, digest, host+"/app:v1", sink.Options{Keychain: keys}); err != nil || !tagged {
		t.Errorf("tagged %v, %v", tagged, err)
	}
}

func TestPushRefuses(t *testing.T) {
	dir, digest := layout(t)
	host, keys := imagetest.Registry(t, nil)
	other := "sha256:" + strings.Repeat("0", 64)
	for label, ref := range map[string]string{"another digest": host + "/app@" + other, "no name": "UPPER"} {
		if _, err := sink.Push(t.Context(), dir, digest, ref, sink.Options{Keychain: keys}); err == nil {
			t.Errorf("%s: pushed", label)
		}
	}
	if _, err := sink.Push(t.Context(), dir, other, host+"/app:v1", sink.Options{Keychain: keys}); !errors.Is(err, image.ErrNotFound) {
		t.Errorf("pushing what is not there: %v", err)
	}
}

func TestPushStopsAtChangedBlobs(t *testing.T) {
	dir, digest := layout(t)
	im, err := image.OpenLayout(t.Context(), dir, digest, image.Options{})
	if err != nil {
		t.Fatal(err)
	}
	l, err := im.Layout(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	blob := filepath.Join(dir, "blobs", "sha256", strings.TrimPrefix(l.Platforms[1].Layers[0].Digest, "sha256:"))
	raw, err := os.ReadFile(blob)
	if err != nil {
		t.Fatal(err)
	}
	raw[len(raw)-1] ^= 1
	if err := os.WriteFile(blob, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	host, keys := imagetest.Registry(t, nil)
	if _, err := sink.Push(t.Context(), dir, digest, host+"/app:v1", sink.Options{Keychain: keys}); err == nil {
		t.Error("pushed a changed layer")
	}
	if _, err := image.OpenRegistry(t.Context(), host+"/app:v1", image.Options{Keychain: keys}); !errors.Is(err, image.ErrNotFound) {
		t.Errorf("the name exists: %v", err)
	}
	if err := sink.WriteArchive(t.Context(), io.Discard, dir, digest, nil, sink.OCIArchive); !errors.Is(err, image.ErrDigest) {
		t.Errorf("archiving a changed layer: %v, want ErrDigest", err)
	}
}

func TestWriteArchive(t *testing.T) {
	dir, digest := layout(t)
	for _, format := range []sink.Format{sink.DockerArchive, sink.OCIArchive} {
		first, second := archived(t, dir, digest, format), archived(t, dir, digest, format)
		if !bytes.Equal(first, second) {
			t.Errorf("%s: two archives of the same content differ", format)
		}
		path := filepath.Join(t.TempDir(), "image.tar")
		if err := os.WriteFile(path, first, 0o600); err != nil {
			t.Fatal(err)
		}
		im, err := image.OpenTar(t.Context(), path, image.Options{})
		if err != nil {
			t.Fatal(err)
		}
		l, err := im.Layout(t.Context())
		if err != nil || l.Digest != digest || !slices.Contains(l.Names, "docker.io/library/app:1") {
			t.Errorf("%s: layout %s %q, %v", format, l.Digest, l.Names, err)
		}
		if got := digests(t, im, nil); !slices.Equal(got, covered(t, dir, digest)) {
			t.Errorf("%s has the blobs %q", format, got)
		}
		if format == sink.DockerArchive {
			checkLoadable(t, path)
		}
	}
}

func archived(t testing.TB, dir, digest string, format sink.Format) []byte {
	t.Helper()
	var buf bytes.Buffer
	if err := sink.WriteArchive(t.Context(), &buf, dir, digest, []string{"app:1", "localhost:5000/team/app"}, format); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// checkLoadable reads an archive as engines without the containerd store do, by manifest.json alone.
func checkLoadable(t *testing.T, path string) {
	t.Helper()
	m, err := tarball.LoadManifest(func() (io.ReadCloser, error) { return os.Open(path) })
	if err != nil || len(m) != 1 || !slices.Equal(m[0].RepoTags, []string{"app:1", "localhost:5000/team/app:latest"}) {
		t.Fatalf("manifest.json is %+v, %v", m, err)
	}
	tag, err := name.NewTag("app:1")
	if err != nil {
		t.Fatal(err)
	}
	img, err := tarball.ImageFromPath(path, &tag)
	if err != nil {
		t.Fatal(err)
	}
	if layers, err := img.Layers(); err != nil || len(layers) != 1 {
		t.Errorf("%d layers, %v, want 1", len(layers), err)
	}
}

func TestWriteArchiveRefuses(t *testing.T) {
	dir, digest := layout(t)
	for label, c := range map[string]struct {
		names  []string
		format sink.Format
	}{
		"format":         {nil, "zip"},
		"name":           {[]string{"UPPER"}, sink.OCIArchive},
		"digest as name": {[]string{"app@" + digest}, sink.OCIArchive},
		"id as name":     {[]string{strings.TrimPrefix(digest, "sha256:")}, sink.OCIArchive},
	} {
		if err := sink.WriteArchive(t.Context(), io.Discard, dir, digest, c.names, c.format); err == nil {
			t.Errorf("%s: accepted", label)
		}
	}
}

func TestLoad(t *testing.T) {
	for answer, want := range map[string]string{
		`{"stream":"Loaded image: app:1\n"}`: "",
		``:                                   "",
		`{"stream":"x"}{"errorDetail":{"message":"disk full"},"error":"x"}`: "disk full",
		`{"stream":`: "reading the answer",
	} {
		cli := imagetest.Daemon(t, map[string]any{"POST /images/load": []byte(answer)})
		err := sink.Load(t.Context(), cli, strings.NewReader("archive"))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", answer, err, want)
		}
	}
}

func TestTagAndRemove(t *testing.T) {
	id := "sha256:" + strings.Repeat("ab", 32)
	cli := imagetest.Daemon(t, map[string]any{
		"POST /images/" + id + "/tag": []byte{}, "DELETE /images/" + id: []map[string]string{{"Deleted": id}},
	})
	if err := sink.Tag(t.Context(), cli, id, []string{"app:1", "app"}); err != nil {
		t.Error(err)
	}
	if err := sink.Tag(t.Context(), cli, id, []string{"UPPER"}); err == nil {
		t.Error("tagged with a name that cannot be")
	}
	if err := sink.Remove(t.Context(), cli, id); err != nil {
		t.Error(err)
	}
	if err := sink.Remove(t.Context(), cli, "other"); err == nil {
		t.Error("removed what is not there")
	}
}
