package scan

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/tightlip/tightlip/internal/corpus"
	"github.com/tightlip/tightlip/internal/enginetest"
)

// minRecall is the part of the planted secrets that has to be found.
const minRecall = 0.98

const seed = 20261101

// TestRecall scans the same secrets in images of every shape.
func TestRecall(t *testing.T) {
	missed := map[corpus.Shape]map[string]bool{}
	everywhere := map[string]bool{} // what is planted in images of every shape
	j := judge{told: map[string]bool{}}
	for _, shape := range corpus.Shapes() {
		t.Run(string(shape), func(t *testing.T) {
			var planted []corpus.Planted
			planted, missed[shape] = j.recall(t, shape)
			if shape == corpus.Docker {
				for _, p := range planted {
					everywhere[p.ID] = true
				}
			}
		})
	}
	for shape, ids := range missed {
		for id := range ids {
			for other := range missed {
				if everywhere[id] && !missed[other][id] {
					t.Errorf("%s is found in the shape %s, but not in %s", id, other, shape)
				}
			}
		}
	}
}

// judge compares what was found with what was planted. It tells everything once, not for every shape.
type judge struct{ told map[string]bool }

func (j judge) new(kind, about string) bool {
	defer func() { j.told[kind+about] = true }()
	return !j.told[kind+about]
}

// recall scans an image of a shape and says what it missed.
func (j judge) recall(t *testing.T, shape corpus.Shape) (planted []corpus.Planted, missed map[string]bool) {
	dir := t.TempDir()
	planted, err := corpus.Write(dir, seed, corpus.Options{Shape: shape})
	if err != nil {
		t.Fatal(err)
	}
	b := enginetest.NewBox(t, nil)
	o, r := scanned(t, b, "--no-cache", shape.Ref(dir))
	if r.Code != 3 {
		t.Errorf("exit code %d, not 3:\n%s", r.Code, r.Stderr)
	}
	for _, u := range o.Unread {
		t.Errorf("not read: %s: %s", u.Path, u.Reason)
	}
	missed = j.compare(t, planted, o.Findings)
	found := len(planted) - len(missed)
	t.Logf("recall %.1f %%: %d of %d, in %d findings", 100*float64(found)/float64(len(planted)), found, len(planted), len(o.Findings))
	if float64(found) < minRecall*float64(len(planted)) {
		t.Errorf("only %d of %d found", found, len(planted))
	}
	j.hidden(t, planted, "the output", r.All())
	j.cached(t, b, shape.Ref(dir), planted, o.Findings)
	return planted, missed
}

// compare reports what a scan missed, got wrong, and saw where nothing is. What it says of innocent files is for TestInnocent.
func (j judge) compare(t *testing.T, planted []corpus.Planted, findings []leak) (missed map[string]bool) {
	t.Helper()
	matched, rest := pair(planted, findings)
	missed = map[string]bool{}
	for i, p := range planted {
		f, ok := matched[i]
		missed[p.ID] = !ok
		if !ok && j.new("missed", p.ID) {
			t.Logf("missed %s: %s", p.ID, p)
		}
		if ok && p.Place == "file" && f.Status != p.Status {
			t.Errorf("%s is %s, not %s: %s", p.ID, p.Status, f.Status, f)
		}
	}
	maps.DeleteFunc(missed, func(_ string, m bool) bool { return !m })
	for _, f := range rest {
		about := fmt.Sprint(f.Layer, f.Path, f.Inner, f.Field, f.Line, f.Offset, f.Rule)
		switch {
		case slices.ContainsFunc(planted, func(p corpus.Planted) bool { return fits(p, f) > 0 }), slices.Contains(corpus.Innocent(), f.Path):
		case slices.ContainsFunc(planted, func(p corpus.Planted) bool { return p.Path != "" && samePath(p, f) && p.Layer == f.Layer }):
			if j.new("more", about) {
				t.Logf("more than was planted: %s", f)
			}
		default:
			t.Errorf("found where nothing is: %s", f)
		}
	}
	return missed
}

