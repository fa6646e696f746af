package detect

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"iter"
)

// base64Forms are the parts of a text's base64 that do not depend on what stands around it, with the place of their first character
// in a group of four. Forms under 5 characters would be found everywhere.
func base64Forms(text string) iter.Seq2[int, string] {
	return func(yield func(int, string) bool) {
		for shift := range 3 {
			padded := append(bytes.Repeat([]byte{0}, shift), text...)
			chars := base64.RawStdEncoding.EncodeToString(padded)
			first := (8*shift + 5) / 6
			chars = chars[:len(padded)*8/6]
			if len(chars)-first >= 5 && !yield(first, chars[first:]) {
				return
			}
		}
	}
}

// maxWrapped bounds in characters what is decoded on each side of a literal.
const maxWrapped = 64 << 10

// unwrap decodes the base64 around a place whose character is the one with the given number in its group of four, and searches that.
func (s *search) unwrap(at, phase int) {
	text := s.content.Data
	start, end := at, at
	for start > 0 && at-start < maxWrapped && isBase64(text[start-1]) {
		start--
	}
	start += ((at-phase-start)%4 + 4) % 4
	var chars []byte
	for line := 0; end < len(text) && end-at < maxWrapped; end++ {
		switch c := text[end]; {
		case isBase64(c):
			line++
			continue
		case (c == '\n' || c == '\r') && line > 0 && end+1 < len(text) && (isBase64(text[end+1]) || text[end+1] == '\n'):
			line = 0
			continue
		}
		break
	}
	for _, c := range text[start:end] {
		switch c {
		case '-':
			c = '+'
		case '_':
			c = '/'
		case '\n', '\r':
			continue
		}
		chars = append(chars, c)
	}
	plain := make([]byte, base64.RawStdEncoding.DecodedLen(len(chars)))
	n, _ := base64.RawStdEncoding.Decode(plain, chars) // as far as it goes
	plain = plain[:n]
	s.decoded = end
	for _, m := range s.inner(Content{Data: plain}) {
		value := string(plain[m.Start:m.End])
		m.Start, m.End, m.Encoding = start+m.Start*4/3, min(start+(m.End*4+2)/3, end), "base64"
		s.add(m, m.certainty, value)
	}
}

// inner searches what was decoded.
func (s *search) inner(c Content) []Match {
	found, more := s.d.search(c, s.depth+1)
	s.more = s.more || more
	return found
}

func isBase64(c byte) bool {
	return isAlnum(c) || c == '+' || c == '/' || c == '-' || c == '_'
}

// minWide is how many characters of UTF-16 in a row make a text.
const minWide = 12

// wide searches the runs of UTF-16 in the content. Of the characters that settings and tokens are written in, every second byte is
// zero, in either byte order.
func (s *search) wide() {
	var narrow []byte
	var places []int // where each byte of narrow stands in the text
	text := s.content.Data
	for at := 0; at+8 <= len(text); at += 8 {
		first, ok := wideWord(binary.LittleEndian.Uint64(text[at:]))
		if !ok {
			continue
		}
		start := at + first
		for start >= 2 && text[start-1] == 0 && isText(text[start-2]) && (len(places) == 0 || start-2 > places[len(places)-1]) {
			start -= 2
		}
		end := start
		for ; end < len(text) && isText(text[end]) && (end+1 == len(text) || text[end+1] == 0); end += 2 {
			narrow, places = append(narrow, text[end]), append(places, end)
		}
		if n := (end - start) / 2; n < minWide {
			narrow, places = narrow[:len(narrow)-n], places[:len(places)-n]
		} else {
			narrow, places = append(narrow, '\n'), append(places, end)
		}
		at = max(at, end&^7-8)
	}
	if len(narrow) == 0 {
		return
	}
	for _, m := range s.inner(Content{Path: s.content.Path, Data: narrow, Kind: s.content.Kind, Rest: s.content.Rest}) {
		value := string(narrow[m.Start:m.End])
		m.Start, m.End, m.Encoding = places[m.Start], min(places[m.End-1]+2, len(text)), "utf-16"
		s.add(m, m.certainty, value)
	}
}

// wideWord tells whether 8 bytes are 4 characters of UTF-16, and which of the first two bytes is the character.
func wideWord(w uint64) (first int, ok bool) {
	const low, ones = 0x00ff00ff00ff00ff, 0x0001000100010001
	if w&low != 0 && w&(low<<8) != 0 {
		return 0, false
	}
	for first := range 2 {
		chars, zeros := w>>(8*first)&low, w>>(8-8*first)&low
		if zeros == 0 && chars&(0x80*ones) == 0 && (chars-ones)&(0x80*ones) == 0 {
			return first, true
		}
	}
	return 0, false
}

// isText is for the characters that settings and tokens are written in.
func isText(c byte) bool {
	return c >= ' ' && c <= '~' || c == '\t' || c == '\n' || c == '\r'
}
