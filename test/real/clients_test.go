package real

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/tightlip/tightlip/broker/gate"
	"github.com/tightlip/tightlip/internal/enginetest"
)

// client is a program that fetches something private. In its script, DOOR is the URL of an origin's door, and PHANTOM is the phantom.
type client struct {
	name, door, shows string
	host              string // whose door it is
	script            string
	fails             bool
	note              string
	tool              string // the program that it needs; "": the first word of the name
	absent            string // why it is not tried
}

// nodeScript has a package manager, with its settings, add a package to an app.
const nodeScript = `mkdir app && cd app && echo '{"name":"app","version":"1.0.0"}' > package.json && touch yarn.lock && %s @acme/hello && node -p 'require("@acme/hello")'`

const (
	npmInstall = "npm install --no-audit --no-fund --no-update-notifier"
	npmrc      = `echo "${DOOR#http:}/:_authToken=PHANTOM" > .npmrc; export npm_config_userconfig=$PWD/.npmrc npm_config_registry=DOOR/; `
	berryEnv   = "export YARN_NODE_LINKER=node-modules YARN_ENABLE_TELEMETRY=0 YARN_ENABLE_GLOBAL_CACHE=false; "
	denoScript = `echo 'import hello from "npm:@acme/hello"; console.log(hello)' > main.js && deno run -A main.js`
)

const aptScript = `mkdir -p apt/lists/partial apt/cache/archives/partial apt/etc && echo "deb [trusted=yes] %s/apt ./" > apt/etc/sources.list &&
o="-o APT::Sandbox::User=root -o Dir::State=$PWD/apt -o Dir::State::lists=$PWD/apt/lists -o Dir::Cache=$PWD/apt/cache -o Dir::Etc=$PWD/apt/etc -o Dir::Etc::sourcelist=$PWD/apt/etc/sources.list -o Dir::Etc::sourceparts=- -o Dir::State::status=/dev/null"
apt-get $o update && apt-get $o download acme-hello && dpkg-deb -f acme-hello_1.0_all.deb Package`

const goScript = `export GOPATH=$PWD/gopath GOFLAGS=-modcacherw GOSUMDB=off GOTOOLCHAIN=local; %s go mod download -x corp.example/hello@v1.0.0 && cat gopath/pkg/mod/corp.example/hello@v1.0.0/hello.go`

const cargoScript = `mkdir -p c/src c/.cargo && cd c && touch src/lib.rs && printf '[package]\nname="app"\nversion="1.0.0"\nedition="2021"\n[dependencies]\nacme-hello={version="1",registry="acme"}\n' > Cargo.toml &&
printf '[registries.acme]\nindex="sparse+https://cargo.corp.example/index/"\n' > .cargo/config.toml && cargo fetch && cat $CARGO_HOME/registry/src/*/acme-hello-1.0.0/src/lib.rs`

const (
	insteadOf = "export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=url.https://git.corp.example/.insteadOf GIT_CONFIG_VALUE_0=git@git.corp.example:; "
	lfsPush   = `git clone -q https://%[1]s.corp.example/repo.git r && cd r && git lfs install --local && git config user.name a && git config user.email a@b.example
echo another > large2 && git add large2 && git commit -q -m x && git lfs push origin HEAD`
)

const gemScript = `gem install --no-document --install-dir gems --clear-sources --source %s acme-hello && ruby gems/gems/acme-hello-1.0/lib/acme_hello.rb`

const bundleScript = `export BUNDLE_PATH=$PWD/gems; echo "source '%s'; gem 'acme-hello'" > Gemfile && bundle install && bundle exec ruby -e 'require "acme_hello"'`

const composerScript = `export COMPOSER_ALLOW_SUPERUSER=1; echo '{"repositories":[{"type":"composer","url":"%s"},{"packagist.org":false}],"require":{"acme/hello":"1.0.0"},"config":{"secure-http":%s}}' > composer.json &&
composer -n install && php vendor/acme/hello/hello.php`

const jvmNote = "wants a trust store and the proxy in its own settings: see JVMs"

