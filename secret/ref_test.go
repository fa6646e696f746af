package secret_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/secrettest"
)

func TestParseRef(t *testing.T) {
	for _, tt := range []struct{ text, scheme, rest string }{
		{"file:~/.npmrc", "file", "~/.npmrc"},
		{"file:a b#c.d", "file", "a b#c.d"},
		{"file::", "file", ":"},
		{"env:NPM_TOKEN", "env", "NPM_TOKEN"},
		{"cmd:pass show 'ci/npm'", "cmd", "pass show 'ci/npm'"},
		{"fd:3", "fd", "3"},
		{"-", "stdin", ""},
		{"vault:secret/data/ci#token", "vault", "secret/data/ci#token"},
		{"github-app:12345/678?repositories=api&permissions=contents:read", "github-app", "12345/678?repositories=api&permissions=contents:read"},
		{"file:ключ", "file", "ключ"},
	} {
		ref, err := secret.ParseRef(tt.text)
		if err != nil {
			t.Errorf("%q: %v", tt.text, err)
			continue
		}
		if ref.Scheme != tt.scheme || ref.Rest != tt.rest {
			t.Errorf("%q: got scheme %q, rest %q", tt.text, ref.Scheme, ref.Rest)
		}
		if ref.String() != tt.text {
			t.Errorf("%q: String gives %q", tt.text, ref.String())
		}
	}
}

func TestParseRefErrors(t *testing.T) {
	for _, tt := range []struct{ text, problem, hint string }{
		{"./x", "must begin with a scheme", "did you mean file:./x?"},
		{"~/.npmrc", "must begin with a scheme", "did you mean file:~/.npmrc?"},
		{"../a:b", "must begin with a scheme", "did you mean file:../a:b?"},
		{"NPM_TOKEN", "must begin with a scheme", "a reference is file:PATH"},
		{"", "must begin with a scheme", "a reference is"},
		{":x", "must begin with a scheme", "a reference is"},
		{"1a:x", "must begin with a scheme", "a reference is"},
		{`C:\x`, "must begin with a scheme", "a reference is"},
		{"env:", "nothing follows the colon", "a reference is"},
		{"stdin:", "standard input has no name", "write -"},
		{"stdin:x", "standard input has no name", "write -"},
		{"file:a\nb", "must be printable", ""},
		{"file:\x1b[31m", "must be printable", ""},
		{"file:\u202e", "must be printable", ""},
		{"file:\xff", "must be printable", ""},
	} {
		_, err := secret.ParseRef(tt.text)
		se, ok := errors.AsType[*secret.SyntaxError](err)
		if !ok {
			t.Errorf("%q: got %v, want a SyntaxError", tt.text, err)
			continue
		}
		if !strings.Contains(se.Error(), tt.problem) || !strings.Contains(se.Hint(), tt.hint) {
			t.Errorf("%q: got %q, hint %q", tt.text, se.Error(), se.Hint())
		}
	}
}

// A value pasted where a reference belongs must not be shown.
func TestSyntaxErrorsQuoteNothing(t *testing.T) {
	canary := secrettest.Canary(t)
	value := string(canary)
	for _, text := range []string{
		value, value + ":", "user:" + value, value + ":x", "/" + value, "id=" + value + "=,x=y", value + "=", "id=x,from=" + value,
		"id=x,type=" + value, "id=x,rebuild=" + value, "id=x," + value, "id=x,\"" + value, "id=x\x00" + value, "id=x,src=\n" + value,
	} {
		_, refErr := secret.ParseRef(text)
		_, specErr := secret.ParseSpec(text)
		ref, _ := secret.ParseRef(text)
		for _, err := range []error{refErr, specErr, secret.CheckScheme(ref, []string{"file", "env"})} {
			if err == nil {
				continue
			}
			if se, ok := errors.AsType[*secret.SyntaxError](err); !ok || secrettest.Leak(se.Error()+se.Hint(), canary) != "" {
				t.Errorf("%s: %v", strings.ReplaceAll(text, value, "VALUE"), strings.ReplaceAll(err.Error(), value, "VALUE"))
			}
		}
	}
}

