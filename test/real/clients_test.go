package real

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/tightlip/tightlip/broker/gate"
	"github.com/tightlip/tightlip/internal/enginetest"
)

var update = flag.Bool("update", false, "write the table of clients into docs/broker.md")

// client is a program that fetches something private. In its script, DOOR is the URL of an origin's door, and PHANTOM is the phantom.
type client struct {
	name, door, shows string
	host              string // whose door it is
	script            string
	fails             bool
	note              string
}

const npmScript = `mkdir app && cd app && echo '{"name":"app","version":"1.0.0"}' > package.json && %s npm install --no-audit --no-fund --no-update-notifier @acme/hello && node -p 'require("@acme/hello")'`

const aptScript = `mkdir -p apt/lists/partial apt/cache/archives/partial apt/etc && echo "deb [trusted=yes] %s/apt ./" > apt/etc/sources.list &&
o="-o APT::Sandbox::User=root -o Dir::State=$PWD/apt -o Dir::State::lists=$PWD/apt/lists -o Dir::Cache=$PWD/apt/cache -o Dir::Etc=$PWD/apt/etc -o Dir::Etc::sourcelist=$PWD/apt/etc/sources.list -o Dir::Etc::sourceparts=- -o Dir::State::status=/dev/null"
apt-get $o update && apt-get $o download acme-hello && dpkg-deb -f acme-hello_1.0_all.deb Package`

const goScript = `export GOPATH=$PWD/gopath GOFLAGS=-modcacherw GOSUMDB=off GOTOOLCHAIN=local; %s go mod download -x corp.example/hello@v1.0.0 && cat gopath/pkg/mod/corp.example/hello@v1.0.0/hello.go`

const cargoScript = `mkdir -p c/src c/.cargo && cd c && touch src/lib.rs && printf '[package]\nname="app"\nversion="1.0.0"\nedition="2021"\n[dependencies]\nacme-hello={version="1",registry="acme"}\n' > Cargo.toml &&
printf '[registries.acme]\nindex="sparse+https://cargo.corp.example/index/"\n' > .cargo/config.toml && cargo fetch && cat $CARGO_HOME/registry/src/*/acme-hello-1.0.0/src/lib.rs`

var clients = []client{
	{name: "curl", door: "forward", shows: "hello from a file", script: "curl -vfsS https://files.corp.example/file"},
	{name: "wget", door: "forward", shows: "hello from a file", script: `wget -d -O - --ca-certificate="$SSL_CERT_FILE" https://files.corp.example/file`, note: "wants `--ca-certificate=$SSL_CERT_FILE`"},
	{name: "git clone", door: "forward", shows: "hello from git", script: "GIT_CURL_VERBOSE=1 GIT_TRACE_REDACT=0 git clone https://git.corp.example/repo.git r && cat r/hello"},
	{name: "git push", door: "forward", fails: true, shows: "403", script: "git clone -q https://git.corp.example/repo.git r && cd r && git -c user.name=a -c user.email=a@b.example commit -q --allow-empty -m x && git push"},
	{name: "pip", door: "forward", shows: "hello from pip", script: "python3 -m pip install -v --no-cache-dir --disable-pip-version-check --index-url https://pypi.corp.example/simple --target p acme-hello && PYTHONPATH=p python3 -c 'import acme_hello; print(acme_hello.hello())'"},
	{name: "npm", door: "forward", shows: "hello from npm", script: fmt.Sprintf(npmScript, "npm_config_registry=https://npm.corp.example/")},
	{name: "go", door: "forward", shows: "hello from go", script: fmt.Sprintf(goScript, "GOPROXY=https://go.corp.example")},
	{name: "cargo", door: "forward", shows: "hello from cargo", script: cargoScript},
	{name: "apt", door: "forward", shows: "acme-hello", script: fmt.Sprintf(aptScript, "http://apt.corp.example")},
	{name: "curl, with the phantom", door: "forward", shows: "hello from a file", script: `curl -vfsS -H "Authorization: Bearer $PHANTOM_TOKEN" https://files.corp.example/file`},
	{name: "git clone, with the phantom", door: "forward", shows: "hello from git", script: `git clone https://ci:$PHANTOM_GIT@git.corp.example/repo.git r && cat r/hello`},
	{name: "curl, another host", door: "forward", fails: true, shows: "403", script: "curl -vfsS https://elsewhere.example/"},
	{name: "curl", door: "reverse", host: "files", shows: "hello from a file", script: "curl -vfsS -u ci:PHANTOM DOOR/file"},
	{name: "wget", door: "reverse", host: "files", shows: "hello from a file", script: "wget -d -O - --user ci --password PHANTOM DOOR/file"},
	{name: "git clone", door: "reverse", host: "git", shows: "hello from git", script: "git clone http://ci:PHANTOM@${DOOR#http://}/repo.git r && cat r/hello"},
	{name: "pip", door: "reverse", host: "pypi", shows: "hello from pip", script: "python3 -m pip install -v --no-cache-dir --disable-pip-version-check --index-url http://ci:PHANTOM@${DOOR#http://}/simple --target p acme-hello && PYTHONPATH=p python3 -c 'import acme_hello; print(acme_hello.hello())'"},
	{name: "npm", door: "reverse", host: "npm", shows: "hello from npm", script: `echo "${DOOR#http:}/:_authToken=PHANTOM" > .npmrc; export npm_config_userconfig=$PWD/.npmrc; ` + fmt.Sprintf(npmScript, "npm_config_registry=DOOR/")},
	{name: "go", door: "reverse", host: "go", fails: true, shows: "refusing to pass credentials to insecure URL", note: "go sends no credentials without TLS, so this door must be open to it", script: fmt.Sprintf(goScript, "GOPROXY=http://ci:PHANTOM@${DOOR#http://},off")},
	{name: "apt", door: "reverse", host: "apt", shows: "acme-hello", script: fmt.Sprintf(aptScript, "http://ci:PHANTOM@${DOOR#http://}")},
	{name: "curl, without the phantom", door: "reverse", host: "files", fails: true, shows: "401", script: "curl -vfsS DOOR/file"},
}

