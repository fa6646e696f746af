package image

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// errNoPodman is the error of a podman that is not installed, or does not work here.
var errNoPodman = errors.New("podman cannot be asked")

// OpenPodman opens an image of the current user's storage through the podman program; ErrNotFound if it has none of that
// name. The content is one stream, in which large blobs are Sequential, and begins anew with every range over Blobs.
func OpenPodman(ctx context.Context, name string, opts Options) (Image, error) {
	im, err := openPodman(ctx, name, opts)
	if err != nil {
		return nil, fmt.Errorf("opening podman:%s: %w", name, err)
	}
	return im, nil
}

func openPodman(ctx context.Context, name string, opts Options) (Image, error) {
	path, err := exec.LookPath("podman")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoPodman, err)
	}
	p := podman{path: path, environ: os.Environ()}
	if opts.Environ != nil {
		p.environ = opts.Environ()
	}
	if err := p.find(ctx, name); err != nil {
		return nil, err
	}
	im, err := p.inspect(ctx, name)
	if err != nil {
		return nil, err
	}
	// Save by ID: a name could be moved to another image in between.
	save := func(ctx context.Context) (io.ReadCloser, error) { return p.save(ctx, im.format(), im.ID) }
	ref := Ref{Scheme: Podman, Name: name}.String()
	return &stream{ref: ref, open: save, close: func() error { return nil }, layout: im.layout(), saved: true}, nil
}

// podman is the program.
type podman struct {
	path    string
	environ []string
}

// find returns nil if there is an image of that name.
func (p podman) find(ctx context.Context, name string) error {
	_, err := p.output(ctx, "image", "exists", "--", name)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == 1 {
		return ErrNotFound
	}
	if err != nil {
		if _, broken := p.output(ctx, "info"); broken != nil && ctx.Err() == nil {
			err = fmt.Errorf("%w: %w", errNoPodman, err)
		}
		return err
	}
	// Of a list, save and inspect would take the image for this machine and leave out the others. What a list's digest
	// names is the one image of it that was pulled.
	if _, err := p.output(ctx, "manifest", "exists", "--", name); err == nil && !strings.Contains(name, "@") {
		return errors.New("it is a manifest list: name its images by their IDs, or push it and name it in the registry")
	}
	return nil
}

// podmanImage is what podman image inspect says.
type podmanImage struct {
	ID           string
	Digest       string
	RepoTags     []string
	ManifestType string
	v1.Platform
	RootFS  struct{ Layers []digest.Digest }
	History []v1.History
}

func (p podman) inspect(ctx context.Context, name string) (podmanImage, error) {
	raw, err := p.output(ctx, "image", "inspect", "--", name)
	if err != nil {
		return podmanImage{}, err
	}
	var images []podmanImage
	if err := json.Unmarshal(raw, &images); err != nil {
		return podmanImage{}, fmt.Errorf("reading what podman says: %w", err)
	}
	if len(images) != 1 {
		return podmanImage{}, fmt.Errorf("podman knows %d images of that name", len(images))
	}
	return images[0], nil
}

// format is the archive that keeps all of the image: podman drops what the other one does not know, such as annotations or
// health checks.
func (im podmanImage) format() string {
	if im.ManifestType == v1.MediaTypeImageManifest {
		return "oci-archive"
	}
	return "docker-archive"
}

func (im podmanImage) layout() Layout {
	c := config{Platform: im.Platform, History: im.History}
	c.RootFS.DiffIDs = im.RootFS.Layers
	p := newPlatform(v1.Descriptor{}, c)
	p.Config = "sha256:" + im.ID
	p.Layers = c.layers(make([]string, len(im.RootFS.Layers)))
	return Layout{Digest: im.Digest, MediaType: im.ManifestType, Names: im.RepoTags, Platforms: []Platform{p}}
}

// save starts podman save. Podman writes what it streams to a temporary folder first, and leaves it there if it is
// interrupted: the folder is in one of ours, which goes in any case.
func (p podman) save(ctx context.Context, format, id string) (io.ReadCloser, error) {
	tmp, err := os.MkdirTemp("", "tightlip-podman-")
	if err != nil {
		return nil, err
	}
	out, w, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, os.Remove(tmp))
	}
	ctx, cancel := context.WithCancel(ctx)
	s := &saving{out: out, cancel: cancel, ended: make(chan struct{})}
	go func() {
		defer close(s.ended)
		err := p.run(ctx, w, []string{"TMPDIR=" + tmp}, "save", "--format", format, "--", id)
		s.err = errors.Join(err, w.Close(), os.RemoveAll(tmp))
	}()
	return s, nil
}

// saving is a podman save that is running.
type saving struct {
	out    *os.File
	cancel context.CancelFunc
	ended  chan struct{}
	err    error // when it has ended
}

// Read returns podman's failure instead of io.EOF.
func (s *saving) Read(b []byte) (int, error) {
	n, err := s.out.Read(b)
	if err == io.EOF {
		<-s.ended
		err = cmp.Or(s.err, io.EOF)
	}
	return n, err
}

// Close ends podman and waits until its temporary folder is removed.
func (s *saving) Close() error {
	s.cancel()
	err := s.out.Close()
	<-s.ended
	return err
}

func (p podman) output(ctx context.Context, args ...string) ([]byte, error) {
	var out bytes.Buffer
	err := p.run(ctx, &out, nil, args...)
	return out.Bytes(), err
}

// run runs podman to its end. Its error is an *exec.ExitError, with what podman said last.
func (p podman) run(ctx context.Context, stdout io.Writer, env []string, args ...string) error {
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, p.path, args...)
	cmd.Env = slices.Concat(p.environ, env)
	cmd.Stdout, cmd.Stderr = stdout, &stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	err := cmd.Run()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		said := strings.TrimSpace(stderr.String())
		said = strings.TrimPrefix(said[strings.LastIndexByte(said, '\n')+1:], "Error: ")
		err = fmt.Errorf("podman %s: %w: %s", args[0], err, said)
	}
	return err
}
