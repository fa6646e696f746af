package minter

import (
	"slices"
	"strings"
	"testing"

	"github.com/tightlip/tightlip/secret"
)

// TestKinds has every row make sense.
func TestKinds(t *testing.T) {
	for _, k := range kinds {
		about := k.about
		known := slices.Concat(k.needs, k.keys)
		if k.life != "" {
			known = append(known, k.life)
		}
		slices.Sort(known)
		switch {
		case len(slices.Compact(slices.Clone(known))) != len(known):
			t.Errorf("%s: has a key twice: %q", k.scheme, known)
		case slices.ContainsFunc(k.parents, func(key string) bool { return !slices.Contains(known, key) }):
			t.Errorf("%s: a parent is no key: %q", k.scheme, k.parents)
		case about.Least > about.Default || k.longest != 0 && about.Default > k.longest:
			t.Errorf("%s: the default life is not between the shortest and the longest", k.scheme)
		case (k.life != "") != (k.longest != 0):
			t.Errorf("%s: a life that can be asked for has a longest", k.scheme)
		case (about.Revoke != "") != (k.revoke != nil || k.reap != nil):
			t.Errorf("%s: says %q of revoking", k.scheme, about.Revoke)
		case about.Narrow == "" || k.mint == nil || k.check == nil || k.what == "":
			t.Errorf("%s: lacks something", k.scheme)
		case !strings.HasPrefix(k.form, k.scheme+":"):
			t.Errorf("%s: the form is %s", k.scheme, k.form)
		}
		for _, key := range k.needs {
			if !strings.Contains(k.form, key+"=") {
				t.Errorf("%s: the form %s does not show %s=", k.scheme, k.form, key)
			}
		}
		// Grades are about the best that can be asked for: see secret.Grade.
		short := about.Least != 0 && about.Least <= secret.ShortLife || about.Default != 0 && about.Default <= secret.ShortLife || about.Revoke != ""
		if (about.Grade == secret.GradeA || about.Grade == secret.GradeB) != short {
			t.Errorf("%s: the grade is %s", k.scheme, about.Grade)
		}
	}
}
