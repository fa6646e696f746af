package scan

import (
	"bytes"
	"compress/zlib"
	"context"
	"slices"
	"testing"
)

func zlibOf(t testing.TB, data string, level int) string {
	t.Helper()
	var buf bytes.Buffer
	w, err := zlib.NewWriterLevel(&buf, level)
	if err != nil {
		t.Fatal(err)
	}
	writeAll(w, nil, data)
	return buf.String()
}

// TestWalkGitObjects: git keeps every file that was ever added in an object that zlib has compressed.
func TestWalkGitObjects(t *testing.T) {
	for _, level := range []int{zlib.NoCompression, zlib.BestSpeed, zlib.DefaultCompression, zlib.BestCompression} {
		value := canary()
		r := &recorder{t: t}
		layer := tarOf("app/.git/objects/ab/cd", zlibOf(t, "blob 100\x00token="+value, level))
		if err := Walk(context.Background(), bytes.NewReader(layer), "", r, Limits{MustUnpack: true}); err != nil {
			t.Fatal(err)
		}
		if got := r.where(value); !slices.Contains(got, "app/.git/objects/ab/cd!") || len(r.unread) > 0 {
			t.Errorf("level %d: found in %q, unread %q", level, got, r.unread)
		}
	}
}

// TestWalkNoZlib: two bytes are no magic, and text may begin with them.
func TestWalkNoZlib(t *testing.T) {
	packed := zlibOf(t, canary()+canary(), zlib.BestCompression)
	for _, text := range []string{"x^2 + y^2 = z^2, and so on", "x\x9c", "x\x01\x02\x03\x04\x05\x06\x07\x08", packed[:len(packed)/2]} {
		r := &recorder{t: t}
		if err := Walk(context.Background(), bytes.NewReader(tarOf("a", text)), "", r, Limits{MustUnpack: true}); err != nil {
			t.Fatal(err)
		}
		if len(r.unread) > 0 {
			t.Errorf("%.8q: unread %q", text, r.unread)
		}
	}
}
