package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/moby/moby/client"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// Options are for opening images. The zero value serves the command line.
type Options struct {
	// Docker is the daemon to ask; nil for the one that the environment names.
	Docker *client.Client
	// Keychain knows the credentials of registries; nil for the user's docker configuration.
	Keychain authn.Keychain
	// Partial opens an image although layers are missing, encrypted or of an unknown kind: their blobs say so when they are
	// opened, or are no archives. It is for OCI layouts, registries and archives of images.
	Partial bool
	// Mirrors are asked before the registries themselves.
	Mirrors Mirrors
	// Transport carries the requests to registries; nil for ggcr's.
	Transport http.RoundTripper
	// NoReferrers leaves out what refers to the image (signatures, SBOMs):
	// what remains is exactly what the image's digest covers.
	NoReferrers bool
	// Trusted leaves out the check of an OCI layout's blobs against their digests, which costs about as much as unpacking
	// them. It is for layouts that this process has just had written by a store that checks.
	Trusted bool
	// ContextIgnore is the ignore file of a build context, which is the Dockerfile's own: "api.Dockerfile.dockerignore". ""
	// is the context's .dockerignore, if it has one.
	ContextIgnore string
	// Environ makes the environment of a program that is run, podman; nil for ours.
	Environ func() []string
	// XZ unpacks archives that were compressed as a whole with xz; nil makes those an error.
	XZ func(io.Reader) (io.Reader, error)
}

// Open opens what ref names. Without a scheme that is an existing path, else the image of that name that the daemon has,
// else podman's, else the registry's; the error then says what was tried.
func Open(ctx context.Context, ref Ref, opts Options) (Image, error) {
	switch ref.Scheme {
	case Auto:
		return openAny(ctx, ref.Name, opts)
	case Docker:
		return openDocker(ctx, ref.Name, opts, OpenDaemon)
	case Podman:
		return OpenPodman(ctx, ref.Name, opts)
	case Registry:
		return OpenRegistry(ctx, ref.Name, opts)
	case OCI:
		return OpenLayout(ctx, ref.Name, ref.Select, opts)
	case Tar:
		return OpenTar(ctx, ref.Name, opts)
	case Dir:
		return OpenDir(ref.Name)
	case Context:
		return OpenContext(ref.Name, opts)
	case Container:
		return openDocker(ctx, ref.Name, opts, OpenContainer)
	}
	return nil, fmt.Errorf("%w: unknown scheme %q", ErrRef, ref.Scheme)
}

// openIn is a way to open what a daemon has.
type openIn func(ctx context.Context, cli *client.Client, name string) (Image, error)

func openDocker(ctx context.Context, name string, opts Options, open openIn) (Image, error) {
	if opts.Docker != nil {
		return open(ctx, opts.Docker, name)
	}
	cli, err := DockerFromEnv()
	if err != nil {
		return nil, err
	}
	im, err := open(ctx, cli, name)
	if err != nil {
		return nil, errors.Join(err, cli.Close())
	}
	return closing{im, cli}, nil
}

// closing is an image with a client of its own.
type closing struct {
	Image
	client io.Closer
}

func (c closing) Close() error { return errors.Join(c.Image.Close(), c.client.Close()) }

func openAny(ctx context.Context, name string, opts Options) (Image, error) {
	im, pathErr := openPath(ctx, name, opts)
	if pathErr == nil || !errors.Is(pathErr, errNoPath) {
		return im, pathErr
	}
	im, dockerErr := openDocker(ctx, name, opts, OpenDaemon)
	if !absent(dockerErr) {
		return im, dockerErr
	}
	im, podmanErr := openStored(ctx, name, opts)
	if !absent(podmanErr) {
		return im, podmanErr
	}
	im, registryErr := OpenRegistry(ctx, name, opts)
	if registryErr == nil {
		return im, nil
	}
	return nil, fmt.Errorf("%w called %s; tried a path: %w; the docker daemon: %w; podman: %w; the registry: %w",
		ErrNotFound, name, pathErr, dockerErr, podmanErr, registryErr)
}

// absent tells that an image may be elsewhere: who was asked has none of that name, or cannot be asked. Any other answer must
// not lead to another image of that name.
func absent(err error) bool {
	return errors.Is(err, ErrNotFound) || errors.Is(err, errNoPodman) || client.IsErrConnectionFailed(err)
}

// openStored opens an image of podman's. What cannot be the name of one, podman is not asked for: its answer would be an error
// like any other.
func openStored(ctx context.Context, ref string, opts Options) (Image, error) {
	if _, err := name.ParseReference(ref); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	return OpenPodman(ctx, ref, opts)
}

var errNoPath = errors.New("no such file or folder")

// openPath opens an existing path as what it looks like.
func openPath(ctx context.Context, path string, opts Options) (Image, error) {
	fi, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil, err
	case err != nil:
		return nil, errNoPath
	case !fi.IsDir():
		return OpenTar(ctx, path, opts)
	}
	switch _, err := os.Stat(filepath.Join(path, v1.ImageLayoutFile)); {
	case err == nil:
		return OpenLayout(ctx, path, "", opts)
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	return OpenDir(path)
}
