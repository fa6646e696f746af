package fake

import (
	"crypto/rand"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Azure follows learn.microsoft.com: rest/api/keyvault/secrets/get-secret, entra/identity-platform/v2-oauth2-client-creds-grant-flow and
// entra/identity/managed-identities-azure-resources/how-to-use-vm-token and azure/app-service/overview-managed-identity.
type Azure struct {
	*Fake
	Tenant, Client string
	Secret         string // of the client, and of App Service
	Assertion      string // of another issuer, instead of the secret
	Machine        bool   // has an identity

	secrets map[string]string
}

// NewAzure has a client.
func NewAzure(t testing.TB) *Azure {
	a := &Azure{
		Fake:   New(),
		Tenant: "72f988bf-86f1-41af-91ab-2d7cd011db47", Client: "6731de76-14a6-49ae-97bc-6eba6914391e", Secret: rand.Text(), Assertion: rand.Text(),
		secrets: map[string]string{},
	}
	a.Serve(t, API{
		Calls: map[string]func(*http.Request) Answer{
			"GET /secrets/{name}":                 a.Authorized(a.get),
			"GET /secrets/{name}/{version...}":    a.Authorized(a.get), // Azure's own client ends with a slash
			"POST /{tenant}/oauth2/v2.0/token":    a.token,
			"GET /metadata/identity/oauth2/token": a.machine,
			"GET login.microsoftonline.com/{tenant}/v2.0/.well-known/openid-configuration": a.discover,
			"GET /msi/token":        a.appService,
			"POST /oauth2/exchange": a.registryExchange,
			"POST /oauth2/token":    a.registryToken,
		},
		Error: func(status int, message string) Answer {
			code := map[int]string{401: "Unauthorized", 403: "Forbidden", 404: "SecretNotFound"}[status]
			answer := OK(map[string]any{"error": map[string]any{"code": code, "message": message}})
			if status == http.StatusUnauthorized {
				authority := "https://login.windows.net/" + a.Tenant
				answer.Header = map[string]string{"WWW-Authenticate": `Bearer authorization="` + authority + `", resource="https://vault.azure.net"`}
			}
			return answer
		},
	})
	return a
}

// Put stores a secret by its host and path: "shop-ci.vault.azure.net/secrets/pip".
func (a *Azure) Put(path, value string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.secrets[path] = value
}

func (a *Azure) get(r *http.Request, t Token) Answer {
	a.mu.Lock()
	value, ok := a.secrets[r.Host+strings.TrimSuffix(r.URL.Path, "/")]
	a.mu.Unlock()
	switch {
	case r.URL.Query().Get("api-version") == "":
		return a.Refuse(http.StatusBadRequest, "api-version must be specified")
	case t.About["resource"] != "https://vault.azure.net":
		return a.Refuse(http.StatusUnauthorized, "AKV10022: Invalid audience.")
	case !ok:
		return a.Refuse(http.StatusNotFound, "A secret with that name was not found in this key vault.")
	}
	return OK(map[string]any{
		"value": value, "id": "https://" + r.Host + r.URL.Path + "/4387e9f3d6e14c459867679a90fd0f79",
		"attributes": map[string]any{"enabled": true, "created": 1493938410, "updated": 1493938410, "recoveryLevel": "Recoverable+Purgeable"},
	})
}

func (a *Azure) discover(r *http.Request) Answer {
	base := "https://" + r.Host + "/" + r.PathValue("tenant")
	return OK(map[string]string{
		"issuer": base + "/v2.0", "authorization_endpoint": base + "/oauth2/v2.0/authorize", "token_endpoint": base + "/oauth2/v2.0/token",
	})
}

func (a *Azure) token(r *http.Request) Answer {
	asserted := r.PostFormValue("client_assertion") == a.Assertion &&
		r.PostFormValue("client_assertion_type") == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	if r.PathValue("tenant") != a.Tenant || r.PostFormValue("client_id") != a.Client || r.PostFormValue("grant_type") != "client_credentials" ||
		r.PostFormValue("client_secret") != a.Secret && !asserted {
		return Answer{Status: http.StatusUnauthorized, Body: map[string]any{"error": "invalid_client", "error_description": "AADSTS7000215: " + a.Bait}}
	}
	scope, _, _ := strings.Cut(r.PostFormValue("scope"), " ") // Azure's own client asks for more
	t := a.Issue("eyJ0", time.Hour, Token{Name: "client", About: map[string]string{"resource": strings.TrimSuffix(scope, "/.default")}})
	return OK(map[string]any{"token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599, "access_token": t.Value})
}

func (a *Azure) machine(r *http.Request) Answer {
	if !a.Machine || r.Header.Get("Metadata") != "true" {
		return Answer{Status: http.StatusBadRequest, Body: map[string]string{"error": "invalid_request", "error_description": "Identity not found"}}
	}
	return a.identity(r)
}

func (a *Azure) appService(r *http.Request) Answer {
	if r.Header.Get("X-Identity-Header") != a.Secret || r.URL.Query().Get("api-version") != "2019-08-01" {
		return a.Refuse(http.StatusForbidden, "the header is not the secret")
	}
	return a.identity(r)
}

func (a *Azure) identity(r *http.Request) Answer {
	resource := r.URL.Query().Get("resource")
	t := a.Issue("eyJ0", time.Hour, Token{Name: "machine", About: map[string]string{"resource": resource}})
	return OK(map[string]any{"access_token": t.Value, "expires_in": "3599", "expires_on": "1506484173", "resource": resource, "token_type": "Bearer"})
}
