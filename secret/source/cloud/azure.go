package cloud

import (
	"context"
	"net/http"
	"net/url"
	"os"

	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/source/web"
)

// AzureVariables are those that hold credentials. The others name files.
func AzureVariables() []string { return []string{"AZURE_CLIENT_SECRET", "IDENTITY_HEADER"} }

// Azure returns an access token for a resource, such as https://vault.azure.net: a client's secret, a federated token, the identity of the
// machine, az.
func Azure(ctx context.Context, o Options, resource string) (secret.Value, error) {
	value, err := o.azure(ctx, resource)
	secret.Uses(ctx, "access token for Azure", value)
	return value, err
}

func (o Options) azure(ctx context.Context, resource string) (secret.Value, error) {
	if os.Getenv("AZURE_TENANT_ID") != "" && os.Getenv("AZURE_CLIENT_ID") != "" {
		form, err := o.azureClient(ctx)
		if err != nil {
			return secret.Value{}, secret.Prerequisite("reading AZURE_FEDERATED_TOKEN_FILE", err)
		}
		if form != nil {
			return o.azureOAuth(ctx, form, resource)
		}
	}
	value, err := o.azureMachine(ctx, resource)
	if err == nil || ctx.Err() != nil {
		return value, err
	}
	az := secret.Ref{Scheme: "cmd", Rest: "az account get-access-token --query accessToken --output tsv --resource " + resource}
	if value, err = o.read(ctx, az); err == nil || ctx.Err() != nil {
		return value, err
	}
	return secret.Value{}, &secret.ResolveError{
		Problem: "there are no credentials for Azure", Try: "az login, or export AZURE_TENANT_ID=… AZURE_CLIENT_ID=… AZURE_CLIENT_SECRET=…",
	}
}

// azureClient is what a client proves itself with; nil: nothing.
func (o Options) azureClient(ctx context.Context) (url.Values, error) {
	if text := os.Getenv("AZURE_CLIENT_SECRET"); text != "" {
		return url.Values{"client_secret": {text}}, nil
	}
	file := os.Getenv("AZURE_FEDERATED_TOKEN_FILE")
	if file == "" {
		return nil, nil
	}
	assertion, err := o.readFile(ctx, file)
	if err != nil {
		return nil, err
	}
	return url.Values{
		"client_assertion": {string(assertion.Open())}, "client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
	}, nil
}

func (o Options) azureOAuth(ctx context.Context, form url.Values, resource string) (secret.Value, error) {
	authority := os.Getenv("AZURE_AUTHORITY_HOST")
	if authority == "" {
		authority = "https://login.microsoftonline.com"
	}
	form.Set("grant_type", "client_credentials")
	form.Set("client_id", os.Getenv("AZURE_CLIENT_ID"))
	form.Set("scope", resource+"/.default")
	address, err := url.JoinPath(authority, url.PathEscape(os.Getenv("AZURE_TENANT_ID")), "oauth2/v2.0/token")
	if err != nil {
		return secret.Value{}, &secret.ResolveError{Problem: "AZURE_AUTHORITY_HOST is no URL", Try: "export AZURE_AUTHORITY_HOST=https://HOST"}
	}
	value, err := o.oauth(ctx, "Microsoft Entra ID", address, form)
	if err != nil {
		return secret.Value{}, secret.Prerequisite("getting a token for the client of AZURE_CLIENT_ID", err)
	}
	return value, nil
}

// azureMachine asks App Service and Container Apps, which say where in IDENTITY_ENDPOINT, or else the virtual machine's metadata server.
func (o Options) azureMachine(ctx context.Context, resource string) (secret.Value, error) {
	c := web.Client{Who: "Azure's metadata server", Base: "http://169.254.169.254/metadata/identity/oauth2/token"}
	query := url.Values{"api-version": {"2018-02-01"}, "resource": {resource}}
	header := http.Header{"Metadata": {"true"}}
	if endpoint, key := os.Getenv("IDENTITY_ENDPOINT"), os.Getenv("IDENTITY_HEADER"); endpoint != "" && key != "" {
		c.Base = endpoint
		query.Set("api-version", "2019-08-01")
		header = http.Header{"X-Identity-Header": {key}}
	}
	if id := os.Getenv("AZURE_CLIENT_ID"); id != "" {
		query.Set("client_id", id)
	}
	var answer struct {
		AccessToken web.Text `json:"access_token"`
	}
	err := o.metadata(ctx, c, web.Call{Path: "?" + query.Encode(), Header: header, Into: &answer})
	return token(answer.AccessToken, err)
}
