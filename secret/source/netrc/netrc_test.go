package netrc_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/secrettest"
	"github.com/tightlip/tightlip/secret/source/file"
	"github.com/tightlip/tightlip/secret/source/netrc"
)

func TestContract(t *testing.T) {
	secrettest.Contract(t, func(t *testing.T) secrettest.Fixture {
		path := filepath.Join(t.TempDir(), "netrc")
		t.Setenv("NETRC", path)
		var text bytes.Buffer
		count := 0
		put := func(t *testing.T, format string, value any) secret.Ref {
			count++
			fmt.Fprintf(&text, "machine h%d.corp.example login ci\n  password "+format+"\n", count, value)
			write(t, path, text.Bytes())
			return secrettest.Ref(t, fmt.Sprintf("netrc:h%d.corp.example", count))
		}
		quoted := strings.NewReplacer(`\`, `\\`, `"`, `\"`)
		return secrettest.Fixture{
			Source: netrc.Source{},
			Put: func(t *testing.T, value []byte) secret.Ref {
				return put(t, "%s", `"`+quoted.Replace(string(value))+`"`)
			},
			Missing: secrettest.Ref(t, "netrc:other.corp.example"),
			Unfit: func(value []byte) string {
				if len(value) > secret.MaxSize {
					return "the file is too large before the value is"
				}
				return ""
			},
			Broken: func(t *testing.T, value []byte) []secret.Ref {
				var refs []secret.Ref
				for i, content := range []string{"%s", "machine a %s", "machine a password \"%s", "machine b login x password %s", "machine a login %s", "machine a password %s \"\""} {
					name := fmt.Sprintf("broken%d", i)
					write(t, filepath.Join(filepath.Dir(path), name), fmt.Appendf(nil, content, value))
					refs = append(refs, secrettest.Ref(t, "netrc:a?file="+filepath.Join(filepath.Dir(path), name)))
				}
				return refs
			},
		}
	})
}

func TestFields(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "n"), []byte("machine a login one password p1\nmachine a login two password p2 account acc\ndefault login any password #pd\n"))
	for _, tt := range []struct{ ref, want, err string }{
		{"netrc:a?file=n", "p1", ""},
		{"netrc:a?file=n#login", "one", ""},
		{"netrc:a?file=n&login=two", "p2", ""},
		{"netrc:a?file=n&login=two#account", "acc", ""},
		{"netrc:b?file=n", "#pd", ""},
		{"netrc:a?file=n&login=three", "", "file n has no machine a with login three"},
		{"netrc:a?file=n#account", "", "file n: machine a has no account"},
		{"netrc:a?file=gone", "", "file gone does not exist"},
		{"netrc:a?file=n#user", "", "a reference to netrc: lacks its host, or names an unknown field"},
		{"netrc:?file=n", "", "a reference to netrc: lacks its host, or names an unknown field"},
	} {
		lease, err := netrc.Source{Files: file.Source{Dir: dir}}.Resolve(t.Context(), secrettest.Ref(t, tt.ref))
		if err != nil || tt.err != "" {
			if err == nil || err.Error() != tt.err {
				t.Errorf("%s: got %v, want %s", tt.ref, err, tt.err)
			}
			continue
		}
		if got := string(lease.Value.Open()); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.ref, got, tt.want)
		}
	}
}

// TestCurl compares with what curl sends.
func TestCurl(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("there is no curl to compare with")
	}
	for name, content := range samples {
		path := filepath.Join(t.TempDir(), "netrc")
		write(t, path, []byte(content))
		want := curl(t, path)
		got := ""
		for _, field := range []string{"#login", "#password"} {
			lease, err := netrc.Source{}.Resolve(t.Context(), secrettest.Ref(t, "netrc:127.0.0.1?file="+path+field))
			if err != nil && !errors.Is(err, secret.ErrNotFound) {
				t.Fatalf("%s: %v", name, err)
			}
			if err == nil {
				got += field + " " + string(lease.Value.Open())
			}
		}
		if got != want {
			t.Errorf("%s: got %q, curl sends %q", name, got, want)
		}
	}
}

var samples = map[string]string{
	"lines":           "machine other login x password y\nmachine 127.0.0.1\n\tlogin bob\n\tpassword pw\nmachine 127.0.0.1 login c password d\n",
	"one line":        "machine other login x password y machine 127.0.0.1 login bob password pw",
	"password first":  "machine 127.0.0.1 password pw login bob\n",
	"CR LF":           "machine 127.0.0.1\r\nlogin bob\r\npassword pw\r\n",
	"default":         "machine other login x password y\ndefault login bob password pw\n",
	"nothing":         "machine other login x password y\n",
	"comment":         "# machine 127.0.0.1 login no password no\nmachine 127.0.0.1 login bob password pw\n",
	"comment between": "machine other login x password y\n# password is z\nmachine 127.0.0.1 login bob password pw\n",
	"quotes":          "machine 127.0.0.1 login \"b o\\\"b\" password \"p\\\\w # \"\n",
	"macro":           "machine other login x password y\nmacdef init\nmachine 127.0.0.1 login no password no\n\nmachine 127.0.0.1 login bob password pw\n",
	"keys as values":  "machine other login machine password 127.0.0.1\nmachine 127.0.0.1 login password password login\n",
}

// curl is the login and the password that curl takes from a file for 127.0.0.1.
func curl(t *testing.T, path string) string {
	t.Helper()
	sent := ""
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if user, password, ok := r.BasicAuth(); ok {
			sent = "#login " + user + "#password " + password
		}
	}))
	defer server.Close()
	if host, _, err := net.SplitHostPort(server.Listener.Addr().String()); err != nil || host != "127.0.0.1" {
		t.Fatal("the server is not on 127.0.0.1")
	}
	if out, err := exec.CommandContext(t.Context(), "curl", "-sS", "--noproxy", "*", "--netrc-file", path, server.URL).CombinedOutput(); err != nil {
		t.Fatalf("curl: %v\n%s", err, out)
	}
	return sent
}

func FuzzParse(f *testing.F) {
	for _, content := range samples {
		f.Add(content, "127.0.0.1")
	}
	f.Fuzz(func(t *testing.T, content, host string) {
		path := filepath.Join(t.TempDir(), "n")
		write(t, path, []byte(content))
		lease, err := netrc.Source{}.Resolve(t.Context(), secret.Ref{Scheme: "netrc", Rest: "h?file=" + path})
		if err == nil && lease.Value.Len() == 0 {
			t.Error("the value is empty")
		}
		if err != nil && utf8.ValidString(content) && !secret.Printable(err.Error()) {
			t.Errorf("the error %q", err)
		}
	})
}

func Example() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	if err := os.WriteFile(filepath.Join(dir, "netrc"), []byte("machine git.corp.example login ci password not-a-real-one\n"), 0o600); err != nil {
		fmt.Println(err)
		return
	}
	os.Setenv("NETRC", filepath.Join(dir, "netrc"))
	defer os.Unsetenv("NETRC")
	resolver := secret.NewResolver(netrc.Source{})
	ref, err := secret.ParseRef(netrc.Source{}.About().Example)
	if err != nil {
		fmt.Println(err)
		return
	}
	lease, err := resolver.Resolve(context.Background(), ref)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(lease.ID, lease.Value, lease.Value.Len())
	// Output: netrc:git.corp.example [sealed] 14
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}
