package embedded

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/defaults"
	"github.com/containerd/containerd/v2/plugins/snapshots/native"
	"github.com/containerd/containerd/v2/plugins/snapshots/overlay"
	"github.com/containerd/containerd/v2/plugins/snapshots/overlay/overlayutils"
	"github.com/moby/buildkit/cache/remotecache"
	inlineremotecache "github.com/moby/buildkit/cache/remotecache/inline"
	localremotecache "github.com/moby/buildkit/cache/remotecache/local"
	registryremotecache "github.com/moby/buildkit/cache/remotecache/registry"
	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/cmd/buildkitd/config"
	"github.com/moby/buildkit/control"
	"github.com/moby/buildkit/executor/oci"
	"github.com/moby/buildkit/frontend"
	dockerfile "github.com/moby/buildkit/frontend/dockerfile/builder"
	"github.com/moby/buildkit/frontend/gateway"
	"github.com/moby/buildkit/frontend/gateway/forwarder"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/solver"
	"github.com/moby/buildkit/solver/bboltcachestorage"
	"github.com/moby/buildkit/util/db/boltutil"
	"github.com/moby/buildkit/util/grpcerrors"
	_ "github.com/moby/buildkit/util/grpcutil/encoding/proto" // BuildKit's messages need its own codec
	"github.com/moby/buildkit/util/network/netproviders"
	"github.com/moby/buildkit/util/resolver"
	"github.com/moby/buildkit/worker"
	"github.com/moby/buildkit/worker/base"
	"github.com/moby/buildkit/worker/runc"
	bolt "go.etcd.io/bbolt"
	"go.opentelemetry.io/otel/metric/noop"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
)

// newServer composes BuildKit as its daemon does, with one OCI worker and without build history:
// the history keeps what the steps print.
func newServer(ctx context.Context, o ServeOptions) (*grpc.Server, func() error, error) {
	sessions, err := session.NewManager()
	if err != nil {
		return nil, nil, err
	}
	w, err := newWorker(o)
	if err != nil {
		return nil, nil, err
	}
	workers := &worker.Controller{}
	if err := workers.Add(w); err != nil {
		return nil, nil, err
	}
	c, err := newController(ctx, o, sessions, workers, w)
	if err != nil {
		return nil, nil, errors.Join(err, workers.Close())
	}
	server := grpc.NewServer(
		grpc.UnaryInterceptor(grpcerrors.UnaryServerInterceptor),
		grpc.StreamInterceptor(grpcerrors.StreamServerInterceptor),
		grpc.MaxRecvMsgSize(defaults.DefaultMaxRecvMsgSize),
		grpc.MaxSendMsgSize(defaults.DefaultMaxSendMsgSize))
	healthv1.RegisterHealthServer(server, health.NewServer())
	c.Register(server)
	return server, c.Close, nil
}

func newController(ctx context.Context, o ServeOptions, sessions *session.Manager, workers *worker.Controller, w *base.Worker) (*control.Controller, error) {
	cache, err := bboltcachestorage.NewStore(filepath.Join(o.StateDir, "cache.db"))
	if err != nil {
		return nil, err
	}
	history, err := boltutil.SafeOpen(filepath.Join(o.StateDir, "history.db"), 0o600, &bolt.Options{NoFreelistSync: true})
	if err != nil {
		return nil, err
	}
	gatewayFrontend, err := gateway.NewGatewayFrontend(workers.Infos(), nil)
	if err != nil {
		return nil, err
	}
	hosts := resolver.NewRegistryConfig(nil)
	var noHistory int64
	return control.NewController(control.Opt{
		SessionManager:   sessions,
		WorkerController: workers,
		Frontends: map[string]frontend.Frontend{
			"dockerfile.v0": forwarder.NewGatewayForwarder(workers.Infos(), dockerfile.Build),
			"gateway.v0":    gatewayFrontend,
		},
		ResolveCacheExporterFuncs: map[string]remotecache.ResolveCacheExporterFunc{
			"registry": registryremotecache.ResolveCacheExporterFunc(sessions, hosts),
			"local":    localremotecache.ResolveCacheExporterFunc(sessions),
			"inline":   inlineremotecache.ResolveCacheExporterFunc(),
		},
		ResolveCacheImporterFuncs: map[string]remotecache.ResolveCacheImporterFunc{
			"registry": registryremotecache.ResolveCacheImporterFunc(sessions, w.ContentStore(), hosts),
			"local":    localremotecache.ResolveCacheImporterFunc(sessions),
		},
		CacheManager:   solver.NewCacheManager(ctx, "local", cache, worker.NewCacheResultStorage(workers)),
		Entitlements:   []string{"network.host", "security.insecure"},
		MeterProvider:  noop.NewMeterProvider(),
		HistoryDB:      history,
		CacheStore:     cache,
		LeaseManager:   w.LeaseManager(),
		ContentStore:   w.ContentStore(),
		HistoryConfig:  &config.HistoryConfig{MaxEntries: &noHistory},
		GarbageCollect: w.GarbageCollect,
		GracefulStop:   ctx.Done(),
	})
}

// newWorker makes the OCI worker. Steps use the host's network, as with any BuildKit that has no CNI configuration.
func newWorker(o ServeOptions) (*base.Worker, error) {
	binary, err := findRuntime(os.Getenv("PATH"))
	if err != nil {
		return nil, err
	}
	processes := oci.ProcessSandbox
	if o.NoPIDNamespace && o.UserNamespace {
		processes = oci.NoProcessSandbox
	}
	opt, err := runc.NewWorkerOpt(o.StateDir, snapshotter(o.StateDir), o.UserNamespace, processes, nil, nil,
		netproviders.Opt{Mode: "host"}, nil, binary, "", false, nil, "", "", nil)
	if err != nil {
		return nil, err
	}
	opt.GCPolicy = gcPolicy(o.CacheLimit)
	opt.RegistryHosts = resolver.NewRegistryConfig(nil)
	return base.NewWorker(context.Background(), opt)
}

// snapshotter is overlayfs where the kernel lets this user mount it, else plain copies.
func snapshotter(root string) runc.SnapshotterFactory {
	if overlayutils.Supported(root) == nil {
		return runc.SnapshotterFactory{Name: "overlayfs", New: func(root string) (snapshots.Snapshotter, error) {
			return overlay.NewSnapshotter(root, overlay.AsynchronousRemove)
		}}
	}
	return runc.SnapshotterFactory{Name: "native", New: native.NewSnapshotter}
}

// gcPolicy drops what is cheap to get again first and keeps everything under limit bytes.
func gcPolicy(limit int64) []client.PruneInfo {
	return []client.PruneInfo{
		{
			Filter:       []string{"type==source.local,type==exec.cachemount,type==source.git.checkout"},
			KeepDuration: 48 * time.Hour,
			MaxUsedSpace: min(limit, 512<<20),
		},
		{MaxUsedSpace: limit},
		{All: true, MaxUsedSpace: limit},
	}
}
