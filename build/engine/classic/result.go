package classic

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/distribution/reference"
	"github.com/docker/cli/cli/command"
	"github.com/moby/go-archive"
	"github.com/tightlip/tightlip/build"
	"github.com/tightlip/tightlip/build/output"
	"github.com/tightlip/tightlip/dockerfile/translate"
	"github.com/tightlip/tightlip/image"
	"github.com/tightlip/tightlip/image/sink"
)

// result is an image in Docker's store that has no name yet.
type result struct {
	engine     *Engine
	job        build.Job
	wanted     wanted
	translated *translate.Result
	id         string
	named      bool
}

// Images implements build.Result.
func (r *result) Images(ctx context.Context) ([]image.Image, error) {
	img, err := image.OpenDaemon(ctx, r.engine.api, r.id)
	if err != nil {
		return nil, fmt.Errorf("opening what was built: %w", err)
	}
	return []image.Image{img}, nil
}

// Translation implements build.Translated. Labels of the request are one more instruction for the builder.
func (r *result) Translation() (text []byte, lines []int) {
	text = slices.Clone(r.translated.Dockerfile)
	if len(r.job.Request.Label) > 0 {
		text = append(text, "\nLABEL of=request\n"...)
	}
	return text, r.translated.Lines
}

// Name implements build.Result.
func (r *result) Name(ctx context.Context) (build.Named, error) {
	named := build.Named{ID: r.id}
	names, err := output.Normalize(r.wanted.names)
	if err != nil {
		return named, err
	}
	if r.wanted.archive != "" {
		if err := r.save(ctx, names); err != nil {
			return named, fmt.Errorf("writing the archive: %w", err)
		}
		named.Names = append(named.Names, r.wanted.archive)
	}
	if r.wanted.archive == "" || r.wanted.store || r.wanted.push || r.job.Request.Load {
		for _, name := range names {
			if err := sink.Tag(ctx, r.engine.api, r.id, []string{name}); err != nil {
				return named, err
			}
			named.Names = append(named.Names, name)
		}
		r.named = true
	}
	if r.wanted.push {
		if err := r.push(ctx, names); err != nil {
			return named, err
		}
	}
	return named, r.writeFiles(names)
}

func (r *result) push(ctx context.Context, names []string) error {
	for _, name := range names {
		if !r.job.Request.Quiet {
			fmt.Fprintf(r.engine.streams.Err, "tightlip: pushing %s with Docker\n", name)
		}
		auth, err := command.RetrieveAuthTokenFromImage(r.engine.cli.ConfigFile(), name)
		if err != nil {
			return fmt.Errorf("pushing %s: %w", name, err)
		}
		if err := sink.PushStored(ctx, r.engine.api, name, auth); err != nil {
			return err
		}
	}
	return nil
}

// save writes the image as docker save does, with names that Docker's store need not know.
func (r *result) save(ctx context.Context, names []string) error {
	saved, err := r.engine.api.ImageSave(ctx, []string{r.id})
	if err != nil {
		return err
	}
	out := archive.ReplaceFileTarWrapper(saved, map[string]archive.TarModifierFunc{
		"manifest.json": func(_ string, h *tar.Header, in io.Reader) (*tar.Header, []byte, error) {
			text, err := withNames(in, names)
			return h, text, err
		},
	})
	defer out.Close()
	write := func(w io.Writer) error {
		_, err := io.Copy(w, out)
		return err
	}
	if r.wanted.archive == "-" {
		return write(r.engine.streams.Out)
	}
	return build.WriteFile(r.wanted.archive, write)
}

// withNames puts names into the manifest of an archive that holds one image.
func withNames(in io.Reader, names []string) ([]byte, error) {
	var images []map[string]any
	if in == nil || json.NewDecoder(in).Decode(&images) != nil || len(images) != 1 {
		return nil, fmt.Errorf("the daemon saved no archive with one image")
	}
	var familiar []string
	for _, name := range names {
		ref, err := reference.ParseNormalizedNamed(name)
		if err != nil {
			return nil, err
		}
		familiar = append(familiar, reference.FamiliarString(ref))
	}
	images[0]["RepoTags"] = familiar
	return json.Marshal(images)
}

// writeFiles writes what the request wants to have in files.
func (r *result) writeFiles(names []string) error {
	metadata := map[string]string{"containerimage.config.digest": r.id}
	if len(names) > 0 {
		metadata["image.name"] = strings.Join(names, ",")
	}
	return output.WriteFiles(r.job.Request, r.id, metadata)
}

// Discard implements build.Result.
func (r *result) Discard(ctx context.Context) error {
	if r.named {
		return r.job.Settle()
	}
	ctx, cancel := build.CleanupContext(ctx)
	defer cancel()
	if err := sink.RemoveUnnamed(ctx, r.engine.api, r.id); err != nil {
		return errors.Join(err, r.job.Keep())
	}
	return r.job.Settle()
}
