package fake

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"hash/crc32"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwt"
)

// Google follows cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets.versions/access,
// developers.google.com/identity/protocols/oauth2/service-account, google.aip.dev/auth/4117 and
// cloud.google.com/compute/docs/access/authenticate-workloads and
// cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/generateAccessToken.
type Google struct {
	*Fake
	Subject string // of another issuer, that is exchanged; also a user's refresh token
	Damage  bool   // the checksum is another value's

	key     *rsa.PrivateKey
	secrets map[string][]byte // by the name of the version
}

// NewGoogle has a service account.
func NewGoogle(t testing.TB) *Google {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	g := &Google{Fake: New(), key: key, secrets: map[string][]byte{}, Subject: rand.Text()}
	g.Serve(t, API{
		Calls: map[string]func(*http.Request) Answer{
			"GET /v1/{name...}": g.Authorized(g.access),
			"POST /token":       g.token,
			"POST /v1/token":    g.exchange,
			"POST /v1/projects/-/serviceAccounts/{account}":                   g.Authorized(g.impersonate),
			"GET /computeMetadata/v1/instance/service-accounts/default/token": g.metadata,
		},
		Error: func(status int, message string) Answer {
			return OK(map[string]any{"error": map[string]any{"code": status, "message": message, "status": "PERMISSION_DENIED"}})
		},
	})
	return g
}

// Put stores a version such as projects/p/secrets/s/versions/latest.
func (g *Google) Put(version string, value []byte) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.secrets[version] = value
}

// Key is the service account's file.
func (g *Google) Key(t testing.TB) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(g.key)
	if err != nil {
		t.Fatal(err)
	}
	return g.account(t, map[string]any{
		"type": "service_account", "project_id": "shop", "private_key_id": "k1", "client_email": "ci@shop.iam.gserviceaccount.com",
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), "token_uri": "https://oauth2.googleapis.com/token",
	})
}

// External is the file of a workload that another issuer vouches for, in a file of its own.
func (g *Google) External(t testing.TB, subjectFile string) []byte {
	t.Helper()
	return g.account(t, map[string]any{
		"type": "external_account", "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/ci/providers/gitlab",
		"subject_token_type": "urn:ietf:params:oauth:token-type:jwt", "token_url": "https://sts.googleapis.com/v1/token",
		"service_account_impersonation_url": "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/ci@shop.iam.gserviceaccount.com:generateAccessToken",
		"credential_source":                 map[string]any{"file": subjectFile, "format": map[string]string{"type": "json", "subject_token_field_name": "id_token"}},
	})
}

func (g *Google) account(t testing.TB, fields map[string]any) []byte {
	t.Helper()
	text, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func (g *Google) access(r *http.Request, t Token) Answer {
	name, ok := strings.CutSuffix(r.PathValue("name"), ":access")
	g.mu.Lock()
	value, found := g.secrets[name]
	g.mu.Unlock()
	switch {
	case !ok || !found:
		return g.Refuse(http.StatusNotFound, "Secret or its version not found")
	case t.Name == "federated":
		return g.Refuse(http.StatusForbidden, "Permission 'secretmanager.versions.access' denied")
	}
	sum := uint64(crc32.Checksum(value, crc32.MakeTable(crc32.Castagnoli)))
	if g.Damage {
		sum++
	}
	return OK(map[string]any{"name": name, "payload": map[string]any{"data": value, "dataCrc32c": strconv.FormatUint(sum, 10)}})
}

func (g *Google) token(r *http.Request) Answer {
	if r.PostFormValue("grant_type") == "refresh_token" && r.PostFormValue("refresh_token") == g.Subject && r.PostFormValue("client_id") == "c" {
		return g.issue("user")
	}
	token, err := jwt.Parse([]byte(r.PostFormValue("assertion")),
		jwt.WithKey(jwa.RS256(), g.key.Public()), jwt.WithAudience("https://oauth2.googleapis.com/token"), jwt.WithClock(jwt.ClockFunc(g.Now)))
	if err != nil || r.PostFormValue("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer" {
		return g.invalidGrant()
	}
	if issuer, _ := token.Issuer(); issuer != "ci@shop.iam.gserviceaccount.com" {
		return g.invalidGrant()
	}
	return g.issue("service account")
}

func (g *Google) invalidGrant() Answer {
	return Answer{Status: http.StatusBadRequest, Body: map[string]string{"error": "invalid_grant", "error_description": g.Bait}}
}

func (g *Google) issue(name string) Answer {
	t := g.Issue("ya29.", time.Hour, Token{Name: name})
	return OK(map[string]any{"access_token": t.Value, "expires_in": 3599, "token_type": "Bearer"})
}

func (g *Google) exchange(r *http.Request) Answer {
	if r.PostFormValue("subject_token") != g.Subject || r.PostFormValue("subject_token_type") != "urn:ietf:params:oauth:token-type:jwt" {
		return g.invalidGrant()
	}
	return g.issue("federated")
}

func (g *Google) impersonate(r *http.Request, _ Token) Answer {
	if !strings.HasSuffix(r.PathValue("account"), ":generateAccessToken") {
		return g.Refuse(http.StatusNotFound, "no such method")
	}
	if !strings.HasPrefix(r.PathValue("account"), "ci@shop.iam.gserviceaccount.com:") {
		return g.Refuse(http.StatusForbidden, "Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist).")
	}
	form := Body[struct {
		Scope    []string
		Lifetime string // "600s"; an hour if it is missing
	}](r)
	life, err := time.ParseDuration(form.Lifetime)
	switch {
	case form.Lifetime == "":
		life = time.Hour
	case err != nil || life > time.Hour:
		return g.Refuse(http.StatusBadRequest, "The access token lifetime cannot exceed 3600 seconds.")
	}
	t := g.Issue("ya29.", life, Token{Name: "impersonated", About: map[string]string{"scopes": strings.Join(form.Scope, " ")}})
	return OK(map[string]any{"accessToken": t.Value, "expireTime": t.Expires.UTC().Format(time.RFC3339)})
}

func (g *Google) metadata(r *http.Request) Answer {
	if r.Header.Get("Metadata-Flavor") != "Google" {
		return g.Refuse(http.StatusForbidden, "Missing required header Metadata-Flavor")
	}
	return g.issue("machine")
}
