package proof

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/tightlip/tightlip/secret"
)

// masked is text after a Masker took it in chunks of the given size.
func masked(n *Needles, text []byte, chunk func() int) string {
	var out strings.Builder
	was := false
	m := n.NewMasker(func(text []byte, masked bool) {
		if out.Write(text); masked && !was {
			out.WriteString("***")
		}
		was = masked
	})
	for len(text) > 0 {
		size := min(max(chunk(), 1), len(text))
		_, _ = m.Write(text[:size])
		text = text[size:]
	}
	m.Flush()
	return out.String()
}

// shared is the length of the longest run of text that is also in whole.
func shared(text, whole string) int {
	longest := 0
	for at := range len(text) {
		for at+longest < len(text) && strings.Contains(whole, text[at:at+longest+1]) {
			longest++
		}
	}
	return longest
}

func TestMaskCoversWrappedKeys(t *testing.T) {
	for _, size := range []int{40, 300, 3000} {
		value := canary(size)
		n := needlesFor(t, value)
		for name, encoded := range map[string]string{
			"base64": base64.StdEncoding.EncodeToString(value), "url": base64.RawURLEncoding.EncodeToString(value),
			"hex": hex.EncodeToString(value), "HEX": strings.ToUpper(hex.EncodeToString(value)),
			"shifted": base64.StdEncoding.EncodeToString(append([]byte("user:"), value...)),
		} {
			for _, width := range []int{20, 60, 64, 76, 10000} {
				for _, newline := range []string{"\n", "\r\n", "\n    "} {
					log := "+ dump key\n" + wrap(encoded, width, newline) + "Done in 3 seconds\n"
					for _, chunk := range []int{1, 2, 7, 11, 16, 64, 1000} {
						got := masked(n, []byte(log), func() int { return chunk })
						if found := shared(got, encoded); found >= 12 {
							t.Fatalf("%s of %d bytes, width %d: %d characters are shown", name, size, width, found)
						}
						if !strings.HasPrefix(got, "+ dump key\n") || !strings.Contains(got, "***") || !strings.HasSuffix(got, "Done in 3 seconds\n") {
							t.Fatalf("%s, width %d: too much is masked: %q", name, width, got)
						}
						if kept := strings.Count(got, "\n"); kept != strings.Count(log, "\n") {
							t.Fatalf("%s, width %d: %d line breaks are left", name, width, kept)
						}
					}
				}
			}
		}
	}
}

// TestMaskCoversValuesThatBeginWithinALine is about programs that encode a file of which a value is a part.
func TestMaskCoversValuesThatBeginWithinALine(t *testing.T) {
	for _, size := range []int{9, 12, 20, 40, 100, 3000} {
		value := token(size)
		n := needlesFor(t, []byte(value))
		for before := range min(80, 3+3000/size) {
			text := []byte(strings.Repeat("~", before) + value + "~~~~~~~~")
			for kind, encode := range map[string]func([]byte) string{"base64": base64.StdEncoding.EncodeToString, "hex": hex.EncodeToString} {
				encoded := encode(text)
				perByte := map[string]int{"base64": 6, "hex": 4}[kind]
				own := encoded[(before*8+perByte-1)/perByte : (before+size)*8/perByte]
				for _, width := range []int{20, 64, 76} {
					for _, newline := range []string{"\n", "\r\n", "\n      ", `\n`, `\r\n`, `\u000a`} {
						log := "key: " + wrap(encoded, width, newline) + "Done in 3 seconds\n"
						want := masked(n, []byte(log), func() int { return len(log) })
						chunk := 1 + (before+width)%31
						if got := masked(n, []byte(log), func() int { return chunk }); got != want {
							t.Fatalf("of %q\n in chunks %q\nat once %q", log, got, want)
						}
						if found := shared(own, strings.ReplaceAll(want, newline, "")); found >= 5 {
							t.Fatalf("%s of %d bytes after %d, width %d, %q: %d characters are shown in %q", kind, size, before, width, newline, found, want)
						}
						if !strings.HasSuffix(want, "Done in 3 seconds\n") {
							t.Fatalf("too much is masked: %q", want)
						}
					}
				}
			}
		}
	}
}

