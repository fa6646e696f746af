package image

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"testing"

	"github.com/tightlip/tightlip/image/imagetest"
)

// FuzzStream reads what a daemon might send: whatever it is, a layer of the layout must have come by as one.
func FuzzStream(f *testing.F) {
	img := imagetest.Image(f, "linux/amd64",
		imagetest.Step{CreatedBy: "COPY a", Files: []imagetest.File{{Name: "a", Body: "a"}}},
		imagetest.Step{CreatedBy: "COPY b", Files: []imagetest.File{{Name: "b", Body: "b"}}})
	f.Add(imagetest.OldArchive(f, "app:1", img))
	f.Add(imagetest.NewArchive(f, "app:1", img))
	f.Fuzz(func(t *testing.T, raw []byte) {
		open := func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(raw)), nil }
		s := &stream{ref: "docker:x", open: open, close: func() error { return nil }}
		layers := map[string]bool{}
		for b, err := range s.Blobs(t.Context()) {
			if err != nil {
				return
			}
			if b.MustUnpack {
				layers[b.Path] = true
			}
			r, err := b.Open()
			if err != nil {
				t.Fatalf("opening %s in its time: %v", b.Path, err)
			}
			if _, err := io.Copy(io.Discard, r); err != nil {
				return
			}
		}
		for _, p := range s.layout.Platforms {
			for _, l := range p.Layers {
				if !layers[l.Path] {
					t.Fatalf("layer %q did not come by", l.Path)
				}
				if l.Digest == "" {
					t.Fatalf("layer %q has no digest", l.Path)
				}
			}
		}
	})
}

func TestCheckRedirect(t *testing.T) {
	request := func(s string) *http.Request {
		u, err := url.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		return &http.Request{URL: u}
	}
	public := []*http.Request{request("https://registry.example/v2/")}
	for to, allowed := range map[string]bool{
		"https://blobs.example/x":            true,
		"https://203.0.113.7/x":              true,
		"https://registry.example/other":     true,
		"http://169.254.169.254/latest":      false,
		"http://127.0.0.1/":                  false,
		"http://[::1]/":                      false,
		"http://[::ffff:10.0.0.1]/":          false,
		"http://192.168.0.1:5000/v2/x/blobs": false,
	} {
		if err := checkRedirect(request(to), public); (err == nil) != allowed {
			t.Errorf("redirect to %s: %v", to, err)
		}
	}
	if err := checkRedirect(request("https://registry.example/"), make([]*http.Request, 11)); err == nil {
		t.Error("eleven redirects were followed")
	}
}
