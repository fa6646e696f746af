package proof

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"html"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"
)

// encodedBy is one encoding of a list, by name.
func encodedBy(name string, value string) []string {
	var out []string
	for _, enc := range encodings {
		if enc.name == name {
			for _, text := range enc.encode([]byte(value)) {
				out = append(out, string(text))
			}
		}
	}
	return out
}

func TestEncodingsAreWhatToolsPrint(t *testing.T) {
	value := "it's \"a\" <b>&c/d$e`f\\g\n\té€\U0001F512 100% [x]"
	marshal := func(v any) string {
		text, _ := json.Marshal(v)
		return strings.Trim(string(text), `"`)
	}
	var plain, markup bytes.Buffer
	encoder := json.NewEncoder(&plain)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(value)
	_ = xml.EscapeText(&markup, []byte(value))
	tests := []struct{ name, want string }{
		{"json", marshal(value)},
		{"json", strings.Trim(strings.TrimSpace(plain.String()), `"`)},
		{"json", `it's \"a\" <b>&c/d$e` + "`" + `f\\g\n\t\u00e9\u20ac\ud83d\udd12 100% [x]`},  // Python
		{"json", `it's \"a\" <b>&c\/d$e` + "`" + `f\\g\n\t\u00e9\u20ac\ud83d\udd12 100% [x]`}, // PHP
		{"json", `it's \"a\" <b>&c/d$e` + "`" + `f\\g\n\t\u00E9\u20AC\uD83D\uDD12 100% [x]`},
		{"percent", url.QueryEscape(value)},
		{"percent", url.PathEscape(value)},
		{"percent", strings.ReplaceAll(url.QueryEscape(value), "+", "%20")},
		{"percent", "it's%20%22a%22%20%3Cb%3E%26c%2Fd%24e%60f%5Cg%0A%09%C3%A9%E2%82%AC%F0%9F%94%92%20100%25%20%5Bx%5D"}, // encodeURIComponent
		{"percent", strings.ToLower(fmt.Sprintf("%%%s", strings.Join(split(hex.EncodeToString([]byte(value)), 2), "%")))},
		{"shell", `it'\''s "a" <b>&c/d$e` + "`f\\g\n\té€\U0001F512 100% [x]"},
		{"shell", `it'"'"'s "a" <b>&c/d$e` + "`f\\g\n\té€\U0001F512 100% [x]"},
		{"shell", `it's \"a\" <b>&c/d\$e\` + "`f\\\\g\n\té€\U0001F512 100% [x]"},
		{"shell", `it\'s "a" <b>&c/d$e` + "`" + `f\\g\n\té€` + "\U0001F512 100% [x]"},
		{"shell", `it\'s "a" <b>&c/d$e` + "`" + `f\\g\n\t\303\251\342\202\254\360\237\224\222 100% [x]`},
		{"xml", markup.String()},
		{"xml", strings.NewReplacer("\t", "&#9;", "\n", "&#10;").Replace(html.EscapeString(value))}, // Python quoteattr
		{"xml", html.EscapeString(value)},
		{"xml", strings.ReplaceAll(html.EscapeString(value), "&#39;", "&apos;")},
		{"xml", strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(value)},
	}
	for _, test := range tests {
		if got := encodedBy(test.name, value); !slices.Contains(got, test.want) {
			t.Errorf("%s lacks %q", test.name, test.want)
		}
	}
	if got := encodedBy("shell", "a b;c&d(e)"); !slices.Contains(got, `a\ b\;c\&d\(e\)`) {
		t.Errorf("printf %%q is missing: %q", got)
	}
}

// What real encoders print of one value.
func TestJSONIsWhatProgramsPrint(t *testing.T) {
	value := "Ab+1='c'/<d>&\"e`9\\\u00e9"
	escaped := func(b string) string { return strings.ReplaceAll(b, "~", "`") } // a raw string has no backquote
	for program, text := range map[string]string{
		"Python, jq -a, Perl, Ruby's ascii_only": `Ab+1='c'/<d>&\"e~9\\\u00e9`,
		"JavaScript, Ruby, jq, serde_json":       `Ab+1='c'/<d>&\"e~9\\é`,
		"encoding/json":                          `Ab+1='c'/\u003cd\u003e\u0026\"e~9\\é`,
		"Gson":                                   `Ab+1\u003d\u0027c\u0027/\u003cd\u003e\u0026\"e~9\\é`,
		"PHP":                                    `Ab+1='c'\/<d>&\"e~9\\\u00e9`,
		"PHP with JSON_UNESCAPED_UNICODE":        `Ab+1='c'\/<d>&\"e~9\\é`,
		"Symfony's JsonResponse":                 `Ab+1=\u0027c\u0027\/\u003Cd\u003E\u0026\u0022e~9\\\u00e9`,
		"System.Text.Json":                       `Ab\u002B1=\u0027c\u0027/\u003Cd\u003E\u0026\u0022e\u00609\\\u00E9`,
		"Newtonsoft.Json with EscapeHtml":        `Ab+1=\u0027c\u0027/\u003cd\u003e\u0026\u0022e~9\\é`,
		"Jackson with ESCAPE_NON_ASCII":          `Ab+1='c'/<d>&\"e~9\\\u00E9`,
		"Jinja's tojson":                         `Ab+1=\u0027c\u0027/\u003cd\u003e\u0026\"e~9\\\u00e9`,
		"Django's json_script":                   `Ab+1='c'/\u003Cd\u003E\u0026\"e~9\\\u00e9`,
		"serialize-javascript":                   `Ab+1='c'\u002F\u003Cd\u003E&\"e~9\\é`,
		"all of it":                              hexEscapes(value, `\u%04x`),
		"all of it in upper case":                hexEscapes(value, `\u%04X`),
	} {
		if text = escaped(text); !leaks(needlesFor(t, []byte(value)), []byte(text)) {
			t.Errorf("%s: %s is not found", program, text)
		}
		if got := needlesFor(t, []byte(value)).maskString(text); got != "***" {
			t.Errorf("%s: %s is shown as %s", program, text, got)
		}
	}
}

// hexEscapes writes each character of text with a verb.
func hexEscapes(text, verb string) string {
	var out strings.Builder
	for _, r := range text {
		fmt.Fprintf(&out, verb, r)
	}
	return out.String()
}

func split(text string, width int) []string {
	return strings.Fields(wrap(text, width, " "))
}

func TestBase64MatchesAtAnyAlignment(t *testing.T) {
	for size := MinLen; size < 120; size++ {
		value := canary(size)
		n := needlesFor(t, append([]byte("x"), append(value, 'x')...))
		for before := range 5 {
			text := slices.Concat(bytes.Repeat([]byte("u"), before), []byte("x"), value, []byte("x"), bytes.Repeat([]byte("v"), before))
			for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding} {
				if !leaks(n, []byte(enc.EncodeToString(text))) {
					t.Fatalf("%d bytes after %d are not found", size, before)
				}
			}
		}
	}
}

