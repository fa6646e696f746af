package proof

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tightlip/tightlip/secret"
)

// canary is n random bytes that no file holds.
func canary(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}

// token is a random string of n letters and digits.
func token(n int) string {
	var b strings.Builder
	for b.Len() < n {
		b.WriteString(rand.Text() + strings.ToLower(rand.Text()))
	}
	return b.String()[:n]
}

// needlesFor makes needles of one value with the id "s".
func needlesFor(t testing.TB, value []byte) *Needles {
	t.Helper()
	n, err := NewNeedles([]Secret{{ID: "s", Value: secret.NewValue(value)}})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// naive is all occurrences of the patterns, found the obvious way.
func naive(patterns []pattern, text []byte) []match {
	var out []match
	for i, p := range patterns {
		for at := 0; ; at++ {
			found := bytes.Index(text[at:], p.text)
			if found < 0 {
				break
			}
			at += found
			out = append(out, match{pattern: i, secret: p.secret, start: at, end: at + len(p.text)})
		}
	}
	return out
}

// setOf is a set of needles that are the given patterns, each of a secret of its own.
func setOf(patterns ...[]byte) *Needles {
	set := &needleSet{}
	for i, text := range patterns {
		set.ids = append(set.ids, fmt.Sprint(i))
		set.patterns = append(set.patterns, pattern{secret: i, encoding: "raw", text: text})
		set.maxLen = max(set.maxLen, len(text))
	}
	set.match = newMatcher(set.patterns)
	return &Needles{open: func() *needleSet { return set }}
}

// checkScan compares a scan in chunks with the naive search: every occurrence lies in a reported place, and every
// report is an occurrence.
func checkScan(t *testing.T, n *Needles, text []byte, chunk func(left int) int) {
	t.Helper()
	set := n.open()
	want := naive(set.patterns, text)
	var got []Hit
	s := n.NewScanner(func(h Hit) { got = append(got, h) })
	for rest := text; len(rest) > 0; {
		size := min(max(chunk(len(rest)), 1), len(rest))
		_, _ = s.Write(rest[:size])
		rest = rest[size:]
	}
	if s.Offset() != int64(len(text)) {
		t.Fatalf("offset %d after %d bytes", s.Offset(), len(text))
	}
	for _, h := range got {
		if !slices.ContainsFunc(want, func(o match) bool {
			return set.ids[o.secret] == h.Secret && o.start == int(h.Offset) && o.end-o.start == h.Length
		}) {
			t.Fatalf("reported what is not there: %+v", h)
		}
	}
	for _, id := range set.ids {
		places, missing := clusters(set, want, id), 0
		for _, place := range places {
			if !slices.ContainsFunc(got, func(h Hit) bool {
				return h.Secret == id && place[0] <= int(h.Offset) && int(h.Offset)+h.Length <= place[1]
			}) {
				missing++
			}
		}
		if reports := countOf(got, id); missing > 0 || reports != len(places) {
			t.Fatalf("secret %s: %d places, %d of them missed, %d reports", id, len(places), missing, reports)
		}
	}
}

func countOf(hits []Hit, id string) int {
	n := 0
	for _, h := range hits {
		if h.Secret == id {
			n++
		}
	}
	return n
}

// clusters is where in the text the needles of one secret lie, joined where they overlap or touch.
func clusters(set *needleSet, found []match, id string) [][2]int {
	var out [][2]int
	slices.SortFunc(found, func(a, b match) int { return a.start - b.start })
	for _, o := range found {
		switch n := len(out); {
		case set.ids[o.secret] != id:
		case n > 0 && o.start <= out[n-1][1]:
			out[n-1][1] = max(out[n-1][1], o.end)
		default:
			out = append(out, [2]int{o.start, o.end})
		}
	}
	return out
}

func TestScanFindsWhatNaiveFinds(t *testing.T) {
	rng := mathrand.New(mathrand.NewPCG(1, 2))
	for round := range 400 {
		letters := 2 + rng.IntN(4)
		random := func(n int) []byte {
			b := make([]byte, n)
			for i := range b {
				b[i] = 'a' + byte(rng.IntN(letters))
			}
			return b
		}
		var patterns [][]byte
		for range 1 + rng.IntN(12) {
			patterns = append(patterns, random(MinLen+rng.IntN(30)))
		}
		text := random(rng.IntN(3000))
		for range rng.IntN(10) {
			p := patterns[rng.IntN(len(patterns))]
			text = slices.Insert(text, rng.IntN(len(text)+1), p...)
		}
		limit := 1 + rng.IntN(1+round)
		checkScan(t, setOf(patterns...), text, func(int) int { return 1 + rng.IntN(limit) })
		checkScan(t, setOf(patterns...), text, func(left int) int { return left })
	}
}

func FuzzScan(f *testing.F) {
	f.Add([]byte("aaaaaaaa"), []byte("aaaaaaaab"), []byte("xaaaaaaaaaaaabaaaaaaaa"), 3)
	f.Add([]byte("abcdefgh"), []byte("cdefghijklmnop"), []byte("abcdefghijklmnop"), 5)
	f.Fuzz(func(t *testing.T, first, second, text []byte, chunk int) {
		if len(first) < MinLen || len(second) < MinLen || bytes.Equal(first, second) {
			return
		}
		text = append(append(bytes.Clone(first), text...), second...)
		checkScan(t, setOf(first, second), text, func(int) int { return chunk })
	})
}

func TestScanPathologicalTextIsLinear(t *testing.T) {
	value := append(bytes.Repeat([]byte{'a'}, 3000), 'b')
	n := needlesFor(t, value)
	text := bytes.Repeat([]byte{'a'}, 2<<20)
	steps := testing.Benchmark(func(b *testing.B) {
		for b.Loop() {
			n.Find(text, func(Hit) {})
		}
	})
	if perByte := float64(steps.NsPerOp()) / float64(len(text)); perByte > 1000 {
		t.Errorf("%.0f ns per byte", perByte)
	}
}

func TestScannerResetForgets(t *testing.T) {
	value := []byte(token(30))
	n := needlesFor(t, value)
	hits := 0
	s := n.NewScanner(func(Hit) { hits++ })
	_, _ = s.Write(value[:20])
	s.Reset()
	_, _ = s.Write(value[20:])
	if hits != 0 || s.Offset() != 10 {
		t.Errorf("%d hits, offset %d", hits, s.Offset())
	}
	s.Reset()
	_, _ = s.Write(value)
	if hits != 1 {
		t.Errorf("%d hits of the whole value", hits)
	}
}

func TestScannerWriteDoesNotAllocate(t *testing.T) {
	n := needlesFor(t, []byte(token(40)))
	s := n.NewScanner(func(Hit) {})
	chunk := canary(32 << 10)
	if allocs := testing.AllocsPerRun(50, func() { _, _ = s.Write(chunk) }); allocs != 0 {
		t.Errorf("%v allocations per write", allocs)
	}
}

// programs is about 64 MB of real files.
func programs(b *testing.B) []byte {
	var text []byte
	for _, dir := range []string{"/usr/bin", "/usr/lib", filepath.Join(os.Getenv("GOROOT"), "bin")} {
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			if info, err := e.Info(); err != nil || !info.Mode().IsRegular() {
				continue
			}
			if data, err := os.ReadFile(filepath.Join(dir, e.Name())); err == nil && len(text) < 64<<20 {
				text = append(text, data...)
			}
		}
	}
	return text
}