// phantomOf is the variable that holds the phantom for a host.
func phantomOf(host string) string {
	ids := map[string]string{"files": "token", "npm": "token", "cargo": "token", "pypi": "password", "go": "password", "git": "git", "apt": "apt"}
	return gate.PhantomVariable(ids[host])
}

// run runs a client in a folder of its own, with nothing in its environment but what the broker says.
func (p *private) run(t *testing.T, c client, number int) (string, error) {
	t.Helper()
	dir := filepath.Join(p.box.Work, fmt.Sprintf("client%d", number))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	script := c.script
	env := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "LC_ALL=C", "GIT_TERMINAL_PROMPT=0", "CARGO_HOME=" + dir + "/cargo", "npm_config_cache=" + dir + "/npm", "GOCACHE=" + dir + "/gocache"}
	for _, name := range []string{"PYENV_ROOT", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN", "GOROOT"} {
		if v := os.Getenv(name); v != "" {
			env = append(env, name+"="+v)
		}
	}
	if home, err := os.UserHomeDir(); err == nil && os.Getenv("RUSTUP_HOME") == "" {
		env = append(env, "RUSTUP_HOME="+home+"/.rustup")
	}
	if c.door == "forward" {
		for key, value := range p.env {
			env = append(env, key+"="+value)
		}
	} else {
		script = "DOOR=http://127.0.0.1:" + p.ports[c.host] + "; " + strings.NewReplacer("DOOR/", "$DOOR/", "PHANTOM", p.env[phantomOf(c.host)]).Replace(script)
	}
	cmd := exec.Command("bash", "-c", "set -e\n"+script)
	cmd.Dir, cmd.Env = dir, env
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.CombinedOutput()
	for _, v := range []string{p.token, p.password, p.gitToken} {
		enginetest.NoTraces(t, "the output", string(out), v)
		enginetest.NoTraces(t, "the environment", strings.Join(env, "\n"), v)
	}
	return string(out), err
}

// TestClients has real programs fetch private things through the broker, without ever having a credential.
func TestClients(t *testing.T) {
	enginetest.NeedRoot(t)
	p := startPrivate(t)
	var table strings.Builder
	ran := 0
	table.WriteString("| client | door | result |\n|---|---|---|\n")
	for i, c := range clients {
		t.Run(c.door+"/"+c.name, func(t *testing.T) {
			ran++
			tool := strings.TrimSuffix(strings.Fields(c.name)[0], ",")
			if tool == "pip" {
				tool = "python3"
			}
			if _, err := exec.LookPath(tool); err != nil {
				fmt.Fprintf(&table, "| %s | %s | not tried: %s is not installed |\n", c.name, c.door, tool)
				t.Skipf("%s is not installed here", tool)
			}
			out, err := p.run(t, c, i)
			if (err != nil) != c.fails || !strings.Contains(out, c.shows) {
				t.Errorf("%v\n%s", err, out)
				fmt.Fprintf(&table, "| %s | %s | fails |\n", c.name, c.door)
				return
			}
			fmt.Fprintf(&table, "| %s | %s | %s |\n", c.name, c.door, c.result())
		})
	}
	p.stop(t)
	for _, v := range []string{p.token, p.password, p.gitToken} {
		enginetest.NoTracesIn(t, p.box.Work, v)
		enginetest.NoTraces(t, "what the clients sent and got", p.captured.bytes.String(), v)
	}
	if ran < len(clients) {
		t.Logf("only %d of %d clients ran: the audit and the table are not looked at", ran, len(clients))
		return
	}
	p.checkAudit(t)
	checkTable(t, table.String())
}

func (c client) result() string {
	switch {
	case c.fails && c.note != "":
		return "does not work: " + c.note
	case c.fails:
		return "refused, as it should be (" + c.shows + ")"
	case c.note != "":
		return "works; " + c.note
	}
	return "works"
}

// checkTable compares with what docs/broker.md says, or writes it.
func checkTable(t *testing.T, table string) {
	t.Helper()
	const begin, end = "<!-- clients -->\n", "<!-- end of clients -->"
	name := filepath.Join(enginetest.Root(t), "docs/broker.md")
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(data), begin)
	old, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("docs/broker.md has no %s", begin)
	}
	if *update && !t.Failed() {
		if err := os.WriteFile(name, []byte(before+begin+table+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if old != table {
		t.Logf("docs/broker.md has another table (go test ./test/real -run TestClients -update writes it):\n%s", table)
	}
}
