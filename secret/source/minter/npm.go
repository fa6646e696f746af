package minter

import (
	"context"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/source/web"
)

// npmToken makes a token of a registry for npm as npm token create does, or for registries without that API as npm login does:
// lib/index.js of npm-profile.
//
// Not every registry ends what it deletes. Verdaccio 6 answers to npm logout that it did, and does nothing.
var npmToken = &kind{
	scheme:  "npm-token",
	form:    "npm-token:https://HOST?user=NAME&password=REFERENCE",
	what:    "a token for a registry of npm packages",
	example: "npm-token:https://npm.corp.example?user=ci&password=env:NPM_PASSWORD&cidr=192.0.2.0/24",
	about: secret.MintAbout{
		Grade: secret.GradeB, Narrow: "to reading, unless read-only=false; cidr= to networks; with login=true to nothing, which is as bad as D",
		Revoke: "deleted by its ID, or with login=true by its value, and asked after, since some registries go on to accept it; reap can if the ID is known",
	},
	path:    "the address of the registry",
	needs:   []string{"password"},
	keys:    []string{"user", "token", "read-only", "cidr", "login"},
	parents: []string{"password", "token"},
	check:   checkNPM,
	mint:    mintNPM,
	alive:   aliveNPM,
	revoke:  revokeNPM,
	reap:    reapNPM,
}

func checkNPM(o *order) error {
	if (o.Get("user") == "") == (o.Get("token") == "") {
		return o.wrong("a reference to npm-token: needs one of user= and token=", "")
	}
	for _, key := range []string{"read-only", "login"} {
		if !slices.Contains([]string{"true", "false"}, o.Or(key, "true")) {
			return o.wrong(key+"= of npm-token: is neither true nor false", key+"=false")
		}
	}
	if o.npmLogin() && (o.Get("token") != "" || o.Get("read-only") != "" || o.Get("cidr") != "") {
		return o.wrong("login=true of npm-token: takes user= and password=, and the token is not narrowed", "leave token=, read-only= and cidr= out")
	}
	for _, network := range o.List("cidr") {
		if p, err := netip.ParsePrefix(network); err != nil || !p.Addr().Is4() {
			return o.wrong("cidr= of npm-token: is no list of IPv4 networks", "cidr=192.0.2.0/24")
		}
	}
	return o.npm().Check()
}

func (o *order) npm() *web.Client {
	c := &web.Client{Who: "the registry", Base: o.Path, Auth: web.Basic(o.Get("user"), o.values["password"])}
	if o.Get("token") != "" {
		c.Auth = web.Bearer(o.values["token"])
	}
	return c
}

const npmTokens = "/-/npm/v1/tokens"

// npmLogin tells whether the registry lacks the API for tokens.
func (o *order) npmLogin() bool { return o.Get("login") == "true" }

func mintNPM(ctx context.Context, o *order) (*credential, error) {
	if o.npmLogin() {
		return mintNPMLogin(ctx, o)
	}
	var made struct {
		Key   string   `json:"key"`
		Token web.Text `json:"token"`
	}
	request := map[string]any{"password": text(o.values["password"]), "readonly": o.Or("read-only", "true") == "true", "cidr_whitelist": append([]string{}, o.List("cidr")...)}
	err := o.npm().Do(ctx, web.Call{Method: http.MethodPost, Path: npmTokens, JSON: request, Into: &made, Once: true, Needs: "the user's password, and no second factor for tokens"})
	if err != nil {
		return nil, err
	}
	return &credential{value: made.Token.Value, id: made.Key}, nil
}

// mintNPMLogin looks first whether there is such a user: to log in as one that there is not makes one.
func mintNPMLogin(ctx context.Context, o *order) (*credential, error) {
	known, err := npmKnows(ctx, o.npm())
	if err != nil {
		return nil, err
	}
	if !known {
		return nil, &secret.ResolveError{Ref: o.ref, Problem: "npm-token: the registry does not know " + o.Get("user") + " with this password", Try: "check user= and " + o.Get("password")}
	}
	var made struct {
		Token web.Text `json:"token"`
	}
	name := "org.couchdb.user:" + o.Get("user")
	request := map[string]any{"_id": name, "name": o.Get("user"), "password": text(o.values["password"]), "type": "user", "roles": []string{}}
	err = o.npm().Do(ctx, web.Call{Method: http.MethodPut, Path: "/-/user/" + url.PathEscape(name), JSON: request, Into: &made, Once: true, Needs: "the user's password"})
	if err != nil {
		return nil, err
	}
	return &credential{value: made.Token.Value}, nil
}

// revokeNPM deletes a token. That of a login has no ID: it stands in the path, and so in the log of the registry.
func revokeNPM(ctx context.Context, o *order, c *credential) error {
	if !o.npmLogin() {
		return reapNPM(ctx, o, secret.Minted{Name: o.name, ID: c.id})
	}
	client := &web.Client{Who: "the registry", Base: o.Path, Auth: web.Bearer(c.value)}
	err := client.Do(ctx, web.Call{Method: http.MethodDelete, Path: "/-/user/token/" + url.PathEscape(text(c.value))})
	if web.StatusOf(err) == http.StatusUnauthorized { // it is dead
		return nil
	}
	return err
}

func aliveNPM(ctx context.Context, o *order, c *credential) (bool, error) {
	return npmKnows(ctx, &web.Client{Who: "the registry", Base: o.Path, Auth: web.Bearer(c.value)})
}

// npmKnows tells whether the registry takes a client for anybody.
func npmKnows(ctx context.Context, client *web.Client) (bool, error) {
	var who struct {
		Username string `json:"username"`
	}
	err := client.Do(ctx, web.Call{Path: "/-/whoami", Into: &who})
	if web.StatusOf(err) == http.StatusForbidden { // verdaccio's word for a token that was deleted
		return false, nil
	}
	alive, err := accepted(err)
	return alive && who.Username != "", err
}

// reapNPM deletes by ID. A token has no name; without its ID nobody knows which it is.
func reapNPM(ctx context.Context, o *order, m secret.Minted) error {
	if m.ID == "" || m.ID == m.Name {
		return &secret.ResolveError{Ref: o.ref, Problem: "npm-token: the registry does not know tokens by name", Try: "npm token list", Err: secret.ErrNotRevocable}
	}
	listed, err := npmListed(ctx, o, m.ID)
	if err == nil && !listed {
		err = secret.ErrNotFound
	}
	if err != nil {
		return err
	}
	return o.npm().Do(ctx, web.Call{Method: http.MethodDelete, Path: npmTokens + "/token/" + url.PathEscape(m.ID), Needs: "the user's own tokens"})
}

// npmListed looks first: verdaccio answers 500 to deleting what it has not.
func npmListed(ctx context.Context, o *order, id string) (bool, error) {
	for next := npmTokens + "?perPage=100"; next != ""; {
		var page struct {
			Objects []struct {
				Key string `json:"key"`
			} `json:"objects"`
			URLs struct {
				Next string `json:"next"`
			} `json:"urls"`
		}
		if err := o.npm().Do(ctx, web.Call{Path: next, Into: &page, Needs: "the user's own tokens"}); err != nil {
			return false, err
		}
		for _, token := range page.Objects {
			if token.Key == id {
				return true, nil
			}
		}
		if next = page.URLs.Next; next != "" && !strings.HasPrefix(next, "/") {
			return false, web.ErrMalformed
		}
	}
	return false, nil
}
