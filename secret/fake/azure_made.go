package fake

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// registryExchange follows azure.github.io/acr/AAD-OAuth.html, as does registryToken. The registry is acme, the repository
// shop/api.
func (a *Azure) registryExchange(r *http.Request) Answer {
	t, ok := a.Token(r.PostFormValue("access_token"))
	if !ok || !strings.HasPrefix(r.Host, "acme.") || r.PostFormValue("grant_type") != "access_token" || r.PostFormValue("service") != r.Host || t.About["resource"] != "https://containerregistry.azure.net" {
		return a.registryError()
	}
	return OK(map[string]any{"refresh_token": a.registryJWT("refresh", 3*time.Hour, "")})
}

func (a *Azure) registryToken(r *http.Request) Answer {
	t, ok := a.Token(r.PostFormValue("refresh_token"))
	if !ok || r.PostFormValue("grant_type") != "refresh_token" || r.PostFormValue("service") != r.Host || t.Name != "refresh" {
		return a.registryError()
	}
	if slices.ContainsFunc(r.PostForm["scope"], func(scope string) bool { return !strings.HasPrefix(scope, "repository:shop/api:") }) {
		return a.registryError()
	}
	return OK(map[string]any{"access_token": a.registryJWT("access", 75*time.Minute, strings.Join(r.PostForm["scope"], " "))})
}

func (a *Azure) registryError() Answer {
	return Answer{Status: http.StatusUnauthorized, Body: map[string]any{"errors": []any{map[string]string{"code": "UNAUTHORIZED", "message": a.Bait}}}}
}

// registryJWT looks like a token that ends. Nobody but the registry verifies one.
func (a *Azure) registryJWT(name string, life time.Duration, scope string) string {
	ends := a.Now().Add(life)
	var parts []string
	for _, part := range []string{`{"alg":"RS256"}`, fmt.Sprintf(`{"jti":%q,"exp":%d}`, rand.Text(), ends.Unix()), rand.Text()} {
		parts = append(parts, base64.RawURLEncoding.EncodeToString([]byte(part)))
	}
	return a.Issue("", life, Token{Name: name, Value: strings.Join(parts, "."), About: map[string]string{"scope": scope}}).Value
}
