package dockerlogin_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tightlip/tightlip/internal/enginetest"
	"github.com/tightlip/tightlip/internal/storetest"
	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/secrettest"
	"github.com/tightlip/tightlip/secret/source/command"
	"github.com/tightlip/tightlip/secret/source/dockerlogin"
)

func TestContract(t *testing.T) {
	secrettest.Contract(t, func(t *testing.T) secrettest.Fixture {
		alone(t)
		auths := map[string]any{}
		put := func(t *testing.T, value []byte) secret.Ref {
			host := fmt.Sprintf("r%d.corp.example", len(auths))
			auths[host] = map[string]string{"auth": auth("ci", value)}
			if value == nil {
				auths[host] = map[string]string{"username": "ci", "identitytoken": ""}
				config(t, map[string]any{"credHelpers": map[string]string{host: helper(t, `echo '{"Username":"ci","Secret":""}'`)}})
				return secrettest.Ref(t, "docker-credential:"+host)
			}
			config(t, map[string]any{"auths": auths})
			return secrettest.Ref(t, "docker-credential:"+host)
		}
		return secrettest.Fixture{
			Source:  source(),
			Put:     put,
			Missing: secrettest.Ref(t, "docker-credential:other.corp.example"),
			Unfit: func(value []byte) string {
				if !bytes.Equal(value, bytes.Trim(value, "\x00")) {
					return "docker cuts zero bytes off"
				}
				return ""
			},
			Blocked: func(t *testing.T) secret.Ref {
				config(t, map[string]any{"credsStore": helper(t, "sleep 600")})
				return secrettest.Ref(t, "docker-credential:r.corp.example")
			},
			Broken: broken,
		}
	})
}

// broken has files and helpers that fail with a value in hand.
func broken(t *testing.T, value []byte) []secret.Ref {
	refs := []secret.Ref{}
	for i, content := range []string{"%s", `{"auths": {"r": {"auth": "%s"}}}`, `{"auths": {"r": "%s"}}`, `{"auths": {"r": {"auth": "` + base64.StdEncoding.EncodeToString(value) + `"}}}`} {
		path := filepath.Join(t.TempDir(), fmt.Sprint(i))
		if err := os.WriteFile(path, fmt.Appendf(nil, content, value), 0o600); err != nil {
			t.Fatal(err)
		}
		refs = append(refs, secrettest.Ref(t, "docker-credential:r?file="+path))
	}
	helpers := map[string]string{}
	for i, script := range []string{"echo %s", "echo %s; exit 1", "echo %s >&2; exit 1", `echo '{"Secret": %s}'`} {
		host := fmt.Sprintf("broken%d.corp.example", i)
		helpers[host] = helper(t, fmt.Sprintf(script, value))
		refs = append(refs, secrettest.Ref(t, "docker-credential:"+host))
	}
	config(t, map[string]any{"credHelpers": helpers})
	return refs
}

func TestWhere(t *testing.T) {
	dir := alone(t)
	text := func(host, password string) string {
		return `{"auths": {"` + host + `": {"auth": "` + auth("ci", []byte(password)) + `"}}}`
	}
	t.Setenv("XDG_RUNTIME_DIR", filepath.Join(dir, "run"))
	for path, content := range map[string]string{
		"docker/config.json": `{"auths": {"https://url.corp.example/v1/": {"username": "ci", "password": "of a URL"}, "token.corp.example": {"identitytoken": "a token"},
			"p.corp.example/team": {"username": "ci", "password": "of the team"}, "https://index.docker.io/v1/": {"username": "ci", "password": "of the hub"}, "helped.corp.example": {}}}`,
		"run/containers/auth.json": text("run.corp.example", "of the session"),
		"xdg/containers/auth.json": text("xdg.corp.example", "of the user"),
		"explicit.json":            text("explicit.corp.example", "of the variable"),
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, path)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, path), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct{ rest, env, file, want string }{
		{rest: "url.corp.example", want: "of a URL"},
		{rest: "url.corp.example#username", want: "ci"},
		{rest: "url.corp.example#password", want: "of a URL"},
		{rest: "token.corp.example", want: "a token"},
		{rest: "p.corp.example/team/app", want: "of the team"},
		{rest: "p.corp.example", want: ""},
		{rest: "p.corp.example/other", want: ""},
		{rest: "docker.io", want: "of the hub"},
		{rest: "index.docker.io", want: "of the hub"},
		{rest: "helped.corp.example", want: ""},
		{rest: "run.corp.example", want: "of the session"},
		{rest: "xdg.corp.example", want: "of the user"},
		{rest: "run.corp.example", file: filepath.Join(dir, "explicit.json"), want: ""},
		{rest: "explicit.corp.example", file: filepath.Join(dir, "explicit.json"), want: "of the variable"},
		{rest: "explicit.corp.example?file=" + filepath.Join(dir, "explicit.json"), want: "of the variable"},
		{rest: "env.corp.example", env: text("env.corp.example", "of the environment"), want: "of the environment"},
	} {
		t.Setenv("DOCKER_AUTH_CONFIG", tt.env)
		t.Setenv("REGISTRY_AUTH_FILE", tt.file)
		lease, err := source().Resolve(t.Context(), secrettest.Ref(t, "docker-credential:"+tt.rest))
		switch {
		case tt.want == "" && !errors.Is(err, secret.ErrNotFound):
			t.Errorf("%s: got %v, want ErrNotFound", tt.rest, err)
		case tt.want != "" && (err != nil || string(lease.Value.Open()) != tt.want):
			t.Errorf("%s: got %v", tt.rest, err)
		}
	}
}

