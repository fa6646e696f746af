package proof_test

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	kgzip "github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/tightlip/tightlip/image"
	"github.com/tightlip/tightlip/proof"
	"github.com/tightlip/tightlip/scan"
	"golang.org/x/sync/errgroup"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// imageSize is the unpacked size in bytes of the image that is measured, a third for each way to store a layer.
const imageSize = 1 << 30

// BenchmarkImage measures a proof against two lesser things: decompressing and walking the same tars with the same libraries
// (bare), and the same with what is packed in the files unpacked, too (walk). Neither looks at a byte or verifies a digest.
// The digests of a layout that a build has just written need no check; verified-proof is for any other image.
// All run in turn with as many goroutines, so that a noisy machine disturbs all.
func BenchmarkImage(b *testing.B) {
	b.Run("plain-files", func(b *testing.B) { benchmarkImage(b, false) })
	b.Run("all-files", func(b *testing.B) { benchmarkImage(b, true) })
}

// benchmarkImage takes files that are archives themselves, or leaves them out.
func benchmarkImage(b *testing.B, archives bool) {
	dir, layers := benchImage(b, archives)
	cache, err := proof.OpenCache(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	value := canary(b)
	var bare, walked, proven, verified, again time.Duration
	runs := 0
	for b.Loop() {
		bare += timed(func() { eachLayer(b, layers, walkBare) })
		walked += timed(func() { eachLayer(b, layers, walkNested) })
		proven += timed(func() { proveWith(b, dir, value, image.Options{Trusted: true}, proof.Options{}) })
		verified += timed(func() { prove(b, dir, value, proof.Options{}) })
		prove(b, dir, value, proof.Options{Cache: cache})
		again += timed(func() { prove(b, dir, value, proof.Options{Cache: cache}) })
		runs++
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(bare.Seconds()/float64(runs), "s/bare")
	b.ReportMetric(walked.Seconds()/float64(runs), "s/walk")
	b.ReportMetric(proven.Seconds()/float64(runs), "s/proof")
	b.ReportMetric(proven.Seconds()/bare.Seconds(), "proof/bare")
	b.ReportMetric(verified.Seconds()/bare.Seconds(), "verified-proof/bare")
	b.ReportMetric(proven.Seconds()/walked.Seconds(), "proof/walk")
	b.ReportMetric(float64(again.Milliseconds())/float64(runs), "ms/again")
}

func timed(f func()) time.Duration {
	start := time.Now()
	f()
	return time.Since(start)
}

// benchImage makes an image of this machine's own files. It returns the layout and the files of its layers.
func benchImage(b *testing.B, archives bool) (dir string, layers []string) {
	b.Helper()
	var all []v1.Layer
	next := realFiles(b)
	for i, kind := range []string{"plain", "gzip", "zstd", "plain", "gzip", "zstd"} {
		content := benchTar(b, next, imageSize/6, archives)
		all = append(all, benchLayer(b, kind, content))
		name := filepath.Join(b.TempDir(), kind+string(rune('0'+i)))
		rc, err := all[i].Compressed()
		if err != nil {
			b.Fatal(err)
		}
		data, err := io.ReadAll(rc)
		if err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(name, data, 0o600); err != nil {
			b.Fatal(err)
		}
		layers = append(layers, name)
	}
	return write(b, nil, nil, all...), layers
}

func benchLayer(b *testing.B, kind string, content []byte) v1.Layer {
	b.Helper()
	var buf bytes.Buffer
	switch kind {
	case "plain":
		return static.NewLayer(content, types.OCIUncompressedLayer)
	case "gzip":
		w := gzip.NewWriter(&buf)
		_, _ = w.Write(content)
		_ = w.Close()
		return static.NewLayer(buf.Bytes(), types.OCILayer)
	}
	w, err := zstd.NewWriter(&buf)
	if err != nil {
		b.Fatal(err)
	}
	_, _ = w.Write(content)
	_ = w.Close()
	return static.NewLayer(buf.Bytes(), types.MediaType("application/vnd.oci.image.layer.v1.tar+zstd"))
}

// realFiles yields the files that a system installs, over and over. Test data of compilers, which has archives that are
// damaged on purpose, is not among them.
func realFiles(b *testing.B) func() string {
	b.Helper()
	var names []string
	for _, dir := range []string{"/usr/bin", "/usr/sbin", "/usr/lib", "/usr/share"} {
		_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				names = append(names, path)
			}
			return nil
		})
	}
	if len(names) == 0 {
		b.Fatal("there are no files below /usr")
	}
	i := 0
	return func() string { i++; return names[(i-1)*7919%len(names)] }
}

func benchTar(b *testing.B, next func() string, size int, archives bool) []byte {
	b.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for buf.Len() < size {
		name := next()
		data, err := os.ReadFile(name)
		if err != nil || len(data) > size/4 {
			continue
		}
		if !archives && scan.Sniff(data) != scan.Plain {
			continue
		}
		if err := w.WriteHeader(&tar.Header{Name: name[1:], Mode: 0o644, Size: int64(len(data))}); err != nil {
			b.Fatal(err)
		}
		_, _ = w.Write(data)
	}
	_ = w.Close()
	return buf.Bytes()
}

func eachLayer(b *testing.B, layers []string, walk func(string) error) {
	group, _ := errgroup.WithContext(context.Background())
	group.SetLimit(runtime.GOMAXPROCS(0))
	for _, name := range layers {
		group.Go(func() error { return walk(name) })
	}
	if err := group.Wait(); err != nil {
		b.Fatal(err)
	}
}

func walkBare(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	in := bufio.NewReaderSize(f, 1<<20)
	var r io.Reader = in
	switch head, _ := in.Peek(4); {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		if r, err = kgzip.NewReader(in); err != nil {
			return err
		}
	case bytes.Equal(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		dec, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true))
		if err != nil {
			return err
		}
		defer dec.Close()
		r = dec
	}
	tr := tar.NewReader(bufio.NewReaderSize(r, 1<<20))
	for {
		_, err := tr.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if _, err := io.Copy(io.Discard, tr); err != nil {
			return err
		}
	}
}

// deaf is a visitor that does nothing.
type deaf struct{}

func (deaf) Stream(scan.Path) scan.Sink { return deaf{} }
func (deaf) Unread(scan.Path, error)    {}
func (deaf) Write([]byte)               {}
func (deaf) Member(scan.Path, int64)    {}
func (deaf) Text(string, string)        {}
func (deaf) Close()                     {}

func walkNested(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	return scan.Walk(context.Background(), f, "", deaf{}, scan.Limits{MustUnpack: true})
}
