package real

import (
	"archive/zip"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tightlip/tightlip/internal/enginetest"
)

// recipe fetches something private into a build context with tightlip run. Those that are right are in docs/run.md, word for word.
type recipe struct {
	name, tool string
	script     string
	look       string // prints something of what was fetched
	shows      string
	leaks      string // the file that a wrong recipe leaves the credential in
}

const (
	runPip = "tightlip run --secret id=pip,from=file:~/.netrc,file=NETRC --context . -- \\\n    "
	runNPM = "tightlip run --secret id=npm,from=env:NPM_TOKEN,env=NPM_TOKEN --context . -- \\\n    "
	runGit = "tightlip run --secret id=git,from=env:GIT_TOKEN,env=TOKEN --context . -- \\\n    "
	runGo  = "tightlip run --secret id=go,from=file:~/.netrc,file=NETRC --context . -- \\\n    "
	runRs  = "tightlip run --secret id=cargo,from=env:CARGO_TOKEN,env=TOKEN --context . -- \\\n    "
)

var recipes = []recipe{
	{name: "pip, with a netrc file", tool: "pip", shows: "hello from pip", look: "unzip -p wheels/*.whl acme_hello.py",
		script: runPip + "pip download --index-url https://pypi.corp.example/simple -d wheels -r requirements.txt"},
	{name: "pip, with a URL", tool: "pip", shows: "hello from pip", look: "unzip -p wheels/*.whl acme_hello.py",
		script: "tightlip run --secret id=pip,from=env:PYPI_URL,env=PIP_INDEX_URL --context . -- \\\n    pip download -d wheels -r requirements.txt"},
	{name: "npm, a cache", tool: "npm", shows: "hello from npm", look: "npm ci --offline --cache npm-cache >&2 && node -p 'require(\"@acme/hello\")'",
		script: runNPM + "npm ci --ignore-scripts --cache npm-cache"},
	{name: "npm, an archive", tool: "npm", shows: "hello from npm", look: "tar -xOf acme-hello-1.0.0.tgz package/index.js",
		script: runNPM + "npm pack @acme/hello"},
	{name: "go", tool: "go", shows: "hello from go", look: "cat vendor/corp.example/hello/hello.go && go run -mod=vendor .",
		script: runGo + "env GOPROXY=https://go.corp.example GONOSUMDB=corp.example go mod vendor"},
	{name: "cargo", tool: "cargo", shows: "hello from cargo", look: "cat vendor/acme-hello/src/lib.rs && cargo build -q --offline",
		script: runRs + `sh -c 'CARGO_REGISTRIES_ACME_TOKEN="Bearer $TOKEN" cargo vendor >> .cargo/config.toml'`},
	{name: "git over HTTPS", tool: "git", shows: "hello from git", look: "cat app/hello && git -C app log",
		script: runGit + `git -c credential.helper='!f() { echo username=ci; echo "password=$TOKEN"; }; f' clone --depth 1 https://git.corp.example/app.git`},
	{name: "git over HTTPS, with a header", tool: "git", shows: "hello from git", look: "cat app/hello",
		script: runGit + `sh -c 'export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=http.https://git.corp.example/.extraHeader
    export GIT_CONFIG_VALUE_0="Authorization: Basic $(printf %s "ci:$TOKEN" | base64 -w0)"
    git clone --depth 1 https://git.corp.example/app.git'`},
	{name: "git over SSH", tool: "git", shows: "hello from git", look: "cat app/hello",
		script: `tightlip mint 'ssh-cert:~/.ssh/ca?principals=git&ttl=10m' --env KEY --as-file --context . -- \
    sh -c 'export GIT_SSH_COMMAND="ssh -i $KEY"; git archive --prefix=app/ --remote=git@git.corp.example:app.git HEAD | tar -x'`},

	{name: "pip, with a URL in the requirements", tool: "pip", leaks: "requirements.txt",
		script: runPip + `sh -c 'sed -i "1i --index-url https://$(sed -n "s/.*pypi.* login \(.*\) password \(.*\)/\1:\2/p" $NETRC)@pypi.corp.example/simple" requirements.txt && pip download -d wheels -r requirements.txt'`},
	{name: "npm, with a token in .npmrc", tool: "npm", leaks: ".npmrc",
		script: runNPM + `sh -c 'npm config set --location=project //npm.corp.example/:_authToken "$NPM_TOKEN" && npm ci --ignore-scripts --cache npm-cache'`},
	{name: "git, with a URL", tool: "git", leaks: "app/.git/config", script: runGit + `sh -c 'git clone https://ci:$TOKEN@git.corp.example/app.git'`},
	{name: "git, with a header in the clone", tool: "git", leaks: "app/.git/config",
		script: runGit + `sh -c 'git clone -c http.extraHeader="Authorization: Basic $(printf %s "ci:$TOKEN" | base64 -w0)" https://git.corp.example/app.git'`},
	{name: "git, with a store", tool: "git", leaks: "credentials",
		script: runGit + `sh -c 'echo "https://ci:$TOKEN@git.corp.example" > credentials && git -c credential.helper="store --file $PWD/credentials" clone https://git.corp.example/app.git'`},
	{name: "go, with go env -w", tool: "go", leaks: "goenv", script: runGit + `sh -c 'GOENV=$PWD/goenv go env -w GOPROXY="https://ci:$TOKEN@go.corp.example"'`},
	{name: "cargo, with cargo login", tool: "cargo", leaks: "cargo-home/credentials.toml",
		script: runRs + `sh -c 'echo "Bearer $TOKEN" | CARGO_HOME=$PWD/cargo-home cargo login --registry acme'`},
}

