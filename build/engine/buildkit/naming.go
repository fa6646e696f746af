package buildkit

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/distribution/reference"
	bx "github.com/docker/buildx/build"
	"github.com/docker/buildx/util/confutil"
	"github.com/docker/buildx/util/dockerutil"
	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/exporter/containerimage/exptypes"
	"github.com/tightlip/tightlip/build"
	"github.com/tightlip/tightlip/image/sink"
)

// Name implements build.Result.
func (r *result) Name(ctx context.Context) (build.Named, error) {
	named := build.Named{ID: r.imageID(), Digest: r.exporter(exptypes.ExporterImageDigestKey)}
	if r.options.CallFunc != nil {
		return named, r.printCall()
	}
	for n, o := range r.outputs {
		names, err := r.nameOutput(ctx, o, n)
		if err != nil {
			return named, err
		}
		for _, name := range names {
			if !slices.Contains(named.Names, name) {
				named.Names = append(named.Names, name)
			}
		}
	}
	if err := r.writeCache(ctx); err != nil {
		return named, err
	}
	return named, r.writeFiles(named)
}

// nameOutput brings one proven output to where it belongs and returns what it is called there.
func (r *result) nameOutput(ctx context.Context, o output, n int) ([]string, error) {
	at := stagedAt(r.outputs, n, r.job.Stage)
	names, err := normalize(o.names)
	if err != nil {
		return nil, err
	}
	switch o.place {
	case inStore:
		return names, r.tag(ctx, names, o.push)
	case inDaemon:
		return names, r.load(ctx, at, names, o.context)
	case registry:
		return names, r.push(ctx, at, names, o)
	case archive:
		return []string{o.dest}, r.writeArchive(ctx, at, names, o)
	case layout:
		return []string{o.dest}, mergeLayout(at, o.dest, r.digest(), names)
	case folder:
		return []string{o.dest}, moveTree(at, o.dest)
	case tarball:
		return []string{o.dest}, r.moveFile(at, o.dest)
	}
	return nil, nil
}

func (r *result) digest() string { return r.exporter(exptypes.ExporterImageDigestKey) }

// normalize makes full references of names, as BuildKit's exporters do.
func normalize(names []string) ([]string, error) {
	var out []string
	for _, name := range names {
		ref, err := reference.ParseNormalizedNamed(name)
		if err != nil {
			return nil, &build.UsageError{Err: fmt.Errorf("the name %q is not valid: %w", name, err)}
		}
		out = append(out, reference.TagNameOnly(ref).String())
	}
	return out, nil
}

func (r *result) tag(ctx context.Context, names []string, push bool) error {
	api, err := r.dockerAPI()
	if err != nil {
		return err
	}
	if err := sink.Tag(ctx, api, r.imageID(), names); err != nil {
		return err
	}
	if !push {
		return nil
	}
	for _, name := range names {
		if err := r.pushFromDaemon(ctx, api, name); err != nil {
			return err
		}
	}
	return nil
}

func (r *result) push(ctx context.Context, at string, names []string, o output) error {
	for _, name := range names {
		if o.byDigest {
			named, err := reference.ParseNormalizedNamed(name)
			if err != nil {
				return err
			}
			name = named.Name() + "@" + r.digest()
		}
		if _, err := sink.Push(ctx, at, r.digest(), name, pushOptions(o)); err != nil {
			return err
		}
	}
	return nil
}

// load sends the image to a Docker daemon as an archive. What the daemon calls it need not be what BuildKit did:
// a daemon without the containerd store keeps one platform and no attestations.
func (r *result) load(ctx context.Context, at string, names []string, dockerContext string) error {
	api, err := dockerutil.NewClient(r.engine.cli).API(dockerContext)
	if err != nil {
		return fmt.Errorf("loading into Docker: %w", err)
	}
	defer api.Close()
	pr, pw := io.Pipe()
	go func() { pw.CloseWithError(sink.WriteArchive(ctx, pw, at, r.digest(), names, sink.DockerArchive)) }()
	c := clientOf(api)
	if c == nil {
		return errors.New("loading into Docker: no client for this daemon")
	}
	if err := sink.Load(ctx, c, pr); err != nil {
		pr.CloseWithError(err)
		return fmt.Errorf("loading into Docker: %w", err)
	}
	return nil
}

