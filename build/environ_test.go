package build

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tightlip/tightlip/scan/detect"
	"github.com/tightlip/tightlip/secret/secrettest"
	"github.com/tightlip/tightlip/secret/source/all"
)

// variable is one of an environment. In a value, CANARY stands for a value that looks random, and DIR for a folder that is there.
type variable struct{ name, value string }

// passing are variables that a command gets, of desktops, CI systems and tools.
var passing = []variable{
	// What every command needs.
	{"PATH", "/usr/bin:/nix/store/CANARY-tools/bin"}, {"HOME", "/home/ci"}, {"PWD", "/builds/CANARY"}, {"OLDPWD", "/builds/CANARY"},
	{"SHELL", "/bin/bash"}, {"USER", "ci"}, {"LANG", "C.UTF-8"}, {"TERM", "xterm-256color"}, {"_", "/usr/bin/env"}, {"", "C:=C:\\work"},
	{"LS_COLORS", "rs=0:di=01;34:ln=01;36:*.tar=01;31"}, {"PS1", `\u@\h:\w\$ `}, {"LESSOPEN", "| /usr/bin/lesspipe %s"},
	{"BASH_FUNC_module%%", "() {  local token=${1:-none} password=$2; eval `/usr/bin/modulecmd bash $*`\n}"},
	{"http_proxy", "http://ci:CANARY@proxy.corp.example:3128"}, {"HTTPS_PROXY", "http://ci:CANARY@proxy.corp.example:3128"}, {"no_proxy", "localhost,corp.example"},
	{"npm_config_https_proxy", "http://ci:CANARY@proxy.corp.example:3128"},
	// Desktops.
	{"SSH_AUTH_SOCK", "/tmp/ssh-XXXXCANARY/agent.4711"}, {"SSH_ASKPASS", "/usr/bin/ssh-askpass"}, {"GPG_TTY", "/dev/pts/3"}, {"GPG_AGENT_INFO", "/run/user/1000/gnupg/S.gpg-agent:0:1"},
	{"DBUS_SESSION_BUS_ADDRESS", "unix:path=/run/user/1000/bus"}, {"XAUTHORITY", "/run/user/1000/gdm/Xauthority"}, {"XDG_SESSION_ID", "2"}, {"XDG_SESSION_TYPE", "wayland"},
	{"SESSION_MANAGER", "local/box:@/tmp/.ICE-unix/2100,unix/box:/tmp/.ICE-unix/2100"}, {"GNOME_KEYRING_CONTROL", "/run/user/1000/keyring"}, {"KEYBOARD", "us"},
	{"DESKTOP_SESSION", "ubuntu"}, {"GTK_MODULES", "gail:atk-bridge"}, {"INVOCATION_ID", "4f1c9b0e7a5d4c2e8b3f6a1d0c9e8b7a"}, {"JOURNAL_STREAM", "8:31337"},
	{"WINDOWID", "62914563"}, {"VTE_VERSION", "6800"}, {"TERM_SESSION_ID", "w0t0p0:3F2504E0-4F89-41D3-9A0C-0305E82C3301"}, {"SECURITYSESSIONID", "186a6"},
	{"VSCODE_GIT_ASKPASS_NODE", "/usr/share/code/code"}, {"VSCODE_IPC_HOOK_CLI", "/run/user/1000/vscode-ipc-3f2504e0-4f89-41d3-9a0c-0305e82c3301.sock"},
	{"KRB5CCNAME", "FILE:/tmp/krb5cc_1000"}, {"TOKENIZERS_PARALLELISM", "false"}, {"MAX_THINKING_TOKENS", "32000"}, {"GIT_AUTHOR_NAME", "Ada"}, {"EDITOR", "vim"},
	{"PASSWORD_STORE_DIR", "/home/ada/.password-store"}, {"PASSWORD_STORE_ENABLE_EXTENSIONS", "true"}, {"ANSIBLE_VAULT_PASSWORD_FILE", "/home/ada/.vault"},
	// Paths, addresses, names and settings of credentials.
	{"GOOGLE_APPLICATION_CREDENTIALS", "/home/runner/work/app/app/gha-creds-4f1c9b0e7a5d4c2e.json"}, {"KUBECONFIG", "/home/ci/.kube/config"}, {"DEPLOY_TOKEN", "DIR"},
	{"AWS_WEB_IDENTITY_TOKEN_FILE", "/var/run/secrets/eks.amazonaws.com/serviceaccount/token"}, {"AWS_SHARED_CREDENTIALS_FILE", "/home/ci/.aws/credentials"}, {"AWS_REGION", "eu-central-1"},
	{"AWS_PROFILE", "ci"}, {"AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/ci"}, {"REGISTRY_AUTH_FILE", "/run/user/1000/containers/auth.json"}, {"DOCKER_CONFIG", "/home/ci/.docker"},
	{"NETRC", "/home/ci/.netrc"}, {"VAULT_ADDR", "https://vault.corp.example"}, {"KEYCLOAK_URL", "https://login.corp.example/auth"}, {"AUTH0_DOMAIN", "corp.eu.login.corp.example"},
	{"OAUTH_TOKEN_URL", "https://login.corp.example/token"}, {"SSL_CERT_FILE", "/etc/ssl/cert.pem"}, {"GOPROXY", "https://go.corp.example,direct"}, {"GOAUTH", "netrc"},
	{"PIP_INDEX_URL", "https://pypi.corp.example/simple"}, {"DATABASE_URL", "postgres://app@db.corp.example/app"}, {"GIT_URL", "ssh://git@git.corp.example/app.git"},
	{"IMAGE", "registry.corp.example:5000/app@sha256:4f1c9b0e7a5d4c2e8b3f6a1d0c9e8b7a4f1c9b0e7a5d4c2e8b3f6a1d0c9e8b7a"}, {"TOKEN_LIFETIME", "24h"}, {"SESSION_TOKEN_BYTES", "86400"},
	{"NPM_CONFIG_ALWAYS_AUTH", "true"}, {"BUNDLE_PATH", "vendor/bundle"}, {"BUNDLE_BUILD__NOKOGIRI", "--use-system-libraries"}, {"BUNDLE_MIRROR__ALL", "https://gems.corp.example"},
	{"SPRING_APPLICATION_JSON", `{"server":{"port":8080}}`}, {"JAVA_TOOL_OPTIONS", "-Xmx2g -Djavax.net.ssl.trustStorePassword=changeit"},
	// Stand-ins.
	{"NPM_TOKEN", ""}, {"API_TOKEN", "none"}, {"DB_PASSWORD", "changeme"}, {"GITHUB_TOKEN", "${GH_TOKEN}"}, {"AUTH", "1"}, {"VAULT_TOKEN", ""},
	// GitHub Actions and GitLab CI.
	{"GITHUB_ACTIONS", "true"}, {"GITHUB_SHA", "4f1c9b0e7a5d4c2e8b3f6a1d0c9e8b7a4f1c9b0e"}, {"GITHUB_EVENT_PATH", "/home/runner/work/_temp/_github_workflow/event.json"},
	{"GITHUB_OUTPUT", "/home/runner/work/_temp/_runner_file_commands/set_output_4f1c9b0e-7a5d-4c2e-8b3f-6a1d0c9e8b7a"}, {"GITHUB_SERVER_URL", "https://git.corp.example"},
	{"ACTIONS_ID_TOKEN_REQUEST_URL", "https://pipelines.corp.example/4f1c9b0e/00000000-0000-0000-0000-000000000000/_apis/distributedtask/idtoken?api-version=2.0"},
	{"ACTIONS_RESULTS_URL", "https://results.corp.example/"}, {"RUNNER_TRACKING_ID", "github_4f1c9b0e-7a5d-4c2e-8b3f-6a1d0c9e8b7a"}, {"RUNNER_TEMP", "/home/runner/work/_temp"},
	{"CI_COMMIT_SHA", "4f1c9b0e7a5d4c2e8b3f6a1d0c9e8b7a4f1c9b0e"}, {"CI_COMMIT_AUTHOR", "Ada <ada@corp.example>"}, {"CI_COMMIT_MESSAGE", "login: the token is renewed in time"},
	{"CI_REGISTRY_USER", "gitlab-ci-token"}, {"CI_REGISTRY", "registry.corp.example"}, {"CI_JOB_ID", "4711"}, {"CI_SERVER_TLS_CA_FILE", "/builds/app.tmp/CI_SERVER_TLS_CA_FILE"},
	{"GITLAB_FEATURES", "audit_events,password_complexity,api_token_scopes"}, {"JENKINS_NODE_COOKIE", "dontKillMe"}, {"KUBERNETES_SERVICE_HOST", "10.0.0.1"},
}

