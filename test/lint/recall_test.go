package lint_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tightlip/tightlip/finding"
	"github.com/tightlip/tightlip/lint"
	"github.com/tightlip/tightlip/scan/detect"
)

// check lints a project.
func check(t *testing.T, d *detect.Detector, p project) *lint.Result {
	t.Helper()
	r, err := lint.Check(t.Context(), lint.Options{Root: p.dir, Detector: d})
	if err != nil {
		t.Fatalf("%s: %v", p.name, err)
	}
	return r
}

// finds tells whether an expectation is met.
func finds(t *testing.T, p project, e expectation, findings []finding.Leak) bool {
	t.Helper()
	first, last := e.line, e.line
	if isDockerfile(e.path) {
		if a, b := p.instruction(t, e.path, e.line); a > 0 {
			first, last = a, b
		}
	}
	return slices.ContainsFunc(findings, func(l finding.Leak) bool {
		return l.Path == e.path && first <= l.Line && l.Line <= last && slices.Contains(e.rules, l.Rule)
	})
}

// TestFound asks for 95 % of what leaks.
func TestFound(t *testing.T) {
	d := detect.New()
	found, all := 0, 0
	for _, p := range corpus(t, "bad") {
		r := check(t, d, p)
		for _, e := range p.expect {
			all++
			if finds(t, p, e, r.Findings) {
				found++
				continue
			}
			t.Logf("%s: not found: %s%s", p.name, e, listed(r.Findings))
		}
	}
	t.Logf("found %d of %d, %.1f %%", found, all, 100*float64(found)/float64(all))
	if found*100 < all*95 {
		t.Errorf("found %d of %d: less than 95 %%", found, all)
	}
}

// TestQuiet allows for findings in 3 % of the projects that leak nothing.
func TestQuiet(t *testing.T) {
	d := detect.New()
	flagged := 0
	good := corpus(t, "good")
	for _, p := range good {
		r := check(t, d, p)
		wrong := slices.DeleteFunc(slices.Clone(r.Findings), func(l finding.Leak) bool { return l.Ignored != "" || !l.Severity.AtLeast(finding.Low) })
		if len(wrong) > 0 {
			flagged++
			t.Logf("%s: found something:%s", p.name, listed(wrong))
		}
		for _, u := range r.Unread {
			t.Errorf("%s: %s:%d could not be checked: %s", p.name, u.Path, u.Line, u.Reason)
		}
	}
	t.Logf("flagged %d of %d", flagged, len(good))
	if flagged*100 > len(good)*3 {
		t.Errorf("flagged %d of %d: more than 3 %%", flagged, len(good))
	}
}

func listed(findings []finding.Leak) string {
	var b strings.Builder
	for _, l := range findings {
		fmt.Fprintf(&b, "\n    %s:%d %s %s: %s", l.Path, l.Line, l.Severity, l.Rule, l.Detail)
	}
	return b.String()
}
