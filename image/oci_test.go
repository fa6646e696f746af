package image_test

import (
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/tightlip/tightlip/finding"
	"github.com/tightlip/tightlip/image"
	"github.com/tightlip/tightlip/image/imagetest"
)

// full is an index of two platforms, one with an attestation, and a signature that refers to the index.
func full(t testing.TB, statement, signature string) (index v1.ImageIndex, signer v1.Image) {
	t.Helper()
	amd, arm := sample(t, "linux/amd64"), sample(t, "linux/arm64/v8")
	index = imagetest.Attest(t, imagetest.Index(t, amd, arm), amd, statement)
	about := imagetest.Descriptor(t, index)
	return index, imagetest.Artifact(t, "application/vnd.example.config+json", "text/plain", signature, &about)
}

func TestLayoutHasEverything(t *testing.T) {
	statement, signature := `{"_type":"`+rand.Text()+`"}`, rand.Text()
	index, signer := full(t, statement, signature)
	dir := imagetest.Layout(t, "v1", index, signer)
	for _, sel := range []string{"", "v1", imagetest.Descriptor(t, index).Digest.String()} {
		im, err := image.OpenLayout(t.Context(), dir, sel, image.Options{})
		im = opened(t, im, err)
		checkFull(t, im, statement, signature)
		l := layoutOf(t, im)
		if want := imagetest.Descriptor(t, index).Digest.String(); l.Digest != want {
			t.Errorf("select %q: digest %s, want %s", sel, l.Digest, want)
		}
		if !slices.Equal(l.Names, []string{"v1"}) && sel != "" {
			t.Errorf("select %q: names %q", sel, l.Names)
		}
		if got := kinds(drain(t, im))[finding.InMetadata]; got != 2 {
			t.Errorf("select %q: %d container files, want oci-layout and index.json", sel, got)
		}
	}
}

// checkFull checks an image made by full.
func checkFull(t *testing.T, im image.Image, statement, signature string) {
	t.Helper()
	pieces := drain(t, im)
	// Index, two images, attestation, signature; a config for each manifest; two layers for each image.
	want := map[finding.Kind]int{finding.InManifest: 5, finding.InConfig: 4, finding.InLayer: 4, finding.InAttestation: 2}
	got := kinds(pieces)
	delete(got, finding.InMetadata)
	for k, n := range want {
		if got[k] != n {
			t.Errorf("%d blobs of kind %s, want %d", got[k], k, n)
		}
	}
	for _, text := range []string{statement, signature} {
		if found := containing(pieces, text); len(found) != 1 || found[0].Kind != finding.InAttestation {
			t.Errorf("%q is in %d blobs, want one attestation", text, len(found))
		}
	}
	for _, p := range pieces {
		if p.MustUnpack != (p.Kind == finding.InLayer) {
			t.Errorf("%s %s: MustUnpack is %v", p.Kind, p.Digest, p.MustUnpack)
		}
	}
	checkPlatforms(t, layoutOf(t, im))
}

func checkPlatforms(t *testing.T, l image.Layout) {
	t.Helper()
	if len(l.Platforms) != 2 || l.Platforms[0].String() != "linux/amd64" || l.Platforms[1].String() != "linux/arm64/v8" {
		t.Fatalf("platforms %v", l.Platforms)
	}
	if n := len(l.Platforms[0].Attestations); n != 1 {
		t.Errorf("%d attestations of the first platform, want 1", n)
	}
	for _, p := range l.Platforms {
		if len(p.Layers) != 2 {
			t.Fatalf("%s has %d layers, want 2", p, len(p.Layers))
		}
		top := p.Layers[1]
		if top.CreatedBy != "RUN make "+p.String() || top.History != 2 || top.DiffID == "" || top.DiffID == top.Digest {
			t.Errorf("%s: upper layer %+v", p, top)
		}
	}
}

func TestLayoutWithoutReferrers(t *testing.T) {
	signature := rand.Text()
	index, signer := full(t, `{"_type":"x"}`, signature)
	dir := imagetest.Layout(t, "v1", index, signer)
	im, err := image.OpenLayout(t.Context(), dir, "v1", image.Options{NoReferrers: true})
	pieces := drain(t, opened(t, im, err))
	if n := kinds(pieces)[finding.InManifest]; n != 4 || len(containing(pieces, signature)) != 0 {
		t.Errorf("%d manifests, %d with the signature", n, len(containing(pieces, signature)))
	}
}

func TestParentsComeAfterChildren(t *testing.T) {
	index, signer := full(t, `{"_type":"x"}`, "signature")
	im, err := image.OpenLayout(t.Context(), imagetest.Layout(t, "v1", index, signer), "", image.Options{})
	seen := map[string]bool{}
	for _, p := range drain(t, opened(t, im, err)) {
		if p.Digest != "" && seen[p.Digest] {
			t.Errorf("%s came twice", p.Digest)
		}
		seen[p.Digest] = true
		if p.Digest == imagetest.Descriptor(t, index).Digest.String() {
			if len(seen) < 12 {
				t.Errorf("the index came after only %d blobs", len(seen))
			}
		}
	}
}