// jvm is the trust and the proxy of what runs on a JVM.
const jvm = `address=${HTTPS_PROXY#*@} login=${HTTPS_PROXY#*//} && login=${login%%@*}
awk '/BEGIN CERT/{c=""}{c=c $0 "\n"}END{printf "%s",c}' "$SSL_CERT_FILE" > last.pem
keytool -importcert -noprompt -alias tightlip -file last.pem -keystore trust.jks -storetype JKS -storepass changeit
printf -- '-D%s\n' javax.net.ssl.trustStore=$PWD/trust.jks https.proxyHost=${address%:*} https.proxyPort=${address#*:} https.proxyUser=${login%%:*} https.proxyPassword=${login#*:} > java.options
export JDK_JAVA_OPTIONS=@$PWD/java.options
`

const mavenScript = `mkdir -p app .m2 && printf '<settings>%s</settings>' > .m2/settings.xml && cd app
cat > pom.xml <<END
<project><modelVersion>4.0.0</modelVersion><groupId>corp.acme</groupId><artifactId>app</artifactId><version>1</version><packaging>pom</packaging>
<pluginRepositories><pluginRepository><id>corp</id><url>https://maven.corp.example</url></pluginRepository></pluginRepositories>
<build><extensions><extension><groupId>corp.acme</groupId><artifactId>hello</artifactId><version>1.0</version></extension></extensions></build></project>
END
mvn -B -Duser.home=$HOME validate && python3 -m zipfile -e $HOME/.m2/repository/corp/acme/hello/1.0/hello-1.0.jar . && cat hello.txt`

const mavenMirror = `<servers><server><id>door</id><username>ci</username><password>PHANTOM</password></server></servers><mirrors><mirror><id>door</id><mirrorOf>*</mirrorOf><url>'$DOOR'</url></mirror></mirrors>`

const mavenProxy = `<proxies><proxy><protocol>https</protocol><host>'${address%%:*}'</host><port>'${address#*:}'</port><username>'${login%%:*}'</username><password>'${login#*:}'</password></proxy></proxies>`

const gradleScript = `mkdir app && cd app && cat > build.gradle <<END
repositories { maven { url '%s'; %s } }
configurations { lib }
dependencies { lib 'corp.acme:hello:1.0' }
task hello { doLast { println zipTree(configurations.lib.singleFile).singleFile.text } }
END
gradle -g $HOME/gradle --no-daemon -q hello`

const (
	podman  = `pm() { podman --root $PWD/images --runroot $PWD/run --tmpdir $PWD/tmp --storage-driver vfs "$@"; }; `
	dockerd = `dockerd --data-root $PWD/images --exec-root $PWD/exec --pidfile $PWD/pid -H unix://$PWD/d.sock --bridge none --iptables=false --ip6tables=false > log 2>&1 &
trap 'kill $(cat pid); wait; umount exec/netns/* 2>/dev/null || true' EXIT; export DOCKER_HOST=unix://$PWD/d.sock; for i in $(seq 200); do docker version >/dev/null 2>&1 && break; sleep 0.1; done
`
	// With no credentials in its file, docker would choose a helper that the machine happens to have.
	noHelper      = `mkdir -p .docker && echo '{"auths": {"registry.corp.example": {}}}' > .docker/config.json; `
	untar         = "{ mkdir out && tar -xC out; }" + lookIntoImage
	lookIntoImage = " && find out -type f -exec tar -xOf {} hello ';' 2>/dev/null"
)

