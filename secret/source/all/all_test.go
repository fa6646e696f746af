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

// variables are those that hold the sources' own credentials, by scheme.
var variables = map[string]string{
	"docker-credential": "DOCKER_AUTH_CONFIG",
	"age":               "SOPS_AGE_KEY",
	"sops": "SOPS_AGE_KEY VAULT_TOKEN AZURE_CLIENT_SECRET GOOGLE_CREDENTIALS GOOGLE_OAUTH_ACCESS_TOKEN " +
		"AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_CONTAINER_AUTHORIZATION_TOKEN",
	"github-oidc": "ACTIONS_ID_TOKEN_REQUEST_TOKEN",

	"vault": vaultVariables, "vault-token": vaultVariables, "vault-lease": vaultVariables,
	"openbao": baoVariables, "openbao-token": baoVariables, "openbao-lease": baoVariables,
	"aws-secretsmanager": awsVariables, "aws-ssm": awsVariables, "aws-sts": awsVariables, "codeartifact": awsVariables, "ecr": awsVariables,
	"gcp-secretmanager": "CLOUDSDK_AUTH_ACCESS_TOKEN", "gcp-impersonate": "CLOUDSDK_AUTH_ACCESS_TOKEN",
	"azure-keyvault": azureVariables, "azure-acr": azureVariables,
}

const (
	vaultVariables = "VAULT_TOKEN VAULT_SECRET_ID VAULT_ID_TOKEN"
	baoVariables   = "BAO_TOKEN BAO_SECRET_ID BAO_ID_TOKEN " + vaultVariables
	awsVariables   = "AWS_ACCESS_KEY_ID AWS_ACCESS_KEY AWS_SECRET_ACCESS_KEY AWS_SECRET_KEY AWS_SESSION_TOKEN AWS_CONTAINER_AUTHORIZATION_TOKEN"
	azureVariables = "AZURE_CLIENT_SECRET IDENTITY_HEADER"
)

func TestVariables(t *testing.T) {
	resolver := all.Resolver(all.Options{})
	for _, scheme := range resolver.Schemes() {
		got := resolver.Variables(secret.Ref{Scheme: scheme})
		got = slices.DeleteFunc(got, func(name string) bool { return name == "" }) // that a reference would name
		if text := strings.Join(got, " "); text != variables[scheme] {
			t.Errorf("%s: takes its own credential from %q, want %q", scheme, text, variables[scheme])
		}
	}
	for text, want := range map[string]string{
		"env:A": "A", "gitlab-oidc:B": "B", "gitea:https://git.corp.example?token=env:T&user=ci": "T",
		"vault:kv/ci?auth=jwt&jwt=gitlab-oidc:B#pip": vaultVariables + " B",
	} {
		ref, err := secret.ParseRef(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(resolver.Variables(ref), " "); got != want {
			t.Errorf("%s: takes values from %q, want %q", text, got, want)
		}
	}
}

// TestVariablesInCode looks into the sources of the sources for variables that look like credentials, and that none of them tells about.
func TestVariablesInCode(t *testing.T) {
	var told []string
	for _, list := range variables {
		told = append(told, strings.Fields(list)...)
	}
	paths, err := filepath.Glob("../*/*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`"([A-Z][A-Z0-9_]*)"`).FindAllSubmatch(text, -1) {
			name := string(m[1])
			if !regexp.MustCompile(`(TOKEN|SECRET|SECRET_ID|PASSWORD|PASSPHRASE|CREDENTIALS|HEADER|AUTH_CONFIG|KEY|KEY_ID)$`).MatchString(name) || slices.Contains(filesNamed, name) {
				continue
			}
			found++
			if !slices.ContainsFunc(told, func(told string) bool { return told == name || strings.HasSuffix(told, "_"+name) }) { // prefixes vary
				t.Errorf("%s: no source tells that it reads %s", path, name)
			}
		}
	}
	if found < 10 {
		t.Errorf("found %d variables only", found)
	}
}

// filesNamed are variables that hold paths.
var filesNamed = []string{"GOOGLE_APPLICATION_CREDENTIALS"}

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

// TestDocsFrom reads the references that stand in the documentation's YAML and commands, and in help: minters understand theirs.
func TestDocsFrom(t *testing.T) {
	files, err := filepath.Glob("../../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	help, err := filepath.Glob("../../../internal/cli/*.go")
	if err != nil {
		t.Fatal(err)
	}
	resolver, minted := all.Resolver(all.Options{}), 0
	for _, name := range slices.Concat(files, help, []string{"../../../README.md"}) {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`from: "([^"]+)"|mint '([a-z-]+:[^']+)'`).FindAllSubmatch(text, -1) {
			ref, err := secret.ParseRef(string(m[1]) + string(m[2]))
			if err == nil {
				err = resolver.Check(ref)
			}
			if minter, ok := resolver.Minter(ref.Scheme); ok && err == nil {
				minted++
				err = minter.Check(ref)
			}
			if err != nil {
				t.Errorf("%s: %s: %v", filepath.Base(name), ref, err)
			}
		}
	}
	if minted < 20 {
		t.Errorf("found %d references to minters only", minted)
	}
}

// TestDocsTimes has the documentation know how long the end of a build waits.
func TestDocsTimes(t *testing.T) {
	text, err := os.ReadFile("../../../docs/sources.md")
	if err != nil {
		t.Fatal(err)
	}
	code, err := os.ReadFile("../../ending.go")
	if err != nil {
		t.Fatal(err)
	}
	for name, phrase := range map[string]string{"askTime": "asked for %s seconds at most", "endTime": "all issuers together get %s."} {
		found := regexp.MustCompile(name + ` += (\d+) \* time\.Second`).FindSubmatch(code)
		if found == nil || !strings.Contains(string(text), fmt.Sprintf(phrase, found[1])) {
			t.Errorf("docs/sources.md and %s do not agree", name)
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