func TestFileRef(t *testing.T) {
	for _, path := range []string{"a", "/a/b", "a#b", `a\b`, `a\#b`, `a\\`, "#", "a##b#", "./a", "a b"} {
		ref, err := secret.FileRef(path)
		if err != nil {
			t.Errorf("%q: %v", path, err)
			continue
		}
		if got, key, hasKey := ref.File(); got != path || key != "" || hasKey {
			t.Errorf("%q: %s is the file %q, key %q %v", path, ref, got, key, hasKey)
		}
	}
	if ref, err := secret.FileRef("~/x"); err != nil || ref.String() != "file:./~/x" {
		t.Errorf("a literal ~ gives %s, %v", ref, err)
	}
	if _, err := secret.FileRef("a\tb"); err == nil {
		t.Error("a path with a tab is a reference")
	}
}

func TestRefFile(t *testing.T) {
	for _, tt := range []struct {
		rest, path, key string
		hasKey          bool
	}{
		{"a#b", "a", "b", true},
		{"a#b#c", "a", "b#c", true},
		{`a#b\#c`, "a", `b\#c`, true},
		{`a\#b#c`, "a#b", "c", true},
		{`a\\#b`, `a\`, "b", true},
		{`C:\dir\x`, `C:\dir\x`, "", false},
		{"a#", "a", "", true},
	} {
		path, key, hasKey := secret.Ref{Scheme: "file", Rest: tt.rest}.File()
		if path != tt.path || key != tt.key || hasKey != tt.hasKey {
			t.Errorf("%q: got %q, %q, %v", tt.rest, path, key, hasKey)
		}
	}
}

func TestRefIn(t *testing.T) {
	for _, tt := range []struct{ ref, want string }{
		{"file:a", "file:/p q/#x/a"},
		{"file:../a#k.l", "file:/p q/a#k.l"},
		{`file:a\#b#k`, `file:/p q/#x/a\#b#k`},
		{"file:/a#k", "file:/a#k"},
		{"file:~/a", "file:~/a"},
		{"env:a", "env:a"},
		{"cmd:./a", "cmd:./a"},
		{"cmd:curl x?key=file:a", "cmd:curl x?key=file:a"},
		{"-", "-"},
		{"age:a.age", "age:/p q/%23x/a.age"},
		{"age:../%41?identity=k+y.txt#a.b", "age:/p q/A?identity=/p q/%23x/k y.txt#a.b"},
		{"age:/a?identity=~/k", "age:/a?identity=~/k"},
		{"age:%zz?identity=", "age:%zz?identity="},
		{"netrc:h?login=x&file=n%26", "netrc:h?login=x&file=/p q/%23x/n%26"},
		{"sops:a#k", "sops:/p q/%23x/a#k"},
		{"pass:a/b#k", "pass:a/b#k"},
		{"gitea:git?key=file:ca&ttl=5m", `gitea:git?key=file:/p q/\%23x/ca&ttl=5m`},
		{"x:?a=file:%2E./b%23k&c=d%20e#f", "x:?a=file:/p q/b%23k&c=d%20e#f"},
		{"x:?a=file:~/b&c=file:/d&e=env:file", "x:?a=file:~/b&c=file:/d&e=env:file"},
		{"x:y?a=%zz&b=file", "x:y?a=%zz&b=file"},
		{"x:y#?a=file:b", "x:y#?a=file:b"},
	} {
		got, err := mustParse(t, tt.ref).In("/p q/#x")
		want := tt.want
		if strings.HasPrefix(want, "file:") {
			want = strings.ReplaceAll(want, "/#x/", `/\#x/`)
		}
		if err != nil || got.String() != want {
			t.Errorf("%s: got %s, %v, want %s", tt.ref, got, err, want)
		}
	}
}

func FuzzParseRef(f *testing.F) {
	for _, seed := range []string{"-", "file:a#b", `file:a\#b`, "env:X", "cmd:a 'b'", "fd:3", "x", "stdin:"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		ref, err := secret.ParseRef(text)
		if err != nil {
			return
		}
		if ref.String() != text || !secret.Printable(ref.String()) {
			t.Errorf("%q became %q", text, ref.String())
		}
		path, _, _ := ref.File()
		if again, err := secret.FileRef(path); err == nil {
			if got, _, hasKey := again.File(); hasKey || got != path && got != "./"+path {
				t.Errorf("the path %q became %q", path, got)
			}
		}
	})
}

func mustParse(t *testing.T, text string) secret.Ref {
	t.Helper()
	ref, err := secret.ParseRef(text)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}
