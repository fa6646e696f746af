package buildkit

import (
	"context"
	"fmt"

	"github.com/docker/buildx/util/imagetools"
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