// TestHelpers has docker's own helpers keep a login, in a password store and in a keyring.
func TestHelpers(t *testing.T) {
	for name, prepare := range map[string]func(*testing.T){"pass": storetest.PasswordStore, "secretservice": storetest.Keyring} {
		t.Run(name, func(t *testing.T) {
			storetest.Need(t, "docker-credential-"+name)
			alone(t)
			prepare(t)
			canary := string(secrettest.Canary(t))
			stored, err := json.Marshal(map[string]string{"ServerURL": "registry.corp.example", "Username": "ci", "Secret": canary})
			if err != nil {
				t.Fatal(err)
			}
			storetest.Run(t, stored, "docker-credential-"+name, "store")
			config(t, map[string]any{"credsStore": name, "auths": map[string]any{"registry.corp.example": struct{}{}}})
			example := dockerlogin.Source{}.About().Example
			for ref, want := range map[string]string{example: canary, example + "#username": "ci"} {
				lease, err := source().Resolve(t.Context(), secrettest.Ref(t, ref))
				if err != nil || string(lease.Value.Open()) != want {
					t.Errorf("%s: %v", ref, err)
				}
			}
			if _, err := source().Resolve(t.Context(), secrettest.Ref(t, "docker-credential:other.corp.example")); !errors.Is(err, secret.ErrNotFound) {
				t.Errorf("got %v, want ErrNotFound", err)
			}
		})
	}
}

// TestLogin reads what podman login writes after a registry let it in.
func TestLogin(t *testing.T) {
	storetest.Need(t, "podman", "docker-registry", "htpasswd")
	dir := alone(t)
	canary := secrettest.Canary(t)
	host := enginetest.StartRegistry(t, "ci", string(canary)).Host
	t.Setenv("REGISTRY_AUTH_FILE", filepath.Join(dir, "auth.json"))
	storetest.Run(t, canary, "podman", "login", "--tls-verify=false", "--username", "ci", "--password-stdin", host)
	for field, want := range map[string]string{"": string(canary), "#username": "ci"} {
		lease, err := source().Resolve(t.Context(), secrettest.Ref(t, "docker-credential:"+host+field))
		if err != nil || string(lease.Value.Open()) != want {
			t.Errorf("%s: %v", field, err)
		}
	}
}

func TestErrors(t *testing.T) {
	alone(t)
	config(t, map[string]any{"credHelpers": map[string]string{"a": "not-installed", "b": "../b", "c": helper(t, "exit 1")}})
	for _, tt := range []struct{ rest, want, hint string }{
		{"a", "command docker-credential-not-installed not found", "install docker-credential-not-installed or add its folder to PATH"},
		{"b", "the name of a credential helper is a path", "correct credsStore or credHelpers"},
		{"c", "failed: exit status 1", "list to see why"},
		{"a#email", "a reference to docker-credential: lacks its registry, or names an unknown field", "write docker-credential:REGISTRY"},
		{"d?file=/no/such/file", "file /no/such/file does not exist", "check the path"},
	} {
		_, err := source().Resolve(t.Context(), secrettest.Ref(t, "docker-credential:"+tt.rest))
		var hinted interface{ Hint() string }
		if err == nil || !strings.Contains(err.Error(), tt.want) || !errors.As(err, &hinted) || !strings.Contains(hinted.Hint(), tt.hint) {
			t.Errorf("%s: got %v", tt.rest, err)
		}
	}
}

func source() dockerlogin.Source {
	return dockerlogin.Source{Runner: command.NewRunner(command.Options{Stderr: new(bytes.Buffer)})}
}

// alone hides the logins of this machine, and returns where those of the test go.
func alone(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, value := range map[string]string{"DOCKER_CONFIG": filepath.Join(dir, "docker"), "REGISTRY_AUTH_FILE": "", "DOCKER_AUTH_CONFIG": "",
		"XDG_CONFIG_HOME": filepath.Join(dir, "xdg"), "XDG_RUNTIME_DIR": dir} {
		t.Setenv(name, value)
	}
	return dir
}

func config(t *testing.T, content any) {
	t.Helper()
	data, err := json.Marshal(content)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(os.Getenv("DOCKER_CONFIG"), "config.json")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// helper puts a credential helper on PATH and returns its name.
func helper(t *testing.T, script string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "docker-credential-x")
	dir := filepath.Dir(path)
	name := "x" + strings.ToLower(filepath.Base(filepath.Dir(dir))+filepath.Base(dir))
	if err := os.WriteFile(filepath.Join(dir, "docker-credential-"+name), []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	return name
}

func auth(user string, password []byte) string {
	return base64.StdEncoding.EncodeToString([]byte(user + ":" + string(password)))
}

func Example() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	text := `{"auths": {"registry.corp.example": {"auth": "` + auth("ci", []byte("not a real one")) + `"}}}`
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(text), 0o600); err != nil {
		fmt.Println(err)
		return
	}
	ref, err := secret.ParseRef("docker-credential:registry.corp.example?file=" + filepath.Join(dir, "config.json"))
	if err != nil {
		fmt.Println(err)
		return
	}
	lease, err := dockerlogin.Source{}.Resolve(context.Background(), ref)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(lease.Value, lease.Value.Len())
	// Output: [sealed] 14
}
