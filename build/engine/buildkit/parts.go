package buildkit

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/containerd/platforms"
	bx "github.com/docker/buildx/build"
	resolver "github.com/docker/buildx/build/resolver" // calls itself noderesolver
	"github.com/docker/buildx/builder"
	"github.com/docker/buildx/util/dockerutil"
	"github.com/docker/buildx/util/progress"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	ocilayout "github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/exporter/containerimage/exptypes"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/tightlip/tightlip/build"
	"github.com/tightlip/tightlip/build/output"
	"golang.org/x/sync/errgroup"
)

// part is what one node of a builder builds: the platforms that it is there for. A builder with one node has one part.
type part struct {
	node      builder.Node
	platforms []ocispecs.Platform
}

// parts shares the platforms out among the nodes, as buildx does.
func (e *Engine) parts(ctx context.Context, o *bx.Options, w progress.Writer) ([]part, error) {
	if len(e.nodes) < 2 || o.CallFunc != nil {
		return nil, nil
	}
	resolved, err := resolver.ResolveAll(ctx, e.nodes, map[string][]ocispecs.Platform{target: o.Platforms}, w)
	if err != nil {
		return nil, fmt.Errorf("choosing a node of builder %s: %w", e.displayName, err)
	}
	var parts []part
	for _, n := range resolved[target] {
		parts = append(parts, part{node: n.Node(), platforms: n.Platforms()})
	}
	return parts, nil
}

