package corpus

import (
	"bytes"
	"cmp"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/tightlip/tightlip/image"
)

func write(t *testing.T, shape Shape, seed uint64) (dir string, planted []Planted) {
	t.Helper()
	dir = t.TempDir()
	planted, err := Write(dir, seed, Options{Shape: shape, Stock: []string{"corpus.go"}})
	if err != nil {
		t.Fatal(err)
	}
	return dir, planted
}

// layersOf reads back the layers of an image, in the order of the history of its first platform, and all of its blobs, which
// checks their digests.
func layersOf(t *testing.T, ref string) [][]byte {
	t.Helper()
	parsed, err := image.ParseRef(ref)
	if err != nil {
		t.Fatal(err)
	}
	img, err := image.Open(t.Context(), parsed, image.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	content := map[string][]byte{}
	for blob, err := range img.Blobs(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		r, err := blob.Open()
		if err != nil {
			t.Fatal(err)
		}
		raw, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = r.Close()
		content[cmp.Or(blob.Digest, blob.Path)] = raw
	}
	l, err := img.Layout(t.Context())
	if err != nil || len(l.Platforms) == 0 {
		t.Fatalf("%d platforms: %v", len(l.Platforms), err)
	}
	var out [][]byte
	for _, layer := range l.Platforms[0].Layers {
		out = append(out, unpack(t, content[cmp.Or(layer.Digest, layer.Path)]))
	}
	return out
}

func unpack(t *testing.T, raw []byte) []byte {
	t.Helper()
	var r io.Reader = bytes.NewReader(raw)
	var err error
	if bytes.HasPrefix(raw, []byte("\x1f\x8b")) {
		r, err = gzip.NewReader(r)
	} else if bytes.HasPrefix(raw, []byte("\x28\xb5\x2f\xfd")) {
		r, err = zstd.NewReader(r)
	}
	if err != nil {
		t.Fatal(err)
	}
	raw, err = io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestShapes(t *testing.T) {
	for _, shape := range Shapes() {
		t.Run(string(shape), func(t *testing.T) {
			dir, planted := write(t, shape, 1)
			if len(planted) < 150 {
				t.Errorf("only %d secrets", len(planted))
			}
			t.Logf("%d secrets, %d innocent files", len(planted), len(Innocent()))
			layers := layersOf(t, shape.Ref(dir))
			if len(layers) != layerOwn {
				t.Fatalf("%d layers", len(layers))
			}
			checkFiles(t, layers, planted)
		})
	}
}

// checkFiles looks for each secret that is written as it is in the layer that it is said to be in.
func checkFiles(t *testing.T, layers [][]byte, planted []Planted) {
	t.Helper()
	for _, p := range planted {
		plain := p.Line > 0 && !strings.HasPrefix(p.Path, "srv/legacy/") && p.Platform != "linux/arm64"
		if plain && !p.In(layers[p.Layer-1]) {
			t.Errorf("%s is not there: %s", p.ID, p)
		}
	}
}

// TestSeeds compares runs: what is random is so for a reason.
func TestSeeds(t *testing.T) {
	_, first := write(t, OCI, 7)
	_, again := write(t, Zstd, 7)
	_, other := write(t, OCI, 8)
	for i, p := range first {
		if p.Key {
			continue
		}
		if !slices.Contains(again, p) {
			t.Errorf("another run with the same seed has no %s", p)
		}
		if p.value == other[i].value {
			t.Errorf("another seed makes the same %s", p)
		}
	}
}

func TestPlantedAreUnique(t *testing.T) {
	_, planted := write(t, OCI, 3)
	ids, values := map[string]bool{}, map[string]string{}
	for _, p := range planted {
		if ids[p.ID] {
			t.Errorf("two secrets are called %s", p.ID)
		}
		ids[p.ID] = true
		if other, ok := values[p.value]; ok && p.Format != "same" {
			t.Errorf("%s and %s are the same value", p.ID, other)
		}
		values[p.value] = p.ID
		if len(p.value) < 12 || p.Status == "" && p.Place == "file" {
			t.Errorf("odd: %s", p)
		}
		if strings.Contains(p.String(), p.value) {
			t.Errorf("the description of %s shows its value", p.ID)
		}
	}
}

func TestInnocent(t *testing.T) {
	names := Innocent()
	if len(names) < 60 {
		t.Errorf("only %d innocent files", len(names))
	}
	_, planted := write(t, Docker, 1)
	for _, p := range planted {
		if p.Layer == layerInnocent || slices.Contains(names, p.Path) {
			t.Errorf("planted among the innocent: %s", p)
		}
	}
}

func TestIn(t *testing.T) {
	p := Planted{value: "correct-horse-battery", written: "Y29ycmVjdC1ob3JzZQ=="}
	for text, want := range map[string]bool{"x correct-horse-battery": true, "auth: Y29ycmVjdC1ob3JzZQ==": true, "correct-horse": false} {
		if got := p.In([]byte(text)); got != want {
			t.Errorf("In(%q) is %t", text, got)
		}
	}
	key := Planted{value: "-----BEGIN X-----\n" + strings.Repeat("k", 64) + "\n-----END X-----"}
	key.written = key.value
	if key.In([]byte("-----BEGIN X-----\nshort")) || !key.In(bytes.Repeat([]byte("k"), 70)) {
		t.Error("a key is told by its lines")
	}
}

// TestChecksums checks against published examples, taken apart so that none is a token here.
func TestChecksums(t *testing.T) {
	r := (&builder{seed: 1}).random("x")
	for range 100 {
		if s := r.checked("ghp_"); len(s) != 40 {
			t.Fatalf("a token of %d characters", len(s))
		}
	}
	if s := grafanaToken("yscW25imSKJIuav8" + "zF37RZmnbiDvB05G"); !strings.HasSuffix(s, "_fcaa"+"f58a") {
		t.Errorf("%s has another checksum than Grafana's", s[:12])
	}
	// see https://github.com/bitcoin/bips/blob/master/bip-0173.mediawiki#test-vectors
	if got := bech32("a", nil); got != "a12uel5l" {
		t.Errorf("bech32 of nothing is %s", got)
	}
	if s, err := ageKey(); err != nil || len(s) != 74 {
		t.Errorf("an age key of %d characters: %v", len(s), err)
	}
}
