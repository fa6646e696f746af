package proof

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

func TestFieldAt(t *testing.T) {
	const doc = `{"config": {"Env": ["A=1", "TOKEN=x"], "Labels": {"k": "v"}}, "history": [{"created_by": "RUN"}, {"empty_layer": true}], "n": 12}`
	for needle, want := range map[string]string{
		"TOKEN": "config.Env[1]", "A=1": "config.Env[0]", `"v"`: "config.Labels.k", `"k"`: "config.Labels.k", "RUN": "history[0].created_by",
		"true": "history[1].empty_layer", "12": "n", "Env": "config.Env",
	} {
		if got := fieldAt([]byte(doc), int64(strings.Index(doc, needle))); got != want {
			t.Errorf("%s is in field %q, want %q", needle, got, want)
		}
	}
	if got := fieldAt([]byte("no JSON"), 3); got != "" {
		t.Errorf("got field %q of what is no JSON", got)
	}
}

func FuzzFieldAt(f *testing.F) {
	f.Add([]byte(`{"a":[{"b":"c"}]}`), int64(9))
	f.Fuzz(func(t *testing.T, doc []byte, offset int64) {
		field := fieldAt(doc, offset)
		if field != "" && !bytes.ContainsAny(doc, "{[") && json.Valid(doc) {
			t.Errorf("a scalar has the field %q", field)
		}
	})
}
