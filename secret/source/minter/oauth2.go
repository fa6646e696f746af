package minter

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/source/web"
)

// oauth2 has a client get a token for itself: RFC 6749, section 4.4.
var oauth2 = &kind{
	scheme:  "oauth2",
	form:    "oauth2:TOKEN_URL?client-id=ID&client-secret=REFERENCE&scope=SCOPE+SCOPE&issuer=URL",
	what:    "an access token for an OAuth client itself",
	example: "oauth2:https://login.corp.example/token?client-id=ci&client-secret=env:CLIENT_SECRET&scope=packages.read&issuer=https://login.corp.example",
	about:   oauth2About,
	grade:   gradeOfOAuth2,
	path:    "the URL of the token endpoint",
	needs:   []string{"client-id", "client-secret"},
	keys:    oauth2Keys,
	parents: []string{"client-secret"},
	check:   checkOAuth2,
	mint: func(ctx context.Context, o *order) (*credential, error) {
		return mintOAuth2(ctx, o, o.copied(url.Values{"grant_type": {"client_credentials"}}, "scope", "audience", "resource"))
	},
	alive:  aliveOAuth2,
	revoke: revokeOAuth2,
}

// tokenExchange has an issuer take a token for another one: RFC 8693.
var tokenExchange = &kind{
	scheme:  "token-exchange",
	form:    "token-exchange:TOKEN_URL?subject=REFERENCE&subject-type=TYPE&audience=NAME&scope=SCOPE+SCOPE",
	what:    "an access token for another token, such as the CI's",
	example: "token-exchange:https://login.corp.example/token?client-id=ci&client-secret=env:CLIENT_SECRET&subject=env:ID_TOKEN&subject-type=id_token&audience=packages&scope=packages.read&issuer=https://login.corp.example",
	about:   oauth2About,
	grade:   gradeOfOAuth2,
	path:    "the URL of the token endpoint",
	needs:   []string{"subject"},
	keys:    append([]string{"client-id", "client-secret", "subject-type", "requested-type", "actor", "actor-type"}, oauth2Keys...),
	parents: []string{"client-secret", "subject", "actor"},
	check:   checkOAuth2,
	mint:    mintExchange,
	alive:   aliveOAuth2,
	revoke:  revokeOAuth2,
}

var oauth2Keys = []string{"scope", "audience", "resource", "auth", "issuer", "revoke-url", "introspect-url"}

var oauth2About = secret.MintAbout{
	Grade: secret.GradeA, Default: time.Hour, Life: "the issuer's",
	Takes:  "one of scope=, audience= and resource=, and revoke-url= or issuer=",
	Narrow: "scope=, audience= and resource=, as far as the issuer heeds them",
	Revoke: "with its value (RFC 7009), if revoke-url= or what issuer= publishes says where; not by reap",
}

func mintExchange(ctx context.Context, o *order) (*credential, error) {
	form := url.Values{
		"grant_type":           {"urn:ietf:params:oauth:grant-type:token-exchange"},
		"subject_token":        {text(o.values["subject"])},
		"subject_token_type":   {tokenType(o.Or("subject-type", "jwt"))},
		"requested_token_type": {tokenType(o.Or("requested-type", "access_token"))},
	}
	if o.Get("actor") != "" {
		form.Set("actor_token", text(o.values["actor"]))
		form.Set("actor_token_type", tokenType(o.Or("actor-type", "jwt")))
	}
	return mintOAuth2(ctx, o, o.copied(form, "scope", "audience", "resource"))
}

// text is a value as a parameter, without the newline at the end of its file.
func text(v secret.Value) string { return string(bytes.TrimSpace(v.Open())) }

// tokenType completes the names that RFC 8693 gives in section 3.
func tokenType(name string) string {
	if slices.Contains([]string{"access_token", "refresh_token", "id_token", "saml1", "saml2", "jwt"}, name) {
		return "urn:ietf:params:oauth:token-type:" + name
	}
	return name
}

// copied adds keys of the reference to a form.
func (o *order) copied(form url.Values, keys ...string) url.Values {
	for _, key := range keys {
		if v := o.Get(key); v != "" {
			form.Set(key, v)
		}
	}
	return form
}

func checkOAuth2(o *order) error {
	for _, address := range []string{o.Path, o.Get("issuer"), o.Get("revoke-url"), o.Get("introspect-url")} {
		if address == "" {
			continue // Path is there
		}
		if err := o.oauth2(address).Check(); err != nil {
			return err
		}
	}
	switch {
	case o.Get("auth") != "" && o.Get("auth") != "basic" && o.Get("auth") != "post":
		return o.wrong("auth= of "+o.kind.scheme+": is neither basic nor post", "auth=post")
	case o.Get("client-secret") != "" && o.Get("client-id") == "":
		return o.wrong("a reference to "+o.kind.scheme+": with client-secret= needs client-id=", "")
	}
	return nil
}

// oauth2 calls one endpoint.
func (o *order) oauth2(endpoint string) *web.Client {
	c := &web.Client{Who: "the OAuth server", Base: endpoint, Means: web.OAuth}
	if o.Get("client-secret") != "" && o.Get("auth") != "post" {
		c.Auth = o.basic
	}
	return c
}

// basic is that of RFC 6749, section 2.3.1, which encodes both halves first.
func (o *order) basic(_ context.Context, r *http.Request) error {
	r.SetBasicAuth(url.QueryEscape(o.Get("client-id")), url.QueryEscape(text(o.values["client-secret"])))
	return nil
}

