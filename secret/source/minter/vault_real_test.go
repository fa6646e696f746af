package minter_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tightlip/tightlip/internal/enginetest"
	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/secrettest"
)

// realVault is a Vault that the environment names, with a role of AppRole whose secret ID is in ID, and a role for tokens.
func realVault(t *testing.T) (*enginetest.Vault, parents) {
	t.Helper()
	root := secrettest.Canary(t)
	v := enginetest.StartVault(t, string(root))
	t.Setenv("HOME", t.TempDir())
	t.Setenv("VAULT_ADDR", v.URL)
	t.Setenv("VAULT_TOKEN", v.Token)
	v.Write(t, "sys/policies/acl/mint", map[string]any{"policy": `
path "auth/token/*" { capabilities = ["create", "update"] }
path "sys/leases/*" { capabilities = ["create", "update"] }
path "database/creds/ci" { capabilities = ["read"] }`}, nil)
	v.Write(t, "auth/token/roles/ci", map[string]any{"allowed_policies": "default"}, nil)
	v.Write(t, "sys/auth/approle", map[string]any{"type": "approle"}, nil)
	v.Write(t, "auth/approle/role/ci", map[string]any{"token_policies": "mint,default", "token_ttl": "30m"}, nil)
	var role, id struct {
		Data struct {
			Role   string `json:"role_id"`
			Secret string `json:"secret_id"`
		}
	}
	v.Write(t, "auth/approle/role/ci/role-id", map[string]any{"role_id": "ci"}, &role)
	v.Write(t, "auth/approle/role/ci/secret-id", nil, &id)
	return v, parents{"ID": []byte(id.Data.Secret), "NOT": secrettest.Canary(t), "ROOT": root}
}

// TestRealVaultTokens passes what the fake does. Of what it makes with a login, nothing is left, nor of the login.
func TestRealVaultTokens(t *testing.T) {
	for name, test := range map[string]struct {
		ref    string
		broken []string
	}{
		"a token":           {ref: "vault-token:?policies=default&ttl=10m", broken: []string{"vault-token:other?policies=default"}},
		"a token of a role": {ref: "vault-token:ci?ttl=10m", broken: []string{"vault-token:ci?policies=mint", "vault-token:other"}},
		"after a login": {
			ref:    "vault-token:?auth=approle&role-id=ci&secret-id=env:ID&policies=default&ttl=10m",
			broken: []string{"vault-token:?auth=approle&role-id=ci&secret-id=env:NOT", "vault-token:?auth=approle&role-id=ci&secret-id=env:ID&policies=other"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			secrettest.MinterContract(t, func(t *testing.T) secrettest.MinterFixture {
				v, p := realVault(t)
				m, r := minterOf(t, p, test.ref)
				f := secrettest.MinterFixture{
					Minter: m, Ref: r, Life: 10 * time.Minute, Parents: p.values(),
					Works: func(_ *testing.T, value secret.Value) bool { return v.Takes(string(value.Open())) },
				}
				for _, text := range test.broken {
					f.Broken = append(f.Broken, parse(t, text))
				}
				return f
			})
		})
	}
}

// TestRealVaultFewGrants mints with what may mint and nothing else: a token ends itself.
func TestRealVaultFewGrants(t *testing.T) {
	v, p := realVault(t)
	v.Write(t, "sys/policies/acl/mint", map[string]any{"policy": `
path "auth/token/create" { capabilities = ["update"] }
path "auth/token/create/*" { capabilities = ["update"] }`}, nil)
	v.Write(t, "auth/token/roles/orphan", map[string]any{"allowed_policies": "default", "orphan": true}, nil)
	var made struct {
		Auth struct {
			Token string `json:"client_token"`
		}
	}
	v.Write(t, "auth/token/create", map[string]any{"policies": []string{"mint"}}, &made)
	t.Setenv("VAULT_TOKEN", made.Auth.Token)
	const login = "auth=approle&role-id=ci&secret-id=env:ID"
	for _, ref := range []string{
		"vault-token:?policies=default&ttl=10m", "vault-token:orphan?uses=3",
		"vault-token:?policies=default&" + login, "vault-token:orphan?" + login,
	} {
		m, r := minterOf(t, p, ref)
		ending, value := endOf(t, m, r, v.Takes)
		if ending.Fate != secret.Dead || v.Takes(value) {
			t.Errorf("%s: %s", ref, ending)
		}
	}
}