// withheld are variables that a command does not get.
var withheld = []variable{
	// The credentials of sources, whatever they look like.
	{"VAULT_TOKEN", "root"}, {"AWS_ACCESS_KEY_ID", "test"}, {"AWS_SECRET_ACCESS_KEY", "test"}, {"AWS_SESSION_TOKEN", "CANARY"}, {"ACTIONS_ID_TOKEN_REQUEST_TOKEN", "CANARY"},
	{"DOCKER_AUTH_CONFIG", `{"auths":{"registry.corp.example":{"auth":"Y2k6"}}}`}, {"SOPS_AGE_KEY", "CANARY"}, {"AZURE_CLIENT_SECRET", "CANARY"},
	{"GOOGLE_OAUTH_ACCESS_TOKEN", "CANARY"}, {"CLOUDSDK_AUTH_ACCESS_TOKEN", "CANARY"},
	// By their names.
	{"GITHUB_TOKEN", "CANARY"}, {"ACTIONS_RUNTIME_TOKEN", "CANARY"}, {"CI_JOB_TOKEN", "CANARY"}, {"CI_JOB_JWT", "CANARY"}, {"CI_JOB_JWT_V2", "CANARY"}, {"CI_REGISTRY_PASSWORD", "CANARY"},
	{"CI_DEPLOY_PASSWORD", "CANARY"}, {"NPM_TOKEN", "CANARY"}, {"NODE_AUTH_TOKEN", "CANARY"}, {"npm_config_//npm.corp.example/:_authToken", "CANARY"}, {"SENTRY_DSN", "https://CANARY@sentry.corp.example/1"},
	{"SECRET_KEY_BASE", "CANARY"}, {"JWT_SECRET", "CANARY"}, {"COMPOSER_AUTH", `{"http-basic":{"php.corp.example":{"username":"ci","password":"CANARY"}}}`}, {"BUILDKITE_AGENT_ACCESS_TOKEN", "CANARY"},
	{"SYSTEM_ACCESSTOKEN", "CANARY"}, {"SSHPASS", "CANARY"}, {"BUNDLE_GEMS__CORP__EXAMPLE", "ci:CANARY"}, {"PGPASSWORD", "tiger-9"}, {"MYSQL_PWD", "tiger-9"}, {"DB_PASSWORD", "20260131"},
	{"OPENAI_API_KEY", "CANARY"}, {"TF_TOKEN_tf_corp", "CANARY"}, {"RAILS_MASTER_KEY", "CANARY"}, {"VSCODE_GIT_IPC_AUTH_TOKEN", "CANARY"}, {"SLASH_TOKEN", "/CANARY/Zq7x"},
	{"CARGO_REGISTRIES_ACME_TOKEN", "Bearer CANARY"}, {"CIRCLE_OIDC_TOKEN_V2", "CANARY"}, {"BITBUCKET_STEP_OIDC_TOKEN", "CANARY"}, {"DRONE_NETRC_PASSWORD", "CANARY"},
	// By what is in them.
	{"PIP_INDEX_URL", "https://ci:CANARY@pypi.corp.example/simple"}, {"PIP_EXTRA_INDEX_URL", "https://a.corp.example https://ci:CANARY@pypi.corp.example"},
	{"GOPROXY", "https://go.corp.example,https://ci:CANARY@go.corp.example,direct"}, {"DATABASE_URL", "postgres://u:p@h/db"}, {"REDIS_URL", "redis://:CANARY@redis.corp.example"},
	{"CI_REPOSITORY_URL", "https://gitlab-ci-token:CANARY@git.corp.example/app.git"}, {"ConnectionStrings__Db", "Server=db.corp.example;User=app;Password=CANARY"},
	{"SIGNED_BY", "PEM"}, {"GCP_SA_KEY", `{"type": "service_account", "private_key": "ESCAPED"}`},
	{"FORGE", "glpat-TWENTY"}, {"GIT_CONFIG_VALUE_0", "Authorization: Basic BASIC"}, {"MAVEN_OPTS", "-Dserver.password=CANARY"},
}

