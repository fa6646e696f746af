package web

import (
	"encoding/json"

	"github.com/tightlip/tightlip/secret"
)

// Text is a string of an answer's JSON that is secret.
type Text struct{ secret.Value }

// UnmarshalJSON implements json.Unmarshaler.
func (t *Text) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return err
	}
	t.Value = secret.NewValue([]byte(text))
	return nil
}

// UnmarshalText implements encoding.TextUnmarshaler, for XML.
func (t *Text) UnmarshalText(data []byte) error {
	t.Value = secret.NewValue(data)
	return nil
}

// Base64 is one that stands for bytes.
type Base64 struct{ secret.Value }

// UnmarshalJSON implements json.Unmarshaler.
func (b *Base64) UnmarshalJSON(data []byte) error {
	var decoded []byte
	if err := json.Unmarshal(data, &decoded); err != nil {
		return err
	}
	b.Value = secret.NewValue(decoded)
	clear(decoded)
	return nil
}
