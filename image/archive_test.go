package image_test

import (
	"archive/tar"
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/klauspost/compress/zstd"

	"github.com/tightlip/tightlip/finding"
	"github.com/tightlip/tightlip/image"
	"github.com/tightlip/tightlip/image/imagetest"
)

// twice is an image with the same layer at both ends.
func twice(t testing.TB, body string) []imagetest.Step {
	t.Helper()
	same := []imagetest.File{{Name: "same", Body: body}}
	return []imagetest.Step{
		{CreatedBy: "COPY same", Files: same},
		{CreatedBy: "COPY other", Files: []imagetest.File{{Name: "other", Body: rand.Text()}}},
		{CreatedBy: "COPY same again", Files: same},
	}
}

func openTar(t testing.TB, raw []byte) image.Image {
	t.Helper()
	im, err := image.OpenTar(t.Context(), file(t, "image.tar", raw), image.Options{})
	return opened(t, im, err)
}

func packZstd(t testing.TB, raw []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return w.EncodeAll(raw, nil)
}

func TestDockerArchives(t *testing.T) {
	secret := rand.Text()
	img := imagetest.Image(t, "linux/amd64", twice(t, secret)...)
	id, err := img.ConfigName()
	if err != nil {
		t.Fatal(err)
	}
	styles := map[string][]byte{
		"old": imagetest.OldArchive(t, "app:1", img),
		"new": imagetest.NewArchive(t, "app:1", img),
	}
	for style, raw := range styles {
		for packing, packed := range map[string][]byte{"plain": raw, "gzip": imagetest.Gzip(t, raw), "zstd": packZstd(t, raw)} {
			t.Run(style+" "+packing, func(t *testing.T) {
				im := openTar(t, packed)
				checkDockerArchive(t, im, secret)
				if l := layoutOf(t, im); l.Digest != id.String() || len(l.Names) != 1 || l.Names[0] != "app:1" {
					t.Errorf("layout is %s %q, want %s app:1", l.Digest, l.Names, id)
				}
			})
		}
	}
}

// checkDockerArchive checks the archive of an image made by twice.
func checkDockerArchive(t *testing.T, im image.Image, secret string) {
	t.Helper()
	pieces := drain(t, im)
	found := containing(pieces, secret)
	if old := strings.HasSuffix(found[0].Path, "layer.tar"); old && len(found) != 1 {
		t.Errorf("the linked layer came %d times", len(found))
	}
	for _, p := range found {
		if p.Kind != finding.InLayer || !p.MustUnpack {
			t.Errorf("%s is a %s, must be unpacked: %v", p.Path, p.Kind, p.MustUnpack)
		}
	}
	if n := kinds(pieces)[finding.InConfig]; n != 1 {
		t.Errorf("%d configs, want 1", n)
	}
	l := layoutOf(t, im)
	if len(l.Platforms) != 1 || len(l.Platforms[0].Layers) != 3 {
		t.Fatalf("platforms %+v", l.Platforms)
	}
	layers := l.Platforms[0].Layers
	if layers[0].Path != layers[2].Path || layers[0].Path != found[0].Path {
		t.Errorf("layers are in %s and %s, the content in %s", layers[0].Path, layers[2].Path, found[0].Path)
	}
	for i, layer := range layers {
		if layer.Digest == "" || layer.Digest != layer.DiffID || layer.History != i {
			t.Errorf("layer %d is %+v", i, layer)
		}
	}
}

func TestCompressedArchiveIsSequential(t *testing.T) {
	big := strings.Repeat(rand.Text(), 1000)
	raw := imagetest.NewArchive(t, "app:1", imagetest.Image(t, "linux/amd64", twice(t, big)...))
	im := openTar(t, imagetest.Gzip(t, raw))
	var before image.Blob
	for b, err := range im.Blobs(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if before.Sequential {
			if _, err := before.Open(); !errors.Is(err, image.ErrPassed) {
				t.Errorf("opening a blob that has passed: %v, want ErrPassed", err)
			}
			return
		}
		before = b
	}
	t.Fatal("no blob was sequential")
}

