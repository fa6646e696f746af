package store_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/fake"
	"github.com/tightlip/tightlip/secret/secrettest"
	"github.com/tightlip/tightlip/secret/source/store"
	"github.com/tightlip/tightlip/secret/source/web"
)

// programs are the commands that a test has installed, by what is typed.
type programs map[string]string

func (p programs) resolve(ctx context.Context, ref secret.Ref) (*secret.Lease, error) {
	if ref.Scheme != "cmd" {
		return local().Resolve(ctx, ref)
	}
	output, ok := p[ref.Rest]
	if !ok {
		return nil, &secret.ResolveError{Ref: ref, Problem: "command not found", Err: secret.ErrNotFound}
	}
	return &secret.Lease{Value: secret.NewValue([]byte(output)), ID: "x"}, nil
}

// with is the source of a world in which there are programs.
func (w world) with(t *testing.T, p programs) secret.Source {
	t.Helper()
	for _, s := range store.Sources(store.Options{Resolve: p.resolve, HTTP: w.http}) {
		if s.Scheme() == w.scheme {
			return s
		}
	}
	t.Fatal("there is no such store")
	return nil
}

func TestAWSReferences(t *testing.T) {
	w, a := awsWorld(t, "aws-secretsmanager", "secretsmanager")
	const arn = "arn:aws:secretsmanager:us-east-2:123456789012:secret:ci/pip-a1b2c3"
	a.Put("secretsmanager", "ci/pip", "AWSCURRENT", []byte(`{"password":"one"}`))
	a.Put("secretsmanager", "ci/pip", "AWSPREVIOUS", []byte("two"))
	a.Put("secretsmanager", arn, "AWSCURRENT", []byte("three"))
	var hosts []string
	w.http = recording(w.http, &hosts)
	for _, test := range []struct{ rest, want, host string }{
		{"ci/pip", `{"password":"one"}`, "secretsmanager.eu-west-1.amazonaws.com"},
		{"ci/pip#password", "one", "secretsmanager.eu-west-1.amazonaws.com"},
		{"ci/pip?version-stage=AWSPREVIOUS", "two", "secretsmanager.eu-west-1.amazonaws.com"},
		{"ci/pip?region=eu-central-1#password", "one", "secretsmanager.eu-central-1.amazonaws.com"},
		{"ci/pip?region=cn-north-1#password", "one", "secretsmanager.cn-north-1.amazonaws.com.cn"},
		{arn, "three", "secretsmanager.us-east-2.amazonaws.com"},
		{arn + "?region=eu-west-1", "three", "secretsmanager.eu-west-1.amazonaws.com"},
	} {
		lease, err := w.source(t).Resolve(t.Context(), w.ref(test.rest))
		if err != nil || string(lease.Value.Open()) != test.want || hosts[len(hosts)-1] != test.host {
			t.Errorf("%s: %v from %s", test.rest, err, hosts)
		}
	}
}

// recording notes the hosts that requests are for.
func recording(c *http.Client, hosts *[]string) *http.Client {
	return &http.Client{Transport: tripper(func(r *http.Request) (*http.Response, error) {
		*hosts = append(*hosts, r.URL.Host)
		return c.Transport.RoundTrip(r)
	})}
}

type tripper func(*http.Request) (*http.Response, error)

