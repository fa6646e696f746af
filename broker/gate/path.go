package gate

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// errPath is what CheckPath returns.
var errPath = errors.New("the path holds dot segments, or what may be read as such")

// maxDecodings is how often a path may be escaped. Nobody escapes twice in earnest; servers in a row unescape more than once.
const maxDecodings = 6

// CheckPath refuses the path of a URL, as it was sent, if any server may read dot segments, separators of lines or broken UTF-8
// in it, whatever the number of times it unescapes and whatever it takes for a separator. npm's @scope%2fname is fine.
func CheckPath(path string) error {
	for range maxDecodings {
		if !plainPath(path) {
			return errPath
		}
		next := unescaped(path)
		if next == path {
			return nil
		}
		path = next
	}
	return errPath
}

// plainPath checks one reading of a path.
func plainPath(path string) bool {
	if !utf8.ValidString(path) || strings.Contains(strings.ToLower(path), "%u") {
		return false
	}
	for _, c := range path {
		if c < ' ' || c == 0x7f || c == '#' {
			return false
		}
	}
	for segment := range strings.FieldsFuncSeq(path, isSeparator) {
		if isDots(segment) {
			return false
		}
	}
	return true
}

// withoutDots leaves out segments that are one plain dot, as apt has them in "deb URL ./". They mean nothing, and no server gets them.
func withoutDots(path string) string {
	for strings.Contains(path, "/./") {
		path = strings.ReplaceAll(path, "/./", "/")
	}
	return path
}

// isSeparator knows what some servers normalise to a slash.
func isSeparator(r rune) bool {
	switch r {
	case '/', '\\', '\u2044', '\u2215', '\u2216', '\uff0f', '\uff3c':
		return true
	}
	return false
}

// isDots is for . and .., with the parameters, the spaces and the other dots that some servers drop or normalise.
func isDots(segment string) bool {
	segment, _, _ = strings.Cut(segment, ";")
	dots := 0
	for _, c := range segment {
		switch c {
		case '.', '\u2024', '\ufe52', '\uff0e', '\u3002', '\uff61':
			dots++
		case '\u2025':
			dots += 2
		case ' ', '\u00a0':
		default:
			return false
		}
	}
	return dots == 1 || dots == 2
}

// unescaped decodes each well-formed escape once, and leaves the rest alone.
func unescaped(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]) {
			out = append(out, unhex(s[i+1])<<4|unhex(s[i+2]))
			i += 2
			continue
		}
		out = append(out, s[i])
	}
	return string(out)
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f'
}

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}
