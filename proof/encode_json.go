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
	slash  bool   // it writes \/
	ascii  bool   // it writes everything beyond ASCII as \uXXXX
	upper  bool   // its hex digits are upper case
}

// jsonStyles are those of encoding/json with and without HTML escaping, PHP, Python, and their relatives.
var jsonStyles = []jsonStyle{
	{},
	{escape: "<>&\u2028\u2029"},
	{escape: "\u2028\u2029"},
	{escape: "<>&'"},
	{slash: true},
	{slash: true, ascii: true},
	{ascii: true},
	{ascii: true, upper: true},
	{ascii: true, escape: "<>&"},
	{ascii: true, escape: "<>&'+\"", upper: true},
	{escape: "<>&", upper: true},
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

// append writes b as inside a JSON string. For bytes that are no UTF-8, styles beyond ASCII do as encoding/json
// does and the others take them for Latin-1.
func (s jsonStyle) append(dst, b []byte) []byte {
	text := string(b)
	if s.ascii {
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
	case strings.ContainsRune(s.escape, r):
		return s.appendHex(dst, r)
	case known:
		return append(dst, short...)
	case r == '/' && s.slash:
		return append(dst, `\/`...)
	case r < ' ', s.ascii && r > '~':
		return s.appendHex(dst, r)
	}
	return utf8.AppendRune(dst, r)
}

func (s jsonStyle) appendHex(dst []byte, r rune) []byte {
	verb := `\u%04x`
	if s.upper {
		verb = `\u%04X`
	}
	if high, low := utf16.EncodeRune(r); high != utf8.RuneError {
		return fmt.Appendf(dst, verb+verb, high, low)
	}
	return fmt.Appendf(dst, verb, r)
}
