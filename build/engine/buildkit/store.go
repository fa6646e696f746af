package buildkit

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"

	"github.com/distribution/reference"
	"github.com/docker/buildx/util/imagetools"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	ocilayout "github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/match"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	dockerclient "github.com/moby/moby/client"
	"github.com/tightlip/tightlip/image/sink"
)

// removeUnnamed removes an image from Docker's store unless it has a name.
func (r *result) removeUnnamed(ctx context.Context, id string) error {
	api, err := r.dockerAPI()
	if err != nil {
		return err
	}
	return sink.RemoveUnnamed(ctx, api, id)
}

// pushFromDaemon has Docker push an image from its own store.
func (r *result) pushFromDaemon(ctx context.Context, api *dockerclient.Client, name string) error {
	auth, err := imagetools.RegistryAuthForRef(name, r.engine.driver().Config().Auth)
	if err != nil {
		return fmt.Errorf("pushing %s: %w", name, err)
	}
	return sink.PushStored(ctx, api, name, auth)
}

func pushOptions(o output) sink.Options {
	if !o.insecure {
		return sink.Options{}
	}
	transport := remote.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} //nolint:gosec // the user asked for it: registry.insecure
	return sink.Options{Transport: transport}
}

// mergeLayout adds an image to the OCI layout at dest: its blobs first, and last the index, which names it.
func mergeLayout(from, dest, digest string, names []string) error {
	into, err := ocilayout.FromPath(dest)
	if errors.Is(err, os.ErrNotExist) {
		into, err = ocilayout.Write(dest, empty.Index)
	}
	if err != nil {
		return fmt.Errorf("writing to the OCI layout %s: %w", dest, err)
	}
	if err := moveTree(filepath.Join(from, "blobs"), filepath.Join(dest, "blobs")); err != nil {
		return fmt.Errorf("writing to the OCI layout %s: %w", dest, err)
	}
	desc, err := describe(from, digest)
	if err != nil {
		return err
	}
	if len(names) == 0 {
		return into.AppendDescriptor(desc)
	}
	for _, name := range names {
		d := desc
		d.Annotations = map[string]string{"io.containerd.image.name": name, "org.opencontainers.image.ref.name": tagOf(name)}
		if err := into.RemoveDescriptors(match.Annotation("io.containerd.image.name", name)); err != nil {
			return err
		}
		if err := into.AppendDescriptor(d); err != nil {
			return err
		}
	}
	return nil
}

// describe finds the descriptor of an image in a staged layout.
func describe(dir, digest string) (v1.Descriptor, error) {
	index, err := ocilayout.ImageIndexFromPath(dir)
	if err != nil {
		return v1.Descriptor{}, err
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return v1.Descriptor{}, err
	}
	for _, d := range manifest.Manifests {
		if d.Digest.String() == digest {
			return d, nil
		}
	}
	return v1.Descriptor{}, fmt.Errorf("%s is not in the staged layout", digest)
}

func tagOf(name string) string {
	ref, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return name
	}
	if t, ok := ref.(reference.Tagged); ok {
		return t.Tag()
	}
	return name
}
