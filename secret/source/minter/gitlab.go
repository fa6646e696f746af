package minter

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/source/web"
)

// gitlab makes access tokens of a project: docs.gitlab.com/api/project_access_tokens. Their life is counted in days.
var gitlab = &kind{
	scheme:  "gitlab",
	form:    "gitlab:https://HOST/GROUP/PROJECT?token=REFERENCE&scopes=SCOPE,SCOPE",
	what:    "an access token of a project on GitLab",
	example: "gitlab:https://gitlab.corp.example/shop/api?token=env:GITLAB_TOKEN&scopes=read_registry&access-level=reporter",
	about: secret.MintAbout{
		Grade: secret.GradeA, Least: day, Default: day,
		Narrow: "the project, scopes=, and access-level=",
		Revoke: "by its ID; reap revokes what a crash leaves by its name",
	},
	path:    gitlabPath,
	needs:   []string{"token", "scopes"},
	keys:    []string{"access-level"},
	parents: []string{"token"},
	life:    "ttl",
	longest: 365 * day,
	check: func(o *order) error {
		if _, ok := gitlabLevels[o.Or("access-level", "reporter")]; !ok {
			return o.wrong("access-level= of gitlab: is none", "access-level=guest, planner, reporter, developer, maintainer or owner")
		}
		return checkGitLab(o)
	},
	mint: func(ctx context.Context, o *order) (*credential, error) {
		// A token ends when its last day begins, in UTC.
		ends := time.Now().UTC().Add(o.life).Truncate(day)
		return mintGitLab(ctx, o, ends, map[string]any{
			"name": o.name, "scopes": o.List("scopes"), "expires_at": ends.Format(time.DateOnly), "access_level": gitlabLevels[o.Or("access-level", "reporter")],
		})
	},
	alive:  aliveGitLab,
	revoke: revokeGitLab,
	reap:   reapGitLab,
}

// gitlabDeploy makes deploy tokens of a project: docs.gitlab.com/api/deploy_tokens. They read and write packages and images.
var gitlabDeploy = &kind{
	scheme:  "gitlab-deploy",
	form:    "gitlab-deploy:https://HOST/GROUP/PROJECT?token=REFERENCE&scopes=SCOPE,SCOPE&username=NAME",
	what:    "a deploy token of a project on GitLab",
	example: "gitlab-deploy:https://gitlab.corp.example/shop/api?token=env:GITLAB_TOKEN&scopes=read_package_registry&username=ci&ttl=30m",
	about: secret.MintAbout{
		Grade: secret.GradeA, Least: 5 * time.Minute, Default: time.Hour,
		Narrow: "the project, and scopes=",
		Revoke: "by its ID; reap revokes what a crash leaves by its name",
	},
	path:    gitlabPath,
	needs:   []string{"token", "scopes", "username"},
	parents: []string{"token"},
	life:    "ttl",
	longest: 365 * day,
	check:   checkGitLab,
	mint: func(ctx context.Context, o *order) (*credential, error) {
		ends := time.Now().UTC().Add(o.life).Truncate(time.Second)
		return mintGitLab(ctx, o, ends, map[string]any{
			"name": o.name, "scopes": o.List("scopes"), "expires_at": ends.Format(time.RFC3339), "username": o.Get("username"),
		})
	},
	revoke: revokeGitLab,
	reap:   reapGitLab,
}

const (
	day        = 24 * time.Hour
	gitlabPath = "the address of a project"
)

// gitlabLevels are those of docs.gitlab.com/api/access_requests.
var gitlabLevels = map[string]int{"guest": 10, "planner": 15, "reporter": 20, "developer": 30, "maintainer": 40, "owner": 50}

func checkGitLab(o *order) error {
	u, err := url.Parse(o.Path)
	if err != nil || strings.Trim(u.Path, "/") == "" || u.RawQuery != "" {
		return o.wrong("the path of "+o.kind.scheme+": is not the address of a project", "")
	}
	return o.gitlab().Check()
}

// gitlab is the API of the server that the project is on. One in a folder of its host is not supported: nothing tells the two apart.
func (o *order) gitlab() *web.Client {
	u, err := url.Parse(o.Path)
	if err != nil {
		return &web.Client{Who: "GitLab"} // which Check refuses
	}
	base := url.URL{Scheme: u.Scheme, User: u.User, Host: u.Host}
	return &web.Client{Who: "GitLab", Base: base.String(), Auth: web.Header("PRIVATE-TOKEN", "", o.values["token"])}
}

// gitlabTokens is where the tokens of the kind are.
func (o *order) gitlabTokens() string {
	collection := "access_tokens"
	if o.kind.scheme == "gitlab-deploy" {
		collection = "deploy_tokens"
	}
	return "/api/v4/projects/" + url.PathEscape(o.gitlabProject()) + "/" + collection
}

func (o *order) gitlabProject() string {
	_, rest, _ := strings.Cut(o.Path, "://")
	_, project, _ := strings.Cut(rest, "/")
	return strings.Trim(project, "/")
}

// gitlabDo sends a call about the project's tokens.
func (o *order) gitlabDo(ctx context.Context, call web.Call) error {
	call.Path = o.gitlabTokens() + call.Path
	call.Needs = "the scope api, and to be a maintainer of " + o.gitlabProject()
	return o.gitlab().Do(ctx, call)
}

func mintGitLab(ctx context.Context, o *order, ends time.Time, request map[string]any) (*credential, error) {
	var made struct {
		ID    int      `json:"id"`
		Token web.Text `json:"token"`
	}
	err := o.gitlabDo(ctx, web.Call{Method: http.MethodPost, JSON: request, Into: &made, Once: true})
	if err != nil {
		return nil, err
	}
	return &credential{value: made.Token.Value, id: strconv.Itoa(made.ID), expires: ends}, nil
}

// aliveGitLab asks a token about itself, which not every scope lets it.
func aliveGitLab(ctx context.Context, o *order, c *credential) (bool, error) {
	client := o.gitlab()
	client.Auth = web.Header("PRIVATE-TOKEN", "", c.value)
	return accepted(client.Do(ctx, web.Call{Path: "/api/v4/personal_access_tokens/self"}), http.StatusForbidden)
}

func revokeGitLab(ctx context.Context, o *order, c *credential) error {
	return o.gitlabRevoke(ctx, c.id)
}

// reapGitLab looks for the name: an ID is a small number, and that of another token at another GitLab.
func reapGitLab(ctx context.Context, o *order, m secret.Minted) error {
	const perPage = 100
	for page := 1; ; page++ {
		var tokens []struct {
			ID      int    `json:"id"`
			Name    string `json:"name"`
			Revoked bool   `json:"revoked"`
		}
		if err := o.gitlabDo(ctx, web.Call{Path: fmt.Sprintf("?per_page=%d&page=%d", perPage, page), Into: &tokens}); err != nil {
			return err
		}
		for _, t := range tokens {
			if t.Name == m.Name && !t.Revoked {
				return o.gitlabRevoke(ctx, strconv.Itoa(t.ID))
			}
		}
		if len(tokens) < perPage {
			return secret.ErrNotFound
		}
	}
}

func (o *order) gitlabRevoke(ctx context.Context, id string) error {
	return o.gitlabDo(ctx, web.Call{Method: http.MethodDelete, Path: "/" + url.PathEscape(id)})
}
