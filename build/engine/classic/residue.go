package classic

import (
	"context"
	"errors"

	cerrdefs "github.com/containerd/errdefs"
	dockerclient "github.com/moby/moby/client"
	"github.com/tightlip/tightlip/build"
	"github.com/tightlip/tightlip/image/sink"
)

func (e *Engine) residue(kind, id string) build.Residue {
	return build.Residue{Kind: kind, Where: e.api.DaemonHost(), ID: id}
}

// Removes tells whether Remove knows a kind of residue.
func Removes(kind string) bool { return kind == build.DockerImage || kind == build.DockerContainer }

// Remove removes what a killed build has noted of a daemon: an image that has no name, or a container of ours. What is gone is no
// error.
func Remove(ctx context.Context, r build.Residue, api *dockerclient.Client) error {
	if r.Kind == build.DockerImage {
		return sink.RemoveUnnamed(ctx, api, r.ID)
	}
	c, err := api.ContainerInspect(ctx, r.ID, dockerclient.ContainerInspectOptions{})
	if cerrdefs.IsNotFound(err) {
		return nil
	}
	if err == nil && (c.Container.Config == nil || c.Container.Config.Labels[label] == "") {
		err = errors.New("it is not tightlip's")
	}
	if err != nil {
		return err
	}
	return removeContainer(ctx, api, r.ID)
}

// removeContainer removes a container. One that is gone, or being removed, is no error.
func removeContainer(ctx context.Context, api *dockerclient.Client, id string) error {
	_, err := api.ContainerRemove(ctx, id, dockerclient.ContainerRemoveOptions{Force: true})
	return ignoreGone(err)
}