var clients = []client{
	{name: "curl", door: "forward", shows: "hello from a file", script: "curl -vfsS https://files.corp.example/file"},
	{name: "wget", door: "forward", shows: "hello from a file", script: `wget -d -O - --ca-certificate="$SSL_CERT_FILE" https://files.corp.example/file`, note: "wants `--ca-certificate=$SSL_CERT_FILE`"},
	{name: "git clone", door: "forward", shows: "hello from git", script: "GIT_CURL_VERBOSE=1 GIT_TRACE_REDACT=0 git clone https://git.corp.example/repo.git r && cat r/hello"},
	{name: "git push", door: "forward", fails: true, shows: "403", script: "git clone -q https://git.corp.example/repo.git r && cd r && git -c user.name=a -c user.email=a@b.example commit -q --allow-empty -m x && git push"},
	{name: "git push, with uploads", door: "forward", shows: "[new branch]", script: "git clone -q https://push.corp.example/repo.git r && cd r && git -c user.name=a -c user.email=a@b.example commit -q --allow-empty -m x && git push origin HEAD:topic"},
	{name: "git clone of git@host:path", door: "forward", shows: "hello from git", note: "wants `url.https://HOST/.insteadOf=git@HOST:`", script: insteadOf + "git clone git@git.corp.example:repo.git r && cat r/hello"},
	{name: "git-lfs fetch", door: "forward", shows: largeFile, script: "git lfs install && git clone https://git.corp.example/repo.git r && cat r/large"},
	{name: "git-lfs push", door: "forward", fails: true, shows: "Authorization error", script: fmt.Sprintf(lfsPush, "git")},
	{name: "git-lfs push, with uploads", door: "forward", shows: "Uploading LFS objects: 100%", script: fmt.Sprintf(lfsPush, "push")},
	{name: "pip", door: "forward", shows: "hello from pip", script: "python3 -m pip install -v --no-cache-dir --disable-pip-version-check --index-url https://pypi.corp.example/simple --target p acme-hello && PYTHONPATH=p python3 -c 'import acme_hello; print(acme_hello.hello())'"},
	{name: "npm", door: "forward", shows: "hello from npm", script: fmt.Sprintf(nodeScript, "npm_config_registry=https://npm.corp.example/ "+npmInstall)},
	{name: "yarn 1", door: "forward", shows: "hello from npm", script: fmt.Sprintf(nodeScript, "npm_config_registry=https://npm.corp.example/ yarn add")},
	{name: "yarn 4", tool: "berry", door: "forward", shows: "hello from npm", script: berryEnv + fmt.Sprintf(nodeScript, "YARN_NPM_REGISTRY_SERVER=https://npm.corp.example berry add")},
	{name: "pnpm", door: "forward", shows: "hello from npm", script: fmt.Sprintf(nodeScript, "npm_config_registry=https://npm.corp.example/ pnpm add")},
	{name: "deno", door: "forward", shows: "hello from npm", script: "export NPM_CONFIG_REGISTRY=https://npm.corp.example; " + denoScript},
	{name: "go", door: "forward", shows: "hello from go", script: fmt.Sprintf(goScript, "GOPROXY=https://go.corp.example")},
	{name: "cargo", door: "forward", shows: "hello from cargo", script: cargoScript},
	{name: "apt", door: "forward", shows: "acme-hello", script: fmt.Sprintf(aptScript, "http://apt.corp.example")},
	{name: "gem", door: "forward", shows: "hello from a gem", script: fmt.Sprintf(gemScript, "https://gems.corp.example")},
	{name: "bundler", tool: "bundle", door: "forward", shows: "hello from a gem", script: fmt.Sprintf(bundleScript, "https://gems.corp.example")},
	{name: "composer", door: "forward", shows: "hello from composer", script: fmt.Sprintf(composerScript, "https://composer.corp.example", "true")},
	{name: "maven", tool: "mvn", door: "forward", shows: "hello from a jar", note: jvmNote, script: jvm + fmt.Sprintf(mavenScript, mavenProxy)},
	{name: "gradle 4.4", tool: "gradle", door: "forward", shows: "hello from a jar", note: jvmNote, script: jvm + fmt.Sprintf(gradleScript, "https://maven.corp.example", "")},
	{name: "skopeo", door: "forward", shows: "hello from an image", script: "skopeo copy docker://registry.corp.example/acme/hello:1 dir:out" + lookIntoImage},
	{name: "docker pull", tool: "dockerd", door: "forward", shows: "hello from an image", note: "dockerd wants the environment, too", script: dockerd + "docker pull registry.corp.example/acme/hello:1 && docker save registry.corp.example/acme/hello:1 | " + untar},
	{name: "podman pull", door: "forward", shows: "hello from an image", script: podman + "pm pull registry.corp.example/acme/hello:1 && pm save registry.corp.example/acme/hello:1 | " + untar},
	{name: "crane", door: "forward", shows: "hello from an image", script: "crane export registry.corp.example/acme/hello:1 - | tar -xO"},
	{name: "crane, with tokens", door: "forward", shows: "hello from an image", script: "crane export $TOKENS/acme/hello:1 - | tar -xO"},
	{name: "curl, with the phantom", door: "forward", shows: "hello from a file", script: `curl -vfsS -H "Authorization: Bearer $PHANTOM_TOKEN" https://files.corp.example/file`},
	{name: "git clone, with the phantom", door: "forward", shows: "hello from git", script: `git clone https://ci:$PHANTOM_GIT@git.corp.example/repo.git r && cat r/hello`},
	{name: "curl, another host", door: "forward", fails: true, shows: "403", script: "curl -vfsS https://elsewhere.example/"},
	{name: "curl", door: "reverse", host: "files", shows: "hello from a file", script: "curl -vfsS -u ci:PHANTOM DOOR/file"},
	{name: "wget", door: "reverse", host: "files", shows: "hello from a file", script: "wget -d -O - --user ci --password PHANTOM DOOR/file"},
	{name: "git clone", door: "reverse", host: "git", shows: "hello from git", script: "git clone http://ci:PHANTOM@${DOOR#http://}/repo.git r && cat r/hello"},
	{name: "git clone of git@host:path", door: "reverse", host: "git", shows: "hello from git", note: "as at the forward door", script: strings.Replace(insteadOf, "https://git.corp.example", "http://ci:PHANTOM@${DOOR#http://}", 1) + "git clone git@git.corp.example:repo.git r && cat r/hello"},
	{name: "git-lfs fetch", door: "reverse", host: "git", shows: largeFile, script: "git lfs install && git clone http://ci:PHANTOM@${DOOR#http://}/repo.git r && cat r/large"},
	{name: "pip", door: "reverse", host: "pypi", shows: "hello from pip", script: "python3 -m pip install -v --no-cache-dir --disable-pip-version-check --index-url http://ci:PHANTOM@${DOOR#http://}/simple --target p acme-hello && PYTHONPATH=p python3 -c 'import acme_hello; print(acme_hello.hello())'"},
	{name: "npm", door: "reverse", host: "npm", shows: "hello from npm", script: npmrc + fmt.Sprintf(nodeScript, npmInstall)},
	{name: "yarn 1", door: "reverse", host: "npm", shows: "hello from npm", script: npmrc + fmt.Sprintf(nodeScript, "yarn add")},
	{name: "yarn 4", tool: "berry", door: "reverse", host: "npm", shows: "hello from npm", script: berryEnv + fmt.Sprintf(nodeScript, "YARN_NPM_REGISTRY_SERVER=$DOOR YARN_NPM_AUTH_TOKEN=PHANTOM YARN_UNSAFE_HTTP_WHITELIST=127.0.0.1 berry add"), note: "wants `YARN_UNSAFE_HTTP_WHITELIST=127.0.0.1`"},
	{name: "pnpm", door: "reverse", host: "npm", shows: "hello from npm", script: npmrc + fmt.Sprintf(nodeScript, "pnpm add")},
	{name: "deno", door: "reverse", host: "npm", shows: "hello from npm", script: npmrc + "export NPM_CONFIG_REGISTRY=$DOOR; " + denoScript},
	{name: "go", door: "reverse", host: "go", fails: true, shows: "refusing to pass credentials to insecure URL", note: "go sends no credentials without TLS, so this door must be open to it", script: fmt.Sprintf(goScript, "GOPROXY=http://ci:PHANTOM@${DOOR#http://},off")},
	{name: "apt", door: "reverse", host: "apt", shows: "acme-hello", script: fmt.Sprintf(aptScript, "http://ci:PHANTOM@${DOOR#http://}")},
	{name: "gem", door: "reverse", host: "gems", shows: "hello from a gem", script: fmt.Sprintf(gemScript, "http://ci:PHANTOM@${DOOR#http://}")},
	{name: "bundler", tool: "bundle", door: "reverse", host: "gems", shows: "hello from a gem", script: fmt.Sprintf(bundleScript, "http://ci:PHANTOM@${DOOR#http://}")},
	{name: "composer", door: "reverse", host: "composer", shows: "hello from composer", note: "wants `secure-http: false`", script: `export COMPOSER_AUTH="{\"bearer\": {\"${DOOR#http://}\": \"PHANTOM\"}}"; ` + fmt.Sprintf(composerScript, "'$DOOR'", "false")},
	{name: "maven", tool: "mvn", door: "reverse", host: "maven", shows: "hello from a jar", note: "the door is a mirror, and the phantom its server's password", script: fmt.Sprintf(mavenScript, mavenMirror)},
	{name: "gradle 4.4", tool: "gradle", door: "reverse", host: "maven", shows: "hello from a jar", note: "7 and later want `allowInsecureProtocol`, as its manual says", script: fmt.Sprintf(gradleScript, "$DOOR", "credentials { username 'ci'; password 'PHANTOM' }")},
	{name: "skopeo", door: "reverse", host: "registry", shows: "hello from an image", note: "wants `--src-tls-verify=false`", script: "skopeo copy --src-tls-verify=false --src-creds ci:PHANTOM docker://${DOOR#http://}/acme/hello:1 dir:out" + lookIntoImage},
	{name: "docker pull", tool: "dockerd", door: "reverse", host: "registry", shows: "hello from an image", script: dockerd + noHelper + "echo PHANTOM | docker login -u ci --password-stdin ${DOOR#http://} && docker pull ${DOOR#http://}/acme/hello:1 && docker save ${DOOR#http://}/acme/hello:1 | " + untar},
	{name: "podman pull", door: "reverse", host: "registry", shows: "hello from an image", note: "wants `--tls-verify=false`", script: podman + "pm pull --tls-verify=false --creds ci:PHANTOM ${DOOR#http://}/acme/hello:1 && pm save ${DOOR#http://}/acme/hello:1 | " + untar},
	{name: "crane", door: "reverse", host: "registry", shows: "hello from an image", script: "crane auth login -u ci -p PHANTOM ${DOOR#http://} && crane export ${DOOR#http://}/acme/hello:1 - | tar -xO"},
	{name: "curl, without the phantom", door: "reverse", host: "files", fails: true, shows: "401", script: "curl -vfsS DOOR/file"},
	{name: "uv", absent: "no package of Debian or npm has it"},
	{name: "nuget", absent: "Debian has version 2.8 and none that is current"},
	{name: "aws", absent: "it signs its requests with the secret, which nobody can attach"},
}