func TestArchiveChecksDiffIDs(t *testing.T) {
	body := strings.Repeat("a", 2000)
	img := imagetest.Image(t, "linux/amd64", imagetest.Step{CreatedBy: "x", Files: []imagetest.File{{Name: "f", Body: body}}})
	for style, raw := range map[string][]byte{
		"old": imagetest.OldArchive(t, "app:1", img), "new": imagetest.NewArchive(t, "app:1", img),
	} {
		changed := bytes.Replace(raw, []byte(body), []byte(strings.Repeat("b", len(body))), 1)
		for _, packed := range [][]byte{changed, imagetest.Gzip(t, changed)} {
			if err := failure(t, openTar(t, packed)); !errors.Is(err, image.ErrDigest) {
				t.Errorf("%s: reading a changed layer: %v, want ErrDigest", style, err)
			}
		}
	}
}

func TestOCIArchiveWithLooseFile(t *testing.T) {
	loose := rand.Text()
	index, signer := full(t, `{"_type":"statement"}`, "signature")
	dir := imagetest.Layout(t, "v1", index, signer)
	raw := pack(t, dir, imagetest.File{Name: "notes.txt", Body: loose, PAX: map[string]string{"SCHILY.xattr.user.k": "v"}})
	im := openTar(t, raw)
	checkFull(t, im, `{"_type":"statement"}`, "signature")
	found := containing(drain(t, im), loose)
	if len(found) != 1 || found[0].Kind != finding.InMetadata || found[0].Text["xattr.user.k"] != "v" {
		t.Errorf("the file that nothing refers to is %+v", found)
	}
}

func TestSavedArchiveMayLackPlatforms(t *testing.T) {
	here := sample(t, "linux/amd64")
	index := imagetest.Index(t, here, sample(t, "linux/arm64"))
	dir := imagetest.Layout(t, "v1", index)
	gone := imagetest.Descriptor(t, sampleAt(t, index, 1)).Digest.Hex
	config, err := here.ConfigName()
	if err != nil {
		t.Fatal(err)
	}
	manifest := `[{"Config":"blobs/sha256/` + config.Hex + `","Layers":["blobs/sha256/` + layerHex(t, here, 0) +
		`","blobs/sha256/` + layerHex(t, here, 1) + `"]}]`
	without := func(name string) bool { return strings.HasSuffix(name, gone) }

	im := openTar(t, packWithout(t, dir, without, imagetest.File{Name: "manifest.json", Body: manifest}))
	l := layoutOf(t, im)
	if len(l.Platforms) != 1 || len(l.Absent) != 1 || l.Absent[0].String() != "linux/arm64" {
		t.Errorf("platforms %v, absent %v", l.Platforms, l.Absent)
	}
	_, err = image.OpenTar(t.Context(), file(t, "oci.tar", packWithout(t, dir, without)), image.Options{})
	if !errors.Is(err, image.ErrMissing) {
		t.Errorf("an OCI archive that lacks a platform: %v, want ErrMissing", err)
	}
}

func TestArchiveOfCompressedLayers(t *testing.T) {
	img := sample(t, "linux/amd64")
	tag, err := name.NewTag("app:1")
	must(t, err)
	path := file(t, "image.tar", nil)
	must(t, tarball.WriteToFile(path, tag, img)) // layers are HEX.tar.gz, the config is sha256:HEX
	im, err := image.OpenTar(t.Context(), path, image.Options{})
	im = opened(t, im, err)
	for i, l := range layoutOf(t, im).Platforms[0].Layers {
		if l.Digest != "sha256:"+layerHex(t, img, i) || l.DiffID == "" || l.DiffID == l.Digest {
			t.Errorf("layer %d is %+v", i, l)
		}
	}
	if n := kinds(drain(t, im))[finding.InLayer]; n != 2 {
		t.Errorf("%d layers, want 2", n)
	}
}

