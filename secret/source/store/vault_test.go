package store_test

import (
	"crypto/rand"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/fake"
	"github.com/tightlip/tightlip/secret/secrettest"
)

// approle has the role ci, whose secret ID is in FOR_APPROLE.
func approle(t *testing.T, v *fake.Vault) {
	t.Helper()
	id := rand.Text()
	t.Setenv("FOR_APPROLE", id)
	v.Logins["approle"] = func(body map[string]string) bool { return body["role_id"] == "ci" && body["secret_id"] == id }
}

func TestVaultPaths(t *testing.T) {
	for name, hidden := range map[string]bool{"with the mounts": false, "without the mounts": true} {
		t.Run(name, func(t *testing.T) {
			w, v := vaultWorld(t, "vault", "VAULT_")
			v.HideMounts = hidden
			v.Put("kv/ci", map[string]any{"pip": "one"})
			v.Put("kv/ci", map[string]any{"pip": "two", "port": 8080, "nested": map[string]any{"deep": "three"}})
			v.Put("kv/only", map[string]any{"token": "four"})
			v.Put("kv/deleted", map[string]any{"token": "x"})
			v.Put("kv/deleted", nil)
			v.Put("old/ci", map[string]any{"pip": "five"})
			v.Put("old/data", map[string]any{"pip": "six"})
			v.Put("kv/sp ace/ü", map[string]any{"pip": "seven"})
			for rest, want := range map[string]string{
				"kv/ci#pip": "two", "kv/data/ci#pip": "two", "kv/ci?version=1#pip": "one", "kv/data/ci?version=1#pip": "one", "kv/ci#port": "8080",
				"kv/ci#nested.deep": "three", "kv/only": "four", "old/ci#pip": "five", "old/ci": "five", "/old/ci/": "five", "old/data": "six", "kv/sp%20ace/%C3%BC": "seven",
			} {
				lease, err := w.source(t).Resolve(t.Context(), w.ref(rest))
				if err != nil || string(lease.Value.Open()) != want || lease.Revoke != nil || !lease.Expires.IsZero() {
					t.Errorf("%s: got %+v, %v", rest, lease, err)
				}
			}
			for _, rest := range []string{"kv/deleted#token", "kv/ci?version=9#pip", "kv/none#pip", "old/none#pip", "none/x#pip", "kv/ci#none"} {
				if _, err := w.source(t).Resolve(t.Context(), w.ref(rest)); !errors.Is(err, secret.ErrNotFound) {
					t.Errorf("%s: got %v", rest, err)
				}
			}
			_, err := w.source(t).Resolve(t.Context(), w.ref("kv/ci"))
			if text := checkError(t, w, err); !strings.Contains(text, "its fields are nested, pip, port: write one behind a #") {
				t.Errorf("got %s", text)
			}
		})
	}
}

// TestVaultGrants says both paths that the policy may have to name.
func TestVaultGrants(t *testing.T) {
	w, v := vaultWorld(t, "vault", "VAULT_")
	v.HideMounts = true
	v.Fail(fake.Fault{Path: "/v1/kv/", Status: 403})
	_, err := w.source(t).Resolve(t.Context(), w.ref("kv/ci#pip"))
	if err == nil || !strings.Contains(err.Error(), "needs the capability read on kv/ci, or on kv/data/ci") {
		t.Errorf("got %v", err)
	}
}

func TestVaultLogins(t *testing.T) {
	value := secrettest.Canary(t)
	for _, test := range []struct {
		name, rest string
		set        map[string]string
		mount      string
		want       map[string]string
	}{
		{"approle", "?auth=approle&role-id=ci&secret-id=env:ID", nil, "approle", map[string]string{"role_id": "ci", "secret_id": "s"}},
		{"approle in the environment", "?auth=approle", map[string]string{"VAULT_ROLE_ID": "ci", "VAULT_SECRET_ID": "s"}, "approle", map[string]string{"role_id": "ci", "secret_id": "s"}},
		{"jwt", "?auth=jwt&role=ci&jwt=env:ID&path=gitlab", nil, "gitlab", map[string]string{"role": "ci", "jwt": "s"}},
		{"jwt with the mount's role", "?auth=jwt&jwt=env:ID", nil, "jwt", map[string]string{"jwt": "s"}},
		{"kubernetes", "?auth=kubernetes&role=ci&jwt=env:ID", nil, "kubernetes", map[string]string{"role": "ci", "jwt": "s"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			w, v := vaultWorld(t, "vault", "VAULT_")
			t.Setenv("VAULT_TOKEN", "")
			t.Setenv("ID", "s\n")
			for name, value := range test.set {
				t.Setenv(name, value)
			}
			v.Put("kv/ci", map[string]any{"pip": string(value)})
			v.Logins[test.mount] = func(body map[string]string) bool {
				if len(body) != len(test.want) {
					return false
				}
				for name, value := range test.want {
					if body[name] != value {
						return false
					}
				}
				return true
			}
			lease, err := w.source(t).Resolve(t.Context(), w.ref("kv/ci"+test.rest))
			if err != nil || string(lease.Value.Open()) != string(value) {
				t.Fatal(err)
			}
			if living := v.Living(); len(living) != 1 || living[0].Name != "root" || lease.Revoke != nil {
				t.Errorf("the token of the login lives on: %v", living)
			}
			if log := v.Log(); !slices.Contains(log, "POST /v1/auth/"+test.mount+"/login 200") {
				t.Errorf("got %q", log)
			}
		})
	}
}

