package image_test

import (
	"archive/tar"
	"bytes"
	"iter"
	"maps"
	"testing"

	"github.com/tightlip/tightlip/image"
	"github.com/tightlip/tightlip/image/imagetest"
)

func TestHides(t *testing.T) {
	for _, c := range []struct {
		entry          imagetest.File
		path           string
		hides, deleted bool
	}{
		{imagetest.File{Name: "root/.wh..npmrc"}, "root/.npmrc", true, true},
		{imagetest.File{Name: "./root/.wh..npmrc"}, "/root/.npmrc", true, true},
		{imagetest.File{Name: ".wh.root"}, "root/a/b", true, true},
		{imagetest.File{Name: ".wh.root"}, "rooted", false, true},
		{imagetest.File{Name: "root/.wh..wh..opq"}, "root/a", true, true},
		{imagetest.File{Name: "root/.wh..wh..opq"}, "root", false, true},
		{imagetest.File{Name: "root/.wh..wh..opq"}, "rooted/a", false, true},
		{imagetest.File{Name: ".wh..wh..opq"}, "a", true, true},
		{imagetest.File{Name: ".wh..wh.plnk"}, ".wh.plnk", false, false},
		{imagetest.File{Name: "root/.wh."}, "root/x", false, false},
		{imagetest.File{Name: "root/.wh..."}, "root/x", false, false},
		{imagetest.File{Name: "a/b"}, "a/b", true, false},
		{imagetest.File{Name: "a/b"}, "a/b/c", true, false},
		{imagetest.File{Name: "a", Type: tar.TypeSymlink, Link: "x"}, "a/b", true, false},
		{imagetest.File{Name: "a/"}, "a/b", false, false},
		{imagetest.File{Name: "a/"}, "a", true, false},
		{imagetest.File{Name: "a/b"}, "a/bc", false, false},
		{imagetest.File{Name: "a/b"}, "a", false, false},
	} {
		for h, err := range image.Headers(bytes.NewReader(imagetest.Tar(t, c.entry))) {
			if err != nil {
				t.Fatal(err)
			}
			hides, deleted := image.Hides(h, c.path)
			if hides != c.hides || hides && deleted != c.deleted {
				t.Errorf("%s hides %s: %v, deleted %v", c.entry.Name, c.path, hides, deleted)
			}
		}
	}
}

func TestHidden(t *testing.T) {
	layers := [][]byte{
		imagetest.Tar(t, imagetest.File{Name: "a"}, imagetest.File{Name: "b"}, imagetest.File{Name: "c"}),
		imagetest.Tar(t, imagetest.File{Name: "b"}),
		imagetest.Tar(t, imagetest.File{Name: ".wh.a"}, imagetest.File{Name: ".wh.b"}),
		imagetest.Tar(t, imagetest.File{Name: "a"}),
	}
	reads := map[int]int{}
	headers := func(layer int) iter.Seq2[*tar.Header, error] {
		reads[layer]++
		return image.Headers(bytes.NewReader(layers[layer-1]))
	}
	files := []image.File{{Layer: 1, Path: "a"}, {Layer: 1, Path: "b"}, {Layer: 2, Path: "b"}}
	got, err := image.Hidden(files, len(layers), headers)
	want := map[image.File]image.Hiding{
		files[0]: {Layer: 3, Deleted: true}, files[1]: {Layer: 2}, files[2]: {Layer: 3, Deleted: true},
	}
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("Hidden = %v, %v, want %v", got, err, want)
	}
	if !maps.Equal(reads, map[int]int{2: 1, 3: 1}) {
		t.Errorf("layers were read %v times, want the second and third once", reads)
	}
	got, err = image.Hidden([]image.File{{Layer: 1, Path: "c"}}, len(layers), headers)
	if err != nil || len(got) != 0 {
		t.Errorf("a visible file: %v, %v", got, err)
	}
}

func TestHiddenReportsUnreadableLayers(t *testing.T) {
	bad := func(int) iter.Seq2[*tar.Header, error] { return image.Headers(bytes.NewReader([]byte("no tar here"))) }
	if _, err := image.Hidden([]image.File{{Layer: 1, Path: "a"}}, 2, bad); err == nil {
		t.Error("a layer that cannot be read is no error")
	}
}
