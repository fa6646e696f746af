package proof

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// encoding is one way in which programs write bytes down.
type encoding struct {
	name   string
	encode func([]byte) [][]byte
	wraps  bool // tools break its output into lines
}

// encodings is the one list of them, the most telling first.
var encodings = []encoding{
	{name: "raw", encode: func(b []byte) [][]byte { return [][]byte{b} }},
	{name: "base64", encode: aligned(base64.RawStdEncoding), wraps: true},
	{name: "base64url", encode: aligned(base64.RawURLEncoding), wraps: true},
	{name: "hex", encode: hexDigits, wraps: true},
	{name: "percent", encode: percent},
	{name: "json", encode: jsonEscapes},
	{name: "shell", encode: shellQuotes},
	{name: "xml", encode: xmlEscapes},
	{name: "utf-16", encode: utf16Bytes},
}

// aligned encodes b at the three places it can have within a group of three bytes, as after "user:", and
// keeps the characters that b alone decides.
func aligned(enc *base64.Encoding) func([]byte) [][]byte {
	return func(b []byte) [][]byte {
		var out [][]byte
		for before := range 3 {
			padded := append(make([]byte, before, before+len(b)), b...)
			text := make([]byte, enc.EncodedLen(len(padded)))
			enc.Encode(text, padded)
			first := (before*8 + 5) / 6
			out = append(out, text[first:len(padded)*8/6])
		}
		return out
	}
}

func hexDigits(b []byte) [][]byte {
	lower := hex.AppendEncode(nil, b)
	return [][]byte{lower, bytes.ToUpper(lower)}
}

// percentStyles are the sets of punctuation that well-known encoders leave alone, and how they write a space.
var percentStyles = []struct{ keep, space string }{
	{keep: "-_.~", space: "+"},                   // url.QueryEscape, urllib quote_plus
	{keep: "-_.~", space: "%20"},                 // RFC 3986 unreserved
	{keep: "-_.~/", space: "%20"},                // urllib quote
	{keep: "-_.~$&+=:@", space: "%20"},           // url.PathEscape
	{keep: "-_.~$&+,;=", space: "%20"},           // url.UserPassword
	{keep: "-_.~!'()*", space: "%20"},            // encodeURIComponent
	{keep: "-_.!~*'();/?:@&=+$,#", space: "%20"}, // encodeURI
	{keep: "*-._", space: "+"},                   // application/x-www-form-urlencoded
}

func percent(b []byte) [][]byte {
	var out [][]byte
	for _, digits := range []string{"0123456789ABCDEF", "0123456789abcdef"} {
		for _, style := range percentStyles {
			out = append(out, escapeBytes(b, func(dst []byte, c byte) []byte {
				switch {
				case isAlphanumeric(c) || strings.IndexByte(style.keep, c) >= 0:
					return append(dst, c)
				case c == ' ':
					return append(dst, style.space...)
				}
				return append(dst, '%', digits[c>>4], digits[c&15])
			}))
		}
		out = append(out, escapeBytes(b, func(dst []byte, c byte) []byte {
			return append(dst, '%', digits[c>>4], digits[c&15])
		}))
	}
	return out
}

func isAlphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
}

// escapeBytes is b with every byte written by escape.
func escapeBytes(b []byte, escape func(dst []byte, c byte) []byte) []byte {
	out := make([]byte, 0, len(b)+len(b)/4)
	for _, c := range b {
		out = escape(out, c)
	}
	return out
}

// shellQuotes is b inside each kind of quotes, and as bash's printf %q and set -x write it.
func shellQuotes(b []byte) [][]byte {
	backslashed := func(special string) []byte {
		return escapeBytes(b, func(dst []byte, c byte) []byte {
			if strings.IndexByte(special, c) >= 0 {
				dst = append(dst, '\\')
			}
			return append(dst, c)
		})
	}
	return [][]byte{
		bytes.ReplaceAll(b, []byte(`'`), []byte(`'\''`)),
		bytes.ReplaceAll(b, []byte(`'`), []byte(`'"'"'`)),
		backslashed("\\\"$`"),
		backslashed("\\\"$`!"),
		backslashed(" \t!\"$&'()*,;<>?[\\]^`{|}"),
		backslashed(" \t!\"#$&'()*,;<>?[\\]^`{|}~"),
		ansiC(b, func(c byte) bool { return c >= 0x80 }, octalEscape),
		ansiC(b, func(byte) bool { return false }, octalEscape),
		ansiC(b, func(byte) bool { return false }, hexEscape),
	}
}

// ansiNames are the short escapes inside $'…'.
var ansiNames = map[byte]string{
	'\a': `\a`, '\b': `\b`, 0x1b: `\E`, '\f': `\f`, '\n': `\n`, '\r': `\r`, '\t': `\t`, '\v': `\v`, '\\': `\\`, '\'': `\'`,
}

// ansiC is b as inside $'…'. Whether bytes of UTF-8 are left alone depends on the locale of the shell.
func ansiC(b []byte, plain func(byte) bool, numeric func([]byte, byte) []byte) []byte {
	return escapeBytes(b, func(dst []byte, c byte) []byte {
		if name, ok := ansiNames[c]; ok {
			return append(dst, name...)
		}
		if ' ' <= c && c <= '~' || plain(c) {
			return append(dst, c)
		}
		return numeric(dst, c)
	})
}

func octalEscape(dst []byte, c byte) []byte {
	return append(dst, '\\', '0'+c>>6, '0'+c>>3&7, '0'+c&7)
}

func hexEscape(dst []byte, c byte) []byte {
	return append(dst, '\\', 'x', "0123456789abcdef"[c>>4], "0123456789abcdef"[c&15])
}

// xmlSpaces are the ways to write newline, tab and carriage return.
var xmlSpaces = [][3]string{
	{"\n", "\t", "\r"},
	{"&#10;", "\t", "\r"},
	{"&#10;", "&#9;", "&#13;"},
	{"&#xA;", "\t", "\r"},
	{"&#xA;", "&#x9;", "&#xD;"},
	{"&#xa;", "&#x9;", "&#xd;"},
}

// xmlEscapes is b as XML and HTML write it, in text and in attributes.
func xmlEscapes(b []byte) [][]byte {
	var out [][]byte
	for _, quote := range []string{`"`, "&quot;", "&#34;"} {
		for _, apostrophe := range []string{"'", "&apos;", "&#39;", "&#x27;"} {
			for _, space := range xmlSpaces {
				r := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, quote, "'", apostrophe,
					"\n", space[0], "\t", space[1], "\r", space[2])
				out = append(out, []byte(r.Replace(string(b))))
			}
		}
	}
	return out
}

// utf16Bytes is the text of b in UTF-16 of both byte orders. Bytes that are no UTF-8 count as Latin-1.
func utf16Bytes(b []byte) [][]byte {
	var little, big []byte
	for _, unit := range utf16.Encode(runes(b)) {
		little = append(little, byte(unit), byte(unit>>8))
		big = append(big, byte(unit>>8), byte(unit))
	}
	return [][]byte{little, big}
}

// runes is the text of b, read as Latin-1 if it is not UTF-8.
func runes(b []byte) []rune {
	if utf8.Valid(b) {
		return []rune(string(b))
	}
	out := make([]rune, len(b))
	for i, c := range b {
		out[i] = rune(c)
	}
	return out
}
