package detect

import (
	"bytes"
	"strconv"
	"strings"
)

// readINI reads "key = value" and "key: value" in sections: INI files and those of Git, npm, pip and AWS, properties, environment files.
// It also makes sense of such a line in a command that writes the file.
func readINI(text []byte, yield func(pair) bool) {
	section, key := "", ""
	for start, end := range lines(text) {
		indented := start < end && isBlank(text[start])
		start, end = trim(text, start, end)
		if start < end && text[start] == '[' {
			section, start = iniSection(text, start, end)
			start, end = trim(text, start, end)
			key, indented = "", false
		}
		if start == end || isComment(text[start:end]) {
			continue
		}
		cut := iniSeparator(text[start:end], indented)
		var p pair
		switch {
		case cut > 0:
			p = iniSetting(text, start, start+cut, end)
			key = p.key
		case indented && key != "": // goes on with the line before
			p = scalar(text, key, start, end)
		default:
			continue
		}
		p.key = join(section, p.key)
		if !yield(p) {
			return
		}
	}
}

// isComment is for lines without settings. Two slashes also start the keys of npm.
func isComment(line []byte) bool {
	return line[0] == '#' || line[0] == ';' || bytes.HasPrefix(line, []byte("// ")) || string(line) == "//"
}

// iniSection reads [name] and Git's [name "sub-name"], and returns the place after it.
func iniSection(text []byte, start, end int) (string, int) {
	line := text[start+1 : end]
	n := bytes.Index(line, []byte(`"]`)) + 1
	if n == 0 {
		n = bytes.IndexByte(line, ']')
	}
	if n < 0 {
		n = len(line)
	}
	name, sub, _ := strings.Cut(string(line[:n]), ` "`)
	name = strings.TrimSpace(name)
	if sub != "" {
		name = join(name, strings.TrimSuffix(sub, `"`))
	}
	return join("", name), min(start+1+n+1, end)
}

// iniSeparator is the place of "=" or ":" in a line, or -1.
func iniSeparator(line []byte, indented bool) int {
	cut := bytes.IndexByte(line, '=')
	for i := range line {
		if i == cut {
			return cut
		}
		if line[i] == ':' && (i+1 == len(line) || isBlank(line[i+1])) {
			return i
		}
	}
	if indented { // what goes on with the line before may well be an address
		return -1
	}
	return bytes.IndexByte(line, ':')
}

// iniSetting reads key and value around a separator. Of several words in front of it only the last is the key: the others are
// "export", or a command.
func iniSetting(text []byte, start, cut, end int) pair {
	from, to := trim(text, start, cut)
	key := lastOf(text[from:to])
	isCommand := len(key) < to-from
	if len(key) > 1 && isQuote(key[0]) && key[len(key)-1] != key[0] { // "key=value" in quotes
		if n := bytes.IndexByte(text[cut+1:end], key[0]); n >= 0 {
			end = cut + 1 + n
		}
		isCommand = false
	}
	p := scalar(text, strings.Trim(key, `"'`), cut+1, end)
	if isCommand && p.start > 0 && !isQuote(text[p.start-1]) {
		if n := strings.IndexAny(p.value, " \t;&|"); n >= 0 {
			p.value, p.end = p.value[:n], p.start+n
		}
	}
	return p
}

// readDirectives reads lines of a name and a value with white space between them, and maybe "=" or ":".
func readDirectives(text []byte, yield func(pair) bool) {
	for start, end := range lines(text) {
		start, end = trim(text, start, end)
		if start == end || isComment(text[start:end]) {
			continue
		}
		key, at := directiveName(text, start, end)
		if at < end && !yield(scalar(text, key, at, end)) {
			return
		}
	}
}

// directiveName reads the first word of a line, and returns the place after it and its sign.
func directiveName(text []byte, start, end int) (string, int) {
	at := start
	for at < end && !isBlank(text[at]) && text[at] != '=' && (text[at] != ':' || at+1 < end && !isBlank(text[at+1])) {
		at++
	}
	key := join("", strings.Trim(string(text[start:at]), `"'`))
	at, _ = trim(text, at, end)
	if at < end && (text[at] == '=' || text[at] == ':') {
		at++
	}
	return key, at
}

// maxColumns is how many columns of a line are read.
const maxColumns = 16

// readColumns reads lines of values with colons between them: the third one is called by the first one and its number, "alice.3". A
// backslash makes a colon part of a value.
func readColumns(text []byte, yield func(pair) bool) {
	for start, end := range lines(text) {
		start, end = trim(text, start, end)
		if start == end || text[start] == '#' {
			continue
		}
		name := ""
		for n, at := 1, start; n <= maxColumns && at <= end; n++ {
			to := columnEnd(text, at, end)
			value := unescape(string(text[at:to]))
			if n == 1 {
				name = join("", value)
			}
			if !yield(pair{join(name, strconv.Itoa(n)), value, at, to}) {
				return
			}
			at = to + 1
		}
	}
}

func columnEnd(text []byte, at, end int) int {
	for ; at < end && text[at] != ':'; at++ {
		if text[at] == '\\' && at+1 < end {
			at++
		}
	}
	return at
}
