package file

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// jsonNode is decoded one level at a time, so that numbers keep their literal text.
type jsonNode json.RawMessage

func parseJSON(text string) (node, error) {
	// encoding/json would replace invalid UTF-8, and its error would quote a character of the file.
	if !utf8.ValidString(text) || !json.Valid([]byte(text)) {
		return nil, errors.New("it looks like JSON, but is not valid")
	}
	return jsonNode(text), nil
}

func (n jsonNode) object() map[string]json.RawMessage {
	var object map[string]json.RawMessage
	if json.Unmarshal(n, &object) != nil {
		return nil
	}
	return object
}

func (n jsonNode) child(key string) (node, bool) {
	raw, ok := n.object()[key]
	return jsonNode(raw), ok
}

func (n jsonNode) keys() []string { return slices.Collect(maps.Keys(n.object())) }

func (n jsonNode) text() (string, error) {
	var value any
	if json.Unmarshal(n, &value) != nil {
		return "", errNotScalar
	}
	switch v := value.(type) {
	case string:
		return v, nil
	case float64, bool:
		return string(n), nil
	}
	return "", errNotScalar
}

type yamlNode struct{ *yaml.Node }

// parseYAML reads the first document.
func parseYAML(text string) (node, error) {
	var doc yaml.Node
	// The parser's error is not passed on: it may quote the file.
	if yaml.Unmarshal([]byte(text), &doc) != nil || len(doc.Content) == 0 {
		return nil, errNoKeys
	}
	root := yamlNode{doc.Content[0]}.target()
	if root.Kind != yaml.MappingNode {
		return nil, errNoKeys
	}
	return root, nil
}

var errNoKeys = errors.New("it has no keys: it is neither JSON, nor a YAML mapping, nor lines of NAME=VALUE")

func (n yamlNode) target() yamlNode {
	if n.Kind == yaml.AliasNode {
		return yamlNode{n.Alias}
	}
	return n
}

func (n yamlNode) child(key string) (node, bool) {
	if n.Kind != yaml.MappingNode {
		return nil, false
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key && n.Content[i].Kind == yaml.ScalarNode {
			return yamlNode{n.Content[i+1]}.target(), true
		}
	}
	return nil, false
}

func (n yamlNode) keys() []string {
	var keys []string
	for i := 0; i < len(n.Content) && n.Kind == yaml.MappingNode; i += 2 {
		if n.Content[i].Kind == yaml.ScalarNode {
			keys = append(keys, n.Content[i].Value)
		}
	}
	return keys
}

func (n yamlNode) text() (string, error) {
	if n.Kind != yaml.ScalarNode || n.ShortTag() == "!!null" {
		return "", errNotScalar
	}
	return n.Value, nil
}
