package minter_test

import (
	"encoding/base64"
	"net/http"
	"testing"
	"time"

	"github.com/tightlip/tightlip/secret/fake"
	"github.com/tightlip/tightlip/secret/secrettest"
)

func TestGitLab(t *testing.T) {
	for _, scopes := range []string{"read_registry", "read_api"} { // of which one may not ask about itself
		t.Run(scopes, func(t *testing.T) {
			runFaked(t, func(t *testing.T) faked {
				g := fake.NewGitLab(t)
				return faked{
					fake: g.Fake, parents: parents{"TOKEN": []byte(g.Owner), "NOT": secrettest.Canary(t)}, life: 24 * time.Hour, named: true, ends: byUs,
					ref:    example(t, "gitlab", "https://gitlab.corp.example", "URL", "GITLAB_TOKEN", "TOKEN", "read_registry", scopes),
					broken: []string{"gitlab:URL/shop/api?token=env:NOT&scopes=read_api", "gitlab:URL/shop/other?token=env:TOKEN&scopes=read_api"},
					works: func(t *testing.T, value string) bool {
						return get(t, g.URL+"/api/v4/projects/shop%2Fapi/registry/repositories", "PRIVATE-TOKEN", value) == http.StatusOK
					},
					refused: map[string]string{
						"gitlab:URL/shop/api?token=env:NOT&scopes=read_api":     "gitlab: making a credential: GitLab answered 401 Unauthorized: needs the scope api, and to be a maintainer of shop/api",
						"gitlab:URL/shop/other?token=env:TOKEN&scopes=read_api": "gitlab: making a credential: GitLab answered 404 Not Found",
					},
				}
			})
		})
	}
}

func TestGitLabDeploy(t *testing.T) {
	runFaked(t, func(t *testing.T) faked {
		g := fake.NewGitLab(t)
		return faked{
			fake: g.Fake, parents: parents{"TOKEN": []byte(g.Owner), "NOT": secrettest.Canary(t)}, life: 30 * time.Minute, named: true, ends: byUs,
			ref:    example(t, "gitlab-deploy", "https://gitlab.corp.example", "URL", "GITLAB_TOKEN", "TOKEN"),
			broken: []string{"gitlab-deploy:URL/shop/api?token=env:NOT&scopes=read_package_registry&username=ci"},
			works: func(t *testing.T, value string) bool {
				basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("ci:"+value))
				return get(t, g.URL+"/api/v4/projects/shop%2Fapi/packages/npm/x", "Authorization", basic) == http.StatusOK
			},
		}
	})
}
