package minter

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/source/web"
)

// gitea makes access tokens of Gitea and Forgejo: routers/api/v1/user/app.go in their source. They never expire.
//
// Tokens are made and deleted with basic authentication alone, in which both take a password or a token with the scope write:user. Of
// the second kind Gitea has wanted since 1.27 that it has the scopes that it gives away.
var gitea = &kind{
	scheme:  "gitea",
	form:    "gitea:https://HOST?user=NAME&token=REFERENCE&scopes=read:repository",
	what:    "an access token of Gitea or Forgejo",
	example: "gitea:https://git.corp.example?user=ci&token=env:GITEA_TOKEN&scopes=read:repository,read:package",
	about: secret.MintAbout{
		Grade: secret.GradeB, Narrow: "scopes= to kinds of things, and to reading them; not to repositories",
		Revoke: "deleted by name or ID; it does not expire, and reap deletes what a crash leaves",
	},
	path:    "the address of the server",
	needs:   []string{"user", "token", "scopes"},
	parents: []string{"token"},
	check:   checkGitea,
	mint:    mintGitea,
	alive:   aliveGitea,
	reap:    reapGitea,
}

func checkGitea(o *order) error {
	if slices.Contains(o.List("scopes"), "") {
		return o.wrong("scopes= of gitea: has an empty scope", "scopes=read:repository,read:package")
	}
	return o.gitea().Check()
}

func (o *order) gitea() *web.Client {
	return &web.Client{Who: "Gitea", Base: o.Path, Auth: web.Basic(o.Get("user"), o.values["token"])}
}

func (o *order) giteaTokens() string {
	return "/api/v1/users/" + url.PathEscape(o.Get("user")) + "/tokens"
}

func mintGitea(ctx context.Context, o *order) (*credential, error) {
	var made struct {
		ID    int64    `json:"id"`
		Token web.Text `json:"sha1"` // which it is not any more
	}
	err := o.gitea().Do(ctx, web.Call{
		Method: http.MethodPost, Path: o.giteaTokens(), JSON: map[string]any{"name": o.name, "scopes": o.List("scopes")}, Into: &made, Once: true,
		Needs: "the password of " + o.Get("user") + ", or a token of that user with the scopes write:user and " + o.Get("scopes"),
	})
	if err != nil {
		return nil, err
	}
	return &credential{value: made.Token.Value, id: strconv.FormatInt(made.ID, 10)}, nil
}

// aliveGitea asks who the token's user is. That may be none of its scopes, which is another refusal.
func aliveGitea(ctx context.Context, o *order, c *credential) (bool, error) {
	client := &web.Client{Who: "Gitea", Base: o.Path, Auth: web.Header("Authorization", "token ", c.value)}
	err := client.Do(ctx, web.Call{Path: "/api/v1/user"})
	return accepted(err, http.StatusForbidden)
}

// reapGitea deletes by name: it is unique among those of a user.
func reapGitea(ctx context.Context, o *order, m secret.Minted) error {
	return o.gitea().Do(ctx, web.Call{
		Method: http.MethodDelete, Path: o.giteaTokens() + "/" + url.PathEscape(m.Name),
		Needs: "the password of " + o.Get("user") + ", or a token of that user with the scope write:user",
	})
}