// TestRealVaultLoginOnce mints with a secret ID that one can log in with once.
func TestRealVaultLoginOnce(t *testing.T) {
	v, p := realVault(t)
	v.Write(t, "auth/approle/role/ci", map[string]any{"token_policies": "mint,default", "secret_id_num_uses": 1}, nil)
	for _, ref := range []string{"vault-token:?policies=default", "vault-token:ci?uses=1"} {
		var id struct {
			Data struct {
				Secret string `json:"secret_id"`
			}
		}
		v.Write(t, "auth/approle/role/ci/secret-id", nil, &id)
		p["ID"] = []byte(id.Data.Secret)
		before := v.Tokens(t)
		m, r := minterOf(t, p, ref+"&auth=approle&role-id=ci&secret-id=env:ID")
		ending, value := endOf(t, m, r, func(string) bool { return true })
		if ending.Fate != secret.Dead || v.Takes(value) {
			t.Errorf("%s: %s", ref, ending)
		}
		if after := v.Tokens(t); after != before {
			t.Errorf("%s: %d tokens are left of the build", ref, after-before)
		}
	}
}

// TestRealVaultExpired has a token expire that its maker may not revoke, and that one too.
func TestRealVaultExpired(t *testing.T) {
	v, p := realVault(t)
	var made struct {
		Auth struct {
			Token string `json:"client_token"`
		}
	}
	v.Write(t, "auth/token/create", map[string]any{"policies": []string{"mint"}, "ttl": "12s"}, &made)
	t.Setenv("VAULT_TOKEN", made.Auth.Token)
	m, r := minterOf(t, p, "vault-token:?policies=mint&ttl=10s")
	ending, value := endOf(t, m, r, func(value string) bool { defer time.Sleep(13 * time.Second); return v.Takes(value) })
	if ending.Fate != secret.Expired || v.Takes(value) {
		t.Errorf("got %s", ending)
	}
}

// TestRealVaultRefusals has a parent that has expired, and one that may not: they are told apart.
func TestRealVaultRefusals(t *testing.T) {
	v, p := realVault(t)
	for ttl, want := range map[string]string{
		"1s": "vault-token: making a credential: Vault answered 403 Forbidden: the token has expired, was revoked, or never was one",
		"1m": "vault-token: making a credential: Vault answered 403 Forbidden: needs the capability update on auth/token/create",
	} {
		var made struct {
			Auth struct {
				Token string `json:"client_token"`
			}
		}
		v.Write(t, "auth/token/create", map[string]any{"policies": []string{"default"}, "ttl": ttl}, &made)
		t.Setenv("VAULT_TOKEN", made.Auth.Token)
		if ttl == "1s" {
			enginetest.Eventually(t, 10*time.Second, "the token has expired", func() bool { return !v.Takes(made.Auth.Token) })
		}
		m, r := minterOf(t, p, "vault-token:?policies=default")
		_, err := m.Mint(t.Context(), r, "tightlip-x")
		if re, ok := errors.AsType[*secret.ResolveError](err); !ok || err.Error() != want || !strings.Contains(re.Hint(), "has not expired meanwhile, and may do this") {
			t.Errorf("got %v", err)
		}
	}
}

// TestRealVaultUnwrapped mints with what can be unwrapped once: what it takes to revoke is kept.
func TestRealVaultUnwrapped(t *testing.T) {
	v, p := realVault(t)
	for ref, wrap := range map[string]func(){
		"vault-token:?unwrap=token&policies=default": func() {
			t.Setenv("VAULT_TOKEN", v.Wrap(t, "auth/token/create", map[string]any{"policies": []string{"mint"}}))
		},
		"vault-token:?auth=approle&role-id=ci&secret-id=env:ID&unwrap=secret-id&policies=default": func() { p["ID"] = []byte(v.Wrap(t, "auth/approle/role/ci/secret-id", nil)) },
	} {
		wrap()
		m, r := minterOf(t, p, ref)
		ending, value := endOf(t, m, r, v.Takes)
		if ending.Fate != secret.Dead || v.Takes(value) {
			t.Errorf("%s: %s", ref, ending)
		}
		_, err := m.Mint(t.Context(), r, "tightlip-x")
		if re, ok := errors.AsType[*secret.ResolveError](err); !ok || !strings.Contains(re.Hint(), "neither you nor another secret of this build did") {
			t.Errorf("%s, unwrapped again: %v", ref, err)
		}
	}
}

