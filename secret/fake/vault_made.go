package fake

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// made are the calls of auth/token, and of an engine for databases at database/, whose role is ci.
func (v *Vault) made() map[string]func(*http.Request) Answer {
	calls := map[string]func(*http.Request) Answer{"GET /v1/database/creds/{role}": v.authorized(v.createUser)}
	for path, call := range map[string]func(*http.Request, Token) Answer{
		"auth/token/create": v.createToken, "auth/token/create/{role}": v.createToken, "auth/token/lookup-accessor": v.lookupAccessor,
		"auth/token/revoke-accessor": v.revokeAccessor, "sys/leases/lookup": v.lookupLease, "sys/leases/revoke/{id...}": v.revokeLeaseAt,
	} {
		calls["POST /v1/"+path] = v.authorized(call)
		calls["PUT /v1/"+path] = v.authorized(call)
	}
	return calls
}

// createToken makes a child, which dies with its parent.
func (v *Vault) createToken(r *http.Request, parent Token) Answer {
	form := Body[struct {
		Policies    []string
		TTL         string
		MaxTTL      string `json:"explicit_max_ttl"`
		DisplayName string `json:"display_name"`
		NumUses     int    `json:"num_uses"`
	}](r)
	life, err := time.ParseDuration(form.TTL)
	switch role := r.PathValue("role"); {
	case err != nil || form.MaxTTL != form.TTL:
		return v.Refuse(http.StatusBadRequest, "error parsing ttl")
	case role != "" && role != "ci":
		return v.Refuse(http.StatusBadRequest, "unknown role "+role)
	}
	t := v.Issue("hvs.", life, Token{Name: form.DisplayName, Parent: parent.ID, About: map[string]string{
		"policies": strings.Join(form.Policies, ","), "uses": strconv.Itoa(form.NumUses),
	}})
	return OK(map[string]any{"auth": v.Auth(t), "data": nil, "lease_id": "", "lease_duration": 0, "renewable": false})
}

func (v *Vault) lookupAccessor(r *http.Request, _ Token) Answer {
	t, ok := v.TokenByID(Body[map[string]string](r)["accessor"])
	if !ok {
		return v.Refuse(http.StatusBadRequest, "invalid accessor")
	}
	return OK(map[string]any{"data": map[string]any{"accessor": t.ID, "display_name": t.Name, "id": "", "num_uses": 0}})
}

func (v *Vault) revokeAccessor(r *http.Request, _ Token) Answer {
	accessor := Body[map[string]string](r)["accessor"]
	if v.Revoke(func(t Token) bool { return t.ID == accessor }) == 0 {
		return OK(map[string]any{"warnings": []string{"No token found with this accessor"}, "data": nil, "auth": nil, "lease_id": ""})
	}
	return Answer{Status: http.StatusNoContent}
}

func (v *Vault) lookupLease(r *http.Request, _ Token) Answer {
	t, ok := v.TokenByID(Body[map[string]string](r)["lease_id"])
	if !ok {
		return v.Refuse(http.StatusBadRequest, "invalid lease")
	}
	return OK(map[string]any{"data": map[string]any{"id": t.ID, "renewable": true, "ttl": int(t.Expires.Sub(v.Now()).Seconds())}})
}

// revokeLeaseAt is what Vault's own client sends.
func (v *Vault) revokeLeaseAt(r *http.Request, _ Token) Answer {
	v.Revoke(func(t Token) bool { return t.ID == r.PathValue("id") })
	return Answer{Status: http.StatusNoContent}
}

// createUser makes a user of the database, who goes with the token that asked.
func (v *Vault) createUser(r *http.Request, parent Token) Answer {
	if r.PathValue("role") != "ci" {
		return v.Refuse(http.StatusBadRequest, "unknown role: "+r.PathValue("role"))
	}
	t := v.Issue("", time.Hour, Token{ID: "database/creds/ci/" + strconv.Itoa(len(v.Tokens())), Parent: parent.ID})
	return OK(map[string]any{
		"lease_id": t.ID, "lease_duration": 3600, "renewable": true, "auth": nil,
		"data": map[string]any{"username": "v-token-ci-" + strconv.Itoa(len(v.Tokens())), "password": t.Value},
	})
}
