package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/fake"
	"github.com/tightlip/tightlip/secret/secrettest"
	"github.com/tightlip/tightlip/secret/source/env"
	"github.com/tightlip/tightlip/secret/source/file"
	"github.com/tightlip/tightlip/secret/source/identity"
	"github.com/tightlip/tightlip/secret/source/store"
	"github.com/tightlip/tightlip/secret/source/web"
)

// world is a store with somebody who may read it.
type world struct {
	*fake.Fake
	scheme string
	put    func(value []byte) string               // the rest of the reference
	named  func(field string, value []byte) string // the same, but value has a name in the store
	only   string                                  // why it holds nothing but text; empty: it does
	fixed  func(value []byte)                      // puts a value where the example looks
	call   string                                  // a part of the path of the call that reads
	login  string                                  // of the one that gets a token; empty: there is none
	grant  string                                  // what an error says that is missing
	http   *http.Client
}

// numbered makes names that are all different.
func numbered() func() string {
	n := 0
	return func() string { n++; return fmt.Sprintf("s%d", n) }
}

func doc(field string, value []byte) []byte {
	text, err := json.Marshal(map[string]string{field: string(value), "other": "x"})
	if err != nil {
		panic(err)
	}
	return text
}

// alone keeps the test from finding credentials of who runs it.
func alone(t testing.TB) {
	t.Helper()
	home := t.TempDir()
	t.Setenv("HOME", home)
	for _, name := range os.Environ() {
		name, _, _ = strings.Cut(name, "=")
		for _, prefix := range []string{"VAULT_", "BAO_", "AWS_", "GOOGLE_", "CLOUDSDK_", "AZURE_", "IDENTITY_", "KUBE", "ACTIONS_"} {
			if strings.HasPrefix(name, prefix) {
				t.Setenv(name, "")
			}
		}
	}
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(home, "none"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(home, "none"))
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
}

