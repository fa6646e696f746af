package e2e

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/tightlip/tightlip/internal/enginetest"
)

const (
	largeSize  = 5_000_000_000 // bytes
	layerCount = 10
	memory     = 150 << 10 // KiB
	patience   = 40 * time.Second
)

// TestLargeImage proves an image of 5 GB, half of it compressed, in little memory. Its last bytes hold the secret.
func TestLargeImage(t *testing.T) {
	t.Logf("making an image of %d GB", largeSize/1_000_000_000)
	b := newEmbeddedBox(t)
	value := enginetest.PlainCanary()
	b.Env["NPM_TOKEN"] = value
	dir := filepath.Join(b.Work, "large")
	makeLarge(t, dir, []byte(value))

	cmd := b.Command(enginetest.Binary(t), "prove", "oci:large", "--secret", "id=npm,env=NPM_TOKEN", "--format", "json")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	start := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	peak := watchMemory(cmd.Process.Pid)
	_ = cmd.Wait()
	took := time.Since(start)
	r := enginetest.Result{Stdout: stdout.String(), Stderr: stderr.String(), Code: cmd.ProcessState.ExitCode()}
	wantCode(t, r, 3)
	o := parse(t, r)
	kib := <-peak
	t.Logf("%s in %s with %d MB", fmt.Sprintf("%.1f GB", float64(o.Proof.Bytes)/1e9), took.Round(time.Millisecond), kib>>10)
	if o.Proof.Bytes < largeSize || len(o.Findings) != 1 || o.Findings[0].Layer != layerCount || o.Findings[0].Path != "data" {
		t.Errorf("the report says %+v and %+v", o.Proof, o.Findings)
	}
	if kib > memory {
		t.Errorf("it used %d KiB of memory, more than %d", kib, memory)
	}
	if took > patience {
		t.Errorf("it took %s, more than %s", took, patience)
	}
}

// watchMemory sends the most memory, in KiB, that a process ever had, once it has ended.
func watchMemory(pid int) <-chan int {
	pattern := regexp.MustCompile(`VmHWM:\s+(\d+) kB`)
	out := make(chan int, 1)
	go func() {
		peak := 0
		for {
			status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
			m := pattern.FindSubmatch(status)
			if err != nil || m == nil { // a process that has ended has no memory
				out <- peak
				return
			}
			peak, _ = strconv.Atoi(string(m[1]))
			time.Sleep(10 * time.Millisecond)
		}
	}()
	return out
}

// makeLarge writes an OCI layout whose last layer ends in tail. Odd layers are compressed.
func makeLarge(t *testing.T, dir string, tail []byte) {
	t.Helper()
	block := make([]byte, 50<<20)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(block)
	words := bytes.Repeat([]byte("it was the best of times, it was the worst of times;\n"), 1<<20)
	var layers []v1.Descriptor
	var diffIDs []digest.Digest
	for i := range layerCount {
		content, mediaType := block, v1.MediaTypeImageLayer
		if i%2 == 1 {
			content, mediaType = words, v1.MediaTypeImageLayerGzip
		}
		var end []byte
		if i == layerCount-1 {
			end = tail
		}
		var diffID digest.Digest
		desc := writeBlob(t, dir, mediaType, func(w io.Writer) {
			diffID = writeLayer(t, w, i%2 == 1, content, int64(i), end)
		})
		layers, diffIDs = append(layers, desc), append(diffIDs, diffID)
	}
	config := writeJSON(t, dir, v1.MediaTypeImageConfig, v1.Image{
		Platform: v1.Platform{OS: "linux", Architecture: "amd64"}, RootFS: v1.RootFS{Type: "layers", DiffIDs: diffIDs},
	})
	manifest := writeJSON(t, dir, v1.MediaTypeImageManifest, v1.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageManifest, Config: config, Layers: layers,
	})
	index, err := json.Marshal(v1.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageIndex, Manifests: []v1.Descriptor{manifest}})
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{v1.ImageIndexFile: index, v1.ImageLayoutFile: []byte(`{"imageLayoutVersion":"1.0.0"}`)} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// writeLayer writes a layer with one file of many times content, a number that makes it differ from others, and end.
func writeLayer(t *testing.T, w io.Writer, compress bool, content []byte, number int64, end []byte) digest.Digest {
	t.Helper()
	if compress {
		z, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
		if err != nil {
			t.Fatal(err)
		}
		defer z.Close()
		w = z
	}
	sum := sha256.New()
	tw := tar.NewWriter(io.MultiWriter(w, sum))
	times := largeSize/layerCount/len(content) + 1
	note := fmt.Sprintf("\nlayer %d\n", number)
	size := int64(times*len(content) + len(note) + len(end))
	if err := tw.WriteHeader(&tar.Header{Name: "data", Mode: 0o644, Size: size}); err != nil {
		t.Fatal(err)
	}
	for range times {
		_, _ = tw.Write(content)
	}
	_, _ = tw.Write(append([]byte(note), end...))
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	return digest.NewDigestFromBytes(digest.SHA256, sum.Sum(nil))
}

// writeBlob writes a blob of an OCI layout under its digest.
func writeBlob(t *testing.T, dir, mediaType string, write func(io.Writer)) v1.Descriptor {
	t.Helper()
	blobs := filepath.Join(dir, v1.ImageBlobsDir, "sha256")
	if err := os.MkdirAll(blobs, 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.CreateTemp(blobs, "new-*")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	sum := sha256.New()
	write(io.MultiWriter(f, sum))
	size, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		t.Fatal(err)
	}
	name := hex.EncodeToString(sum.Sum(nil))
	if err := os.Rename(f.Name(), filepath.Join(blobs, name)); err != nil {
		t.Fatal(err)
	}
	return v1.Descriptor{MediaType: mediaType, Digest: digest.NewDigestFromEncoded(digest.SHA256, name), Size: size}
}

func writeJSON(t *testing.T, dir, mediaType string, v any) v1.Descriptor {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return writeBlob(t, dir, mediaType, func(w io.Writer) { _, _ = w.Write(data) })
}
