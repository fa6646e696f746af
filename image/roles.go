package image

import (
	"context"
	"fmt"
	"path"
	"slices"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tightlip/tightlip/finding"
)

// role is what a member of an archive is for the image.
type role struct {
	kind       finding.Kind
	digest     digest.Digest // "" if nothing states it
	mediaType  string
	mustUnpack bool
}

// roles finds out what the members are by following the archive's documents. ok is false for an archive that is
// not of an image: a root file system.
func (a *archive) roles(ctx context.Context, opts Options) (roles []role, l Layout, ok bool, err error) {
	images, index := a.dockerImages(), a.ociIndex()
	if images == nil && index == nil {
		return nil, l, false, nil
	}
	if a.tooMany {
		return nil, l, true, fmt.Errorf("%w: an image archive with more than %d entries", ErrTooLarge, maxMembers)
	}
	roles = make([]role, len(a.members))
	for i, m := range a.members {
		roles[i] = role{kind: finding.InMetadata, digest: m.stated()}
		if m.sparse {
			return nil, l, true, fmt.Errorf("%s is a sparse file, which an image archive cannot have", m.name)
		}
	}
	if index != nil {
		if l, err = a.ociRoles(ctx, opts, roles, index, images != nil); err != nil {
			return nil, l, true, err
		}
	}
	for _, im := range images {
		if err := a.dockerRoles(opts, roles, &l, im); err != nil {
			return nil, l, true, err
		}
	}
	if l.Digest == "" {
		l.Digest, l.MediaType = a.dockerDigest(l)
	}
	return roles, l, true, nil
}

// ociRoles follows index.json. Only what a daemon saved may lack platforms.
func (a *archive) ociRoles(ctx context.Context, opts Options, roles []role, index *v1.Index, saved bool) (Layout, error) {
	g, err := walkGraph(ctx, opts.source(archiveSource{a}), index.Manifests, saved)
	if err != nil {
		return Layout{}, err
	}
	for _, n := range g.nodes {
		if i := a.find(blobName(n.Digest)); i >= 0 {
			roles[i] = role{kind: n.kind, digest: n.Digest, mediaType: n.MediaType, mustUnpack: n.mustUnpack}
		} else if n.data == nil {
			b := n.blob()
			b.Path = blobName(n.Digest)
			a.lack(b)
		}
	}
	l := indexLayout(g, index.Manifests, a.doc(v1.ImageIndexFile))
	for _, p := range l.Platforms {
		for i := range p.Layers {
			if at := a.find(blobName(digest.Digest(p.Layers[i].Digest))); at >= 0 {
				p.Layers[i].Path = a.members[at].name
			}
		}
	}
	return l, nil
}

// dockerRoles follows one image of manifest.json and adds it to the layout unless index.json led to it already.
func (a *archive) dockerRoles(opts Options, roles []role, l *Layout, im dockerImage) error {
	at := a.find(im.Config)
	if at < 0 || a.members[at].doc == nil {
		return fmt.Errorf("%w: manifest.json names the config %q", ErrMissing, im.Config)
	}
	raw := a.members[at].doc
	id := digest.FromBytes(raw)
	c, err := parseConfig(raw, string(id), len(im.Layers))
	if err != nil {
		return err
	}
	roles[at].kind, roles[at].digest = finding.InConfig, id
	p := newPlatform(v1.Descriptor{}, c)
	p.Config = string(id)
	p.Layers = c.layers(make([]string, len(im.Layers)))
	for i, name := range im.Layers {
		at := a.find(name)
		if at < 0 && opts.Partial {
			p.Layers[i].Path, p.Layers[i].Digest = CleanName(name), string(blobDigest(CleanName(name)))
			a.lack(Blob{Kind: finding.InLayer, Path: p.Layers[i].Path, Digest: p.Layers[i].Digest, Size: -1, MustUnpack: true})
			continue
		}
		if at < 0 {
			return fmt.Errorf("%w: manifest.json names the layer %q", ErrMissing, name)
		}
		m := a.members[at]
		roles[at].kind, roles[at].mustUnpack = finding.InLayer, true
		if roles[at].digest == "" {
			roles[at].digest = layerDigest(m, p.Layers[i].DiffID)
		}
		p.Layers[i].Path, p.Layers[i].Digest = m.name, string(roles[at].digest)
	}
	for _, name := range im.RepoTags {
		if !slices.Contains(l.Names, name) {
			l.Names = append(l.Names, name)
		}
	}
	if !slices.ContainsFunc(l.Platforms, func(q Platform) bool { return q.Config == p.Config }) {
		l.Platforms = append(l.Platforms, p)
	}
	return nil
}

// layerDigest is what a layer's bytes have to hash to. Their diff ID says it, unless they are compressed.
func layerDigest(m member, diffID string) digest.Digest {
	if m.sum != "" || m.compressed {
		return m.sum
	}
	d, err := parseDigest(diffID)
	if err != nil {
		return ""
	}
	return d
}

// dockerDigest is what an archive without index.json is called: the image ID, or the table of several images.
func (a *archive) dockerDigest(l Layout) (dg, mediaType string) {
	if len(l.Platforms) == 1 {
		return l.Platforms[0].Config, typeDockerConfig
	}
	return string(digest.FromBytes(a.doc(dockerManifest))), "application/json"
}

func blobName(d digest.Digest) string {
	return path.Join(v1.ImageBlobsDir, string(d.Algorithm()), d.Encoded())
}

// archiveSource reads the documents of an archive's table.
type archiveSource struct{ a *archive }

func (s archiveSource) stat(d v1.Descriptor) error {
	dg, err := parseDigest(string(d.Digest))
	if err != nil {
		return err
	}
	if s.a.find(blobName(dg)) < 0 {
		return missing(d)
	}
	return nil
}

func (s archiveSource) document(_ context.Context, d v1.Descriptor) ([]byte, error) {
	if err := s.stat(d); err != nil {
		return nil, err
	}
	m := s.a.members[s.a.find(blobName(d.Digest))]
	switch {
	case m.size > maxDocument:
		return nil, fmt.Errorf("reading %s: %w: over %d MiB", d.Digest, ErrTooLarge, maxDocument>>20)
	case m.doc == nil:
		return nil, fmt.Errorf("%s is not a manifest or config", d.Digest)
	case d.Digest.Algorithm().FromBytes(m.doc) != d.Digest:
		return nil, fmt.Errorf("reading %s: %w", d.Digest, ErrDigest)
	}
	return m.doc, nil
}

// referrers is empty: all of an archive's index.json is followed anyway.
func (archiveSource) referrers(context.Context, v1.Descriptor) ([]v1.Descriptor, error) {
	return nil, nil
}
