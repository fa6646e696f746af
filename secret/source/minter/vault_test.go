package minter_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/fake"
	"github.com/tightlip/tightlip/secret/secrettest"
)

// startVault starts a Vault that the environment names, for a product's variables.
func startVault(t *testing.T, prefix string) (*fake.Vault, parents) {
	t.Helper()
	v := fake.NewVault(t)
	t.Setenv("HOME", t.TempDir())
	t.Setenv(prefix+"ADDR", v.URL)
	t.Setenv(prefix+"CACERT", write(t, filepath.Join(t.TempDir(), "ca.pem"), v.CA()))
	t.Setenv(prefix+"TOKEN", v.Root)
	id := string(secrettest.Canary(t))
	v.Logins["approle"] = func(body map[string]string) bool { return body["role_id"] == "ci" && body["secret_id"] == id }
	return v, parents{"ID": []byte(id), "NOT": secrettest.Canary(t), "ROOT": []byte(v.Root)}
}

func TestVault(t *testing.T) {
	for name, test := range map[string]struct {
		prefix, ref string
		life        time.Duration
		broken      []string
	}{
		"a token":           {"VAULT_", example(t, "vault-token", ":ci?", ":?"), 10 * time.Minute, []string{"vault-token:other?policies=ci"}},
		"a token of a role": {"BAO_", example(t, "openbao-token"), 10 * time.Minute, []string{"openbao-token:other"}},
		"after a login": {
			"VAULT_", "vault-token:?auth=approle&role-id=ci&secret-id=env:ID&ttl=10m", 10 * time.Minute,
			[]string{"vault-token:?auth=approle&role-id=ci&secret-id=env:NOT", "vault-token:other?auth=approle&role-id=ci&secret-id=env:ID"},
		},
		"a user":            {"VAULT_", example(t, "vault-lease"), time.Hour, []string{"vault-lease:database/creds/other", "vault-lease:database/creds/ci#other"}},
		"a user in OpenBao": {"BAO_", example(t, "openbao-lease"), time.Hour, []string{"openbao-lease:database/creds/other"}},
		"a user after a login": {
			"VAULT_", "vault-lease:database/creds/ci?auth=approle&role-id=ci&secret-id=env:ID#password", time.Hour,
			[]string{"vault-lease:database/creds/ci?auth=approle&role-id=ci&secret-id=env:ID#other"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			runFaked(t, func(t *testing.T) faked {
				v, p := startVault(t, test.prefix)
				return faked{
					fake: v.Fake, parents: p, life: test.life, ref: test.ref, broken: test.broken,
					works: func(_ *testing.T, value string) bool { return v.Alive(value) },
				}
			})
		})
	}
}

// TestVaultLeavesNothing has mints that work, that fail, and that make what turns out to be of no use.
func TestVaultLeavesNothing(t *testing.T) {
	for _, text := range []string{
		"vault-token:?auth=approle&role-id=ci&secret-id=env:ID",
		"vault-token:other?auth=approle&role-id=ci&secret-id=env:ID",
		"vault-lease:database/creds/ci?auth=approle&role-id=ci&secret-id=env:ID",
		"vault-lease:database/creds/ci?auth=approle&role-id=ci&secret-id=env:ID#other",
		"vault-lease:database/creds/ci#other",
		"vault-lease:old/ci?auth=approle&role-id=ci&secret-id=env:ID",
	} {
		v, p := startVault(t, "VAULT_")
		v.Put("old/ci", map[string]any{"pip": "not a real one"})
		set, err := secret.NewResolver(must(minterOf(t, p, text))).ResolveAll(t.Context(), []secret.Spec{{ID: "x", Ref: parse(t, text)}})
		if err != nil {
			t.Fatal(err)
		}
		_, minting := set.Lease(t.Context(), "x")
		if err := set.Close(t.Context()); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if living := v.Living(); len(living) != 1 {
			t.Errorf("%s: %d tokens live on after %v", text, len(living)-1, minting)
		}
	}
}

func must(m secret.Minter, _ secret.Ref) secret.Source { return m }
