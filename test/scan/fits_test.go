package scan

import (
	"testing"

	"github.com/tightlip/tightlip/internal/corpus"
)

// TestFits is about the judge.
func TestFits(t *testing.T) {
	file := corpus.Planted{Place: "file", Layer: 2, Path: "root/.netrc", Line: 3}
	inner := corpus.Planted{Place: "file", Layer: 4, Path: "a.jar", Inner: "x/app.properties"}
	env := corpus.Planted{Place: "config.Env", Field: "config.Env[1]", Platform: "linux/amd64"}
	words := corpus.Planted{Place: "config.Cmd", Field: "config.Cmd"}
	named := corpus.Planted{Place: "file", Layer: 4, Path: "srv/by-token/"}
	for _, c := range []struct {
		name string
		p    corpus.Planted
		f    leak
		want int
	}{
		{"line", file, leak{Layer: 2, Path: "root/.netrc", Line: 3}, exact},
		{"no line", file, leak{Layer: 2, Path: "root/.netrc"}, near},
		{"other line", file, leak{Layer: 2, Path: "root/.netrc", Line: 2}, 0},
		{"other layer", file, leak{Layer: 3, Path: "root/.netrc", Line: 3}, 0},
		{"other file", file, leak{Layer: 2, Path: "root/.netrc2", Line: 3}, 0},
		{"inside", inner, leak{Layer: 4, Path: "a.jar", Inner: "b.jar!/x/app.properties", Line: 1}, near},
		{"not inside", inner, leak{Layer: 4, Path: "a.jar"}, 0},
		{"field", env, leak{Field: "config.Env[1]", Platform: "linux/amd64"}, exact},
		{"other field", env, leak{Field: "config.Env[10]", Platform: "linux/amd64"}, 0},
		{"other platform", env, leak{Field: "config.Env[1]", Platform: "linux/arm64"}, 0},
		{"one platform", env, leak{Field: "config.Env[1]"}, exact},
		{"a word", words, leak{Field: "config.Cmd[2]"}, exact},
		{"all words", words, leak{Field: "config.Cmd"}, exact},
		{"name", named, leak{Layer: 4, Path: "srv/by-token/***"}, exact},
	} {
		if got := fits(c.p, c.f); got != c.want {
			t.Errorf("%s: %d, not %d", c.name, got, c.want)
		}
	}
	matched, rest := pair([]corpus.Planted{file, file}, []leak{{Layer: 2, Path: "root/.netrc", Line: 3}, {Layer: 9}})
	if len(matched) != 1 || len(rest) != 1 {
		t.Errorf("one finding stands for %d secrets, and %d are left", len(matched), len(rest))
	}
}
