// Package buildkit builds with BuildKit: the one inside Docker, any buildx builder, a remote one, or our own child.
package buildkit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"path/filepath"
	"slices"

	bx "github.com/docker/buildx/build"
	"github.com/docker/buildx/builder"
	"github.com/docker/buildx/driver"
	"github.com/docker/buildx/util/confutil"
	"github.com/docker/buildx/util/progress"
	"github.com/docker/cli/cli/command"
	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/identity"
	"github.com/moby/buildkit/solver/errdefs"
	"github.com/moby/buildkit/util/progress/progressui"
	"github.com/tightlip/tightlip/build"
	"github.com/tightlip/tightlip/build/output"
	"github.com/tightlip/tightlip/dockerfile/translate"
)

// target is what buildx calls the only target of a build.
const target = "default"

// Engine is a BuildKit builder.
type Engine struct {
	name        string
	description string
	streams     build.Streams
	cli         command.Cli
	nodes       []builder.Node
	config      *confutil.Config
	driverName  string // buildx's name of what connects to BuildKit
	displayName string
	close       func() error
	ended       func() bool // the engine's process has; may be nil
}

// Name implements build.Engine.
func (e *Engine) Name() string { return e.name }

// Description implements build.Engine.
func (e *Engine) Description() string { return e.description }

// Close implements build.Engine.
func (e *Engine) Close() error {
	if e.close == nil {
		return nil
	}
	return e.close()
}

// working yields the nodes that answer.
func (e *Engine) working() iter.Seq[builder.Node] {
	return func(yield func(builder.Node) bool) {
		for _, n := range e.nodes {
			if n.Err == nil && n.Driver != nil && !yield(n) {
				return
			}
		}
	}
}

func (e *Engine) builderKind(ctx context.Context) (output.Builder, error) {
	for n := range e.working() {
		features, err := n.Driver.Features(ctx)
		if err != nil {
			return output.Builder{}, fmt.Errorf("asking the builder what it can do: %w", err)
		}
		return output.Builder{Store: n.Driver.IsMobyDriver(), DefaultLoad: features[driver.DefaultLoad]}, nil
	}
	return output.Builder{}, nil
}

// Build implements build.Engine.
func (e *Engine) Build(ctx context.Context, job build.Job) (build.Result, error) {
	if err := checkSizes(job.Handoff); err != nil {
		return nil, err
	}
	kind, err := e.builderKind(ctx)
	if err != nil {
		return nil, err
	}
	outputs, err := output.Plan(job.Request, kind)
	if err != nil {
		return nil, err
	}
	for _, o := range outputs {
		if err := o.CheckDest(e.streams.Out); err != nil {
			return nil, err
		}
	}
	translated, err := e.translate(ctx, &job)
	if err != nil {
		return nil, err
	}
	own := map[string][]byte{}
	if translated != nil {
		if own, err = e.addSteps(&job, translated); err != nil {
			return nil, err
		}
	}
	o, err := options(e.cli, job, own, e.streams.In)
	if err != nil {
		return nil, err
	}
	res := &result{engine: e, job: job, outputs: outputs, ref: identity.NewID(), translated: translated}
	o.Ref = res.ref
	// The exported cache would be out before the proof: it is exported afterwards, from the builder's own cache.
	res.exportCache(&o)
	if err := res.keepInput(&o); err != nil {
		return nil, err
	}
	if o.CallFunc == nil {
		annotations := map[string]string{}
		for k, v := range o.Annotations {
			annotations[k.String()] = v
		}
		o.Exports = exports(outputs, job.Stage, annotations)
	}
	err = e.solve(ctx, &o, job, res)
	if err == nil {
		err = res.note()
	}
	if err == nil {
		err = res.stageCache(ctx)
	}
	if err != nil {
		if failed := (*build.FailedError)(nil); errors.As(err, &failed) {
			failed.Record = res
		}
		return nil, errors.Join(err, res.Discard(ctx))
	}
	return res, nil
}

// solve runs the build and shows it.
func (e *Engine) solve(ctx context.Context, o *bx.Options, job build.Job, res *result) error {
	mode, err := displayMode(job.Request)
	if err != nil {
		return err
	}
	var printer *progress.Printer
	printer, err = progress.NewPrinter(context.WithoutCancel(ctx), e.streams.Err, mode,
		progress.WithDesc(fmt.Sprintf("building with %q instance using %s driver", e.displayName, e.driverName), e.driverName+":"+e.displayName),
		progress.WithOnClose(func() { printWarnings(e.streams.Err, printer.Warnings(), mode) }))
	if err != nil {
		return err
	}
	w := newRedacting(printer, job.Redact, res.translated)
	parts, err := e.parts(ctx, o, w)
	if err == nil {
		err = e.solveParts(ctx, o, parts, w, res)
	}
	w.Flush()
	waitErr := printer.Wait()
	if usage := (*build.UsageError)(nil); errors.As(err, &usage) {
		return usage
	}
	if err != nil {
		return e.failure(ctx, err, job, res.translated)
	}
	res.warnings = printer.Warnings()
	return waitErr
}

// failure makes the error of a build fit to show.
func (e *Engine) failure(ctx context.Context, err error, job build.Job, t *translate.Result) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var text bytes.Buffer
	for _, s := range errdefs.Sources(err) {
		_ = s.Print(&text)
	}
	_, _ = io.WriteString(e.streams.Err, job.Redact.String(t.AsWritten(text.String())))
	if e.ended != nil && e.ended() {
		return &build.FailedError{Code: 1, Text: "the embedded engine ended during the build"}
	}
	return &build.FailedError{Code: 1, Text: "building: " + job.Redact.String(t.AsWritten(err.Error()))}
}

var displayModes = []progressui.DisplayMode{progressui.AutoMode, progressui.PlainMode, progressui.RawJSONMode, progressui.TtyMode}

func displayMode(r *build.Request) (progressui.DisplayMode, error) {
	mode := progressui.DisplayMode(r.Progress)
	switch {
	case r.Progress == "none" || r.Progress == "quiet":
		return progressui.QuietMode, nil
	case r.Quiet && mode != "" && mode != progressui.AutoMode:
		return "", &build.UsageError{Err: fmt.Errorf("--progress=%s and --quiet cannot be used together", r.Progress)}
	case r.Quiet:
		return progressui.QuietMode, nil
	case mode == "":
		return progressui.AutoMode, nil
	case !slices.Contains(displayModes, mode):
		return "", &build.UsageError{Err: fmt.Errorf("unknown progress %q", r.Progress), Try: "--progress=auto, none, plain, quiet, rawjson or tty"}
	}
	return mode, nil
}

func printWarnings(w io.Writer, warnings []client.VertexWarning, mode progressui.DisplayMode) {
	if len(warnings) == 0 || mode == progressui.QuietMode || mode == progressui.RawJSONMode {
		return
	}
	plural := "s"
	if len(warnings) == 1 {
		plural = ""
	}
	fmt.Fprintf(w, "\n %d warning%s found:\n", len(warnings), plural)
	for _, warn := range warnings {
		fmt.Fprintf(w, " - %s\n", warn.Short)
	}
	fmt.Fprintln(w)
}

// contextHash is what buildx's Kubernetes driver chooses a node by.
func contextHash(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}
