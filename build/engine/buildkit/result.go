package buildkit

import (
	"context"
	"errors"
	"fmt"
	"slices"

	bx "github.com/docker/buildx/build"
	"github.com/docker/buildx/builder"
	"github.com/docker/buildx/util/dockerutil"
	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/exporter/containerimage/exptypes"
	dockerclient "github.com/moby/moby/client"
	"github.com/tightlip/tightlip/build"
	"github.com/tightlip/tightlip/build/output"
	"github.com/tightlip/tightlip/dockerfile/translate"
	"github.com/tightlip/tightlip/image"
)

// result is what BuildKit built, not yet named.
type result struct {
	engine   *Engine
	job      build.Job
	outputs  []output.Output
	ref      string         // of the build, in the engine's history
	nodes    []builder.Node // that built it; none stands for the only one
	response *client.SolveResponse
	warnings []client.VertexWarning
	cacheTo  []client.CacheOptionsEntry
	options  bx.Options // to export the cache with
	named    bool       // what is in Docker's store has its names, or was wanted without any
	// translated is what was built instead of the user's Dockerfile; nil if it was that.
	translated *translate.Result
}

func (r *result) exporter(key string) string {
	if r.response == nil {
		return ""
	}
	return r.response.ExporterResponse[key]
}

// imageID is what docker build prints and writes to --iidfile.
func (r *result) imageID() string {
	if id := r.exporter(exptypes.ExporterImageConfigDigestKey); id != "" {
		return id
	}
	return r.exporter(exptypes.ExporterImageDigestKey)
}

// Images implements build.Result.
func (r *result) Images(ctx context.Context) (images []image.Image, err error) {
	defer func() {
		if err != nil {
			for _, i := range images {
				i.Close()
			}
		}
	}()
	if r.options.CallFunc != nil {
		return nil, nil
	}
	for n, o := range r.outputs {
		img, err := r.open(ctx, o, n)
		if err != nil {
			return images, fmt.Errorf("opening what was built: %w", err)
		}
		if img != nil {
			images = append(images, img)
		}
	}
	caches, err := r.cacheImages()
	return append(images, caches...), err
}

func (r *result) open(ctx context.Context, o output.Output, n int) (image.Image, error) {
	at := output.StagedAt(r.outputs, n, r.job.Stage)
	switch {
	case o.Stored():
		api, err := r.dockerAPI()
		if err != nil {
			return nil, err
		}
		return image.OpenDaemon(ctx, api, r.imageID())
	case o.Place == output.Folder:
		return image.OpenDir(at)
	case o.Place == output.Tarball:
		return image.OpenTar(ctx, at, image.Options{})
	case output.LayoutOf(r.outputs, n) == n:
		return image.OpenLayout(ctx, at, "", image.Options{Trusted: true}) // containerd's store has checked every blob
	}
	return nil, nil // another output's layout is the same
}

// dockerAPI is the daemon that holds the image.
func (r *result) dockerAPI() (*dockerclient.Client, error) {
	for _, n := range r.engine.nodes {
		if n.Driver == nil {
			continue
		}
		if api := clientOf(n.Driver.Config().DockerAPI); api != nil {
			return api, nil
		}
	}
	return nil, errors.New("the builder has no Docker daemon")
}

// clientOf finds the client in what buildx puts around it; nil if there is none.
func clientOf(api dockerclient.APIClient) *dockerclient.Client {
	if wrapped, ok := api.(*dockerutil.ClientAPI); ok {
		api = wrapped.APIClient
	}
	c, _ := api.(*dockerclient.Client)
	return c
}

// Translation implements build.Translated.
func (r *result) Translation() (text []byte, lines []int) {
	if r.translated == nil {
		return nil, nil
	}
	return r.translated.Dockerfile, r.translated.Lines
}

// note writes down that Docker's store holds what has no name yet.
func (r *result) note() error {
	id := r.imageID()
	if id == "" || !slices.ContainsFunc(r.outputs, output.Output.Stored) {
		return nil
	}
	api, err := r.dockerAPI()
	if err != nil {
		return err
	}
	return r.job.Note(build.Residue{Kind: build.DockerImage, Where: api.DaemonHost(), ID: id})
}

// Discard implements build.Result.
func (r *result) Discard(ctx context.Context) error {
	ctx, cancel := build.CleanupContext(ctx)
	defer cancel()
	var errs []error
	for n, o := range r.outputs {
		if !o.Stored() {
			errs = append(errs, build.RemoveAll(output.StagedAt(r.outputs, n, r.job.Stage)))
		} else if id := r.imageID(); id != "" && (o.Place == output.Unnamed || !r.named) {
			errs = append(errs, r.removeUnnamed(ctx, id))
		}
	}
	errs = append(errs, build.RemoveAll(r.stagedCache()))
	return errors.Join(errs...)
}
