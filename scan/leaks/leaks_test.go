package leaks_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"

	"github.com/tightlip/tightlip/finding"
	"github.com/tightlip/tightlip/image"
	"github.com/tightlip/tightlip/image/imagetest"
	"github.com/tightlip/tightlip/scan/detect"
	"github.com/tightlip/tightlip/scan/leaks"
)

// Some values that look like what a machine made.
const (
	one   = "kX9" + "vQ2mZ7" + "tLb4Wc8R" + "nJ5hY1s"
	two   = "Zp4" + "nR8wK3" + "qHs6Xd1V" + "bM9gT2e"
	three = "fJ7" + "cY5uL1" + "aGk8Bz3N" + "rW6oP4i"
)

var detector = detect.New()

func setting(value string) string { return "password = \"" + value + "\"\n" }

// open writes an image as a docker archive and opens it.
func open(t *testing.T, archive []byte) image.Image {
	t.Helper()
	name := filepath.Join(t.TempDir(), "image.tar")
	if err := os.WriteFile(name, archive, 0o600); err != nil {
		t.Fatal(err)
	}
	img, err := image.OpenTar(context.Background(), name, image.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = img.Close() })
	return img
}

func find(t *testing.T, img image.Image, o leaks.Options) *leaks.Result {
	t.Helper()
	o.Detector = detector
	r, err := leaks.Find(context.Background(), img, o)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(r.Findings)
	if err != nil {
		t.Fatal(err)
	}
	for _, value := range []string{one, two, three} {
		if bytes.Contains(text, []byte(value)) {
			t.Errorf("a value is in the result: %s", text)
		}
	}
	return r
}

// places are the findings in short: "layer path status".
func places(r *leaks.Result) []string {
	var out []string
	for _, f := range r.Findings {
		out = append(out, strings.TrimSpace(f.Place()+" "+string(f.Status)))
	}
	return out
}

func file(name, body string) imagetest.File { return imagetest.File{Name: name, Body: body} }

// states is an image with a secret in each state.
func states(t *testing.T) v1.Image {
	return imagetest.Image(t, "linux/amd64",
		imagetest.Step{CreatedBy: "COPY . /app", Files: []imagetest.File{
			file("app/visible.cfg", "\n"+setting(one)), file("app/deleted.cfg", setting(one)), file("app/twice.cfg", setting(one)),
			file("gone/opaque.cfg", setting(one)), file("gone/kept.txt", "x"), file("tree/a/b.cfg", setting(one)),
		}},
		imagetest.Step{CreatedBy: "ENV DB_PASSWORD=" + two},
		imagetest.Step{CreatedBy: "RUN rm -rf", Files: []imagetest.File{
			file("app/.wh.deleted.cfg", ""), file("app/twice.cfg", setting(two)), file("gone/.wh..wh..opq", ""), file("tree/a", "now a file"),
		}},
	)
}

