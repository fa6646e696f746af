package scan

import (
	"archive/tar"
	"bufio"
	"compress/flate"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// quiet is a visitor that does nothing.
type quiet struct{}

func (quiet) Stream(Path) Sink    { return quiet{} }
func (quiet) Unread(Path, error)  {}
func (quiet) Write([]byte)        {}
func (quiet) Member(Path, int64)  {}
func (quiet) Text(string, string) {}
func (quiet) Close()              {}

// layerFile writes a tar of up to 200 MB of the machine's own programs and libraries.
func layerFile(b *testing.B, compress func(io.Writer) io.WriteCloser) (path string, size int64) {
	path = filepath.Join(b.TempDir(), "layer")
	file, err := os.Create(path)
	must(err)
	packed := compress(file)
	w := tar.NewWriter(packed)
	for _, root := range []string{"/usr/bin", "/usr/lib", "/usr/share"} {
		_ = filepath.WalkDir(root, func(name string, e fs.DirEntry, err error) error {
			if err != nil || !e.Type().IsRegular() || size > 200<<20 {
				return nil
			}
			body, err := os.ReadFile(name)
			if err != nil || len(body) > 20<<20 {
				return nil
			}
			must(w.WriteHeader(&tar.Header{Name: name[1:], Size: int64(len(body)), Uname: "root", Gname: "root"}))
			_, err = w.Write(body)
			size += int64(len(body))
			return err
		})
	}
	must(w.Close(), packed.Close(), file.Close())
	return path, size
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

func BenchmarkWalk(b *testing.B) {
	for _, format := range []struct {
		name     string
		compress func(io.Writer) io.WriteCloser
		open     func(io.Reader) (io.Reader, error)
	}{
		{"tar", func(w io.Writer) io.WriteCloser { return nopCloser{w} }, func(r io.Reader) (io.Reader, error) { return r, nil }},
		{"gzip", func(w io.Writer) io.WriteCloser { z, _ := gzip.NewWriterLevel(w, flate.BestSpeed); return z },
			func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) }},
		{"zstd", func(w io.Writer) io.WriteCloser { z, _ := zstd.NewWriter(w); return z },
			func(r io.Reader) (io.Reader, error) { return zstd.NewReader(r, zstd.WithDecoderConcurrency(1)) }},
	} {
		path, size := layerFile(b, format.compress)
		b.Run(format.name+"/walk", func(b *testing.B) {
			benchmarkFile(b, path, size, func(f io.Reader) error {
				return Walk(b.Context(), f, "", quiet{}, Limits{MustUnpack: true})
			})
		})
		b.Run(format.name+"/archive-tar", func(b *testing.B) {
			benchmarkFile(b, path, size, func(f io.Reader) error {
				r, err := format.open(bufio.NewReaderSize(f, 256<<10))
				if err != nil {
					return err
				}
				return readTar(bufio.NewReaderSize(r, 256<<10))
			})
		})
	}
}

func benchmarkFile(b *testing.B, path string, size int64, read func(io.Reader) error) {
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		f, err := os.Open(path)
		if err != nil {
			b.Fatal(err)
		}
		if err := read(f); err != nil {
			b.Fatal(err)
		}
		_ = f.Close()
	}
}

func readTar(r io.Reader) error {
	tr := tar.NewReader(r)
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
