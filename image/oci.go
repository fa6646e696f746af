package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tightlip/tightlip/finding"
)

// OpenLayout opens an OCI layout folder: the image that sel names by tag or digest, or for "" all in its index.json.
// Blobs that no document leads to are not part of it.
func OpenLayout(ctx context.Context, dir, sel string, opts Options) (Image, error) {
	ref := Ref{Scheme: OCI, Name: dir, Select: sel}.String()
	im, err := openLayout(ctx, dir, sel, opts)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", ref, err)
	}
	im.ref = ref
	return im, nil
}

func openLayout(ctx context.Context, dir, sel string, opts Options) (*static, error) {
	marker, err := readContainerFile(dir, v1.ImageLayoutFile)
	if err != nil {
		return nil, err
	}
	raw, err := readContainerFile(dir, v1.ImageIndexFile)
	if err != nil {
		return nil, err
	}
	if err := checkLayoutFile(marker); err != nil {
		return nil, err
	}
	var index v1.Index
	if err := json.Unmarshal(raw, &index); err != nil {
		return nil, fmt.Errorf("reading index.json: %w", err)
	}
	roots, err := selectManifests(index.Manifests, sel)
	if err != nil {
		return nil, err
	}
	src := layoutSource{dir: dir, trusted: opts.Trusted}
	if !opts.NoReferrers {
		if src.subjects, err = src.findSubjects(ctx, index.Manifests); err != nil {
			return nil, err
		}
	}
	g, err := walkGraph(ctx, opts.source(src), roots, false)
	if err != nil {
		return nil, err
	}
	im := &static{layout: indexLayout(g, roots, raw), entries: []entry{
		containerFile(v1.ImageLayoutFile, marker), containerFile(v1.ImageIndexFile, raw),
	}}
	im.entries = append(im.entries, g.entries(src.open)...)
	for i := range im.entries {
		if b := &im.entries[i].Blob; b.Digest != "" && !opts.Trusted {
			b.Stamp = stamp(src.path(digest.Digest(b.Digest)))
		}
	}
	return im, nil
}

func readContainerFile(dir, name string) ([]byte, error) {
	f, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readDocument(f, name)
}

func checkLayoutFile(raw []byte) error {
	var l v1.ImageLayout
	if err := json.Unmarshal(raw, &l); err != nil {
		return fmt.Errorf("reading oci-layout: %w", err)
	}
	if !strings.HasPrefix(l.Version, "1.") {
		return fmt.Errorf("oci-layout is of version %q, not 1", l.Version)
	}
	return nil
}

// containerFile is a document of the container format itself.
func containerFile(name string, raw []byte) entry {
	return entry{Blob: Blob{Kind: finding.InMetadata, Path: name, Size: int64(len(raw))}, open: memory(raw)}
}

// selectManifests finds the descriptors of the image named by sel, a digest, a tag or a full name. "" is all of them.
func selectManifests(all []v1.Descriptor, sel string) ([]v1.Descriptor, error) {
	if sel == "" {
		return all, nil
	}
	var found []v1.Descriptor
	for _, d := range all {
		if string(d.Digest) == sel || slices.ContainsFunc(descriptorNames(d), func(n string) bool { return matchesTag(n, sel) }) {
			found = append(found, d)
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%w: index.json has no %s", ErrNotFound, sel)
	}
	for _, d := range found[1:] {
		if d.Digest != found[0].Digest {
			return nil, fmt.Errorf("index.json has several images called %s: select one by its digest", sel)
		}
	}
	return found[:1], nil
}

// matchesTag tells whether a name in an index is sel, or a reference with sel as its tag.
func matchesTag(name, sel string) bool {
	return name == sel || strings.HasSuffix(name, ":"+sel)
}

func descriptorNames(d v1.Descriptor) []string {
	var names []string
	for _, key := range []string{annotationImageName, v1.AnnotationRefName} {
		if n := d.Annotations[key]; n != "" {
			names = append(names, n)
		}
	}
	return names
}

// indexLayout is the structure of the images that index.json leads to.
func indexLayout(g *graph, roots []v1.Descriptor, index []byte) Layout {
	l := Layout{Platforms: g.platforms, Absent: g.absent}
	images := map[digest.Digest]string{}
	for _, d := range roots {
		if names := descriptorNames(d); len(names) > 0 && !slices.Contains(l.Names, names[0]) {
			l.Names = append(l.Names, names[0])
		}
		if !g.isReferrer(d) {
			images[d.Digest] = d.MediaType
			l.Digest, l.MediaType = string(d.Digest), d.MediaType
		}
	}
	if len(images) != 1 {
		l.Digest, l.MediaType = string(digest.FromBytes(index)), v1.MediaTypeImageIndex
	}
	return l
}

// isReferrer tells whether a root is there only because it refers to an image.
func (g *graph) isReferrer(d v1.Descriptor) bool {
	for _, by := range g.attestations {
		if slices.Contains(by, string(d.Digest)) {
			return true
		}
	}
	return false
}

// layoutSource reads the documents of an OCI layout folder.
type layoutSource struct {
	dir      string
	trusted  bool // its blobs were verified when they were written
	subjects map[digest.Digest][]v1.Descriptor
}

func (s layoutSource) path(d digest.Digest) string {
	return filepath.Join(s.dir, v1.ImageBlobsDir, string(d.Algorithm()), d.Encoded())
}

func (s layoutSource) stat(d v1.Descriptor) error {
	dg, err := parseDigest(string(d.Digest))
	if err != nil {
		return err
	}
	fi, err := os.Stat(s.path(dg))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return missing(d)
	case err != nil:
		return err
	case !fi.Mode().IsRegular():
		return fmt.Errorf("blob %s: not a regular file", d.Digest)
	}
	return nil
}

// missing is ErrMissing for d, with where else it might be.
func missing(d v1.Descriptor) error {
	if len(d.URLs) > 0 {
		return fmt.Errorf("%w: %s, a foreign layer of %s", ErrMissing, d.Digest, strings.Join(d.URLs, " "))
	}
	return fmt.Errorf("%w: %s", ErrMissing, d.Digest)
}

func (s layoutSource) document(ctx context.Context, d v1.Descriptor) ([]byte, error) {
	if err := s.stat(d); err != nil {
		return nil, err
	}
	r, err := s.open(node{Descriptor: d})(ctx)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return readDocument(r, string(d.Digest))
}

func (s layoutSource) open(n node) opener {
	return func(context.Context) (io.ReadCloser, error) {
		f, err := os.Open(s.path(n.Digest))
		if err != nil {
			return nil, err
		}
		if s.trusted {
			return f, nil
		}
		return verified(f, n.Digest), nil
	}
}

func (s layoutSource) referrers(_ context.Context, d v1.Descriptor) ([]v1.Descriptor, error) {
	return s.subjects[d.Digest], nil
}

// findSubjects reads the manifests of an index.json for what they refer to.
func (s layoutSource) findSubjects(ctx context.Context, all []v1.Descriptor) (map[digest.Digest][]v1.Descriptor, error) {
	found := map[digest.Digest][]v1.Descriptor{}
	for _, d := range all {
		if !isManifestType(d.MediaType) {
			continue
		}
		raw, err := s.document(ctx, d)
		if err != nil {
			return nil, err
		}
		doc, err := parseDocument(raw, string(d.Digest))
		if err != nil {
			return nil, err
		}
		if doc.Subject != nil {
			found[doc.Subject.Digest] = append(found[doc.Subject.Digest], d)
		}
	}
	return found, nil
}