func (r *result) writeArchive(ctx context.Context, at string, names []string, o output) error {
	format := sink.OCIArchive
	if o.docker {
		format = sink.DockerArchive
	}
	if o.dest == "-" || o.dest == "" {
		return sink.WriteArchive(ctx, r.engine.streams.Out, at, r.digest(), names, format)
	}
	return writeBeside(o.dest, func(w io.Writer) error {
		return sink.WriteArchive(ctx, w, at, r.digest(), names, format)
	})
}

// moveFile gives a staged file its name, or prints it.
func (r *result) moveFile(at, dest string) error {
	if dest != "-" && dest != "" {
		return os.Rename(at, dest)
	}
	f, err := os.Open(at)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(r.engine.streams.Out, f)
	return err
}

// moveTree moves what is below from to below to, over what is there: the local exporter adds to a folder.
func moveTree(from, to string) error {
	if err := os.Rename(from, to); err == nil {
		return nil
	}
	return filepath.WalkDir(from, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		dest := filepath.Join(to, rel)
		if !d.IsDir() {
			return os.Rename(path, dest)
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if err := os.Mkdir(dest, info.Mode().Perm()); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
		return nil
	})
}

// writeBeside writes a file under another name first, so that dest is whole or not there.
func writeBeside(dest string, write func(io.Writer) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(dest), ".tightlip-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	if err := write(f); err != nil {
		return err
	}
	if err := errors.Join(f.Chmod(0o644), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), dest)
}

// writeCache builds once more, everything from the builder's cache, to export that.
func (r *result) writeCache(ctx context.Context) error {
	if len(r.cacheTo) == 0 {
		return nil
	}
	in, err := r.inputAgain()
	if err != nil {
		return err
	}
	o := r.options
	o.Inputs.InStream = bx.NewSyncMultiReader(in)
	o.Ref, o.CacheTo, o.NoCache, o.NoCacheFilter, o.Pull = "", r.cacheTo, false, nil, false
	o.Exports = []client.ExportEntry{{Type: "cacheonly", Attrs: map[string]string{}}}
	o.ProvenanceResponseMode = confutil.MetadataProvenanceModeDisabled
	return r.engine.solve(ctx, &o, r.job, &result{})
}

// writeFiles writes what the request wants to have in files.
func (r *result) writeFiles(named build.Named) error {
	if name := r.job.Request.IIDFile; name != "" {
		if err := os.WriteFile(name, []byte(named.ID), 0o644); err != nil {
			return fmt.Errorf("writing the image ID: %w", err)
		}
	}
	name := r.job.Request.MetadataFile
	if name == "" {
		return nil
	}
	names, err := r.tags()
	if err != nil {
		return err
	}
	if len(names) > 0 {
		r.response.ExporterResponse["image.name"] = strings.Join(names, ",")
	}
	metadata := decodeResponse(r.response.ExporterResponse)
	if len(r.warnings) > 0 && confutil.MetadataWarningsEnabled() {
		metadata["buildx.build.warnings"] = r.warnings
	}
	text, err := json.MarshalIndent(metadata, "", "  ")
	if err != nil {
		return err
	}
	text = r.job.Redact.Bytes(text)
	err = writeBeside(name, func(w io.Writer) error { _, err := w.Write(text); return err })
	if err != nil {
		return fmt.Errorf("writing the metadata: %w", err)
	}
	return nil
}

// tags are the names of the image in all outputs, without the paths of files.
func (r *result) tags() ([]string, error) {
	var tags []string
	for _, o := range r.outputs {
		if o.place == cacheOnly || !o.holdsImage() && o.place != inStore {
			continue
		}
		names, err := normalize(o.names)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			if !slices.Contains(tags, name) {
				tags = append(tags, name)
			}
		}
	}
	return tags, nil
}

// decodeResponse unpacks the JSON documents that BuildKit puts into its response in base64.
func decodeResponse(response map[string]string) map[string]any {
	out := map[string]any{}
	for k, v := range response {
		out[k] = v
		data := []byte(v)
		if k != "result.json" {
			var err error
			if data, err = base64.StdEncoding.DecodeString(v); err != nil {
				continue
			}
		}
		if s := strings.TrimSpace(string(data)); json.Valid(data) && (strings.HasPrefix(s, "{") || strings.HasPrefix(s, "[{")) {
			out[k] = json.RawMessage(data)
		}
	}
	return out
}
