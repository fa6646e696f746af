package minter_test

import (
	"context"
	"errors"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/secrettest"
	"github.com/tightlip/tightlip/secret/source/env"
	"github.com/tightlip/tightlip/secret/source/minter"
)

// parents are the variables that a test's references name.
type parents map[string][]byte

func (p parents) resolve(ctx context.Context, ref secret.Ref) (*secret.Lease, error) {
	lookup := func(name string) (string, bool) { value, ok := p[name]; return string(value), ok }
	return secret.NewResolver(env.Source{Lookup: lookup}).Resolve(ctx, ref)
}

// values are those of all the parents.
func (p parents) values() (all [][]byte) {
	for _, value := range p {
		all = append(all, value)
	}
	return all
}

// write makes a file, and returns its path.
func write(t *testing.T, path string, data []byte) string {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// minterOf is the minter for a reference.
func minterOf(t *testing.T, p parents, text string) (secret.Minter, secret.Ref) {
	t.Helper()
	return minterWith(t, minter.Options{Resolve: p.resolve}, text)
}

func minterWith(t *testing.T, opts minter.Options, text string) (secret.Minter, secret.Ref) {
	t.Helper()
	r := parse(t, text)
	m, ok := secret.NewResolver(minter.Sources(opts)...).Minter(r.Scheme)
	if !ok {
		t.Fatalf("there is no minter for %s:", r.Scheme)
	}
	return m, r
}

// example is what a kind says was run, with hosts and names replaced by those that there are. It is run.
func example(t *testing.T, scheme string, oldnew ...string) string {
	t.Helper()
	for _, s := range minter.Sources(minter.Options{}) {
		if s.Scheme() != scheme {
			continue
		}
		text := s.(secret.Described).About().Example
		for i := 0; i < len(oldnew); i += 2 {
			if !strings.Contains(text, oldnew[i]) {
				t.Fatalf("%s is not in the example %s", oldnew[i], text)
			}
		}
		return strings.NewReplacer(oldnew...).Replace(text)
	}
	t.Fatalf("there is no minter for %s:", scheme)
	return ""
}

// TestExamples has a test for the example of each kind.
func TestExamples(t *testing.T) {
	paths, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	var tests strings.Builder
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		tests.Write(text)
	}
	for _, s := range minter.Sources(minter.Options{}) {
		if !strings.Contains(tests.String(), `example(t, "`+s.Scheme()+`"`) {
			t.Errorf("%s: no test runs the example", s.Scheme())
		}
	}
}

