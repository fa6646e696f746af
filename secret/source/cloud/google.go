package cloud

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/source/jwt"
	"github.com/tightlip/tightlip/secret/source/web"
)

// googleScope is all that the account may do; what that is, IAM says.
const googleScope = "https://www.googleapis.com/auth/cloud-platform"

// GoogleVariables are those that hold credentials. The others name files.
func GoogleVariables() []string { return []string{"CLOUDSDK_AUTH_ACCESS_TOKEN"} }

// Google returns an access token: gcloud's own variable, Application Default Credentials, the metadata server, gcloud.
func Google(ctx context.Context, o Options) (secret.Value, error) {
	value, err := o.google(ctx)
	secret.Uses(ctx, "access token for Google", value)
	return value, err
}

func (o Options) google(ctx context.Context) (secret.Value, error) {
	if text := os.Getenv("CLOUDSDK_AUTH_ACCESS_TOKEN"); text != "" {
		return secret.NewValue([]byte(text)), nil
	}
	file := os.Getenv("GOOGLE_APPLICATION_CREDENTIALS")
	if known := filepath.Join(gcloudDir(), "application_default_credentials.json"); file == "" {
		if _, err := os.Stat(known); err == nil {
			file = known
		}
	}
	if file != "" {
		value, err := o.googleFile(ctx, file)
		if err != nil {
			return secret.Value{}, secret.Prerequisite("getting a token from Google with "+file, err)
		}
		return value, nil
	}
	value, err := o.googleMachine(ctx)
	if err == nil || ctx.Err() != nil {
		return value, err
	}
	if value, err = o.read(ctx, secret.Ref{Scheme: "cmd", Rest: "gcloud auth print-access-token"}); err == nil || ctx.Err() != nil {
		return value, err
	}
	return secret.Value{}, &secret.ResolveError{
		Problem: "there are no credentials for Google Cloud", Try: "gcloud auth login, or export GOOGLE_APPLICATION_CREDENTIALS=FILE",
	}
}

func gcloudDir() string {
	if dir := os.Getenv("CLOUDSDK_CONFIG"); dir != "" {
		return dir
	}
	if runtime.GOOS == "windows" {
		return filepath.Join(os.Getenv("APPDATA"), "gcloud")
	}
	home, _ := os.UserHomeDir() // without one there is no such file
	return filepath.Join(home, ".config", "gcloud")
}

func (o Options) googleMachine(ctx context.Context) (secret.Value, error) {
	host := os.Getenv("GCE_METADATA_HOST")
	if host == "" {
		host = "169.254.169.254"
	}
	var answer struct {
		AccessToken web.Text `json:"access_token"`
	}
	err := o.metadata(ctx, web.Client{Who: "Google's metadata server", Base: "http://" + host}, web.Call{
		Path: "/computeMetadata/v1/instance/service-accounts/default/token", Header: http.Header{"Metadata-Flavor": {"Google"}}, Into: &answer,
	})
	return token(answer.AccessToken, err)
}

// googleAccount is a file of credentials. Each type has its fields.
type googleAccount struct {
	Type string `json:"type"`

	PrivateKeyID string   `json:"private_key_id"` // service_account
	PrivateKey   web.Text `json:"private_key"`
	ClientEmail  string   `json:"client_email"`
	TokenURI     string   `json:"token_uri"`

	ClientID     string   `json:"client_id"` // authorized_user
	ClientSecret web.Text `json:"client_secret"`
	RefreshToken web.Text `json:"refresh_token"`

	Audience         string        `json:"audience"` // external_account
	SubjectTokenType string        `json:"subject_token_type"`
	TokenURL         string        `json:"token_url"`
	ImpersonationURL string        `json:"service_account_impersonation_url"`
	CredentialSource subjectSource `json:"credential_source"`
}

// subjectSource is where the token is by which somebody else vouches for us.
type subjectSource struct {
	File    string            `json:"file"`
	URL     string            `json:"url"`
	Headers map[string]string `json:"headers"`
	Format  struct {
		Type  string `json:"type"`
		Field string `json:"subject_token_field_name"`
	} `json:"format"`
}