// corpNetwork leads those who ask for the names of the servers to them, as the network of a company does. It returns its proxy's URL.
func (p *private) corpNetwork(t *testing.T) string {
	t.Helper()
	to := map[string]string{"npm": p.https, "pypi": p.https, "go": p.https, "cargo": p.https, "git": p.git}
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		up, err := net.Dial("tcp", to[strings.TrimSuffix(r.Host, corp+":443")])
		if r.Method != http.MethodConnect || err != nil {
			http.Error(w, "no such host", http.StatusBadGateway)
			return
		}
		down, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			up.Close()
			return
		}
		_, _ = io.WriteString(down, "HTTP/1.1 200 OK\r\n\r\n")
		go func() { _, _ = io.Copy(up, down); up.Close() }()
		go func() { _, _ = io.Copy(down, up); down.Close() }()
	}))
	t.Cleanup(proxy.Close)
	return proxy.URL
}

// startCertificateSSH starts an sshd that trusts certificates for the principal git by ~/.ssh/ca, and runs git's commands alone. The ssh
// in PATH finds it under the name git.corp.example.
func (p *private) startCertificateSSH(t *testing.T, bin string) {
	t.Helper()
	dir, ssh := filepath.Join(p.dir, "ssh"), filepath.Join(p.box.Env["HOME"], ".ssh")
	p.write(t, "ssh/principals", []byte("git\n"))
	p.write(t, "ssh/shell", fmt.Appendf(nil, "export HOME=/nonexistent GIT_CONFIG_NOSYSTEM=1; cd %s/git && eval \"git ${SSH_ORIGINAL_COMMAND#git-}\"\n", p.dir))
	port := enginetest.StartSSHD(t, dir, "AuthorizedPrincipalsFile DIR/principals", "ForceCommand sh DIR/shell")
	if err := errors.Join(os.MkdirAll(ssh, 0o700), os.Rename(filepath.Join(dir, "authority"), filepath.Join(ssh, "ca"))); err != nil {
		t.Fatal(err)
	}
	client := p.write(t, "ssh/config", fmt.Appendf(nil, "Host git.corp.example\n  HostName 127.0.0.1\n  Port %s\n  UserKnownHostsFile %s/known_hosts\n  IdentitiesOnly yes\n  BatchMode yes\n", port, dir))
	wrapper := fmt.Sprintf("#!/bin/sh\nexec %s -F %s -l root \"$@\"\n", enginetest.Tool(t, "ssh"), client)
	if err := os.WriteFile(filepath.Join(bin, "ssh"), []byte(wrapper), 0o755); err != nil {
		t.Fatal(err)
	}
}

