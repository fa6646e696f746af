package buildkit

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/docker/buildx/builder"
	dockerclient "github.com/moby/moby/client"
	"github.com/tightlip/tightlip/build"
	"github.com/tightlip/tightlip/dockerfile"
	"github.com/tightlip/tightlip/dockerfile/translate"
)

// translate replaces in the job's Dockerfile what an old BuildKit does not know: heredocs before 0.10, and secrets as variables
// before 0.16. A Dockerfile with a syntax directive brings a frontend of its own.
func (e *Engine) translate(ctx context.Context, job *build.Job) (*translate.Result, error) {
	o := translate.Options{NoFiles: true, BuildArgs: build.Arguments(job.Request.BuildArg), Brokered: job.Brokered()}
	text := job.Dockerfile
	if text == nil {
		text = job.Original
	}
	f, err := dockerfile.Parse(job.DockerfilePath, text)
	if text == nil || err != nil || f.Syntax() != "" && o.Brokered == nil {
		return nil, nil // what cannot be parsed is BuildKit's to report
	}
	// Asking takes time, and most files need nothing.
	if o.Brokered == nil {
		if r, err := translate.For(translate.Builder{Mounts: true}, f, o); err == nil && len(r.Steps) == 0 {
			return nil, nil
		}
	}
	builder, err := e.knows(ctx)
	if err != nil {
		return nil, err
	}
	if f.Syntax() != "" { // it brings a frontend of its own
		builder = translate.Builder{Mounts: true, SecretEnv: true, Heredocs: true, NoExecSecrets: builder.NoExecSecrets}
	}
	var r *translate.Result
	do := func() (err error) {
		r, err = translate.For(builder, f, o)
		return err
	}
	if o.Brokered != nil {
		err = e.withBases(ctx, job, &o, do)
	} else {
		err = do()
	}
	if err != nil {
		var e *translate.Error
		if errors.As(err, &e) {
			return nil, &build.UsageError{Err: fmt.Errorf("%s: %w", job.DockerfilePath, err)}
		}
		return nil, err
	}
	if len(r.Steps) == 0 {
		return nil, nil
	}
	job.Dockerfile = r.Dockerfile
	return r, nil
}

// knows tells what the builder's own Dockerfile frontend can do: the least that any of its nodes can.
func (e *Engine) knows(ctx context.Context) (translate.Builder, error) {
	all := translate.Builder{Mounts: true, SecretEnv: true, Heredocs: true}
	if e.name == "embedded" {
		return all, nil
	}
	for n := range e.working() {
		one, err := e.nodeKnows(ctx, n)
		if err != nil {
			return all, err
		}
		all.Heredocs, all.SecretEnv = all.Heredocs && one.Heredocs, all.SecretEnv && one.SecretEnv
		all.NoExecSecrets = all.NoExecSecrets || one.NoExecSecrets
	}
	return all, nil
}

// nodeKnows goes by the version of BuildKit, or of Docker, whose BuildKit may have none: heredocs came with BuildKit 0.10 and
// Docker 23, secrets as variables with BuildKit 0.16 and, for certain, Docker 28. A builder that does not say counts as one
// in between.
func (e *Engine) nodeKnows(ctx context.Context, n builder.Node) (translate.Builder, error) {
	if n.Driver.IsMobyDriver() {
		v, err := n.Driver.Config().DockerAPI.ServerVersion(ctx, dockerclient.ServerVersionOptions{})
		if err != nil {
			return translate.Builder{}, fmt.Errorf("asking Docker for its version: %w", err)
		}
		major, _ := version(v.Version)
		return translate.Builder{Heredocs: major >= 23, SecretEnv: major >= 28, NoExecSecrets: major < 23}, nil
	}
	c, err := n.Driver.Client(ctx)
	if err != nil {
		return translate.Builder{}, fmt.Errorf("connecting to the builder: %w", err)
	}
	info, err := c.Info(ctx)
	if err != nil { // BuildKit before 0.11 has no such call
		return translate.Builder{Heredocs: true}, nil
	}
	major, minor := version(strings.TrimPrefix(info.BuildkitVersion.Version, "v"))
	unknown := major == 0 && minor == 0
	return translate.Builder{Heredocs: unknown || major > 0 || minor >= 10, SecretEnv: major > 0 || minor >= 16, NoExecSecrets: !unknown && major == 0 && minor < 10}, nil
}

// version reads the first two numbers of a version.
func version(text string) (major, minor int) {
	_, _ = fmt.Sscanf(text, "%d.%d", &major, &minor)
	return major, minor
}
