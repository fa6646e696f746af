package suggest_test

import (
	"testing"

	"github.com/tightlip/tightlip/internal/suggest"
)

func TestNearest(t *testing.T) {
	keys := []string{"from", "rebuild", "waive", "env", "src"}
	for _, tt := range []struct{ word, want string }{
		{"form", "from"},
		{"FROM", "from"},
		{"rebuilt", "rebuild"},
		{"rebiuld", "rebuild"},
		{"wave", "waive"},
		{"evn", "env"},
		{"sr", "src"},
		{"password", ""},
		{"x", ""},
		{"", ""},
	} {
		if got := suggest.Nearest(tt.word, keys); got != tt.want {
			t.Errorf("Nearest(%q) = %q, want %q", tt.word, got, tt.want)
		}
	}
}

func TestDidYouMean(t *testing.T) {
	if got, want := suggest.DidYouMean("form", []string{"from"}), `; did you mean "from"?`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := suggest.DidYouMean("password", []string{"from"}); got != "" {
		t.Errorf("got %q for a word that is not close", got)
	}
}
