package lint_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tightlip/tightlip/dockerfile"
	"github.com/tightlip/tightlip/finding"
	"github.com/tightlip/tightlip/internal/enginetest"
	"github.com/tightlip/tightlip/lint"
	"github.com/tightlip/tightlip/scan/detect"
)

// What the fixes were able to do when this was written: less is a regression.
const (
	wantFully  = 45 // projects without a finding after their fixes
	wantProven = 29
)

// outcome is what the fixes did to a project.
type outcome int

const (
	notAtAll outcome = iota
	partly
	fully // nothing is left to find
)

func (o outcome) String() string { return [...]string{"not at all", "partly", "fully"}[o] }

// TestFixesHold mends each project in a copy, checks it again, and builds those that have nothing left to find.
func TestFixesHold(t *testing.T) {
	d := detect.New()
	b := newBuilder(t)
	var mu sync.Mutex
	counts, names, proven := map[outcome]int{}, map[outcome][]string{}, 0
	each(t, corpus(t, "bad"), func(t *testing.T, p project) {
		p, hints, did := mend(t, d, p)
		clean := b.stillBuilds(t, p, hints, did)
		mu.Lock()
		defer mu.Unlock()
		counts[did]++
		names[did] = append(names[did], p.name)
		if clean {
			proven++
		}
	})
	for _, did := range []outcome{fully, partly, notAtAll} {
		slices.Sort(names[did])
		t.Logf("%d %s: %s", counts[did], did, strings.Join(names[did], " "))
	}
	t.Logf("%d builds proven clean", proven)
	if counts[fully] < wantFully || proven < wantProven {
		t.Errorf("%d projects are fixed fully, %d proven clean: they were %d and %d", counts[fully], proven, wantFully, wantProven)
	}
}

// TestTrickyFixesHold does so with projects of which each has something that is easily forgotten.
func TestTrickyFixesHold(t *testing.T) {
	d := detect.New()
	b := newBuilder(t)
	each(t, corpus(t, "tricky"), func(t *testing.T, p project) {
		b.plain(t, p)
		p, hints, did := mend(t, d, p)
		b.stillBuilds(t, p, hints, did)
	})
}

// stillBuilds builds a mended project. If nothing is left to find, it has to be proven clean, which is the result.
func (b *builder) stillBuilds(t *testing.T, p project, hints []string, did outcome) (clean bool) {
	t.Helper()
	switch {
	case p.build == nil || did == notAtAll:
	case did == fully:
		return b.proves(t, p, hints)
	default:
		p.build = &recipe{context: p.build.context, dockerfile: p.build.dockerfile, target: p.build.target, args: p.build.args, secrets: maps.Clone(p.build.secrets)}
		for _, name := range variables(hints) {
			p.build.secrets[name] = p.build.args[name]
		}
		b.plain(t, p)
	}
	return false
}

// variables are those that hints have secrets read from.
func variables(hints []string) []string {
	var out []string
	for _, h := range hints {
		for _, word := range strings.Fields(h) {
			if _, name, ok := strings.Cut(word, ",env="); ok {
				out = append(out, name)
			}
		}
	}
	return out
}

// mend applies the fixes to a copy of a project, and checks what can be checked without a build.
func mend(t *testing.T, d *detect.Detector, p project) (mended project, hints []string, did outcome) {
	t.Helper()
	before := check(t, d, p)
	mended = p
	mended.dir = t.TempDir()
	if err := os.CopyFS(mended.dir, os.DirFS(p.dir)); err != nil {
		t.Fatal(err)
	}
	for _, f := range before.Fixes {
		apply(t, mended, f)
	}
	after := check(t, d, mended)
	if len(after.Fixes) > 0 {
		t.Errorf("there are more fixes the second time:%s", changes(after.Fixes))
	}
	if len(after.Unread) > len(before.Unread) {
		t.Errorf("what cannot be checked was %v, and now is %v", before.Unread, after.Unread)
	}
	was, fixable, is := tally(before.Findings, false), tally(before.Findings, true), tally(after.Findings, false)
	for key, n := range is {
		if n > was[key]-fixable[key] {
			t.Errorf("%d times %s: it was found %d times, of which %d fixable%s", n, key, was[key], fixable[key], changes(before.Fixes))
		}
	}
	left := slices.ContainsFunc(after.Findings, func(l finding.Leak) bool { return l.Ignored == "" && l.Severity.AtLeast(finding.Low) })
	switch {
	case len(before.Fixes) == 0:
		if len(fixable) > 0 || len(before.Hints) > 0 {
			t.Errorf("there are no fixes, but %v is fixable, with %q", fixable, before.Hints)
		}
		return mended, nil, notAtAll
	case left:
		return mended, before.Hints, partly
	}
	return mended, before.Hints, fully
}

