package fake

import (
	"crypto/rand"
	"crypto/rsa"
	"maps"
	"net/http"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jwt"
)

// Issuer is a CI system that vouches for a job. It follows docs.github.com/actions/reference/security/oidc and OpenID Connect Discovery 1.0.
// Tokens are signed, and verified from the published keys, by a library that has nothing of ours.
type Issuer struct {
	*Fake
	RequestURL   string            // ACTIONS_ID_TOKEN_REQUEST_URL
	RequestToken string            // ACTIONS_ID_TOKEN_REQUEST_TOKEN
	Claims       map[string]any    // of each token, over those that GitHub's have
	Prepared     map[string]string // tokens by their audience, instead of those that it would make

	key jwk.Key
}

// NewIssuer has a key of its own.
func NewIssuer(t testing.TB) *Issuer {
	t.Helper()
	i := &Issuer{Fake: New()}
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err == nil {
		i.key, err = jwk.Import(private)
	}
	if err == nil {
		err = i.key.Set(jwk.KeyIDKey, rand.Text())
	}
	if err != nil {
		t.Fatal(err)
	}
	i.Serve(t, API{
		Calls: map[string]func(*http.Request) Answer{
			"GET /job/idtoken/1":    i.Authorized(i.idToken),
			"GET /.well-known/jwks": func(*http.Request) Answer { return OK(i.Keys()) },
			"GET /.well-known/openid-configuration": func(*http.Request) Answer {
				return OK(map[string]any{
					"issuer": i.URL, "jwks_uri": i.URL + "/.well-known/jwks", "id_token_signing_alg_values_supported": []string{"RS256"},
					"response_types_supported": []string{"id_token"}, "subject_types_supported": []string{"public"},
				})
			},
		},
		Error: func(_ int, message string) Answer { return OK(map[string]string{"message": message}) },
	})
	i.RequestURL = i.URL + "/job/idtoken/1?api-version=2.0"
	i.RequestToken = i.Issue("", time.Hour, Token{Name: "request"}).Value
	return i
}

func (i *Issuer) idToken(r *http.Request, _ Token) Answer {
	audience := r.URL.Query().Get("audience")
	if token, ok := i.Prepared[audience]; ok {
		return OK(map[string]any{"count": 1, "value": token})
	}
	claims := map[string]any{"aud": audience, "sub": "repo:shop/app:ref:refs/heads/main", "repository": "shop/app"}
	maps.Copy(claims, i.Claims)
	return OK(map[string]any{"count": 1, "value": i.Sign(claims)})
}

// Sign makes a token that lives for five minutes by the issuer's clock.
func (i *Issuer) Sign(claims map[string]any) string {
	now := i.Now()
	all := map[string]any{"iss": i.URL, "iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(), "jti": rand.Text()}
	maps.Copy(all, claims)
	token := jwt.New()
	for name, value := range all {
		if err := token.Set(name, value); err != nil {
			panic(err) // a claim that is no claim is a broken test
		}
	}
	signed, err := jwt.Sign(token, jwt.WithKey(jwa.RS256(), i.key))
	if err != nil {
		panic(err)
	}
	return string(signed)
}

// Keys are those that verify.
func (i *Issuer) Keys() jwk.Set {
	set := jwk.NewSet()
	public, err := i.key.PublicKey()
	if err == nil {
		err = public.Set(jwk.AlgorithmKey, jwa.RS256())
	}
	if err == nil {
		err = set.AddKey(public)
	}
	if err != nil {
		panic(err)
	}
	return set
}

// Verify returns the claims of a token that is for an audience, as who trusts the issuer would. Its clock is the one of now.
func (i *Issuer) Verify(token, audience string, now func() time.Time) (jwt.Token, error) {
	return jwt.Parse([]byte(token), jwt.WithKeySet(i.Keys()), jwt.WithIssuer(i.URL), jwt.WithAudience(audience), jwt.WithClock(jwt.ClockFunc(now)))
}
