// Package classic builds with Docker's classic builder, which has no mounts: the Dockerfile is translated, and its steps get
// their secrets over the network that only the build is in.
package classic

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/docker/cli/cli/command"
	buildtypes "github.com/moby/moby/api/types/build"
	"github.com/moby/moby/api/types/jsonstream"
	dockerclient "github.com/moby/moby/client"
	"github.com/tightlip/tightlip/broker/shim"
	"github.com/tightlip/tightlip/build"
	"github.com/tightlip/tightlip/dockerfile"
	"github.com/tightlip/tightlip/dockerfile/translate"
	"github.com/tightlip/tightlip/image/sink"
)

// Engine is the classic builder of a Docker daemon.
type Engine struct {
	cli     command.Cli
	api     *dockerclient.Client
	daemon  daemon
	streams build.Streams
}

// daemon is what has to be known of the daemon.
type daemon struct{ version, os, arch string }

// New returns the classic builder of the daemon that the Docker command line is set to use.
func New(ctx context.Context, cli command.Cli, s build.Streams) (*Engine, error) {
	api, ok := cli.Client().(*dockerclient.Client)
	if !ok {
		return nil, errors.New("no client for this Docker")
	}
	v, err := api.ServerVersion(ctx, dockerclient.ServerVersionOptions{})
	if err != nil {
		return nil, fmt.Errorf("connecting to Docker: %w", err)
	}
	if v.Os != "linux" {
		return nil, &build.UsageError{Err: fmt.Errorf("the classic builder is supported on Linux, and this Docker runs on %s", v.Os)}
	}
	return &Engine{cli: cli, api: api, daemon: daemon{v.Version, v.Os, v.Arch}, streams: s}, nil
}

// Name implements build.Engine.
func (e *Engine) Name() string { return "classic" }

// Description implements build.Engine.
func (e *Engine) Description() string { return "the classic builder of Docker " + e.daemon.version }

// Close implements build.Engine.
func (e *Engine) Close() error { return nil }

// Build implements build.Engine.
func (e *Engine) Build(ctx context.Context, job build.Job) (build.Result, error) {
	if err := check(job.Request); err != nil {
		return nil, err
	}
	out, err := planOutput(job.Request)
	if err != nil {
		return nil, err
	}
	c, err := openContext(ctx, job, e.streams.In)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	f, err := dockerfile.Parse("Dockerfile", c.text)
	if err != nil {
		return nil, &build.FailedError{Code: 1, Text: job.Redact.String(err.Error())}
	}
	b := &binds{context: c, stage: job.Stage, files: map[string]string{}, digests: map[string]string{}}
	tr, err := e.translate(ctx, job, f, b)
	if err != nil {
		return nil, err
	}
	res := &result{engine: e, job: job, wanted: out, translated: tr}
	if res.id, err = e.solve(ctx, job, f, b, tr); err != nil {
		return nil, err
	}
	return res, nil
}

// translate makes the Dockerfile one that the classic builder understands.
func (e *Engine) translate(ctx context.Context, job build.Job, f *dockerfile.File, b *binds) (*translate.Result, error) {
	tr, err := translate.For(translate.Builder{}, f, translate.Options{
		Target: job.Request.Target, BuildArgs: build.Arguments(job.Request.BuildArg), Base: e.base(ctx, job), Bind: b.add, Variable: build.Variable,
		Brokered: job.Brokered(),
		Changed:  func(id string) (string, bool) { text, ok := job.Fingerprints[id]; return text, ok },
	})
	if err != nil {
		return nil, &build.UsageError{Err: err, Try: hint(err)}
	}
	for id, line := range tr.Requires(shim.Secret) {
		if !job.Handoff.Has(id) {
			return nil, &build.UsageError{
				Err: fmt.Errorf("line %d requires the secret %s, which this build has not", line, id),
				Try: "--secret id=" + id + ",from=REFERENCE",
			}
		}
	}
	for _, n := range tr.Notes {
		fmt.Fprintf(e.streams.Err, "tightlip: note: line %d %s\n", n.Line, n.Text)
	}
	return tr, nil
}