func TestArchivePackedWithXZ(t *testing.T) {
	magic := "\xfd7zXZ\x00"
	raw := imagetest.NewArchive(t, "app:1", imagetest.Image(t, "linux/amd64", twice(t, "body")...))
	path := file(t, "image.tar.xz", append([]byte(magic), raw...))
	unpack := func(r io.Reader) (io.Reader, error) {
		_, err := io.CopyN(io.Discard, r, int64(len(magic)))
		return r, err
	}
	im, err := image.OpenTar(t.Context(), path, image.Options{XZ: unpack})
	checkDockerArchive(t, opened(t, im, err), "body")
}

func TestRootFileSystemTar(t *testing.T) {
	raw := imagetest.Tar(t,
		imagetest.File{Name: "index.json", Body: `{"name":"a web app"}`},
		imagetest.File{Name: "manifest.json", Body: `[{"src":"icon.png"}]`},
		imagetest.File{Name: "etc/passwd", Body: "root"})
	for _, packed := range [][]byte{raw, imagetest.Gzip(t, raw), packZstd(t, raw)} {
		im := openTar(t, packed)
		pieces := drain(t, im)
		if len(pieces) != 1 || !pieces[0].MustUnpack || pieces[0].Kind != finding.InFile || pieces[0].bytes != string(packed) {
			t.Errorf("blobs are %+v, want the file itself", kinds(pieces))
		}
		if l := layoutOf(t, im); l.Digest != "" || len(l.Platforms) != 0 {
			t.Errorf("a root file system has the layout %+v", l)
		}
	}
}

// TestPartialArchives lacks a layer: it is told where it is opened, and the others are there.
func TestPartialArchives(t *testing.T) {
	img := sample(t, "linux/amd64")
	config, err := img.ConfigName()
	must(t, err)
	blob := func(i int) string { return "blobs/sha256/" + layerHex(t, img, i) }
	manifest := `[{"Config":"blobs/sha256/` + config.Hex + `","Layers":["` + blob(0) + `","` + blob(1) + `"]}]`
	dir := imagetest.Layout(t, "v1", img)
	first := func(name string) bool { return strings.HasSuffix(name, blob(0)) }
	for style, raw := range map[string][]byte{
		"old":        without(t, imagetest.OldArchive(t, "app:1", img), strings.Repeat("a", 64)+"/layer.tar"),
		"new":        without(t, imagetest.NewArchive(t, "app:1", img), "blobs/sha256/"+diffHex(t, img, 0)),
		"containerd": packWithout(t, dir, first, imagetest.File{Name: "manifest.json", Body: manifest}),
		"oci":        packWithout(t, dir, first),
	} {
		for packing, packed := range map[string][]byte{"plain": raw, "gzip": imagetest.Gzip(t, raw)} {
			t.Run(style+" "+packing, func(t *testing.T) {
				path := file(t, "image.tar", packed)
				if _, err := image.OpenTar(t.Context(), path, image.Options{}); !errors.Is(err, image.ErrMissing) {
					t.Errorf("without Partial: %v, want ErrMissing", err)
				}
				im, err := image.OpenTar(t.Context(), path, image.Options{Partial: true})
				im = opened(t, im, err)
				var there, missing []image.Blob
				for b, err := range im.Blobs(t.Context()) {
					must(t, err)
					if b.Kind != finding.InLayer {
						continue
					}
					r, err := b.Open()
					if errors.Is(err, image.ErrMissing) {
						missing = append(missing, b)
						continue
					}
					must(t, err)
					_, err = io.Copy(io.Discard, r)
					must(t, err)
					there = append(there, b)
				}
				layers := layoutOf(t, im).Platforms[0].Layers
				if len(layers) != 2 || len(there) != 1 || !layers[1].Is(there[0]) || len(missing) != 1 || !layers[0].Is(missing[0]) || layers[1].Is(missing[0]) {
					t.Errorf("layers %+v, there %+v, missing %+v", layers, there, missing)
				}
			})
		}
	}
}

