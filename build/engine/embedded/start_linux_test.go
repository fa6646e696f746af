package embedded

import (
	"errors"
	"strings"
	"testing"
)

func TestParseRange(t *testing.T) {
	const file = "other:100000:65536\n# comment\nci:200000:65536\n1000:300000:10\nbad:x:1\n"
	for name, want := range map[string]idRange{"ci": {200000, 65536}, "1000": {300000, 10}} {
		got, err := parseRange(strings.NewReader(file), name)
		if err != nil || got != want {
			t.Errorf("%s: got %v, %v", name, got, err)
		}
	}
	for _, name := range []string{"nobody", "bad"} {
		if got, err := parseRange(strings.NewReader(file), name); err == nil {
			t.Errorf("%s: got %v and no error", name, got)
		}
	}
}

func FuzzParseRange(f *testing.F) {
	f.Add("ci:1:2")
	f.Fuzz(func(t *testing.T, file string) {
		r, err := parseRange(strings.NewReader(file), "ci")
		if err == nil && !strings.Contains(file, "ci:") {
			t.Errorf("got %v from a file without the user", r)
		}
	})
}

func TestFindRuntime(t *testing.T) {
	if _, err := findRuntime(t.TempDir()); !errors.Is(err, ErrNoRuntime) {
		t.Errorf("got %v in an empty folder, want ErrNoRuntime", err)
	}
}

// TestEnvironment: the variables of a build often hold its secrets, and the engine has no use for them.
func TestEnvironment(t *testing.T) {
	t.Setenv("NPM_TOKEN", "canary")
	for _, v := range environment(Options{StateDir: "/state", RunDir: "/run"}) {
		if strings.Contains(v, "canary") {
			t.Errorf("the engine is given %s", v)
		}
	}
}

func TestTailKeepsTheEnd(t *testing.T) {
	var l tail
	for range 10 {
		_, _ = l.Write([]byte(strings.Repeat("x", tailSize/4)))
	}
	_, _ = l.Write([]byte("the end"))
	if got := l.String(); len(got) > tailSize || !strings.HasSuffix(got, "the end") {
		t.Errorf("kept %d bytes, ending in %q", len(got), got[max(0, len(got)-10):])
	}
}