func hint(err error) string {
	var h interface{ Hint() string }
	if errors.As(err, &h) {
		return h.Hint()
	}
	return ""
}

// solve runs the build and returns the image's ID.
func (e *Engine) solve(ctx context.Context, job build.Job, f *dockerfile.File, b *binds, tr *translate.Result) (id string, err error) {
	o, err := e.buildOptions(job.Request, f, e.daemon)
	if err != nil {
		return "", err
	}
	o.ExtraHosts = job.Request.AddHost
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	g := newAdmission()
	if needsServer(tr) {
		if err := addSteps(job, tr); err != nil {
			return "", err
		}
		s, startErr := e.startServer(ctx, job, b.files, g, cancel)
		if startErr != nil {
			return "", startErr
		}
		defer func() { err = errors.Join(err, s.close(ctx)) }()
		s.join(&o)
		o.ShmSize = b.shmSize(o.ShmSize)
	}
	text, name, err := b.context.send(tr.Dockerfile, tr.Files)
	if err != nil {
		return "", fmt.Errorf("packing the build context: %w", err)
	}
	defer text.Close()
	o.Dockerfile = name
	resp, err := e.api.ImageBuild(ctx, text, o)
	if err != nil {
		return "", e.failure(ctx, job, nil, err)
	}
	defer resp.Body.Close()
	d := newDisplay(e.streams.Err, job, tr, g)
	err = sink.Follow(resp.Body, func(m jsonstream.Message) {
		d.show(m)
		var built buildtypes.Result
		if m.Aux != nil && json.Unmarshal(*m.Aux, &built) == nil && built.ID != "" {
			id = built.ID
		}
	})
	err = errors.Join(err, d.close(err != nil))
	if err != nil {
		return "", e.failure(ctx, job, d.now, err)
	}
	if id == "" {
		return "", &build.FailedError{Code: 1, Text: "the daemon did not say what it built"}
	}
	return id, job.Note(e.residue(build.DockerImage, id))
}

// needsServer tells whether a step fetches anything.
func needsServer(tr *translate.Result) bool {
	return slices.ContainsFunc(tr.Steps, func(s translate.Step) bool { return s.Wrapped })
}

// failure makes the error of a build fit to show. The step is the one that ran, if it was translated.
func (e *Engine) failure(ctx context.Context, job build.Job, step *translate.Step, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	failed := &build.FailedError{Code: 1, Text: err.Error()}
	if m := (*jsonstream.Error)(nil); errors.As(err, &m) {
		failed.Text = m.Message
		if m.Code != 0 {
			failed.Code = m.Code
		}
	}
	switch {
	case step == nil:
	case len(step.Args) > 0 && strings.Contains(failed.Text, strings.Join(step.Args, " ")):
		failed.Text = fmt.Sprintf("line %d: %s ended with code %d", step.Line, firstLine(step.Text), failed.Code)
	default:
		failed.Text = fmt.Sprintf("line %d: %s: %s", step.Line, firstLine(step.Text), failed.Text)
	}
	failed.Text = "building: " + job.Redact.String(failed.Text)
	return failed
}

func firstLine(text string) string {
	first, _, _ := strings.Cut(text, "\n")
	return strings.TrimSpace(first)
}

// base returns what tells about base images: those that the daemon has, and else it pulls them, as the build would.
func (e *Engine) base(ctx context.Context, job build.Job) func(name, platform string) (translate.Base, error) {
	known := map[string]translate.Base{}
	return func(name, platform string) (translate.Base, error) {
		if b, ok := known[name]; ok {
			return b, nil
		}
		b, err := e.inspectBase(ctx, job, name, platform)
		if err == nil {
			known[name] = b
		}
		return b, err
	}
}
