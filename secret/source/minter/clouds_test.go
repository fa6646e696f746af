package minter_test

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tightlip/tightlip/secret/fake"
	"github.com/tightlip/tightlip/secret/secrettest"
	"github.com/tightlip/tightlip/secret/source/file"
)

func TestJFrog(t *testing.T) {
	runFaked(t, func(t *testing.T) faked {
		j := fake.NewJFrog(t)
		return faked{
			fake: j.Fake, parents: parents{"TOKEN": []byte(j.Admin), "NOT": secrettest.Canary(t)}, life: 20 * time.Minute, named: true,
			ref:    example(t, "jfrog", "https://acme.jfrog.corp.example", "URL", "JFROG_TOKEN", "TOKEN", "15m", "20m"),
			broken: []string{"jfrog:URL?token=env:NOT&scope=applied-permissions/groups:readers"},
			works: func(t *testing.T, value string) bool {
				return get(t, j.URL+"/artifactory/api/npm/x", "Authorization", "Bearer "+value) == http.StatusOK
			},
			refused: map[string]string{
				"jfrog:URL?token=env:NOT&scope=applied-permissions/user": "jfrog: making a credential: the JFrog Platform answered 401 Unauthorized: needs a token that may make others with the scope applied-permissions/user",
			},
		}
	})
}

func TestGCP(t *testing.T) {
	for _, ref := range []string{"gcp-impersonate:ci@shop.iam.gserviceaccount.com?ttl=10m", example(t, "gcp-impersonate", "devstorage.read_only", "devstorage.read_only,pubsub")} {
		runFaked(t, func(t *testing.T) faked {
			g := fake.NewGoogle(t)
			key := g.Key(t)
			t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", write(t, filepath.Join(t.TempDir(), "key.json"), key))
			return faked{
				fake: g.Fake, http: g.HTTP(), resolve: file.Source{}.Resolve, parents: parents{"KEY": key}, life: 10 * time.Minute, ref: ref, clocked: true,
				broken: []string{"gcp-impersonate:other@shop.iam.gserviceaccount.com"},
				works: func(_ *testing.T, value string) bool {
					token, ok := g.Token(value)
					return ok && token.About["scopes"] != "" && strings.Contains(token.About["scopes"], "devstorage.read_only") == strings.Contains(ref, "devstorage")
				},
				refused: map[string]string{
					"gcp-impersonate:other@shop.iam.gserviceaccount.com": "gcp-impersonate: making a credential: Google answered 403 Forbidden: needs iam.serviceAccounts.getAccessToken on other@shop.iam.gserviceaccount.com, which roles/iam.serviceAccountTokenCreator has",
				},
			}
		})
	}
}

func TestACR(t *testing.T) {
	for ref, life := range map[string]time.Duration{
		"azure-acr:acme": 3 * time.Hour,
		example(t, "azure-acr", "acme", "acme.azurecr.cn") + "+repository:shop/api:push": 75 * time.Minute,
	} {
		runFaked(t, func(t *testing.T) faked {
			a := fake.NewAzure(t)
			t.Setenv("AZURE_TENANT_ID", a.Tenant)
			t.Setenv("AZURE_CLIENT_ID", a.Client)
			t.Setenv("AZURE_CLIENT_SECRET", a.Secret)
			return faked{
				fake: a.Fake, http: a.HTTP(), parents: parents{"SECRET": []byte(a.Secret)}, life: life, ref: ref, twice: strings.Contains(ref, "scope="), ends: byThem,
				broken: []string{"azure-acr:other"},
				works:  func(_ *testing.T, value string) bool { return a.Alive(value) },
				refused: map[string]string{
					"azure-acr:acme?scope=repository:other:pull": "azure-acr: making a credential: the registry answered 401 Unauthorized: needs repository:other:pull on the registry",
				},
			}
		})
	}
}
