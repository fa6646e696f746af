// Package podman builds with podman or buildah, by their command lines.
package podman

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tightlip/tightlip/build"
	"github.com/tightlip/tightlip/build/output"
)

// Options are for New. The zero value finds the tool on PATH and shows nothing.
type Options struct {
	Streams build.Streams
	Path    string   // of the program
	Environ []string // the environment of the program; nil is ours
	Env     []string // added to it
}

// Engine is one of the tools on this machine.
type Engine struct {
	tool    Tool
	path    string
	info    info
	environ []string // nil is ours
	env     []string // added to it
	streams build.Streams
}

// New finds a tool and asks it about itself. One that is missing or cannot be used is a *build.UsageError.
func New(ctx context.Context, tool Tool, o Options) (*Engine, error) {
	e, err := find(tool, o)
	if err != nil {
		return nil, err
	}
	if e.info, err = e.ask(ctx); err != nil {
		return nil, err
	}
	return e, e.info.check(tool)
}

// Name implements build.Engine.
func (e *Engine) Name() string { return string(e.tool) }

// Description implements build.Engine.
func (e *Engine) Description() string { return string(e.tool) + " " + e.info.version }

// Close implements build.Engine.
func (e *Engine) Close() error { return nil }

// Build implements build.Engine.
func (e *Engine) Build(ctx context.Context, job build.Job) (res build.Result, err error) {
	outputs, err := e.plan(job.Request)
	if err != nil {
		return nil, err
	}
	b := &result{engine: e, job: job, outputs: outputs, dir: filepath.Join(job.Stage, "p"+rand.Text()[:10])}
	args, err := requestArgs(job.Request)
	if err != nil {
		return nil, err
	}
	if err := b.makeDir(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.Discard(ctx))
		}
	}()
	more, err := b.dockerfileArgs(ctx)
	if err != nil {
		return nil, err
	}
	args = append(args, more...)
	if err := job.Note(build.Residue{Kind: string(e.tool) + buildKind, Where: e.info.graphRoot, ID: b.dir}); err != nil {
		return nil, err
	}
	if err := b.solve(ctx, args); err != nil {
		return nil, err
	}
	return b, job.Note(build.Residue{Kind: string(e.tool) + imageKind, Where: e.info.graphRoot, ID: b.id})
}

// plan decides what becomes of the image, and refuses what the tool cannot make.
func (e *Engine) plan(r *build.Request) ([]output.Output, error) {
	outputs, err := output.Plan(r, output.Builder{Store: true})
	if err != nil {
		return nil, err
	}
	for _, o := range outputs {
		for key, value := range o.Attrs {
			if key+"="+value != "compression=gzip" && key+"="+value != "oci-mediatypes=true" {
				return nil, refuse("leave it out", "%s has no %s=%s of an output", e.tool, key, value)
			}
		}
		if o.Place == output.InDaemon {
			return nil, refuse("--load", "%s loads into its own store: context=%s has no meaning", e.tool, o.Context)
		}
		if _, err := output.Normalize(o.Names); err != nil {
			return nil, err
		}
		if err := o.CheckDest(e.streams.Out); err != nil {
			return nil, err
		}
	}
	return outputs, nil
}

// refuse makes the error of a request that cannot be met.
func refuse(try, format string, args ...any) error {
	return &build.UsageError{Err: fmt.Errorf(format, args...), Try: try}
}

// maxTemp is how long the path of a folder may be in which the tools make sockets for SSH agents. The system takes 107 bytes.
const maxTemp = 107 - len("/.buildah-ssh-sock1234567890/ssh_auth_sock")