// filled has what the words in capitals stand for in the place of them.
func (v variable) filled(t *testing.T, dir string) variable {
	canary := func() string { return string(secrettest.Canary(t)) }
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	block := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	v.value = strings.NewReplacer("CANARY", canary(), "PEM", block, "ESCAPED", strings.ReplaceAll(block, "\n", `\n`), "TWENTY", rand.Text()[:20],
		"BASIC", base64.StdEncoding.EncodeToString([]byte("ci:"+canary())), "DIR", dir).Replace(v.value)
	return v
}

func newHiding(keep ...string) *hiding {
	return &hiding{own: all.Resolver(all.Options{}).Credentials(), keep: keep, detector: detect.New()}
}

func TestDivide(t *testing.T) {
	dir := t.TempDir()
	for _, v := range passing {
		v = v.filled(t, dir)
		if left, hidden := newHiding().divide([]string{v.name + "=" + v.value}); len(left) != 1 || len(hidden) != 0 {
			t.Errorf("%s is withheld", v.name)
		}
	}
	for _, v := range withheld {
		v = v.filled(t, dir)
		if left, hidden := newHiding().divide([]string{v.name + "=" + v.value}); len(left) != 0 || !slices.Equal(hidden, []string{v.name}) {
			t.Errorf("%s passes", v.name)
		}
	}
}