func TestVaultLoginErrors(t *testing.T) {
	for rest, want := range map[string]string{
		"?auth=approle&role-id=no&secret-id=env:FOR_APPROLE":   "logging in to Vault at auth/approle: Vault answered 400 Bad Request | look at what the role asks for: vault read auth/approle/role/ROLE",
		"?auth=approle&secret-id=env:FOR_APPROLE":              "auth=approle of vault: needs role-id= | add role-id=NAME, percent-encoded, or export VAULT_ROLE_ID=…",
		"?auth=approle&role-id=ci&secret-id=env:NOT_SET":       "logging in to Vault with secret-id=: environment variable NOT_SET is not set | export NOT_SET=…",
		"?auth=jwt&role=ci&jwt=env:FOR_APPROLE&path=elsewhere": "logging in to Vault at auth/elsewhere as ci: Vault answered 404 Not Found | look at what the role asks for: vault read auth/elsewhere/role/ROLE",
		"?auth=jwt&role=ci": "auth=jwt of vault: needs jwt= | add jwt=REFERENCE, such as env:NAME or github-oidc:AUDIENCE, percent-encoded, or export VAULT_ID_TOKEN=…",
	} {
		w, v := vaultWorld(t, "vault", "VAULT_")
		approle(t, v)
		_, err := w.source(t).Resolve(t.Context(), w.ref("kv/ci"+rest))
		if err == nil || errors.Is(err, secret.ErrNotFound) {
			t.Errorf("%s: got %v", rest, err)
			continue
		}
		if text := checkError(t, w, err, []byte(os.Getenv("FOR_APPROLE"))); text != want {
			t.Errorf("%s:\n got %s\nwant %s", rest, text, want)
		}
	}
}

