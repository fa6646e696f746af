package buildkit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/distribution/reference"
	"github.com/docker/buildx/util/dockerutil"
	"github.com/moby/buildkit/exporter/containerimage/exptypes"
	"github.com/tightlip/tightlip/build"
	"github.com/tightlip/tightlip/build/output"
	"github.com/tightlip/tightlip/image/sink"
)

// Name implements build.Result. With an error, too, it returns what has its name by then.
func (r *result) Name(ctx context.Context) (build.Named, error) {
	named := build.Named{ID: r.imageID(), Digest: r.digest()}
	if r.options.CallFunc != nil {
		return named, r.printCall()
	}
	for n, o := range r.outputs {
		names, err := r.nameOutput(ctx, o, n)
		for _, name := range names {
			if !slices.Contains(named.Names, name) {
				named.Names = append(named.Names, name)
			}
		}
		if err != nil {
			return named, err
		}
	}
	r.named = true
	if err := r.writeCache(ctx); err != nil {
		return named, err
	}
	return named, r.writeFiles(named)
}

func (r *result) digest() string { return r.exporter(exptypes.ExporterImageDigestKey) }

// nameOutput brings one proven output to where it belongs and returns what it is called there.
func (r *result) nameOutput(ctx context.Context, o output.Output, n int) ([]string, error) {
	at := output.StagedAt(r.outputs, n, r.job.Stage)
	names, err := output.Normalize(o.Names)
	if err != nil {
		return nil, err
	}
	switch o.Place {
	case output.InStore:
		return r.tag(ctx, names, o.Push)
	case output.Registry:
		return r.push(ctx, at, names, o)
	case output.InDaemon:
		if err := r.load(ctx, at, names, o.Context); err != nil {
			return nil, err
		}
		return names, nil
	case output.CacheOnly, output.Unnamed:
		return nil, nil
	}
	err = o.Write(ctx, at, r.digest(), names, r.engine.streams.Out)
	if err != nil && o.Place != output.Folder {
		return nil, err
	}
	return []string{o.Dest}, err
}

// say tells what is going to take time.
func (r *result) say(format string, args ...any) {
	if !r.job.Request.Quiet {
		fmt.Fprintf(r.engine.streams.Err, "tightlip: "+format+"\n", args...)
	}
}

// tag names the image in Docker's store and has Docker push it.
func (r *result) tag(ctx context.Context, names []string, push bool) (done []string, err error) {
	api, err := r.dockerAPI()
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if err := sink.Tag(ctx, api, r.imageID(), []string{name}); err != nil {
			return done, err
		}
		done = append(done, name)
	}
	for _, name := range names {
		if !push {
			break
		}
		r.say("pushing %s with Docker", name)
		if err := r.pushFromDaemon(ctx, api, name); err != nil {
			return done, err
		}
	}
	return done, nil
}

func (r *result) push(ctx context.Context, at string, names []string, o output.Output) (done []string, err error) {
	for _, name := range names {
		if o.ByDigest {
			named, err := reference.ParseNormalizedNamed(name)
			if err != nil {
				return done, err
			}
			name = named.Name() + "@" + r.digest()
		}
		r.say("pushing %s", name)
		if _, err := sink.Push(ctx, at, r.digest(), name, o.PushOptions()); err != nil {
			return done, err
		}
		done = append(done, name)
	}
	return done, nil
}

// load sends the image to a Docker daemon as an archive. What the daemon calls it need not be what BuildKit did:
// a daemon without the containerd store keeps one platform and no attestations.
func (r *result) load(ctx context.Context, at string, names []string, dockerContext string) error {
	api, err := dockerutil.NewClient(r.engine.cli).API(dockerContext)
	if err != nil {
		return fmt.Errorf("loading into Docker: %w", err)
	}
	defer api.Close()
	c := clientOf(api)
	if c == nil {
		return errors.New("loading into Docker: no client for this daemon")
	}
	r.say("loading into Docker")
	pr, pw := io.Pipe()
	go func() { pw.CloseWithError(sink.WriteArchive(ctx, pw, at, r.digest(), names, sink.DockerArchive)) }()
	if err := sink.Load(ctx, c, pr); err != nil {
		pr.CloseWithError(err)
		return fmt.Errorf("loading into Docker: %w", err)
	}
	return nil
}
