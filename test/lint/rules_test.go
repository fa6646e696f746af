package lint_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tightlip/tightlip/lint"
	"github.com/tightlip/tightlip/scan/detect"
)

// TestRules: every rule is documented, and a project of the corpus is found by it.
func TestRules(t *testing.T) {
	expected := map[string]bool{}
	for _, p := range corpus(t, "bad") {
		for _, e := range p.expect {
			if len(e.rules) == 1 {
				expected[e.rules[0]] = true
			}
		}
	}
	var ids []string
	for _, r := range lint.Rules() {
		ids = append(ids, r.ID)
		if r.Title == "" || r.Severity == "" || r.Why == "" || r.Fix == "" {
			t.Errorf("%s: title, severity, why and fix have to say something", r.ID)
		}
		if !expected[r.ID] {
			t.Errorf("%s: no project in testdata/corpus/bad is for this rule", r.ID)
		}
	}
	if !slices.IsSorted(ids) {
		t.Errorf("the rules are not in order: %v", ids)
	}
}

// TestNoValueIsShown: findings, hints and reasons name places, and never a value.
func TestNoValueIsShown(t *testing.T) {
	d := detect.New()
	for _, p := range corpus(t, "bad") {
		r := check(t, d, p)
		r.Fixes = nil // they hold files
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range p.values(t) {
			for line := range strings.Lines(v) {
				line = strings.TrimSpace(line)
				if len(line) >= 8 && !strings.HasPrefix(line, "-----") && strings.Contains(string(text), line) {
					t.Errorf("%s: the report has a value:\n%s", p.name, text)
				}
			}
		}
	}
}

// values are those that the project's archive has stand-ins for.
func (p project) values(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "corpus", "bad", p.name+".txtar"))
	if err != nil {
		t.Fatal(err)
	}
	fill := filler(p.name)
	var out []string
	for _, s := range standIn.FindAllString(string(text), -1) {
		if strings.HasPrefix(s, "@@PUBKEY") || strings.HasPrefix(s, "@@SSHPUB") || strings.HasPrefix(s, "@@CERT") {
			continue
		}
		v, err := fill(s)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, v)
	}
	return out
}