// save makes a file and returns its path.
func save(t *testing.T, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func vaultWorld(t *testing.T, scheme, prefix string) (world, *fake.Vault) {
	t.Helper()
	alone(t)
	v := fake.NewVault(t)
	t.Setenv(prefix+"ADDR", v.URL)
	t.Setenv(prefix+"CACERT", save(t, v.CA()))
	t.Setenv(prefix+"TOKEN", v.Root)
	name := numbered()
	named := func(field string, value []byte) string {
		path := "kv/" + name()
		v.Put(path, map[string]any{field: string(value), "other": "x"})
		return path
	}
	return world{
		Fake: v.Fake, scheme: scheme, call: "/v1/kv/", grant: "the capability read on kv/", only: "it is JSON",
		put:   func(value []byte) string { return named("value", value) + "#value" },
		named: named,
		fixed: func(value []byte) { v.Put("kv/ci", map[string]any{"pip": string(value)}) },
	}, v
}

func awsWorld(t *testing.T, scheme, service string) (world, *fake.AWS) {
	t.Helper()
	alone(t)
	a := fake.NewAWS(t)
	t.Setenv("AWS_ACCESS_KEY_ID", a.AccessKey)
	t.Setenv("AWS_SECRET_ACCESS_KEY", a.SecretKey)
	t.Setenv("AWS_REGION", "eu-west-1")
	stage, name := "", numbered()
	if service == "secretsmanager" {
		stage = "AWSCURRENT"
	}
	put := func(value []byte) string {
		path := "/" + name()
		a.Put(service, path, stage, value)
		return path
	}
	return world{
		Fake: a.Fake, scheme: scheme, http: a.HTTP(), put: put, call: "/",
		named: func(field string, value []byte) string { return put(doc(field, value)) },
	}, a
}

func googleWorld(t *testing.T) (world, *fake.Google) {
	t.Helper()
	alone(t)
	g := fake.NewGoogle(t)
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", save(t, g.Key(t)))
	name := numbered()
	put := func(value []byte) string {
		path := "projects/shop/secrets/" + name()
		g.Put(path+"/versions/latest", value)
		return path
	}
	return world{
		Fake: g.Fake, scheme: "gcp-secretmanager", http: g.HTTP(), put: put, call: ":access", login: "/token",
		grant: "secretmanager.versions.access on projects/shop/secrets/s",
		named: func(field string, value []byte) string { return put(doc(field, value)) },
		fixed: func(value []byte) { g.Put("projects/shop/secrets/pip/versions/latest", value) },
	}, g
}

func azureWorld(t *testing.T) (world, *fake.Azure) {
	t.Helper()
	alone(t)
	a := fake.NewAzure(t)
	t.Setenv("AZURE_TENANT_ID", a.Tenant)
	t.Setenv("AZURE_CLIENT_ID", a.Client)
	t.Setenv("AZURE_CLIENT_SECRET", a.Secret)
	name := numbered()
	put := func(value []byte) string {
		path := name()
		a.Put("shop-ci.vault.azure.net/secrets/"+path, string(value))
		return "shop-ci/" + path
	}
	return world{
		Fake: a.Fake, scheme: "azure-keyvault", http: a.HTTP(), put: put, call: "/secrets/", login: "/oauth2/", grant: "secrets/get on the vault shop-ci",
		only:  "it is JSON",
		named: func(field string, value []byte) string { return put(doc(field, value)) },
		fixed: func(value []byte) { a.Put("shop-ci.vault.azure.net/secrets/pip", string(value)) },
	}, a
}

func kubernetesWorld(t *testing.T) (world, *fake.Kubernetes) {
	t.Helper()
	alone(t)
	k := fake.NewKubernetes(t)
	t.Setenv("KUBECONFIG", save(t, fmt.Appendf(nil, `
current-context: ci
contexts: [{name: ci, context: {cluster: c, user: u}}]
clusters: [{name: c, cluster: {server: %q, certificate-authority: %s}}]
users: [{name: u, user: {token: %s}}]
`, k.URL, save(t, k.CA()), k.User)))
	name := numbered()
	named := func(field string, value []byte) string {
		path := "ci/" + name()
		k.Put(path, map[string][]byte{field: value, "other": nil})
		return path
	}
	return world{
		Fake: k.Fake, scheme: "k8s-secret", call: "/api/v1/", grant: "the verb get on secrets/s", named: named,
		put:   func(value []byte) string { return named("value", value) + "#value" },
		fixed: func(value []byte) { k.Put("ci/pip", map[string][]byte{"password": value}) },
	}, k
}

// worlds is the list of them. TestWorlds compares it with the list of the stores.
func worlds() map[string]func(*testing.T) world {
	return map[string]func(*testing.T) world{
		"vault":   func(t *testing.T) world { w, _ := vaultWorld(t, "vault", "VAULT_"); return w },
		"openbao": func(t *testing.T) world { w, _ := vaultWorld(t, "openbao", "BAO_"); return w },
		"vault with a login": func(t *testing.T) world {
			w, v := vaultWorld(t, "vault", "VAULT_")
			approle(t, v)
			put, named, with := w.put, w.named, "?auth=approle&role-id=ci&secret-id=env:FOR_APPROLE"
			w.login = "/v1/auth/approle/login"
			w.put = func(value []byte) string { return strings.Replace(put(value), "#", with+"#", 1) }
			w.named = func(field string, value []byte) string { return named(field, value) + with }
			return w
		},
		"aws-secretsmanager": func(t *testing.T) world {
			w, a := awsWorld(t, "aws-secretsmanager", "secretsmanager")
			w.grant = "secretsmanager:GetSecretValue on /s"
			w.fixed = func(value []byte) { a.Put("secretsmanager", "ci/pip", "AWSCURRENT", doc("password", value)) }
			return w
		},
		"aws-ssm": func(t *testing.T) world {
			w, a := awsWorld(t, "aws-ssm", "ssm")
			w.grant, w.only = "ssm:GetParameter on /s", "it is JSON"
			w.fixed = func(value []byte) { a.Put("ssm", "/ci/pip", "", value) }
			return w
		},
		"gcp-secretmanager": func(t *testing.T) world { w, _ := googleWorld(t); return w },
		"azure-keyvault":    func(t *testing.T) world { w, _ := azureWorld(t); return w },
		"k8s-secret":        func(t *testing.T) world { w, _ := kubernetesWorld(t); return w },
	}
}

// local resolves what stands in references.
func local() *secret.Resolver {
	return secret.NewResolver(append(identity.Sources(), file.Source{}, env.Source{})...)
}

func (w world) source(t *testing.T) secret.Source {
	t.Helper()
	for _, s := range store.Sources(store.Options{Resolve: local().Resolve, HTTP: w.http}) {
		if s.Scheme() == w.scheme {
			return s
		}
	}
	t.Fatalf("there is no store %s", w.scheme)
	return nil
}

func (w world) ref(rest string) secret.Ref { return secret.Ref{Scheme: w.scheme, Rest: rest} }

func TestWorlds(t *testing.T) {
	for _, s := range store.Sources(store.Options{}) {
		if worlds()[s.Scheme()] == nil {
			t.Errorf("%s is not tested", s.Scheme())
		}
	}
}

func TestContract(t *testing.T) {
	for scheme, open := range worlds() {
		t.Run(scheme, func(t *testing.T) {
			secrettest.Contract(t, func(t *testing.T) secrettest.Fixture { return fixture(t, open(t)) })
		})
	}
}

func fixture(t *testing.T, w world) secrettest.Fixture {
	t.Helper()
	missing := w.put([]byte("x"))
	missing = strings.Replace(missing, "s1", "s999", 1)
	return secrettest.Fixture{
		Source:  w.source(t),
		Put:     func(_ *testing.T, value []byte) secret.Ref { return w.ref(w.put(value)) },
		Missing: w.ref(missing),
		Unfit: func(value []byte) string {
			if w.only != "" && !utf8.Valid(value) {
				return w.only
			}
			return ""
		},
		Blocked: func(*testing.T) secret.Ref {
			w.Fail(fake.Fault{Path: w.call, Slow: true})
			return w.ref(w.put([]byte("x")))
		},
		Broken: func(_ *testing.T, value []byte) []secret.Ref {
			return []secret.Ref{w.ref(w.named("name", value) + "#none"), w.ref(w.named("name", value) + "#name.below")}
		},
	}
}

// TestFailures runs every fault of the fakes on every store: in the call that reads, and in the one that logs in.
func TestFailures(t *testing.T) {
	for name, open := range worlds() {
		t.Run(name, func(t *testing.T) {
			calls := map[string]string{"reading": open(t).call, "logging in": open(t).login}
			for doing, path := range calls {
				for name, fault := range fake.Faults() {
					if fault.Path = path; path != "" {
						t.Run(doing+"/"+name, func(t *testing.T) { checkFault(t, open(t), fault, doing == "reading") })
					}
				}
			}
		})
	}
}

func checkFault(t *testing.T, w world, fault fake.Fault, reads bool) {
	t.Helper()
	value := secrettest.Canary(t)
	ref := w.ref(w.named("name", value) + "#name")
	w.Fail(fault)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if fault.Slow {
		ctx, cancel = context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
	}
	lease, err := w.source(t).Resolve(ctx, ref)
	if fault.Times == 1 {
		if err != nil || string(lease.Value.Open()) != string(value) {
			t.Fatalf("a fault that passes is not survived: %v", err)
		}
		return
	}
	if err == nil {
		t.Fatal("there is no error")
	}
	text := checkError(t, w, err, value)
	switch {
	case errors.Is(err, secret.ErrNotFound) != (reads && fault.Status == http.StatusNotFound):
		t.Errorf("%v is taken for a missing value, or a missing value is not", err)
	case fault.Slow && !errors.Is(err, context.DeadlineExceeded):
		t.Errorf("got %v, want the context's error", err)
	case reads && fault.Malformed && !errors.Is(err, web.ErrMalformed):
		t.Errorf("got %v", err)
	case reads && (fault.Status == 401 || fault.Status == 403) && !(strings.Contains(text, w.grant) && strings.Contains(text, "grant it to who you are")):
		t.Errorf("%q does not say what to grant", text)
	case fault.Status == 429 && !strings.Contains(text, "429"), fault.Status == 500 && !strings.Contains(text, "500"):
		t.Errorf("%q does not say what was answered", text)
	}
}

// checkError looks for values in what is shown, and returns it.
func checkError(t *testing.T, w world, err error, values ...[]byte) string {
	t.Helper()
	text := err.Error()
	if re, ok := errors.AsType[*secret.ResolveError](err); ok {
		text += " | " + re.Hint()
	}
	for _, value := range append(values, []byte(w.Bait)) {
		if form := secrettest.Leak(text, value); form != "" {
			t.Errorf("the error shows what was answered: %s", form)
		}
	}
	for _, token := range w.Tokens() {
		if strings.Contains(text, token.Value) {
			t.Errorf("the error shows the token %s", token.Name)
		}
	}
	if !secret.Printable(text) {
		t.Errorf("%q is not printable", text)
	}
	return text
}

// TestRevokedMidway revokes the token between getting and using it. AWS has none: a request is signed.
func TestRevokedMidway(t *testing.T) {
	for name, open := range worlds() {
		if strings.HasPrefix(name, "aws-") {
			continue
		}
		t.Run(name, func(t *testing.T) {
			w := open(t)
			ref := w.ref(w.put([]byte("x")))
			w.Fail(fake.Fault{Path: w.call, Times: 1, Revoke: true})
			_, err := w.source(t).Resolve(t.Context(), ref)
			if status := web.StatusOf(err); status != http.StatusUnauthorized && status != http.StatusForbidden {
				t.Fatalf("got %v", err)
			}
			checkError(t, w, err)
		})
	}
}

// TestSkew has the store's clock an hour ahead of ours.
func TestSkew(t *testing.T) {
	for scheme, open := range worlds() {
		t.Run(scheme, func(t *testing.T) {
			w := open(t)
			ref := w.ref(w.put([]byte("x")))
			w.Skew(time.Hour)
			_, err := w.source(t).Resolve(t.Context(), ref)
			signed := strings.HasPrefix(scheme, "aws-") || scheme == "gcp-secretmanager"
			if (err != nil) != signed {
				t.Errorf("got %v", err)
			}
			if signed && !strings.Contains(checkError(t, w, err), "401") {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestExamples resolves what each store gives as an example.
func TestExamples(t *testing.T) {
	for scheme, open := range worlds() {
		t.Run(scheme, func(t *testing.T) {
			w, value := open(t), secrettest.Canary(t)
			w.fixed(value)
			source := w.source(t)
			about := source.(secret.Described).About()
			ref, err := secret.ParseRef(about.Example)
			if err != nil || about.What == "" || !strings.HasPrefix(about.Form, w.scheme+":") {
				t.Fatalf("got %+v, %v", about, err)
			}
			lease, err := source.Resolve(t.Context(), ref)
			if err != nil || string(lease.Value.Open()) != string(value) {
				t.Errorf("%s: %v", about.Example, err)
			}
		})
	}
}

// TestReferences are those that cannot be understood. None reaches the network.
func TestReferences(t *testing.T) {
	for scheme, open := range worlds() {
		w := open(t)
		for _, rest := range map[string][]string{
			"vault":              {"kv/ci?colour=red", "kv/ci?auth=magic", "kv/ci?auth=jwt&jwt=x", "kv/ci#", "#pip", "?version=1"},
			"openbao":            {"kv/ci?auth=magic"},
			"aws-secretsmanager": {"ci?region=corp.example/"},
			"aws-ssm":            {"/ci?region=EU"},
			"gcp-secretmanager":  {"pip", "projects/shop/secrets/pip/versions/1/2", "projects/shop/locations/corp.example%2F/secrets/pip"},
			"azure-keyvault":     {"shop-ci", "corp.example/pip", "shop-ci.vault.azure.net.corp.example/pip", "shop-ci/pip%3Fx"},
			"k8s-secret":         {"pip", "a/b/c", "/pip"},
		}[scheme] {
			_, err := w.source(t).Resolve(t.Context(), w.ref(rest))
			_, syntax := errors.AsType[*secret.SyntaxError](err)
			_, resolve := errors.AsType[*secret.ResolveError](err)
			if !syntax && !resolve || errors.Is(err, secret.ErrNotFound) {
				t.Errorf("%s:%s: got %v", scheme, rest, err)
			}
			if log := w.Log(); len(log) > 0 {
				t.Errorf("%s:%s: got as far as %q", scheme, rest, log)
			}
		}
	}
}
