package scan

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tightlip/tightlip/image"
	"github.com/tightlip/tightlip/internal/corpus"
)

var (
	unpackTo = flag.String("unpack", "", "the `folder` to unpack an image with planted secrets to, for other scanners")
	report   = flag.String("gitleaks", "", "gitleaks' JSON `report` about that folder")
)

// TestPeers helps peers.sh: first it unpacks an image's layers and config side by side, later it counts what another scanner found
// there. The planted secrets are the same both times, except for keys, which are told by their places alone.
func TestPeers(t *testing.T) {
	if *unpackTo == "" {
		t.Skip("only for peers.sh: there is no -unpack")
	}
	dir := t.TempDir()
	planted, err := corpus.Write(dir, seed, corpus.Options{Shape: corpus.OCI})
	if err != nil {
		t.Fatal(err)
	}
	if *report == "" {
		unpack(t, corpus.OCI.Ref(dir), *unpackTo)
		return
	}
	planted = slices.DeleteFunc(planted, func(p corpus.Planted) bool { return p.Place != "file" || p.Platform == "linux/arm64" })
	matched, rest := pair(planted, gitleaks(t, *report, *unpackTo))
	t.Logf("gitleaks finds %d of %d in files, and %d more", len(matched), len(planted), len(rest))
}

// unpack writes each layer to a folder of its number.
func unpack(t *testing.T, name, to string) {
	t.Helper()
	ref, err := image.ParseRef(name)
	if err != nil {
		t.Fatal(err)
	}
	img, err := image.Open(t.Context(), ref, image.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	l, err := img.Layout(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	numbers := map[string]int{}
	for i, layer := range l.Platforms[0].Layers {
		numbers[layer.Digest] = i + 1
	}
	for blob, err := range img.Blobs(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		n, ok := numbers[blob.Digest]
		r, err := blob.Open()
		switch {
		case err != nil:
			t.Fatal(err)
		case ok:
			members(t, r, filepath.Join(to, fmt.Sprint(n)))
		case !blob.MustUnpack:
			save(t, r, filepath.Join(to, "0", strings.ReplaceAll(blob.Digest+blob.Path, ":", "-")+".json"))
		}
		_ = r.Close()
	}
}

func members(t *testing.T, layer io.Reader, to string) {
	t.Helper()
	for m, err := range image.Members(layer) {
		if err != nil {
			t.Fatal(err)
		}
		if name := m.Header.Name; m.Header.Size > 0 {
			save(t, m, filepath.Join(to, filepath.Clean("/"+name)))
		}
	}
}

func save(t *testing.T, r io.Reader, name string) {
	t.Helper()
	body, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, body, 0o644); err != nil {
		t.Fatal(err)
	}
}

// gitleaks reads a report as findings of ours. What it finds in documents it cannot place, so that is left away.
func gitleaks(t *testing.T, name, root string) (out []leak) {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var list []struct {
		RuleID, File string
		StartLine    int
	}
	if err := json.Unmarshal(text, &list); err != nil {
		t.Fatal(err)
	}
	for _, f := range list {
		rel, err := filepath.Rel(root, f.File)
		if err != nil {
			t.Fatal(err)
		}
		path, inner, _ := strings.Cut(rel, "!")
		var layer int
		number, path, _ := strings.Cut(path, "/")
		_, _ = fmt.Sscan(number, &layer)
		line := f.StartLine
		if inner != "" {
			line = 0
		}
		out = append(out, leak{Rule: f.RuleID, Layer: layer, Path: path, Inner: inner, Line: line})
	}
	return out
}
