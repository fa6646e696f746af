package file

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// envNode is a dotenv file.
type envNode map[string]string

func (n envNode) child(key string) (node, bool) {
	value, ok := n[key]
	return envText(value), ok
}

func (n envNode) keys() []string        { return slices.Collect(maps.Keys(n)) }
func (n envNode) text() (string, error) { return "", errNotScalar }

type envText string

func (envText) child(string) (node, bool) { return nil, false }
func (envText) keys() []string            { return nil }
func (t envText) text() (string, error)   { return string(t), nil }

// assignment is the start of a line up to the value. npm's files have names such as //npm.corp.example/:_authToken.
var assignment = regexp.MustCompile(`^[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.-]*|(?://|@)[^\s=]+)[ \t]*=`)

func isBlank(line string) bool {
	line = strings.TrimSpace(line)
	return line == "" || line[0] == '#' || line[0] == ';'
}

// parseDotenv reads lines of NAME=VALUE, with export before them or not. The last of equal names counts.
//
// A value without quotes ends at the line's end or before a # that follows a space, and loses the spaces around it.
// Single quotes hold everything literally, double quotes too except \n \r \t \" \\ \$ and \`; both may span lines.
// Variables are not expanded.
func parseDotenv(text string) (node, error) {
	vars := envNode{}
	for line := 1; text != ""; {
		head, rest, _ := strings.Cut(text, "\n")
		if isBlank(head) {
			text, line = rest, line+1
			continue
		}
		m := assignment.FindStringSubmatch(head)
		if m == nil {
			return nil, fmt.Errorf("line %d is not NAME=VALUE", line)
		}
		value, rest, err := envValue(text[len(m[0]):])
		if err != nil {
			return nil, fmt.Errorf("line %d %w", line, err)
		}
		vars[m[1]] = value
		line += strings.Count(text[:len(text)-len(rest)], "\n")
		text = rest
	}
	return vars, nil
}

// envValue reads a value and returns the text from the next line on.
func envValue(text string) (value, rest string, err error) {
	plain, rest, _ := strings.Cut(text, "\n")
	text = strings.TrimLeft(text, " \t")
	if text == "" || text[0] != '"' && text[0] != '\'' {
		return plainValue(plain), rest, nil
	}
	end := closingQuote(text)
	if end < 0 {
		return "", "", errors.New("opens a quote that is not closed")
	}
	after, rest, _ := strings.Cut(text[end+1:], "\n")
	if !isBlank(after) {
		return "", "", errors.New("goes on after the closing quote")
	}
	value = text[1:end]
	if text[0] == '"' {
		value = unescape.Replace(value)
	}
	return value, rest, nil
}

var unescape = strings.NewReplacer(`\n`, "\n", `\r`, "\r", `\t`, "\t", `\"`, `"`, `\\`, `\`, `\$`, `$`, "\\`", "`")

func closingQuote(text string) int {
	for i := 1; i < len(text); i++ {
		switch {
		case text[i] == text[0]:
			return i
		case text[i] == '\\' && text[0] == '"':
			i++
		}
	}
	return -1
}

func plainValue(line string) string {
	for i := range line {
		if line[i] == '#' && i > 0 && (line[i-1] == ' ' || line[i-1] == '\t') {
			line = line[:i]
			break
		}
	}
	return strings.TrimSpace(line)
}
