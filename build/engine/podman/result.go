package podman

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/distribution/reference"
	"github.com/tightlip/tightlip/build"
	"github.com/tightlip/tightlip/build/output"
	"github.com/tightlip/tightlip/dockerfile/translate"
	"github.com/tightlip/tightlip/image"
	"github.com/tightlip/tightlip/image/sink"
)

// result is an image in the tool's store that has no name yet.
type result struct {
	engine     *Engine
	job        build.Job
	outputs    []output.Output
	dir        string            // of all that the tool needs and leaves
	translated []byte            // the Dockerfile, nil if it stayed as it was
	lines      []int             // and for each of its lines that of the user's
	documents  map[string][]byte // of COPY <<EOF
	shown      *translate.Result // by which the display shows steps as they were written
	steps      []string          // arguments for what the steps that use the broker mount
	sockets    []net.Listener    // of such steps, and of SSH agents
	id         string            // of the image, with its algorithm
	digest     string            // of the manifest in the staged layout
	named      bool
}

func (b *result) wants(places ...output.Place) bool {
	return slices.ContainsFunc(b.outputs, func(o output.Output) bool { return slices.Contains(places, o.Place) })
}

// pushes tells whether the image goes elsewhere than the store.
func (b *result) pushes() bool {
	return b.wants(output.Registry, output.Archive, output.Layout) || slices.ContainsFunc(b.outputs, func(o output.Output) bool { return o.Push })
}

// Images implements build.Result.
func (b *result) Images(ctx context.Context) (images []image.Image, err error) {
	defer func() {
		if err != nil {
			for _, i := range images {
				i.Close()
			}
			err = fmt.Errorf("opening what was built: %w", err)
		}
	}()
	if err := b.stage(ctx); err != nil {
		return nil, err
	}
	if b.digest != "" {
		img, err := image.OpenLayout(ctx, b.layout(), b.digest, image.Options{Trusted: true}) // the tool has checked every blob
		if err != nil {
			return nil, err
		}
		images = append(images, img)
	}
	if b.wants(output.Tarball) {
		img, err := image.OpenTar(ctx, b.rootfs(), image.Options{})
		if err != nil {
			return images, err
		}
		images = append(images, img)
	}
	if b.wants(output.Folder) {
		img, err := image.OpenDir(b.folder())
		if err != nil {
			return images, err
		}
		images = append(images, img)
	}
	return images, nil
}

func (b *result) layout() string { return filepath.Join(b.job.Stage, "output-image") }
func (b *result) rootfs() string { return filepath.Join(b.job.Stage, "output-rootfs.tar") }
func (b *result) folder() string { return filepath.Join(b.job.Stage, "output-rootfs") }

// stage copies what is to be proven out of the store, once.
func (b *result) stage(ctx context.Context) error {
	if image := b.pushes() || b.wants(output.InStore, output.Unnamed); image && b.digest == "" {
		if err := b.stageImage(ctx); err != nil {
			return err
		}
	}
	if !b.wants(output.Tarball, output.Folder) || isFile(b.rootfs()) {
		return nil
	}
	if err := b.stageRootfs(ctx); err != nil || !b.wants(output.Folder) {
		return err
	}
	return unpack(b.rootfs(), b.folder())
}

// stageImage writes the image to an OCI layout: with packed layers if it is to leave the store, else as fast as can be.
func (b *result) stageImage(ctx context.Context) error {
	args := []string{"push", "--quiet", b.id, "oci:" + b.layout()}
	switch {
	case b.pushes():
	case b.engine.tool == Podman:
		args = []string{"save", "--quiet", "--uncompressed", "--format", "oci-dir", "--output", b.layout(), b.id}
	default:
		args = []string{"push", "--quiet", "--compression-level", "1", b.id, "oci:" + b.layout()}
	}
	e := *b.engine
	// buildah wants the file with the credentials to exist, even for a folder.
	e.env = append(slices.Clone(e.env), "REGISTRY_AUTH_FILE="+b.noAuth())
	if _, err := e.output(ctx, args...); err != nil {
		return err
	}
	config, digest, err := b.readLayout()
	if err == nil && config != b.id {
		err = fmt.Errorf("it is %s, not %s", config, b.id)
	}
	if err != nil {
		return fmt.Errorf("reading the image out of %s's store: %w", b.engine.tool, err)
	}
	b.digest = digest
	return nil
}

// readLayout returns the digests of the config and of the manifest in the staged layout.
func (b *result) readLayout() (config, digest string, err error) {
	var index struct{ Manifests []struct{ Digest string } }
	if err := readJSON(filepath.Join(b.layout(), "index.json"), &index); err != nil {
		return "", "", err
	}
	if len(index.Manifests) != 1 {
		return "", "", fmt.Errorf("it has %d manifests", len(index.Manifests))
	}
	digest = index.Manifests[0].Digest
	var manifest struct{ Config struct{ Digest string } }
	algorithm, hex, _ := strings.Cut(digest, ":")
	err = readJSON(filepath.Join(b.layout(), "blobs", algorithm, hex), &manifest)
	return manifest.Config.Digest, digest, err
}

func readJSON(name string, into any) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}