// pair finds for each secret a finding of its own, the best fits first.
func pair(planted []corpus.Planted, findings []leak) (matched map[int]leak, rest []leak) {
	matched, used := map[int]leak{}, map[int]bool{}
	for _, wanted := range []int{exact + hinted, exact, near + hinted, near} {
		for i, p := range planted {
			for j, f := range findings {
				if _, ok := matched[i]; !ok && !used[j] && fits(p, f) == wanted {
					matched[i], used[j] = f, true
				}
			}
		}
	}
	for j, f := range findings {
		if !used[j] {
			rest = append(rest, f)
		}
	}
	return matched, rest
}

// How well a finding fits a secret: not at all is 0.
const (
	hinted = 1 // what the finding shows of the value is so
	near   = 2 // the same file; the finding names no line
	exact  = 4 // the same line, or field of a document
)

func fits(p corpus.Planted, f leak) int {
	n := place(p, f)
	if n > 0 && p.Begins(f.Hint) {
		n += hinted
	}
	return n
}

func place(p corpus.Planted, f leak) int {
	switch {
	case p.Platform != "" && f.Platform != "" && p.Platform != f.Platform, p.Layer != f.Layer:
		return 0
	case p.Place != "file":
		if f.Field == p.Field || strings.HasPrefix(f.Field, p.Field+"[") {
			return exact
		}
		return 0
	case !samePath(p, f), !strings.HasSuffix(f.Inner, p.Inner):
		return 0
	case p.Line == f.Line:
		return exact
	case p.Line == 0 || f.Line == 0:
		return near
	}
	return 0
}

func samePath(p corpus.Planted, f leak) bool {
	return f.Path == p.Path || strings.HasSuffix(p.Path, "/") && strings.HasPrefix(f.Path, p.Path)
}

// hidden looks for values where none may be.
func (j judge) hidden(t *testing.T, planted []corpus.Planted, where, text string) {
	t.Helper()
	for _, p := range planted {
		if p.In([]byte(text)) && j.new("shown", p.ID+where) {
			t.Errorf("the value of %s is in %s: %s", p.ID, where, p)
		}
	}
}

// cached scans twice with a cache, which has to change nothing, and in all formats. No value may be left anywhere.
func (j judge) cached(t *testing.T, b *enginetest.Box, ref string, planted []corpus.Planted, findings []leak) {
	t.Helper()
	for range 2 {
		o, _ := scanned(t, b, ref)
		if !reflect.DeepEqual(o.Findings, findings) {
			t.Errorf("with a cache, of which %d layers were used, the findings are others: %s", o.Stats.Cached, difference(o.Findings, findings))
		}
	}
	for _, format := range []string{"text", "sarif", "html", "gitlab", "github", "junit"} {
		r := run(t, b, "scan", "--format", format, ref)
		if r.Code != 3 || r.Stdout == "" {
			t.Errorf("format %s ends with %d: %s", format, r.Code, r.Stderr)
		}
		j.hidden(t, planted, "the output as "+format, r.All())
	}
	err := filepath.WalkDir(b.Dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		j.hidden(t, planted, path, path+"\n"+string(text))
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// difference lists what only one of two lists has.
func difference(a, b []leak) string {
	count := map[leak]int{}
	for _, f := range a {
		count[f]++
	}
	for _, f := range b {
		count[f]--
	}
	maps.DeleteFunc(count, func(_ leak, n int) bool { return n == 0 })
	return fmt.Sprint(count)
}

// TestInnocent is about the files of the corpus that look as if they had secrets.
func TestInnocent(t *testing.T) {
	dir := t.TempDir()
	if _, err := corpus.Write(dir, seed+1, corpus.Options{Shape: corpus.OCI}); err != nil {
		t.Fatal(err)
	}
	o, _ := scanned(t, enginetest.NewBox(t, nil), "--no-cache", corpus.OCI.Ref(dir))
	innocent := corpus.Innocent()
	wrong := 0
	for _, f := range o.Findings {
		if slices.Contains(innocent, f.Path) && f.Severity != "note" { // an encrypted password is worth knowing
			t.Errorf("not a secret: %s", f)
			wrong++
		}
	}
	t.Logf("%d findings in %d innocent files", wrong, len(innocent))
}
