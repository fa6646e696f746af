package config_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tightlip/tightlip/internal/config"
	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/secrettest"
)

// tree makes files below a new folder, and options that look at it from its folder "work".
func tree(t *testing.T, files map[string]string) (dir string, opts config.Options) {
	t.Helper()
	dir = t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir, config.Options{Dir: filepath.Join(dir, "work"), Environ: []string{"HOME=" + filepath.Join(dir, "home")}}
}

const (
	userFile    = "home/.config/tightlip/config.yaml"
	projectFile = "work/tightlip.yaml"
	// stop keeps the search for a project's file inside of the test's folder.
	stop = "work/.git/HEAD"
)

func load(t *testing.T, opts config.Options) *config.Config {
	t.Helper()
	c, err := config.Load(opts)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestDefaults(t *testing.T) {
	dir, opts := tree(t, map[string]string{stop: ""})
	c := load(t, opts)
	if c.Engine != "auto" || c.Prove != config.ProofStrict || c.EngineCache != 10e9 || c.EngineKeep != 0 || len(c.Allow) != 0 || len(c.Secrets) != 0 {
		t.Errorf("got %+v", c)
	}
	if c.CacheDir != filepath.Join(dir, "home/.cache/tightlip") || c.StateDir != filepath.Join(dir, "home/.local/state/tightlip") {
		t.Errorf("got the folders %s, %s", c.CacheDir, c.StateDir)
	}
	for _, s := range c.Settings() {
		if s.Origin.String() != "default" || s.Value == "" {
			t.Errorf("%s is %q from %s", s.Name, s.Value, s.Origin)
		}
	}
}

func TestNoHome(t *testing.T) {
	_, opts := tree(t, map[string]string{stop: ""})
	opts.Environ = []string{"XDG_CACHE_HOME=relative", "XDG_STATE_HOME=/state"}
	if c := load(t, opts); c.CacheDir != "" || c.StateDir != "/state/tightlip" {
		t.Errorf("got the folders %q, %q", c.CacheDir, c.StateDir)
	}
}

func TestPrecedence(t *testing.T) {
	dir, opts := tree(t, map[string]string{
		stop:        "",
		userFile:    "version: 1\nbuild: {engine: docker, prove: warn}\nengine: {cache: 1GiB, keep: 1m}\nallow: [cmd]\n",
		projectFile: "version: 1\nbuild:\n  prove: \"off\"\nengine: {cache: 2GB, keep: 2m}\n",
	})
	opts.Environ = append(opts.Environ, "TIGHTLIP_ENGINE_CACHE=512 MB", "TIGHTLIP_ENGINE_KEEP=3m", "TIGHTLIP_CACHE_DIR=/c", "TIGHTLIP_ENGINE=")
	opts.Flags = map[string]string{"engine-keep": "90s"}
	c := load(t, opts)
	if c.Engine != "docker" || c.Prove != config.ProofOff || c.EngineCache != 512e6 || c.EngineKeep != 90*time.Second || c.CacheDir != "/c" {
		t.Errorf("got %+v", c)
	}
	var got strings.Builder
	for _, s := range c.Settings() {
		fmt.Fprintf(&got, "%s = %s (%s)\n", s.Name, s.Value, s.Origin)
	}
	user, state := filepath.Join(dir, userFile), filepath.Join(dir, "home/.local/state/tightlip")
	want := "engine = docker (" + user + ":2:17)\nproof = off (tightlip.yaml:3:10)\nengine cache = 512000000 bytes (TIGHTLIP_ENGINE_CACHE)\n" +
		"engine keep = 1m30s (--engine-keep)\nallowed sources = cmd (" + user + ":4:8)\nkept variables = none (default)\ncache folder = /c (TIGHTLIP_CACHE_DIR)\n" +
		"state folder = " + state + " (default)\n"
	if got.String() != want {
		t.Errorf("got\n%swant\n%s", &got, want)
	}
}

func TestSearch(t *testing.T) {
	engine := func(name string) string { return "version: 1\nbuild: {engine: " + name + "}\n" }
	for _, tt := range []struct {
		name  string
		files map[string]string
		env   string
		flags map[string]string
		want  string
	}{
		{"here", map[string]string{projectFile: engine("docker"), "tightlip.yaml": engine("embedded")}, "", nil, "docker"},
		{"above", map[string]string{"tightlip.yaml": engine("embedded"), "work/x": ""}, "", nil, "embedded"},
		{"at the repository's root", map[string]string{projectFile: engine("docker"), stop: ""}, "", nil, "docker"},
		{"not above the repository", map[string]string{"tightlip.yaml": engine("embedded"), stop: "", ".git/HEAD": ""}, "", nil, "auto"},
		{"a worktree's .git is a file", map[string]string{"tightlip.yaml": engine("embedded"), "work/.git": ""}, "", nil, "auto"},
		{"named by a variable", map[string]string{projectFile: engine("embedded"), "o.yaml": engine("docker")}, "../o.yaml", nil, "docker"},
		{"named by a flag", map[string]string{"o.yaml": engine("docker"), "work/p": engine("embedded")}, "../o.yaml", map[string]string{"config": "p"}, "embedded"},
	} {
		_, opts := tree(t, tt.files)
		opts.Flags = tt.flags
		opts.Environ = append(opts.Environ, "TIGHTLIP_CONFIG="+tt.env)
		if c := load(t, opts); c.Engine != tt.want {
			t.Errorf("%s: got the engine %s, want %s", tt.name, c.Engine, tt.want)
		}
	}
}

func TestErrors(t *testing.T) {
	head := "version: 1\n"
	for _, tt := range []struct{ file, want string }{
		{"", "tightlip.yaml: the file is empty"},
		{"# nothing\n", "tightlip.yaml: the file is empty"},
		{"secrets: {}\n", "tightlip.yaml:1:1: the version is missing"},
		{"version: 2\n", "tightlip.yaml:1:10: version must be 1"},
		{"version: '1'\n", "tightlip.yaml:1:10: version must be 1"},
		{"- version: 1\n", "tightlip.yaml:1:1: the file must be a mapping of keys to values"},
		{"a: b: c\n", "tightlip.yaml: is not YAML: mapping values are not allowed in this context"},
		{head + "---\nversion: 1\n", "tightlip.yaml: the file goes on after its first document"},
		{head + "---\na: b: c\n", "tightlip.yaml: the file goes on after its first document"},
		{head + "secret: {}\n", `tightlip.yaml:2:1: the file has an unknown key "secret"; did you mean "secrets"?`},
		{head + "version: 1\n", "tightlip.yaml:2:1: the file has the key version twice"},
		{head + "? [a]\n: b\n", "tightlip.yaml:2:3: a key must be text"},
		{head + "secrets:\n", "tightlip.yaml:2:9: secrets must be a mapping of keys to values"},
		{head + "secrets: {npm: env:X}\n", "tightlip.yaml:2:16: secret npm must be a mapping of keys to values"},
		{head + "secrets:\n  npm: {form: env:X}\n", `tightlip.yaml:3:9: secret npm has an unknown key "form"; did you mean "from"?`},
		{head + "secrets: {npm: {password: x}}\n", `tightlip.yaml:2:17: secret npm has an unknown key "password"; known are from, rebuild, waive, broker, seal, deliver, arg`},
		{head + "secrets: {npm: {from: [x]}}\n", "tightlip.yaml:2:23: from must be a reference, as text"},
		{head + "secrets: {npm: {from: 1}}\n", "tightlip.yaml:2:23: from must be a reference, as text"},
		{head + "secrets: {npm: {from: }}\n", "tightlip.yaml:2:23: from must be a reference, as text"},
		{head + "secrets: {npm: {from: ./x}}\n", "tightlip.yaml:2:23: from: a reference must begin with a scheme"},
		{head + "secrets: {npm: {rebuild: always}}\n", "tightlip.yaml:2:26: rebuild must be on-change"},
		{head + "secrets: {npm: {waive: 'true'}}\n", "tightlip.yaml:2:24: waive must be true or false"},
		{head + "secrets: {npm: {broker: {}}}\n", "tightlip.yaml:2:25: the routes of a secret must be a list"},
		{head + "secrets: {npm: {broker: [{origin: https://npm.corp.example/path, attach: bearer}]}}\n", "tightlip.yaml:2:35: an origin has no path and no query"},
		{head + "secrets: {npm: {broker: [{origin: https://npm.corp.example, attach: query}]}}\n", "tightlip.yaml:2:26: attach is not bearer, basic or header:NAME"},
		{head + "secrets: {npm: {seal: true}}\n", "tightlip.yaml:2:11: seal leaves steps nothing but the broker, which the secret npm has no route for"},
		{head + "broker: {pass: [npm.corp.example]}\n", "tightlip.yaml:2:17: an origin must begin with https:// or http://"},
		{head + "secrets: {'': {from: env:X}}\n", "tightlip.yaml:2:11: a secret's id must be printable text"},
		{head + "secrets: {a: {}, a: {}}\n", "tightlip.yaml:2:18: secrets has the key a twice"},
		{head + "allow: [cmd]\n", "tightlip.yaml:2:1: allow has no place in the project's file: only the user can allow sources to it"},
		{head + "build: {engine: dcoker}\n", `tightlip.yaml:2:17: build.engine must be one of auto, docker, embedded, classic, podman, buildah; did you mean "docker"?`},
		{head + "build: {prove: [strict]}\n", "tightlip.yaml:2:16: build.prove must be a single value"},
		{head + "build: {prove: ~}\n", "tightlip.yaml:2:16: build.prove must be a single value"},
		{head + "build: {prov: strict}\n", `tightlip.yaml:2:9: build has an unknown key "prov"; did you mean "prove"?`},
		{head + "engine: docker\n", "tightlip.yaml:2:9: engine must be a mapping of keys to values"},
		{head + "engine: {cache: much}\n", "tightlip.yaml:2:17: engine.cache must be a size such as 10GB or 512MiB"},
		{head + "engine: {keep: -1s}\n", "tightlip.yaml:2:16: engine.keep must be a duration such as 0s, 90s or 5m"},
	} {
		_, opts := tree(t, map[string]string{projectFile: tt.file})
		opts.Check = known
		_, err := config.Load(opts)
		if err == nil || err.Error() != tt.want {
			t.Errorf("%q\ngot  %v\nwant %s", tt.file, err, tt.want)
		}
	}
}

func known(ref secret.Ref) error { return secret.CheckScheme(ref, []string{"env", "file"}) }

func TestAllErrorsAtOnce(t *testing.T) {
	dir, opts := tree(t, map[string]string{
		userFile:    "version: 1\nallow: cmd\n",
		projectFile: "version: 1\nbuild:\n  engine: x\n  prov: strict\nsecrets: {a: {from: x, waive: 1}}\n",
	})
	opts.Environ = append(opts.Environ, "TIGHTLIP_PORVE=off", "TIGHTLIP_ENGINE_CACHE=1XB", "TIGHTLIP_STATE_DIR=state", "TIGHTLIP_ALLOW=cmd:", "TIGHTLIP_KEEP_ENV=NPM_TOKEN=value")
	opts.Flags = map[string]string{"prove": "never", "no-such": ""}
	_, err := config.Load(opts)
	want := `unknown variable TIGHTLIP_PORVE; did you mean "TIGHTLIP_PROVE"?
unknown flag --no-such
` + filepath.Join(dir, userFile) + `:2:8: allow must be a list
tightlip.yaml:4:3: build has an unknown key "prov"; did you mean "prove"?
tightlip.yaml:5:21: from: a reference must begin with a scheme
tightlip.yaml:5:31: waive must be true or false
tightlip.yaml:3:11: build.engine must be one of auto, docker, embedded, classic, podman, buildah
--prove must be one of strict, warn, off
TIGHTLIP_ENGINE_CACHE must be a size such as 10GB or 512MiB
TIGHTLIP_ALLOW must be a list of schemes such as cmd, without colons
TIGHTLIP_KEEP_ENV must be a list of names such as NAME,AWS_*, without values, and with * at the end of a name only
TIGHTLIP_STATE_DIR must be an absolute path`
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

func TestFileErrors(t *testing.T) {
	_, opts := tree(t, map[string]string{"work/tightlip.yml": "version: 1\n"})
	if _, err := config.Load(opts); err == nil || err.Error() != "tightlip.yml: the file must be named tightlip.yaml" {
		t.Errorf("got %v for tightlip.yml", err)
	}
	_, opts = tree(t, map[string]string{stop: ""})
	opts.Flags = map[string]string{"config": "gone.yaml"}
	if _, err := config.Load(opts); err == nil || err.Error() != "gone.yaml: cannot be read: no such file or directory" {
		t.Errorf("got %v for a missing file", err)
	}
	_, opts = tree(t, map[string]string{"work/tightlip.yaml/x": ""})
	if _, err := config.Load(opts); err == nil || err.Error() != "tightlip.yaml: cannot be read: is a directory" {
		t.Errorf("got %v for a directory", err)
	}
}

// A value written where a reference or a setting belongs must not be shown.
func TestErrorsQuoteNoValue(t *testing.T) {
	canary := secrettest.Canary(t)
	for _, file := range []string{
		"secrets: {npm: {from: VALUE}}", "secrets: {npm: {from: 'x:VALUE'}}", "secrets: {npm: {from: [VALUE]}}", "secrets: {npm: VALUE}", "secrets: VALUE",
		"secrets: {npm: {waive: VALUE, rebuild: VALUE}}", "secrets: {npm: {VALUE: 1}}", "build: {engine: VALUE, prove: VALUE}",
		"engine: {keep: VALUE, cache: VALUE}", "version: VALUE", "VALUE", "[VALUE", "- VALUE", "VALUE: 1",
	} {
		_, opts := tree(t, map[string]string{projectFile: strings.ReplaceAll(file, "VALUE", string(canary))})
		opts.Check = known
		_, err := config.Load(opts)
		ce, ok := errors.AsType[*config.Error](err)
		if !ok || secrettest.Leak(err.Error()+ce.Hint(), canary) != "" {
			t.Errorf("%s: the error is missing or shows the value", file)
		}
	}
}

func TestVariables(t *testing.T) {
	seen := map[string]bool{}
	for _, v := range config.Variables() {
		if seen[v.Name] || !strings.HasPrefix(v.Name, "TIGHTLIP_") || v.Meaning == "" {
			t.Errorf("%+v", v)
		}
		seen[v.Name] = true
	}
	for _, name := range []string{"CONFIG", "ENGINE", "PROVE", "ENGINE_CACHE", "ENGINE_KEEP", "ALLOW", "KEEP_ENV", "CACHE_DIR", "STATE_DIR"} {
		if !seen["TIGHTLIP_"+name] {
			t.Errorf("TIGHTLIP_%s is missing", name)
		}
	}
}
