package store_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/secrettest"
	"github.com/tightlip/tightlip/secret/source/store"
)

func TestKubeconfigs(t *testing.T) {
	const shape = `
current-context: ci
contexts: [{name: ci, context: {cluster: c, user: u}}, {name: none, context: {cluster: c, user: none}}]
clusters: [{name: c, cluster: {server: %q, %s}}]
users: [{name: u, user: %s}]
`
	for name, test := range map[string]struct {
		cluster, user string // CA, TOKEN and so on are replaced
		rest, want    string // of the error
	}{
		"token":          {"certificate-authority: CAFILE", "{token: TOKEN}", "", ""},
		"token file":     {"certificate-authority: CAFILE", "{tokenFile: TOKFILE}", "", ""},
		"data":           {"certificate-authority-data: CADATA", "{token: TOKEN}", "", ""},
		"unknown CA":     {"", "{token: TOKEN}", "", "certificate"},
		"not verified":   {"insecure-skip-tls-verify: true", "{token: TOKEN}", "", "is not to be verified"},
		"plugin":         {"certificate-authority: CAFILE", "{exec: {command: aws}}", "", "plugins are not run | kubectl create token NAME"},
		"no user":        {"certificate-authority: CAFILE", "{token: TOKEN}", "?context=none", "plugins are not run"},
		"no context":     {"certificate-authority: CAFILE", "{token: TOKEN}", "?context=other", "the kubeconfig has no context other | kubectl config get-contexts"},
		"no base64":      {"certificate-authority-data: '!'", "{token: TOKEN}", "", "has data that is not base64"},
		"no PEM":         {"certificate-authority-data: eA==", "{token: TOKEN}", "", "there is no PEM certificate in it"},
		"no token file":  {"certificate-authority: CAFILE", "{tokenFile: /none}", "", "file /none does not exist"},
		"no certificate": {"certificate-authority: CAFILE", "{client-certificate-data: eA==, client-key-data: eA==}", "", "do not belong together"},
		"no YAML":        {"certificate-authority: CAFILE", "{token: [}", "", "is no kubeconfig"},
		"wrong token":    {"certificate-authority: CAFILE", "{token: x}", "", "401 Unauthorized: needs the verb get on secrets/s1 in the namespace ci"},
	} {
		t.Run(name, func(t *testing.T) {
			w, k := kubernetesWorld(t)
			text := strings.NewReplacer(
				"CAFILE", save(t, k.CA()), "CADATA", base64.StdEncoding.EncodeToString(k.CA()), "TOKEN", k.User, "TOKFILE", save(t, []byte(k.User+"\n")),
			).Replace(fmt.Sprintf(shape, k.URL, test.cluster, test.user))
			t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none")+string(filepath.ListSeparator)+save(t, []byte(text)))
			value := secrettest.Canary(t)
			lease, err := w.source(t).Resolve(t.Context(), w.ref(strings.Replace(w.put(value), "#", test.rest+"#", 1)))
			switch {
			case test.want == "" && (err != nil || string(lease.Value.Open()) != string(value)):
				t.Error(err)
			case test.want != "" && (err == nil || errors.Is(err, secret.ErrNotFound) || !strings.Contains(checkError(t, w, err, value), test.want)):
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}

func TestClientCertificate(t *testing.T) {
	w, k := kubernetesWorld(t)
	k.Member = "ci"
	certificate, key := certificate(t, "ci")
	t.Setenv("KUBECONFIG", save(t, fmt.Appendf(nil, `
current-context: ci
contexts: [{name: ci, context: {cluster: c, user: u}}]
clusters: [{name: c, cluster: {server: %q, certificate-authority: %s}}]
users: [{name: u, user: {client-certificate: %s, client-key-data: %s}}]
`, k.URL, save(t, k.CA()), save(t, certificate), base64.StdEncoding.EncodeToString(key))))
	if _, err := w.source(t).Resolve(t.Context(), w.ref(w.put([]byte("x")))); err != nil {
		t.Error(err)
	}
}

// certificate is one that signs itself, with its key.
func certificate(t *testing.T, name string) (public, private []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
}

// TestPod has no kubeconfig, but what pods have.
func TestPod(t *testing.T) {
	w, k := kubernetesWorld(t)
	value := secrettest.Canary(t)
	ref := w.ref(w.put(value))
	t.Setenv("KUBECONFIG", "")
	server, err := url.Parse(k.URL)
	if err != nil {
		t.Fatal(err)
	}
	const dir = "file:/var/run/secrets/kubernetes.io/serviceaccount/"
	pod := store.Options{Resolve: func(_ context.Context, ref secret.Ref) (*secret.Lease, error) {
		files := map[string]string{dir + "token": k.User, dir + "ca.crt": string(k.CA())}
		return &secret.Lease{Value: secret.NewValue([]byte(files[ref.String()]))}, nil
	}}
	for _, s := range store.Sources(pod) {
		if s.Scheme() != w.scheme {
			continue
		}
		if _, err := s.Resolve(t.Context(), ref); err == nil || !strings.Contains(err.Error(), "there is no kubeconfig, and this is no pod") {
			t.Errorf("got %v", err)
		}
		t.Setenv("KUBERNETES_SERVICE_HOST", server.Hostname())
		t.Setenv("KUBERNETES_SERVICE_PORT", server.Port())
		lease, err := s.Resolve(t.Context(), ref)
		if err != nil || string(lease.Value.Open()) != string(value) {
			t.Error(err)
		}
	}
}

func TestKubernetesKeys(t *testing.T) {
	w, k := kubernetesWorld(t)
	k.Put("ci/only", map[string][]byte{"a.b": []byte("one")})
	k.Put("ci/two", map[string][]byte{"a": []byte("one"), "b": []byte("two")})
	for rest, want := range map[string]string{"ci/only": "one", "ci/only#a.b": "one", "ci/two#b": "two", "ci/two": "", "ci/two#c": ""} {
		lease, err := w.source(t).Resolve(t.Context(), w.ref(rest))
		if (err == nil) != (want != "") || err == nil && string(lease.Value.Open()) != want {
			t.Errorf("%s: %v", rest, err)
		}
		if err != nil && !strings.Contains(checkError(t, w, err), "its fields are a, b") {
			t.Errorf("%s: got %v", rest, err)
		}
	}
}
