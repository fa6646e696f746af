package secret_test

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"strings"
	"testing"
	"text/template"

	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/secrettest"
	"go.yaml.in/yaml/v3"
)

type hidden struct{ v secret.Value }
type shown struct{ V secret.Value }
type pointers struct {
	V *secret.Value
	v *secret.Value
}
type embedded struct{ secret.Value }
type deep struct {
	h  hidden
	hs []hidden
	m  map[string]any
	e  error
}

type valueError struct{ v secret.Value }

func (valueError) Error() string { return "failed" }

// containers are the ways a Value may be passed to something that prints.
func containers(v secret.Value) map[string]any {
	return map[string]any{
		"value":            v,
		"pointer":          &v,
		"unexported field": hidden{v},
		"pointer to it":    &hidden{v},
		"exported field":   shown{v},
		"pointer fields":   pointers{&v, &v},
		"embedded":         embedded{v},
		"slice":            []secret.Value{v},
		"array":            [1]secret.Value{v},
		"interface slice":  []any{v, &v, hidden{v}},
		"map value":        map[string]secret.Value{"k": v},
		"map of structs":   map[string]hidden{"k": {v}},
		"deep":             deep{hidden{v}, []hidden{{v}}, map[string]any{"k": &hidden{v}}, valueError{v}},
		"error":            fmt.Errorf("doing x: %w", valueError{v}),
		"lease":            secret.Lease{Value: v, ID: "x"},
		"pointer to lease": &secret.Lease{Value: v, ID: "x"},
	}
}

func TestNoRenderingShowsTheValue(t *testing.T) {
	canary := secrettest.Canary(t)
	count := 0
	for name, c := range containers(secret.NewValue(canary)) {
		for form, text := range renderings(t, c) {
			count++
			if leak := secrettest.Leak(text, canary); leak != "" {
				t.Errorf("%s with %s shows the value: %s", name, form, leak)
			}
		}
	}
	if count < 1000 {
		t.Errorf("only %d renderings tried", count)
	}
}

// TestRenderingsSee makes sure that the test above would notice bytes that are not sealed.
func TestRenderingsSee(t *testing.T) {
	canary := secrettest.Canary(t)
	type open struct{ b []byte }
	leaks := 0
	for _, text := range renderings(t, open{canary}) {
		if secrettest.Leak(text, canary) != "" {
			leaks++
		}
	}
	if leaks < 10 {
		t.Errorf("found a plain byte slice in %d renderings only", leaks)
	}
}

// renderings returns what fmt, log, slog, the encoders and templates make of v.
func renderings(t *testing.T, v any) map[string]string {
	t.Helper()
	out := map[string]string{"Sprint": fmt.Sprint(v), "Sprintln": fmt.Sprintln(v), "Errorf": fmt.Errorf("%w", fmt.Errorf("%v", v)).Error()}
	for _, verb := range "vTtbcdoOqxXUeEfFgGspw!" {
		for _, flags := range []string{"", "+", "#", " ", "-40", "040", "+#", "# ", ".3", "*[2]"} {
			format := "%" + flags + string(verb)
			out[format] = fmt.Sprintf(format, v)
		}
	}
	var buf bytes.Buffer
	take := func(name string, err error) {
		text := buf.String()
		if err != nil {
			text += err.Error()
		}
		out[name] = text
		buf.Reset()
	}
	log.New(&buf, "", 0).Println(v)
	take("log", nil)
	for name, h := range map[string]slog.Handler{"slog text": slog.NewTextHandler(&buf, nil), "slog JSON": slog.NewJSONHandler(&buf, nil)} {
		l := slog.New(h)
		l.Info("x", "k", v, slog.Group("g", "k", v))
		l.With("k", v).Info("x")
		take(name, nil)
	}
	take("JSON", json.NewEncoder(&buf).Encode(v))
	take("XML", xml.NewEncoder(&buf).Encode(v))
	take("gob", gob.NewEncoder(&buf).Encode(v))
	take("YAML", encodeYAML(&buf, v))
	take("template", template.Must(template.New("").Parse("{{.}} {{printf `%#v` .}}")).Execute(&buf, v))
	return out
}

// encodeYAML turns the panic on a type without a YAML form into an error, whose text is then looked at.
func encodeYAML(buf *bytes.Buffer, v any) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = errors.New(fmt.Sprint(p))
		}
	}()
	return yaml.NewEncoder(buf).Encode(v)
}

func TestSealed(t *testing.T) {
	v := secret.NewValue([]byte("x"))
	for _, got := range []string{fmt.Sprint(v), fmt.Sprintf("%#v", v), fmt.Sprintf("%d", &v), v.String()} {
		if got != secret.Sealed {
			t.Errorf("got %q", got)
		}
	}
	asJSON, err := json.Marshal(shown{v})
	if err != nil || string(asJSON) != `{"V":"[sealed]"}` {
		t.Errorf("JSON: %s, %v", asJSON, err)
	}
	asYAML, err := yaml.Marshal(shown{v})
	if err != nil || strings.TrimSpace(string(asYAML)) != `v: '[sealed]'` {
		t.Errorf("YAML: %s, %v", asYAML, err)
	}
}

func TestValue(t *testing.T) {
	var zero secret.Value
	if zero.Len() != 0 || zero.Open() != nil {
		t.Error("the zero Value is not empty")
	}
	original := []byte("abc")
	v := secret.NewValue(original)
	original[0] = 'X'
	if string(v.Open()) != "abc" || v.Len() != 3 {
		t.Errorf("got %q of length %d after the original changed", v.Open(), v.Len())
	}
}