// phantomOf is the variable that holds the phantom for a host.
func phantomOf(host string) string {
	i := slices.IndexFunc(routes, func(r route) bool { return slices.Contains(strings.Fields(r.hosts), host) })
	return gate.PhantomVariable(routes[i].secret)
}

// run runs a client in a folder of its own, with nothing in its environment but what the broker says.
func (p *private) run(t *testing.T, c client, number int) (string, error) {
	t.Helper()
	dir := filepath.Join(p.box.Work, fmt.Sprintf("client%d", number))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	script := c.script
	env := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "LC_ALL=C", "GIT_TERMINAL_PROMPT=0", "GIT_CONFIG_NOSYSTEM=1", "TOKENS=" + p.tokens, "CARGO_HOME=" + dir + "/cargo", "npm_config_cache=" + dir + "/npm", "GOCACHE=" + dir + "/gocache"}
	env = append(env, toolchains()...)
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
	for _, v := range p.canaries() {
		enginetest.NoTraces(t, "the output", string(out), v)
		enginetest.NoTraces(t, "the environment", strings.Join(env, "\n"), v)
	}
	return string(out), err
}

// toolchains are the variables by which programs find their own parts when they have another home.
func toolchains() []string {
	var env []string
	for _, name := range []string{"PYENV_ROOT", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN", "GOROOT"} {
		if v := os.Getenv(name); v != "" {
			env = append(env, name+"="+v)
		}
	}
	if home, err := os.UserHomeDir(); err == nil && os.Getenv("RUSTUP_HOME") == "" {
		env = append(env, "RUSTUP_HOME="+home+"/.rustup")
	}
	return env
}

