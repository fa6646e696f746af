package podman

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestHelperVariables(t *testing.T) {
	for _, test := range []struct{ name, path, text, want string }{
		{"none", "docker/config.json", `{"auths":{"registry.corp.example":{}}}`, ""},
		{"one registry's", "docker/config.json", `{"credHelpers":{"123456789012.dkr.ecr.eu-central-1.corp.example":"ecr-login"}}`, "AWS_*"},
		{"a keyring", "docker/config.json", `{"credsStore":"secretservice"}`, ""},
		{"of podman", "run/containers/auth.json", `{"credHelpers":{"a.corp.example":"acr-env","b.corp.example":"pass"}}`, "AZURE_* IDENTITY_HEADER MSI_SECRET"},
		{"unknown", "config/containers/auth.json", `{"credHelpers":{"a.corp.example":"ours"}}`, "*"},
		{"for all registries", "config/containers/registries.conf", "unqualified-search-registries = []\ncredential-helpers = [\n  \"containers-auth.json\", 'gcloud',\n]\n", "GOOGLE_* CLOUDSDK_*"},
		{"commented out", "config/containers/registries.conf", `# credential-helpers = ["ecr-login"]`, ""},
		{"in a part", "config/containers/registries.conf.d/50-ecr.conf", `credential-helpers = ["ecr-login"]`, "AWS_*"},
		{"broken", "docker/config.json", `{`, ""},
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, test.path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(test.text), 0o600); err != nil {
			t.Fatal(err)
		}
		for name, folder := range map[string]string{"DOCKER_CONFIG": "docker", "XDG_RUNTIME_DIR": "run", "XDG_CONFIG_HOME": "config", "HOME": "home"} {
			t.Setenv(name, filepath.Join(dir, folder))
		}
		t.Setenv("REGISTRY_AUTH_FILE", "")
		t.Setenv("CONTAINERS_REGISTRIES_CONF", "")
		if got := HelperVariables(); !slices.Equal(got, strings.Fields(test.want)) {
			t.Errorf("%s: %q", test.name, got)
		}
	}
}
