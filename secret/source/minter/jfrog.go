package minter

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/source/web"
)

// jfrog makes access tokens of the JFrog Platform: "Create Token" and "Revoke Token by ID" in jfrog.com/help/r/jfrog-rest-apis. Short ones
// cannot be revoked there unless they are made to be.
var jfrog = &kind{
	scheme:  "jfrog",
	form:    "jfrog:https://HOST?token=REFERENCE&scope=SCOPE",
	what:    "an access token of the JFrog Platform, such as for Artifactory",
	example: "jfrog:https://acme.jfrog.corp.example?token=env:JFROG_TOKEN&scope=applied-permissions/groups:readers&ttl=15m",
	about: secret.MintAbout{
		Grade: secret.GradeA, Least: time.Minute, Default: 15 * time.Minute,
		Narrow: "scope= to groups, or to a user's own rights",
		Takes:  "scope= to less than all that a user or an administrator may do",
		Revoke: "by its ID, or by its description, which is its name; reap revokes what a crash leaves",
	},
	grade:   gradeOfJFrog,
	path:    "the address of the platform",
	needs:   []string{"token", "scope"},
	keys:    []string{"username", "audience"},
	parents: []string{"token"},
	life:    "ttl",
	longest: 30 * day,
	check:   func(o *order) error { return o.jfrog().Check() },
	mint:    mintJFrog,
	alive:   aliveJFrog,
	reap:    reapJFrog,
}

func (o *order) jfrog() *web.Client {
	return &web.Client{Who: "the JFrog Platform", Base: o.Path, Auth: web.Bearer(o.values["token"])}
}

const jfrogTokens = "/access/api/v1/tokens"

func mintJFrog(ctx context.Context, o *order) (*credential, error) {
	request := map[string]any{
		"scope": o.Get("scope"), "expires_in": int(o.life.Seconds()), "description": o.name, "refreshable": false, "force_revocable": true,
	}
	for _, key := range []string{"username", "audience"} {
		if o.Get(key) != "" {
			request[key] = o.Get(key)
		}
	}
	var made struct {
		ID      string   `json:"token_id"`
		Token   web.Text `json:"access_token"`
		Expires float64  `json:"expires_in"`
	}
	err := o.jfrog().Do(ctx, web.Call{
		Method: http.MethodPost, Path: jfrogTokens, JSON: request, Into: &made, Once: true, Needs: "a token that may make others with the scope " + o.Get("scope"),
	})
	if err != nil {
		return nil, err
	}
	return &credential{value: made.Token.Value, id: made.ID, expires: endOf(made.Expires)}, nil
}

// aliveJFrog asks a token about itself, which old platforms do not know.
func aliveJFrog(ctx context.Context, o *order, c *credential) (bool, error) {
	client := o.jfrog()
	client.Auth = web.Bearer(c.value)
	return accepted(client.Do(ctx, web.Call{Path: jfrogTokens + "/me"}), http.StatusForbidden)
}

// reapJFrog looks for the description, since to delete what there is not is a success. Who made a token sees it.
func reapJFrog(ctx context.Context, o *order, m secret.Minted) error {
	var list struct {
		Tokens []struct {
			ID          string `json:"token_id"`
			Description string `json:"description"`
		} `json:"tokens"`
	}
	query := url.Values{"description": {m.Name}}
	if err := o.jfrog().Do(ctx, web.Call{Path: jfrogTokens + "?" + query.Encode(), Into: &list, Needs: "to list tokens"}); err != nil {
		return err
	}
	for _, t := range list.Tokens {
		if t.ID == m.ID || strings.TrimSpace(t.Description) == m.Name {
			return o.jfrog().Do(ctx, web.Call{Method: http.MethodDelete, Path: jfrogTokens + "/" + url.PathEscape(t.ID), Needs: "to revoke tokens"})
		}
	}
	return secret.ErrNotFound
}
