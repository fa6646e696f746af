package file_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/secrettest"
	"github.com/tightlip/tightlip/secret/source/file"
)

func TestContract(t *testing.T) {
	secrettest.Contract(t, func(t *testing.T) secrettest.Fixture {
		dir := t.TempDir()
		count := 0
		put := func(t *testing.T, value []byte) secret.Ref {
			count++
			name := fmt.Sprintf("a # file %d", count)
			write(t, filepath.Join(dir, name), value)
			ref, err := secret.FileRef(name)
			if err != nil {
				t.Fatal(err)
			}
			return ref
		}
		return secrettest.Fixture{
			Source:  file.Source{Dir: dir},
			Put:     put,
			Missing: secrettest.Ref(t, "file:no/such/file"),
			Blocked: func(t *testing.T) secret.Ref { return pipe(t, dir) },
			Broken: func(t *testing.T, value []byte) []secret.Ref {
				var refs []secret.Ref
				for _, content := range []string{
					"%s", "A=1\n%s", "A=1\nB='%s", "A=1\nB='%s' x", `{"%s"`, `{"a": %s}`, `{"A": {"B": "%s"}}`, "a: *%s\n", "a: [%s", "- %s", "a: {b: %s}\n", "[a]\n%s", "[a]\nb = '%s", "[%s", "[a]\nb = %s\n",
				} {
					ref := put(t, fmt.Appendf(nil, content, value))
					ref.Rest += "#a"
					refs = append(refs, ref)
				}
				return refs
			},
		}
	})
}

func TestKey(t *testing.T) {
	jsonFile := `{"token": "t1", "a": {"b": {"c": "nested"}, "b.c": "dotted"}, "a.b.c": "exact", "n": 1.50, "big": 12345678901234567890,
		"yes": true, "none": null, "list": ["x"], "empty": "", "auths": {"https://r.example/v1/": {"auth": "docker"}}, "esc": "a\nb\u00e9"}`
	yamlFile := "token: t2\na:\n  b: {c: nested}\n  b.c: dotted\nx: &anchor\n  y: anchored\nz: *anchor\nn: 0x1F\noctal: 0755\nyes: on\n" +
		"none: ~\nlist: [x]\nempty: ''\nblock: |\n  one\n  two\nEQ=1: odd\n"
	dotenvFile := "\n# a comment=1\nTOKEN=t3\nexport EXPORTED = spaced out  # comment\nEMPTY=\nHASH=a#b\nHASH1=#b\nCR=cr\r\n" +
		"SINGLE='lit\\n$X # '\nDOUBLE=\"a\\nb\\\"c\\$d\\x\" # comment\nMULTI=\"line 1\nline 2\n\"\nAFTER=after\nTWICE=1\nTWICE=2\nDOT.TED-KEY=dk\nURL=https://u:p@h/?a=b\n"
	tomlFile := "# c\ntoken = \"t4\"\n[registries.corp]\ntoken = \"Bearer x\"\nn = 42\nx = 1.5\nday = 1979-05-27\non = true\nlist = ['a', 'b']\n" +
		"many = \"\"\"\none\ntwo\n\"\"\"\n[registries.\"b.c\"]\ntoken = 'quoted'\n[[source]]\npassword = 'first'\n[[source]]\npassword = 'second'\n"
	iniFile := "; c\n[default]\naws_secret_access_key = se/cr+et=\n\n[profile b]\r\naws_secret_access_key=of b\r\nlist = one\n  two\ncolon: c=d\n"
	for _, tt := range []struct{ content, key, want string }{
		{jsonFile, "token", "t1"},
		{jsonFile, "a.b.c", "exact"},
		{jsonFile, "n", "1.50"},
		{jsonFile, "big", "12345678901234567890"},
		{jsonFile, "yes", "true"},
		{jsonFile, "esc", "a\nbé"},
		{jsonFile, "auths.https://r.example/v1/.auth", "docker"},
		{`{"a": {"b": {"c": "nested"}, "b.c": "dotted"}}`, "a.b.c", "dotted"},
		{jsonFile, "list.0", "x"},
		{`[{"a": "in a list"}]`, "0.a", "in a list"},
		{`{"a": {"b": {"c": "nested"}}, "a.b": {"d": "x"}}`, "a.b.c", "nested"},
		{"\ufeff \n" + `{"token": "bom"}`, "token", "bom"},
		{yamlFile, "token", "t2"},
		{yamlFile, "a.b.c", "dotted"},
		{yamlFile, "z.y", "anchored"},
		{yamlFile, "n", "0x1F"},
		{yamlFile, "octal", "0755"},
		{yamlFile, "yes", "on"},
		{yamlFile, "block", "one\ntwo\n"},
		{yamlFile, "EQ=1", "odd"},
		{yamlFile, "list.0", "x"},
		{"base: &b {token: merged, other: x}\na: {<<: *b, other: own}\n", "a.token", "merged"},
		{"base: &b {token: merged, other: x}\na: {<<: *b, other: own}\n", "a.other", "own"},
		{"b: &b {x: 1}\nc: &c {token: merged}\na: {<<: [*b, *c]}\n", "a.token", "merged"},
		{tomlFile, "token", "t4"},
		{tomlFile, "registries.corp.token", "Bearer x"},
		{tomlFile, "registries.b.c.token", "quoted"},
		{tomlFile, "registries.corp.n", "42"},
		{tomlFile, "registries.corp.x", "1.5"},
		{tomlFile, "registries.corp.day", "1979-05-27"},
		{tomlFile, "registries.corp.on", "true"},
		{tomlFile, "registries.corp.many", "one\ntwo\n"},
		{tomlFile, "registries.corp.list.1", "b"},
		{tomlFile, "source.0.password", "first"},
		{tomlFile, "source.1.password", "second"},
		{"[a]\nb = 'x'\n", "a.b", "x"},
		{iniFile, "default.aws_secret_access_key", "se/cr+et="},
		{iniFile, "profile b.aws_secret_access_key", "of b"},
		{iniFile, "profile b.list", "one\ntwo"},
		{iniFile, "profile b.colon", "c=d"},
		{"; a comment\n//npm.corp.example/:_authToken=npmToken\n@corp:registry=x\n", "//npm.corp.example/:_authToken", "npmToken"},
		{"---\ntoken: first\n---\ntoken: second\n", "token", "first"},
		{dotenvFile, "TOKEN", "t3"},
		{dotenvFile, "EXPORTED", "spaced out"},
		{dotenvFile, "HASH", "a#b"},
		{dotenvFile, "HASH1", "#b"},
		{dotenvFile, "CR", "cr"},
		{dotenvFile, "SINGLE", `lit\n$X # `},
		{dotenvFile, "DOUBLE", "a\nb\"c$d\\x"},
		{dotenvFile, "MULTI", "line 1\nline 2\n"},
		{dotenvFile, "AFTER", "after"},
		{dotenvFile, "TWICE", "2"},
		{dotenvFile, "DOT.TED-KEY", "dk"},
		{dotenvFile, "URL", "https://u:p@h/?a=b"},
	} {
		lease, err := resolve(t, tt.content, tt.key)
		if err != nil {
			t.Errorf("%s of %.20q: %v", tt.key, tt.content, err)
			continue
		}
		if got := string(lease.Value.Open()); got != tt.want {
			t.Errorf("%s of %.20q: got %q, want %q", tt.key, tt.content, got, tt.want)
		}
	}
}

