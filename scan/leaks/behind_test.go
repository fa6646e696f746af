package leaks_test

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/zstd"

	"github.com/tightlip/tightlip/image"
	"github.com/tightlip/tightlip/image/imagetest"
	"github.com/tightlip/tightlip/scan/leaks"
)

// rawLayers is an image whose layers are these bytes.
func rawLayers(t *testing.T, layers ...[]byte) image.Image {
	t.Helper()
	img := mutate.MediaType(empty.Image, types.OCIManifestSchema1)
	img = mutate.ConfigMediaType(img, types.OCIConfigJSON)
	for _, raw := range layers {
		var err error
		if img, err = mutate.AppendLayers(img, static.NewLayer(raw, types.OCILayer)); err != nil {
			t.Fatal(err)
		}
	}
	opened, err := image.OpenLayout(context.Background(), imagetest.Layout(t, "app", img), "", image.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return opened
}

func packZstd(t *testing.T, raw []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return w.EncodeAll(raw, nil)
}

// stored is a zip archive of a file that is not compressed.
func stored(t *testing.T, name, body string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	f, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
	if err == nil {
		_, err = io.WriteString(f, body)
	}
	if err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// skippable is a frame of zstd that decompresses to nothing.
func skippable(data string) []byte {
	return append([]byte{0x53, 0x2a, 0x4d, 0x18, byte(len(data)), byte(len(data) >> 8), 0, 0}, data...)
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// TestBehindTheEnd has secrets in what tools do not look at: behind the end of an archive or of a compressed stream.
func TestBehindTheEnd(t *testing.T) {
	archive := imagetest.Tar(t, file("a.txt", strings.Repeat("nothing\n", 3)))
	gz, zst := imagetest.Gzip(t, archive), packZstd(t, archive)
	secret := []byte(setting(one))
	long := append(bytes.Repeat([]byte("some words that say nothing\n"), 100_000), secret...)
	more := imagetest.Tar(t, file("b.cfg", setting(one)))
	for name, data := range map[string][]byte{
		"text after gzip":            join(gz, secret),
		"much text after gzip":       join(gz, long),
		"text after padded gzip":     join(gz, make([]byte, 700), secret),
		"text like zlib after gzip":  join(gz, []byte("x^2\n"), secret),
		"tar after gzip":             join(gz, more),
		"zip after gzip":             join(gz, stored(t, "b.cfg", setting(one))),
		"gzip after gzip":            join(gz, make([]byte, 700), imagetest.Gzip(t, more)),
		"zstd after gzip":            join(gz, packZstd(t, more)),
		"script and gzip after gzip": join(gz, []byte("#!/bin/sh\n"), secret, gz),
		"text after zstd":            join(zst, secret),
		"frame after zstd":           join(zst, skippable(setting(one))),
		"frame in zstd":              join(zst, skippable(setting(one)), zst),
		"packed frame after zstd":    join(zst, skippable(string(imagetest.Gzip(t, secret)))),
		"text after tar":             join(archive, secret),
		"much text after tar":        join(archive, long),
		"text after tar in gzip":     imagetest.Gzip(t, join(archive, secret)),
		"tar after tar in gzip":      imagetest.Gzip(t, join(archive, more)),
		"text after gzip in gzip":    imagetest.Gzip(t, join(gz, secret)),
	} {
		t.Run(name, func(t *testing.T) {
			for place, layer := range map[string][]byte{"layer": data, "file": imagetest.Tar(t, file("f", string(data)))} {
				r := find(t, rawLayers(t, layer), leaks.Options{})
				if len(r.Findings) == 0 && len(r.Unread) == 0 {
					t.Errorf("%s: nothing was found, and nothing unread", place)
				}
				for _, f := range r.Findings {
					if !strings.HasPrefix(f.Place(), "layer 1") {
						t.Errorf("%s: found in %s", place, f.Place())
					}
				}
				if !strings.Contains(name, "zlib") && (len(r.Findings) == 0 || len(r.Unread) != 0) {
					t.Errorf("%s: found %q, unread %+v", place, places(r), r.Unread)
				}
			}
		})
	}
}

// TestExtractTwice has a path twice in a layer, and once more behind its end: each finding leads to its own file.
func TestExtractTwice(t *testing.T) {
	padded := setting(two) + strings.Repeat("nothing\n", 9)
	archive := imagetest.Tar(t, file("a.cfg", setting(one)), file("b", "nothing"), file("a.cfg", padded), file("c.tgz", string(imagetest.Gzip(t, imagetest.Tar(t, file("d.cfg", setting(three)))))))
	dir := t.TempDir()
	cache, err := leaks.OpenCache(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	for name, layer := range map[string][]byte{"tar": archive, "gzip": imagetest.Gzip(t, archive), "zstd": packZstd(t, archive)} {
		for _, again := range []string{"", ", cached"} {
			img := rawLayers(t, layer)
			r := find(t, img, leaks.Options{Cache: cache})
			var got []string
			for _, f := range r.Findings {
				var out bytes.Buffer
				if err := leaks.Extract(context.Background(), img, r.Layout, f, &out); err != nil {
					t.Errorf("%s: %v", f.Place(), err)
				}
				got = append(got, out.String())
			}
			if len(got) != 3 || got[0] != setting(one) || got[1] != padded || !strings.HasPrefix(got[2], "\x1f\x8b") {
				t.Errorf("%s%s: found %q, extracted %.200q", name, again, places(r), got)
			}
		}
	}
}

// TestExtractBehindTheEnd wants the layer itself for what is in no file of it, and nothing for a file of what follows.
func TestExtractBehindTheEnd(t *testing.T) {
	layer := join(imagetest.Gzip(t, imagetest.Tar(t, file("a.cfg", "x"))), []byte(setting(one)), make([]byte, 512))
	img := rawLayers(t, layer)
	r := find(t, img, leaks.Options{})
	var out bytes.Buffer
	if err := leaks.Extract(context.Background(), img, r.Layout, r.Findings[0], &out); err != nil || !bytes.Equal(out.Bytes(), layer) {
		t.Errorf("extracted %q: %v", out.String(), err)
	}
	img = rawLayers(t, join(imagetest.Gzip(t, imagetest.Tar(t, file("a.cfg", "x"))), imagetest.Tar(t, file("a.cfg", setting(one)))))
	r = find(t, img, leaks.Options{})
	if err := leaks.Extract(context.Background(), img, r.Layout, r.Findings[0], &out); !errors.Is(err, leaks.ErrGone) {
		t.Errorf("another file of that name was taken: %v", err)
	}
}

// TestManyUnread has more that cannot be read than anybody wants listed.
func TestManyUnread(t *testing.T) {
	var files []imagetest.File
	damaged := string(imagetest.Gzip(t, []byte("some words")))[:16]
	for i := range 3000 {
		files = append(files, file(fmt.Sprintf("f%d.gz", i), damaged))
	}
	r := find(t, rawLayers(t, imagetest.Tar(t, files...)), leaks.Options{})
	if n := len(r.Unread); n < 100 || n > 2000 || !strings.Contains(r.Unread[n-1].Reason, "more") {
		t.Errorf("%d unread, the last is %+v", n, r.Unread[max(n-1, 0):])
	}
}
