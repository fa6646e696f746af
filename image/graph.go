package image

import (
	"context"
	"errors"
	"fmt"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tightlip/tightlip/finding"
)

// source is where a graph gets its documents from.
type source interface {
	// document returns the verified bytes of a manifest, an index or a config; ErrMissing if it is not there.
	document(ctx context.Context, d v1.Descriptor) ([]byte, error)
	// stat returns ErrMissing if the blob is known not to be there.
	stat(d v1.Descriptor) error
	// referrers lists the manifests whose subject is d.
	referrers(ctx context.Context, d v1.Descriptor) ([]v1.Descriptor, error)
}

// partial is a source of which some may be missing: see Options.Partial.
type partial struct{ source }

// node is a blob of an image and its meaning.
type node struct {
	v1.Descriptor
	kind       finding.Kind
	mustUnpack bool
	data       []byte // of documents
}

// graph is everything that can be reached from an image's roots, children before their parents.
type graph struct {
	src         source
	allowAbsent bool // leave out platforms of which nothing is there, as daemons do
	partial     bool // what is missing or of an unknown kind says so when it is opened, or read

	nodes        []node
	index        map[string]int      // digest to its place in nodes
	walked       map[string]bool     // digests of documents whose descriptors were followed
	attestations map[string][]string // manifest digest to those about it
	platforms    []Platform
	absent       []Platform
	kept         int // bytes of documents
}

// walkGraph follows the roots to the last blob.
func walkGraph(ctx context.Context, src source, roots []v1.Descriptor, allowAbsent bool) (*graph, error) {
	g := &graph{
		src: src, allowAbsent: allowAbsent,
		index: map[string]int{}, walked: map[string]bool{}, attestations: map[string][]string{},
	}
	_, g.partial = src.(partial)
	for _, d := range roots {
		if err := g.visit(ctx, d, finding.InMetadata); err != nil {
			return nil, err
		}
	}
	for i := range g.platforms {
		g.platforms[i].Attestations = g.attestations[g.platforms[i].Manifest]
	}
	return g, nil
}

// visit follows a descriptor of an index. Blobs without a better meaning become of the given kind.
func (g *graph) visit(ctx context.Context, d v1.Descriptor, kind finding.Kind) error {
	if d.Annotations[annotationRefType] == attestationManifest {
		kind = finding.InAttestation
		g.attest(d.Annotations[annotationRefDigest], string(d.Digest))
	}
	if !isManifestType(d.MediaType) {
		return g.blob(d, kind)
	}
	if isSchema1(d.MediaType) {
		return fmt.Errorf("manifest %s: %w", d.Digest, ErrSchema1)
	}
	if g.walked[string(d.Digest)] {
		return nil
	}
	g.walked[string(d.Digest)] = true
	raw, err := g.document(ctx, d)
	if errors.Is(err, ErrMissing) && g.allowAbsent {
		g.absent = append(g.absent, newPlatform(d, config{}))
		return nil
	}
	if err != nil {
		return err
	}
	if err := g.follow(ctx, d, raw, kind); err != nil {
		return err
	}
	return g.followReferrers(ctx, d)
}

// follow reads a manifest or index and adds it after all that it refers to.
func (g *graph) follow(ctx context.Context, d v1.Descriptor, raw []byte, kind finding.Kind) error {
	doc, err := parseDocument(raw, string(d.Digest))
	if err != nil {
		return err
	}
	if d.MediaType == "" {
		d.MediaType = doc.MediaType
	}
	if doc.Subject != nil {
		g.attest(string(doc.Subject.Digest), string(d.Digest))
	}
	switch {
	case doc.isIndex():
		for _, m := range doc.Manifests {
			if err := g.visit(ctx, m, kind); err != nil {
				return err
			}
		}
	case g.allowAbsent && g.hollow(doc):
		g.absent = append(g.absent, newPlatform(d, config{}))
	case kind == finding.InAttestation || doc.isAbout():
		err = g.artifact(doc, finding.InAttestation)
	case doc.Config != nil && (isConfigType(doc.Config.MediaType) || doc.Config.MediaType == ""):
		err = g.image(ctx, d, doc)
	default:
		err = g.artifact(doc, kind)
	}
	if err != nil {
		return fmt.Errorf("manifest %s: %w", d.Digest, err)
	}
	g.add(node{Descriptor: d, kind: finding.InManifest, data: raw})
	return nil
}

