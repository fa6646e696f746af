package minter_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/source/minter"
)

// FuzzHosts looks for a reference that takes a credential of a cloud to a host that is not the cloud's.
func FuzzHosts(f *testing.F) {
	for name, value := range map[string]string{
		"HOME": f.TempDir(), "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_REGION": "eu-west-1", "CLOUDSDK_AUTH_ACCESS_TOKEN": "x",
		"AZURE_TENANT_ID": "x", "AZURE_CLIENT_ID": "x", "AZURE_CLIENT_SECRET": "x",
	} {
		f.Setenv(name, value)
	}
	hosts := map[string][]string{
		"aws-sts": {".amazonaws.com"}, "codeartifact": {".amazonaws.com"}, "ecr": {".amazonaws.com"}, "gcp-impersonate": {"iamcredentials.googleapis.com"},
		"azure-acr": {"login.microsoftonline.com", ".azurecr.io", ".azurecr.cn", ".azurecr.us"},
	}
	for _, rest := range []string{
		"arn:aws:iam::1:role/ci?region=eu-west-1", "arn:aws:iam::1:role/ci?region=x.corp.example/", "acme/123456789012", "123456789012?region=corp.example%23",
		"a@b.corp.example", "a@b.corp.example/../", "acme", "acme.azurecr.cn", "corp.example%2F.azurecr.io", "acme@corp.example", "x?scope=y",
	} {
		f.Add(rest)
	}
	f.Fuzz(func(t *testing.T, rest string) {
		for scheme, ends := range hosts {
			answer := tripper(func(r *http.Request) (*http.Response, error) {
				for _, end := range ends {
					if strings.HasSuffix(r.URL.Host, end) && r.URL.Scheme == "https" {
						return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
					}
				}
				t.Errorf("%s:%s reaches %s", scheme, rest, r.URL.Host)
				return nil, errors.New("a host of somebody else")
			})
			opts := minter.Options{Resolve: parents{}.resolve, HTTP: &http.Client{Transport: answer}}
			m, _ := secret.NewResolver(minter.Sources(opts)...).Minter(scheme)
			_, _ = m.Resolve(t.Context(), secret.Ref{Scheme: scheme, Rest: rest}) // any error will do
		}
	})
}

type tripper func(*http.Request) (*http.Response, error)

func (f tripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
