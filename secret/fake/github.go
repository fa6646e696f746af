package fake

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwt"
)

// GitHub follows docs.github.com/rest/apps/apps#create-an-installation-access-token-for-an-app and rest/apps/installations. The app 12345 has
// the installation 678, with the repositories api and web and the permissions contents and packages.
type GitHub struct {
	*Fake
	Key []byte // of the app, as PEM

	public *rsa.PublicKey
}

// NewGitHub has an app.
func NewGitHub(t testing.TB) *GitHub {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	key := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(private)})
	g := &GitHub{Fake: New(), Key: key, public: &private.PublicKey}
	g.Serve(t, API{
		Calls: map[string]func(*http.Request) Answer{
			"POST /app/installations/{id}/access_tokens": g.create,
			"DELETE /installation/token":                 g.Authorized(g.revokeSelf),
			"GET /installation/repositories":             g.Authorized(g.repositories),
			"GET /repos/shop/{name}":                     g.Authorized(g.repository),
		},
		Error: func(status int, message string) Answer {
			return Answer{Status: status, Body: map[string]string{"message": message, "documentation_url": "https://docs.github.com/rest"}}
		},
	})
	return g
}

// app verifies that the app itself asks.
func (g *GitHub) app(r *http.Request) bool {
	text, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	token, err := jwt.Parse([]byte(text), jwt.WithKey(jwa.RS256(), g.public), jwt.WithClock(jwt.ClockFunc(g.Now)))
	if err != nil {
		return false
	}
	issuer, _ := token.Issuer()
	issued, _ := token.IssuedAt()
	ends, _ := token.Expiration()
	return issuer == "12345" && !issued.IsZero() && ends.Before(g.Now().Add(10*time.Minute))
}

func (g *GitHub) create(r *http.Request) Answer {
	form := Body[struct {
		Repositories []string
		Permissions  map[string]string
	}](r)
	switch {
	case !g.app(r):
		return g.Refuse(http.StatusUnauthorized, "A JSON web token could not be decoded")
	case r.PathValue("id") != "678":
		return g.Refuse(http.StatusNotFound, "Not Found")
	case slices.ContainsFunc(form.Repositories, func(name string) bool { return name != "api" && name != "web" }):
		return g.Refuse(http.StatusUnprocessableEntity, "There is at least one repository that does not exist or is not accessible to the parent installation.")
	}
	for name := range form.Permissions {
		if name != "contents" && name != "packages" {
			return g.Refuse(http.StatusUnprocessableEntity, "The permissions requested are not granted to this installation.")
		}
	}
	if form.Repositories == nil {
		form.Repositories = []string{"api", "web"}
	}
	t := g.Issue("ghs_", time.Hour, Token{About: map[string]string{"repositories": strings.Join(form.Repositories, ",")}})
	return Answer{Status: http.StatusCreated, Body: map[string]any{
		"token": t.Value, "expires_at": t.Expires.UTC().Format(time.RFC3339), "permissions": form.Permissions, "repository_selection": "selected",
	}}
}

func (g *GitHub) revokeSelf(_ *http.Request, t Token) Answer {
	g.Revoke(func(other Token) bool { return other.ID == t.ID })
	return Answer{Status: http.StatusNoContent}
}

func (g *GitHub) repositories(_ *http.Request, t Token) Answer {
	return OK(map[string]any{"total_count": len(strings.Split(t.About["repositories"], ",")), "repositories": []any{}})
}

func (g *GitHub) repository(r *http.Request, t Token) Answer {
	if !slices.Contains(strings.Split(t.About["repositories"], ","), r.PathValue("name")) {
		return g.Refuse(http.StatusNotFound, "Not Found")
	}
	return OK(map[string]any{"full_name": "shop/" + r.PathValue("name")})
}
