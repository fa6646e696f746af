package detect

import (
	"bytes"
	"iter"
	"strconv"
	"strings"
)

// lines gives where each line starts and ends, without its line break and without a byte order mark.
func lines(text []byte) iter.Seq2[int, int] {
	return func(yield func(start, end int) bool) {
		start := 0
		if bytes.HasPrefix(text, []byte("\ufeff")) {
			start = 3
		}
		for start < len(text) {
			next := lineEnd(text, start)
			end := next
			for end > start && text[end-1] == '\r' {
				end--
			}
			if !yield(start, end) {
				return
			}
			start = next + 1
		}
	}
}

// lineEnd is where the next line break after a place is, or the end of the text.
func lineEnd(text []byte, at int) int {
	if n := bytes.IndexByte(text[at:], '\n'); n >= 0 {
		return at + n
	}
	return len(text)
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }
func isQuote(c byte) bool { return c == '"' || c == '\'' }

// trim leaves the white space at both ends of text[start:end] out.
func trim(text []byte, start, end int) (int, int) {
	for start < end && isBlank(text[start]) {
		start++
	}
	for end > start && isBlank(text[end-1]) {
		end--
	}
	return start, end
}

// afterBlanks is where white space and line breaks end.
func afterBlanks(text []byte, at int) int {
	for at < len(text) && isBlank(text[at]) {
		at++
	}
	return at
}

// skipBlanks is where the white space of a line ends.
func skipBlanks(text []byte, at, end int) int {
	for at < end && (text[at] == ' ' || text[at] == '\t') {
		at++
	}
	return at
}

// maxKey is how long the key of a pair may get: deep files would take too long otherwise.
const maxKey = 512

// join puts a name behind the way to it. Names that would make it too long are left out.
func join(path, name string) string {
	switch {
	case path == "":
		return name[:min(len(name), maxKey)]
	case len(path)+len(name) >= maxKey:
		return path
	}
	return path + "." + name
}

// lastOf is the last word of what is in front of a setting's sign. The words before it are no part of its name: they may be
// a command, or prose with anything in it.
func lastOf(words []byte) string {
	words = bytes.TrimRight(words, " \t")
	return string(words[bytes.LastIndexAny(words, " \t")+1:])
}

// scalar is the setting whose value is in text[start:end], with or without quotes, and maybe with a comment behind it.
func scalar(text []byte, key string, start, end int) pair {
	start, end = trim(text, start, end)
	if start < end && isQuote(text[start]) {
		p, _ := quoted(text, start, end, text[start] == '"')
		p.key = key
		return p
	}
	start, end = trim(text, start, uncommented(text, start, end))
	return pair{key, string(text[start:end]), start, end}
}

// uncommented is where the comment of a line starts, behind white space, or the line's end.
func uncommented(text []byte, start, end int) int {
	for at := start + 1; at < end; at++ {
		if (text[at] == '#' || text[at] == ';') && isBlank(text[at-1]) {
			return at
		}
	}
	return end
}

// quoted reads the string whose opening quote is at a place. It ends with its line at the latest. The place after it is the
// second result.
func quoted(text []byte, at, end int, escapes bool) (pair, int) {
	quote, start := text[at], at+1
	for at = start; at < end && text[at] != quote && text[at] != '\n'; at++ {
		if escapes && text[at] == '\\' && at+1 < end && text[at+1] != '\n' {
			at++
		}
	}
	p := pair{value: string(text[start:at]), start: start, end: at}
	if escapes {
		p.value = unescape(p.value)
	}
	if at < end && text[at] == quote {
		at++
	}
	return p, at
}

// unescape replaces what is written with backslashes in JSON, YAML and programs.
func unescape(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		switch c := s[i]; c {
		case 'n':
			b.WriteByte('\n')
		case 'r':
			b.WriteByte('\r')
		case 't':
			b.WriteByte('\t')
		case 'u':
			code, err := strconv.ParseUint(s[i+1:min(i+5, len(s))], 16, 16)
			if err != nil {
				b.WriteByte(c)
				continue
			}
			b.WriteRune(rune(code))
			i += 4
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// both reads a file in two ways, one after the other.
func both(first, second reader) reader {
	return func(text []byte, yield func(pair) bool) {
		more := true
		first(text, func(p pair) bool {
			more = yield(p)
			return more
		})
		if more {
			second(text, yield)
		}
	}
}

// maxWhole is how long a file may be that is nothing but a value.
const maxWhole = 8 << 10

// readWhole reads a file that is one value and nothing else.
func readWhole(text []byte, yield func(pair) bool) {
	start, end := trim(text, 0, len(text))
	if value := text[start:end]; len(value) > 0 && len(value) <= maxWhole && bytes.IndexByte(value, '\n') < 0 {
		yield(pair{"", string(value), start, end})
	}
}
