package detect

import (
	"bytes"
	"strings"
)

// readNetrc reads "machine HOST login NAME password VALUE", on one line or on several: "machine.HOST.password". The bodies of macros are
// left out. It also makes sense of a command that writes such a file, with \n between the lines. What is not like that is prose,
// until the next machine.
func readNetrc(text []byte, yield func(pair) bool) {
	machine, field := "", ""
	for at := 0; ; {
		start, end := netrcWord(text, at)
		if start == end {
			return
		}
		at = end
		word := strings.Trim(string(text[start:end]), `"'`)
		switch {
		case field == "machine":
			machine, field = join("machine", word), ""
		case field != "":
			key := join(machine, field)
			if field = ""; machine != "" && !yield(netrcValue(text, key, start, end)) {
				return
			}
		case word == "default":
			machine = "default"
		case word == "macdef":
			at = indexFrom(text, at, "\n\n")
		case word == "machine", word == "login", word == "password", word == "account":
			field = word
		case word != "" && word[0] == '#':
			at = lineEnd(text, at)
		default:
			machine = ""
		}
	}
}

func netrcValue(text []byte, key string, start, end int) pair {
	if isQuote(text[start]) {
		start++
	}
	if end > start && isQuote(text[end-1]) {
		end--
	}
	return pair{key, string(text[start:end]), start, end}
}

// netrcWord is the next word; it is empty at the end of the text.
func netrcWord(text []byte, at int) (start, end int) {
	isSpace := func(i int) bool {
		return isBlank(text[i]) || text[i] == '\\' && i+1 < len(text) && (text[i+1] == 'n' || text[i+1] == '\n')
	}
	for at < len(text) && isSpace(at) {
		if text[at] == '\\' {
			at++
		}
		at++
	}
	start = at
	for at < len(text) && !isSpace(at) {
		at++
	}
	return start, at
}

// readCommands reads shell commands: NAME=value, --option value, --option=value, -o value.
func readCommands(text []byte, yield func(pair) bool) {
	for start, end := range lines(text) {
		if !commandLine(text, start, end, yield) {
			return
		}
	}
}

func commandLine(text []byte, at, end int, yield func(pair) bool) bool {
	option := ""
	for at < end {
		start, to := shellWord(text, at, end)
		at = to + 1
		word := text[start:to]
		cut := bytes.IndexByte(word, '=')
		var p pair
		switch {
		case len(word) == 0:
			continue
		case cut > 0 && isOption(word[:cut]):
			p = scalar(text, strings.TrimLeft(string(word[:cut]), "-"), start+cut+1, to)
			option = ""
		case word[0] == '-':
			option = strings.TrimLeft(string(word), "-")
			continue
		case option != "":
			p = scalar(text, option, start, to)
			option = ""
		default:
			continue
		}
		p.key = join("", p.key)
		if !yield(p) {
			return false
		}
	}
	return true
}

// isOption is for the names of options and variables.
func isOption(name []byte) bool {
	for _, c := range name {
		if !isAlnum(c) && strings.IndexByte("_-.:/@", c) < 0 {
			return false
		}
	}
	return true
}

// shellWord is the next word of a line, with its quotes.
func shellWord(text []byte, at, end int) (start, to int) {
	at = skipBlanks(text, at, end)
	start = at
	var quote byte
	for ; at < end; at++ {
		switch c := text[at]; {
		case c == '\\' && at+1 < end:
			at++
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case isQuote(c):
			quote = c
		case strings.IndexByte(" \t;|&()", c) >= 0:
			return start, at
		}
	}
	return start, min(at, end)
}

// readCode reads the strings that a program gives to a name: name = "…", 'name' => '…', define('name', '…'), name: "…" or Erlang's
// {<<"name">>, <<"…">>}.
func readCode(text []byte, yield func(pair) bool) {
	for start, end := range lines(text) {
		start, end = trim(text, start, end)
		if start == end || isComment(text[start:end]) || bytes.HasPrefix(text[start:end], []byte("//")) || text[start] == '*' || text[start] == '%' {
			continue
		}
		if !codeLine(text, start, end, yield) {
			return
		}
	}
}

func codeLine(text []byte, start, end int, yield func(pair) bool) bool {
	before := "" // the string in front of the gap
	gap := start
	for at := start; at < end; {
		if !isQuote(text[at]) || text[at] == '\'' && at > gap+1 && isAlnum(text[at-1]) && isAlnum(text[at-2]) {
			at++
			continue
		}
		p, next := quoted(text, at, end, true)
		p.key = assignedTo(text[gap:at], before)
		if p.key != "" && !yield(p) {
			return false
		}
		before, gap, at = p.value, next, next
	}
	return true
}

// assignedTo is the name that the string behind a gap is given to: an identifier at its end, or the string before it.
func assignedTo(gap []byte, before string) string {
	if n := len(gap); n > 1 && strings.IndexByte("bruf", gap[n-1]) >= 0 && isBlank(gap[n-2]) { // Python's prefixes
		gap = gap[:n-1]
	}
	gap = bytes.TrimRight(gap, " \t<(")
	rest := bytes.TrimRight(gap, " \t<=>:,](")
	if !bytes.ContainsAny(gap[len(rest):], "=:,") {
		return ""
	}
	if rest = bytes.TrimSpace(rest); len(rest) == 0 {
		return join("", before)
	}
	n := len(rest)
	for n > 0 && (isNameByte(rest[n-1]) || rest[n-1] == '$') {
		n--
	}
	return join("", string(rest[n:]))
}