// TestClients has real programs fetch private things through the broker, without ever having a credential.
func TestClients(t *testing.T) {
	enginetest.NeedRoot(t)
	tools := filepath.Join(enginetest.Root(t), ".tools")
	t.Setenv("PATH", strings.Join([]string{tools + "/clients/bin", tools + "/docker26/usr/bin", tools + "/docker26/usr/sbin", os.Getenv("PATH")}, ":"))
	p, table := startPrivate(t), readTable(t)
	var rows strings.Builder
	ran := 0
	for i, c := range clients {
		t.Run(c.door+"/"+c.name, func(t *testing.T) {
			ran++
			result := table.skipped(c)
			defer func() { rows.WriteString(c.row(result)) }()
			if result != "" {
				t.Skip(result)
			}
			out, err := p.run(t, c, i)
			if result = c.result(); (err != nil) != c.fails || !strings.Contains(out, c.shows) {
				t.Errorf("%v\n%s", err, out)
				result = "fails"
			}
		})
	}
	p.stop(t)
	for _, v := range p.canaries() {
		enginetest.NoTracesIn(t, p.box.Work, v)
		enginetest.NoTraces(t, "what the clients sent and got", p.captured.bytes.String(), v)
	}
	if ran < len(clients) {
		t.Logf("only %d of %d clients ran: the audit and the table are not looked at", ran, len(clients))
		return
	}
	p.checkAudit(t)
	table.check(t, rows.String())
}
