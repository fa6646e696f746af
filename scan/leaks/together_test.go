package leaks_test

import (
	"context"
	"io"
	"iter"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tightlip/tightlip/image"
	"github.com/tightlip/tightlip/image/imagetest"
	"github.com/tightlip/tightlip/scan/leaks"
)

// readers counts the blobs that are being read.
type readers struct {
	mu        sync.Mutex
	now, most int
}

func (r *readers) add(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now += n
	r.most = max(r.most, r.now)
}

// watched is an image whose blobs take a while to read.
type watched struct {
	image.Image
	readers *readers
}

func (w watched) Blobs(ctx context.Context) iter.Seq2[image.Blob, error] {
	return func(yield func(image.Blob, error) bool) {
		for b, err := range w.Image.Blobs(ctx) {
			open := b.Open
			b.Open = func() (io.ReadCloser, error) {
				w.readers.add(1)
				time.Sleep(5 * time.Millisecond)
				r, err := open()
				return watchedBlob{r, w.readers}, err
			}
			if !yield(b, err) {
				return
			}
		}
	}
}

type watchedBlob struct {
	io.ReadCloser
	readers *readers
}

func (b watchedBlob) Close() error {
	b.readers.add(-1)
	return b.ReadCloser.Close()
}

// TestSearchesShareABound runs several searches at once: together they read no more blobs at a time than three, or than one of them
// would on many processors.
func TestSearchesShareABound(t *testing.T) {
	var layers [][]byte
	for i := range 4 {
		layers = append(layers, imagetest.Tar(t, file("f", strings.Repeat("x", i))))
	}
	watch := &readers{}
	var wait sync.WaitGroup
	budget := leaks.NewBudget()
	for range 6 {
		img := watched{rawLayers(t, layers...), watch}
		wait.Go(func() {
			if _, err := leaks.Find(context.Background(), img, leaks.Options{Detector: detector, Budget: budget}); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if most := max(3, runtime.GOMAXPROCS(0)); watch.most > most || watch.most < 2 {
		t.Errorf("%d blobs were read at once, more than %d", watch.most, most)
	}
}
