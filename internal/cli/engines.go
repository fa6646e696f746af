package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/docker/cli/cli/command"
	dockerclient "github.com/moby/moby/client"
	"github.com/tightlip/tightlip/build"
	"github.com/tightlip/tightlip/build/engine/buildkit"
	"github.com/tightlip/tightlip/build/engine/classic"
	"github.com/tightlip/tightlip/build/engine/embedded"
	"github.com/tightlip/tightlip/build/engine/podman"
	"github.com/tightlip/tightlip/internal/config"
)

// pingTime is how long Docker has to answer before it counts as absent.
const pingTime = 2 * time.Second

// engineFor returns what chooses and connects the engine of a build.
func (a *app) engineFor(cfg *config.Config) func(context.Context, *build.Request) (build.Engine, error) {
	return func(ctx context.Context, r *build.Request) (build.Engine, error) {
		cli, err := a.dockerCLI()
		if err != nil {
			return nil, err
		}
		streams := build.Streams{In: a.streams.In, Out: a.streams.Out, Err: a.streams.Err}
		switch cfg.Engine {
		case "docker":
			return buildkit.Docker(ctx, cli, r.Builder, r.Context, streams)
		case "embedded":
			return buildkit.Embedded(ctx, cli, embeddedOptions(cfg), streams)
		case "classic":
			return classic.New(ctx, cli, streams)
		case "podman", "buildah":
			return podman.New(ctx, podman.Tool(cfg.Engine), podman.Options{Streams: streams, Environ: r.EngineEnviron(a.resolver(false), slices.Concat(cfg.KeepEnv, podman.HelperVariables()))})
		}
		// As it is for docker build.
		if off, err := strconv.ParseBool(os.Getenv("DOCKER_BUILDKIT")); err == nil && !off && r.Builder == "" {
			return classic.New(ctx, cli, streams)
		}
		return a.autoEngine(ctx, cfg, cli, r, streams)
	}
}

// engineEnviron is what podman and buildah get of our environment where they reach no registry.
func (a *app) engineEnviron(secrets []build.Secret) []string {
	return (&build.Request{Secrets: secrets}).EngineEnviron(a.resolver(false), nil)
}

// autoEngine is the builder that docker build would use, unless that is a Docker which does not answer.
func (a *app) autoEngine(ctx context.Context, cfg *config.Config, cli command.Cli, r *build.Request, s build.Streams) (build.Engine, error) {
	docker, err := buildkit.Docker(ctx, cli, r.Builder, r.Context, s)
	if err == nil {
		return docker, nil
	}
	if r.Builder != "" || ctx.Err() != nil || answers(ctx, cli) {
		return nil, err
	}
	e, embeddedErr := buildkit.Embedded(ctx, cli, embeddedOptions(cfg), s)
	if embeddedErr != nil {
		return nil, fmt.Errorf("no Docker answers, and %w", embeddedErr)
	}
	if !r.Quiet {
		fmt.Fprintln(a.streams.Err, "tightlip: no Docker answers: building with the embedded engine")
	}
	return e, nil
}

func answers(ctx context.Context, cli command.Cli) bool {
	ctx, cancel := context.WithTimeout(ctx, pingTime)
	defer cancel()
	_, err := cli.Client().Ping(ctx, dockerclient.PingOptions{})
	return err == nil
}

func embeddedOptions(cfg *config.Config) embedded.Options {
	o := embedded.Options{Keep: cfg.EngineKeep, CacheLimit: cfg.EngineCache}
	if cfg.StateDir != "" {
		o.StateDir = filepath.Join(cfg.StateDir, "engine")
	}
	return o
}
