package scan

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tightlip/tightlip/internal/enginetest"
)

// most is how much memory a scan may need, in KiB.
const most = 150 << 10

// BenchmarkHostile scans images that are made to use up the memory. Each has a secret at its end.
func BenchmarkHostile(b *testing.B) {
	secret := "password = \"kX9vQ2mZ7t" + "Lb4Wc8RnJ5hY1s\"\n"
	words := strings.Repeat("it was the best of times, it was the worst of times; ", 1<<14)
	damaged := "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03" + "\x4b\x4c\x4a\x06"
	for _, shape := range []struct {
		name string
		fill func(w *tar.Writer) error
		told string // what is not read, or not told
	}{
		{"entries", func(w *tar.Writer) error { return manyMembers(w, 10_000_000, "") }, "too many entries"},
		{"damaged", func(w *tar.Writer) error { return manyMembers(w, 2_000_000, damaged) }, "damaged"},
		{"links", func(w *tar.Writer) error { return manyLinks(w, 5_000_000) }, "too many entries"},
		{"line", func(w *tar.Writer) error { return longLine(w, words, 2<<30/len(words)) }, ""},
	} {
		b.Run(shape.name, func(b *testing.B) {
			dir := b.TempDir()
			writeLayout(b, dir, func(w *tar.Writer) error {
				if err := shape.fill(w); err != nil {
					return err
				}
				return member(w, "last.cfg", secret)
			})
			box := enginetest.NewBox(b, nil)
			for b.Loop() {
				cmd := box.Command(enginetest.Binary(b), "scan", "--format", "json", "oci:"+dir)
				var out, problems bytes.Buffer
				cmd.Stdout, cmd.Stderr = &out, &problems
				if err := cmd.Start(); err != nil {
					b.Fatal(err)
				}
				peak := peakMemory(cmd.Process.Pid)
				_ = cmd.Wait() // the exit code is not 0, for there is something
				var o object
				if err := json.Unmarshal(out.Bytes(), &o); err != nil {
					b.Fatalf("%v\n%s", err, problems.String())
				}
				if len(o.Findings) != 1 || o.Findings[0].Path != "last.cfg" {
					b.Errorf("found %.1000s", fmt.Sprint(o.Findings))
				}
				if told := len(o.Unread) > 0 && strings.Contains(o.Unread[0].Reason, shape.told); told != (shape.told != "") {
					b.Errorf("unread: %.1000s", fmt.Sprint(o.Unread))
				}
				kib := <-peak
				b.ReportMetric(float64(kib)/1024, "MB")
				if kib > most {
					b.Errorf("it used %d KiB of memory, more than %d", kib, most)
				}
			}
		})
	}
}

// peakMemory sends the most memory, in KiB, that a process ever had, once it has ended.
func peakMemory(pid int) <-chan int {
	out := make(chan int, 1)
	go func() {
		peak := 0
		for {
			status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
			_, rest, ok := strings.Cut(string(status), "VmHWM:")
			if err != nil || !ok { // a process that has ended has no memory
				out <- peak
				return
			}
			_, _ = fmt.Sscan(rest, &peak)
			time.Sleep(10 * time.Millisecond)
		}
	}()
	return out
}

func member(w *tar.Writer, name, body string) error {
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(body))}); err != nil {
		return err
	}
	_, err := io.WriteString(w, body)
	return err
}

func manyMembers(w *tar.Writer, n int, body string) error {
	for i := range n {
		if err := member(w, fmt.Sprintf("d%03d/f%d", i%1000, i), body); err != nil {
			return err
		}
	}
	return nil
}

func manyLinks(w *tar.Writer, n int) error {
	for i := range n {
		if err := w.WriteHeader(&tar.Header{Name: fmt.Sprintf("d%03d/f%d", i%1000, i), Typeflag: tar.TypeLink, Linkname: "last.cfg"}); err != nil {
			return err
		}
	}
	return nil
}

func longLine(w *tar.Writer, words string, times int) error {
	if err := w.WriteHeader(&tar.Header{Name: "line.txt", Mode: 0o644, Size: int64(times * len(words))}); err != nil {
		return err
	}
	for range times {
		if _, err := io.WriteString(w, words); err != nil {
			return err
		}
	}
	return nil
}

// writeLayout writes an OCI layout with one layer.
func writeLayout(b *testing.B, dir string, fill func(*tar.Writer) error) {
	b.Helper()
	must := func(err error) {
		if err != nil {
			b.Fatal(err)
		}
	}
	blobs := filepath.Join(dir, v1.ImageBlobsDir, "sha256")
	must(os.MkdirAll(blobs, 0o755))
	write := func(mediaType string, fill func(io.Writer) error) v1.Descriptor {
		f, err := os.CreateTemp(blobs, "new-*")
		must(err)
		defer f.Close()
		sum := sha256.New()
		must(fill(io.MultiWriter(f, sum)))
		size, err := f.Seek(0, io.SeekCurrent)
		must(err)
		d := digest.NewDigest(digest.SHA256, sum)
		must(os.Rename(f.Name(), filepath.Join(blobs, d.Encoded())))
		return v1.Descriptor{MediaType: mediaType, Digest: d, Size: size}
	}
	document := func(mediaType string, v any) v1.Descriptor {
		return write(mediaType, func(w io.Writer) error { return json.NewEncoder(w).Encode(v) })
	}
	layer := write(v1.MediaTypeImageLayerZstd, func(w io.Writer) error {
		z, err := zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
		must(err)
		t := tar.NewWriter(z)
		must(fill(t))
		must(t.Close())
		return z.Close()
	})
	config := document(v1.MediaTypeImageConfig, v1.Image{Platform: v1.Platform{OS: "linux", Architecture: "amd64"}})
	manifest := document(v1.MediaTypeImageManifest, v1.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageManifest, Config: config, Layers: []v1.Descriptor{layer},
	})
	index, err := json.Marshal(v1.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageIndex, Manifests: []v1.Descriptor{manifest}})
	must(err)
	must(os.WriteFile(filepath.Join(dir, v1.ImageIndexFile), index, 0o644))
	must(os.WriteFile(filepath.Join(dir, v1.ImageLayoutFile), []byte(`{"imageLayoutVersion":"1.0.0"}`), 0o644))
}
