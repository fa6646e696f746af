package buildkit

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	bx "github.com/docker/buildx/build"
	"github.com/docker/buildx/util/confutil"
	"github.com/moby/buildkit/client"
	"github.com/tightlip/tightlip/build/output"
	"github.com/tightlip/tightlip/image"
)

// exportCache takes the cache exports out of o for later. The inline cache is a part of the image and stays.
func (r *result) exportCache(o *bx.Options) {
	inline := func(e client.CacheOptionsEntry) bool { return e.Type == "inline" }
	r.cacheTo = slices.DeleteFunc(slices.Clone(o.CacheTo), inline)
	o.CacheTo = slices.DeleteFunc(slices.Clone(o.CacheTo), func(e client.CacheOptionsEntry) bool { return !inline(e) })
	r.options = *o
}

func (r *result) stagedCache() string { return filepath.Join(r.job.Stage, "cache") }

func (r *result) stagedCacheOf(n int) string { return filepath.Join(r.stagedCache(), fmt.Sprint(n)) }

// stageCache exports every cache to a folder of the stage first, to be proven: it may hold more than the image, such as the
// layers of other stages.
func (r *result) stageCache(ctx context.Context) error {
	if len(r.cacheTo) == 0 {
		return nil
	}
	var staged []client.CacheOptionsEntry
	for n, e := range r.cacheTo {
		attrs := maps.Clone(e.Attrs)
		maps.DeleteFunc(attrs, func(key, _ string) bool { return !slices.Contains(generalCacheAttrs, key) })
		attrs["dest"] = r.stagedCacheOf(n)
		if err := r.seedCache(e, attrs["dest"]); err != nil {
			return err
		}
		staged = append(staged, client.CacheOptionsEntry{Type: "local", Attrs: attrs})
	}
	return r.solveAgain(ctx, staged)
}

// generalCacheAttrs decide what a cache holds, whatever kind it is.
var generalCacheAttrs = []string{
	"mode", "compression", "compression-level", "force-compression", "oci-mediatypes", "image-manifest", "tag",
}

// seedCache copies the index of a local cache that is there: the exporter adds to it.
func (r *result) seedCache(e client.CacheOptionsEntry, dest string) error {
	if err := os.MkdirAll(dest, 0o700); err != nil {
		return err
	}
	if e.Type != "local" {
		return nil
	}
	index, err := os.ReadFile(filepath.Join(e.Attrs["dest"], "index.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dest, "index.json"), index, 0o600)
}

// cacheImages are the staged caches, to be proven.
func (r *result) cacheImages() ([]image.Image, error) {
	var images []image.Image
	for n := range r.cacheTo {
		img, err := image.OpenDir(r.stagedCacheOf(n))
		if err != nil {
			return images, err
		}
		images = append(images, img)
	}
	return images, nil
}

// writeCache brings the proven caches to their places: local ones from the stage, the others from the builder once more.
func (r *result) writeCache(ctx context.Context) error {
	var others []client.CacheOptionsEntry
	for n, e := range r.cacheTo {
		if e.Type != "local" {
			others = append(others, e)
			continue
		}
		if err := output.MoveTree(r.stagedCacheOf(n), e.Attrs["dest"]); err != nil {
			return fmt.Errorf("writing the cache: %w", err)
		}
	}
	if len(others) == 0 {
		return nil
	}
	return r.solveAgain(ctx, others)
}

// solveAgain builds once more, everything from the builder's cache, to export that.
func (r *result) solveAgain(ctx context.Context, cacheTo []client.CacheOptionsEntry) error {
	in, err := r.inputAgain()
	if err != nil {
		return err
	}
	o := r.options
	o.Inputs.InStream = bx.NewSyncMultiReader(in)
	o.Ref, o.CacheTo, o.NoCache, o.NoCacheFilter, o.Pull = "", cacheTo, false, nil, false
	o.Exports = []client.ExportEntry{{Type: "cacheonly", Attrs: map[string]string{}}}
	o.ProvenanceResponseMode = confutil.MetadataProvenanceModeDisabled
	return r.engine.solve(ctx, &o, r.job, &result{})
}
