package leaks_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/tightlip/tightlip/image"
	"github.com/tightlip/tightlip/image/imagetest"
	"github.com/tightlip/tightlip/scan/leaks"
)

// slowRegistry is a registry with the image states.
type slowRegistry struct {
	ref     string
	options image.Options
	layers  []string

	mu   sync.Mutex
	read map[string]int // how often each blob was, by path
}

// newSlowRegistry starts one that calls hold before it answers with a blob.
func newSlowRegistry(t *testing.T, hold func(r *http.Request, digest string)) *slowRegistry {
	t.Helper()
	s := &slowRegistry{read: map[string]int{}}
	host, keys := imagetest.Registry(t, func(inner http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, digest, ok := strings.Cut(r.URL.Path, "/blobs/"); ok && r.Method == http.MethodGet {
				s.mu.Lock()
				s.read[digest]++
				s.mu.Unlock()
				hold(r, digest)
			}
			inner.ServeHTTP(w, r)
		})
	})
	tag, err := name.NewTag(host + "/app:1")
	if err != nil {
		t.Fatal(err)
	}
	img := states(t)
	if err := remote.Write(tag, img, remote.WithAuthFromKeychain(keys)); err != nil {
		t.Fatal(err)
	}
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range layers {
		d, err := l.Digest()
		if err != nil {
			t.Fatal(err)
		}
		s.layers = append(s.layers, d.String())
	}
	s.ref, s.options = tag.Name(), image.Options{Keychain: keys}
	return s
}

func (s *slowRegistry) find(ctx context.Context, cache *leaks.Cache) (*leaks.Result, error) {
	img, err := image.OpenRegistry(ctx, s.ref, s.options)
	if err != nil {
		return nil, err
	}
	defer img.Close()
	return leaks.Find(ctx, img, leaks.Options{Detector: detector, Cache: cache})
}

// TestSharedLayers wants a layer that several images have read once, also by searches at the same time.
func TestSharedLayers(t *testing.T) {
	s := newSlowRegistry(t, func(*http.Request, string) { time.Sleep(20 * time.Millisecond) })
	cache, err := leaks.OpenCache(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	results := make([]*leaks.Result, 5)
	for i := range results {
		all.Go(func() {
			r, err := s.find(t.Context(), cache)
			if err != nil {
				t.Error(err)
			}
			results[i] = r
		})
	}
	all.Wait()
	if t.Failed() {
		return
	}
	cached := 0
	for _, r := range results {
		cached += r.Stats.Cached
		if !slices.Equal(places(r), places(results[0])) || len(r.Findings) == 0 || r.Stats.Files != results[0].Stats.Files {
			t.Errorf("%q, and in another search %q", places(r), places(results[0]))
		}
	}
	if want := (len(results) - 1) * len(s.layers); cached != want {
		t.Errorf("%d layers were known, not %d", cached, want)
	}
	for _, l := range s.layers {
		if s.read[l] != 1 {
			t.Errorf("layer %s was read %d times", l, s.read[l])
		}
	}
}

// TestSharedLayerCancelled cancels a search whose layers another one waits for, which then has to read them itself.
func TestSharedLayerCancelled(t *testing.T) {
	asked, gate := make(chan struct{}, 100), make(chan struct{})
	var layers atomic.Value
	s := newSlowRegistry(t, func(r *http.Request, digest string) {
		if known, _ := layers.Load().([]string); !slices.Contains(known, digest) {
			return
		}
		asked <- struct{}{}
		select {
		case <-gate:
		case <-r.Context().Done():
		}
	})
	layers.Store(s.layers)
	cache, err := leaks.OpenCache(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	first, cancel := context.WithCancel(t.Context())
	var searches sync.WaitGroup
	searches.Go(func() {
		if _, err := s.find(first, cache); !errors.Is(err, context.Canceled) {
			t.Errorf("the first search: %v", err)
		}
	})
	<-asked
	searches.Go(func() {
		r, err := s.find(t.Context(), cache)
		if err != nil || len(r.Unread) > 0 || len(r.Findings) == 0 || r.Stats.Cached > 0 {
			t.Errorf("the second search: %+v, %v", r, err)
		}
	})
	time.Sleep(50 * time.Millisecond) // so that it waits
	cancel()
	close(gate)
	searches.Wait()
}