// stageRootfs writes the root file system, by a build of nothing more than the image: with the --output of the first, old versions
// write nothing at all if every step is in the cache.
func (b *result) stageRootfs(ctx context.Context) error {
	file, iidfile := filepath.Join(b.dir, "rootfs.Dockerfile"), filepath.Join(b.dir, "rootfs.iid")
	if err := os.WriteFile(file, []byte("FROM "+b.id+"\n"), 0o600); err != nil {
		return err
	}
	args := append(b.buildArgs(iidfile), "--pull=never", "--output", "type=tar,dest="+b.rootfs(), "--file", file, b.empty())
	if err := b.build(ctx, args, nil); err != nil {
		return err
	}
	id, err := os.ReadFile(iidfile)
	if err == nil && string(id) != b.id {
		err = errors.Join(fmt.Errorf("it is %s, not %s", id, b.id), b.engine.removeUnnamed(ctx, string(id)))
	}
	if err != nil {
		return fmt.Errorf("reading the root file system out of %s's store: %w", b.engine.tool, err)
	}
	return nil
}

// Translation implements build.Translated.
func (b *result) Translation() (text []byte, lines []int) {
	return b.translated, b.lines
}

// Name implements build.Result. With an error, too, it returns what has its name by then.
func (b *result) Name(ctx context.Context) (build.Named, error) {
	named := build.Named{ID: b.id}
	if err := b.stageToName(ctx); err != nil {
		return named, err
	}
	if b.pushes() {
		named.Digest = b.digest
	}
	for _, o := range b.outputs {
		names, err := b.nameOutput(ctx, o)
		for _, name := range names {
			if !slices.Contains(named.Names, name) {
				named.Names = append(named.Names, name)
			}
		}
		if err != nil {
			return named, err
		}
	}
	b.named = true
	return named, b.writeFiles(named)
}

// stageToName stages what was not proven, because nobody wanted that, and leaves the store.
func (b *result) stageToName(ctx context.Context) error {
	if !b.pushes() && !b.wants(output.Tarball, output.Folder) {
		return nil
	}
	return b.stage(ctx)
}

// nameOutput brings one proven output to where it belongs and returns what it is called there.
func (b *result) nameOutput(ctx context.Context, o output.Output) ([]string, error) {
	at := map[output.Place]string{output.Tarball: b.rootfs(), output.Folder: b.folder()}[o.Place]
	switch o.Place {
	case output.Unnamed:
		return nil, nil
	case output.InStore:
		names, err := b.tag(ctx, o.Names)
		if err != nil || !o.Push {
			return names, err
		}
		pushed, err := b.push(ctx, o)
		return append(names, pushed...), err
	case output.Archive, output.Layout:
		at = b.layout()
	}
	names, err := output.Normalize(o.Names)
	if err == nil {
		err = o.Write(ctx, at, b.digest, names, b.engine.streams.Out)
	}
	if err != nil && o.Place != output.Folder {
		return nil, err
	}
	return []string{o.Dest}, err
}

// tag names the image in the tool's store.
func (b *result) tag(ctx context.Context, names []string) (done []string, err error) {
	for _, name := range names {
		full, err := localName(name)
		if err != nil {
			return done, err
		}
		if _, err := b.engine.output(ctx, "tag", b.id, full); err != nil {
			return done, err
		}
		b.named = true
		done = append(done, full)
	}
	return done, nil
}

// localName is what the tools call an image that was built under a name: without a registry, that is localhost.
func localName(name string) (string, error) {
	ref, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return "", &build.UsageError{Err: fmt.Errorf("the name %q is not valid: %w", name, err)}
	}
	full := reference.TagNameOnly(ref).String()
	if first, _, _ := strings.Cut(name, "/"); reference.Domain(ref) == "docker.io" && first != "docker.io" {
		full = "localhost/" + strings.TrimPrefix(strings.TrimPrefix(full, "docker.io/"), "library/")
	}
	return full, nil
}

// push pushes what was proven, with the credentials of the tool's user.
func (b *result) push(ctx context.Context, o output.Output) (done []string, err error) {
	names, err := output.Normalize(o.Names)
	if err != nil {
		return nil, err
	}
	options := o.PushOptions()
	options.Keychain = Keychain()
	for _, name := range names {
		if o.ByDigest {
			named, err := reference.ParseNormalizedNamed(name)
			if err != nil {
				return done, err
			}
			name = named.Name() + "@" + b.digest
		}
		if !b.job.Request.Quiet {
			fmt.Fprintf(b.engine.streams.Err, "tightlip: pushing %s\n", name)
		}
		if _, err := sink.Push(ctx, b.layout(), b.digest, name, options); err != nil {
			return done, err
		}
		done = append(done, name)
	}
	return done, nil
}

// writeFiles writes what the request wants to have in files.
func (b *result) writeFiles(named build.Named) error {
	metadata := map[string]string{"containerimage.config.digest": named.ID}
	if named.Digest != "" {
		metadata["containerimage.digest"] = named.Digest
	}
	var tags []string
	for _, o := range b.outputs {
		if o.Place == output.InStore || o.Place == output.Archive || o.Place == output.Layout {
			tags = append(tags, o.Names...)
		}
	}
	if tags, err := output.Normalize(tags); err == nil && len(tags) > 0 {
		metadata["image.name"] = strings.Join(slices.Compact(tags), ",")
	}
	return output.WriteFiles(b.job.Request, named.ID, metadata)
}

// Discard implements build.Result. An image that is proven and went elsewhere stays in the store without a name, as the cache of the
// next build; what is not proven is removed with its layers.
func (b *result) Discard(ctx context.Context) error {
	ctx, cancel := build.CleanupContext(ctx)
	defer cancel()
	var errs []error
	if b.id != "" && !b.named {
		errs = append(errs, b.engine.removeUnnamed(ctx, b.id))
	}
	for _, path := range []string{b.layout(), b.rootfs(), b.folder(), b.dir} {
		errs = append(errs, build.RemoveAll(path))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return b.job.Settle()
}