// identified adds to a form who asks, unless the header says so.
func (o *order) identified(form url.Values) url.Values {
	switch {
	case o.Get("client-id") == "" || o.Get("client-secret") != "" && o.Get("auth") != "post":
	case o.Get("client-secret") == "":
		form.Set("client_id", o.Get("client-id"))
	default:
		form.Set("client_id", o.Get("client-id"))
		form.Set("client_secret", text(o.values["client-secret"]))
	}
	return form
}

func mintOAuth2(ctx context.Context, o *order, form url.Values) (*credential, error) {
	ends, err := o.endpoints(ctx)
	if err != nil {
		return nil, err
	}
	var made struct {
		Token   web.Text `json:"access_token"`
		Refresh web.Text `json:"refresh_token"`
		Expires float64  `json:"expires_in"`
	}
	err = o.oauth2(o.Path).Do(ctx, web.Call{Method: http.MethodPost, Form: o.identified(form), Into: &made, Once: true, Needs: "the grant " + form.Get("grant_type") + " for this client"})
	if err != nil {
		return nil, err
	}
	c := &credential{
		value: made.Token.Value, also: made.Refresh.Value,
		askAt: ends.Introspect, unasked: ends.Introspect == "", revokeAt: ends.Revoke, unrevocable: ends.Revoke == "",
	}
	c.expires = endOf(made.Expires)
	return c, nil
}

// endpoints are those that RFC 8414 names. Empty ones are not known.
type endpoints struct {
	Issuer     string `json:"issuer"`
	Revoke     string `json:"revocation_endpoint"`
	Introspect string `json:"introspection_endpoint"`
}

// endpoints asks the issuer where to send what the reference says nothing about.
func (o *order) endpoints(ctx context.Context) (endpoints, error) {
	var ends endpoints
	if issuer := o.Get("issuer"); issuer != "" && (o.Get("revoke-url") == "" || o.Get("introspect-url") == "") {
		if err := o.published(ctx, issuer, &ends); err != nil {
			return endpoints{}, err
		}
		// RFC 8414, section 3.3: otherwise somebody may publish where others send their tokens.
		if strings.TrimSuffix(ends.Issuer, "/") != strings.TrimSuffix(issuer, "/") {
			return endpoints{}, &secret.ResolveError{Ref: o.ref, Problem: o.kind.scheme + ": what is published at issuer= is about another issuer", Err: web.ErrMalformed}
		}
	}
	ends.Revoke, ends.Introspect = o.Or("revoke-url", ends.Revoke), o.Or("introspect-url", ends.Introspect)
	return ends, nil
}

// published reads what an issuer publishes about itself: RFC 8414, section 3, and OpenID Connect Discovery 1.0, section 4, which is older and
// has issuers with a path publish it somewhere else. The error is the one of the first.
func (o *order) published(ctx context.Context, issuer string, ends *endpoints) error {
	u, err := url.Parse(strings.TrimSuffix(issuer, "/"))
	if err != nil {
		return web.ErrMalformed // which Check refuses
	}
	path := u.EscapedPath()
	u.Path, u.RawPath = "", ""
	var first error
	for _, at := range []string{"/.well-known/oauth-authorization-server" + path, path + "/.well-known/openid-configuration"} {
		err := (&web.Client{Who: "the OAuth server", Base: u.String()}).Do(ctx, web.Call{Path: at, Into: ends})
		if status := web.StatusOf(err); status < 400 || status >= 500 {
			return err
		}
		first = cmp.Or(first, err)
	}
	return first
}

// aliveOAuth2 is RFC 7662.
func aliveOAuth2(ctx context.Context, o *order, c *credential) (bool, error) {
	var answer struct {
		Active *bool `json:"active"` // required, RFC 7662, section 2.2
	}
	form := o.identified(url.Values{"token": {text(c.value)}, "token_type_hint": {"access_token"}})
	err := o.oauth2(c.askAt).Do(ctx, web.Call{Method: http.MethodPost, Form: form, Into: &answer, Needs: "introspection for this client"})
	if err == nil && answer.Active == nil {
		err = web.ErrMalformed
	}
	return err == nil && *answer.Active, err
}

// revokeOAuth2 revokes what came with a token first, since that would make new ones. Each is tried, whatever became of the other: an issuer
// may revoke tokens of one kind alone.
func revokeOAuth2(ctx context.Context, o *order, c *credential) error {
	first := revokeOAuth2Token(ctx, o, c, "refresh_token", c.also)
	second := revokeOAuth2Token(ctx, o, c, "access_token", c.value)
	if first != nil && second != nil {
		return fmt.Errorf("%w; %w", first, second)
	}
	return cmp.Or(first, second)
}

// revokeOAuth2Token is RFC 7009, to which a token that is dead is none. So 404 is about the address.
func revokeOAuth2Token(ctx context.Context, o *order, c *credential, hint string, token secret.Value) error {
	if token.Len() == 0 {
		return nil
	}
	form := o.identified(url.Values{"token": {text(token)}, "token_type_hint": {hint}})
	err := o.oauth2(c.revokeAt).Do(ctx, web.Call{Method: http.MethodPost, Form: form, Needs: "revocation for this client"})
	if err == nil {
		return nil
	}
	what := "the " + strings.ReplaceAll(hint, "_", " ")
	if errors.Is(err, secret.ErrNotFound) {
		return &secret.ResolveError{Ref: o.ref, Problem: o.kind.scheme + ": revoking: " + what + ": " + err.Error(), Try: "correct revoke-url="}
	}
	return fmt.Errorf("%s: %w", what, err)
}
