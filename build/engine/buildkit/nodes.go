package buildkit

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/docker/buildx/builder"
	"github.com/docker/buildx/driver"
	_ "github.com/docker/buildx/driver/docker"           // buildx finds its drivers by side effect
	_ "github.com/docker/buildx/driver/docker-container" // of their import
	_ "github.com/docker/buildx/driver/kubernetes"
	_ "github.com/docker/buildx/driver/remote"
	"github.com/docker/buildx/store"
	"github.com/docker/buildx/store/storeutil"
	"github.com/docker/buildx/util/confutil"
	"github.com/docker/buildx/util/imagetools"
	"github.com/docker/cli/cli/command"
	"github.com/tightlip/tightlip/build"
	"github.com/tightlip/tightlip/build/engine/embedded"
)

// Docker returns the engine behind a buildx builder: the named one, or else the current one, which is Docker's own
// unless the user has chosen another. The context path is what is going to be built.
func Docker(ctx context.Context, cli command.Cli, name, contextPath string, s build.Streams) (*Engine, error) {
	b, err := builder.New(cli, builder.WithName(name), builder.WithContextPathHash(contextHash(contextPath)))
	if err != nil {
		return nil, fmt.Errorf("finding the builder: %w", err)
	}
	nodes, err := b.LoadNodes(ctx)
	if err != nil {
		return nil, fmt.Errorf("connecting to builder %s: %w", b.Name, err)
	}
	for _, n := range nodes {
		if n.Err != nil {
			return nil, fmt.Errorf("connecting to builder %s: %w", b.Name, n.Err)
		}
	}
	return &Engine{
		name:        "docker",
		description: fmt.Sprintf("builder %s (%s driver)", b.Name, b.Driver),
		streams:     s,
		cli:         cli,
		nodes:       nodes,
		config:      confutil.NewConfig(cli),
		driverName:  b.Driver,
		displayName: b.Name,
	}, nil
}

// Embedded returns the engine of our own, starting it if nobody has yet.
func Embedded(ctx context.Context, cli command.Cli, o embedded.Options, s build.Streams) (*Engine, error) {
	child, err := embedded.Start(ctx, o)
	if err != nil {
		return nil, err
	}
	e, err := embeddedEngine(ctx, cli, child, s)
	if err != nil {
		child.Close()
		return nil, err
	}
	return e, nil
}

func embeddedEngine(ctx context.Context, cli command.Cli, child *embedded.Engine, s build.Streams) (*Engine, error) {
	factory, err := driver.GetFactory("remote", true)
	if err != nil {
		return nil, err
	}
	imageOpt, err := storeutil.GetImageConfig(cli, nil)
	if err != nil {
		imageOpt = imagetools.Opt{}
	}
	d, err := driver.GetDriver(ctx, factory, driver.InitConfig{
		Name:         "tightlip",
		EndpointAddr: child.Address(),
		Auth:         imageOpt.Auth,
	})
	if err != nil {
		return nil, fmt.Errorf("connecting to the embedded engine: %w", err)
	}
	node := builder.Node{
		Node:        store.Node{Name: "tightlip", Endpoint: child.Address()},
		Builder:     "tightlip",
		Driver:      d,
		ImageOpt:    imageOpt,
		ProxyConfig: storeutil.GetProxyConfig(cli),
	}
	return &Engine{
		name:        "embedded",
		description: "the embedded engine",
		streams:     s,
		cli:         cli,
		nodes:       []builder.Node{node},
		// buildx keeps a node identifier and build references here; Docker's own folder is not ours to fill.
		config:      confutil.NewConfig(cli, confutil.WithDir(filepath.Join(child.StateDir(), "buildx"))),
		driverName:  "remote",
		displayName: "tightlip",
		close:       child.Close,
		ended:       child.Ended,
	}, nil
}
