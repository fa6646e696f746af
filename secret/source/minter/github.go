package minter

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/source/jwt"
	"github.com/tightlip/tightlip/secret/source/web"
)

// githubApp makes a token of an installation of a GitHub App: docs.github.com/rest/apps/apps and .../rest/apps/installations.
var githubApp = &kind{
	scheme:  "github-app",
	form:    "github-app:APP_ID/INSTALLATION_ID?key=REFERENCE&repositories=NAME,NAME&permissions=NAME:read,NAME:write",
	what:    "a token of an installation of a GitHub App",
	example: "github-app:12345/678?key=file:app.pem&repositories=api&permissions=contents:read,packages:read",
	about: secret.MintAbout{
		Grade: secret.GradeA, Default: time.Hour,
		Narrow: "repositories= and permissions=, to some of the installation's",
		Revoke: "with its value; not by reap",
		Takes:  "repositories= or permissions=",
	},
	grade:   narrowed("repositories", "permissions"),
	path:    "the IDs of the app and of its installation, as APP_ID/INSTALLATION_ID",
	needs:   []string{"key"},
	keys:    []string{"repositories", "permissions", "api"},
	parents: []string{"key"},
	check:   checkGitHub,
	mint:    mintGitHub,
	alive:   aliveGitHub,
	revoke:  revokeGitHub,
}

func checkGitHub(o *order) error {
	app, installation, ok := strings.Cut(o.Path, "/")
	if !ok || app == "" || installation == "" || strings.Trim(installation, "0123456789") != "" {
		return o.wrong("the path of github-app: is not APP_ID/INSTALLATION_ID", "")
	}
	for _, permission := range o.List("permissions") {
		if name, level, ok := strings.Cut(permission, ":"); !ok || name == "" || level != "read" && level != "write" && level != "admin" {
			return o.wrong("permissions= of github-app: is no list of NAME:read or NAME:write", "permissions=contents:read,packages:read")
		}
	}
	return o.github().Check()
}

func (o *order) github() *web.Client {
	return &web.Client{Who: "GitHub", Base: o.Or("api", "https://api.github.com")}
}

// githubHeader fixes what answers look like.
func githubHeader() http.Header {
	return http.Header{"Accept": {"application/vnd.github+json"}, "X-Github-Api-Version": {"2022-11-28"}}
}

func mintGitHub(ctx context.Context, o *order) (*credential, error) {
	app, installation, _ := strings.Cut(o.Path, "/")
	now := time.Now()
	// GitHub advises to begin a minute ago, for clocks that differ, and wants an end in less than ten minutes.
	proof, err := jwt.Sign(o.values["key"], "", map[string]any{"iss": app, "iat": now.Add(-time.Minute).Unix(), "exp": now.Add(8 * time.Minute).Unix()})
	if err != nil {
		return nil, &secret.ResolveError{Ref: o.ref, Problem: "github-app: " + o.Get("key") + " " + err.Error(), Try: "generate a private key in the settings of the app", Err: err}
	}
	request := map[string]any{}
	if repositories := o.List("repositories"); repositories != nil {
		request["repositories"] = repositories
	}
	if permissions := githubPermissions(o); len(permissions) > 0 {
		request["permissions"] = permissions
	}
	var made struct {
		Token   web.Text  `json:"token"`
		Expires time.Time `json:"expires_at"`
	}
	client := o.github()
	client.Auth, client.Deny = web.Bearer(proof), denyGitHub
	err = client.Do(ctx, web.Call{
		Method: http.MethodPost, Path: "/app/installations/" + installation + "/access_tokens", Header: githubHeader(), JSON: request, Into: &made, Once: true,
		Needs: "a private key of the app " + app,
	})
	if err != nil {
		return nil, err
	}
	return &credential{value: made.Token.Value, expires: made.Expires}, nil
}

func githubPermissions(o *order) map[string]string {
	permissions := map[string]string{}
	for _, permission := range o.List("permissions") {
		name, level, _ := strings.Cut(permission, ":")
		permissions[name] = level
	}
	return permissions
}

// denyGitHub says what the statuses mean in this one call.
func denyGitHub(status int, _ http.Header) string {
	switch status {
	case http.StatusNotFound:
		return "this app has no such installation"
	case http.StatusUnprocessableEntity:
		return "the installation lacks one of the repositories or permissions"
	}
	return ""
}

// aliveGitHub asks what every installation's token may ask. A refusal for other reasons, such as an address, is none of the token.
func aliveGitHub(ctx context.Context, o *order, c *credential) (bool, error) {
	client := o.github()
	client.Auth = web.Bearer(c.value)
	return accepted(client.Do(ctx, web.Call{Path: "/installation/repositories?per_page=1", Header: githubHeader()}), http.StatusForbidden)
}

// revokeGitHub has the token revoke itself. One that is dead cannot.
func revokeGitHub(ctx context.Context, o *order, c *credential) error {
	client := o.github()
	client.Auth = web.Bearer(c.value)
	err := client.Do(ctx, web.Call{Method: http.MethodDelete, Path: "/installation/token", Header: githubHeader()})
	if web.StatusOf(err) == http.StatusUnauthorized {
		return nil
	}
	return err
}
