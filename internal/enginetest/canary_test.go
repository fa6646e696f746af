package enginetest

import (
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"slices"
	"testing"
)

func TestTraces(t *testing.T) {
	value := Canary()
	for want, text := range map[string]string{
		"raw":  "x" + value + "y",
		"hex":  hex.EncodeToString([]byte("x" + value)),
		"URL":  "?token=" + url.QueryEscape(value),
		"JSON": `{"token":"` + jsonText(value) + `"}`,
	} {
		if got := Traces([]byte(text), value); !slices.Contains(got, want) {
			t.Errorf("%s: found %q", want, got)
		}
	}
	for _, user := range []string{"", "u", "us", "use"} {
		text := base64.StdEncoding.EncodeToString([]byte(user + value))
		if got := Traces([]byte(text), value); !slices.Equal(got, []string{"base64"}) {
			t.Errorf("base64 after %q: found %q", user, got)
		}
	}
	if got := Traces([]byte("nothing here, "+Canary()), value); got != nil {
		t.Errorf("found %q in another value", got)
	}
}