// tally counts findings by what they are about. Lines may move.
func tally(findings []finding.Leak, fixable bool) map[string]int {
	out := map[string]int{}
	for _, l := range findings {
		if !fixable || l.Fixable {
			out[fmt.Sprintf("%s %s %s", l.Path, l.Rule, l.Key)]++
		}
	}
	return out
}

// apply changes a file as a fix says, which has to leave the rest of it alone.
func apply(t *testing.T, p project, f lint.Fix) {
	t.Helper()
	file := filepath.Join(p.dir, filepath.FromSlash(f.Path))
	before, err := os.ReadFile(file)
	if f.Before == nil && !os.IsNotExist(err) || f.Before != nil && !bytes.Equal(before, f.Before) {
		t.Fatalf("the fix of %s is one of another text (%v)", f.Path, err)
	}
	if err := os.WriteFile(file, f.After, 0o644); err != nil {
		t.Fatal(err)
	}
	if isDockerfile(f.Path) {
		if _, err := dockerfile.Parse(f.Path, f.After); err != nil {
			t.Errorf("%v%s", err, changes([]lint.Fix{f}))
		}
		if was, is := comments(before), comments(f.After); !slices.Equal(was, is) {
			t.Errorf("%s: its comments were %q, and are %q", f.Path, was, is)
		}
	}
	if f.Before == nil {
		return
	}
	if odd := unpaired(f.After); len(odd) > len(unpaired(before)) {
		t.Errorf("%s: a quote is alone in %q", f.Path, odd)
	}
	for _, pair := range aligned(lines(f.Before), lines(f.After)) {
		if pair[0] != pair[1] {
			t.Errorf("%s: the line %q became %q", f.Path, pair[0], pair[1])
		}
	}
	if was, is := ends(f.Before), ends(f.After); len(was) == 1 && !slices.Equal(was, is) {
		t.Errorf("%s: lines ended in %q, now in %q", f.Path, was, is)
	}
}

// unpaired are the lines with an odd number of quotes.
func unpaired(text []byte) []string {
	return slices.DeleteFunc(lines(text), func(l string) bool { return strings.Count(l, `"`)%2 == 0 })
}

func lines(text []byte) []string { return slices.Collect(strings.Lines(string(text))) }

// comments are the lines of a Dockerfile that are comments.
func comments(text []byte) []string {
	return slices.DeleteFunc(lines(text), func(l string) bool { return !strings.HasPrefix(strings.TrimSpace(l), "#") })
}