// hollow tells a manifest of which a daemon holds nothing but the manifest.
func (g *graph) hollow(doc document) bool {
	for _, b := range doc.blobs() {
		if g.src.stat(b) == nil {
			return false
		}
	}
	return len(doc.blobs()) > 0
}

func (g *graph) followReferrers(ctx context.Context, d v1.Descriptor) error {
	refs, err := g.src.referrers(ctx, d)
	if err != nil {
		return fmt.Errorf("looking for what refers to %s: %w", d.Digest, err)
	}
	for _, r := range refs {
		g.attest(string(d.Digest), string(r.Digest))
		if err := g.visit(ctx, r, finding.InAttestation); err != nil {
			return err
		}
	}
	return nil
}

// image adds the config and layers of an image manifest.
func (g *graph) image(ctx context.Context, d v1.Descriptor, doc document) error {
	raw, err := g.document(ctx, *doc.Config)
	if err != nil {
		return err
	}
	c, err := parseConfig(raw, string(doc.Config.Digest), len(doc.Layers))
	if err != nil {
		return err
	}
	g.add(node{Descriptor: *doc.Config, kind: finding.InConfig, data: raw})
	digests := make([]string, len(doc.Layers))
	for i, l := range doc.Layers {
		if err := checkLayerType(l); err != nil && !g.partial {
			return err
		}
		kind := finding.InLayer
		if l.MediaType == typeInToto {
			kind = finding.InAttestation
		}
		if err := g.blob(l, kind); err != nil {
			return err
		}
		digests[i] = string(l.Digest)
	}
	p := newPlatform(d, c)
	p.Config = string(doc.Config.Digest)
	p.Layers = c.layers(digests)
	g.platforms = append(g.platforms, p)
	return nil
}

// artifact adds the blobs of a manifest that is not an image. They may be of any type.
func (g *graph) artifact(doc document, kind finding.Kind) error {
	for _, b := range doc.blobs() {
		k := kind
		if doc.Config != nil && b.Digest == doc.Config.Digest {
			k = finding.InConfig
		}
		if err := g.blob(b, k); err != nil {
			return err
		}
	}
	return nil
}

// blob adds a blob that is not followed any further.
func (g *graph) blob(d v1.Descriptor, kind finding.Kind) error {
	dg, err := parseDigest(string(d.Digest))
	if err != nil {
		return err
	}
	n := node{Descriptor: d, kind: kind, mustUnpack: layerTypes[d.MediaType]}
	if n.mustUnpack {
		n.kind = finding.InLayer
	} else if err := checkLayerType(d); errors.Is(err, ErrEncrypted) && !g.partial {
		return err
	}
	if g.partial && kind == finding.InLayer {
		n.mustUnpack = true
	}
	if err := g.src.stat(d); err != nil && !g.partial {
		// Registries need not store what its descriptor carries, such as the empty config {}.
		if len(d.Data) == 0 || dg.Algorithm().FromBytes(d.Data) != dg {
			return err
		}
	}
	if len(d.Data) > 0 && dg.Algorithm().FromBytes(d.Data) == dg {
		n.data = d.Data
	}
	g.add(n)
	return nil
}

// add adds a node once. A blob in two roles keeps the stricter one.
func (g *graph) add(n node) {
	i, ok := g.index[string(n.Digest)]
	if !ok {
		g.index[string(n.Digest)] = len(g.nodes)
		g.nodes = append(g.nodes, n)
		return
	}
	if n.mustUnpack {
		g.nodes[i].kind, g.nodes[i].mustUnpack = n.kind, true
	}
}

// document returns the verified bytes of a small blob and counts them.
func (g *graph) document(ctx context.Context, d v1.Descriptor) ([]byte, error) {
	if _, err := parseDigest(string(d.Digest)); err != nil {
		return nil, err
	}
	raw, err := g.src.document(ctx, d)
	if err != nil {
		return nil, err
	}
	if g.kept += len(raw); g.kept > maxDocuments {
		return nil, fmt.Errorf("reading %s: %w: over %d MiB together with the others", d.Digest, ErrTooLarge, maxDocuments>>20)
	}
	return raw, nil
}

// attest remembers that the manifest by is about the manifest of.
func (g *graph) attest(of, by string) {
	for _, known := range g.attestations[of] {
		if known == by {
			return
		}
	}
	g.attestations[of] = append(g.attestations[of], by)
}

func newPlatform(d v1.Descriptor, c config) Platform {
	p := c.Platform
	if d.Platform != nil {
		p = *d.Platform
	}
	return Platform{OS: p.OS, Architecture: p.Architecture, Variant: p.Variant, Manifest: string(d.Digest)}
}
