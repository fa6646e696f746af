// Package imagetest makes images, archives and registries for tests.
package imagetest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// File is an entry of a tar archive. The zero Type is a regular file, or a folder if Name ends in a slash.
type File struct {
	Name, Body string
	Type       byte
	Link       string
	PAX        map[string]string
}

// Tar packs files in the order given.
func Tar(t testing.TB, files ...File) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, f := range files {
		h := &tar.Header{
			Name: f.Name, Typeflag: f.Type, Linkname: f.Link, Size: int64(len(f.Body)), Mode: 0o644, PAXRecords: f.PAX,
		}
		if f.Type == 0 && strings.HasSuffix(f.Name, "/") {
			h.Typeflag = tar.TypeDir
		}
		must(t, w.WriteHeader(h))
		_, err := io.WriteString(w, f.Body)
		must(t, err)
	}
	must(t, w.Close())
	return buf.Bytes()
}

// Gzip packs b.
func Gzip(t testing.TB, b []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	_, err := w.Write(b)
	must(t, err)
	must(t, w.Close())
	return buf.Bytes()
}

// Step is a history entry of an image. It makes a layer if it has files.
type Step struct {
	CreatedBy string
	Files     []File
}

// Image builds an OCI image for an os/architecture with gzipped layers.
func Image(t testing.TB, platform string, steps ...Step) v1.Image {
	t.Helper()
	p, err := v1.ParsePlatform(platform)
	must(t, err)
	img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	cfg, err := img.ConfigFile()
	must(t, err)
	cfg = cfg.DeepCopy()
	cfg.OS, cfg.Architecture, cfg.Variant = p.OS, p.Architecture, p.Variant
	img, err = mutate.ConfigFile(img, cfg)
	must(t, err)
	for _, s := range steps {
		add := mutate.Addendum{History: v1.History{CreatedBy: s.CreatedBy, EmptyLayer: s.Files == nil}}
		if s.Files != nil {
			add.Layer = Layer(t, s.Files...)
			add.MediaType = types.OCILayer
		}
		img, err = mutate.Append(img, add)
		must(t, err)
	}
	return img
}

// Layer is a gzipped layer.
func Layer(t testing.TB, files ...File) v1.Layer {
	t.Helper()
	raw := Tar(t, files...)
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(raw)), nil })
	must(t, err)
	return l
}

// Artifact is a manifest that is not an image, with one blob. It refers to subject unless that is nil.
func Artifact(t testing.TB, configType, blobType, blob string, subject *v1.Descriptor) v1.Image {
	t.Helper()
	base := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.MediaType(configType))
	img, err := mutate.Append(base, mutate.Addendum{Layer: static.NewLayer([]byte(blob), types.MediaType(blobType))})
	must(t, err)
	if subject != nil {
		img = mutate.Subject(img, *subject).(v1.Image)
	}
	return img
}

// Attest adds an attestation manifest about img to an index, with a statement, as BuildKit does.
func Attest(t testing.TB, index v1.ImageIndex, img v1.Image, statement string) v1.ImageIndex {
	t.Helper()
	about, err := img.Digest()
	must(t, err)
	return mutate.AppendManifests(index, mutate.IndexAddendum{
		Add: Artifact(t, string(types.OCIConfigJSON), "application/vnd.in-toto+json", statement, nil),
		Descriptor: v1.Descriptor{
			Platform: &v1.Platform{OS: "unknown", Architecture: "unknown"},
			Annotations: map[string]string{
				"vnd.docker.reference.type":   "attestation-manifest",
				"vnd.docker.reference.digest": about.String(),
			},
		},
	})
}

// Index is an index of images, each with the platform of its config.
func Index(t testing.TB, images ...v1.Image) v1.ImageIndex {
	t.Helper()
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, img := range images {
		cfg, err := img.ConfigFile()
		must(t, err)
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add: img, Descriptor: v1.Descriptor{Platform: cfg.Platform()},
		})
	}
	return index
}

// Layout writes an index or image under a tag, and further ones without a name, to a new OCI layout folder.
func Layout(t testing.TB, tag string, what mutate.Appendable, others ...mutate.Appendable) string {
	t.Helper()
	dir := t.TempDir()
	p, err := layout.Write(dir, empty.Index)
	must(t, err)
	appendTo(t, p, what, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": tag}))
	for _, o := range others {
		appendTo(t, p, o)
	}
	return dir
}

func appendTo(t testing.TB, p layout.Path, what mutate.Appendable, opts ...layout.Option) {
	t.Helper()
	switch what := what.(type) {
	case v1.ImageIndex:
		must(t, p.AppendIndex(what, opts...))
	case v1.Image:
		must(t, p.AppendImage(what, opts...))
	default:
		t.Fatalf("cannot write a %T", what)
	}
}

// Descriptor describes an index or image.
func Descriptor(t testing.TB, what mutate.Appendable) v1.Descriptor {
	t.Helper()
	digest, err := what.Digest()
	must(t, err)
	size, err := what.Size()
	must(t, err)
	mediaType, err := what.MediaType()
	must(t, err)
	return v1.Descriptor{Digest: digest, Size: size, MediaType: mediaType}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
