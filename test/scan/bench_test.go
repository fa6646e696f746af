package scan

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"testing"

	"github.com/tightlip/tightlip/image"
	"github.com/tightlip/tightlip/internal/corpus"
	"github.com/tightlip/tightlip/scan"
	"github.com/tightlip/tightlip/scan/detect"
	"github.com/tightlip/tightlip/scan/leaks"
)

// BenchmarkScan compares a scan with what it cannot do without: decompressing and walking through all archives. The speed is in
// bytes of the files.
func BenchmarkScan(b *testing.B) {
	python, _ := filepath.Glob("/usr/lib/python3*")
	files := append(python, goroot(b))
	size := sizeOf(b, files)
	for _, shape := range []corpus.Shape{corpus.OCI, corpus.Gzip, corpus.Zstd} {
		dir := b.TempDir()
		if _, err := corpus.Write(dir, seed, corpus.Options{Shape: shape, Stock: files, StockOnly: true}); err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("%s/walk", shape), func(b *testing.B) { benchmark(b, shape.Ref(dir), size, walk) })
		b.Run(fmt.Sprintf("%s/scan", shape), func(b *testing.B) { benchmark(b, shape.Ref(dir), size, find) })
	}
}

func sizeOf(b *testing.B, roots []string) (size int64) {
	for _, root := range roots {
		err := filepath.WalkDir(root, func(_ string, e fs.DirEntry, err error) error {
			if err != nil || !e.Type().IsRegular() {
				return err
			}
			info, err := e.Info()
			size += info.Size()
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	return size
}

func benchmark(b *testing.B, name string, size int64, do func(context.Context, image.Image) error) {
	ref, err := image.ParseRef(name)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		img, err := image.Open(b.Context(), ref, image.Options{})
		if err != nil {
			b.Fatal(err)
		}
		if err := do(b.Context(), img); err != nil {
			b.Fatal(err)
		}
		_ = img.Close()
	}
}

func find(ctx context.Context, img image.Image) error {
	_, err := leaks.Find(ctx, img, leaks.Options{Detector: detect.New()})
	return err
}

// walk reads everything and looks at nothing.
func walk(ctx context.Context, img image.Image) error {
	for blob, err := range img.Blobs(ctx) {
		if err != nil {
			return err
		}
		r, err := blob.Open()
		if err != nil {
			return err
		}
		if err := scan.Walk(ctx, r, "", quiet{}, scan.Limits{MustUnpack: blob.MustUnpack}); err != nil {
			return err
		}
		_ = r.Close()
	}
	return nil
}

// quiet is a visitor that does nothing.
type quiet struct{}

func (quiet) Stream(scan.Path) scan.Sink { return quiet{} }
func (quiet) Unread(scan.Path, error)    {}
func (quiet) Write([]byte)               {}
func (quiet) Member(scan.Path, int64)    {}
func (quiet) Text(string, string)        {}
func (quiet) Close()                     {}