func (f tripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestAWSEndpoints(t *testing.T) {
	for _, name := range []string{"AWS_ENDPOINT_URL_SECRETS_MANAGER", "AWS_ENDPOINT_URL"} {
		w, a := awsWorld(t, "aws-secretsmanager", "secretsmanager")
		w.http = nil
		t.Setenv(name, a.URL)
		if _, err := w.source(t).Resolve(t.Context(), w.ref(w.put([]byte("x")))); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		t.Setenv(name, "")
	}
	w, a := awsWorld(t, "aws-ssm", "ssm")
	w.http = nil
	t.Setenv("AWS_ENDPOINT_URL_SSM", a.URL)
	t.Setenv("AWS_CA_BUNDLE", save(t, []byte("x")))
	if _, err := w.source(t).Resolve(t.Context(), w.ref("/s1")); err == nil || len(a.Log()) > 0 {
		t.Errorf("AWS_CA_BUNDLE is not obeyed: %v", err)
	}
}

func TestAWSSetUp(t *testing.T) {
	for name, test := range map[string]struct{ variable, value, want string }{
		"no region": {"AWS_REGION", "", "no region of AWS is set, or it is none | add ?region=NAME or export AWS_REGION=NAME"},
		"no keys":   {"AWS_ACCESS_KEY_ID", "", "there are no credentials for AWS | see aws sts get-caller-identity"},
		"wrong key": {"AWS_SECRET_ACCESS_KEY", "x", "AWS Systems Manager answered 401 Unauthorized: InvalidSignatureException: needs ssm:GetParameter"},
		"no user":   {"AWS_ACCESS_KEY_ID", "x", "AWS Systems Manager answered 401 Unauthorized: UnrecognizedClientException: needs ssm:GetParameter"},
	} {
		t.Run(name, func(t *testing.T) {
			w, a := awsWorld(t, "aws-ssm", "ssm")
			t.Setenv(test.variable, test.value)
			_, err := w.source(t).Resolve(t.Context(), w.ref(w.put([]byte("x"))))
			if err == nil || !strings.Contains(checkError(t, w, err, []byte(a.SecretKey)), test.want) {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}

func TestGoogleCredentials(t *testing.T) {
	const gcloud = "gcloud auth print-access-token"
	for name, test := range map[string]struct {
		set  func(t *testing.T, g *fake.Google) programs
		want string // the call that gets the token; empty: none
	}{
		"service account": {func(*testing.T, *fake.Google) programs { return nil }, "POST /token 200"},
		"external account": {func(t *testing.T, g *fake.Google) programs {
			t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", save(t, g.External(t, save(t, doc("id_token", []byte(g.Subject))))))
			return nil
		}, "POST /v1/projects/-/serviceAccounts/ci@shop.iam.gserviceaccount.com:generateAccessToken 200"},
		"user": {func(t *testing.T, g *fake.Google) programs {
			t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", "")
			user := `{"type":"authorized_user","client_id":"c","client_secret":"s","refresh_token":"` + g.Subject + `"}`
			dir := filepath.Dir(save(t, nil))
			t.Setenv("CLOUDSDK_CONFIG", dir)
			if err := os.WriteFile(filepath.Join(dir, "application_default_credentials.json"), []byte(user), 0o600); err != nil {
				t.Fatal(err)
			}
			return nil
		}, "POST /token 200"},
		"machine": {func(t *testing.T, _ *fake.Google) programs {
			t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", "")
			return nil
		}, "GET /computeMetadata/v1/instance/service-accounts/default/token 200"},
		"gcloud": {func(t *testing.T, g *fake.Google) programs {
			t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", "")
			g.Fail(fake.Fault{Path: "computeMetadata", Status: 404})
			return programs{gcloud: g.Issue("ya29.", 0, fake.Token{}).Value}
		}, ""},
		"variable": {func(t *testing.T, g *fake.Google) programs {
			t.Setenv("CLOUDSDK_AUTH_ACCESS_TOKEN", g.Issue("ya29.", 0, fake.Token{}).Value)
			return nil
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w, g := googleWorld(t)
			value := secrettest.Canary(t)
			ref := w.ref(w.put(value))
			lease, err := w.with(t, test.set(t, g)).Resolve(t.Context(), ref)
			if err != nil || string(lease.Value.Open()) != string(value) {
				t.Fatal(err)
			}
			if test.want != "" && !slices.Contains(g.Log(), test.want) {
				t.Errorf("got %q, want %s", g.Log(), test.want)
			}
		})
	}
}

func TestGoogleErrors(t *testing.T) {
	for name, test := range map[string]struct {
		set  func(t *testing.T, g *fake.Google)
		want string
	}{
		"nothing": {func(t *testing.T, g *fake.Google) {
			t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", "")
			g.Fail(fake.Fault{Path: "computeMetadata", Status: 404})
		}, "there are no credentials for Google Cloud | gcloud auth login"},
		"no file": {func(t *testing.T, _ *fake.Google) { t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", "/none") }, "file /none does not exist"},
		"no JSON": {func(t *testing.T, _ *fake.Google) { t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", save(t, []byte("x"))) }, "it is neither a service_account"},
		"a program": {func(t *testing.T, _ *fake.Google) {
			t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", save(t, []byte(`{"type":"external_account"}`)))
		}, "it is neither a service_account"},
		"no key": {func(t *testing.T, _ *fake.Google) {
			t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", save(t, []byte(`{"type":"service_account","private_key":"x"}`)))
		}, "its private_key is not an RSA private key in PEM"},
		"stolen subject": {func(t *testing.T, g *fake.Google) {
			t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", save(t, g.External(t, save(t, doc("id_token", []byte("x"))))))
		}, "Google answered 401 Unauthorized: invalid_grant"},
		"damage": {func(_ *testing.T, g *fake.Google) { g.Damage = true }, "the value was damaged on its way"},
	} {
		t.Run(name, func(t *testing.T) {
			w, g := googleWorld(t)
			value := secrettest.Canary(t)
			ref := w.ref(w.put(value))
			test.set(t, g)
			_, err := w.with(t, nil).Resolve(t.Context(), ref)
			if err == nil || errors.Is(err, secret.ErrNotFound) || !strings.Contains(checkError(t, w, err, value), test.want) {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}

func TestGoogleReferences(t *testing.T) {
	w, g := googleWorld(t)
	var hosts []string
	w.http = recording(w.http, &hosts)
	g.Put("projects/shop/secrets/pip/versions/3", []byte("one"))
	g.Put("projects/shop/locations/europe-west3/secrets/pip/versions/latest", nil) // asked for without its location
	g.Put("projects/shop/locations/europe-west3/secrets/pip/versions/7", []byte(`{"password":"two"}`))
	for _, test := range []struct{ rest, want, host string }{
		{"projects/shop/secrets/pip/versions/3", "one", "secretmanager.googleapis.com"},
		{"projects/shop/locations/europe-west3/secrets/pip/versions/7#password", "two", "secretmanager.europe-west3.rep.googleapis.com"},
	} {
		lease, err := w.source(t).Resolve(t.Context(), w.ref(test.rest))
		if err != nil || string(lease.Value.Open()) != test.want || hosts[len(hosts)-1] != test.host {
			t.Errorf("%s: %v from %s", test.rest, err, hosts)
		}
	}
}

func TestAzureCredentials(t *testing.T) {
	const az = "az account get-access-token --query accessToken --output tsv --resource https://vault.azure.net"
	about := fake.Token{About: map[string]string{"resource": "https://vault.azure.net"}}
	for name, test := range map[string]struct {
		set  func(t *testing.T, a *fake.Azure) programs
		want string // of the error
	}{
		"secret": {set: func(*testing.T, *fake.Azure) programs { return nil }},
		"federated": {set: func(t *testing.T, a *fake.Azure) programs {
			t.Setenv("AZURE_CLIENT_SECRET", "")
			t.Setenv("AZURE_FEDERATED_TOKEN_FILE", save(t, []byte(a.Assertion)))
			return nil
		}},
		"machine": {set: func(t *testing.T, a *fake.Azure) programs {
			t.Setenv("AZURE_CLIENT_SECRET", "")
			a.Machine = true
			return nil
		}},
		"App Service": {set: func(t *testing.T, a *fake.Azure) programs {
			t.Setenv("AZURE_CLIENT_SECRET", "")
			t.Setenv("IDENTITY_ENDPOINT", "http://127.0.0.1:1/msi/token")
			t.Setenv("IDENTITY_HEADER", a.Secret)
			return nil
		}},
		"az": {set: func(t *testing.T, a *fake.Azure) programs {
			t.Setenv("AZURE_TENANT_ID", "")
			return programs{az: a.Issue("eyJ0", 0, about).Value}
		}},
		"nothing": {set: func(t *testing.T, _ *fake.Azure) programs {
			t.Setenv("AZURE_TENANT_ID", "")
			return nil
		}, want: "there are no credentials for Azure | az login"},
		"wrong secret": {set: func(t *testing.T, _ *fake.Azure) programs {
			t.Setenv("AZURE_CLIENT_SECRET", "x")
			return nil
		}, want: "getting a token for the client of AZURE_CLIENT_ID: Microsoft Entra ID answered 401 Unauthorized: invalid_client"},
		"no federated token": {set: func(t *testing.T, _ *fake.Azure) programs {
			t.Setenv("AZURE_CLIENT_SECRET", "")
			t.Setenv("AZURE_FEDERATED_TOKEN_FILE", "/none")
			return nil
		}, want: "file /none does not exist"},
	} {
		t.Run(name, func(t *testing.T) {
			w, a := azureWorld(t)
			value := secrettest.Canary(t)
			ref := w.ref(w.put(value))
			lease, err := w.with(t, test.set(t, a)).Resolve(t.Context(), ref)
			switch {
			case test.want == "" && (err != nil || string(lease.Value.Open()) != string(value)):
				t.Error(err)
			case test.want != "" && (err == nil || errors.Is(err, secret.ErrNotFound) || !strings.Contains(checkError(t, w, err, value), test.want)):
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}

func TestAzureVersion(t *testing.T) {
	w, a := azureWorld(t)
	a.Put("shop-ci.vault.azure.net/secrets/pip/4387e9f3d6e14c459867679a90fd0f79", `{"password":"one"}`)
	lease, err := w.source(t).Resolve(t.Context(), w.ref("shop-ci.vault.azure.net/pip/4387e9f3d6e14c459867679a90fd0f79#password"))
	if err != nil || string(lease.Value.Open()) != "one" {
		t.Error(err)
	}
	// The token of this cloud is none of another one's business.
	if _, err := w.source(t).Resolve(t.Context(), w.ref("shop-ci.vault.azure.cn/pip")); web.StatusOf(err) != http.StatusUnauthorized {
		t.Errorf("got %v", err)
	}
}
