// Package identity finds the tokens by which CI systems vouch for a job. They open nothing by themselves: stores and issuers take them
// instead of a password.
package identity

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/source/jwt"
	"github.com/tightlip/tightlip/secret/source/web"
)

// system is one CI system.
type system struct {
	scheme string
	about  secret.About
	token  func(ctx context.Context, rest string) (secret.Value, error)
	try    string // what to do if there is no token
}

func systems() []system {
	return []system{
		{"github-oidc", secret.About{
			Form: "github-oidc:AUDIENCE", What: "a token by which GitHub Actions (also Gitea's and Forgejo's) vouches for this job",
			Example: "github-oidc:https://vault.corp.example", Variables: []string{"ACTIONS_ID_TOKEN_REQUEST_TOKEN"},
		}, github, "add permissions: {id-token: write} to the job"},
		{"gitlab-oidc", secret.About{
			Form: "gitlab-oidc:VARIABLE", What: "a token by which GitLab vouches for this job, as .gitlab-ci.yml names it", Example: "gitlab-oidc:VAULT_ID_TOKEN",
			Variable: true,
		}, gitlab, "add id_tokens: {NAME: {aud: AUDIENCE}} to the job"},
	}
}

// Sources returns the source of each CI system.
func Sources() []secret.Source {
	var sources []secret.Source
	for _, s := range systems() {
		sources = append(sources, source{s})
	}
	return sources
}

type source struct{ system }

// Scheme implements secret.Source.
func (s source) Scheme() string { return s.scheme }

// About implements secret.Described.
func (s source) About() secret.About { return s.about }

// Resolve implements secret.Source. The lease ends when the token says.
func (s source) Resolve(ctx context.Context, ref secret.Ref) (*secret.Lease, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	value, err := s.token(ctx, ref.Rest)
	if err != nil {
		return nil, s.explain(ref, err)
	}
	switch {
	case value.Len() == 0:
		return nil, s.explain(ref, secret.ErrEmpty)
	case value.Len() > secret.MaxSize:
		return nil, s.explain(ref, secret.ErrTooLarge)
	}
	expires, err := jwt.Expires(value)
	if err == nil && !expires.IsZero() && time.Now().After(expires) {
		err = errExpired
	}
	if err != nil {
		return nil, s.explain(ref, err)
	}
	return &secret.Lease{Value: value, Expires: expires, ID: ref.String()}, nil
}

var errExpired = errors.New("has expired")

func (s source) explain(ref secret.Ref, err error) error {
	if re, ok := errors.AsType[*secret.ResolveError](err); ok {
		ours := *re
		ours.Ref, ours.Try = ref, s.try
		return &ours
	}
	return &secret.ResolveError{Ref: ref, Problem: "the token of " + ref.String() + " " + err.Error(), Try: s.try, Err: err}
}

// github follows docs.github.com/actions/reference/security/oidc: the job is told where to ask, and with what.
func github(ctx context.Context, audience string) (secret.Value, error) {
	address, err := url.Parse(os.Getenv("ACTIONS_ID_TOKEN_REQUEST_URL"))
	key := os.Getenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN")
	if err != nil || address.Host == "" || key == "" {
		return secret.Value{}, errors.New("cannot be asked for: ACTIONS_ID_TOKEN_REQUEST_URL and ACTIONS_ID_TOKEN_REQUEST_TOKEN are not set")
	}
	secret.Uses(ctx, "ACTIONS_ID_TOKEN_REQUEST_TOKEN", secret.NewValue([]byte(key)))
	query := address.Query()
	query.Set("audience", audience)
	path := address.EscapedPath() + "?" + query.Encode()
	c := web.Client{Who: "GitHub Actions", Base: address.Scheme + "://" + address.Host, Auth: web.Bearer(secret.NewValue([]byte(key)))}
	var answer struct {
		Value *web.Text `json:"value"`
	}
	err = c.Do(ctx, web.Call{Path: path, Header: http.Header{"Accept": {"application/json; api-version=2.0"}}, Into: &answer, Needs: "id-token: write"})
	if err == nil && answer.Value == nil {
		err = web.ErrMalformed
	}
	if err != nil {
		return secret.Value{}, secret.Prerequisite("asking GitHub Actions for a token", err)
	}
	return answer.Value.Value, nil
}

// gitlab follows docs.gitlab.com/ci/secrets/id_token_authentication: tokens are in variables before the job starts.
func gitlab(_ context.Context, variable string) (secret.Value, error) {
	text, ok := os.LookupEnv(variable)
	if !ok {
		return secret.Value{}, secret.ErrNotFound
	}
	return secret.NewValue([]byte(strings.TrimSpace(text))), nil
}