// makeDir makes the folder of all that the tool needs and leaves. Its path is in the records of the containers of this build and
// in the mounts of its steps, by which both are found again.
func (b *result) makeDir() error {
	if strings.ContainsAny(b.dir, ",:") {
		return refuse("TIGHTLIP_CACHE_DIR=FOLDER", "%s takes no path with a comma or a colon: %s", b.engine.tool, b.dir)
	}
	if len(b.temp()) > maxTemp && len(b.job.Request.SSH) > 0 {
		return refuse("TIGHTLIP_CACHE_DIR=FOLDER with a shorter path", "%s is too long for the sockets of --ssh", b.dir)
	}
	for _, dir := range []string{b.dir, b.temp(), b.empty()} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
	}
	return errors.Join(os.WriteFile(b.marker(), nil, 0o600), os.WriteFile(b.noAuth(), []byte("{}"), 0o600))
}

func (b *result) temp() string   { return filepath.Join(b.dir, "t") }
func (b *result) empty() string  { return filepath.Join(b.dir, "empty") }
func (b *result) marker() string { return filepath.Join(b.dir, "marker") }
func (b *result) noAuth() string { return filepath.Join(b.dir, "auth.json") }

// markerID is the id of a secret without a value, which a build has only to be found by.
const markerID = "tightlip.build"

// buildArgs begin each build. The cache of steps is on, as it is for docker build: buildah alone has it off by itself.
func (b *result) buildArgs(iidfile string) []string {
	return []string{
		"build", "--layers", "--format", "oci", "--iidfile", iidfile,
		"--secret", "id=" + markerID + ",type=file,src=" + b.marker(),
	}
}

// solve builds, hands the secrets over meanwhile, and removes what the tool leaves.
func (b *result) solve(ctx context.Context, args []string) (err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	h, err := b.handOver(ctx, cancel)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.close()) }()
	defer b.closeSockets()
	iidfile := filepath.Join(b.dir, "iid")
	args = slices.Concat(b.buildArgs(iidfile), h.args, args)
	env, err := b.hide(args)
	if err != nil {
		return err
	}
	if err := b.build(ctx, args, env); err != nil {
		return err
	}
	id, err := os.ReadFile(iidfile)
	if err != nil {
		return &build.FailedError{Code: 1, Text: fmt.Sprintf("%s did not say what it built", b.engine.tool)}
	}
	b.id = string(bytes.TrimSpace(id))
	return nil
}

// build runs a build and sweeps after it, however it ended.
func (b *result) build(ctx context.Context, args, env []string) (err error) {
	defer func() {
		if err != nil || len(b.engine.containers(b.dir)) > 0 {
			err = errors.Join(err, b.engine.sweep(ctx, b.dir))
		}
	}()
	show := newDisplay(b.engine.streams.Err, b.job, b.shown)
	var stdin io.Reader
	if b.job.Request.Context == "-" && b.job.Request.File != "-" {
		stdin = b.engine.streams.In
	}
	err = b.engine.run(ctx, command{args: args, env: append(env, "TMPDIR="+b.temp()), stdin: stdin, stdout: show, stderr: show})
	if ctx.Err() != nil {
		_ = show.Close(false)
		return context.Cause(ctx)
	}
	if code, failed := exitCode(err); failed {
		_ = show.Close(true)
		return &build.FailedError{Code: code, Text: fmt.Sprintf("building: %s: %s", b.engine.tool, show.reason(code))}
	}
	return errors.Join(err, show.Close(err != nil))
}

// isArgument tells whether a build argument is a secret's: a variable of that name is none of the tool's own.
func (b *result) isArgument(name string) bool {
	return slices.ContainsFunc(b.job.Request.Secrets, func(s build.Secret) bool { return s.Argument == name })
}

// hide takes the values of build arguments that hold a secret out of args and returns them as variables, since everybody sees
// the arguments of a process. The proof will find them in the image's history.
func (b *result) hide(args []string) (env []string, err error) {
	for i, arg := range args {
		if b.job.Redact.String(arg) == arg {
			continue
		}
		name, _, ok := strings.Cut(arg, "=")
		_, taken := os.LookupEnv(name)
		if i == 0 || args[i-1] != "--build-arg" || !ok || taken && !b.isArgument(name) {
			return nil, refuse("--secret, and a mount in the Dockerfile", "a secret is in what would be an argument of %s", b.engine.tool)
		}
		args[i], env = name, append(env, arg)
	}
	return env, nil
}
