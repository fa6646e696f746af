package tool_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tightlip/tightlip/internal/storetest"
	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/secrettest"
	"github.com/tightlip/tightlip/secret/source/command"
	"github.com/tightlip/tightlip/secret/source/file"
	"github.com/tightlip/tightlip/secret/source/tool"
)

func TestPass(t *testing.T) {
	secrettest.Contract(t, func(t *testing.T) secrettest.Fixture {
		storetest.PasswordStore(t)
		count := 0
		put := func(t *testing.T, text []byte) secret.Ref {
			count++
			name := fmt.Sprintf("ci/entry %d", count)
			storetest.Run(t, text, "pass", "insert", "--multiline", name)
			return secrettest.Ref(t, "pass:"+name)
		}
		return secrettest.Fixture{
			Source: source(t, "pass", ""),
			Put: func(t *testing.T, value []byte) secret.Ref {
				return put(t, append(bytes.Clone(value), "\nuser: ci\n"...))
			},
			Missing: secrettest.Ref(t, "pass:ci/other"),
			Unfit: func(value []byte) string {
				if bytes.ContainsAny(value, "\n") {
					return "the value is a line"
				}
				return ""
			},
			Blocked: func(t *testing.T) secret.Ref {
				ref := put(t, []byte("x"))
				stub(t, "pass", "sleep 600")
				return ref
			},
			Broken: func(t *testing.T, value []byte) []secret.Ref {
				ref := put(t, append(value, '\n'))
				ref.Rest += "#user"
				return []secret.Ref{ref, secrettest.Ref(t, "pass:ci")}
			},
		}
	})
}

func TestPassKeys(t *testing.T) {
	storetest.PasswordStore(t)
	canary := string(secrettest.Canary(t))
	storetest.Run(t, []byte(canary+"\nnot a field\nUser:  ci \nurl: https://npm.corp.example\nempty:\n"), "pass", "insert", "--multiline", "ci/npm")
	for _, tt := range []struct{ ref, want, err string }{
		{"pass:ci/npm", canary, ""},
		{"pass:ci/npm#user", "ci", ""},
		{"pass:ci/npm#url", "https://npm.corp.example", ""},
		{"pass:ci/npm#empty", "", "pass:ci/npm#empty is empty"},
		{"pass:ci/npm#other", "", "pass has no line other: in ci/npm"},
		{"pass:ci", "", "pass has no entry ci"},
		{"pass:?x=y", "", "a reference to pass: has an unknown key"},
		{"pass:#x", "", "a reference to pass: says nothing but that"},
	} {
		check(t, source(t, "pass", ""), tt.ref, tt.want, tt.err)
	}
	t.Setenv("GNUPGHOME", t.TempDir()) // where the key is not
	check(t, source(t, "pass", ""), "pass:ci/npm", "", "command pass failed: exit status 2")
}

func TestSOPS(t *testing.T) {
	secrettest.Contract(t, func(t *testing.T) secrettest.Fixture {
		dir, recipient := sops(t)
		count := 0
		put := func(t *testing.T, value []byte) secret.Ref {
			count++
			name := fmt.Sprintf("%d.bin", count)
			encrypt(t, dir, recipient, name, value)
			return secrettest.Ref(t, "sops:"+name)
		}
		return secrettest.Fixture{
			Source:  source(t, "sops", dir),
			Put:     put,
			Missing: secrettest.Ref(t, "sops:no/such/file"),
			Unfit: func(value []byte) string {
				if len(value) > secret.MaxSize {
					return "the encrypted file is too large before the value is"
				}
				return ""
			},
			Blocked: func(t *testing.T) secret.Ref {
				ref := put(t, []byte("x"))
				stub(t, "sops", "sleep 600")
				return ref
			},
			Broken: func(t *testing.T, value []byte) []secret.Ref {
				ref := put(t, fmt.Appendf(nil, "A=%s", value))
				ref.Rest += "#B"
				write(t, filepath.Join(dir, "plain.yaml"), fmt.Appendf(nil, "a: %s\n", value))
				return []secret.Ref{ref, secrettest.Ref(t, "sops:plain.yaml")}
			},
		}
	})
}

func TestSOPSKeys(t *testing.T) {
	dir, recipient := sops(t)
	canary := string(secrettest.Canary(t))
	for name, text := range map[string]string{
		"secrets.yaml": "npm:\n  token: %s\n", "secrets.json": `{"npm": {"token": "%s"}}`, "secrets.env": "npm.token=%s\n", "secrets.ini": "[npm]\ntoken = %s\n", "secrets.toml": "[npm]\ntoken = '%s'\n",
	} {
		encrypt(t, dir, recipient, name, fmt.Appendf(nil, text, canary))
		check(t, source(t, "sops", dir), "sops:"+name+"#npm.token", canary, "")
	}
	check(t, source(t, "sops", dir), "sops:secrets.yaml#npm.tokn", "", "file secrets.yaml: there is no key npm.tokn")
	t.Setenv("SOPS_AGE_KEY_FILE", filepath.Join(dir, "gone"))
	check(t, source(t, "sops", dir), "sops:secrets.yaml#npm.token", "", "command sops failed: exit status 128")
}