// escapeSome writes some of the characters of text as escapes.
func escapeSome(rng *rand.Rand, text string) string {
	var out strings.Builder
	for _, r := range text {
		switch high, low := utf16.EncodeRune(r); {
		case r < 0x80 && rng.IntN(4) == 0:
			fmt.Fprintf(&out, `\x%02x`, r)
		case r > 0xffff && rng.IntN(2) == 0:
			fmt.Fprintf(&out, `\u%04X\u%04x`, high, low)
		case r <= 0xffff && rng.IntN(3) == 0:
			fmt.Fprintf(&out, `\u%04x`, r)
		case strings.ContainsRune("/'\\\"", r):
			out.WriteString(`\` + string(r))
		default:
			out.WriteRune(r)
		}
	}
	return out.String()
}

func TestMaskDecodesAnyMixOfEscapes(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	shown := regexp.MustCompile(`^{"a": "\*\*\*", "b": "\*\*\*(.|\\x..|\\u....)?", "c": "\\u003ch1\\u003e"}$`) // base64 may end in a few bits
	for range 300 {
		value := token(8+rng.IntN(20)) + "/+='<é\U0001F512\n\\\"" + token(rng.IntN(20))
		if rng.IntN(10) == 0 {
			value = token(maxNeedle) + strings.ReplaceAll(value, "\n", "")
		}
		n := needlesFor(t, []byte(value))
		log := `{"a": "` + escapeSome(rng, value) + `", "b": "` + escapeSome(rng, base64.RawStdEncoding.EncodeToString([]byte(value))) + `", "c": "\u003ch1\u003e"}`
		if got := masked(n, []byte(log), func() int { return 1 + rng.IntN(30) }); !shown.MatchString(got) {
			t.Fatalf("of %s\nthis is shown: %s", log, got)
		}
	}
}

func TestMaskCoversLongValues(t *testing.T) {
	line := token(2000)
	text := wrap(base64.StdEncoding.EncodeToString(canary(300<<10)), 76, "\n")
	for name, value := range map[string]string{"one line": line, "text": text, "binary": string(canary(1 << 20))} {
		t.Run(name, func(t *testing.T) {
			n := needlesFor(t, []byte(value))
			encoded := base64.StdEncoding.EncodeToString([]byte(value))
			for kind, secret := range map[string]string{"raw": value, "base64": encoded, "wrapped": wrap(encoded, 76, "\n"), "hex": hex.EncodeToString([]byte(value))} {
				got := masked(n, []byte("before "+secret+" after"), func() int { return 32 << 10 })
				rest := strings.NewReplacer("***", "", "\n", "", "before ", "", " after", "", "=", "").Replace(got)
				if len(rest) > 20 || !strings.HasPrefix(got, "before ***") || !strings.HasSuffix(got, " after") {
					t.Errorf("%s: %d bytes are shown", kind, len(rest))
				}
			}
			for single := range strings.Lines(value) {
				if got := masked(n, []byte("> "+single), func() int { return 50 }); len(got) > 12 {
					t.Fatalf("%d bytes of a line of %d are shown", len(got), len(single))
				}
			}
		})
	}
}

func TestMaskIsTheSameInAnyChunks(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		value := canary(MinLen + rng.IntN(200))
		for i := range value {
			value[i] = "ab\n 0'\"/+cdefgh"[int(value[i])%15]
		}
		pin := []byte("q7z")
		n, err := NewNeedles([]Secret{{ID: "s", Value: secret.NewValue(append([]byte("x1y2z3w4"), value...))}, {ID: "pin", Value: secret.NewValue(pin), Waived: true}})
		if err != nil {
			t.Fatal(err)
		}
		set := n.open()
		var log []byte
		for range 10 {
			text := set.patterns[rng.IntN(len(set.patterns))].text
			from := rng.IntN(len(text))
			log = append(log, text[from:from+rng.IntN(len(text)-from+1)]...)
			log = append(log, "q7z some words\n"[:rng.IntN(16)]...)
			log = append(log, wrap(base64.StdEncoding.EncodeToString(value), 60+rng.IntN(20), "\n")[:rng.IntN(len(value))]...)
			log = append(log, escapeSome(rng, string(text))...)
			log = log[:len(log)-rng.IntN(min(len(log), 4))]
		}
		want := masked(n, log, func() int { return len(log) })
		for range 5 {
			limit := 1 + rng.IntN(100)
			if got := masked(n, log, func() int { return rng.IntN(limit) }); got != want {
				t.Fatalf("of %q\n in chunks %q\nat once %q", log, got, want)
			}
		}
		for _, p := range set.patterns {
			if bytes.Contains([]byte(want), p.text) {
				t.Fatalf("a needle (%s) is shown", p.encoding)
			}
		}
	}
}

func TestMaskHoldsBackLittle(t *testing.T) {
	value := []byte(token(20))
	n := needlesFor(t, value)
	shown := 0
	m := n.NewMasker(func(text []byte, _ bool) { shown += len(text) })
	line := "Step 3/9 : RUN make\n"
	_, _ = m.Write([]byte(line))
	if shown != len(line) {
		t.Errorf("%d of %d bytes of a line are shown", shown, len(line))
	}
	_, _ = m.Write(value[:19])
	if shown != len(line) {
		t.Error("a part of the value was shown")
	}
	_, _ = m.Write([]byte{'-'})
	if shown != len(line)+20 {
		t.Error("what is no value is still held back")
	}
}

// A line is shown when it is complete, unless it ends as a secret in base64 or hex begins.
func TestMaskHoldsNoLineBack(t *testing.T) {
	value := "hunter2-" + token(30)
	n := needlesFor(t, []byte(value))
	encoded := base64.StdEncoding.EncodeToString([]byte(value))
	for line, held := range map[string]int{
		"Step 3/9 : RUN make\n": 0, "a\\\n": 0, `C:\u` + "\n": 0, "deadbeef\r\n": 0, "aHV": 3, "aHV\n": 4, "aHV\r\n   ": 8, "aH\n": 0, "aHV \n": 0,
		`\`: 1, `\u00`: 4, `\ud83d`: 6, "x " + encoded[:6] + "\n": 7, "\n" + strings.Repeat(" ", 200): 0, "aHV\n" + strings.Repeat(" ", 200): 0,
	} {
		shown := 0
		m := n.NewMasker(func(text []byte, _ bool) { shown += len(text) })
		_, _ = m.Write([]byte(line))
		if got := len(line) - shown; got != held {
			t.Errorf("of %q, %d bytes are held back", line, got)
		}
	}
}

func TestMaskHoldsBackABoundedTail(t *testing.T) {
	value := token(40)
	n := needlesFor(t, []byte(value))
	encoded := base64.StdEncoding.EncodeToString([]byte(value))
	for _, filler := range []string{" ", "\n", `\n`, `\`, `\u00`, `\ud83d`, encoded[:6] + "\n", encoded[:13] + "\n"} {
		shown := 0
		m := n.NewMasker(func(text []byte, was bool) { shown += len(text) })
		text := encoded[:8] + strings.Repeat(filler, 1<<16)
		_, _ = m.Write([]byte(text))
		if held := len(m.open().held); held > 2000 || cap(m.open().held) > 4*maxTaken {
			t.Errorf("%q: %d bytes are held back, in %d", filler, held, cap(m.open().held))
		}
	}
}

func TestMaskString(t *testing.T) {
	value := token(20)
	n := needlesFor(t, []byte(value))
	tests := []struct{ text, want string }{
		{"", ""},
		{"a " + value + " b", "a *** b"},
		{value + value, "***"},
		{"Basic " + base64.RawStdEncoding.EncodeToString([]byte("u:"+value)), ""},
		{"cut " + value[:MinLen], "cut ***"},
		{"cut " + hexEscapes(value[:MinLen], `\x%x`), "cut ***"},
		{"cut " + value[:MinLen-1], "cut " + value[:MinLen-1]},
	}
	for _, test := range tests {
		got := n.maskString(test.text)
		if test.want != "" && got != test.want || strings.HasPrefix(test.text, "Basic") && !strings.HasSuffix(got, "***") {
			t.Errorf("%q became %q", test.text, got)
		}
	}
}

func FuzzMask(f *testing.F) {
	f.Add([]byte("hunter2hunter2"), []byte("xx"), 3)
	f.Add(bytes.Repeat([]byte("ab\n"), 30), []byte("ab\nab"), 5)
	f.Fuzz(func(t *testing.T, value, noise []byte, chunk int) {
		if len(bytes.TrimSpace(value)) < MinLen {
			return
		}
		n := needlesFor(t, value)
		encoded := base64.StdEncoding.EncodeToString(value)
		log := fmt.Appendf(nil, "%s%s%s%s\n%q%q%s", noise, value, encoded, noise, value, fmt.Sprintf("%q", noise), wrap(encoded, 7, "\r\n"))
		want := masked(n, log, func() int { return len(log) })
		if got := masked(n, log, func() int { return chunk }); got != want {
			t.Errorf("of %q\n in chunks %q\nat once %q", log, got, want)
		}
		if strings.Contains(want, string(value)) && !strings.Contains("***", string(value)) {
			t.Error("the value is shown")
		}
	})
}
