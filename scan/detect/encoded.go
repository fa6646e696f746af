package detect

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"iter"
	"slices"
	"strings"
	"unicode/utf8"
)

// base64Forms are the parts of a text's base64 that do not depend on what stands around it, with the place of their first character
// in a group of four. A text of 4 bytes has forms of 4 or 5 characters.
func base64Forms(text string) iter.Seq2[int, string] {
	return func(yield func(int, string) bool) {
		for shift := range 3 {
			padded := append(bytes.Repeat([]byte{0}, shift), text...)
			chars := base64.RawStdEncoding.EncodeToString(padded)
			first := (8*shift + 5) / 6
			chars = chars[:len(padded)*8/6]
			if !yield(first, chars[first:]) {
				return
			}
		}
	}
}

// unwrap decodes the base64 around a place whose character is the one with the given number in its group of four, and searches that.
func (s *search) unwrap(at, phase int) {
	text := s.content.Data
	start := at
	for start > s.decoded && base64Signs[text[start-1]] {
		start--
	}
	e := base64At(text, start+((at-phase-start)%4+4)%4)
	s.decoded = e.place(len(e.chars))
	plain := make([]byte, base64.RawStdEncoding.DecodedLen(len(e.chars)))
	n, _ := base64.RawStdEncoding.Decode(plain, e.chars) // as far as it goes
	plain = plain[:n]
	for _, m := range s.inner(Content{Data: plain}) {
		value := string(plain[m.Start:m.End])
		m.Start, m.End, m.Encoding = e.place(8*m.Start/6), e.place((8*m.End-1)/6)+1, "base64"
		s.add(m, m.certainty, value)
	}
}

// wrapped is base64 in a text.
type wrapped struct {
	chars []byte // without line breaks, in the common alphabet
	lines []wrappedLine
}

// wrappedLine says where in the text the characters from a number on stand.
type wrappedLine struct{ number, at int }

// place is where the character of a number stands, or for their count, where the last line ends.
func (e *wrapped) place(number int) int {
	i, ok := slices.BinarySearchFunc(e.lines, number, func(l wrappedLine, n int) int { return l.number - n })
	if !ok {
		i--
	}
	return e.lines[i].at + number - e.lines[i].number
}

// minLine is the least width of base64 that is broken into lines: MIME's have 76 characters, those of PEM 64, Ruby's 60. Narrower ones
// may as well be values of their own.
const minLine = 60

// base64At reads base64 from a place on. It goes on with the next line, whatever that is indented by: all lines are equally long, but for
// the first one, which may stand behind a name, and the last.
func base64At(text []byte, at int) (e wrapped) {
	width := 0
	for {
		end := base64End(text, at)
		e.lines = append(e.lines, wrappedLine{len(e.chars), at})
		e.chars = appendBase64(e.chars, text[at:end])
		next := nextLine(text, end)
		here, there := end-at, base64End(text, next)-next
		if next == end || there == 0 || !endsLine(text, next+there) || width > 0 && (here < width || there > width) {
			return e
		}
		if width = max(here, there); width < minLine {
			return e
		}
		at = next
	}
}

// base64End is where the run of base64 ends that starts at a place.
func base64End(text []byte, at int) int {
	for at < len(text) && base64Signs[text[at]] {
		at++
	}
	return at
}

// appendBase64 appends a run in the common alphabet.
func appendBase64(chars, run []byte) []byte {
	for _, c := range run {
		switch c {
		case '-':
			c = '+'
		case '_':
			c = '/'
		}
		chars = append(chars, c)
	}
	return chars
}

// nextLine is where the text of the next line starts if the one before ends at a place, be it with an escaped line break; else that place.
func nextLine(text []byte, at int) int {
	rest := text[at:]
	if after, ok := bytes.CutPrefix(bytes.TrimPrefix(rest, []byte(`\r`)), []byte(`\n`)); ok {
		return len(text) - len(after)
	}
	if after, ok := bytes.CutPrefix(bytes.TrimPrefix(rest, []byte("\r")), []byte("\n")); ok {
		return skipBlanks(text, len(text)-len(after), len(text))
	}
	return at
}