func TestKeyring(t *testing.T) {
	secrettest.Contract(t, func(t *testing.T) secrettest.Fixture {
		storetest.Keyring(t)
		count := 0
		put := func(t *testing.T, value []byte) secret.Ref {
			count++
			account := fmt.Sprintf("ci%d", count)
			attribute := []string{"username", "account"}[count%2]
			storetest.Run(t, value, "secret-tool", "store", "--label=x", "service", "https://npm.corp.example/", attribute, account)
			return secrettest.Ref(t, "keyring:https://npm.corp.example//"+account)
		}
		return secrettest.Fixture{
			Source:  source(t, "keyring", ""),
			Put:     put,
			Missing: secrettest.Ref(t, "keyring:npm/other"),
			Unfit: func(value []byte) string {
				switch {
				case len(value) >= 8192:
					return "secret-tool stores less than 8 KiB"
				case bytes.ContainsAny(value, "\x00\xff"):
					return "secret-tool stores text"
				}
				return ""
			},
			Blocked: func(t *testing.T) secret.Ref {
				stub(t, "secret-tool", "sleep 600")
				return secrettest.Ref(t, "keyring:npm/ci")
			},
			Broken: func(t *testing.T, value []byte) []secret.Ref {
				stub(t, "secret-tool", fmt.Sprintf("echo %s; echo %[1]s >&2; exit 1", value))
				return []secret.Ref{secrettest.Ref(t, "keyring:npm/ci")}
			},
		}
	})
}

func TestKeyringLocked(t *testing.T) {
	storetest.Keyring(t)
	canary := secrettest.Canary(t)
	storetest.Run(t, canary, "secret-tool", "store", "--label=x", "service", "npm", "username", "ci")
	keyring := source(t, "keyring", "")
	check(t, keyring, keyring.(secret.Described).About().Example, string(canary), "")
	check(t, keyring, "keyring:npm", "", "a reference to keyring: is not SERVICE/ACCOUNT")
	check(t, keyring, "keyring:-n/--ci", "", "the keyring has nothing for -n/--ci")
	storetest.Run(t, nil, "dbus-send", "--session", "--print-reply", "--dest=org.freedesktop.secrets", "/org/freedesktop/secrets",
		"org.freedesktop.Secret.Service.Lock", "array:objpath:/org/freedesktop/secrets/collection/login")
	check(t, keyring, "keyring:npm/ci", "", "the keyring is locked")
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/no/such/socket")
	check(t, keyring, "keyring:npm/ci", "", "command secret-tool failed: exit status 1")
}

func TestNotInstalled(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "x.gpg"), []byte("x"))
	t.Setenv("PASSWORD_STORE_DIR", dir)
	t.Setenv("PATH", dir)
	for ref, program := range map[string]string{"pass:x": "pass", "sops:x.gpg": "sops", "keyring:a/b": "secret-tool"} {
		scheme, _, _ := strings.Cut(ref, ":")
		check(t, source(t, scheme, dir), ref, "", "command "+program+" not found")
	}
}

// check resolves ref, to want or to an error that is not taken for a secret that is missing unless it says so.
func check(t *testing.T, s secret.Source, ref, want, problem string) {
	t.Helper()
	lease, err := s.Resolve(t.Context(), secrettest.Ref(t, ref))
	switch {
	case problem == "" && (err != nil || string(lease.Value.Open()) != want):
		t.Errorf("%s: got %v", ref, err)
	case problem != "" && (err == nil || !strings.HasPrefix(err.Error(), problem)):
		t.Errorf("%s: got %v, want %s", ref, err, problem)
	case problem != "" && errors.Is(err, secret.ErrNotFound) != (strings.Contains(problem, " has no") || strings.Contains(problem, "there is no")):
		t.Errorf("%s: %v is taken for something else", ref, err)
	}
}

func source(t *testing.T, scheme, dir string) secret.Source {
	t.Helper()
	for _, s := range tool.Sources(command.NewRunner(command.Options{Stderr: new(bytes.Buffer)}), file.Source{Dir: dir}) {
		if s.Scheme() == scheme {
			return s
		}
	}
	t.Fatal("no such source")
	return nil
}

// sops returns a folder, and the recipient whose identity SOPS finds.
func sops(t *testing.T) (dir, recipient string) {
	t.Helper()
	tools, err := filepath.Abs("../../../.tools/sops")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", tools+string(os.PathListSeparator)+os.Getenv("PATH"))
	storetest.Need(t, "sops", "age-keygen")
	dir = t.TempDir()
	key := filepath.Join(dir, "key.txt")
	storetest.Run(t, nil, "age-keygen", "-o", key)
	t.Setenv("SOPS_AGE_KEY_FILE", key)
	return dir, strings.TrimSpace(storetest.Run(t, nil, "age-keygen", "-y", key))
}

func encrypt(t *testing.T, dir, recipient, name string, text []byte) {
	t.Helper()
	path := filepath.Join(dir, name)
	write(t, path, text)
	storetest.Run(t, nil, "sops", "encrypt", "--in-place", "--age", recipient, path)
}

// stub puts a program on PATH.
func stub(t *testing.T, name, script string) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, name)
	write(t, path, []byte("#!/bin/sh\n"+script+"\n"))
	if err := os.Chmod(path, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func Example() {
	for _, s := range tool.Sources(command.NewRunner(command.Options{}), file.Source{}) {
		_, err := s.Resolve(context.Background(), secret.Ref{Scheme: s.Scheme(), Rest: "?token=x"})
		fmt.Println(err)
	}
	// Output:
	// a reference to pass: has an unknown key
	// a reference to sops: has an unknown key
	// a reference to keyring: has an unknown key
}
