package detect

import (
	"bytes"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// broken writes base64 in lines.
func broken(text string, width int, sign, indent string) string {
	var lines []string
	rest := b64(text)
	for ; len(rest) > width; rest = rest[width:] {
		lines = append(lines, indent+rest[:width])
	}
	return strings.Join(append(lines, indent+rest), sign) + sign
}

// TestBase64InLines has a token at each place in base64 that is broken into lines, so that each part of it is at the end of a line once.
func TestBase64InLines(t *testing.T) {
	d := New()
	token := sampleOf(t, "github-pat")
	for name, form := range map[string]struct {
		width                int
		before, sign, indent string
	}{
		"MIME": {76, "Content-Transfer-Encoding: base64\r\n\r\n", "\r\n", ""}, "PEM": {64, "-----BEGIN SETTINGS-----\n", "\n", ""}, "Ruby": {60, "", "\n", ""},
		"YAML": {76, "data:\n  content: |\n", "\n", "    "}, "tabs": {64, "<data>\n", "\n", "\t\t"}, "JSON": {76, `{"content": "`, `\n`, ""}, "behind a name": {76, "", "\n", ""},
	} {
		for before := range 80 {
			plain := "# " + strings.Repeat("settings of it ", 6)[:before] + "\nkey: " + token + "\n# and more of them\n"
			text := form.before + broken(plain, form.width, form.sign, form.indent)
			if name == "behind a name" {
				text = "content: " + strings.TrimRight(broken(plain, form.width, form.sign, ""), "\n")
			}
			found := d.Find(Content{Data: []byte(text)})
			if len(found) != 1 || found[0].Rule.ID != "github-pat" || found[0].Encoding != "base64" {
				t.Fatalf("%s, behind %d characters: %+v", name, before, found)
			}
			if got := unbrokenBase64(text[found[0].Start:found[0].End]); !strings.Contains(b64(plain), got) || len(got) < len(token)*4/3 || len(got) > len(token)*4/3+3 {
				t.Fatalf("%s, behind %d characters: it is said to be at %q", name, before, masked(text[found[0].Start:found[0].End]))
			}
		}
	}
}

func unbrokenBase64(s string) string {
	return strings.NewReplacer(`\n`, "", "\n", "", "\r", "", " ", "", "\t", "").Replace(s)
}

// sampleOf makes a token of a rule.
func sampleOf(t *testing.T, id string) string {
	t.Helper()
	for i := range tokens {
		if tokens[i].ID == id {
			return tokens[i].sample(tokenRand())
		}
	}
	t.Fatalf("there is no token %s", id)
	return ""
}

// TestBase64Behind has each token behind up to four bytes, on one line.
func TestBase64Behind(t *testing.T) {
	d := New()
	for i := range shapeTokens {
		tok := &shapeTokens[i]
		for _, before := range []string{"", "=", "a=", "ab=", "abc="} {
			text := "content: " + b64(before+tok.sample(tokenRand())) + "\n"
			if found := d.Find(Content{Data: []byte(text)}); len(found) == 0 {
				t.Errorf("%s is not found behind %q in base64", tok.ID, before)
			}
		}
	}
}

// TestBase64Formats has files in base64 whose passwords have no shape.
func TestBase64Formats(t *testing.T) {
	d := New()
	for id, text := range map[string]string{
		"npmrc":             "registry=https://npm.corp.example/\n//npm.corp.example/:_authToken=hunter2x9\n",
		"kubernetes-secret": "apiVersion: v1\nkind: Secret\nmetadata:\n  name: app\nstringData:\n  password: Corp-7Kestrel\n",
		"private-key":       "# of the server\n" + block("PRIVATE KEY", nil, testKey(t)),
	} {
		for _, width := range []int{64, 76, 1 << 20} {
			for depth, in := 1, text; depth <= maxNesting; depth++ {
				in = broken(in, width, "\n", "  ")
				found := d.Find(Content{Data: []byte("blob: |\n" + in)})
				if len(found) != 1 || found[0].Rule.ID != id {
					t.Errorf("%s, %d times in base64 with %d columns: %+v", id, depth, width, found)
				}
				in = strings.ReplaceAll(in, "  ", "")
			}
		}
	}
}

// TestBase64OfNothing has base64 that has no secrets, and lines that are values of their own.
func TestBase64OfNothing(t *testing.T) {
	d := New()
	r := tokenRand()
	token := sampleOf(t, "github-pat")
	for name, text := range map[string]string{
		"a license":      broken(strings.Repeat("Permission is hereby granted, free of charge, to any person obtaining a copy of this token.\n", 20), 76, "\n", ""),
		"a placeholder":  broken("registry=https://npm.corp.example/\n//npm.corp.example/:_authToken=${NPM_TOKEN}\n", 76, "\n", ""),
		"random bytes":   broken(randomBytes(r, 1<<16), 64, "\r\n", ""),
		"a cut token":    broken("# settings\nkey: "+token[:len(token)-9]+"\n# and more of them, and more of them\n", 64, "\n", ""),
		"digests":        strings.Repeat(fill(r, "{x64}  a\n"), 40),
		"a long address": "https://files.corp.example/" + strings.Repeat("usr/share/doc/settings/", 9) + "\n",
	} {
		if found := d.Find(Content{Data: []byte(text)}); len(found) > 0 {
			t.Errorf("%s: found %+v", name, found)
		}
	}
	list := b64("first: "+token+"\n") + "\n" + b64("other: "+sampleOf(t, "npm-access-token")+"\n") + "\n"
	if found := d.Find(Content{Data: []byte(list)}); len(found) != 2 {
		t.Errorf("of values in lines of their own, %d are found", len(found))
	}
}

// TestUTF16Anywhere has a short token in UTF-16 behind and between all numbers of other bytes.
func TestUTF16Anywhere(t *testing.T) {
	d := New()
	first, second := sampleOf(t, "aws-access-key-id"), sampleOf(t, "npm-access-token")
	for n := range 40 {
		for order := range 2 {
			text := append(bytes.Repeat([]byte{0xff}, n), wideText(first[:20]+"\n", order)...)
			text = append(append(text, bytes.Repeat([]byte{0xff}, n+1)...), wideText(second+"\n", order)...)
			if found := d.Find(Content{Data: text}); len(found) != 2 {
				t.Errorf("behind %d bytes, in order %d: %d found", n, order, len(found))
			}
		}
	}
}

func wideText(s string, order int) (out []byte) {
	for i := range len(s) {
		c := [2]byte{}
		c[order] = s[i]
		out = append(out, c[:]...)
	}
	return out
}

// TestPublishedInBase64 has a key of Nettle's benchmarks, the way it is written there.
func TestPublishedInBase64(t *testing.T) {
	d := New()
	const public = `"{KDExOnByaXZhdGUta2V5KDE0OnJzYS1wa2NzMS1zaGExKDE6bjEyOToA90+K5EmjbFJBeJD"`
	other := strings.Replace(public, "A90+K5EmjbFJB", "A71+K5EmjbFJB", 1)
	if found := d.Find(Content{Data: []byte(public)}); len(found) > 0 {
		t.Errorf("found %+v, which everybody knows", found)
	}
	if found := d.Find(Content{Data: []byte(other)}); len(found) != 1 {
		t.Errorf("%d found of what nobody knows", len(found))
	}
}

func randomBytes(r *rand.Rand, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return string(b)
}

// TestNextRun compares the runs that are found with those that are there.
func TestNextRun(t *testing.T) {
	r := tokenRand()
	for range 2000 {
		var text []byte
		want := 0
		for range r.IntN(8) {
			n := r.IntN(3 * minBlob)
			if n >= minBlob {
				want++
			}
			text = append(append(text, fill(r, "{w200}")[:n]...), " .\x00\xff\n="[r.IntN(6)])
		}
		got := 0
		for start, end := nextRun(text, 0); start < end; start, end = nextRun(text, end) {
			if got++; end-start < minBlob || start > 0 && base64Signs[text[start-1]] || end < len(text) && base64Signs[text[end]] {
				t.Fatalf("from %d to %d of %q", start, end, text)
			}
		}
		if got != want {
			t.Fatalf("%d runs, not %d, in %q", got, want, text)
		}
	}
}

// BenchmarkSearch searches what most files are like: sources and documents, and programs.
func BenchmarkSearch(b *testing.B) {
	d := New()
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		b.Fatal(err)
	}
	root := strings.TrimSpace(string(out))
	for name, dir := range map[string]string{"text": filepath.Join(root, "src", "net"), "programs": filepath.Join(root, "pkg", "tool")} {
		var contents []Content
		size := int64(0)
		err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if err != nil || !e.Type().IsRegular() {
				return err
			}
			data, err := os.ReadFile(path)
			contents = append(contents, Content{Path: filepath.ToSlash(path), Data: data})
			size += int64(len(data))
			return err
		})
		if err != nil || size == 0 {
			b.Fatal(err, size)
		}
		b.Run(name, func(b *testing.B) {
			b.SetBytes(size)
			for b.Loop() {
				for _, c := range contents {
					d.Search(c)
				}
			}
		})
	}
}