// solveParts has each part built by its node, all at once. Several parts are merged into the image that they are parts of.
func (e *Engine) solveParts(ctx context.Context, o *bx.Options, parts []part, w progress.Writer, res *result) error {
	if len(parts) < 2 {
		resp, err := e.solvePart(ctx, o, e.nodes, w)
		res.response = resp
		if len(parts) == 1 {
			res.nodes = []builder.Node{parts[0].node}
		}
		return err
	}
	if err := refuseParts(res.outputs); err != nil {
		return err
	}
	var mu sync.Mutex
	g, ctx := errgroup.WithContext(ctx)
	for i, p := range parts {
		res.nodes = append(res.nodes, p.node)
		g.Go(func() error {
			own := *o
			own.Platforms, own.Exports = p.platforms, p.exports(o.Exports, i)
			resp, err := e.solvePart(ctx, &own, []builder.Node{p.node}, w)
			mu.Lock()
			defer mu.Unlock()
			if res.response == nil {
				res.response = resp
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return res.merge(o.Exports, len(parts))
}

func (e *Engine) solvePart(ctx context.Context, o *bx.Options, nodes []builder.Node, w progress.Writer) (*client.SolveResponse, error) {
	opts := map[string]bx.Options{target: *o}
	resp, err := bx.Build(ctx, nodes, opts, dockerutil.NewClient(e.cli), e.config, w, nil)
	*o = opts[target]
	return resp[target], err
}

// refuseParts refuses what buildx, too, cannot make of the parts of several nodes.
func refuseParts(outputs []output.Output) error {
	for _, o := range outputs {
		if o.Stored() || o.Place == output.Tarball {
			return &build.UsageError{
				Err: fmt.Errorf("several nodes of this builder share these platforms: no %s output can be made of their parts", o.Place),
				Try: "--push, --output type=oci,dest=FILE, or one platform at a time",
			}
		}
	}
	return nil
}

// ofPart is where a part of an OCI layout is until it is merged.
func ofPart(at string, i int) string { return fmt.Sprintf("%s-node-%d", at, i) }

// exports are the exports of the whole for one part: its layouts beside the whole one, and its files in the folder that
// BuildKit gives each platform of several.
func (p part) exports(whole []client.ExportEntry, i int) []client.ExportEntry {
	list := slices.Clone(whole)
	for n, e := range list {
		switch e.Type {
		case client.ExporterOCI:
			list[n].OutputDir = ofPart(e.OutputDir, i)
			list[n].Attrs = maps.Clone(e.Attrs)
			maps.DeleteFunc(list[n].Attrs, func(key, _ string) bool { _, ofIndex := ofIndex(key); return ofIndex })
		case client.ExporterLocal:
			split := e.Attrs["platform-split"] == "" || e.Attrs["platform-split"] == "true"
			if split && len(p.platforms) == 1 {
				list[n].OutputDir = filepath.Join(e.OutputDir, strings.ReplaceAll(platforms.Format(p.platforms[0]), "/", "_"))
			}
		}
	}
	return list
}

// ofIndex tells whether an exporter's attribute is an annotation of the image's index, and of which name.
func ofIndex(attr string) (name string, ok bool) {
	key, ok, err := exptypes.ParseAnnotationKey(attr)
	return key.Key, ok && err == nil && key.Type == exptypes.AnnotationIndex
}

// merge makes one layout of the parts of each, whose index lists what theirs list.
func (r *result) merge(exports []client.ExportEntry, parts int) error {
	delete(r.response.ExporterResponse, exptypes.ExporterImageConfigDigestKey) // that of one part
	for _, e := range exports {
		if e.Type != client.ExporterOCI {
			continue
		}
		annotations := map[string]string{}
		for key, value := range e.Attrs {
			if name, ok := ofIndex(key); ok {
				annotations[name] = value
			}
		}
		digest, err := mergeParts(e.OutputDir, parts, annotations)
		if err != nil {
			return fmt.Errorf("merging what the nodes built: %w", err)
		}
		r.response.ExporterResponse[exptypes.ExporterImageDigestKey] = digest
	}
	return nil
}

// mergeParts moves the parts of a layout together and returns the digest of their common index.
func mergeParts(at string, parts int, annotations map[string]string) (string, error) {
	whole := v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex}
	for i := range parts {
		dir := ofPart(at, i)
		index, err := ocilayout.ImageIndexFromPath(dir)
		if err != nil {
			return "", err
		}
		if err := addManifests(&whole, index); err != nil {
			return "", err
		}
		if err := output.MoveTree(dir, at); err != nil {
			return "", err
		}
		if err := build.RemoveAll(dir); err != nil {
			return "", err
		}
	}
	if len(annotations) > 0 {
		whole.Annotations = annotations
	}
	return writeIndex(at, whole)
}

// addManifests lists in whole what is in an index, and in the indexes in it.
func addManifests(whole *v1.IndexManifest, index v1.ImageIndex) error {
	manifest, err := index.IndexManifest()
	if err != nil {
		return err
	}
	for _, d := range manifest.Manifests {
		switch {
		case d.MediaType.IsIndex():
			inner, err := index.ImageIndex(d.Digest)
			if err != nil {
				return err
			}
			if d.MediaType == types.DockerManifestList {
				whole.MediaType = types.DockerManifestList
			}
			if err := addManifests(whole, inner); err != nil {
				return err
			}
			continue
		case d.Platform == nil:
			if d.Platform, err = platformOf(index, d.Digest); err != nil {
				return err
			}
		}
		d.Annotations = maps.Clone(d.Annotations)
		maps.DeleteFunc(d.Annotations, func(key, _ string) bool { return key == "org.opencontainers.image.created" }) // the layout's
		whole.Manifests = append(whole.Manifests, d)
	}
	return nil
}

func platformOf(index v1.ImageIndex, digest v1.Hash) (*v1.Platform, error) {
	img, err := index.Image(digest)
	if err != nil {
		return nil, err
	}
	config, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	return config.Platform(), nil
}

// writeIndex writes an index as a blob of the layout and makes it the only thing that the layout lists.
func writeIndex(dir string, index v1.IndexManifest) (string, error) {
	text, err := json.Marshal(index)
	if err != nil {
		return "", err
	}
	digest, size, err := v1.SHA256(bytes.NewReader(text))
	if err != nil {
		return "", err
	}
	top, err := json.Marshal(v1.IndexManifest{
		SchemaVersion: 2,
		MediaType:     types.OCIImageIndex,
		Manifests:     []v1.Descriptor{{MediaType: index.MediaType, Digest: digest, Size: size}},
	})
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(dir, "blobs", digest.Algorithm, digest.Hex), text, 0o644); err != nil {
		return "", err
	}
	return digest.String(), os.WriteFile(filepath.Join(dir, "index.json"), top, 0o644)
}
