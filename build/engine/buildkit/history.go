package buildkit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/content/proxy"
	"github.com/docker/buildx/driver"
	controlapi "github.com/moby/buildkit/api/services/control"
	"github.com/moby/buildkit/client"
	"github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/tightlip/tightlip/finding"
	"github.com/tightlip/tightlip/image"
)

// KeepsHistory tells whether the builder records its builds with their logs.
func (e *Engine) KeepsHistory(ctx context.Context) bool {
	if e.name == "embedded" {
		return false
	}
	d := e.driver()
	return d != nil && d.HistoryAPISupported(ctx)
}

func (e *Engine) driver() *driver.DriverHandle {
	for _, n := range e.nodes {
		if n.Err == nil && n.Driver != nil {
			return n.Driver
		}
	}
	return nil
}

// clients connects to the nodes that built.
func (r *result) clients(ctx context.Context) (clients []*client.Client, err error) {
	drivers := []*driver.DriverHandle{r.engine.driver()}
	if len(r.nodes) > 0 {
		drivers = nil
	}
	for _, n := range r.nodes {
		drivers = append(drivers, n.Driver)
	}
	for _, d := range drivers {
		c, err := d.Client(ctx)
		if err != nil {
			return clients, err
		}
		clients = append(clients, c)
	}
	return clients, nil
}

// Record implements build.Recorder.
func (r *result) Record(ctx context.Context) (image.Image, error) {
	if !r.engine.KeepsHistory(ctx) {
		return nil, nil
	}
	clients, err := r.clients(ctx)
	all := records{}
	for _, c := range clients {
		rec := &record{client: c, ref: r.ref}
		all = append(all, rec)
		if err == nil {
			err = rec.load(ctx)
		}
	}
	if err != nil {
		all.Close()
		return nil, err
	}
	return all, nil
}

// Forget implements build.Recorder.
func (r *result) Forget(ctx context.Context) error {
	clients, err := r.clients(ctx)
	for _, c := range clients {
		_, forget := c.ControlClient().UpdateBuildHistory(ctx, &controlapi.UpdateBuildHistoryRequest{Ref: r.ref, Delete: true})
		err = errors.Join(err, forget, c.Close())
	}
	if err != nil {
		return fmt.Errorf("deleting the builder's record of the build: %w", err)
	}
	return nil
}

// records are what the nodes of a builder recorded of one build, to be read like an image.
type records []*record

// Ref implements image.Image.
func (records) Ref() string { return "the builder's record of the build" }

// Layout implements image.Image. A record has none.
func (records) Layout(context.Context) (image.Layout, error) { return image.Layout{}, nil }

// Close implements image.Image.
func (all records) Close() error {
	var errs []error
	for _, r := range all {
		errs = append(errs, r.client.Close())
	}
	return errors.Join(errs...)
}

// Blobs implements image.Image.
func (all records) Blobs(ctx context.Context) iter.Seq2[image.Blob, error] {
	return func(yield func(image.Blob, error) bool) {
		for _, r := range all {
			for b, err := range r.blobs(ctx) {
				if !yield(b, err) {
					return
				}
			}
		}
	}
}

// record is a build's record in the history of a BuildKit.
type record struct {
	client  *client.Client
	ref     string
	message []byte // as BuildKit's API sends it: texts stand in it as they are
	parts   []ocispecs.Descriptor
}

func (r *record) load(ctx context.Context) error {
	stream, err := r.client.ControlClient().ListenBuildHistory(ctx, &controlapi.BuildHistoryRequest{Ref: r.ref, EarlyExit: true})
	if err != nil {
		return err
	}
	for {
		event, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			if r.message == nil {
				return fmt.Errorf("the builder has no record of build %s", r.ref)
			}
			return nil
		}
		if err != nil {
			return err
		}
		if rec := event.Record; rec != nil && rec.Ref == r.ref {
			if r.message, err = rec.MarshalVT(); err != nil {
				return err
			}
			r.parts = descriptors(rec)
		}
	}
}

// descriptors lists the blobs of a record: logs, traces, and what describes the results.
func descriptors(rec *controlapi.BuildHistoryRecord) []ocispecs.Descriptor {
	all := []*controlapi.Descriptor{rec.Logs, rec.Trace, rec.ExternalError}
	results := append(slices.Collect(maps.Values(rec.Results)), rec.Result)
	for _, res := range results {
		if res != nil {
			all = append(all, res.Attestations...)
		}
	}
	var out []ocispecs.Descriptor
	for _, d := range all {
		if d != nil {
			out = append(out, ocispecs.Descriptor{MediaType: d.MediaType, Digest: digest.Digest(d.Digest), Size: d.Size})
		}
	}
	return out
}

// blobs are the blobs of the record. The logs come twice: as they are stored, and put together by step, because the
// storage cuts them into pieces.
func (r *record) blobs(ctx context.Context) iter.Seq2[image.Blob, error] {
	return func(yield func(image.Blob, error) bool) {
		if !yield(inMemory("the record itself", r.message), nil) {
			return
		}
		store := proxy.NewContentStore(r.client.ContentClient())
		for _, d := range r.parts {
			b := image.Blob{Kind: finding.InRecord, Path: "record " + d.MediaType, Digest: d.Digest.String(), MediaType: d.MediaType, Size: d.Size}
			b.Open = func() (io.ReadCloser, error) {
				at, err := store.ReaderAt(ctx, d)
				if err != nil {
					return nil, err
				}
				return readCloser{content.NewReader(at), at}, nil
			}
			if !yield(b, nil) {
				return
			}
		}
		logs, err := r.logs(ctx)
		if err != nil {
			yield(image.Blob{}, fmt.Errorf("reading the logs of %s: %w", records{}.Ref(), err))
			return
		}
		for name, text := range logs {
			if !yield(inMemory(name, text), nil) {
				return
			}
		}
	}
}

type readCloser struct {
	io.Reader
	io.Closer
}

func inMemory(name string, data []byte) image.Blob {
	return image.Blob{Kind: finding.InRecord, Path: name, Size: int64(len(data)), Open: func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(data)), nil
	}}
}

// logs are the outputs of the build's steps.
func (r *record) logs(ctx context.Context) (map[string][]byte, error) {
	stream, err := r.client.ControlClient().Status(ctx, &controlapi.StatusRequest{Ref: r.ref})
	if err != nil {
		return nil, err
	}
	logs := map[string][]byte{}
	for {
		status, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return logs, nil
		}
		if err != nil {
			return nil, err
		}
		for _, l := range status.Logs {
			name := fmt.Sprintf("logs of %s, stream %d", l.Vertex, l.Stream)
			logs[name] = append(logs[name], l.Msg...)
		}
	}
}
