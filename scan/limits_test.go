package scan

import (
	"bytes"
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/ulikunitz/xz"
)

func TestWalkDepth(t *testing.T) {
	data := []byte(canary())
	for range 40 {
		data = gzipOf(string(data))
	}
	rec := walk(t, data, Limits{})
	if want := []string{": depth"}; !slices.Equal(rec.unread, want) || len(rec.streams) != 13 {
		t.Errorf("unread: %q after %d streams", rec.unread, len(rec.streams))
	}
	data = tarOf("x", "end")
	for range 40 {
		data = tarOf("x", string(data))
	}
	rec = walk(t, data, Limits{Depth: 3})
	if want := []string{"x!/x!/x: depth"}; !slices.Equal(rec.unread, want) {
		t.Errorf("unread: %q, not %q", rec.unread, want)
	}
}

func TestWalkBytes(t *testing.T) {
	bomb := gzipOf(string(gzipOf(string(zeros(50 << 20)))))
	rec := walk(t, tarOf("f", string(bomb)), Limits{Bytes: 1 << 20})
	if len(rec.unread) == 0 || !strings.HasSuffix(rec.unread[0], ": bytes") {
		t.Errorf("unread: %q", rec.unread)
	}
	total := 0
	for _, s := range rec.streams[1:] {
		total += s.bytes.Len()
	}
	if total > 2<<20 {
		t.Errorf("%d bytes were decompressed", total)
	}
}

func TestWalkWindow(t *testing.T) {
	data := strings.Repeat(canary(), 1000)
	large := zstdWindow(data)
	dict := xzConfig(data, xz.WriterConfig{DictCap: 64 << 20})
	for _, tc := range []struct {
		name  string
		data  []byte
		limit int64
		want  []string
	}{
		{"zstd", large, 64 << 20, nil},
		{"zstd over", large, 64<<20 - 1, []string{"f: window"}},
		{"xz", dict, 64 << 20, nil},
		{"xz over", dict, 64<<20 - 1, []string{"f: window"}},
		{"zstd in xz", xzConfig(string(large), xz.WriterConfig{DictCap: 64 << 20}), 128 << 20, nil},
		{"zstd in xz over", xzConfig(string(large), xz.WriterConfig{DictCap: 64 << 20}), 100 << 20, []string{"f!: window"}},
		{"one after the other", concat(large, large), 100 << 20, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			rec := walk(t, tarOf("f", string(tc.data)), Limits{Window: tc.limit})
			if !slices.Equal(rec.unread, tc.want) {
				t.Errorf("unread: %q, not %q", rec.unread, tc.want)
			}
		})
	}
}

func TestWalkWaitsForLargeWindow(t *testing.T) {
	data := zstdWindow(canary())
	largeWindows <- struct{}{}
	ctx, cancel := context.WithCancel(t.Context())
	cancelled := make(chan error)
	go func() { cancelled <- Walk(ctx, bytes.NewReader(data), "", &recorder{t: t}, Limits{}) }()
	other := make(chan error)
	go func() { other <- Walk(t.Context(), bytes.NewReader(data), "", &recorder{t: t}, Limits{}) }()
	cancel()
	if err := <-cancelled; !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled while waiting: %v", err)
	}
	<-largeWindows
	if err := <-other; err != nil {
		t.Error(err)
	}
}

func TestWalkNeedsLittleMemory(t *testing.T) {
	layer := zstdOf(string(tarOf("big", noise(48<<20), "f.xz", string(xzOf(noise(1<<20))))))
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	if err := Walk(t.Context(), bytes.NewReader(layer), "", &panicking{after: -1}, Limits{}); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 24<<20 {
		t.Errorf("%d MiB allocated in all", got>>20)
	}
}