func TestWrappedTextIsFound(t *testing.T) {
	for _, size := range []int{30, 31, 37, 44, 45, 46, 60, 120, 300, 1100, 5000} {
		value := canary(size)
		n := needlesFor(t, value)
		for width := 60; width < 80; width++ {
			for _, newline := range []string{"\n", "\r\n", "\n    "} {
				text := slices.Concat(canary(width%7), value, canary(9))
				for _, encoded := range []string{base64.StdEncoding.EncodeToString(text), hex.EncodeToString(text)} {
					if !leaks(n, []byte(wrap(encoded, width, newline))) {
						t.Fatalf("%d bytes in lines of %d are not found", size, width)
					}
				}
			}
		}
	}
}

func TestUTF16IsFound(t *testing.T) {
	value := "pässwörd-" + token(10)
	n := needlesFor(t, []byte(value))
	var little []byte
	for _, unit := range utf16.Encode([]rune(value)) {
		little = append(little, byte(unit), byte(unit>>8))
	}
	if !leaks(n, little) || !leaks(n, append([]byte{0}, little...)) {
		t.Error("not found")
	}
}

// leaks reports whether a needle is in text.
func leaks(n *Needles, text []byte) bool {
	found := false
	n.Find(text, func(Hit) { found = true })
	return found
}

func FuzzEncodings(f *testing.F) {
	f.Add([]byte("p@ss w'o\"rd\n\x00\xff"))
	f.Add([]byte("000000\xef0\uFFFD")) // starts like U+FFFD
	f.Fuzz(func(t *testing.T, value []byte) {
		if len(bytes.TrimSpace(value)) < MinLen {
			return
		}
		n := needlesFor(t, value)
		quoted, _ := json.Marshal(string(value))
		for name, text := range map[string]string{
			"raw": string(value), "hex": hex.EncodeToString(value), "base64": base64.StdEncoding.EncodeToString(value),
			"query": url.QueryEscape(string(value)), "path": url.PathEscape(string(value)), "json": string(quoted),
			"html": html.EscapeString(string(value)),
		} {
			if !leaks(n, []byte("<"+text+">")) {
				t.Errorf("%s of %q is not found", name, value)
			}
		}
	})
}