// user has the box be that of a developer: with credentials in the places where they are kept, and none elsewhere.
func (p *private) user(t *testing.T) {
	t.Helper()
	home, proxy, bin := p.box.Env["HOME"], p.corpNetwork(t), filepath.Join(p.dir, "bin")
	netrc := fmt.Sprintf("machine pypi.corp.example login ci password %[1]s\nmachine go.corp.example login ci password %[1]s\n", p.password)
	err := errors.Join(os.WriteFile(filepath.Join(home, ".netrc"), []byte(netrc), 0o600), os.MkdirAll(bin, 0o755),
		os.Symlink(enginetest.Binary(t), filepath.Join(bin, "tightlip")), os.Symlink("repo.git", filepath.Join(p.dir, "git/app.git")))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range toolchains() {
		key, value, _ := strings.Cut(entry, "=")
		p.box.Env[key] = value
	}
	for key, value := range map[string]string{
		"PATH": bin + ":" + os.Getenv("PATH"), "NPM_TOKEN": p.token, "GIT_TOKEN": p.gitToken, "CARGO_TOKEN": p.token, "LC_ALL": "C",
		"PYPI_URL":    "https://ci:" + p.password + "@pypi.corp.example/simple",
		"HTTPS_PROXY": proxy, "https_proxy": proxy,
		"PIP_CERT": p.ca, "npm_config_cafile": p.ca, "NODE_EXTRA_CA_CERTS": p.ca, "SSL_CERT_FILE": p.ca, "GIT_SSL_CAINFO": p.ca, "CARGO_HTTP_CAINFO": p.ca,
		"PIP_DISABLE_PIP_VERSION_CHECK": "1", "NO_UPDATE_NOTIFIER": "1", "GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_NOSYSTEM": "1", "GOTOOLCHAIN": "local",
		"GOFLAGS": "-modcacherw", "GOCACHE": filepath.Join(p.dir, "gocache"), "GOPATH": filepath.Join(p.dir, "gopath"), "CARGO_HOME": filepath.Join(p.dir, "cargo"),
	} {
		p.box.Env[key] = value
	}
	p.startCertificateSSH(t, bin)
}

// project fills a build context with what belongs into a repository.
func (p *private) project(t *testing.T, dir string) {
	t.Helper()
	sum := sha512.Sum512(readFile(t, filepath.Join(p.dir, "www/npm/@acme/hello/-/hello-1.0.0.tgz")))
	for name, text := range map[string]string{
		"requirements.txt": "acme-hello==1.0\n",
		"package.json":     packageJSON,
		"package-lock.json": `{"name": "app", "version": "1.0.0", "lockfileVersion": 3, "packages": {"": {"name": "app", "version": "1.0.0", "dependencies": {"@acme/hello": "1.0.0"}},
"node_modules/@acme/hello": {"version": "1.0.0", "resolved": "https://npm.corp.example/@acme/hello/-/hello-1.0.0.tgz", "integrity": "sha512-` + base64.StdEncoding.EncodeToString(sum[:]) + `"}}}`,
		".npmrc":             "@acme:registry=https://npm.corp.example/\n//npm.corp.example/:_authToken=${NPM_TOKEN}\n",
		"go.sum":             p.goSum(t),
		"go.mod":             "module corp.example/app\n\ngo 1.21\n\nrequire corp.example/hello v1.0.0\n",
		"main.go":            "package main\n\nimport \"corp.example/hello\"\n\nfunc main() { println(hello.Hello()) }\n",
		"Cargo.toml":         "[package]\nname = \"app\"\nversion = \"1.0.0\"\nedition = \"2021\"\n[dependencies]\nacme-hello = {version = \"1\", registry = \"acme\"}\n",
		"src/lib.rs":         "",
		".cargo/config.toml": "[registries.acme]\nindex = \"sparse+https://cargo.corp.example/index/\"\n[registry]\nglobal-credential-providers = [\"cargo:token\"]\n",
	} {
		p.box.Write(filepath.Join(dir, name), []byte(text))
	}
}

