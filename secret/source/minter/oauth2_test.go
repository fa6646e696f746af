package minter_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/secrettest"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// oauthServer is an OpenID provider with a client, ci, that may have tokens for itself and exchange others.
type oauthServer struct {
	url    string
	secret []byte
	calls  atomic.Int32
}

// oauthLife is how long the library's storage has tokens live.
const oauthLife = 5 * time.Minute

func startOAuth(t *testing.T) *oauthServer {
	t.Helper()
	s := &oauthServer{secret: append(secrettest.Canary(t), "+&%:ü"...)} // what has to be encoded, too
	var handler http.Handler
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.calls.Add(1); handler.ServeHTTP(w, r) }))
	t.Cleanup(server.Close)
	s.url = server.URL
	clients := map[string]*storage.Client{"ci": storage.WebClient("ci", string(s.secret))}
	store := oauthStorage{storage.NewStorageWithClients(storage.NewUserStore(s.url), clients), clients}
	provider, err := op.NewProvider(&op.Config{AuthMethodPost: true}, store, op.StaticIssuer(s.url), op.WithAllowInsecure(), op.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	handler = provider
	return s
}

// oauthStorage is the example's, with a client that is more than one kind.
type oauthStorage struct {
	*storage.Storage
	clients map[string]*storage.Client
}

func (s oauthStorage) ClientCredentials(ctx context.Context, id, password string) (op.Client, error) {
	return oauthClient{s.clients[id]}, s.AuthorizeClientIDSecret(ctx, id, password)
}

func (oauthStorage) ClientCredentialsTokenRequest(_ context.Context, id string, scopes []string) (op.TokenRequest, error) {
	return oauthRequest{id: id, scopes: scopes}, nil
}

type oauthClient struct{ *storage.Client }

func (oauthClient) GrantTypes() []oidc.GrantType {
	return []oidc.GrantType{oidc.GrantTypeClientCredentials}
}

// oauthRequest is a token request of a client for itself, which has the rights of the example's administrator.
type oauthRequest struct {
	op.TokenExchangeRequest
	id     string
	scopes []string
}

func (oauthRequest) GetSubject() string                       { return "id1" }
func (r oauthRequest) GetAudience() []string                  { return []string{r.id} }
func (r oauthRequest) GetScopes() []string                    { return r.scopes }
func (r oauthRequest) GetClientID() string                    { return r.id }
func (oauthRequest) GetRequestedTokenType() oidc.TokenType    { return oidc.AccessTokenType }
func (oauthRequest) GetExchangeActor() string                 { return "" }
func (oauthRequest) GetExchangeSubjectTokenIDOrToken() string { return "" }

// works asks the userinfo endpoint, which is a service that takes tokens.
func (s *oauthServer) works(t *testing.T, v secret.Value) bool {
	t.Helper()
	return get(t, s.url+"/userinfo", "Authorization", "Bearer "+string(v.Open())) == http.StatusOK
}

// TestOAuth2 finds the endpoints by the issuer, by their own keys, and not at all.
func TestOAuth2(t *testing.T) {
	s := startOAuth(t)
	for name, keys := range map[string]string{
		"issuer":     "",
		"keys":       "&revoke-url=URL/revoke&introspect-url=URL/oauth/introspect",
		"unasked":    "&revoke-url=URL/revoke&auth=post",
		"for a time": "",
	} {
		t.Run(name, func(t *testing.T) {
			secrettest.MinterContract(t, func(t *testing.T) secrettest.MinterFixture {
				before := s.calls.Load()
				p := parents{"SECRET": s.secret, "NOT": secrettest.Canary(t)}
				ref := strings.ReplaceAll("oauth2:URL/oauth/token?client-id=ci&scope=openid+profile&client-secret=env:SECRET"+keys, "URL", s.url)
				if name == "issuer" {
					ref = example(t, "oauth2", "https://login.corp.example/token", s.url+"/oauth/token", "https://login.corp.example", s.url, "CLIENT_SECRET", "SECRET", "packages.read", "openid+profile")
				}
				m, r := minterOf(t, p, ref)
				return secrettest.MinterFixture{
					Minter: m, Ref: r, Life: oauthLife, Works: s.works, Parents: p.values(),
					Broken:  broken(t, strings.ReplaceAll(ref, "env:SECRET", "env:NOT"), strings.ReplaceAll(ref, "/oauth/token", "/nowhere")),
					Reached: func() int { return int(s.calls.Load() - before) },
				}
			})
		})
	}
}