// ends are the ways in which lines end. The last one may have no end.
func ends(text []byte) []string {
	seen := map[string]bool{}
	for _, l := range lines(text) {
		if rest, ok := strings.CutSuffix(l, "\n"); ok {
			seen[l[len(strings.TrimRight(rest, "\r")):]] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// aligned pairs the lines of two texts that are the same but for blanks, so that as many as can be are the same to the byte.
func aligned(a, b []string) (pairs [][2]string) {
	worth := func(i, j int) int {
		switch {
		case a[i] == b[j]:
			return 2
		case strings.TrimSpace(a[i]) == strings.TrimSpace(b[j]):
			return 1
		}
		return 0
	}
	best := make([][]int, len(a)+1)
	for i := range best {
		best[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			best[i][j] = max(best[i+1][j], best[i][j+1])
			if w := worth(i, j); w > 0 {
				best[i][j] = max(best[i][j], best[i+1][j+1]+w)
			}
		}
	}
	for i, j := 0, 0; i < len(a) && j < len(b); {
		switch w := worth(i, j); {
		case w > 0 && best[i][j] == best[i+1][j+1]+w:
			pairs = append(pairs, [2]string{a[i], b[j]})
			i, j = i+1, j+1
		case best[i][j] == best[i+1][j]:
			i++
		default:
			j++
		}
	}
	return pairs
}

// changes shows fixes when a test fails.
func changes(fixes []lint.Fix) string {
	var b strings.Builder
	for _, f := range fixes {
		fmt.Fprintf(&b, "\n--- %s\n%s\n+++ %s\n%s", f.Path, f.Before, f.Path, f.After)
	}
	return b.String()
}

// TestFixesKeepLineEnds wants the same fixes for the same files with Windows line ends.
func TestFixesKeepLineEnds(t *testing.T) {
	d := detect.New()
	for _, p := range corpus(t, "bad") {
		t.Run(p.name, func(t *testing.T) {
			want := map[string]string{}
			for _, f := range check(t, d, p).Fixes {
				want[f.Path] = string(f.After)
				if f.Before != nil {
					want[f.Path] = string(windows(f.After))
				}
			}
			got := map[string]string{}
			for _, f := range check(t, d, windowsCopy(t, p)).Fixes {
				got[f.Path] = string(f.After)
			}
			for _, name := range slices.Sorted(maps.Keys(want)) {
				if got[name] != want[name] {
					t.Errorf("%s\n%q\nis not\n%q", name, got[name], want[name])
				}
			}
			if len(got) > len(want) {
				t.Errorf("there are %d fixes instead of %d", len(got), len(want))
			}
		})
	}
}

// windows gives all lines of a text the line ends of Windows.
func windows(text []byte) []byte {
	return bytes.ReplaceAll(bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))
}

func windowsCopy(t *testing.T, p project) project {
	t.Helper()
	from := p.dir
	p.dir = t.TempDir()
	err := fs.WalkDir(os.DirFS(from), ".", func(name string, d fs.DirEntry, err error) error {
		to := filepath.Join(p.dir, filepath.FromSlash(name))
		if err != nil || d.IsDir() {
			return errors.Join(err, os.MkdirAll(to, 0o755))
		}
		text, err := os.ReadFile(filepath.Join(from, filepath.FromSlash(name)))
		return errors.Join(err, os.WriteFile(to, windows(text), 0o644))
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// proves builds a mended project through tightlip, which has to prove that nothing leaks, and looks for the leaks in the image itself.
func (b *builder) proves(t *testing.T, p project, hints []string) bool {
	t.Helper()
	archive := filepath.Join(t.TempDir(), "image.tar")
	cmd := b.command(t, enginetest.Binary(t), p, []string{"build", "--engine", "embedded", "--format", "json", "-o", "type=docker,dest=" + archive})
	given := map[string]bool{}
	for _, h := range hints {
		if strings.HasPrefix(h, "docker run ") {
			continue // of the container, and not of the build
		}
		flags, of, ok := strings.Cut(strings.TrimPrefix(h, "docker build "), " -f ")
		if !ok || !strings.HasSuffix(strings.TrimSuffix(of, " …"), "/"+p.name+"/"+p.build.dockerfile) {
			t.Errorf("the hint %q is about another Dockerfile", h)
			continue
		}
		cmd.Args = append(cmd.Args, strings.Fields(flags)...)
	}
	for _, name := range variables(hints) {
		value, ok := p.build.args[name]
		if !ok { // its default
			value = p.build.leaks[0].value
		}
		cmd.Env = append(cmd.Env, name+"="+value)
		given[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(p.build.args)) {
		if !given[name] {
			cmd.Args = append(cmd.Args, "--build-arg", name+"="+p.build.args[name])
		}
	}
	n := 0
	for _, id := range slices.Sorted(maps.Keys(p.build.secrets)) {
		cmd.add(t, n, id, p.build.secrets[id])
		n++
	}
	for i, l := range p.build.leaks { // so that the proof looks for them, whatever the build asks for
		cmd.add(t, n, fmt.Sprint("leak-", i), l.value)
		n++
	}
	r := cmd.run(t)
	var report struct {
		Proof struct {
			Verdict string
			Needles int
		}
	}
	if err := json.Unmarshal([]byte(r.Stdout), &report); err != nil || r.Code != 0 {
		t.Errorf("exit code %d, %v:\n%s\n%s", r.Code, err, r.All(), p.read(t, p.build.dockerfile))
		return false
	}
	if report.Proof.Verdict != "clean" || report.Proof.Needles < len(p.build.leaks) {
		t.Errorf("the proof: %+v", report.Proof)
	}
	image := &built{readImage(t, archive), r.All()}
	for i, l := range p.build.leaks {
		for _, place := range places {
			if image.in(place, l.value) {
				t.Errorf("leak %d is in the %s", i+1, place)
			}
		}
	}
	return !t.Failed()
}