func TestSelectAmbiguous(t *testing.T) {
	a, b := sample(t, "linux/amd64"), sample(t, "linux/amd64")
	dir := imagetest.Layout(t, "v1", a)
	other := imagetest.Layout(t, "v1", b)
	merge(t, dir, other)
	if _, err := image.OpenLayout(t.Context(), dir, "v1", image.Options{}); err == nil || !strings.Contains(err.Error(), "several") {
		t.Errorf("two images called v1: %v", err)
	}
	if _, err := image.OpenLayout(t.Context(), dir, "v2", image.Options{}); !errors.Is(err, image.ErrNotFound) {
		t.Errorf("no image called v2: %v", err)
	}
	im, err := image.OpenLayout(t.Context(), dir, "", image.Options{})
	if n := len(layoutOf(t, opened(t, im, err)).Platforms); n != 2 {
		t.Errorf("%d platforms in the whole layout, want 2", n)
	}
}

// merge adds the images of one layout folder to another.
func merge(t *testing.T, to, from string) {
	t.Helper()
	if err := os.CopyFS(filepath.Join(to, "new"), os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	blobs, err := filepath.Glob(filepath.Join(to, "new", "blobs", "sha256", "*"))
	if err != nil || len(blobs) == 0 {
		t.Fatal("no blobs to merge", err)
	}
	for _, b := range blobs {
		if err := os.Rename(b, filepath.Join(to, "blobs", "sha256", filepath.Base(b))); err != nil {
			t.Fatal(err)
		}
	}
	first, second := indexJSON(t, to), indexJSON(t, filepath.Join(to, "new"))
	joined := strings.Replace(first, `"manifests":[`, `"manifests":[`+entries(second)+`,`, 1)
	must(t, os.WriteFile(filepath.Join(to, "index.json"), []byte(joined), 0o600))
}

func indexJSON(t *testing.T, dir string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(strings.Fields(string(raw)), "")
}

func entries(index string) string {
	_, rest, _ := strings.Cut(index, `"manifests":[`)
	return rest[:strings.LastIndexByte(rest, ']')]
}

func TestLayoutFailsClosed(t *testing.T) {
	layerOf := func(mediaType string) v1.Image {
		img, err := mutate.Append(sample(t, "linux/amd64"), mutate.Addendum{
			Layer: static.NewLayer([]byte("x"), types.MediaType(mediaType)), MediaType: types.MediaType(mediaType),
		})
		if err != nil {
			t.Fatal(err)
		}
		return img
	}
	for name, c := range map[string]struct {
		img  v1.Image
		want error
		text string
	}{
		"unknown layer":   {layerOf("application/x-squashfs"), image.ErrMediaType, "application/x-squashfs"},
		"encrypted layer": {layerOf("application/vnd.oci.image.layer.v1.tar+gzip+encrypted"), image.ErrEncrypted, "layer"},
	} {
		dir := imagetest.Layout(t, "v1", c.img)
		_, err := image.OpenLayout(t.Context(), dir, "", image.Options{})
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestLayoutBlobsMissingOrChanged(t *testing.T) {
	img := sample(t, "linux/amd64")
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	digest, err := layers[0].Digest()
	if err != nil {
		t.Fatal(err)
	}
	dir := imagetest.Layout(t, "v1", img)
	blob := filepath.Join(dir, "blobs", "sha256", digest.Hex)
	must(t, os.WriteFile(blob, []byte("something else"), 0o600))
	im, err := image.OpenLayout(t.Context(), dir, "", image.Options{})
	if err := failure(t, opened(t, im, err)); !errors.Is(err, image.ErrDigest) {
		t.Errorf("reading a changed layer: %v, want ErrDigest", err)
	}
	if err := os.Remove(blob); err != nil {
		t.Fatal(err)
	}
	if _, err := image.OpenLayout(t.Context(), dir, "", image.Options{}); !errors.Is(err, image.ErrMissing) {
		t.Errorf("opening without a layer: %v, want ErrMissing", err)
	}
}

func TestLayoutBadDocuments(t *testing.T) {
	for name, c := range map[string]struct {
		doc  string
		want error
	}{
		"schema 1":         {`{"schemaVersion":1,"fsLayers":[]}`, image.ErrSchema1},
		"ambiguous":        {`{"schemaVersion":2,"manifests":[],"layers":[]}`, image.ErrMediaType},
		"too large":        {`{"schemaVersion":2,"x":"` + strings.Repeat("x", 17<<20) + `"}`, image.ErrTooLarge},
		"path as a digest": {`{"schemaVersion":2,"layers":[{"digest":"sha256:../../../etc/passwd"}]}`, nil},
		"missing child":    {`{"schemaVersion":2,"manifests":[{"digest":"sha256:` + strings.Repeat("0", 64) + `"}]}`, image.ErrMissing},
	} {
		dir := imagetest.Layout(t, "v1", sample(t, "linux/amd64"))
		replaceIndex(t, dir, c.doc)
		_, err := image.OpenLayout(t.Context(), dir, "", image.Options{})
		if err == nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// replaceIndex makes doc the only manifest of a layout folder.
func replaceIndex(t *testing.T, dir, doc string) {
	t.Helper()
	l := static.NewLayer([]byte(doc), "")
	digest, err := l.Digest()
	if err != nil {
		t.Fatal(err)
	}
	index := `{"schemaVersion":2,"manifests":[{"mediaType":"` + string(types.OCIManifestSchema1) + `","digest":"` + digest.String() + `"}]}`
	for name, content := range map[string]string{"blobs/sha256/" + digest.Hex: doc, "index.json": index} {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
}
