package all_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/fake"
	"github.com/tightlip/tightlip/secret/secrettest"
	"github.com/tightlip/tightlip/secret/source/all"
)

func TestSources(t *testing.T) {
	got := all.Resolver(all.Options{}).Schemes()
	if want := []string{
		"file", "env", "cmd", "netrc", "docker-credential", "age", "pass", "sops", "keyring", "fd", "stdin", "github-oidc", "gitlab-oidc",
		"vault", "openbao", "aws-secretsmanager", "aws-ssm", "gcp-secretmanager", "azure-keyvault", "k8s-secret",
		"vault-token", "vault-lease", "openbao-token", "openbao-lease",
		"ssh-cert", "gitea", "oauth2", "token-exchange", "pypi", "npm-token", "github-app", "gitlab", "gitlab-deploy", "aws-sts", "codeartifact", "ecr",
		"gcp-impersonate", "jfrog", "azure-acr",
	}; !slices.Equal(got, want) {
		t.Errorf("got the schemes %q, want %q", got, want)
	}
}

// TestAbout has every source say what it is, in words that are references where they should be.
func TestAbout(t *testing.T) {
	for _, source := range all.Sources(all.Options{}) {
		described, ok := source.(secret.Described)
		if !ok {
			t.Errorf("%s: does not say what it is", source.Scheme())
			continue
		}
		about := described.About()
		ref, err := secret.ParseRef(about.Example)
		if err != nil || ref.Scheme != source.Scheme() || about.What == "" || !strings.HasPrefix(about.Form, secret.Ref{Scheme: ref.Scheme}.String()) {
			t.Errorf("%s: %+v, %v", source.Scheme(), about, err)
		}
	}
}

// TestExamples runs the examples that need nothing but themselves. Those of the other sources run in their own tests.
func TestExamples(t *testing.T) {
	t.Setenv("NPM_TOKEN", "x")
	for _, source := range all.Sources(all.Options{Stdin: strings.NewReader("x")}) {
		ref, err := secret.ParseRef(source.(secret.Described).About().Example)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Contains([]string{"env", "cmd", "stdin"}, ref.Scheme) {
			continue
		}
		if _, err := source.Resolve(t.Context(), ref); err != nil {
			t.Errorf("%s: %v", ref, err)
		}
	}
}

// TestDocs reads the references in the documentation: each is one, of a scheme that there is.
func TestDocs(t *testing.T) {
	text, err := os.ReadFile("../../../docs/sources.md")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^    (?:[A-Za-z0-9].*?  +)?([a-z-]+:[^ ].*?)(?:  +[#(].*)?$`).FindAllSubmatch(text, -1)
	if len(found) < 20 {
		t.Errorf("found %d references only", len(found))
	}
	for _, m := range found {
		ref, err := secret.ParseRef(string(m[1]))
		if err == nil {
			err = all.Resolver(all.Options{}).Check(ref)
		}
		if err != nil {
			t.Errorf("%s: %v", m[1], err)
		}
	}
}

// TestIdentityOpensVault is a job on GitHub that has no secret at all: GitHub vouches for it, and Vault lets it in for that.
func TestIdentityOpensVault(t *testing.T) {
	issuer, vault, value := fake.NewIssuer(t), fake.NewVault(t), secrettest.Canary(t)
	vault.Put("kv/ci", map[string]any{"pip": string(value)})
	vault.Logins["jwt"] = func(body map[string]string) bool {
		token, err := issuer.Verify(body["jwt"], "https://vault.corp.example", vault.Now)
		if err != nil {
			return false
		}
		subject, _ := token.Subject()
		return body["role"] == "ci" && subject == "repo:shop/app:ref:refs/heads/main"
	}
	authority := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(authority, vault.CA(), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"ACTIONS_ID_TOKEN_REQUEST_URL": issuer.RequestURL, "ACTIONS_ID_TOKEN_REQUEST_TOKEN": issuer.RequestToken,
		"VAULT_ADDR": vault.URL, "VAULT_CACERT": authority, "VAULT_TOKEN": "", "VAULT_NAMESPACE": "", "HOME": t.TempDir(),
	} {
		t.Setenv(name, value)
	}
	resolver := secret.NewResolver(all.Sources(all.Options{})...)
	resolve := func(text string) (*secret.Lease, error) {
		ref, err := secret.ParseRef(text)
		if err != nil {
			t.Fatal(err)
		}
		return resolver.Resolve(t.Context(), ref)
	}
	for _, audience := range []string{"https%3A%2F%2Fvault.corp.example", "https://vault.corp.example"} {
		lease, err := resolve("vault:kv/ci?auth=jwt&role=ci&jwt=github-oidc:" + audience + "#pip")
		if err != nil || string(lease.Value.Open()) != string(value) {
			t.Fatal(err)
		}
	}
	if living := vault.Living(); len(living) != 1 {
		t.Errorf("the login lives on: %v", living)
	}
	issued := len(vault.Tokens())
	for name, set := range map[string]func(){
		"another branch":   func() { issuer.Claims = map[string]any{"sub": "repo:shop/app:pull_request"} },
		"another issuer":   func() { issuer.Claims = map[string]any{"iss": "https://elsewhere.corp.example"} },
		"another audience": func() { issuer.Claims = map[string]any{"aud": "https://elsewhere.corp.example"} },
		"an old token":     func() { issuer.Claims = nil; vault.Skew(time.Hour) },
	} {
		set()
		if _, err := resolve("vault:kv/ci?auth=jwt&role=ci&jwt=github-oidc:https%3A%2F%2Fvault.corp.example#pip"); err == nil || len(vault.Tokens()) != issued {
			t.Errorf("%s opens Vault: %v", name, err)
		}
		vault.Skew(time.Until(vault.Now()) * -1)
	}
	if _, err := resolve("vault:kv/ci?auth=jwt&jwt=vault:kv%2Fci#pip"); err == nil || !strings.Contains(err.Error(), "unknown scheme") {
		t.Errorf("following references does not end: %v", err)
	}
}

func Example() {
	specs, err := secret.ParseSpecs([]string{"id=npm,from=-", "id=pip,from=cmd:printf x"})
	if err != nil {
		fmt.Println(err)
		return
	}
	resolver := all.Resolver(all.Options{Stdin: strings.NewReader("not a real one")})
	set, err := resolver.ResolveAll(context.Background(), specs)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer set.Close(context.Background())
	for id, lease := range set.All() {
		fmt.Println(id, lease.ID, lease.Value, lease.Value.Len())
	}
	// Output:
	// npm - [sealed] 14
	// pip cmd:printf x [sealed] 1
}