func TestKeyErrors(t *testing.T) {
	for _, tt := range []struct {
		content, key, want string
		is                 error
	}{
		{`{"token": "x"}`, "tokn", `there is no key tokn; did you mean "token"?`, secret.ErrNotFound},
		{`{"a": {"b": "x"}}`, "a.c", "there is no key a.c", secret.ErrNotFound},
		{`{"a": "x"}`, "a.c", "there is no key a.c", secret.ErrNotFound},
		{`{"a": {"b": "x"}}`, "a", "the key a is neither a string nor a number nor a boolean", nil},
		{`{"a": null}`, "a", "neither", nil},
		{`["a"]`, "a", "no key a", secret.ErrNotFound},
		{`{"a": ""}`, "a", "the key a is empty", secret.ErrEmpty},
		{`{"a": "x"} more`, "a", "looks like JSON, but is not valid", nil},
		{"{\"a\": \"\xff\"}", "a", "looks like JSON, but is not valid", nil},
		{"a: ~", "a", "neither", nil},
		{"a: [x]", "a", "neither", nil},
		{"a: ''", "a", "is empty", secret.ErrEmpty},
		{"just a token", "a", "it has no keys", nil},
		{"- a", "a", "it has no keys", nil},
		{"# nothing\n", "a", "it has no keys", nil},
		{"[a]\nb = x\n", "a.c", "there is no key a.c", secret.ErrNotFound},
		{"[a]\nb = x\n", "a", "the key a is neither", nil},
		{"[a]\nb =\n", "a.b", "the key a.b is empty", secret.ErrEmpty},
		{"[a]\nb = 'x\n", "a.b", "line 2 begins a quote", nil},
		{"[a]\nb\n", "a.b", "line 2 is neither [SECTION] nor NAME=VALUE", nil},
		{"[a]\nb = []\n", "a.b", "the key a.b is neither", nil},
		{"['a', 'b'", "a", "looks like JSON, but is not valid", nil},
		{`["a"]`, "1", "no key 1", secret.ErrNotFound},
		{`["a"]`, "00", "no key 00", secret.ErrNotFound},
		{"A=\n", "A", "the key A is empty", secret.ErrEmpty},
		{"A=1\n\nB", "A", "line 3 is not NAME=VALUE", nil},
		{"A='1\n2'\nB", "A", "line 3 is not NAME=VALUE", nil},
		{"A=\"x", "A", "line 1 opens a quote that is not closed", nil},
		{"A=\"x\\\"", "A", "line 1 opens a quote that is not closed", nil},
		{"\nA='x' y", "A", "line 2 goes on after the closing quote", nil},
	} {
		_, err := resolve(t, tt.content, tt.key)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s of %q: got %v, want %q", tt.key, tt.content, err, tt.want)
		}
		if tt.is != nil && !errors.Is(err, tt.is) {
			t.Errorf("%s of %q: %v is not %v", tt.key, tt.content, err, tt.is)
		}
		if tt.is == nil && (errors.Is(err, secret.ErrNotFound) || errors.Is(err, secret.ErrEmpty)) {
			t.Errorf("%s of %q: %v counts as missing", tt.key, tt.content, err)
		}
	}
}