// TestTokenExchange exchanges a token that the same issuer made.
func TestTokenExchange(t *testing.T) {
	s := startOAuth(t)
	p := parents{"SECRET": s.secret, "NOT": secrettest.Canary(t)}
	m, r := minterOf(t, p, "oauth2:"+s.url+"/oauth/token?client-id=ci&client-secret=env:SECRET&scope=openid")
	subject, err := m.Resolve(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	p["SUBJECT"] = subject.Value.Open()
	secrettest.MinterContract(t, func(t *testing.T) secrettest.MinterFixture {
		before := s.calls.Load()
		ref := example(t, "token-exchange", "https://login.corp.example/token", s.url+"/oauth/token", "https://login.corp.example", s.url,
			"CLIENT_SECRET", "SECRET", "ID_TOKEN", "SUBJECT", "id_token", "access_token", "audience=packages", "audience=ci", "packages.read", "openid")
		m, r := minterOf(t, p, ref)
		return secrettest.MinterFixture{
			Minter: m, Ref: r, Life: oauthLife, Works: s.works, Parents: p.values(),
			Broken:  broken(t, strings.ReplaceAll(ref, "env:SUBJECT", "env:NOT"), strings.ReplaceAll(ref, "env:SECRET", "env:NOT")),
			Reached: func() int { return int(s.calls.Load() - before) },
		}
	})
}

// TestOAuth2Refresh has an issuer whose tokens come with others that make new ones, and one that revokes tokens of one kind alone.
func TestOAuth2Refresh(t *testing.T) {
	const unsupported = " token: the OAuth server answered 400 Bad Request: unsupported_token_type"
	for _, test := range []struct {
		refuses, want string
	}{
		{"none", "<nil>"},
		{"refresh_token", "oauth2: revoking: the refresh" + unsupported},
		{"access_token", "oauth2: revoking: the access" + unsupported},
		{"_token", "oauth2: revoking: the refresh" + unsupported + "; the access" + unsupported},
	} {
		var asked []string
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/token":
				_ = json.NewEncoder(w).Encode(map[string]any{"access_token": "a-token", "refresh_token": "r-token", "token_type": "bearer", "expires_in": 60})
			case "/revoke":
				asked = append(asked, r.PostFormValue("token_type_hint")+" "+r.PostFormValue("token"))
				if strings.HasSuffix(r.PostFormValue("token_type_hint"), test.refuses) {
					w.WriteHeader(http.StatusBadRequest)
					_ = json.NewEncoder(w).Encode(map[string]any{"error": "unsupported_token_type"})
				}
			}
		}))
		m, r := minterOf(t, parents{"SECRET": secrettest.Canary(t)}, fmt.Sprintf("oauth2:%s/token?client-id=ci&client-secret=env:SECRET&revoke-url=%[1]s/revoke", server.URL))
		lease, err := m.Resolve(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		err = lease.Revoke(t.Context())
		if got := strings.Join(asked, ", "); got != "refresh_token r-token, access_token a-token" || fmt.Sprint(err) != test.want {
			t.Errorf("refusing %s: asked to revoke %s, %v", test.refuses, got, err)
		}
		server.Close()
	}
}

