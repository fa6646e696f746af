package podman

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/tightlip/tightlip/build"
	"github.com/tightlip/tightlip/dockerfile"
	"github.com/tightlip/tightlip/dockerfile/translate"
	"github.com/tightlip/tightlip/internal/lazy"
)

// documents is the context that holds the documents of COPY <<EOF.
const documents = "tightlip-documents"

// dockerfileArgs are the Dockerfile and the context. A Dockerfile that is at hand is replaced, if it has to be.
func (b *result) dockerfileArgs(ctx context.Context) ([]string, error) {
	r := b.job.Request
	var args []string
	text, err := b.translate(ctx)
	if err != nil {
		return nil, err
	}
	switch {
	case text != nil:
		name := filepath.Join(b.dir, "Dockerfile")
		if err := os.WriteFile(name, text, 0o600); err != nil {
			return nil, err
		}
		args = append(args, "--file", name)
		if ignore := b.job.DockerfilePath + ".dockerignore"; isFile(ignore) {
			args = append(args, "--ignorefile", ignore)
		}
	case r.File != "":
		args = append(args, "--file", r.File)
	case isFile(filepath.Join(r.Context, "Dockerfile")):
		// The tools would prefer a Containerfile.
		args = append(args, "--file", filepath.Join(r.Context, "Dockerfile"))
	}
	if len(b.documents) > 0 {
		dir := filepath.Join(b.dir, documents)
		if err := writeFiles(dir, b.documents); err != nil {
			return nil, err
		}
		args = append(args, "--build-context", documents+"="+dir)
	}
	args = append(args, b.steps...)
	return append(args, "--", r.Context), nil
}

func isFile(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.Mode().IsRegular()
}

func writeFiles(dir string, files map[string][]byte) error {
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(path, text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// translate makes the Dockerfile one that the tool understands. It returns nothing for one that can stay, or is not here.
func (b *result) translate(ctx context.Context) ([]byte, error) {
	name, r := b.job.DockerfilePath, b.job.Request
	if b.job.Original == nil {
		return b.job.Dockerfile, nil
	}
	f, err := dockerfile.Parse(name, b.job.Original)
	if err != nil {
		return b.job.Dockerfile, nil // the tool's to report
	}
	text, lines := f.Apply(plainFlags(f))
	if f, err = dockerfile.Parse(name, text); err != nil {
		return nil, err
	}
	if text, err = f.AddMounts(b.fingerprint); err != nil {
		return nil, err
	}
	if f, err = dockerfile.Parse(name, text); err != nil {
		return nil, err
	}
	tr, err := translate.For(b.engine.info.builder(), f, translate.Options{
		Target: r.Target, BuildArgs: build.Arguments(r.BuildArg), Base: b.base(ctx), Brokered: b.job.Brokered(), Agents: b.agentsContext(), HasAgent: b.hasAgent,
	})
	if e := (*translate.Error)(nil); errors.As(err, &e) {
		return nil, &build.UsageError{Err: fmt.Errorf("%s: %w", name, err), Try: e.Hint()}
	}
	if err != nil {
		return nil, &build.UsageError{Err: err}
	}
	for _, n := range tr.Notes {
		fmt.Fprintf(b.engine.streams.Err, "tightlip: note: line %d %s\n", n.Line, n.Text)
	}
	if len(tr.Steps) > 0 {
		if chroot() {
			// There, no mount below /dev is seen.
			tr.Dockerfile = belowDev().ReplaceAll(tr.Dockerfile, []byte("/run/secrets/tightlip-$1"))
		}
		for i, line := range tr.Lines {
			if line <= len(lines) {
				tr.Lines[i] = lines[line-1]
			}
		}
		text, lines = tr.Dockerfile, tr.Lines
	}
	b.documents = tr.Files
	b.shown = tr
	if b.steps, err = b.brokerSteps(tr.Steps); err != nil {
		return nil, err
	}
	agents, err := b.agentSockets(tr.Sockets)
	if err != nil {
		return nil, err
	}
	b.steps = append(b.steps, agents...)
	if !bytes.Equal(text, b.job.Original) {
		b.translated, b.lines = text, lines
	}
	if b.translated == nil && r.File != "-" {
		return nil, nil
	}
	return text, nil
}

// fingerprint is a mount that does nothing but change the text of a step with a secret that is to run again when the secret changes.
// Some versions compare the text alone, and others what is mounted with its path, which the mounts of other engines would change.
func (b *result) fingerprint(id string) (flag string, ok bool) {
	print, ok := b.job.Fingerprints[id]
	if !ok {
		return "", false
	}
	return "--mount=type=tmpfs,target=/dev/tightlip-fingerprint-" + print[:16], true
}

// belowDev is where a translation puts the file of a secret that is a variable.
var belowDev = lazy.Regexp(`/dev/tightlip-([0-9])`)

// bare is a mount's option that buildah 1.28 dies of unless it has a value.
var bare = lazy.Regexp(`(--mount=\S*?,required)(,|\s)`)

// plainFlags writes options of mounts as old tools want them.
func plainFlags(f *dockerfile.File) []dockerfile.Edit {
	var edits []dockerfile.Edit
	for _, stage := range f.Stages() {
		for _, c := range stage.Commands {
			if _, ok := c.(*instructions.RunCommand); !ok {
				continue
			}
			text := f.Text(c.Location())
			if plain := bare().ReplaceAllString(text, "$1=true$2"); plain != text {
				edits = append(edits, dockerfile.EditOf(c.Location(), plain))
			}
		}
	}
	return edits
}
