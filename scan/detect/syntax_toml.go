package detect

import (
	"bytes"
	"strings"
)

// readTOML reads TOML: tables, keys with dots, all kinds of strings, inline tables and arrays.
func readTOML(text []byte, yield func(pair) bool) {
	table, next := "", 0
	for start, end := range lines(text) {
		if start < next { // part of a value that was read
			continue
		}
		start, end = trim(text, start, end)
		if start == end || text[start] == '#' {
			continue
		}
		if text[start] == '[' {
			table = tomlTable(text[start:end])
			continue
		}
		key, at := tomlKey(text, start, end)
		if at == 0 {
			continue
		}
		more := false
		if next, more = tomlValue(text, join(table, key), at, end, yield); !more {
			return
		}
	}
}

// tomlTable is the name of a [table] or an [[array of tables]], whose elements have no name.
func tomlTable(line []byte) string {
	isArray := bytes.HasPrefix(line, []byte("[["))
	if end := bytes.LastIndexByte(line, ']'); end > 0 {
		line = line[:end]
	}
	name := tomlName(string(bytes.Trim(line, "[] \t")))
	if isArray {
		name = join(name, "")
	}
	return name
}

var unquoted = strings.NewReplacer(`"`, "", `'`, "", " ", "", "\t", "")

// tomlName is a dotted name without quotes.
func tomlName(name string) string { return join("", unquoted.Replace(name)) }

// tomlKey reads the key of a line, and returns the place after its sign, or 0 if it has none.
func tomlKey(text []byte, start, end int) (string, int) {
	var quote byte
	for at := start; at < end; at++ {
		switch c := text[at]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case isQuote(c):
			quote = c
		case c == '=':
			return tomlName(string(text[start:at])), at + 1
		}
	}
	return "", 0
}

// tomlValue reads the value of a key, and returns the place after it if that is on another line.
func tomlValue(text []byte, key string, at, end int, yield func(pair) bool) (next int, more bool) {
	at, _ = trim(text, at, end)
	rest := text[at:end]
	for _, quote := range []string{`"""`, `'''`} {
		if bytes.HasPrefix(rest, []byte(quote)) {
			return tomlLines(text, key, at+3, quote, yield)
		}
	}
	if len(rest) > 0 && (rest[0] == '{' || rest[0] == '[') {
		f := flow{text: text, at: at, path: key, yield: yield}
		more = f.read()
		return f.at, more
	}
	return 0, yield(scalar(text, key, at, end))
}

// tomlLines reads a string of several lines.
func tomlLines(text []byte, key string, at int, quote string, yield func(pair) bool) (next int, more bool) {
	end := len(text)
	if n := bytes.Index(text[at:], []byte(quote)); n >= 0 {
		end = at + n
	}
	value := string(text[at:end])
	if quote == `"""` {
		value = unescape(value)
	}
	return min(end+len(quote), len(text)), yield(pair{key, value, at, end})
}
