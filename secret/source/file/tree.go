package file

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/pelletier/go-toml/v2"
	"go.yaml.in/yaml/v3"
)

// tree is what TOML and INI files hold: tables, lists and what is in them.
type tree struct{ any }

func (t tree) child(key string) (node, bool) {
	switch v := t.any.(type) {
	case map[string]any:
		child, ok := v[key]
		return tree{child}, ok
	case []any:
		i, ok := item(key, len(v))
		if !ok {
			return nil, false
		}
		return tree{v[i]}, true
	}
	return nil, false
}

func (t tree) keys() []string {
	table, _ := t.any.(map[string]any)
	return slices.Collect(maps.Keys(table))
}

func (t tree) text() (string, error) {
	switch v := t.any.(type) {
	case string:
		return v, nil
	case map[string]any, []any:
		return "", errNotScalar
	}
	return fmt.Sprint(t.any), nil
}

// item is the number of a list's item that key is, from 0.
func item(key string, length int) (int, bool) {
	i, err := strconv.Atoi(key)
	return i, err == nil && i >= 0 && i < length && strconv.Itoa(i) == key
}

func parseTOML(text string) (node, error) {
	var doc map[string]any
	if toml.Unmarshal([]byte(text), &doc) != nil { // its error may quote the file
		return nil, errors.New("it looks like TOML, but is not valid")
	}
	return tree{doc}, nil
}

// jsonNode is decoded one level at a time, so that numbers keep their literal text.
type jsonNode json.RawMessage

func parseJSON(text string) (node, error) {
	// encoding/json would replace invalid UTF-8, and its error would quote a character of the file.
	if !utf8.ValidString(text) || !json.Valid([]byte(text)) {
		return nil, errNotJSON
	}
	return jsonNode(text), nil
}

var errNotJSON = errors.New("it looks like JSON, but is not valid")

func (n jsonNode) object() map[string]json.RawMessage {
	var object map[string]json.RawMessage
	if json.Unmarshal(n, &object) != nil {
		return nil
	}
	return object
}

func (n jsonNode) child(key string) (node, bool) {
	var list []json.RawMessage
	if json.Unmarshal(n, &list) == nil {
		i, ok := item(key, len(list))
		if !ok {
			return nil, false
		}
		return jsonNode(list[i]), true
	}
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
	switch n.Kind {
	case yaml.MappingNode:
		return n.mapped(key)
	case yaml.SequenceNode:
		if i, ok := item(key, len(n.Content)); ok {
			return yamlNode{n.Content[i]}.target(), true
		}
	}
	return nil, false
}

// mapped is what a mapping has under a key, or what is merged into it has. Of what is merged into that nothing is looked at: it may be
// the mapping itself.
func (n yamlNode) mapped(key string) (node, bool) {
	if child, ok := n.own(key); ok {
		return child, true
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].ShortTag() != "!!merge" {
			continue
		}
		merged := []*yaml.Node{n.Content[i+1]}
		if merged[0].Kind == yaml.SequenceNode {
			merged = merged[0].Content
		}
		for _, m := range merged {
			if child, ok := (yamlNode{m}).target().own(key); ok {
				return child, true
			}
		}
	}
	return nil, false
}

func (n yamlNode) own(key string) (node, bool) {
	for i := 0; i+1 < len(n.Content) && n.Kind == yaml.MappingNode; i += 2 {
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
