package shim

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestClientSettings: a client gets its settings, unless the step has one of them.
func TestClientSettings(t *testing.T) {
	npm := BrokerClient{Env: []string{"npm_config_registry=http://door/", "npm_config_replace_registry_host=npm.corp.example"}}
	git := BrokerClient{Git: []GitSetting{{"url.http://door/.insteadOf", "https://git.corp.example/"}}}
	for _, tt := range []struct {
		name   string
		client BrokerClient
		env    []string
		want   []string
	}{
		{"none", npm, []string{"A=b"}, slices.Concat([]string{"A=b"}, npm.Env)},
		{"its own", npm, []string{"npm_config_registry=x"}, []string{"npm_config_registry=x"}},
		{"its own in capitals", npm, []string{"NPM_CONFIG_REGISTRY=x"}, []string{"NPM_CONFIG_REGISTRY=x"}},
		{"its own, and empty", npm, []string{"NPM_CONFIG_REGISTRY="}, []string{"NPM_CONFIG_REGISTRY="}},
		{"another of them", npm, []string{"npm_config_replace_registry_host=never"}, []string{"npm_config_replace_registry_host=never"}},
		{"git", git, nil, []string{"GIT_CONFIG_KEY_0=url.http://door/.insteadOf", "GIT_CONFIG_VALUE_0=https://git.corp.example/", "GIT_CONFIG_COUNT=1"}},
		{"git with its own", git, []string{"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=a.b", "GIT_CONFIG_VALUE_0=c"},
			[]string{"GIT_CONFIG_KEY_0=a.b", "GIT_CONFIG_VALUE_0=c", "GIT_CONFIG_KEY_1=url.http://door/.insteadOf", "GIT_CONFIG_VALUE_1=https://git.corp.example/", "GIT_CONFIG_COUNT=2"}},
	} {
		got, err := tt.client.apply(filepath.Join(t.TempDir(), "certificates.pem"), tt.env)
		if err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, %v", tt.name, got, err)
		}
	}
	if _, err := git.apply("", []string{"GIT_CONFIG_COUNT=many"}); err == nil {
		t.Error("a GIT_CONFIG_COUNT that is no number was taken")
	}
}

// TestTrustStore has Java's own tool read the certificates.
func TestTrustStore(t *testing.T) {
	keytool, err := exec.LookPath("keytool")
	if err != nil {
		t.Skip("keytool is not installed")
	}
	bundle, err := os.ReadFile(certificates[0])
	if err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "certificates.pem")
	if err := os.WriteFile(file, bundle, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := (BrokerClient{TrustStore: "trust.jks"}).apply(file, nil); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(keytool, "-list", "-keystore", filepath.Join(dir, "trust.jks"), "-storepass", "changeit").CombinedOutput()
	if want := strings.Count(string(bundle), "BEGIN CERTIFICATE"); err != nil || strings.Count(string(out), "trustedCertEntry") != want {
		t.Errorf("%v: not %d certificates\n%s", err, want, out)
	}
}
