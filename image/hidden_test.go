package image_test

import (
	"archive/tar"
	"bytes"
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
