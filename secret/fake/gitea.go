package fake

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Gitea follows routers/api/v1/user/app.go of Gitea 1.26, which Forgejo shares. It has one user and a private repository, app.
type Gitea struct {
	*Fake
	User     string
	Password string
}

// NewGitea has a user ci with a password.
func NewGitea(t testing.TB, password string) *Gitea {
	g := &Gitea{User: "ci", Password: password}
	g.Fake = Start(t, API{
		Calls: map[string]func(*http.Request) Answer{
			"GET /api/v1/users/{user}/tokens":         g.basic(g.list),
			"POST /api/v1/users/{user}/tokens":        g.basic(g.create),
			"DELETE /api/v1/users/{user}/tokens/{id}": g.basic(g.remove),
			"GET /api/v1/user":                        g.scoped("user"),
			"GET /api/v1/repos/ci/app":                g.scoped("repository"),
		},
		Error: func(status int, message string) Answer {
			return Answer{Status: status, Body: map[string]string{"message": message, "url": "https://git.corp.example/api/swagger"}}
		},
	})
	return g
}

// basic lets in who has the user's password, or a token of the user that may write users, in the place of the password.
func (g *Gitea) basic(call func(*http.Request) Answer) func(*http.Request) Answer {
	return func(r *http.Request) Answer {
		user, password, _ := r.BasicAuth()
		token, ok := g.Token(password)
		switch {
		case ok && !slices.Contains(scopes(token), "write:user"):
			return g.Refuse(http.StatusForbidden, "token does not have at least one of required scope(s)")
		case !ok && (user != g.User || password != g.Password):
			return g.Refuse(http.StatusUnauthorized, "invalid username, password or token")
		case r.PathValue("user") != g.User:
			return g.Refuse(http.StatusForbidden, "user should be the site admin or be same as the contextUser")
		}
		return call(r)
	}
}

func scopes(t Token) []string { return strings.Split(t.About["scopes"], ",") }

func giteaToken(t Token) map[string]any {
	id, _ := strconv.Atoi(t.ID) // create makes them
	return map[string]any{"id": id, "name": t.Name, "sha1": "", "token_last_eight": t.Value[len(t.Value)-8:], "scopes": scopes(t)}
}

func (g *Gitea) list(*http.Request) Answer {
	all := []map[string]any{}
	for _, t := range g.Living() {
		all = append(all, giteaToken(t))
	}
	return OK(all)
}

func (g *Gitea) create(r *http.Request) Answer {
	form := Body[struct {
		Name   string
		Scopes []string
	}](r)
	switch _, taken := g.alive(func(t Token) bool { return t.Name == form.Name }); {
	case form.Name == "":
		return g.Refuse(http.StatusUnprocessableEntity, "[Name]: Required")
	case taken:
		return g.Refuse(http.StatusBadRequest, "access token name has been used already")
	case len(form.Scopes) == 0:
		return g.Refuse(http.StatusBadRequest, "access token must have a scope")
	}
	t := g.Issue("", 0, Token{ID: strconv.Itoa(len(g.Tokens()) + 1), Name: form.Name, About: map[string]string{"scopes": strings.Join(form.Scopes, ",")}})
	made := giteaToken(t)
	made["sha1"] = t.Value
	return Answer{Status: http.StatusCreated, Body: made}
}

func (g *Gitea) remove(r *http.Request) Answer {
	id := r.PathValue("id")
	if g.Revoke(func(t Token) bool { return t.ID == id || t.Name == id }) == 0 {
		return g.Refuse(http.StatusNotFound, "not found")
	}
	return Answer{Status: http.StatusNoContent}
}

// scoped is a call that wants to read things of a kind.
func (g *Gitea) scoped(kind string) func(*http.Request) Answer {
	return func(r *http.Request) Answer {
		t, ok := g.Bearer(r)
		switch {
		case !ok:
			return g.Refuse(http.StatusUnauthorized, "invalid username, password or token")
		case !slices.Contains(scopes(t), "read:"+kind) && !slices.Contains(scopes(t), "write:"+kind):
			return g.Refuse(http.StatusForbidden, "token does not have at least one of required scope(s)")
		}
		return OK(map[string]any{"id": 1})
	}
}
