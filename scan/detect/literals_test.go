package detect

import (
	"bytes"
	"cmp"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// plainFind is the obvious search.
func plainFind(list []literal, text []byte) []spot {
	var found []spot
	low := bytes.ToLower(text)
	for id, l := range list {
		in, want := text, l.text
		if l.fold {
			in, want = low, strings.ToLower(l.text)
		}
		for at := range in {
			if bytes.HasPrefix(in[at:], []byte(want)) {
				found = append(found, spot{at, id})
			}
		}
	}
	return found
}

func sortSpots(s []spot) []spot {
	slices.SortFunc(s, func(a, b spot) int { return cmp.Or(a.at-b.at, a.id-b.id) })
	return s
}

func checkLiterals(t *testing.T, list []literal, text []byte) {
	t.Helper()
	got, want := sortSpots(newLiterals(list).find(text, nil)), sortSpots(plainFind(list, text))
	if !slices.Equal(got, want) {
		t.Fatalf("%v in %q:\ngot  %v\nwant %v", list, text, got, want)
	}
}

func TestLiterals(t *testing.T) {
	list := []literal{{"glpat-", false}, {"token", true}, {"api_key", true}, {"abcd", false}, {"bcde", false}, {"aaaa", false}, {"-----BEGIN ", false}}
	for _, text := range []string{"", "abc", "abcd", "abcde", "xxTOKENxtokenToKeN", "aaaaaaaaaa", "glpat-glpat-api_KEY", strings.Repeat("-----BEGIN ", 9)} {
		checkLiterals(t, list, []byte(text))
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		text := make([]byte, r.IntN(200))
		for i := range text {
			text[i] = "abcdeABtokenTK-_pi"[r.IntN(18)]
		}
		checkLiterals(t, list, text)
	}
}

func FuzzLiterals(f *testing.F) {
	f.Add([]byte("xxTOKENx glpat-"))
	list := []literal{{"glpat-", false}, {"token", true}, {"api_key", true}, {"aaaa", false}, {"\x00\x00\x00\x00", false}}
	f.Fuzz(func(t *testing.T, text []byte) { checkLiterals(t, list, text) })
}