// without is an archive without the entry of that name.
func without(t *testing.T, archive []byte, name string) []byte {
	t.Helper()
	var kept []imagetest.File
	for m, err := range image.Members(bytes.NewReader(archive)) {
		must(t, err)
		body, err := io.ReadAll(m)
		must(t, err)
		if m.Name != name {
			kept = append(kept, imagetest.File{Name: m.Name, Body: string(body), Type: m.Typeflag, Link: m.Linkname})
		}
	}
	return imagetest.Tar(t, kept...)
}

func diffHex(t *testing.T, img v1.Image, i int) string {
	t.Helper()
	layers, err := img.Layers()
	must(t, err)
	id, err := layers[i].DiffID()
	must(t, err)
	return id.Hex
}

func TestArchivesThatCannotBeRead(t *testing.T) {
	img := sample(t, "linux/amd64")
	raw := imagetest.NewArchive(t, "app:1", img)
	gz := imagetest.Gzip(t, raw)
	for label, c := range map[string]struct {
		raw  []byte
		want error
	}{
		"not a tar":      {bytes.Repeat([]byte("text "), 500), image.ErrNotTar},
		"cut short":      {raw[:len(raw)/2/512*512], io.ErrUnexpectedEOF},
		"cut gzip":       {gz[:len(gz)/2], io.ErrUnexpectedEOF},
		"xz":             {[]byte("\xfd7zXZ\x00 and so on"), nil},
		"missing layer":  {imagetest.Tar(t, imagetest.File{Name: "c", Body: "{}"}, imagetest.File{Name: "manifest.json", Body: `[{"Config":"c","Layers":["l"]}]`}), image.ErrMissing},
		"missing config": {imagetest.Tar(t, imagetest.File{Name: "manifest.json", Body: `[{"Config":"c"}]`}), image.ErrMissing},
		"circle":         {imagetest.Tar(t, imagetest.File{Name: "c", Type: tar.TypeSymlink, Link: "c"}, imagetest.File{Name: "manifest.json", Body: `[{"Config":"c"}]`}), image.ErrMissing},
	} {
		_, err := image.OpenTar(t.Context(), file(t, "x.tar", c.raw), image.Options{})
		if err == nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", label, err, c.want)
		}
	}
}

func FuzzOpenTar(f *testing.F) {
	img := imagetest.Image(f, "linux/amd64", twice(f, "body")...)
	f.Add(imagetest.OldArchive(f, "app:1", img))
	f.Add(imagetest.NewArchive(f, "app:1", img))
	f.Add(pack(f, imagetest.Layout(f, "v1", img)))
	f.Add(imagetest.Gzip(f, imagetest.NewArchive(f, "app:1", img)))
	f.Fuzz(func(t *testing.T, raw []byte) {
		im, err := image.OpenTar(t.Context(), file(t, "x", raw), image.Options{})
		if err != nil {
			return
		}
		defer im.Close()
		members := map[string]bool{}
		for b, err := range im.Blobs(t.Context()) {
			if err != nil {
				return
			}
			members[b.Path] = true
			if r, err := b.Open(); err == nil {
				_, _ = io.Copy(io.Discard, r)
				r.Close()
			}
		}
		for _, p := range layoutOf(t, im).Platforms {
			for _, l := range p.Layers {
				if l.Path != "" && !members[l.Path] {
					t.Fatalf("layer %s is in no blob", l.Path)
				}
			}
		}
	})
}

// TestOpenTarEmpty: an empty file must not count as an image without secrets.
func TestOpenTarEmpty(t *testing.T) {
	for name, content := range map[string][]byte{"nothing": nil, "gzip of nothing": imagetest.Gzip(t, nil), "end blocks": make([]byte, 1024)} {
		if img, err := image.OpenTar(t.Context(), file(t, "root.tar", content), image.Options{}); err == nil {
			img.Close()
			t.Errorf("%s was opened as an image", name)
		}
	}
}
