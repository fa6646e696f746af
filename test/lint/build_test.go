package lint_test

import (
	"slices"
	"testing"
)

// buildable are the projects whose leaks a build can show.
func buildable(t *testing.T) []project {
	t.Helper()
	return slices.DeleteFunc(corpus(t, "bad"), func(p project) bool { return p.build == nil })
}

// TestLeaksAreReal builds what is said to leak, and finds it there.
func TestLeaksAreReal(t *testing.T) {
	b := newBuilder(t)
	projects := buildable(t)
	each(t, projects, func(t *testing.T, p project) {
		image := b.plain(t, p)
		for i, l := range p.build.leaks {
			if !image.in(l.place, l.value) {
				t.Errorf("leak %d is not in the %s", i+1, l.place)
			}
		}
	})
	leaks := 0
	for _, p := range projects {
		leaks += len(p.build.leaks)
	}
	t.Logf("%d builds show %d leaks", len(projects), leaks)
}
