package file

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/tightlip/tightlip/internal/suggest"
	"github.com/tightlip/tightlip/secret"
)

// node is a part of a structured file. None of its errors, nor those of its parser, quote the file.
type node interface {
	child(key string) (node, bool)
	keys() []string
	text() (string, error) // the literal text of a string, number or boolean
}

// KeyError is about a key of a file, not about what the key stands for.
type KeyError struct {
	Problem string
	Try     string // what to type instead, if anything
	Err     error  // the sentinel, if there is one
}

// Error implements error.
func (e *KeyError) Error() string { return e.Problem }

// Unwrap returns the sentinel, if there is one.
func (e *KeyError) Unwrap() error { return e.Err }

var errNotScalar = errors.New("neither a string nor a number nor a boolean")

// Key returns what key stands for in text that is no file's. Its error is a *KeyError or about the format, and holds nothing of the text but names of keys.
func Key(content secret.Value, key string) (secret.Value, error) { return selectKey("", content, key) }

// selectKey returns what key stands for in a structured file.
func selectKey(path string, content secret.Value, key string) (secret.Value, error) {
	root, err := parse(path, content.Open())
	if err != nil {
		return secret.Value{}, err
	}
	n, ok := lookup(root, key)
	if !ok {
		return secret.Value{}, &KeyError{
			Problem: "there is no key " + key + suggest.DidYouMean(key, root.keys()), Try: listKeys(root), Err: secret.ErrNotFound,
		}
	}
	text, err := n.text()
	switch {
	case err != nil:
		return secret.Value{}, &KeyError{Problem: "the key " + key + " is " + err.Error(), Try: "name a key below it", Err: err}
	case text == "":
		return secret.Value{}, &KeyError{Problem: "the key " + key + " is empty", Err: secret.ErrEmpty}
	}
	return secret.NewValue([]byte(text)), nil
}

// parse decides by content which format it is: JSON begins with a brace or bracket, TOML and INI with [SECTION], dotenv with NAME=, and
// the rest is YAML. Lines of NAME=VALUE that dotenv does not allow may be TOML; those that mean something else there are told by name.
func parse(path string, content []byte) (node, error) {
	text := strings.TrimPrefix(string(content), "\ufeff")
	start := strings.TrimLeft(text, " \t\r\n")
	switch {
	case strings.HasSuffix(path, ".toml"):
		return parseTOML(text)
	case strings.HasPrefix(start, "{"), strings.HasPrefix(start, "[") && json.Valid([]byte(text)):
		return parseJSON(text)
	case firstLine(text, section.MatchString):
		if n, err := parseTOML(text); err == nil {
			return n, nil
		}
		return parseINI(text)
	case firstLine(text, assignment.MatchString):
		n, err := parseDotenv(text)
		if err != nil {
			if n, tomlErr := parseTOML(text); tomlErr == nil {
				return n, nil
			}
		}
		return n, err
	case strings.HasPrefix(start, "["):
		return nil, errNotJSON
	}
	return parseYAML(text)
}

// firstLine reports whether the first line that is not empty or a comment is of a kind.
func firstLine(text string, is func(string) bool) bool {
	for line := range strings.Lines(text) {
		if !isBlank(line) {
			return is(strings.TrimRight(line, "\r\n"))
		}
	}
	return false
}

// lookup finds key, taken whole or else split at any of its dots, later ones first: in a docker config.json, auths.r.example.auth
// is the auth of r.example in auths.
func lookup(n node, key string) (node, bool) {
	if child, ok := n.child(key); ok {
		return child, true
	}
	for end := strings.LastIndexByte(key, '.'); end > 0; end = strings.LastIndexByte(key[:end], '.') {
		if child, ok := n.child(key[:end]); ok {
			if found, ok := lookup(child, key[end+1:]); ok {
				return found, true
			}
		}
	}
	return nil, false
}

// listKeys says which keys there are at the top. A key that is long or unprintable may not be meant as one, and is left out.
func listKeys(n node) string {
	const most = 10
	keys := slices.DeleteFunc(n.keys(), func(k string) bool { return len(k) > 40 || !secret.Printable(k) })
	slices.Sort(keys)
	if len(keys) == 0 {
		return ""
	}
	list := strings.Join(keys[:min(most, len(keys))], ", ")
	if len(keys) > most {
		list += ", …"
	}
	return "its keys are " + list
}