func TestStates(t *testing.T) {
	want := []string{
		"history[1].created_by", "layer 1 /app/deleted.cfg line 1 deleted", "layer 1 /app/twice.cfg line 1 overwritten", "layer 1 /app/visible.cfg line 2 visible",
		"layer 1 /gone/opaque.cfg line 1 deleted", "layer 1 /tree/a/b.cfg line 1 overwritten", "layer 2 /app/twice.cfg line 1 visible",
	}
	for name, archive := range map[string][]byte{"old": imagetest.OldArchive(t, "app:1", states(t)), "new": imagetest.NewArchive(t, "app:1", states(t))} {
		r := find(t, open(t, archive), leaks.Options{})
		if got := places(r); !slices.Equal(got, want) {
			t.Errorf("%s: found\n%s\nwant\n%s", name, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		for _, f := range r.Findings {
			if f.Where == "file" && f.CreatedBy == "" {
				t.Errorf("%s: no history for %s", name, f.Place())
			}
			if strings.Contains(f.CreatedBy, two) || f.Where == "history" && !strings.Contains(f.CreatedBy, "ENV DB_PASSWORD=***") {
				t.Errorf("%s: created by %q", name, f.CreatedBy)
			}
		}
		prints := map[string]bool{}
		for _, f := range r.Findings {
			prints[f.Fingerprint] = true
		}
		if len(prints) != len(want) || r.Stats.Layers != 2 || len(r.Unread) != 0 {
			t.Errorf("%s: %d fingerprints, %+v, %v", name, len(prints), r.Stats, r.Unread)
		}
	}
}

func TestFingerprintsStay(t *testing.T) {
	a := find(t, open(t, imagetest.NewArchive(t, "app:1", states(t))), leaks.Options{})
	other := imagetest.Image(t, "linux/amd64", imagetest.Step{CreatedBy: "COPY . /app", Files: []imagetest.File{file("app/visible.cfg", "\n\n\n"+setting(three))}})
	b := find(t, open(t, imagetest.NewArchive(t, "app:2", other)), leaks.Options{})
	if len(b.Findings) != 1 || !slices.ContainsFunc(a.Findings, func(f finding.Leak) bool { return f.Fingerprint == b.Findings[0].Fingerprint }) {
		t.Errorf("%v has another fingerprint than before", b.Findings)
	}
}

func TestConfig(t *testing.T) {
	img := imagetest.Image(t, "linux/amd64", imagetest.Step{CreatedBy: "COPY", Files: []imagetest.File{file("x", "x")}})
	c, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	c = c.DeepCopy()
	c.Config.Env = []string{"PATH=/bin", "API_TOKEN=" + one}
	c.Config.Labels = map[string]string{"maintainer": "x", "deploy.password": two}
	c.Config.Cmd = []string{"serve", "--password", three}
	c.Config.Entrypoint = []string{"sh", "-c", "TOKEN=" + one + " exec app"}
	c.Config.OnBuild = []string{"ENV SECRET_KEY=" + two}
	c.Config.Healthcheck = &v1.HealthConfig{Test: []string{"CMD-SHELL", "curl --password " + three + " localhost"}}
	c.History[0].Comment = "token=" + one
	c.Author = "password=" + two
	if img, err = mutate.ConfigFile(img, c); err != nil {
		t.Fatal(err)
	}
	r := find(t, open(t, imagetest.NewArchive(t, "app:1", img)), leaks.Options{})
	var where []string
	for _, f := range r.Findings {
		where = append(where, f.Where)
	}
	slices.Sort(where)
	want := []string{"config.Author", "config.Cmd", "config.Entrypoint", "config.Env", "config.Healthcheck", "config.Labels", "config.OnBuild", "history"}
	want[0] = "author"
	slices.Sort(want)
	if !slices.Equal(where, want) {
		t.Errorf("found in %q, want %q", where, want)
	}
}

func TestLargeFiles(t *testing.T) {
	filler := strings.Repeat("some words in a line of text that say nothing at all\n", 60000) // 3 MB
	body := filler[:1<<20-20] + "\n" + setting(one) + filler + setting(two)
	lines := strings.Count(filler[:1<<20-20], "\n") + 2
	r := find(t, open(t, imagetest.NewArchive(t, "a:1", imagetest.Image(t, "linux/amd64", imagetest.Step{CreatedBy: "COPY", Files: []imagetest.File{file("a.txt", body), file("b.txt", setting(three))}}))), leaks.Options{})
	if len(r.Findings) != 3 || r.Findings[0].Line != lines || r.Findings[1].Line != strings.Count(body, "\n") || r.Findings[2].Path != "b.txt" || r.Findings[2].Line != 1 {
		t.Errorf("found %v, want lines %d and %d", places(r), lines, strings.Count(body, "\n"))
	}
	for _, f := range r.Findings[:2] {
		if !strings.HasPrefix(body[f.Offset:], one) && !strings.HasPrefix(body[f.Offset:], two) {
			t.Errorf("%s: offset %d is not where the value is", f.Place(), f.Offset)
		}
	}
}

func TestNested(t *testing.T) {
	jar := imagetest.Gzip(t, imagetest.Tar(t, file("inner/app.cfg", setting(one))))
	r := find(t, open(t, imagetest.NewArchive(t, "a:1", imagetest.Image(t, "linux/amd64", imagetest.Step{CreatedBy: "COPY", Files: []imagetest.File{file("opt/a.tgz", string(jar))}}))), leaks.Options{})
	if len(r.Findings) != 1 || r.Findings[0].Path != "opt/a.tgz" || r.Findings[0].Inner != "inner/app.cfg" || r.Findings[0].Line != 1 {
		t.Errorf("found %+v", r.Findings)
	}
}

func TestCache(t *testing.T) {
	dir := t.TempDir()
	cache, err := leaks.OpenCache(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	archive := imagetest.NewArchive(t, "app:1", states(t))
	img := open(t, archive)
	first := find(t, img, leaks.Options{Cache: cache})
	second := find(t, img, leaks.Options{Cache: cache})
	if second.Stats.Cached != 2 || !slices.Equal(places(first), places(second)) || first.Stats.Files != second.Stats.Files {
		t.Errorf("cached: %+v\n%q\n%q", second.Stats, places(first), places(second))
	}
	entries, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range entries {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, value := range []string{one, two, three} {
			if bytes.Contains(data, []byte(value)) {
				t.Errorf("a value is in the cache file %s", name)
			}
		}
	}
	other, err := leaks.OpenCache(dir, "other rules")
	if err != nil {
		t.Fatal(err)
	}
	if third := find(t, img, leaks.Options{Cache: other}); third.Stats.Cached != 0 {
		t.Error("what was found by other rules was taken from the cache")
	}
}

func TestUnread(t *testing.T) {
	broken := imagetest.Gzip(t, []byte(strings.Repeat(setting(one), 100)))[:60]
	img := imagetest.Image(t, "linux/amd64", imagetest.Step{CreatedBy: "COPY", Files: []imagetest.File{file("opt/a.gz", string(broken)), file("b.cfg", setting(two))}})
	r := find(t, open(t, imagetest.NewArchive(t, "a:1", img)), leaks.Options{})
	if len(r.Unread) != 1 || r.Unread[0].Path != "opt/a.gz" || !strings.Contains(r.Unread[0].Reason, "damaged") {
		t.Errorf("unread: %+v", r.Unread)
	}
	if got := places(r); !slices.Contains(got, "layer 1 /b.cfg line 1 visible") {
		t.Errorf("found %q", got)
	}
}

func TestSince(t *testing.T) {
	img := open(t, imagetest.NewArchive(t, "app:1", states(t)))
	l, err := img.Layout(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	base := map[string]bool{l.Platforms[0].Layers[0].DiffID: true}
	for _, o := range []leaks.Options{{Last: 1}, {Base: base}} {
		if got := places(find(t, img, o)); !slices.Equal(got, []string{"history[1].created_by", "layer 2 /app/twice.cfg line 1 visible"}) {
			t.Errorf("%+v: %q", o, got)
		}
	}
}

func TestExtract(t *testing.T) {
	img := open(t, imagetest.NewArchive(t, "app:1", states(t)))
	r := find(t, img, leaks.Options{})
	for _, f := range r.Findings {
		var out bytes.Buffer
		if err := leaks.Extract(context.Background(), img, r.Layout, f, &out); err != nil {
			t.Errorf("%s: %v", f.Place(), err)
		}
		if text := out.String(); f.Where == "file" && !strings.Contains(text, setting(one)) && text != setting(two) || f.Where == "history" && !strings.Contains(text, two) {
			t.Errorf("%s: %q", f.Place(), text)
		}
	}
}

func TestIgnores(t *testing.T) {
	img := open(t, imagetest.NewArchive(t, "app:1", states(t)))
	now := time.Date(2030, 6, 1, 0, 0, 0, 0, time.UTC)
	ignored := func(list string) (out []string) {
		r := find(t, img, leaks.Options{})
		i, err := leaks.ParseIgnores(strings.NewReader(strings.ReplaceAll(list, "FINGERPRINT", r.Findings[0].Fingerprint)))
		if err != nil {
			t.Fatal(err)
		}
		i.Apply(r.Findings, now)
		for _, f := range r.Findings {
			if f.Ignored != "" {
				out = append(out, f.Path+": "+f.Ignored)
			}
		}
		return out
	}
	for list, want := range map[string][]string{
		"# nothing\n\n": nil,
		"generic-secret:app/visible.cfg 2030-06-01 for a while": {"app/visible.cfg: for a while"},
		"generic-secret:app/visible.cfg 2030-05-31 over":        nil,
		"generic-secret:app/vis* - a pattern":                   {"app/visible.cfg: a pattern"},
		"FINGERPRINT - just this":                               {": just this"},
		"other-rule:* - none":                                   nil,
	} {
		if got := ignored(list); !slices.Equal(got, want) {
			t.Errorf("%q ignores %q", list, got)
		}
	}
	for _, list := range []string{"generic-secret", "generic-secret: 2030-13-01 x", "x:[ - y", "a b"} {
		if _, err := leaks.ParseIgnores(strings.NewReader(list)); err == nil {
			t.Errorf("%q is no error", list)
		}
	}
}

func TestInlineIgnore(t *testing.T) {
	body := "# tightlip: ignore=generic-secret known and dead\n" + setting(one) + "x = 1\n" + setting(two)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.cfg"), []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
	folder, err := image.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if r := find(t, folder, leaks.Options{}); len(r.Findings) != 2 || r.Findings[0].Ignored != "known and dead" || r.Findings[1].Ignored != "" {
		t.Errorf("%+v", r.Findings)
	}
	// An image does not silence its own scan.
	archive := imagetest.NewArchive(t, "a:1", imagetest.Image(t, "linux/amd64", imagetest.Step{CreatedBy: "COPY", Files: []imagetest.File{file("a.cfg", body)}}))
	if r := find(t, open(t, archive), leaks.Options{}); len(r.Findings) != 2 || r.Findings[0].Ignored != "" {
		t.Errorf("%+v", r.Findings)
	}
}

// TestNoValues has values in places that reports show.
func TestNoValues(t *testing.T) {
	img := imagetest.Image(t, "linux/amd64",
		imagetest.Step{CreatedBy: "ENV DB_PASSWORD=correct horse " + one},
		imagetest.Step{CreatedBy: "RUN /bin/sh -c curl -u ci:" + two + " https://a.corp.internal && curl -u ci:" + two + " https://b.corp.internal"},
		imagetest.Step{CreatedBy: "RUN echo \"machine git.corp.internal login me password " + three + "\" > ~/.netrc", Files: []imagetest.File{
			file("a/token="+one+"/token="+one, setting(two)), {Name: "x.cfg", Body: setting(one), PAX: map[string]string{"SCHILY.xattr.user.note": "token=" + three}},
			file("b.cfg", "tightlip: ignore=generic-secret "+two+"\n"+setting(two)),
		}},
	)
	c, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	c = c.DeepCopy()
	c.Config.Env, c.Config.Labels = []string{"DB_PW=" + three}, map[string]string{"token=" + one: "password=" + two}
	if img, err = mutate.ConfigFile(img, c); err != nil {
		t.Fatal(err)
	}
	opened := open(t, imagetest.NewArchive(t, "app:token-"+one, img))
	r := find(t, opened, leaks.Options{}) // it looks for the values
	if len(r.Findings) < 6 {
		t.Errorf("only %q were found", places(r))
	}
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, value := range []string{one, two, three, "horse"} {
		if bytes.Contains(text, []byte(value)) {
			t.Errorf("%s is in the result: %s", value, text)
		}
	}
}

// TestSincePlatforms wants each platform's own layers counted.
func TestSincePlatforms(t *testing.T) {
	step := func(name string) imagetest.Step {
		return imagetest.Step{CreatedBy: "COPY " + name, Files: []imagetest.File{file(name+".cfg", setting(one))}}
	}
	index := imagetest.Index(t, imagetest.Image(t, "linux/amd64", step("a"), step("b"), step("c")), imagetest.Image(t, "linux/arm64", step("d"), step("e")))
	img, err := image.OpenLayout(context.Background(), imagetest.Layout(t, "app", index), "", image.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range find(t, img, leaks.Options{Last: 1}).Findings {
		got = append(got, f.Path)
	}
	slices.Sort(got)
	if !slices.Equal(got, []string{"c.cfg", "e.cfg"}) {
		t.Errorf("found %q", got)
	}
}

// TestDuplicateKeys has a config whose second Env hides the first from most programs.
func TestDuplicateKeys(t *testing.T) {
	img := imagetest.Image(t, "linux/amd64", imagetest.Step{CreatedBy: "COPY", Files: []imagetest.File{file("x", "x")}})
	raw, err := img.RawConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	twice := bytes.Replace(raw, []byte(`"config":{}`), []byte(`"config":{"Env":["DB_PASSWORD=`+one+`"],"Env":["A=b"]}`), 1)
	if bytes.Equal(raw, twice) {
		t.Fatalf("no place in %s", raw)
	}
	layer := imagetest.Tar(t, file("x", "x"))
	archive := imagetest.Tar(t, file("manifest.json", `[{"Config":"config.json","RepoTags":["a:1"],"Layers":["layer.tar"]}]`), file("config.json", string(twice)), file("layer.tar", string(layer)))
	if r := find(t, open(t, archive), leaks.Options{}); len(r.Findings) != 1 || r.Findings[0].Where != "config.Env" {
		t.Errorf("found %+v", r.Findings)
	}
}

func TestBaseline(t *testing.T) {
	r := find(t, open(t, imagetest.NewArchive(t, "app:1", states(t))), leaks.Options{})
	text, err := json.Marshal(map[string]any{"findings": r.Findings[:2]})
	if err != nil {
		t.Fatal(err)
	}
	for _, report := range []string{string(text), "[" + string(text) + "]"} {
		i, err := leaks.ParseBaseline(strings.NewReader(report))
		if err != nil {
			t.Fatal(err)
		}
		i.Apply(r.Findings, time.Now())
		if r.Findings[0].Ignored == "" || r.Findings[1].Ignored == "" || r.Findings[2].Ignored != "" {
			t.Errorf("%+v", r.Findings)
		}
	}
	if _, err := leaks.ParseBaseline(strings.NewReader("no report")); err == nil {
		t.Error("no report is no error")
	}
}

// TestCorruptBlob wants what is wrong told, and the rest searched.
func TestCorruptBlob(t *testing.T) {
	index := imagetest.Index(t, states(t))
	dir := imagetest.Layout(t, "app", index)
	img, err := image.OpenLayout(context.Background(), dir, "", image.Options{})
	if err != nil {
		t.Fatal(err)
	}
	l, err := img.Layout(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	blob := filepath.Join(dir, "blobs", strings.Replace(l.Platforms[0].Layers[0].Digest, ":", "/", 1))
	data, err := os.ReadFile(blob)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	if err := os.Chmod(blob, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(blob, data, 0o600); err != nil {
		t.Fatal(err)
	}
	r := find(t, img, leaks.Options{})
	if len(r.Unread) == 0 || r.Unread[0].Layer != 1 {
		t.Errorf("unread: %+v", r.Unread)
	}
	if got := places(r); !slices.Contains(got, "layer 2 /app/twice.cfg line 1 visible") {
		t.Errorf("found %q", got)
	}
}

func TestCancelled(t *testing.T) {
	img := open(t, imagetest.NewArchive(t, "app:1", states(t)))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := leaks.Find(ctx, img, leaks.Options{Detector: detector}); !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
}

// TestHistoryOfPlatforms wants each platform's findings explained by its own history.
func TestHistoryOfPlatforms(t *testing.T) {
	step := func(by, name string) imagetest.Step {
		return imagetest.Step{CreatedBy: by, Files: []imagetest.File{file(name+".cfg", setting(one))}}
	}
	index := imagetest.Index(t, imagetest.Image(t, "linux/amd64", step("COPY a", "a")), imagetest.Image(t, "linux/arm64", step("COPY b", "b")))
	img, err := image.OpenLayout(context.Background(), imagetest.Layout(t, "app", index), "", image.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r := find(t, img, leaks.Options{Origins: func(history []string) []*finding.Source {
		return []*finding.Source{{File: "Dockerfile", Line: len(history), Text: history[0]}}
	}})
	for _, f := range r.Findings {
		if want := "COPY " + strings.TrimSuffix(f.Path, ".cfg"); f.CreatedBy != want || f.Source == nil || f.Source.Text != want || f.Platform == "" {
			t.Errorf("%s is explained by %q and %+v", f.Place(), f.CreatedBy, f.Source)
		}
	}
	if len(r.Findings) != 2 {
		t.Errorf("found %q", places(r))
	}
}

// TestPartial has a layer that is not there, and one of a kind that nobody knows: both are told, and the rest is searched.
func TestPartial(t *testing.T) {
	img := states(t)
	odd, err := mutate.Append(img, mutate.Addendum{Layer: static.NewLayer([]byte("no archive"), "application/x-unknown")})
	if err != nil {
		t.Fatal(err)
	}
	dir := imagetest.Layout(t, "app", odd)
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	digest, err := layers[0].Digest()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "blobs", digest.Algorithm, digest.Hex)); err != nil {
		t.Fatal(err)
	}
	if _, err := image.OpenLayout(context.Background(), dir, "", image.Options{}); err == nil {
		t.Error("without Partial it is no error")
	}
	opened, err := image.OpenLayout(context.Background(), dir, "", image.Options{Partial: true})
	if err != nil {
		t.Fatal(err)
	}
	r := find(t, opened, leaks.Options{})
	if len(r.Unread) != 2 || !strings.Contains(r.Unread[0].Reason, "no such file") || !strings.Contains(r.Unread[1].Reason, "not-a-layer") {
		for _, u := range r.Unread {
			t.Errorf("unread: %s: %s", u.Location, u.Reason)
		}
	}
	if got := places(r); !slices.Contains(got, "layer 2 /app/twice.cfg line 1 visible") {
		t.Errorf("found %q", got)
	}
}

// TestPartialArchive has a docker archive without its first layer.
func TestPartialArchive(t *testing.T) {
	var kept []imagetest.File
	for m, err := range image.Members(bytes.NewReader(imagetest.OldArchive(t, "app:1", states(t)))) {
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(m)
		if err != nil {
			t.Fatal(err)
		}
		if m.Name != strings.Repeat("a", 64)+"/layer.tar" {
			kept = append(kept, file(m.Name, string(body)))
		}
	}
	name := filepath.Join(t.TempDir(), "image.tar")
	if err := os.WriteFile(name, imagetest.Tar(t, kept...), 0o600); err != nil {
		t.Fatal(err)
	}
	img, err := image.OpenTar(context.Background(), name, image.Options{Partial: true})
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	r := find(t, img, leaks.Options{})
	if len(r.Unread) != 1 || r.Unread[0].Layer != 1 || !strings.Contains(r.Unread[0].Reason, "missing") {
		t.Errorf("unread: %+v", r.Unread)
	}
	if got := places(r); !slices.Contains(got, "layer 2 /app/twice.cfg line 1 visible") {
		t.Errorf("found %q", got)
	}
}
