package image

import (
	"context"
	"fmt"
	"io"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/client"
	"github.com/opencontainers/go-digest"

	"github.com/tightlip/tightlip/finding"
)

// OpenContainer opens a daemon's container, running or not, by its name or ID: its root file system as it is when the blob is
// opened, and what the daemon says about it, its environment included. What is mounted into it, such as volumes, is not part
// of it. ErrNotFound if there is no such container.
func OpenContainer(ctx context.Context, cli *client.Client, name string) (Image, error) {
	ref := Ref{Scheme: Container, Name: name}.String()
	c, err := cli.ContainerInspect(ctx, name, client.ContainerInspectOptions{})
	if cerrdefs.IsNotFound(err) {
		return nil, fmt.Errorf("%w: %s: %w", ErrNotFound, ref, err)
	}
	if err != nil {
		return nil, fmt.Errorf("inspecting %s: %w", ref, err)
	}
	export := func(ctx context.Context) (io.ReadCloser, error) {
		return cli.ContainerExport(ctx, c.Container.ID, client.ContainerExportOptions{})
	}
	return &static{ref: ref, entries: []entry{
		{Blob: Blob{Kind: finding.InFile, Size: -1, MustUnpack: true}, open: export},
		{
			Blob: Blob{Kind: finding.InConfig, Digest: digest.FromBytes(c.Raw).String(), Size: int64(len(c.Raw))},
			open: memory(c.Raw),
		},
	}}, nil
}
