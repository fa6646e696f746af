package buildkit

import (
	"context"
	"errors"
	"fmt"

	"github.com/tightlip/tightlip/build"
	"github.com/tightlip/tightlip/dockerfile"
	"github.com/tightlip/tightlip/dockerfile/translate"
)

// translate replaces in the job's Dockerfile what an old BuildKit does not know: heredocs before 0.10, and secrets as variables
// before 0.16. A Dockerfile with a syntax directive brings a frontend of its own.
func (e *Engine) translate(ctx context.Context, job *build.Job) (*translate.Result, error) {
	text := job.Dockerfile
	if text == nil {
		text = job.Original
	}
	f, err := dockerfile.Parse(job.DockerfilePath, text)
	if text == nil || err != nil || f.Syntax() != "" {
		return nil, nil // what cannot be parsed is BuildKit's to report
	}
	o := translate.Options{NoFiles: true}
	// Asking takes time, and most files need nothing.
	if r, err := translate.For(translate.Builder{Mounts: true}, f, o); err == nil && len(r.Steps) == 0 {
		return nil, nil
	}
	builder, err := e.knows(ctx)
	if err != nil {
		return nil, err
	}
	r, err := translate.For(builder, f, o)
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
	for _, n := range e.nodes {
		if n.Err != nil || n.Driver == nil {
			continue
		}
		c, err := n.Driver.Client(ctx)
		if err != nil {
			return all, fmt.Errorf("connecting to the builder: %w", err)
		}
		major, minor := 0, 0
		if info, err := c.Info(ctx); err == nil { // BuildKit before 0.11 has no such call
			_, _ = fmt.Sscanf(info.BuildkitVersion.Version, "v%d.%d", &major, &minor)
		}
		all.Heredocs = all.Heredocs && (major > 0 || minor >= 10)
		all.SecretEnv = all.SecretEnv && (major > 0 || minor >= 16)
	}
	return all, nil
}
