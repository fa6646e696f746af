package proof

import (
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// jsonStyle is how an encoder of JSON writes what it is free to write in several ways.
type jsonStyle struct {
	escape string // characters it writes as \uXXXX although it need not
	all    bool   // it writes all of them so
	hex    string // verb for those, and for control characters
	beyond string // verb for what is beyond ASCII, which is left as it is if this is empty
	slash  bool   // it writes \/
}

const (
	lowerHex   = `\u%04x`
	upperHex   = `\u%04X`
	separators = "\u2028\u2029" // line breaks to JavaScript
)

// jsonStyles are those of well-known encoders. Masking decodes any mix of escapes; the proof finds these.
var jsonStyles = []jsonStyle{
	{hex: lowerHex}, // JSON.stringify, serde_json, jq
	{hex: upperHex}, // Jackson
	{hex: lowerHex, escape: separators},
	{hex: lowerHex, escape: "<>&" + separators},                      // encoding/json, Rails
	{hex: lowerHex, escape: "<>&'"},                                  // Jinja without ensure_ascii
	{hex: lowerHex, escape: "<>&'=" + separators},                    // Gson
	{hex: lowerHex, escape: "<>&'\"" + separators},                   // Newtonsoft with EscapeHtml
	{hex: upperHex, escape: "<>&" + separators},                      // the same in upper case
	{hex: upperHex, escape: "<>/" + separators},                      // serialize-javascript
	{hex: upperHex, escape: "<>&'+\"`" + separators},                 // System.Text.Json with UnicodeRanges.All
	{hex: lowerHex, slash: true},                                     // Swift
	{hex: lowerHex, slash: true, escape: separators},                 // PHP with JSON_UNESCAPED_UNICODE, Ruby with script_safe
	{hex: lowerHex, beyond: lowerHex},                                // Python, jq -a
	{hex: lowerHex, beyond: lowerHex, slash: true},                   // PHP
	{hex: upperHex, beyond: lowerHex, slash: true, escape: "<>&'\""}, // PHP with JSON_HEX_…, Symfony, Laravel
	{hex: lowerHex, beyond: lowerHex, escape: "<>&"},                 // simplejson with for_html
	{hex: lowerHex, beyond: lowerHex, escape: "<>&'"},                // Jinja, Flask
	{hex: upperHex, beyond: lowerHex, escape: "<>&"},                 // Django
	{hex: upperHex, beyond: upperHex},                                // Jackson with ESCAPE_NON_ASCII
	{hex: upperHex, beyond: upperHex, escape: "<>&'+\"`"},            // System.Text.Json
	{hex: lowerHex, beyond: lowerHex, all: true},
	{hex: upperHex, beyond: upperHex, all: true},
}

// jsonShort are the escapes every encoder shares.
var jsonShort = map[rune]string{
	'"': `\"`, '\\': `\\`, '\n': `\n`, '\r': `\r`, '\t': `\t`, '\b': `\b`, '\f': `\f`,
}

func jsonEscapes(b []byte) [][]byte {
	var out [][]byte
	for _, style := range jsonStyles {
		out = append(out, style.append(nil, b))
	}
	return out
}

// append writes b as inside a JSON string. For bytes that are no UTF-8, styles that leave
// what is beyond ASCII do as encoding/json does, and the others take them for Latin-1.
func (s jsonStyle) append(dst, b []byte) []byte {
	text := string(b)
	if s.beyond != "" {
		text = string(runes(b))
	}
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		text = text[size:]
		if r == utf8.RuneError && size == 1 {
			dst = append(dst, `\ufffd`...)
			continue
		}
		dst = s.appendRune(dst, r)
	}
	return dst
}

func (s jsonStyle) appendRune(dst []byte, r rune) []byte {
	short, known := jsonShort[r]
	switch {
	case s.beyond != "" && r > '~':
		return appendHex(dst, r, s.beyond)
	case s.all || strings.ContainsRune(s.escape, r):
		return appendHex(dst, r, s.hex)
	case known:
		return append(dst, short...)
	case r == '/' && s.slash:
		return append(dst, `\/`...)
	case r < ' ':
		return appendHex(dst, r, s.hex)
	}
	return utf8.AppendRune(dst, r)
}

func appendHex(dst []byte, r rune, verb string) []byte {
	if high, low := utf16.EncodeRune(r); high != utf8.RuneError {
		return fmt.Appendf(dst, verb+verb, high, low)
	}
	return fmt.Appendf(dst, verb, r)
}
