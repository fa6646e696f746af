package image_test

import (
	"crypto/rand"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/tightlip/tightlip/finding"
	"github.com/tightlip/tightlip/image"
	"github.com/tightlip/tightlip/image/imagetest"
)

// piece is a blob with its bytes.
type piece struct {
	image.Blob
	bytes string
}

// drain reads all blobs of an image.
func drain(t testing.TB, im image.Image) []piece {
	t.Helper()
	var out []piece
	for b, err := range im.Blobs(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, piece{b, read(t, b)})
	}
	return out
}

func read(t testing.TB, b image.Blob) string {
	t.Helper()
	r, err := b.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	raw, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("reading %s %s: %v", b.Path, b.Digest, err)
	}
	return string(raw)
}

// failure reads blobs until one cannot be had.
func failure(t testing.TB, im image.Image) error {
	t.Helper()
	for b, err := range im.Blobs(t.Context()) {
		if err != nil {
			return err
		}
		r, err := b.Open()
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, r)
		r.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// containing are the pieces with s in them.
func containing(pieces []piece, s string) []piece {
	var out []piece
	for _, p := range pieces {
		if strings.Contains(p.bytes, s) {
			out = append(out, p)
		}
	}
	return out
}

// kinds counts the pieces of each kind.
func kinds(pieces []piece) map[finding.Kind]int {
	n := map[finding.Kind]int{}
	for _, p := range pieces {
		n[p.Kind]++
	}
	return n
}

func layoutOf(t testing.TB, im image.Image) image.Layout {
	t.Helper()
	l, err := im.Layout(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func opened(t testing.TB, im image.Image, err error) image.Image {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := im.Close(); err != nil {
			t.Error(err)
		}
	})
	return im
}

func file(t testing.TB, name string, content []byte) string {
	t.Helper()
	p := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(p, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

// sample is an image with two layers and an entry that made none between them.
func sample(t testing.TB, platform string) v1.Image {
	t.Helper()
	return imagetest.Image(t, platform,
		imagetest.Step{CreatedBy: "COPY app /app", Files: []imagetest.File{{Name: "app", Body: rand.Text() + platform}}},
		imagetest.Step{CreatedBy: "ENV A=b"},
		imagetest.Step{CreatedBy: "RUN make " + platform, Files: []imagetest.File{{Name: "out", Body: strings.Repeat(rand.Text(), 200)}}},
	)
}

// pack makes an archive of a folder, with further files at its end.
func pack(t testing.TB, dir string, more ...imagetest.File) []byte {
	t.Helper()
	return packWithout(t, dir, func(string) bool { return false }, more...)
}

func packWithout(t testing.TB, dir string, without func(string) bool, more ...imagetest.File) []byte {
	t.Helper()
	var files []imagetest.File
	root := os.DirFS(dir)
	err := fs.WalkDir(root, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || without(p) {
			return err
		}
		raw, err := fs.ReadFile(root, p)
		files = append(files, imagetest.File{Name: p, Body: string(raw)})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return imagetest.Tar(t, append(files, more...)...)
}

func sampleAt(t testing.TB, index v1.ImageIndex, i int) v1.Image {
	t.Helper()
	m, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	img, err := index.Image(m.Manifests[i].Digest)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func layerHex(t testing.TB, img v1.Image, i int) string {
	t.Helper()
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	h, err := layers[i].Digest()
	if err != nil {
		t.Fatal(err)
	}
	return h.Hex
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