// goSum has the hashes of the module, as go writes them.
func (p *private) goSum(t *testing.T) string {
	t.Helper()
	const name = "corp.example/hello"
	z, err := zip.OpenReader(filepath.Join(p.dir, "www/go", name, "@v/v1.0.0.zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	hash := func(lines ...string) string {
		slices.SortFunc(lines, func(a, b string) int { return strings.Compare(a[64:], b[64:]) })
		sum := sha256.Sum256([]byte(strings.Join(lines, "")))
		return "h1:" + base64.StdEncoding.EncodeToString(sum[:])
	}
	var whole []string
	mod := ""
	for _, f := range z.File {
		data, err := fs.ReadFile(z, f.Name)
		if err != nil {
			t.Fatal(err)
		}
		whole = append(whole, fmt.Sprintf("%x  %s\n", sha256.Sum256(data), f.Name))
		if strings.HasSuffix(f.Name, "/go.mod") {
			mod = hash(fmt.Sprintf("%x  go.mod\n", sha256.Sum256(data)))
		}
	}
	return fmt.Sprintf("%[1]s v1.0.0 %[2]s\n%[1]s v1.0.0/go.mod %[3]s\n", name, hash(whole...), mod)
}

// follow does what a recipe says, in a context of its own.
func (p *private) follow(t *testing.T, r recipe, dir string) enginetest.Result {
	t.Helper()
	p.project(t, dir)
	cmd := p.box.Command(enginetest.Tool(t, "bash"), "-c", r.script)
	cmd.Dir = filepath.Join(p.box.Work, dir)
	got := enginetest.Finish(t, cmd)
	for _, v := range p.canaries() {
		enginetest.NoTraces(t, "the output", got.All(), v)
	}
	return got
}

// runPage returns what wants docs/run.md to have a text. How far lines are indented does not matter.
func runPage(t *testing.T) func(t *testing.T, text string) {
	t.Helper()
	doc := readFile(t, filepath.Join(enginetest.Root(t), "docs/run.md"))
	flat := func(text string) string {
		var out strings.Builder
		for line := range strings.Lines("\n" + strings.TrimSpace(text) + "\n") {
			out.WriteString(strings.TrimLeft(line, " "))
		}
		return out.String()
	}
	page := flat(string(doc))
	return func(t *testing.T, text string) {
		t.Helper()
		if !strings.Contains(page, flat(text)) {
			t.Errorf("docs/run.md does not have this:\n%s", text)
		}
	}
}

// TestRecipes fetches with real clients from real servers, as docs/run.md has it, and in ways that leave the credential behind.
func TestRecipes(t *testing.T) {
	enginetest.NeedRoot(t)
	p := startSources(t)
	p.write(t, "www/cargo/index/config.json", []byte(`{"dl":"https://cargo.corp.example/dl/{crate}-{version}.crate","auth-required":true}`))
	p.user(t)
	documented := runPage(t)
	for i, r := range recipes {
		t.Run(r.name, func(t *testing.T) {
			if r.leaks == "" {
				documented(t, r.script)
			}
			if _, err := exec.LookPath(r.tool); err != nil {
				t.Skip("not tried: " + r.tool + " is not installed")
			}
			dir := fmt.Sprintf("context%d", i)
			got := p.follow(t, r, dir)
			if r.leaks != "" {
				if got.Code != 3 || !strings.Contains(got.Stderr, ": file "+r.leaks+" ") || !strings.Contains(got.Stderr, "a secret is in the build context") {
					t.Errorf("exit code %d:\n%s", got.Code, got.All())
				}
				return
			}
			if got.Code != 0 || !strings.Contains(got.Stderr, "tightlip: proven: ") {
				t.Fatalf("exit code %d:\n%s", got.Code, got.All())
			}
			for _, v := range p.canaries() {
				enginetest.NoTracesIn(t, filepath.Join(p.box.Work, dir), v)
			}
			p.fetched(t, r, dir)
		})
	}
}

// fetched wants what a recipe has fetched to be right and enough, with no credential and nobody to ask.
func (p *private) fetched(t *testing.T, r recipe, dir string) {
	t.Helper()
	cmd := exec.Command("bash", "-c", r.look)
	cmd.Dir = filepath.Join(p.box.Work, dir)
	for key, value := range p.box.Env {
		if !strings.HasSuffix(key, "_TOKEN") && key != "PYPI_URL" && !strings.EqualFold(key, "HTTPS_PROXY") {
			cmd.Env = append(cmd.Env, key+"="+value)
		}
	}
	cmd.Env = append(cmd.Env, "HOME="+t.TempDir(), "CARGO_HOME="+t.TempDir(), "GOPROXY=off", "GOPATH="+t.TempDir())
	if got := enginetest.Finish(t, cmd); got.Code != 0 || !strings.Contains(got.All(), r.shows) {
		t.Errorf("exit code %d, without %q:\n%s", got.Code, r.shows, got.All())
	}
}

// The parts of a Dockerfile that installs what the recipes have fetched.
const (
	fromWheels = `COPY requirements.txt ./
COPY wheels /wheels
RUN --network=none pip install --no-index --find-links /wheels -r requirements.txt
`
	fromCache = `COPY package.json package-lock.json .npmrc ./
COPY npm-cache /npm-cache
RUN --network=none npm ci --offline --cache /npm-cache
`
	fetchedDockerfile = `FROM acme-base
COPY npm /usr/lib/node_modules/npm
RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/bin/npm
ENV PIP_BREAK_SYSTEM_PACKAGES=1
WORKDIR /app
` + fromWheels + fromCache + `RUN --network=none node -p 'require("@acme/hello")' && python3 -c 'import acme_hello; print(acme_hello.hello())'
`
)

// TestFetchThenCopy builds what two of the recipes have fetched, with no secret and no network, and proves the image.
func TestFetchThenCopy(t *testing.T) {
	enginetest.NeedRoot(t)
	p := startSources(t)
	p.user(t)
	documented := runPage(t)
	for _, i := range []int{0, 2} {
		if r := p.follow(t, recipes[i], "context"); r.Code != 0 {
			t.Fatalf("%s: exit code %d:\n%s", recipes[i].name, r.Code, r.All())
		}
	}
	documented(t, fromWheels)
	documented(t, fromCache)
	root := enginetest.Root(t)
	layoutOf(t, p.box, filepath.Join(root, ".tools/base.tar"))
	command(t, p.box.Work, "cp", "-r", filepath.Join(root, ".tools/npm/node_modules/npm"), "context/npm")
	p.box.Write("context/.dockerignore", []byte("node_modules\n!npm/node_modules\n"))
	p.box.Write("context/Dockerfile", []byte(fetchedDockerfile))
	r := p.box.Tightlip("build", "--engine", "embedded", "--progress", "plain", "--build-context", "acme-base=oci-layout://base:latest", "-o", "type=docker,dest=app.tar", "context")
	if r.Code != 0 || !strings.Contains(r.Stderr, "hello from npm") || !strings.Contains(r.Stderr, "hello from pip") {
		t.Fatalf("exit code %d:\n%s", r.Code, r.All())
	}
	r = p.box.Tightlip("prove", "tar:app.tar", "--secret", "id=npm,from=env:NPM_TOKEN", "--secret", "id=pip,from=file:~/.netrc")
	if r.Code != 0 || !strings.Contains(r.Stdout, "proven: npm, pip nowhere in the image") {
		t.Errorf("exit code %d:\n%s", r.Code, r.All())
	}
	p.box.Write("context/.npmrc", p.npmrc())
	r = p.box.Tightlip("prove", "context:context", "--secret", "id=npm,from=env:NPM_TOKEN")
	if r.Code != 3 || !strings.Contains(r.Stdout, "file .npmrc ") {
		t.Errorf("of a context with the token: exit code %d:\n%s", r.Code, r.All())
	}
}