// endsLine tells whether a line or a string ends at a place, or behind the padding there.
func endsLine(text []byte, at int) bool {
	for range 2 {
		if at < len(text) && text[at] == '=' {
			at++
		}
	}
	return at == len(text) || isBlank(text[at]) || strings.IndexByte("\\\"'`<", text[at]) >= 0
}

// minBlob is how many characters of base64 in a row are decoded without a literal in them, if they are of a text.
const minBlob = 54

// blobs adds a place for each long run of base64 that is of a text. What is in there is found without the base64 of a literal, which
// a line break or what stands before it may have changed.
func (s *search) blobs() {
	text := s.content.Data
	for start, end := nextRun(text, 0); start < end; start, end = nextRun(text, end) {
		if skip, ok := ofText(text[start:end]); ok {
			s.spots = append(s.spots, spot{at: start + skip, id: len(s.d.actions) - 1})
		}
	}
}

// nextRun finds the next run of at least minBlob characters of base64. Any such run has the 16 bytes behind one of the places that it looks at.
func nextRun(text []byte, from int) (start, end int) {
	const width = 16
	for at := from; at+width <= len(text); at += minBlob - width + 1 {
		if w := text[at : at+width]; !maybeBase64(binary.LittleEndian.Uint64(w), binary.LittleEndian.Uint64(w[8:])) {
			continue
		}
		for start = at; start > from && base64Signs[text[start-1]]; start-- {
		}
		if end = base64End(text, at); end-start >= minBlob {
			return start, end
		}
		at = max(at, end-(minBlob-width))
	}
	return 0, 0
}

// maybeBase64 tells whether the bytes of two words are all ASCII, and none of them a blank or a quote.
func maybeBase64(a, b uint64) bool {
	const ones = 0x0101010101010101
	return (a|b|(a-'+'*ones)|(b-'+'*ones))&(0x80*ones) == 0
}

// ofText tells whether a run of base64 is of a text, by its start, and how many characters before that belong to something else.
func ofText(run []byte) (skip int, ok bool) {
	var chars, plain [minBlob]byte
	for skip = range 4 {
		n, _ := base64.RawStdEncoding.Decode(plain[:], appendBase64(chars[:0], run[skip:skip+minBlob-4]))
		if isReadable(plain[:n]) {
			return skip, true
		}
	}
	return 0, false
}

// isReadable is for the start of a text in ASCII, UTF-8 or UTF-16.
func isReadable(start []byte) bool {
	zeros := 0
	for i := 0; i < len(start); {
		r, size := utf8.DecodeRune(start[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			return i > 0 && !utf8.FullRune(start[i:]) && 2*zeros <= i
		case r == 0:
			zeros++
		case r < utf8.RuneSelf && !isText(byte(r)):
			return false
		}
		i += size
	}
	return 2*zeros <= len(start)
}

// inner searches what was decoded.
func (s *search) inner(c Content) []Match {
	found, more := s.d.search(c, s.depth+1)
	s.more = s.more || more
	return found
}

// base64Signs are the characters of both alphabets.
var base64Signs = func() (signs [256]bool) {
	for _, c := range charsOf("A-Za-z0-9+/_-") {
		signs[c] = true
	}
	return signs
}()

// minWide is how many characters of UTF-16 in a row make a text.
const minWide = 12

// wide searches the runs of UTF-16 in the content. Of the characters that settings and tokens are written in, every second byte is
// zero, in either byte order. It looks at 8 of each 16 bytes: any run of minWide has them.
func (s *search) wide() {
	var narrow []byte
	var places []int // where each byte of narrow stands in the text
	text := s.content.Data
	for at := 0; at+8 <= len(text); at += 16 {
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