// TestOAuth2RevokedNowhere has the wrong address to revoke at: that says nothing about the token.
func TestOAuth2RevokedNowhere(t *testing.T) {
	s := startOAuth(t)
	m, r := minterOf(t, parents{"SECRET": s.secret}, "oauth2:"+s.url+"/oauth/token?client-id=ci&client-secret=env:SECRET&scope=openid&revoke-url="+s.url+"/nowhere")
	lease, err := m.Resolve(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if err := lease.Revoke(t.Context()); err == nil || errors.Is(err, secret.ErrNotFound) || !s.works(t, lease.Value) {
		t.Errorf("got %v", err)
	}
}

// TestOAuth2Errors has what an issuer says about refusals.
func TestOAuth2Errors(t *testing.T) {
	bait := string(secrettest.Canary(t))
	for answer, want := range map[string]string{
		`{"error":"invalid_client"}`:      "oauth2: making a credential: the OAuth server answered 401 Unauthorized: invalid_client: needs the grant client_credentials for this client",
		`{"error":"unauthorized_client"}`: "oauth2: making a credential: the OAuth server answered 403 Forbidden: unauthorized_client: needs the grant client_credentials for this client",
		`{"error":"invalid_scope"}`:       "oauth2: making a credential: the OAuth server answered 400 Bad Request: invalid_scope",
		`{"error":"` + bait + `"}`:        "oauth2: making a credential: the OAuth server answered 400 Bad Request",
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(answer))
		}))
		m, r := minterOf(t, parents{"SECRET": secrettest.Canary(t)}, "oauth2:"+server.URL+"?client-id=ci&client-secret=env:SECRET")
		if _, err := m.Resolve(t.Context(), r); err == nil || err.Error() != want {
			t.Errorf("%s: got %v", answer, err)
		}
		server.Close()
	}
}

// TestOAuth2Issuer has an issuer that publishes what is about another one.
func TestOAuth2Issuer(t *testing.T) {
	s := startOAuth(t)
	for issuer, want := range map[string]string{
		strings.Replace(s.url, "127.0.0.1", "localhost", 1): "oauth2: what is published at issuer= is about another issuer",
		s.url + "/other": "oauth2: making a credential: the OAuth server answered 404 Not Found",
	} {
		m, r := minterOf(t, parents{"SECRET": s.secret}, "oauth2:"+s.url+"/oauth/token?client-id=ci&client-secret=env:SECRET&issuer="+issuer)
		if _, err := m.Resolve(t.Context(), r); err == nil || err.Error() != want {
			t.Errorf("got %v", err)
		}
	}
}

// TestOAuth2Published has issuers that publish where their endpoints are in one of two places, with and without a path.
func TestOAuth2Published(t *testing.T) {
	for issuer, places := range map[string][]string{
		"":       {"/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"},
		"/":      {"/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"},
		"/a/b":   {"/.well-known/oauth-authorization-server/a/b", "/a/b/.well-known/openid-configuration"},
		"/a%2Fb": {"/.well-known/oauth-authorization-server/a%2Fb", "/a%2Fb/.well-known/openid-configuration"},
	} {
		for _, place := range places {
			revoked := false
			server := httptest.NewServer(nil)
			server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch r.URL.EscapedPath() {
				case place:
					_ = json.NewEncoder(w).Encode(map[string]string{"issuer": server.URL + issuer, "revocation_endpoint": server.URL + "/revoke"})
				case "/token":
					_ = json.NewEncoder(w).Encode(map[string]any{"access_token": "a-token", "token_type": "bearer"})
				case "/revoke":
					revoked = true
				default:
					w.WriteHeader(http.StatusNotFound)
				}
			})
			m, r := minterOf(t, parents{"SECRET": secrettest.Canary(t)}, "oauth2:"+server.URL+"/token?client-id=ci&client-secret=env:SECRET&issuer="+strings.ReplaceAll(server.URL+issuer, "%", "%25"))
			lease, err := m.Resolve(t.Context(), r)
			if err != nil {
				t.Errorf("%s: %v", place, err)
			} else if err := lease.Revoke(t.Context()); err != nil || !revoked {
				t.Errorf("%s: revoked: %t, %v", place, revoked, err)
			}
			server.Close()
		}
	}
}
