package image

import (
	"context"
	"io"
	"iter"
)

// opener opens the bytes of a blob.
type opener func(ctx context.Context) (io.ReadCloser, error)

// entry is a blob that can be opened at any time.
type entry struct {
	Blob
	open opener
}

// static is an image whose structure is known from the start and whose blobs can be opened at any time.
type static struct {
	ref     string
	entries []entry
	layout  Layout
	close   func() error
}

func (s *static) Ref() string { return s.ref }

func (s *static) Blobs(ctx context.Context) iter.Seq2[Blob, error] {
	return func(yield func(Blob, error) bool) {
		for _, e := range s.entries {
			if err := ctx.Err(); err != nil {
				yield(Blob{}, err)
				return
			}
			if !yield(e.blob(ctx), nil) {
				return
			}
		}
	}
}

func (e entry) blob(ctx context.Context) Blob {
	b := e.Blob
	b.Open = func() (io.ReadCloser, error) { return e.open(ctx) }
	return b
}

func (s *static) Layout(context.Context) (Layout, error) { return s.layout, nil }

func (s *static) Close() error {
	if s.close == nil {
		return nil
	}
	return s.close()
}

// blob is the node as a Blob, without a way to open it.
func (n node) blob() Blob {
	return Blob{
		Kind: n.kind, Digest: string(n.Digest), MediaType: n.MediaType, Size: n.Size, MustUnpack: n.mustUnpack,
	}
}

// entries are the blobs of the graph. Documents open from memory, all others through open.
func (g *graph) entries(open func(n node) opener) []entry {
	out := make([]entry, len(g.nodes))
	for i, n := range g.nodes {
		out[i] = entry{Blob: n.blob(), open: open(n)}
		if n.data != nil {
			out[i].Size = int64(len(n.data))
			out[i].open = memory(n.data)
		}
	}
	return out
}

func memory(b []byte) opener {
	open := inMemory(b)
	return func(context.Context) (io.ReadCloser, error) { return open() }
}
