package proof

import (
	"bytes"
	"sort"
	"unicode/utf16"
	"unicode/utf8"
)

// unescaped is a text with the escapes of JSON and its relatives decoded, whichever of its characters are escaped.
// What is no escape is left as it is.
type unescaped struct {
	text     []byte
	from, to []int32 // what each byte of text comes from: itself, or an escape
	end      int     // how much was read: an escape may be cut off there
	escapes  int     // in text
}

// read decodes src, in which an escape that is cut off stays unread unless src is the last of its stream.
func (u *unescaped) read(src []byte, last bool) {
	*u = unescaped{text: u.text[:0], from: u.from[:0], to: u.to[:0]}
	for u.end < len(src) {
		plain := bytes.IndexByte(src[u.end:], '\\')
		if plain < 0 {
			plain = len(src) - u.end
		}
		u.addPlain(src[u.end : u.end+plain])
		if u.end == len(src) {
			return
		}
		means, size := unescape(src[u.end:])
		switch {
		case size > 0:
			u.addEscape(means, size)
		case size < 0 && !last:
			return
		default:
			u.addPlain(src[u.end : u.end+1])
		}
	}
}

// addPlain appends bytes that mean themselves.
func (u *unescaped) addPlain(text []byte) {
	u.text = append(u.text, text...)
	for range text {
		u.from = append(u.from, int32(u.end))
		u.end++
		u.to = append(u.to, int32(u.end))
	}
}

// addEscape appends what an escape of a size means.
func (u *unescaped) addEscape(means []byte, size int) {
	u.text = append(u.text, means...)
	for range means {
		u.from = append(u.from, int32(u.end))
		u.to = append(u.to, int32(u.end+size))
	}
	u.end += size
	u.escapes++
}

// boundary is where the first escape or byte starts that is not before at.
func (u *unescaped) boundary(at int) int {
	i := sort.Search(len(u.from), func(i int) bool { return int(u.from[i]) >= at })
	if i == len(u.from) {
		return max(at, u.end)
	}
	return int(u.from[i])
}

// unescape returns what the escape that text starts with means, and how long it is: 0 if it is none, negative if more of the
// text is needed to tell.
func unescape(text []byte) (means []byte, size int) {
	if len(text) < 2 {
		return nil, -1
	}
	switch c := text[1]; c {
	case '"', '\'', '\\', '/':
		return text[1:2], 2
	case 'b', 'f', 'n', 'r', 't':
		return []byte{"\b\f\n\r\t"[bytes.IndexByte([]byte("bfnrt"), c)]}, 2
	case 'x':
		r, size := hexAfter(text, `\x`, 2)
		return []byte{byte(r)}, size
	case 'u':
		return unescapeUTF16(text)
	}
	return nil, 0
}

// unescapeUTF16 decodes \uXXXX, or two of them that are one character.
func unescapeUTF16(text []byte) (means []byte, size int) {
	r, size := hexAfter(text, `\u`, 4)
	if size > 0 && utf16.IsSurrogate(r) {
		low, more := hexAfter(text[size:], `\u`, 4)
		if more < 0 {
			return nil, more
		}
		if pair := utf16.DecodeRune(r, low); more > 0 && pair != utf8.RuneError {
			r, size = pair, size+more
		}
	}
	return utf8.AppendRune(nil, r), size
}

// hexAfter reads digits that follow a prefix. The size is 0 if they do not, and negative if text ends before them.
func hexAfter(text []byte, prefix string, digits int) (r rune, size int) {
	for i := range len(prefix) + digits {
		switch {
		case i == len(text):
			return 0, -1
		case i < len(prefix) && text[i] != prefix[i]:
			return 0, 0
		case i < len(prefix):
			continue
		}
		digit := bytes.IndexByte([]byte("0123456789abcdefABCDEF"), text[i])
		if digit < 0 {
			return 0, 0
		}
		if digit >= 16 {
			digit -= 6
		}
		r = r<<4 | rune(digit)
	}
	return r, len(prefix) + digits
}