var errAccountType = errors.New("it is neither a service_account nor an authorized_user nor an external_account with a file or a URL")

func (o Options) googleFile(ctx context.Context, path string) (secret.Value, error) {
	content, err := o.readFile(ctx, path)
	if err != nil {
		return secret.Value{}, err
	}
	defer content.Wipe()
	var a googleAccount
	if json.Unmarshal(content.Open(), &a) != nil {
		return secret.Value{}, errAccountType
	}
	switch a.Type {
	case "service_account":
		return o.googleService(ctx, a)
	case "authorized_user":
		return o.oauth(ctx, "Google", "https://oauth2.googleapis.com/token", url.Values{
			"grant_type": {"refresh_token"}, "client_id": {a.ClientID},
			"client_secret": {string(a.ClientSecret.Open())}, "refresh_token": {string(a.RefreshToken.Open())},
		})
	case "external_account":
		return o.googleExternal(ctx, a)
	}
	return secret.Value{}, errAccountType
}

// googleService follows developers.google.com/identity/protocols/oauth2/service-account.
func (o Options) googleService(ctx context.Context, a googleAccount) (secret.Value, error) {
	secret.Uses(ctx, "private_key for Google", a.PrivateKey.Value)
	now := time.Now()
	assertion, err := jwt.Sign(a.PrivateKey.Value, a.PrivateKeyID, map[string]any{
		"iss": a.ClientEmail, "scope": googleScope, "aud": a.TokenURI, "iat": now.Unix(), "exp": now.Add(10 * time.Minute).Unix(),
	})
	if err != nil {
		return secret.Value{}, errors.New("its private_key " + err.Error())
	}
	return o.oauth(ctx, "Google", a.TokenURI, url.Values{
		"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "assertion": {string(assertion.Open())},
	})
}

// googleExternal follows google.aip.dev/auth/4117: a token of another issuer is exchanged, by RFC 8693.
func (o Options) googleExternal(ctx context.Context, a googleAccount) (secret.Value, error) {
	subject, err := o.subject(ctx, a.CredentialSource)
	if err != nil {
		return secret.Value{}, err
	}
	value, err := o.oauth(ctx, "Google", a.TokenURL, url.Values{
		"grant_type":           {"urn:ietf:params:oauth:grant-type:token-exchange"},
		"requested_token_type": {"urn:ietf:params:oauth:token-type:access_token"},
		"audience":             {a.Audience}, "scope": {googleScope},
		"subject_token": {string(subject.Open())}, "subject_token_type": {a.SubjectTokenType},
	})
	if err != nil || a.ImpersonationURL == "" {
		return value, err
	}
	var answer struct {
		AccessToken web.Text `json:"accessToken"`
	}
	c := web.Client{Who: "Google", Base: a.ImpersonationURL, HTTP: o.HTTP, Auth: web.Bearer(value)}
	err = c.Do(ctx, web.Call{
		Method: http.MethodPost, JSON: map[string]any{"scope": []string{googleScope}}, Into: &answer,
		Needs: "iam.serviceAccounts.getAccessToken on the service account",
	})
	return token(answer.AccessToken, err)
}

func (o Options) subject(ctx context.Context, s subjectSource) (content secret.Value, err error) {
	switch {
	case s.File != "":
		content, err = o.readFile(ctx, s.File)
	case s.URL != "":
		header := http.Header{}
		for name, value := range s.Headers {
			header.Set(name, value)
		}
		var body []byte
		c := web.Client{Who: "the issuer of the subject token", Base: s.URL, HTTP: o.HTTP}
		err = c.Do(ctx, web.Call{Header: header, Into: &body})
		content = secret.NewValue(body)
	default:
		err = errAccountType
	}
	if err != nil || s.Format.Type != "json" {
		return content, err
	}
	var fields map[string]json.RawMessage
	var text web.Text
	if json.Unmarshal(content.Open(), &fields) != nil || json.Unmarshal(fields[s.Format.Field], &text) != nil {
		return secret.Value{}, web.ErrMalformed
	}
	return text.Value, nil
}
