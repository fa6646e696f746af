package sink

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/moby/moby/api/types/jsonstream"
	"github.com/moby/moby/client"
)

// Load gives an archive to a daemon and waits until it has all of it. The daemon's own errors are returned.
func Load(ctx context.Context, cli *client.Client, archive io.Reader) error {
	resp, err := cli.ImageLoad(ctx, archive, client.ImageLoadWithQuiet(true))
	if err != nil {
		return fmt.Errorf("loading the image: %w", err)
	}
	defer resp.Close()
	for dec := json.NewDecoder(resp); ; {
		var m jsonstream.Message
		err := dec.Decode(&m)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("loading the image: reading the answer: %w", err)
		}
		if m.Error != nil {
			return fmt.Errorf("loading the image: %w", m.Error)
		}
	}
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