func TestVaultTokens(t *testing.T) {
	for name, change := range map[string]struct {
		with func(t *testing.T, v *fake.Vault)
		rest string
		want string // of the error
	}{
		"in a file": {with: func(t *testing.T, v *fake.Vault) {
			t.Setenv("VAULT_TOKEN", "")
			if err := os.WriteFile(filepath.Join(os.Getenv("HOME"), ".vault-token"), []byte(v.Root+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}},
		"nowhere":          {with: func(t *testing.T, _ *fake.Vault) { t.Setenv("VAULT_TOKEN", "") }, want: "there is no token for Vault"},
		"no address":       {with: func(t *testing.T, _ *fake.Vault) { t.Setenv("VAULT_ADDR", "") }, want: "the address of Vault is not set"},
		"plain http":       {with: func(t *testing.T, _ *fake.Vault) { t.Setenv("VAULT_ADDR", "http://vault.corp.example") }, want: "is not encrypted"},
		"no authorities":   {with: func(t *testing.T, _ *fake.Vault) { t.Setenv("VAULT_CACERT", "/none") }, want: "the authorities of Vault"},
		"namespace":        {with: func(t *testing.T, v *fake.Vault) { v.Namespace = "team"; t.Setenv("VAULT_NAMESPACE", "team") }},
		"namespace= wins":  {with: func(t *testing.T, v *fake.Vault) { v.Namespace = "team"; t.Setenv("VAULT_NAMESPACE", "x") }, rest: "?namespace=team"},
		"wrong namespace":  {with: func(t *testing.T, v *fake.Vault) { v.Namespace = "team" }, want: "403"},
		"wrapped token":    {with: func(t *testing.T, v *fake.Vault) { wrapToken(t, v) }, rest: "?unwrap=token"},
		"unwrapped before": {with: func(t *testing.T, v *fake.Vault) { wrapToken(t, v); t.Setenv("VAULT_TOKEN", v.Root) }, rest: "?unwrap=token", want: "each can be unwrapped once"},
		"wrapped secret ID": {with: func(t *testing.T, v *fake.Vault) {
			approle(t, v)
			t.Setenv("FOR_APPROLE", v.Wrap(map[string]any{"data": map[string]string{"secret_id": os.Getenv("FOR_APPROLE")}}))
		}, rest: "?auth=approle&role-id=ci&secret-id=env:FOR_APPROLE&unwrap=secret-id"},
	} {
		t.Run(name, func(t *testing.T) {
			w, v := vaultWorld(t, "vault", "VAULT_")
			v.Put("kv/ci", map[string]any{"pip": "one"})
			change.with(t, v)
			lease, err := w.source(t).Resolve(t.Context(), w.ref("kv/ci"+change.rest))
			if err == nil != (change.want == "") || err == nil && string(lease.Value.Open()) != "one" {
				t.Fatalf("got %v, want %s", err, change.want)
			}
			if err != nil && !strings.Contains(checkError(t, w, err), change.want) {
				t.Errorf("got %v, want %s", err, change.want)
			}
		})
	}
}

func wrapToken(t *testing.T, v *fake.Vault) {
	t.Helper()
	inner := v.Issue("hvs.", time.Hour, fake.Token{Name: "wrapped"})
	t.Setenv("VAULT_TOKEN", v.Wrap(map[string]any{"auth": v.Auth(inner)}))
}

// TestVaultLeases reads what another engine makes: it ends at the end, with the token of the login or by itself.
func TestVaultLeases(t *testing.T) {
	for name, rest := range map[string]string{"with a token": "", "with a login": "?auth=approle&role-id=ci&secret-id=env:FOR_APPROLE"} {
		t.Run(name, func(t *testing.T) {
			w, v := vaultWorld(t, "vault", "VAULT_")
			approle(t, v)
			v.Mounts["database"] = ""
			lease, err := w.source(t).Resolve(t.Context(), w.ref("database/creds/ci"+rest+"#password"))
			if err != nil {
				t.Fatal(err)
			}
			password := string(lease.Value.Open())
			if !v.Alive(password) || time.Until(lease.Expires) < 50*time.Minute || lease.Revoke == nil {
				t.Errorf("got %+v", lease)
			}
			if err := lease.Revoke(t.Context()); err != nil || v.Alive(password) || len(v.Living()) != 1 {
				t.Errorf("still alive: %v, %v", v.Living(), err)
			}
			if _, err := w.source(t).Resolve(t.Context(), w.ref("database/creds/ci"+rest+"#none")); err == nil || len(v.Living()) != 1 {
				t.Errorf("what nobody gets is not revoked: %v, %v", v.Living(), err)
			}
			v.Fail(fake.Fault{Path: "revoke", Status: 400})
			_, err = w.source(t).Resolve(t.Context(), w.ref("database/creds/ci"+rest))
			if text := checkError(t, w, err); !strings.Contains(text, "there are several fields") || !strings.Contains(text, "could not be revoked: Vault answered 400") {
				t.Errorf("got %s", text)
			}
		})
	}
}

func TestVaultBatchTokens(t *testing.T) {
	w, v := vaultWorld(t, "vault", "VAULT_")
	approle(t, v)
	v.TokenType = "batch"
	v.Put("kv/ci", map[string]any{"pip": "one"})
	lease, err := w.source(t).Resolve(t.Context(), w.ref("kv/ci?auth=approle&role-id=ci&secret-id=env:FOR_APPROLE"))
	if err != nil || lease.Revoke != nil || slices.Contains(v.Log(), "POST /v1/auth/token/revoke-self 400") {
		t.Errorf("got %+v, %v, %q", lease, err, v.Log())
	}
}

// TestVaultLogoutLater revokes at the end what could not be revoked at once, also for want of a grant.
func TestVaultLogoutLater(t *testing.T) {
	for _, status := range []int{http.StatusInternalServerError, http.StatusForbidden} {
		w, v := vaultWorld(t, "vault", "VAULT_")
		approle(t, v)
		v.Put("kv/ci", map[string]any{"pip": "one"})
		v.Fail(fake.Fault{Path: "revoke-self", Status: status, RetryAfter: "3600", Times: 1})
		lease, err := w.source(t).Resolve(t.Context(), w.ref("kv/ci?auth=approle&role-id=ci&secret-id=env:FOR_APPROLE"))
		if err != nil || lease.Revoke == nil || len(v.Living()) != 2 {
			t.Fatalf("%d: got %+v, %v", status, lease, err)
		}
		if err := lease.Revoke(t.Context()); err != nil || len(v.Living()) != 1 {
			t.Errorf("%d: the token lives on: %v", status, err)
		}
	}
}

// TestOpenBaoVariables has Vault's where OpenBao's own are not set.
func TestOpenBaoVariables(t *testing.T) {
	w, v := vaultWorld(t, "openbao", "VAULT_")
	v.Put("kv/ci", map[string]any{"pip": "one"})
	if _, err := w.source(t).Resolve(t.Context(), w.ref("kv/ci")); err != nil {
		t.Error(err)
	}
	t.Setenv("BAO_TOKEN", "other")
	if _, err := w.source(t).Resolve(t.Context(), w.ref("kv/ci")); err == nil {
		t.Error("Vault's variable wins")
	}
}
