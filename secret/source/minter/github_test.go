package minter_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/tightlip/tightlip/secret/fake"
	"github.com/tightlip/tightlip/secret/secrettest"
)

func TestGitHub(t *testing.T) {
	runFaked(t, func(t *testing.T) faked {
		g := fake.NewGitHub(t)
		return faked{
			fake: g.Fake, parents: parents{"KEY": g.Key, "NOT": secrettest.Canary(t)}, life: time.Hour, clocked: true,
			ref:    example(t, "github-app", "file:app.pem", "env:KEY") + "&api=URL",
			broken: []string{"github-app:12345/678?key=env:NOT&api=URL", "github-app:54321/678?key=env:KEY&api=URL"},
			works: func(t *testing.T, value string) bool {
				return get(t, g.URL+"/repos/shop/api", "Authorization", "Bearer "+value) == http.StatusOK
			},
			refused: map[string]string{
				"github-app:54321/678?key=env:KEY&api=URL":                           "github-app: making a credential: GitHub answered 401 Unauthorized: needs a private key of the app 54321",
				"github-app:12345/1?key=env:KEY&api=URL":                             "github-app: making a credential: GitHub answered 404 Not Found: this app has no such installation",
				"github-app:12345/678?key=env:KEY&repositories=other&api=URL":        "github-app: making a credential: GitHub answered 422 Unprocessable Entity: the installation lacks one of the repositories or permissions",
				"github-app:12345/678?key=env:KEY&permissions=secrets:write&api=URL": "github-app: making a credential: GitHub answered 422 Unprocessable Entity: the installation lacks one of the repositories or permissions",
				"github-app:12345/678?key=env:NOT&api=URL":                           "github-app: env:NOT is not an RSA private key in PEM",
			},
		}
	})
}
