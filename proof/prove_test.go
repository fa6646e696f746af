package proof_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/zstd"
	"github.com/tightlip/tightlip/finding"
	"github.com/tightlip/tightlip/image"
	"github.com/tightlip/tightlip/proof"
	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/secrettest"
)

// tarOf makes a layer of name, content pairs.
func tarOf(t testing.TB, files ...string) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for i := 0; i < len(files); i += 2 {
		h := &tar.Header{Name: files[i], Mode: 0o644, Size: int64(len(files[i+1]))}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, files[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func gzipped(t testing.TB, content []byte) v1.Layer {
	t.Helper()
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil })
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func zstded(t testing.TB, content []byte) v1.Layer {
	t.Helper()
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return static.NewLayer(enc.EncodeAll(content, nil), types.MediaType("application/vnd.oci.image.layer.v1.tar+zstd"))
}

// write makes an OCI layout of layers and a config, with one history entry for each layer and one for each variable.
func write(t testing.TB, env []string, annotations map[string]string, layers ...v1.Layer) string {
	t.Helper()
	img := empty.Image
	for i, l := range layers {
		var err error
		img, err = mutate.Append(img, mutate.Addendum{
			Layer: l, History: v1.History{CreatedBy: fmt.Sprintf("RUN step %d # buildkit", i)},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	config.Config.Env = env
	for _, e := range env {
		config.History = append(config.History, v1.History{CreatedBy: "ENV " + e, EmptyLayer: true})
	}
	if img, err = mutate.ConfigFile(img, config); err != nil {
		t.Fatal(err)
	}
	img = mutate.Annotations(mutate.MediaType(img, types.OCIManifestSchema1), annotations).(v1.Image)
	dir := filepath.Join(t.TempDir(), "layout")
	into, err := layout.Write(dir, empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	if err := into.AppendImage(img); err != nil {
		t.Fatal(err)
	}
	return dir
}

func needles(t testing.TB, value string) *proof.Needles {
	t.Helper()
	n, err := proof.NewNeedles([]proof.Secret{{ID: "npm", Value: secret.NewValue([]byte(value))}})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func prove(t testing.TB, dir, value string, o proof.Options) *proof.Proof {
	t.Helper()
	return proveWith(t, dir, value, image.Options{}, o)
}

func proveWith(t testing.TB, dir, value string, open image.Options, o proof.Options) *proof.Proof {
	t.Helper()
	return proveNeedles(t, dir, needles(t, value), open, o)
}

// proveUnminted is about a secret that has no value.
func proveUnminted(t testing.TB, dir string, o proof.Options) *proof.Proof {
	t.Helper()
	n, err := proof.NewNeedles([]proof.Secret{{ID: "npm", Unminted: true}})
	if err != nil {
		t.Fatal(err)
	}
	return proveNeedles(t, dir, n, image.Options{}, o)
}

func proveNeedles(t testing.TB, dir string, n *proof.Needles, open image.Options, o proof.Options) *proof.Proof {
	t.Helper()
	img, err := image.OpenLayout(context.Background(), dir, "", open)
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	p, err := proof.Prove(context.Background(), []image.Image{img}, n, o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func canary(t testing.TB) string { return string(secrettest.Canary(t)) }

func lineOf(s *finding.Source) int {
	if s == nil {
		return 0
	}
	return s.Line
}

func TestProveFindsEveryPlace(t *testing.T) {
	value := canary(t)
	b64 := base64.StdEncoding.EncodeToString([]byte("user:" + value))
	dir := write(t, []string{"TOKEN=" + value}, map[string]string{"note": value},
		gzipped(t, tarOf(t, "etc/a", "x", "app/.npmrc", "_authToken="+value)),
		zstded(t, tarOf(t, "app/.wh..npmrc", "", "basic", "Basic "+b64)),
		gzipped(t, tarOf(t, "dir/"+value+"/file", "x")))
	lines := func(history []string) []*finding.Source {
		out := make([]*finding.Source, len(history))
		for i := range out {
			out[i] = &finding.Source{File: "Dockerfile", Line: 10 + i, Text: history[i]}
		}
		return out
	}
	p := prove(t, dir, value, proof.Options{Origins: lines})
	if p.Verdict != proof.Leaked {
		t.Fatalf("verdict %s", p.Verdict)
	}
	var got []string
	for _, f := range p.Findings {
		got = append(got, fmt.Sprintf("%s %d %s %s %s hidden=%t line=%d", f.Kind, f.Layer, f.Path, f.Field, f.Encoding, f.Hidden, lineOf(f.Dockerfile)))
	}
	for _, want := range []string{
		"layer 1 app/.npmrc  raw hidden=true line=10",
		"layer 2 basic  base64 hidden=false line=11",
		"layer 3 dir/***/file name raw hidden=false line=12",
		"config 0  config.Env[0] raw hidden=false line=13",
		"config 0  history[3].created_by raw hidden=false line=13",
		"manifest 0  annotations.note raw hidden=false line=0",
	} {
		found := false
		for _, g := range got {
			found = found || g == want
		}
		if !found {
			t.Errorf("not found: %s\ngot:\n%s", want, strings.Join(got, "\n"))
		}
	}
	text, err := json.Marshal(proof.NewStatement(p, "sha256:00", []string{"app"}, "v1", time.Now()))
	if err != nil {
		t.Fatal(err)
	}
	if leak := secrettest.Leak(string(text), []byte(value)); leak != "" {
		t.Errorf("the statement holds the value: %s", leak)
	}
}

// TestProveReadsBehindTheEnd has the value where tools that unpack the layer do not get to.
func TestProveReadsBehindTheEnd(t *testing.T) {
	value := canary(t)
	archive := tarOf(t, "a", "nothing")
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := w.Write(archive); err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	frame := append([]byte{0x53, 0x2a, 0x4d, 0x18, byte(len(value)), 0, 0, 0}, value...)
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	zst := enc.EncodeAll(archive, nil)
	for name, layer := range map[string][]byte{
		"gzip": slices.Concat(packed.Bytes(), []byte(value)), "zstd": slices.Concat(zst, []byte(value)), "zstd frame": slices.Concat(zst, frame),
		"tar": slices.Concat(archive, []byte(value)),
	} {
		for where, layer := range map[string][]byte{"layer": layer, "file": tarOf(t, "f", string(layer))} {
			p := prove(t, write(t, nil, nil, static.NewLayer(layer, types.OCILayer)), value, proof.Options{})
			if p.Verdict != proof.Leaked {
				t.Errorf("behind the %s of a %s: %s", name, where, p.Verdict)
			}
		}
	}
}

func TestProveOffsetIsInTheFile(t *testing.T) {
	value := canary(t)
	p := prove(t, write(t, nil, nil, gzipped(t, tarOf(t, "a", strings.Repeat("x", 1000), "b", "12345"+value))), value, proof.Options{})
	if len(p.Findings) != 1 || p.Findings[0].Path != "b" || p.Findings[0].Offset != 5 {
		t.Errorf("got %+v, want b at 5", p.Findings)
	}
}

func TestProveCleanAndCached(t *testing.T) {
	value := canary(t)
	dir := write(t, []string{"A=b"}, nil, gzipped(t, tarOf(t, "a", "clean")), zstded(t, tarOf(t, "b", "clean")))
	cache, err := proof.OpenCache(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	first := prove(t, dir, value, proof.Options{Cache: cache})
	again := prove(t, dir, value, proof.Options{Cache: cache})
	other := prove(t, dir, canary(t), proof.Options{Cache: cache})
	if first.Verdict != proof.Clean || first.Cached != 0 {
		t.Errorf("first: %+v", first)
	}
	// The config is read again for its history, and files without a digest have no entry.
	if again.Verdict != proof.Clean || again.Cached < 3 || again.Blobs != first.Blobs || again.Bytes != first.Bytes {
		t.Errorf("again: %+v, first: %+v", again, first)
	}
	if other.Cached != 0 {
		t.Errorf("another secret found %d blobs proven", other.Cached)
	}
}

func TestProveNeverCachesALeak(t *testing.T) {
	value := canary(t)
	dir := write(t, nil, nil, gzipped(t, tarOf(t, "a", value)))
	cache, err := proof.OpenCache(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if p := prove(t, dir, value, proof.Options{Cache: cache}); p.Verdict != proof.Leaked {
			t.Fatalf("verdict %s", p.Verdict)
		}
	}
}

// TestProveUnread has a gzip member that is cut off: what it holds cannot be known.
func TestProveUnread(t *testing.T) {
	value := canary(t)
	var buf bytes.Buffer
	gz := gzipBytes(t, []byte(strings.Repeat("some content that is long enough ", 4000)))
	buf.Write(gz[:len(gz)/2])
	dir := write(t, nil, nil, gzipped(t, tarOf(t, "usr/test/broken.gz", buf.String())))
	p := prove(t, dir, value, proof.Options{})
	if p.Verdict != proof.Incomplete || len(p.Unread) != 1 || !strings.HasPrefix(p.Unread[0].Path, "usr/test/broken.gz") {
		t.Errorf("got %+v", p)
	}
	p = prove(t, dir, value, proof.Options{Skip: []string{"usr/*/*.gz"}})
	if p.Verdict != proof.Clean || len(p.Skipped) != 1 {
		t.Errorf("with a skip: got %+v", p)
	}
}

// TestSkipInFolder has files that cannot be read in a folder, where each is a blob of its own.
func TestSkipInFolder(t *testing.T) {
	dir := t.TempDir()
	broken := string(gzipBytes(t, []byte("some content"))[:20])
	for name, text := range map[string]string{"broken.gz": broken, "sub/a.tar": string(tarOf(t, "in/broken.gz", broken))} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755), os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	img, err := image.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	for patterns, want := range map[string]int{"": 2, "*.gz": 1, "sub/*": 1, "in/*": 2, "*.gz sub/a.tar": 0} {
		p, err := proof.Prove(t.Context(), []image.Image{img}, needles(t, canary(t)), proof.Options{Skip: strings.Fields(patterns)})
		if err != nil || len(p.Unread) != want || len(p.Skipped) != 2-want {
			t.Errorf("%s: %+v, %v", patterns, p, err)
		}
	}
}

// TestProveManyUnread has more that cannot be read than anybody wants listed: what is not listed counts all the same.
func TestProveManyUnread(t *testing.T) {
	var files []string
	for i := range 3000 {
		files = append(files, fmt.Sprintf("f%d", i), "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x4b\x4c\x4a\x06")
	}
	dir := write(t, nil, nil, static.NewLayer(tarOf(t, files...), types.OCILayer))
	for pattern, want := range map[string]proof.Verdict{"f": proof.Incomplete, "*": proof.Clean, "f1*": proof.Incomplete} {
		p := prove(t, dir, canary(t), proof.Options{Skip: []string{pattern}})
		if n := len(p.Unread) + len(p.Skipped); p.Verdict != want || n < 1000 || n > 2002 {
			t.Errorf("%s: %s, %d unread and %d skipped", pattern, p.Verdict, len(p.Unread), len(p.Skipped))
		}
	}
}

func TestProveWrongDigest(t *testing.T) {
	value := canary(t)
	dir := write(t, nil, nil, gzipped(t, tarOf(t, "a", "clean")))
	blobs, err := filepath.Glob(filepath.Join(dir, "blobs/sha256/*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range blobs { // the layer is the one that is no JSON
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if json.Valid(data) {
			continue
		}
		if err := os.WriteFile(name, gzipBytes(t, tarOf(t, "a", "other")), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	img, err := image.OpenLayout(context.Background(), dir, "", image.Options{})
	if err == nil {
		defer img.Close()
		_, err = proof.Prove(context.Background(), []image.Image{img}, needles(t, value), proof.Options{})
	}
	if err == nil {
		t.Error("a layer with other content than its digest says was proven")
	}
}

func TestProveCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	img, err := image.OpenLayout(context.Background(), write(t, nil, nil, gzipped(t, tarOf(t, "a", "b"))), "", image.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	if _, err := proof.Prove(ctx, []image.Image{img}, needles(t, canary(t)), proof.Options{}); err == nil {
		t.Error("a cancelled proof has a verdict")
	}
}

func gzipBytes(t testing.TB, data []byte) []byte {
	t.Helper()
	rc, err := gzipped(t, data).Compressed()
	if err != nil {
		t.Fatal(err)
	}
	defer rc.Close()
	out, err := io.ReadAll(rc)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestProveKnowsEarlierLeaks: a layer that leaked comes from the builder's cache after the secret has changed.
func TestProveKnowsEarlierLeaks(t *testing.T) {
	first, second := canary(t), canary(t)
	dir := write(t, nil, nil, gzipped(t, tarOf(t, "etc/a", first)))
	cache, err := proof.OpenCache(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if p := prove(t, dir, first, proof.Options{Cache: cache}); p.Verdict != proof.Leaked || p.Known() || len(p.Findings) != 1 {
		t.Fatalf("first: %+v", p)
	}
	p := prove(t, dir, second, proof.Options{Cache: cache})
	if p.Verdict != proof.Leaked || !p.Known() || len(p.Findings) != 1 || p.Findings[0].Path != "etc/a" || p.Findings[0].Layer != 1 {
		t.Fatalf("after a rotation: %+v", p)
	}
	if p := proveUnminted(t, dir, proof.Options{Cache: cache}); p.Verdict != proof.Leaked || !p.Known() {
		t.Errorf("without any value, since nothing was minted: %+v", p)
	}
	if p := prove(t, dir, second, proof.Options{Cache: cache, Forget: true}); p.Verdict != proof.Clean {
		t.Errorf("forgetting: %+v", p)
	}
	if p := prove(t, dir, second, proof.Options{Cache: cache}); p.Verdict != proof.Clean {
		t.Errorf("forgotten: %+v", p)
	}
}

// TestProveReadsChangedFiles: what is remembered of a local file holds for as long as the file does not change.
func TestProveReadsChangedFiles(t *testing.T) {
	value := canary(t)
	dir := write(t, nil, nil, gzipped(t, tarOf(t, "a", strings.Repeat("clean ", 1000))))
	cache, err := proof.OpenCache(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if p := prove(t, dir, value, proof.Options{Cache: cache}); p.Verdict != proof.Clean {
		t.Fatalf("got %+v", p)
	}
	blobs, err := filepath.Glob(filepath.Join(dir, "blobs/sha256/*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range blobs {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !json.Valid(data) {
			copy(data[len(data)-len(value):], value)
			if err := os.WriteFile(name, data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	img, err := image.OpenLayout(context.Background(), dir, "", image.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	p, err := proof.Prove(context.Background(), []image.Image{img}, needles(t, value), proof.Options{Cache: cache})
	if err == nil && p.Verdict == proof.Clean {
		t.Error("a changed file was not read again")
	}
}

// TestProveKeepsALeakBesideTrouble: layers that cannot be read for the second time, or not at all, must not lose a leak.
func TestProveKeepsALeakBesideTrouble(t *testing.T) {
	value := canary(t)
	broken := gzipBytes(t, tarOf(t, "b", strings.Repeat("some content ", 5000)))
	for name, other := range map[string]v1.Layer{
		"cut off": static.NewLayer(broken[:len(broken)/2], types.OCILayer),
		"junk":    static.NewLayer(append(bytes.Clone(broken), "junk"...), types.OCILayer),
	} {
		p := prove(t, write(t, nil, nil, gzipped(t, tarOf(t, "etc/a", value)), other), value, proof.Options{})
		if p.Verdict != proof.Leaked || len(p.Findings) != 1 || p.Findings[0].Path != "etc/a" {
			t.Errorf("%s: got %+v", name, p)
		}
	}
}

// TestProveWaived: what is not searched for is not proven.
func TestProveWaived(t *testing.T) {
	n, err := proof.NewNeedles([]proof.Secret{
		{ID: "npm", Value: secret.NewValue([]byte(canary(t)))}, {ID: "pin", Value: secret.NewValue([]byte("1234")), Waived: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	img, err := image.OpenLayout(context.Background(), write(t, nil, nil, gzipped(t, tarOf(t, "a", "1234"))), "", image.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	p, err := proof.Prove(context.Background(), []image.Image{img}, n, proof.Options{})
	if err != nil || fmt.Sprint(p.Secrets, p.Waived) != "[npm] [pin]" {
		t.Errorf("proven %q, waived %q, %v", p.Secrets, p.Waived, err)
	}
}
