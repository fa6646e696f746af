package store_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/tightlip/tightlip/internal/enginetest"
	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/fake"
	"github.com/tightlip/tightlip/secret/secrettest"
)

// realVault has what vaultWorld has, and roles for the logins.
func realVault(t *testing.T) (*enginetest.Vault, world) {
	t.Helper()
	alone(t)
	v := enginetest.StartVault(t, string(secrettest.Canary(t)))
	t.Setenv("VAULT_ADDR", v.URL)
	t.Setenv("VAULT_TOKEN", v.Token)
	v.Write(t, "sys/mounts/kv", map[string]any{"type": "kv", "options": map[string]string{"version": "2"}}, nil)
	v.Write(t, "sys/mounts/old", map[string]any{"type": "kv"}, nil)
	v.Write(t, "sys/policies/acl/ci", map[string]any{"policy": `path "kv/data/ci" { capabilities = ["read"] }`}, nil)
	// A new engine of version 2 upgrades itself, and refuses until then.
	enginetest.Eventually(t, 10*time.Second, "the engine is there", func() bool { return v.Try("kv/data/ci", map[string]any{"data": map[string]any{"pip": "one"}}) })
	return v, world{scheme: "vault"}
}

func TestRealVaultPaths(t *testing.T) {
	v, w := realVault(t)
	for path, data := range map[string]map[string]any{
		"kv/data/ci":   {"data": map[string]any{"pip": "two", "port": 8080, "nested": map[string]any{"deep": "three"}}},
		"kv/data/only": {"data": map[string]any{"token": "four"}},
		"kv/data/gone": {"data": map[string]any{"token": "x"}},
		"old/ci":       {"pip": "five"},
		"old/data":     {"pip": "six"},
	} {
		v.Write(t, path, data, nil)
	}
	v.Write(t, "kv/delete/gone", map[string]any{"versions": []int{1}}, nil)
	for rest, want := range map[string]string{
		"kv/ci#pip": "two", "kv/data/ci#pip": "two", "kv/ci?version=1#pip": "one", "kv/ci#port": "8080", "kv/ci#nested.deep": "three",
		"kv/only": "four", "old/ci#pip": "five", "old/ci": "five", "old/data": "six",
	} {
		lease, err := w.source(t).Resolve(t.Context(), w.ref(rest))
		if err != nil || string(lease.Value.Open()) != want || lease.Revoke != nil || !lease.Expires.IsZero() {
			t.Errorf("%s: got %+v, %v", rest, lease, err)
		}
	}
	for _, rest := range []string{"kv/gone#token", "kv/ci?version=9#pip", "kv/none#pip", "old/none#pip", "kv/ci#none"} {
		if _, err := w.source(t).Resolve(t.Context(), w.ref(rest)); !errors.Is(err, secret.ErrNotFound) {
			t.Errorf("%s: got %v", rest, err)
		}
	}
}

// TestRealVaultLogins reads what a policy allows and no more, in all the ways to get a token.
func TestRealVaultLogins(t *testing.T) {
	v, w := realVault(t)
	i := trusting(t, v)
	job := func(audience string) string {
		return i.Sign(map[string]any{"sub": "job", "repository": "shop/app", "aud": audience})
	}
	v.Write(t, "sys/auth/approle", map[string]any{"type": "approle"}, nil)
	v.Write(t, "auth/approle/role/ci", map[string]any{"token_policies": "ci"}, nil)
	v.Write(t, "auth/approle/role/ci/role-id", map[string]any{"role_id": "ci"}, nil)
	var id struct {
		Data struct {
			Secret string `json:"secret_id"`
		}
	}
	v.Write(t, "auth/approle/role/ci/secret-id", nil, &id)
	for rest, set := range map[string]map[string]string{
		"": {"VAULT_TOKEN": v.Token},
		"?auth=approle&role-id=ci&secret-id=env:ID":                          {"ID": id.Data.Secret},
		"?auth=approle&role-id=ci&secret-id=env:ID&unwrap=secret-id":         {"ID": v.Wrap(t, "auth/approle/role/ci/secret-id", nil)},
		"?auth=jwt&role=ci&jwt=github-oidc:https%3A%2F%2Fvault.corp.example": {},
		"?auth=jwt&role=ci&jwt=gitlab-oidc:VAULT_JOB":                        {"VAULT_JOB": job("https://vault.corp.example")},
		"?unwrap=token": {"VAULT_TOKEN": v.Wrap(t, "auth/token/create", map[string]any{"policies": []string{"ci"}})},
	} {
		t.Run(rest, func(t *testing.T) {
			t.Setenv("VAULT_TOKEN", "")
			for name, value := range set {
				t.Setenv(name, value)
			}
			before := v.Tokens(t)
			lease, err := w.source(t).Resolve(t.Context(), w.ref("kv/ci"+rest+"#pip"))
			if err != nil || string(lease.Value.Open()) != "one" {
				t.Fatalf("got %v", err)
			}
			if after := v.Tokens(t); after > before || lease.Revoke != nil {
				t.Errorf("the login lives on: of %d tokens there are %d", before, after)
			}
		})
	}
	t.Setenv("VAULT_TOKEN", "")
	t.Setenv("ID", "no secret ID")
	t.Setenv("VAULT_JOB", job("https://other.corp.example"))
	for rest, want := range map[string]string{
		"?auth=jwt&role=ci&jwt=gitlab-oidc:VAULT_JOB": "logging in to Vault at auth/jwt as ci: Vault answered 400",
		"?auth=approle&role-id=ci&secret-id=env:ID":   "logging in to Vault at auth/approle: Vault answered 400",
	} {
		if _, err := w.source(t).Resolve(t.Context(), w.ref("kv/ci"+rest+"#pip")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", rest, err)
		}
	}
	t.Setenv("ID", id.Data.Secret)
	_, err := w.source(t).Resolve(t.Context(), w.ref("kv/other?auth=approle&role-id=ci&secret-id=env:ID#pip"))
	if err == nil || !strings.Contains(err.Error(), "needs the capability read on kv/data/other") {
		t.Errorf("got %v", err)
	}
}

// trusting has Vault believe an issuer of a CI system, which it finds by OpenID Connect Discovery.
func trusting(t *testing.T, v *enginetest.Vault) *fake.Issuer {
	t.Helper()
	i := fake.NewIssuer(t)
	t.Setenv("ACTIONS_ID_TOKEN_REQUEST_URL", i.RequestURL)
	t.Setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", i.RequestToken)
	v.Write(t, "sys/auth/jwt", map[string]any{"type": "jwt"}, nil)
	v.Write(t, "auth/jwt/config", map[string]any{"oidc_discovery_url": i.URL, "bound_issuer": i.URL}, nil)
	v.Write(t, "auth/jwt/role/ci", map[string]any{
		"role_type": "jwt", "user_claim": "sub", "bound_audiences": []string{"https://vault.corp.example"},
		"bound_claims": map[string]string{"repository": "shop/app"}, "token_policies": "ci",
	}, nil)
	return i
}
