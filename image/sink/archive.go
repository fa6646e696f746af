package sink

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	specs "github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tightlip/tightlip/finding"
	"github.com/tightlip/tightlip/image"
)

// Format is a kind of archive.
type Format string

// The formats of WriteArchive.
const (
	DockerArchive Format = "docker" // for docker load, with the containerd store and without
	OCIArchive    Format = "oci"
)

// annotationImageName is where containerd, and with it Docker, finds an image's full name.
const annotationImageName = "io.containerd.image.name"

// WriteArchive writes exactly what an index or manifest of an OCI layout folder covers as an archive. The same
// content and names make the same bytes. Engines without the containerd store take one platform from a Docker
// archive: that of this machine if the image has it, else the first.
func WriteArchive(ctx context.Context, w io.Writer, layoutDir, digest string, names []string, format Format) error {
	if err := writeArchive(ctx, w, layoutDir, digest, names, format); err != nil {
		return fmt.Errorf("writing %s archive of %s: %w", format, digest, err)
	}
	return nil
}

func writeArchive(ctx context.Context, w io.Writer, layoutDir, dgst string, names []string, format Format) error {
	if format != DockerArchive && format != OCIArchive {
		return errors.New("unknown format")
	}
	refs, err := parseNames(names)
	if err != nil {
		return err
	}
	im, err := image.OpenLayout(ctx, layoutDir, dgst, image.Options{NoReferrers: true})
	if err != nil {
		return err
	}
	defer im.Close()
	l, err := im.Layout(ctx)
	if err != nil {
		return err
	}
	blobs, root, err := content(ctx, im, dgst)
	if err != nil {
		return err
	}
	a := archive{tar.NewWriter(w)}
	if err := a.document(ocispec.ImageLayoutFile, ocispec.ImageLayout{Version: ocispec.ImageLayoutVersion}); err != nil {
		return err
	}
	if err := a.document(ocispec.ImageIndexFile, index(root, refs)); err != nil {
		return err
	}
	if format == DockerArchive {
		if err := a.document("manifest.json", dockerManifest(l, refs)); err != nil {
			return err
		}
	}
	return a.blobs(blobs)
}

// parseNames completes names as docker does; latest is the tag of those without one.
func parseNames(names []string) ([]reference.NamedTagged, error) {
	refs := make([]reference.NamedTagged, len(names))
	for i, n := range names {
		named, err := reference.ParseNormalizedNamed(n)
		if err != nil {
			return nil, fmt.Errorf("name %q: %w", n, err)
		}
		tagged, ok := reference.TagNameOnly(named).(reference.NamedTagged)
		if _, digested := named.(reference.Digested); !ok || digested {
			return nil, fmt.Errorf("name %q: a digest cannot be given as a name", n)
		}
		refs[i] = tagged
	}
	return refs, nil
}

// content are the blobs to write and the descriptor of the one that is the image.
func content(ctx context.Context, im image.Image, dgst string) ([]image.Blob, ocispec.Descriptor, error) {
	var blobs []image.Blob
	var root ocispec.Descriptor
	for b, err := range im.Blobs(ctx) {
		if err != nil {
			return nil, root, err
		}
		if b.Digest == "" {
			continue // the layout's own files
		}
		if b.Digest == dgst && b.Kind == finding.InManifest {
			root = ocispec.Descriptor{MediaType: b.MediaType, Digest: digest.Digest(b.Digest), Size: b.Size}
		}
		blobs = append(blobs, b)
	}
	if root.Digest == "" {
		return nil, root, errors.New("it is neither an index nor a manifest")
	}
	return blobs, root, nil
}

// index lists the image once for each name, as docker save does.
func index(root ocispec.Descriptor, refs []reference.NamedTagged) ocispec.Index {
	ix := ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex,
		Manifests: []ocispec.Descriptor{root},
	}
	if len(refs) > 0 {
		ix.Manifests = nil
	}
	for _, r := range refs {
		d := root
		d.Annotations = map[string]string{annotationImageName: r.String(), ocispec.AnnotationRefName: r.Tag()}
		ix.Manifests = append(ix.Manifests, d)
	}
	return ix
}

// loadable is an entry of Docker's manifest.json.
type loadable struct {
	Config   string
	RepoTags []string
	Layers   []string
}

func dockerManifest(l image.Layout, refs []reference.NamedTagged) []loadable {
	if len(l.Platforms) == 0 {
		return []loadable{}
	}
	here := slices.IndexFunc(l.Platforms, func(p image.Platform) bool {
		return p.OS == "linux" && p.Architecture == runtime.GOARCH
	})
	p := l.Platforms[max(here, 0)]
	m := loadable{Config: blobPath(p.Config), RepoTags: []string{}, Layers: []string{}}
	for _, r := range refs {
		m.RepoTags = append(m.RepoTags, reference.FamiliarString(r))
	}
	for _, layer := range p.Layers {
		m.Layers = append(m.Layers, blobPath(layer.Digest))
	}
	return []loadable{m}
}

func blobPath(digest string) string {
	algorithm, hex, _ := strings.Cut(digest, ":")
	return path.Join(ocispec.ImageBlobsDir, algorithm, hex)
}

// archive writes a tar archive whose headers hold nothing but names and sizes.
type archive struct{ *tar.Writer }

func (a archive) header(name string, size int64) error {
	return a.WriteHeader(&tar.Header{
		Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o644, ModTime: time.Unix(0, 0), Format: tar.FormatPAX,
	})
}

func (a archive) document(name string, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if err := a.header(name, int64(len(raw))); err != nil {
		return err
	}
	_, err = a.Write(raw)
	return err
}

func (a archive) blobs(blobs []image.Blob) error {
	for _, b := range blobs {
		if err := a.blob(b); err != nil {
			return fmt.Errorf("blob %s: %w", b.Digest, err)
		}
	}
	return a.Close()
}

func (a archive) blob(b image.Blob) error {
	r, err := b.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	if err := a.header(blobPath(b.Digest), b.Size); err != nil {
		return err
	}
	_, err = io.Copy(a, r)
	return err
}
