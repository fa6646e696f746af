package fake

import (
	"net/http"
	"testing"
	"time"
)

// JFrog follows "Create Token", "Get Tokens" and "Revoke Token by ID" in jfrog.com/help/r/jfrog-rest-apis.
type JFrog struct {
	*Fake
	Admin string // a token
}

// NewJFrog has an administrator.
func NewJFrog(t testing.TB) *JFrog {
	j := &JFrog{Fake: New()}
	j.Serve(t, API{
		Calls: map[string]func(*http.Request) Answer{
			"POST /access/api/v1/tokens":        j.Authorized(j.create),
			"GET /access/api/v1/tokens":         j.Authorized(j.list),
			"GET /access/api/v1/tokens/me":      j.Authorized(j.me),
			"DELETE /access/api/v1/tokens/{id}": j.Authorized(j.remove),
			"GET /artifactory/api/npm/x":        j.Authorized(func(*http.Request, Token) Answer { return OK(map[string]any{}) }),
		},
		Error: func(status int, message string) Answer {
			return OK(map[string]any{"errors": []any{map[string]any{"code": "UNAUTHORIZED", "message": message, "status": status}}})
		},
	})
	j.Admin = j.Issue("eyJ2", 0, Token{Name: "admin", About: map[string]string{"scope": "applied-permissions/admin"}}).Value
	return j
}

func (j *JFrog) create(r *http.Request, by Token) Answer {
	form := Body[struct {
		Scope, Description string
		ExpiresIn          int  `json:"expires_in"`
		ForceRevocable     bool `json:"force_revocable"`
	}](r)
	if by.Name != "admin" && form.Scope != by.About["scope"] {
		return j.Refuse(http.StatusForbidden, "Forbidden")
	}
	about := map[string]string{"scope": form.Scope}
	if !form.ForceRevocable {
		about["lasting"] = "true"
	}
	t := j.Issue("eyJ2", time.Duration(form.ExpiresIn)*time.Second, Token{Name: form.Description, About: about})
	return OK(map[string]any{"token_id": t.ID, "access_token": t.Value, "expires_in": form.ExpiresIn, "scope": form.Scope, "token_type": "Bearer"})
}

func (j *JFrog) list(r *http.Request, _ Token) Answer {
	list := []any{}
	for _, t := range j.Living() {
		if wanted := r.URL.Query().Get("description"); wanted == "" || wanted == t.Name {
			list = append(list, map[string]any{"token_id": t.ID, "description": t.Name, "subject": "jfac@1/users/ci", "refreshable": false})
		}
	}
	return OK(map[string]any{"tokens": list})
}

func (j *JFrog) me(_ *http.Request, t Token) Answer {
	return OK(map[string]any{"token_id": t.ID, "description": t.Name})
}

func (j *JFrog) remove(r *http.Request, _ Token) Answer {
	id := r.PathValue("id")
	if t, ok := j.TokenByID(id); ok && t.About["lasting"] != "" {
		return j.Refuse(http.StatusBadRequest, "the token is not revocable")
	}
	if j.Revoke(func(t Token) bool { return t.ID == id }) == 0 {
		return Answer{Status: http.StatusNoContent} // it was revoked before
	}
	return Answer{}
}
