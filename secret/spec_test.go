package secret_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/docker/buildx/util/buildflags"
	"github.com/tightlip/tightlip/secret"
)

func TestParseSpec(t *testing.T) {
	for _, tt := range []struct {
		text, id, ref string
		rebuild       bool
	}{
		{"id=x", "x", "", false},
		{"id=x,src=a", "x", "file:a", false},
		{"id=x,source=a", "x", "file:a", false},
		{"ID=x,SRC=a", "x", "file:a", false},
		{"id=x,src=a#b", "x", `file:a\#b`, false},
		{"id=x,src=~/a", "x", "file:./~/a", false},
		{"id=x,src=", "x", "", false},
		{"id=x,type=file", "x", "", false},
		{"id=x,type=file,src=a", "x", "file:a", false},
		{"id=x,env=A", "x", "env:A", false},
		{"id=x,type=env", "x", "", false},
		{"id=x,type=env,src=A", "x", "env:A", false},
		{"id=x,type=env,env=A", "x", "env:A", false},
		{"id=x,type=env,env=A,src=b", "x", "env:A", false},
		{"id=x,type=file,env=A", "x", "env:A", false},
		{"id=x,src=b,env=A", "x", "env:A", false},
		{"type=env,src=A,id=x,id=y", "y", "env:A", false},
		{`id=x,"src=a,b"`, "x", "file:a,b", false},
		{`id=x,"src=a""b"`, "x", `file:a"b`, false},
		{"id=x,src=a=b", "x", "file:a=b", false},
		{"id=x,src=a\n", "x", "file:a", false},
		{"id=x,from=env:A", "x", "env:A", false},
		{"id=x,from=-", "x", "-", false},
		{"id=x,from=file:~/a#b", "x", "file:~/a#b", false},
		{`id=x,"from=cmd:a b,c",rebuild=on-change`, "x", "cmd:a b,c", true},
		{"id=x,rebuild=on-change", "x", "", true},
	} {
		spec, err := secret.ParseSpec(tt.text)
		if err != nil {
			t.Errorf("%s: %v", tt.text, err)
			continue
		}
		if spec.ID != tt.id || spec.Ref.String() != tt.ref || spec.RebuildOnChange != tt.rebuild {
			t.Errorf("%s: got %+v", tt.text, spec)
		}
	}
}

func TestParseSpecErrors(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"", "--secret: the quotes do not match"},
		{"x", "--secret: field 1 is not key=value"},
		{"id=x,", "--secret: field 2 is not key=value"},
		{"id=x, src=a", "--secret: field 2 has an unknown key; did you mean \"src\"?"},
		{"id=x,form=env:A", `--secret: field 2 has an unknown key; did you mean "from"?`},
		{"id=x,password=A", "--secret: field 2 has an unknown key"},
		{"id=x,type=cmd", "--secret: field 2 has an unknown type: file and env are known"},
		{"id=x,type=", "--secret: field 2 has an unknown type: file and env are known"},
		{"id=x,rebuild=always", "--secret: field 2 has an unknown value for rebuild: on-change is the only one"},
		{"src=a", "--secret: the id is missing"},
		{"id=,src=a", "--secret: the id is missing"},
		{"id=\x07", "--secret: the id must be printable text"},
		{"id=x,from=env:A,src=b", "--secret: from= replaces src=, env= and type="},
		{"id=x,from=env:A,type=file", "--secret: from= replaces src=, env= and type="},
		{"id=x,from=", "a reference must begin with a scheme"},
		{"id=x,from=./a", "a reference must begin with a scheme"},
		{`id=x,src="a`, "--secret: the quotes do not match"},
	} {
		_, err := secret.ParseSpec(tt.text)
		if err == nil || err.Error() != tt.want {
			t.Errorf("%s: got %v, want %s", tt.text, err, tt.want)
		}
	}
}

// TestQuotesHint: what the hint says to write is understood.
func TestQuotesHint(t *testing.T) {
	_, err := secret.ParseSpec(`id=NAME,from=cmd:tool --name "my token"`)
	se, ok := errors.AsType[*secret.SyntaxError](err)
	if !ok {
		t.Fatalf("got %v", err)
	}
	_, flag, _ := strings.Cut(se.Hint(), "--secret '")
	spec, err := secret.ParseSpec(strings.TrimSuffix(flag, "'"))
	if err != nil || spec.Ref.String() != `cmd:tool --name "my token"` {
		t.Errorf("the hint %s: got %+v, %v", se.Hint(), spec, err)
	}
}

func TestParseSpecs(t *testing.T) {
	specs, err := secret.ParseSpecs([]string{"id=a,src=1", "", "id=b,src=2", "id=a,src=3"})
	if err != nil || fmt.Sprint(specs) != "[{a file:3 false } {b file:2 false }]" {
		t.Errorf("got %v, %v", specs, err)
	}
	_, err = secret.ParseSpecs([]string{"x", "id=a", "id=b,type=x"})
	if err == nil || strings.Count(err.Error(), "--secret") != 2 {
		t.Errorf("got %v, want two errors", err)
	}
}

func TestDefaultRef(t *testing.T) {
	lookup := func(name string) (string, bool) { return "", name == "SET_BUT_EMPTY" }
	for _, tt := range []struct{ id, want string }{{"SET_BUT_EMPTY", "env:SET_BUT_EMPTY"}, {"a#b", `file:a\#b`}} {
		if ref, err := secret.DefaultRef(tt.id, lookup); err != nil || ref.String() != tt.want {
			t.Errorf("%s: got %s, %v", tt.id, ref, err)
		}
	}
}

// FuzzParseSpec compares with buildx, which decides what docker's syntax means.
func FuzzParseSpec(f *testing.F) {
	for _, seed := range []string{"id=x", "id=x,src=a", `id=x,"src=a,b"`, "id=x,type=env,src=A", "id=x,env=A,source=b", "ID=x,Env=A", `id="x"`, "id=x,from=-"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		spec, err := secret.ParseSpec(text)
		var theirs buildflags.Secret
		theirErr := theirs.UnmarshalText([]byte(text))
		if err != nil {
			_, ok := errors.AsType[*secret.SyntaxError](err)
			if !ok || !secret.Printable(err.Error()) {
				t.Errorf("%q: the error %q", text, err)
			}
			accepted := theirErr == nil && theirs.ID != "" && secret.Printable(theirs.ID+theirs.Env+theirs.FilePath)
			if accepted {
				t.Errorf("%q: buildx takes it, we say %v", text, err)
			}
			return
		}
		if theirErr != nil {
			if !slices.ContainsFunc([]string{"from", "rebuild"}, func(k string) bool { return strings.Contains(strings.ToLower(text), k) }) {
				t.Errorf("%q: we take it, buildx says %v", text, theirErr)
			}
			return
		}
		if want := wanted(t, theirs); spec.ID != theirs.ID || spec.Ref != want {
			t.Errorf("%q: got %v, buildx %v", text, spec, theirs)
		}
	})
}

// wanted is the reference for what buildx makes of a flag. BuildKit takes the variable if there are both.
func wanted(t *testing.T, s buildflags.Secret) secret.Ref {
	t.Helper()
	switch {
	case s.Env != "":
		return secret.Ref{Scheme: "env", Rest: s.Env}
	case s.FilePath != "":
		ref, err := secret.FileRef(s.FilePath)
		if err != nil {
			t.Fatal(err)
		}
		return ref
	}
	return secret.Ref{}
}