func TestErrors(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "empty"), nil)
	write(t, filepath.Join(dir, "keys"), []byte("B=1\nA=1\n"))
	for _, tt := range []struct{ ref, want, hint string }{
		{"file:gone", "file gone does not exist", "check the path"},
		{"file:./~/.npmrc", "file ./~/.npmrc does not exist", "src= does not expand ~: write from=file:~/.npmrc instead"},
		{"file:empty", "file empty is empty", ""},
		{"file:.", ". is a directory", "name a file in it"},
		{"file:keys/x", "file keys/x: not a directory", ""},
		{"file:#K", "file:#K lacks its path or its key", "write file:PATH or file:PATH#KEY"},
		{"file:keys#", "file:keys# lacks its path or its key", "write file:PATH or file:PATH#KEY"},
		{"file:keys#TOKEN", "file keys: there is no key TOKEN", "its keys are A, B"},
	} {
		_, err := file.Source{Dir: dir}.Resolve(t.Context(), secrettest.Ref(t, tt.ref))
		re, ok := errors.AsType[*secret.ResolveError](err)
		if !ok {
			t.Fatalf("%s: got %v, want a ResolveError", tt.ref, err)
		}
		if re.Error() != tt.want || re.Hint() != tt.hint {
			t.Errorf("%s: got %q, hint %q", tt.ref, re.Error(), re.Hint())
		}
	}
}

func TestHome(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	canary := secrettest.Canary(t)
	write(t, filepath.Join(home, ".npmrc"), canary)
	lease, err := file.Source{Dir: "/"}.Resolve(t.Context(), secrettest.Ref(t, "file:~/.npmrc"))
	if err != nil {
		t.Fatal(err)
	}
	if string(lease.Value.Open()) != string(canary) {
		t.Error("got another value than the file's")
	}
	if _, err := (file.Source{Dir: home}).Resolve(t.Context(), secrettest.Ref(t, "file:$HOME/.npmrc")); !errors.Is(err, secret.ErrNotFound) {
		t.Errorf("got %v for a path with a variable, want ErrNotFound", err)
	}
}

// TestTOMLByName has a file whose lines mean something else in dotenv.
func TestTOMLByName(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f.toml")
	write(t, path, []byte("a = \"\\u00e9\"\nb = {c = 'in a table'}\n"))
	for key, want := range map[string]string{"a": "é", "b.c": "in a table"} {
		lease, err := file.Source{}.Resolve(t.Context(), secrettest.Ref(t, "file:"+path+"#"+key))
		if err != nil || string(lease.Value.Open()) != want {
			t.Errorf("%s: %v", key, err)
		}
	}
}

func Example() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	if err := os.WriteFile(filepath.Join(dir, ".env"), []byte("export NPM_TOKEN='not a real one'\n"), 0o600); err != nil {
		fmt.Println(err)
		return
	}
	ref, err := secret.ParseRef("file:.env#NPM_TOKEN")
	if err != nil {
		fmt.Println(err)
		return
	}
	lease, err := file.Source{Dir: dir}.Resolve(context.Background(), ref)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(lease.ID, lease.Value, lease.Value.Len())
	// Output: file:.env#NPM_TOKEN [sealed] 14
}

func resolve(t *testing.T, content, key string) (*secret.Lease, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "f")
	write(t, path, []byte(content))
	return file.Source{}.Resolve(t.Context(), secrettest.Ref(t, "file:"+path+"#"+key))
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// pipe makes a named pipe that nobody writes to until the test ends.
func pipe(t *testing.T, dir string) secret.Ref {
	t.Helper()
	path := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		f, err := os.OpenFile(path, os.O_RDWR, 0) // lets the reader that was left behind go on
		if err != nil {
			t.Error(err)
			return
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return secret.Ref{Scheme: "file", Rest: "pipe"}
}

func TestRereadable(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "token"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	for rest, want := range map[string]bool{"token": true, "token#key": true, ".": false, "other": false, fmt.Sprintf("/dev/fd/%d", r.Fd()): false} {
		if got := (file.Source{Dir: dir}).Rereadable(secret.Ref{Scheme: "file", Rest: rest}); got != want {
			t.Errorf("%s: got %t", rest, got)
		}
	}
}