func parse(t *testing.T, text string) secret.Ref {
	t.Helper()
	r, err := secret.ParseRef(text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestWrongReferences has what each kind refuses before it reaches anything.
func TestWrongReferences(t *testing.T) {
	for text, want := range map[string]string{
		"ssh-cert:git":                                                                 "a reference to ssh-cert: needs principals=",
		"ssh-cert:?principals=git":                                                     "a reference to ssh-cert: needs the file of the authority's key, or key=REFERENCE",
		"ssh-cert:ca?principals=git&key=env:CA":                                        "a reference to ssh-cert: needs the file of the authority's key, or key=REFERENCE",
		"ssh-cert:ca?principals=git":                                                   "",
		"ssh-cert:?key=env:CA":                                                         "a reference to ssh-cert: needs principals=",
		"ssh-cert:?principals=git,&key=env:CA":                                         "a principal of ssh-cert: is empty",
		"ssh-cert:?principals=git&key=CA":                                              "key= of ssh-cert: is no reference",
		"ssh-cert:?principals=git&key=env:CA#cert":                                     "nothing can follow a # in a reference to ssh-cert:",
		"ssh-cert:?principals=git&key=env:CA&ttl=1s":                                   "ssh-cert: makes nothing that lives for less than 10s",
		"ssh-cert:?principals=git&key=env:CA&ttl=9999h":                                "ssh-cert: makes nothing that lives for more than 24h0m0s",
		"ssh-cert:?principals=git&key=env:CA&source-address=here":                      "source-address= of ssh-cert: is no list of networks",
		"ssh-cert:?principals=git&key=env:CA&source-address=::/99":                     "",
		"gitea:https://git.corp.example?user=ci&token=env:T":                           "a reference to gitea: needs scopes=",
		"gitea:https://git.corp.example?user=ci&token=env:T&scopes=a,":                 "scopes= of gitea: has an empty scope",
		"gitea:http://git.corp.example?user=ci&token=env:T&scopes=a":                   "the address of Gitea is not encrypted: only this machine's may begin with http",
		"oauth2:https://login.corp.example?client-id=ci":                               "a reference to oauth2: needs client-secret=",
		"oauth2:https://login.corp.example?client-id=c&client-secret=env:S&auth=x":     "auth= of oauth2: is neither basic nor post",
		"oauth2:https://login.corp.example?client-id=c&client-secret=env:S&issuer=x":   "the address of the OAuth server is no URL",
		"pypi:a,?token=env:T":                                                          "what follows pypi: is no list of projects",
		"npm-token:https://npm.corp.example?password=env:P":                            "a reference to npm-token: needs one of user= and token=",
		"npm-token:https://npm.corp.example?password=env:P&user=u&read-only=1":         "read-only= of npm-token: is neither true nor false",
		"npm-token:https://npm.corp.example?password=env:P&user=u&cidr=2001:db8::/32":  "cidr= of npm-token: is no list of IPv4 networks",
		"npm-token:https://npm.corp.example?password=env:P&user=u&login=1":             "login= of npm-token: is neither true nor false",
		"npm-token:https://npm.corp.example?password=env:P&token=env:T&login=true":     "login=true of npm-token: takes user= and password=, and the token is not narrowed",
		"gitlab:https://gitlab.corp.example?token=env:T&scopes=api":                    "the path of gitlab: is not the address of a project",
		"gitlab:https://gitlab.corp.example/a/b?token=env:T&scopes=api&access-level=x": "access-level= of gitlab: is none",
		"gitlab:https://gitlab.corp.example/a/b?token=env:T&scopes=api&ttl=1h":         "gitlab: makes nothing that lives for less than 24h0m0s",
		"github-app:12345?key=env:K":                                                   "the path of github-app: is not APP_ID/INSTALLATION_ID",
		"github-app:12345/678?key=env:K&permissions=contents":                          "permissions= of github-app: is no list of NAME:read or NAME:write",
		"github-app:12345/678?key=env:K&api=github":                                    "the address of GitHub is no URL",
		"vault-token:?uses=0":                                                          "uses= of vault-token: is no number of requests",
		"vault-token:?jwt=TOKEN":                                                       "jwt= of vault-token: is no reference",
		"openbao-token:?auth=github":                                                   "auth= of openbao-token: is unknown to OpenBao",
		"vault-lease:?auth=token#x":                                                    "a reference to vault-lease: needs a path of an engine",
		"aws-sts:ci":                                                                   "what follows aws-sts: is not the ARN of a role",
		"aws-sts:arn:aws:iam::1:role/ci#SecretAccessKey":                               "what follows the # in a reference to aws-sts: is no field of it",
		"codeartifact:acme":                                                            "what follows codeartifact: is not DOMAIN/OWNER_ACCOUNT",
		"ecr:acme":                                                                     "what follows ecr: is not the number of an account",
		"gcp-impersonate:ci":                                                           "what follows gcp-impersonate: is not the address of a service account",
		"gcp-impersonate:a@b.corp.example?ttl=2h":                                      "gcp-impersonate: makes nothing that lives for more than 1h0m0s",
		"jfrog:acme?token=env:T&scope=s":                                               "the address of the JFrog Platform is no URL",
		"azure-acr:a/b?scope=x":                                                        "what follows azure-acr: is not the name of a registry",
		"azure-acr:acme.corp.example":                                                  "what follows azure-acr: is not the name of a registry",
		"token-exchange:https://login.corp.example?subject=env:S&client-secret=env:S":  "a reference to token-exchange: with client-secret= needs client-id=",
	} {
		m, r := minterOf(t, nil, text)
		err := m.Check(r)
		if want == "" && err == nil {
			continue
		}
		if e, ok := errors.AsType[*secret.SyntaxError](err); !ok || e.Problem != want || e.Try == "" {
			t.Errorf("%s: got %v", text, err)
		}
	}
}

// TestParents has references to credentials that are not there.
func TestParents(t *testing.T) {
	m, r := minterOf(t, parents{"EMPTY": nil}, "ssh-cert:?principals=git&key=env:NONE")
	if _, err := m.Mint(t.Context(), r, "x"); !errors.Is(err, secret.ErrNotFound) {
		t.Errorf("got %v", err)
	}
	if _, err := m.Mint(t.Context(), parse(t, "ssh-cert:?principals=git&key=env:EMPTY"), "x"); !errors.Is(err, secret.ErrEmpty) {
		t.Errorf("got %v", err)
	}
}

// TestPathOfParent has a path that is taken as the shell takes it, and signs that mean something in references to files.
func TestPathOfParent(t *testing.T) {
	for path, want := range map[string]string{"~/.ssh/ca": "file:~/.ssh/ca", "./~/ca": "file:./~/ca", "a%23b": `file:a\#b`, "/ca": "file:/ca"} {
		var got secret.Ref
		resolve := func(_ context.Context, ref secret.Ref) (*secret.Lease, error) {
			got = ref
			return nil, secret.ErrNotFound
		}
		m, r := minterWith(t, minter.Options{Resolve: resolve}, "ssh-cert:"+path+"?principals=git")
		if _, err := m.Resolve(t.Context(), r); err == nil || got.String() != want {
			t.Errorf("%s: asked for %s, %v", path, got, err)
		}
	}
}

// broken are references that name what is no credential for the kind.
func broken(t *testing.T, texts ...string) (refs []secret.Ref) {
	t.Helper()
	for _, text := range texts {
		refs = append(refs, parse(t, text))
	}
	return refs
}

// TestUnreached has servers that a request never gets to.
func TestUnreached(t *testing.T) {
	closed := httptest.NewServer(nil)
	closed.Close()
	unknown := httptest.NewTLSServer(nil)
	unknown.Config.ErrorLog = log.New(io.Discard, "", 0)
	defer unknown.Close()
	for _, address := range []string{closed.URL, unknown.URL, "https://git.invalid"} {
		p := parents{"TOKEN": secrettest.Canary(t)}
		m, r := minterOf(t, p, "gitea:"+address+"?user=ci&token=env:TOKEN&scopes=read:user")
		if _, err := m.Mint(t.Context(), r, "x"); !errors.Is(err, secret.ErrNotMade) || secrettest.Leak(err.Error(), p["TOKEN"]) != "" {
			t.Errorf("%s: got %v", address, err)
		}
	}
}
