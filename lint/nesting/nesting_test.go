package nesting

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestTooDeep parses two megabytes of each way to nest: without a bound, most would take all of the stack.
func TestTooDeep(t *testing.T) {
	for _, c := range []struct{ before, level, inside, after string }{
		{"", "( ", "docker build .", " )"}, {"", "{ ", "a", "; }"}, {"", "$(", "a", ")"}, {"", `"$(`, "a", `)"`}, {"", "$((", "1", "))"}, {"((", "(", "1", ")"},
		{"", "<(", "a", ")"}, {"", "$[", "1", "]"}, {"", "${a[", "1", "]}"}, {"", "a[", "1", "]=1"}, {"", "${a:-", "1", "}"}, {"", "if ", "a", ""}, {"", "if a; then ", "a", "; fi"},
		{"", "while ", "a", ""}, {"", "case a in a) ", "a", ";; esac"}, {"", "$(case a in a) ", "a", ";; esac)"}, {"", "(: ')';", "a", ")"}, {"", "{ a }\n", "a", "\n}"},
		{"", "time ", "a", ""}, {"", "coproc ", "a", ""}, {"", "f()", "a", ""}, {"", "f()\n", "{ a; }", ""}, {"", "a&&", "a", ""}, {"", "a|", "a", ""},
		{"[[ ", "! ", "a ]]", ""}, {"[[ ", "a&&", "a ]]", ""}, {"((", "- ", "1))", ""}, {"((", "a=", "1))", ""}, {"((", "a+", "1))", ""}, {"((", "a?a:", "1))", ""},
	} {
		n := 2 << 20 / len(c.level+c.after)
		start := time.Now()
		if text := c.before + strings.Repeat(c.level, n) + c.inside + strings.Repeat(c.after, n); !TooDeep(text) {
			t.Errorf("%q, %d times, is not too deep", c.level, n)
		}
		if took := time.Since(start); took > 3*time.Second {
			t.Errorf("%q took %v", c.level, took)
		}
		if text := c.before + strings.Repeat(c.level, 20) + c.inside + strings.Repeat(c.after, 20); TooDeep(text) {
			t.Errorf("%q, 20 times, is too deep", c.level)
		}
	}
}

// TestDeepEnough parses what people write: long, and not deep.
func TestDeepEnough(t *testing.T) {
	var text strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&text, "f%d() {\n  if a && b || c; then echo \"$(d) $((%d + 1))\" | e; fi\n}\n", i, i)
	}
	if _, err := Parse(text.String() + strings.Repeat("a && ", 500) + "b\n"); err != nil {
		t.Error(err)
	}
}

func TestOffset(t *testing.T) {
	text := strings.Repeat("echo\n", 1000) + strings.Repeat("( ", 100_000)
	_, err := Parse(text)
	var deep *Error
	if !errors.As(err, &deep) || deep.Offset < 5000 || deep.Offset > 10_000 {
		t.Errorf("%#v", err)
	}
}
