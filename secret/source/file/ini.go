package file

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// section begins a table of TOML, or a part of an INI file.
var section = regexp.MustCompile(`^[ \t]*\[{1,2}[ \t]*((?:[^\[\]{}",]|"[^"]*")+)\]{1,2}[ \t]*(?:[#;].*)?$`)

// parseINI reads [SECTION] and lines of NAME=VALUE or NAME: VALUE below it, as configparser does: a line that is indented continues the value
// before it. Quotes have no meaning there, so that a value that begins with one is rather TOML with a mistake in it.
func parseINI(text string) (node, error) {
	root := map[string]any{}
	at, last, number := root, "", 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimRight(line, " \t\r\n")
		name, value, err := iniValue(line)
		header := section.FindStringSubmatch(line)
		switch {
		case isBlank(line):
		case header != nil:
			at, last = table(root, strings.TrimSpace(header[1])), ""
		case last != "" && strings.TrimLeft(line, " \t") != line:
			at[last] = fmt.Sprint(at[last], "\n", strings.TrimSpace(line))
		case err != nil:
			return nil, fmt.Errorf("line %d %w", number, err)
		default:
			at[name], last = value, name
		}
	}
	return tree{root}, nil
}

// table is the part of a file under a name, which may come more than once.
func table(root map[string]any, name string) map[string]any {
	t, ok := root[name].(map[string]any)
	if !ok {
		t = map[string]any{}
		root[name] = t
	}
	return t
}

func iniValue(line string) (name, value string, err error) {
	end := strings.IndexAny(line, "=:")
	if end <= 0 {
		return "", "", errors.New("is neither [SECTION] nor NAME=VALUE")
	}
	value = strings.TrimSpace(line[end+1:])
	if strings.HasPrefix(value, `"`) || strings.HasPrefix(value, "'") {
		return "", "", errors.New("begins a quote, and the file is not valid TOML")
	}
	return strings.TrimSpace(line[:end]), value, nil
}
