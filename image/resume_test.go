package image_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/tightlip/tightlip/image"
	"github.com/tightlip/tightlip/image/imagetest"
)

// shaky breaks off the answers to requests for one blob.
type shaky struct {
	cuts     []int  // bytes after which each answer breaks off, -1 for never; the last one counts for all that follow
	noRange  bool   // it does not know what a Range is
	answered string // the Content-Range of what it answers to one, unless ""; of LAST and SIZE
	other    bool   // the rest is of another blob

	path   string
	mu     sync.Mutex
	ranges []string // the Range of each request
}

func (s *shaky) wrap(inner http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.path == "" || r.URL.Path != s.path || r.Method != http.MethodGet {
			inner.ServeHTTP(w, r)
			return
		}
		s.mu.Lock()
		cut := s.cuts[min(len(s.ranges), len(s.cuts)-1)]
		s.ranges = append(s.ranges, r.Header.Get("Range"))
		s.mu.Unlock()
		whole := r.Clone(r.Context())
		whole.Header.Del("Range") // which the registry in memory knows only with an end
		rec := httptest.NewRecorder()
		inner.ServeHTTP(rec, whole)
		body := rec.Body.Bytes()
		c := &cutting{ResponseWriter: w, left: cut}
		if r.Header.Get("Range") != "" {
			c.answered = strings.NewReplacer("LAST", fmt.Sprint(len(body)-1), "SIZE", fmt.Sprint(len(body))).Replace(s.answered)
			if s.other {
				body = make([]byte, len(body))
			}
		}
		if s.noRange {
			r = whole
		}
		http.ServeContent(c, r, "", time.Time{}, bytes.NewReader(body))
	})
}

// cutting ends the connection after some bytes.
type cutting struct {
	http.ResponseWriter
	left     int
	answered string
}

func (c *cutting) WriteHeader(code int) {
	if c.answered != "" {
		c.Header().Set("Content-Range", c.answered)
	}
	c.ResponseWriter.WriteHeader(code)
}

func (c *cutting) Write(p []byte) (int, error) {
	if c.left < 0 {
		return c.ResponseWriter.Write(p)
	}
	n, _ := c.ResponseWriter.Write(p[:min(len(p), c.left)])
	if c.left -= n; c.left == 0 {
		_ = http.NewResponseController(c.ResponseWriter).Flush()
		panic(http.ErrAbortHandler)
	}
	return n, nil
}

// openShaky opens the only layer of an image in a registry that s stands before.
func openShaky(t *testing.T, ctx context.Context, s *shaky) (layer image.Blob) {
	t.Helper()
	host, keys := imagetest.Registry(t, s.wrap)
	ref := pushLarge(t, host, keys)
	im, err := image.OpenRegistry(t.Context(), ref, image.Options{Keychain: keys})
	im = opened(t, im, err)
	l := layoutOf(t, im).Platforms[0].Layers[0]
	s.path = "/v2/team/large/blobs/" + l.Digest
	for b, err := range im.Blobs(ctx) {
		must(t, err)
		if b.Digest == l.Digest {
			return b
		}
	}
	t.Fatal("the image has no layer")
	return layer
}

// pushLarge pushes an image whose layer has a few hundred kilobytes that do not compress.
func pushLarge(t *testing.T, host string, keys authn.Keychain) string {
	t.Helper()
	body := make([]byte, 300_000)
	_, _ = rand.Read(body)
	img := imagetest.Image(t, "linux/amd64", imagetest.Step{CreatedBy: "COPY", Files: []imagetest.File{{Name: "large", Body: string(body)}}})
	ref, err := name.NewTag(host + "/team/large:v1")
	must(t, err)
	must(t, remote.Write(ref, img, remote.WithAuthFromKeychain(keys)))
	return ref.Name()
}

func readLayer(b image.Blob) (int64, error) {
	r, err := b.Open()
	if err != nil {
		return 0, err
	}
	defer r.Close()
	return io.Copy(io.Discard, r)
}

func TestResume(t *testing.T) {
	t.Cleanup(image.SetFirstPause(time.Millisecond))
	for label, cuts := range map[string][]int{
		"whole":             {-1},
		"twice":             {1000, 70_000, -1},
		"at once":           {0, 0, 1, -1},
		"without progress":  {10, 0, 0, 0, 0, -1},
		"progress counts":   {0, 0, 0, 0, 1, 0, 0, 0, 0, 1, -1},
		"before its end":    {300_000, -1},
		"again and again":   {50_000},
		"with most of it":   {299_000, -1},
		"in many one bytes": {1, 1, 1, 1, 1, 1, 1, 1, 1, -1},
	} {
		s := &shaky{cuts: cuts}
		b := openShaky(t, t.Context(), s)
		n, err := readLayer(b) // checks the digest
		if err != nil || n != b.Size {
			t.Errorf("%s: %d of %d bytes, %v", label, n, b.Size, err)
		}
		for i, want := range s.ranges {
			if (i > 0) != strings.HasPrefix(want, "bytes=") {
				t.Errorf("%s: the requests were for %q", label, s.ranges)
			}
		}
		if label != "again and again" && len(s.ranges) != len(cuts) {
			t.Errorf("%s: %d requests, not %d", label, len(s.ranges), len(cuts))
		}
	}
}

func TestResumeFails(t *testing.T) {
	t.Cleanup(image.SetFirstPause(time.Millisecond))
	for label, c := range map[string]struct {
		*shaky
		requests int
		want     error
	}{
		"no ranges":     {&shaky{cuts: []int{1000}, noRange: true}, 2, io.ErrUnexpectedEOF},
		"another range": {&shaky{cuts: []int{1000}, answered: "bytes 0-LAST/SIZE"}, 2, io.ErrUnexpectedEOF},
		"too little":    {&shaky{cuts: []int{1000}, answered: "bytes 1000-2000/SIZE"}, 2, io.ErrUnexpectedEOF},
		"another size":  {&shaky{cuts: []int{1000}, answered: "bytes 1000-99999999/100000000"}, 2, io.ErrUnexpectedEOF},
		"endless":       {&shaky{cuts: []int{1000, 0}}, 6, io.ErrUnexpectedEOF},
		"other bytes":   {&shaky{cuts: []int{1000, -1}, other: true}, 2, image.ErrDigest},
	} {
		_, err := readLayer(openShaky(t, t.Context(), c.shaky))
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", label, err, c.want)
		}
		if len(c.ranges) != c.requests {
			t.Errorf("%s: %d requests, not %d: %q", label, len(c.ranges), c.requests, c.ranges)
		}
	}
}

func TestResumeCancelled(t *testing.T) {
	t.Cleanup(image.SetFirstPause(time.Hour))
	ctx, cancel := context.WithCancel(t.Context())
	b := openShaky(t, ctx, &shaky{cuts: []int{1000}})
	time.AfterFunc(50*time.Millisecond, cancel)
	if _, err := readLayer(b); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want that it was cancelled", err)
	}
}
