package sink

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/jsonstream"
	"github.com/moby/moby/client"
)

// Load gives an archive to a daemon and waits until it has all of it. The daemon's own errors are returned.
func Load(ctx context.Context, cli *client.Client, archive io.Reader) error {
	resp, err := cli.ImageLoad(ctx, archive, client.ImageLoadWithQuiet(true))
	if err == nil {
		defer resp.Close()
		err = Follow(resp, nil)
	}
	if err != nil {
		return fmt.Errorf("loading the image: %w", err)
	}
	return nil
}

// Follow reads a daemon's stream of messages to its end. A message that is an error ends it, as a *jsonstream.Error; every
// other one is given to each, which may be nil.
func Follow(r io.Reader, each func(jsonstream.Message)) error {
	for dec := json.NewDecoder(r); ; {
		var m jsonstream.Message
		err := dec.Decode(&m)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("reading the answer: %w", err)
		case m.Error != nil:
			return m.Error
		case each != nil:
			each(m)
		}
	}
}

// PushStored has a daemon push an image from its own store. The credentials are in the form of the API's X-Registry-Auth.
func PushStored(ctx context.Context, cli *client.Client, name, auth string) error {
	resp, err := cli.ImagePush(ctx, name, client.ImagePushOptions{RegistryAuth: auth})
	if err == nil {
		defer resp.Close()
		err = Follow(resp, nil)
	}
	if err != nil {
		return fmt.Errorf("pushing %s: %w", name, err)
	}
	return nil
}

// RemoveUnnamed removes an image unless it has a name: by us, or by somebody who built the same. It need not be there.
func RemoveUnnamed(ctx context.Context, cli *client.Client, id string) error {
	info, err := cli.ImageInspect(ctx, id)
	if cerrdefs.IsNotFound(err) || err == nil && len(info.RepoTags) > 0 {
		return nil
	}
	if err == nil {
		err = Remove(ctx, cli, id)
	}
	if err != nil && !cerrdefs.IsNotFound(err) {
		return fmt.Errorf("removing what was not named: %w", err)
	}
	return nil
}

// Tag gives the image with an ID the names, taking them from the images that had them.
func Tag(ctx context.Context, cli *client.Client, id string, names []string) error {
	for _, n := range names {
		if _, err := cli.ImageTag(ctx, client.ImageTagOptions{Source: id, Target: n}); err != nil {
			return fmt.Errorf("tagging %s as %s: %w", id, n, err)
		}
	}
	return nil
}

// Remove deletes an image that has no name, with those of its parents that nothing else uses. An image that
// a container uses or that has several names is an error.
func Remove(ctx context.Context, cli *client.Client, id string) error {
	if _, err := cli.ImageRemove(ctx, id, client.ImageRemoveOptions{PruneChildren: true}); err != nil {
		return fmt.Errorf("removing %s: %w", id, err)
	}
	return nil
}