func TestDivideKeeps(t *testing.T) {
	environ := []string{"B_TOKEN=" + string(secrettest.Canary(t)), "AWS_SECRET_ACCESS_KEY=x", "AWS_SESSION_TOKEN=y", "OURS=z", "A_TOKEN=" + string(secrettest.Canary(t))}
	for _, test := range []struct {
		keep         []string
		left, hidden string
	}{
		{nil, "", "AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN A_TOKEN B_TOKEN"},
		{[]string{"A_TOKEN", "AWS_SESSION"}, "A_TOKEN", "AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN B_TOKEN"},
		{[]string{"AWS_*"}, "AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN", "A_TOKEN B_TOKEN"},
		{[]string{"*"}, "B_TOKEN AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN A_TOKEN", ""}, // not what a secret comes from
		{[]string{"OURS"}, "OURS", "AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN A_TOKEN B_TOKEN"},
	} {
		h := newHiding(test.keep...)
		h.secrets = []string{"OURS"}
		left, hidden := h.divide(environ)
		for i := range left {
			left[i], _, _ = strings.Cut(left[i], "=")
		}
		if strings.Join(left, " ") != test.left || strings.Join(hidden, " ") != test.hidden {
			t.Errorf("%q: it gets %q and not %q", test.keep, left, hidden)
		}
	}
}

func TestThere(t *testing.T) {
	name := filepath.Join(t.TempDir(), "file")
	if there(name) || there("file") || there("") {
		t.Error("what is not there is taken for a path")
	}
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if !there(name) {
		t.Error("a file is taken for no path")
	}
}