// endOf mints as a build does, sees that the value is taken, and ends it.
func endOf(t *testing.T, m secret.Minter, r secret.Ref, takes func(string) bool) (secret.Ending, string) {
	t.Helper()
	set, err := secret.NewResolver(m).ResolveAll(t.Context(), []secret.Spec{{ID: "x", Ref: r}})
	if err != nil {
		t.Fatal(err)
	}
	lease, err := set.Lease(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	value := string(lease.Value.Open())
	if !takes(value) {
		t.Fatalf("%s: what was minted does not work", r)
	}
	return set.End(t.Context())[0], value
}

// TestRealVaultReapsLogins reaps what a login made, and the login.
func TestRealVaultReapsLogins(t *testing.T) {
	v, p := realVault(t)
	m, r := minterOf(t, p, "vault-token:?auth=approle&role-id=ci&secret-id=env:ID&policies=default")
	lease, err := m.Mint(t.Context(), r, "tightlip-x")
	if err != nil || lease.With == "" {
		t.Fatalf("got %+v, %v", lease, err)
	}
	before := v.Tokens(t)
	if err := m.Reap(t.Context(), r, secret.Minted{Name: "tightlip-x", ID: lease.ID, With: lease.With}); err != nil {
		t.Fatal(err)
	}
	if after := v.Tokens(t); before-after != 2 {
		t.Errorf("of %d tokens %d are left", before, after)
	}
	if err := m.Reap(t.Context(), r, secret.Minted{Name: "tightlip-x", ID: lease.ID, With: lease.With}); !errors.Is(err, secret.ErrNotFound) {
		t.Errorf("got %v", err)
	}
}

// TestRealVaultUsers has a database make users, which is what leases are for.
func TestRealVaultUsers(t *testing.T) {
	v, p := realVault(t)
	if !v.Has("database") {
		t.Skip("this Vault has no engine for databases: add builtin/logical/database and plugins/database/postgresql to helper/builtinplugins/registry_min.go")
	}
	password := string(secrettest.Canary(t))
	db := enginetest.StartPostgres(t, password)
	v.Write(t, "sys/mounts/database", map[string]any{"type": "database"}, nil)
	v.Write(t, "database/config/pg", map[string]any{
		"plugin_name": "postgresql-database-plugin", "allowed_roles": "ci", "username": "root", "password": password,
		"connection_url": fmt.Sprintf("postgresql://{{username}}:{{password}}@%s:%s/postgres?sslmode=disable", db.Host, db.Port),
	}, nil)
	v.Write(t, "database/roles/ci", map[string]any{
		"db_name": "pg", "default_ttl": "1h", "max_ttl": "1h",
		"creation_statements": `CREATE ROLE "{{name}}" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'`,
	}, nil)
	takes := func(value string) bool {
		var made struct{ Username, Password string }
		return json.Unmarshal([]byte(value), &made) == nil && db.Takes(made.Username, made.Password)
	}
	for _, text := range []string{"vault-lease:database/creds/ci", "vault-lease:database/creds/ci?auth=approle&role-id=ci&secret-id=env:ID"} {
		m, r := minterOf(t, p, text)
		ending, value := endOf(t, m, r, takes)
		if ending.Fate != secret.Dead || takes(value) {
			t.Errorf("%s: %s", text, ending)
		}
		lease, err := m.Mint(t.Context(), r, "tightlip-x")
		if err != nil || !takes(string(lease.Value.Open())) {
			t.Fatalf("%s: %v", text, err)
		}
		if err := m.Reap(t.Context(), r, secret.Minted{Name: "tightlip-x", ID: lease.ID, With: lease.With}); err != nil || takes(string(lease.Value.Open())) {
			t.Errorf("%s: reaping: %v", text, err)
		}
	}
}