func BenchmarkScan(b *testing.B) {
	files := programs(b)
	random := canary(len(files))
	key := base64.StdEncoding.EncodeToString(canary(1700))
	sets := map[string][]string{
		"token20":    {token(20)},
		"tokens40":   {token(40), token(40), token(36)},
		"min8":       {token(8)},
		"password12": {token(6) + "/&" + token(4)},
		"pemkey":     {"-----BEGIN PRIVATE KEY-----\n" + wrap(key, 64, "\n") + "-----END PRIVATE KEY-----\n"},
	}
	for _, name := range slices.Sorted(func(yield func(string) bool) {
		for k := range sets {
			if !yield(k) {
				return
			}
		}
	}) {
		var secrets []Secret
		for _, v := range sets[name] {
			secrets = append(secrets, Secret{ID: v[:3], Value: secret.NewValue([]byte(v))})
		}
		n, err := NewNeedles(secrets)
		if err != nil {
			b.Fatal(err)
		}
		for kind, text := range map[string][]byte{"files": files, "random": random} {
			b.Run(name+"/"+kind, func(b *testing.B) {
				b.SetBytes(int64(len(text)))
				s := n.NewScanner(func(Hit) {})
				for b.Loop() {
					for rest := text; len(rest) > 0; {
						chunk := rest[:min(256<<10, len(rest))]
						_, _ = s.Write(chunk)
						rest = rest[len(chunk):]
					}
				}
				b.ReportMetric(float64(n.Len()), "needles")
				b.ReportMetric(float64(n.open().match.window), "window")
			})
		}
	}
}

// wrap breaks text into lines.
func wrap(text string, width int, newline string) string {
	var out strings.Builder
	for len(text) > 0 {
		n := min(width, len(text))
		out.WriteString(text[:n] + newline)
		text = text[n:]
	}
	return out.String()
}
