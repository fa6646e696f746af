package fake

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// GitLab follows docs.gitlab.com/api/project_access_tokens, api/deploy_tokens and api/personal_access_tokens. It has the project shop/api.
type GitLab struct {
	*Fake
	Owner string // a token of a maintainer, with the scope api
}

// NewGitLab has a project with a maintainer.
func NewGitLab(t testing.TB) *GitLab {
	g := &GitLab{Fake: New()}
	calls := map[string]func(*http.Request) Answer{
		"GET /api/v4/personal_access_tokens/self":         g.token(g.self),
		"GET /api/v4/projects/{id}/registry/repositories": g.token(g.registry),
		"GET /api/v4/projects/{id}/packages/npm/{name}":   g.deployed,
		"POST /api/v4/projects/{id}/access_tokens":        g.maintained(g.createAccess),
		"POST /api/v4/projects/{id}/deploy_tokens":        g.maintained(g.createDeploy),
	}
	for _, collection := range []string{"access_tokens", "deploy_tokens"} {
		calls["GET /api/v4/projects/{id}/"+collection] = g.maintained(g.list)
		calls["DELETE /api/v4/projects/{id}/"+collection+"/{token}"] = g.maintained(g.revokeOne)
	}
	g.Serve(t, API{Calls: calls, Error: func(status int, message string) Answer {
		return Answer{Status: status, Body: map[string]string{"message": message}}
	}})
	g.Owner = g.Issue("glpat-", 0, Token{ID: "1", About: map[string]string{"scopes": "api"}}).Value
	return g
}

// token lets in who has one of an account or a project.
func (g *GitLab) token(call func(*http.Request, Token) Answer) func(*http.Request) Answer {
	return func(r *http.Request) Answer {
		t, ok := g.Token(r.Header.Get("PRIVATE-TOKEN"))
		if !ok || t.About["kind"] == "deploy" {
			return g.Refuse(http.StatusUnauthorized, "401 Unauthorized")
		}
		return call(r, t)
	}
}

func (g *GitLab) maintained(call func(*http.Request) Answer) func(*http.Request) Answer {
	return g.token(func(r *http.Request, t Token) Answer {
		switch {
		case r.PathValue("id") != "shop/api":
			return g.Refuse(http.StatusNotFound, "404 Project Not Found")
		case !slices.Contains(scopes(t), "api"):
			return g.Refuse(http.StatusForbidden, "insufficient_scope")
		}
		return call(r)
	})
}

type gitlabForm struct {
	Name, Username string
	Scopes         []string
	ExpiresAt      string `json:"expires_at"`
	AccessLevel    int    `json:"access_level"`
}

func (g *GitLab) createAccess(r *http.Request) Answer {
	form := Body[gitlabForm](r)
	ends, err := time.Parse(time.DateOnly, form.ExpiresAt)
	if err != nil || form.Name == "" || len(form.Scopes) == 0 || form.AccessLevel == 0 {
		return g.Refuse(http.StatusBadRequest, "a parameter is missing")
	}
	return g.created(form, "access", "glpat-", ends)
}

func (g *GitLab) createDeploy(r *http.Request) Answer {
	form := Body[gitlabForm](r)
	ends, err := time.Parse(time.RFC3339, form.ExpiresAt)
	if err != nil || form.Name == "" || len(form.Scopes) == 0 || form.Username == "" {
		return g.Refuse(http.StatusBadRequest, "a parameter is missing")
	}
	return g.created(form, "deploy", "gldt-", ends)
}

func (g *GitLab) created(form gitlabForm, kind, prefix string, ends time.Time) Answer {
	about := map[string]string{"scopes": strings.Join(form.Scopes, ","), "kind": kind, "user": form.Username}
	t := g.Issue(prefix, ends.Sub(g.Now()), Token{ID: strconv.Itoa(100 + len(g.Tokens())), Name: form.Name, About: about})
	made := g.shown(t)
	made["token"] = t.Value
	return Answer{Status: http.StatusCreated, Body: made}
}

func (g *GitLab) shown(t Token) map[string]any {
	id, _ := strconv.Atoi(t.ID) // created makes them
	return map[string]any{"id": id, "name": t.Name, "scopes": scopes(t), "revoked": t.Revoked, "active": g.Alive(t.Value)}
}

func (g *GitLab) list(r *http.Request) Answer {
	page, _ := strconv.Atoi(r.URL.Query().Get("page"))
	kind, _, _ := strings.Cut(r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:], "_")
	list := []map[string]any{}
	for _, t := range g.Tokens() {
		if t.About["kind"] == kind && page == 1 {
			list = append(list, g.shown(t))
		}
	}
	return OK(list)
}

func (g *GitLab) revokeOne(r *http.Request) Answer {
	if g.Revoke(func(t Token) bool { return t.ID == r.PathValue("token") }) == 0 {
		return g.Refuse(http.StatusNotFound, "404 Not Found")
	}
	return Answer{Status: http.StatusNoContent}
}

func (g *GitLab) self(_ *http.Request, t Token) Answer {
	if !slices.Contains(scopes(t), "api") && !slices.Contains(scopes(t), "read_api") {
		return g.Refuse(http.StatusForbidden, "insufficient_scope")
	}
	return OK(g.shown(t))
}

func (g *GitLab) registry(_ *http.Request, t Token) Answer {
	if !slices.Contains(scopes(t), "read_registry") && !slices.Contains(scopes(t), "read_api") {
		return g.Refuse(http.StatusForbidden, "insufficient_scope")
	}
	return OK([]any{})
}

// deployed is a package registry, which takes deploy tokens as passwords.
func (g *GitLab) deployed(r *http.Request) Answer {
	user, password, _ := r.BasicAuth()
	t, ok := g.Token(password)
	if !ok || t.About["kind"] != "deploy" || t.About["user"] != user {
		return g.Refuse(http.StatusUnauthorized, "401 Unauthorized")
	}
	return OK(map[string]any{})
}
