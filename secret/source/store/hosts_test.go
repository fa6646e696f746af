package store_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/source/store"
)

// FuzzHosts looks for a reference that takes a credential of a cloud to a host that is not the cloud's.
func FuzzHosts(f *testing.F) {
	alone(f)
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "CLOUDSDK_AUTH_ACCESS_TOKEN": "x",
		"AZURE_TENANT_ID": "x", "AZURE_CLIENT_ID": "x", "AZURE_CLIENT_SECRET": "x",
	} {
		f.Setenv(name, value)
	}
	hosts := map[string][]string{
		"aws-secretsmanager": {".amazonaws.com", ".amazonaws.com.cn"}, "aws-ssm": {".amazonaws.com", ".amazonaws.com.cn"},
		"gcp-secretmanager": {".googleapis.com"}, "azure-keyvault": {"login.microsoftonline.com", ".vault.azure.net", ".vault.azure.cn", ".vault.usgovcloudapi.net"},
	}
	for _, rest := range []string{
		"ci/pip?region=eu-west-1#password", "arn:aws:secretsmanager:us-east-2:1:secret:x", "/ci/pip?region=x.corp.example/", "arn:aws:x:corp.example%2F:1:x",
		"projects/shop/locations/eu-west3/secrets/pip", "shop-ci.vault.azure.cn/pip", "shop-ci/pip", "corp.example%2Fx/pip",
	} {
		f.Add(rest)
	}
	f.Fuzz(func(t *testing.T, rest string) {
		for scheme, ends := range hosts {
			answer := tripper(func(r *http.Request) (*http.Response, error) {
				for _, end := range ends {
					if strings.HasSuffix(r.URL.Host, end) && r.URL.Scheme == "https" {
						return token(r), nil
					}
				}
				t.Errorf("%s:%s reaches %s", scheme, rest, r.URL.Host)
				return nil, errors.New("a host of somebody else")
			})
			for _, s := range store.Sources(store.Options{Resolve: local().Resolve, HTTP: &http.Client{Transport: answer}}) {
				if s.Scheme() == scheme {
					_, _ = s.Resolve(t.Context(), secret.Ref{Scheme: scheme, Rest: rest}) // any error will do
				}
			}
		}
	})
}

// token lets a client in, and refuses what is read.
func token(r *http.Request) *http.Response {
	w := http.Response{StatusCode: http.StatusNotFound, Header: http.Header{}, Body: body(""), Request: r}
	if strings.HasSuffix(r.URL.Path, "/token") {
		w.StatusCode, w.Body = http.StatusOK, body(`{"access_token":"x"}`)
	}
	return &w
}

type reader struct{ *strings.Reader }

func (reader) Close() error { return nil }

func body(text string) reader { return reader{strings.NewReader(text)} }

func Example() {
	for _, s := range store.Sources(store.Options{}) {
		about := s.(secret.Described).About()
		fmt.Println(about.Form, "is", about.What)
	}
	// Output:
	// vault:MOUNT/PATH#FIELD is a field of a secret in Vault
	// openbao:MOUNT/PATH#FIELD is a field of a secret in OpenBao
	// aws-secretsmanager:NAME#KEY is a secret of AWS Secrets Manager, or a key of the JSON in it
	// aws-ssm:/PATH#KEY is a parameter of AWS Systems Manager, decrypted, or a key of the JSON in it
	// gcp-secretmanager:projects/PROJECT/secrets/NAME#KEY is a secret of Google Cloud Secret Manager, or a key of the JSON in it
	// azure-keyvault:VAULT/SECRET#KEY is a secret of Azure Key Vault, or a key of the JSON in it
	// k8s-secret:NAMESPACE/NAME#KEY is a key of a secret in Kubernetes
}
