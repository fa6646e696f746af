package image

import (
	"context"
	"fmt"
	"io"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/client"
)

// DockerFromEnv makes a client for the daemon that DOCKER_HOST and its companions name. It does not connect yet.
func DockerFromEnv() (*client.Client, error) {
	cli, err := client.New(client.FromEnv)
	if err != nil {
		return nil, fmt.Errorf("reading the docker environment: %w", err)
	}
	return cli, nil
}

// OpenDaemon opens the image that a daemon has under a name or ID; ErrNotFound if it has none. The content is
// one stream, in which large blobs are Sequential, and begins anew with every range over Blobs.
func OpenDaemon(ctx context.Context, cli *client.Client, name string) (Image, error) {
	l, err := DaemonLayers(ctx, cli, name)
	if err != nil {
		return nil, err
	}
	// Save by ID: a name could be moved to another image in between. The digest of an image in the
	// containerd store is its ID as well.
	save := func(ctx context.Context) (io.ReadCloser, error) { return cli.ImageSave(ctx, []string{l.Digest}) }
	ref := Ref{Scheme: Docker, Name: name}.String()
	return &stream{ref: ref, open: save, close: func() error { return nil }, layout: l, saved: true}, nil
}

// DaemonLayers is what a daemon says about an image without its content being read: the ID, names, platform and the
// layers' diff IDs. It is enough to ask a cache whether the layers need reading at all.
func DaemonLayers(ctx context.Context, cli *client.Client, name string) (Layout, error) {
	im, err := cli.ImageInspect(ctx, name)
	if cerrdefs.IsNotFound(err) {
		return Layout{}, fmt.Errorf("%w: docker:%s: %w", ErrNotFound, name, err)
	}
	if err != nil {
		return Layout{}, fmt.Errorf("inspecting docker:%s: %w", name, err)
	}
	history, err := cli.ImageHistory(ctx, im.ID)
	if err != nil {
		return Layout{}, fmt.Errorf("reading the history of docker:%s: %w", name, err)
	}
	return inspectedLayout(im.InspectResponse, history.Items), nil
}

func inspectedLayout(im image.InspectResponse, history []image.HistoryResponseItem) Layout {
	p := Platform{OS: im.Os, Architecture: im.Architecture, Variant: im.Variant}
	l := Layout{Digest: im.ID, MediaType: typeDockerConfig, Names: im.RepoTags}
	if im.Descriptor != nil {
		l.MediaType = im.Descriptor.MediaType
	} else {
		p.Config = im.ID
	}
	entries := historyOfLayers(history, len(im.RootFS.Layers))
	for i, diffID := range im.RootFS.Layers {
		layer := Layer{DiffID: diffID, History: -1}
		if im.Descriptor == nil {
			layer.Digest = diffID // without the containerd store, layers are saved unpacked
		}
		if entries != nil {
			layer.History, layer.CreatedBy = entries[i].index, entries[i].createdBy
		}
		p.Layers = append(p.Layers, layer)
	}
	l.Platforms = []Platform{p}
	return l
}

type historyEntry struct {
	index     int
	createdBy string
}

// historyOfLayers picks the entries that made layers. The daemon does not say which did: it must be all of them, or
// all with a size; otherwise it stays unknown and the result is nil.
func historyOfLayers(items []image.HistoryResponseItem, layers int) []historyEntry {
	var all, sized []historyEntry
	for i := range items {
		item := items[len(items)-1-i] // the newest comes first
		e := historyEntry{i, item.CreatedBy}
		all = append(all, e)
		if item.Size > 0 {
			sized = append(sized, e)
		}
	}
	switch layers {
	case len(all):
		return all
	case len(sized):
		return sized
	}
	return nil
}
