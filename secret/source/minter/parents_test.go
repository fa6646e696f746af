package minter_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/fake"
	"github.com/tightlip/tightlip/secret/secrettest"
	"github.com/tightlip/tightlip/secret/source/file"
	"github.com/tightlip/tightlip/secret/source/minter"
)

// parentsOf mints and returns what that took, by name.
func parentsOf(t *testing.T, m secret.Minter, r secret.Ref) map[string]string {
	t.Helper()
	set, err := secret.NewResolver(m).ResolveAll(t.Context(), []secret.Spec{{ID: "x", Ref: r}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := set.Lease(t.Context(), "x"); err != nil {
		t.Fatal(err)
	}
	known := map[string]string{}
	for _, p := range set.Parents() {
		known[p.Name] = string(p.Value.Open())
	}
	if err := set.Close(t.Context()); err != nil {
		t.Error(err)
	}
	return known
}

func TestParentsOfKinds(t *testing.T) {
	g := fake.NewGitea(t, string(secrettest.Canary(t)))
	p := parents{"TOKEN": []byte(g.Password)}
	m, r := minterOf(t, p, "gitea:"+g.URL+"?user=ci&token=env:TOKEN&scopes=read:package")
	if got := parentsOf(t, m, r); !maps.Equal(got, map[string]string{"token=env:TOKEN": g.Password}) {
		t.Errorf("got %q", slices.Sorted(maps.Keys(got)))
	}
	foreseen := m.(secret.Parented).Parents(r)
	if !maps.Equal(foreseen, map[string]secret.Ref{"token=env:TOKEN": parse(t, "env:TOKEN")}) {
		t.Errorf("it is to be %v", foreseen)
	}
	m, r = minterOf(t, nil, "ssh-cert:dir/ca?principals=git")
	if got := m.(secret.Parented).Parents(r); !maps.Equal(got, map[string]secret.Ref{"key=file:ca": parse(t, "file:dir/ca")}) {
		t.Errorf("of a path it is %v", got)
	}
	m, r = minterOf(t, nil, "aws-sts:arn:aws:iam::123456789012:role/ci?policy=file:policy.json")
	if got := m.(secret.Parented).Parents(r); len(got) > 0 {
		t.Errorf("a policy is no secret: %v", got)
	}
}

// Vault finds some of its own credentials by itself, and makes others on the way.
func TestParentsOfVault(t *testing.T) {
	v, p := startVault(t, "VAULT_")
	m, r := minterOf(t, p, "vault-token:ci?policies=ci-read")
	if got := parentsOf(t, m, r); !maps.Equal(got, map[string]string{"token of Vault": v.Root}) {
		t.Errorf("got %q", slices.Sorted(maps.Keys(got)))
	}
	m, r = minterOf(t, p, "vault-token:?auth=approle&role-id=ci&secret-id=env:ID")
	got := parentsOf(t, m, r)
	if len(got) != 2 || got["secret-id=env:ID"] != string(p["ID"]) || !strings.HasPrefix(got["login to Vault"], "hvs.") {
		t.Errorf("got %q", slices.Sorted(maps.Keys(got)))
	}
}

// Clouds' tools have places of their own for credentials.
func TestParentsOfClouds(t *testing.T) {
	check := func(o minter.Options, text string, want ...string) {
		t.Helper()
		m, r := minterWith(t, o, text)
		if got := slices.Sorted(maps.Keys(parentsOf(t, m, r))); !slices.Equal(got, want) {
			t.Errorf("%s: got %q", text, got)
		}
	}
	a, p := startAWS(t)
	check(minter.Options{Resolve: p.resolve, HTTP: a.HTTP()}, "aws-sts:arn:aws:iam::123456789012:role/ci?policy=env:POLICY", "secret key of AWS")
	g := fake.NewGoogle(t)
	path := filepath.Join(t.TempDir(), "key.json")
	if err := os.WriteFile(path, g.Key(t), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", path)
	check(minter.Options{Resolve: file.Source{}.Resolve, HTTP: g.HTTP()}, "gcp-impersonate:ci@shop.iam.gserviceaccount.com", "access token for Google", "private_key for Google")
	z := fake.NewAzure(t)
	t.Setenv("AZURE_TENANT_ID", z.Tenant)
	t.Setenv("AZURE_CLIENT_ID", z.Client)
	t.Setenv("AZURE_CLIENT_SECRET", z.Secret)
	check(minter.Options{HTTP: z.HTTP()}, "azure-acr:acme", "access token for Azure", "client_secret for Microsoft Entra ID")
}
