package real

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tightlip/tightlip/internal/enginetest"
)

// settled has clients that find their origins in files of the image. To those, the steps have no way through the proxy.
const settled = `FROM acme-base
COPY npm /usr/lib/node_modules/npm
COPY ca.pem /etc/ssl/acme.pem
COPY pip.conf /etc/pip.conf
WORKDIR /app
COPY package.json .npmrc ./
RUN --mount=type=secret,id=npmrc,target=/root/.npmrc,required=true export no_proxy=127.0.0.1 NO_PROXY=127.0.0.1 && \
    node /usr/lib/node_modules/npm/bin/npm-cli.js install --no-audit --no-fund --no-update-notifier && rm -rf /root/.npm
RUN --mount=type=secret,id=netrc,target=/root/.netrc,required=true export no_proxy=127.0.0.1 NO_PROXY=127.0.0.1 && \
    pip install --break-system-packages --no-compile --no-cache-dir --disable-pip-version-check --root-user-action=ignore acme-hello
ENV GIT_SSL_CAINFO=/etc/ssl/acme.pem
RUN --mount=type=secret,id=git,target=/root/.git-credentials,required=true export no_proxy=127.0.0.1 NO_PROXY=127.0.0.1 && \
    git -c credential.helper=store clone -q @GIT@/repo.git /app/https && rm -rf /app/https/.git/index /app/https/.git/logs
`

// withGo is one more step, which no engine could run without the broker: go sends no password over plain HTTP.
const withGo = `COPY go /opt/go
RUN --mount=type=secret,id=netrc export no_proxy=127.0.0.1 NO_PROXY=127.0.0.1 GOSUMDB=off GOTOOLCHAIN=local GOROOT=/opt/go GOPATH=/gopath GOFLAGS=-modcacherw && \
    /opt/go/bin/go mod download corp.example/hello@v1.0.0 && grep -q 'hello from go' /gopath/pkg/mod/corp.example/hello@v1.0.0/hello.go
`

// TestClientSettings has clients in steps find their origins by what the broker puts into the environment, on each engine, and wants the
// files that the same steps leave without it: lockfiles and configurations, too.
func TestClientSettings(t *testing.T) {
	enginetest.NeedRoot(t)
	base := filepath.Join(enginetest.Root(t), ".tools/base.tar")
	s := startServers(t)
	(&private{servers: s}).writeGo(t)
	text := strings.ReplaceAll(settled, "@GIT@", s.git.URL)
	for _, e := range engines(t) {
		if e.name == "buildah" { // it is podman's code, with podman's cache
			continue
		}
		t.Run(e.name, func(t *testing.T) {
			b := e.box
			s.fill(t, b, text, nil)
			s.fillSettled(t, b)
			if e.prepare != nil {
				e.prepare(t, b, base)
			}
			args := slices.Concat([]string{"build", "--engine", e.name, "--progress", "plain", "--allow-source", "broker", "-t", "app", "--secret", "id=npmrc,src=secrets/npmrc",
				"--secret", "id=netrc,src=secrets/netrc", "--secret", "id=git,src=secrets/git"}, e.flags, []string{"context"})
			if r := b.Tightlip(args...); r.Code != 0 {
				t.Fatalf("without the broker: exit code %d:\n%s", r.Code, r.All())
			}
			plain := contents(t, e, "app")
			b.Env["SSL_CERT_FILE"] = filepath.Join(b.Work, "context/ca.pem")
			b.Write("tightlip.yaml", s.settledPolicy(t))
			r := b.Tightlip(args...)
			if r.Code != 0 || !strings.Contains(r.Stderr, "proven: ") {
				t.Fatalf("exit code %d:\n%s", r.Code, r.All())
			}
			for _, with := range []string{"npmrc", "netrc", "git"} {
				if !strings.Contains(r.Stderr, " allowed with "+with+",") {
					t.Errorf("no step used %s through the broker:\n%s", with, r.Stderr)
				}
			}
			if diff := difference(plain, contents(t, e, "app")); len(diff) > 0 {
				t.Errorf("with the broker, the image is another one:\n%s", strings.Join(diff, "\n"))
			}
			b.Write("context/Dockerfile", []byte(text+withGo))
			b.Write("tightlip.yaml", []byte(strings.Replace(string(s.settledPolicy(t)), `"pip"`, `"go:/go/"`, 1)))
			if r := b.Tightlip(args...); r.Code != 0 {
				t.Errorf("go: exit code %d:\n%s", r.Code, r.All())
			}
			if b.Env["SSL_CERT_FILE"] = ""; t.Failed() {
				return
			}
			for _, value := range []string{s.password, s.token, s.gitToken} {
				enginetest.NoTraces(t, "the output", r.All(), value)
			}
		})
	}
}

// fillSettled adds what settled copies, with the files that name the origins.
func (s *servers) fillSettled(t *testing.T, b *enginetest.Box) {
	t.Helper()
	b.Write("context/.npmrc", fmt.Appendf(nil, "registry=http://%s/\n", s.npm))
	b.Write("context/pip.conf", fmt.Appendf(nil, "[global]\nindex-url = http://%s/simple\n", s.nginx))
	b.Write("secrets/npmrc", fmt.Appendf(nil, "//%s/:_authToken=%s\n", s.npm, s.token))
	b.Write("secrets/git", []byte(strings.Replace(s.git.URL, "https://", "https://ci:"+s.gitToken+"@", 1)+"\n"))
	goroot := strings.TrimSpace(command(t, s.dir, "go", "env", "GOROOT"))
	for _, name := range []string{"bin/go", "VERSION", "go.env"} {
		b.Write("context/go/"+name, readFile(t, filepath.Join(goroot, name)))
	}
	if err := os.Chmod(filepath.Join(b.Work, "context/go/bin/go"), 0o755); err != nil {
		t.Fatal(err)
	}
}

// settledPolicy gives each origin a door, and its client the settings.
func (s *servers) settledPolicy(t *testing.T) []byte {
	t.Helper()
	port := func() string {
		_, port, _ := net.SplitHostPort(enginetest.FreeAddress(t))
		return port
	}
	return fmt.Appendf(nil, `version: 1
secrets:
  npmrc: {broker: [{origin: "http://%s", attach: bearer, listen: %s, client: "npm"}]}
  netrc: {broker: [{origin: "http://%s", attach: basic, listen: %s, client: "pip"}]}
  git: {broker: [{origin: "%s", attach: basic, listen: %s, client: "git"}]}
`, s.npm, port(), s.nginx, port(), s.git.URL, port())
}

// withMaven fetches a jar in a step, with a JVM and Maven that are mounted.
const withMaven = `FROM acme-base
RUN --mount=type=secret,id=maven,required=true --mount=type=bind,from=jre,target=/opt/jre --mount=type=bind,from=maven,target=/opt/maven <<EOF
set -e
export JAVA_HOME=/opt/jre
mkdir /tmp/app && cd /tmp/app
cat > pom.xml <<END
<project><modelVersion>4.0.0</modelVersion><groupId>corp.acme</groupId><artifactId>app</artifactId><version>1</version><packaging>pom</packaging>
<pluginRepositories><pluginRepository><id>corp</id><url>https://maven.corp.example</url></pluginRepository></pluginRepositories>
<build><extensions><extension><groupId>corp.acme</groupId><artifactId>hello</artifactId><version>1.0</version></extension></extensions></build></project>
END
/opt/maven/bin/mvn -B -q validate
mv /root/.m2/repository/corp/acme/hello/1.0/hello-1.0.jar /hello.jar
rm -rf /tmp/* /root/.m2
EOF
`

// TestJVMSettings has Maven trust the broker and find its proxy by the step's environment alone, and nothing of that in the image.
func TestJVMSettings(t *testing.T) {
	enginetest.NeedRoot(t)
	base := filepath.Join(enginetest.Root(t), ".tools/base.tar")
	jlink, err := exec.LookPath("jlink")
	if err != nil {
		t.Skip("jlink is not installed, which makes the JVM of the step")
	}
	p := startPrivate(t)
	b := enginetest.NewBox(t, nil)
	layoutOf(t, b, base)
	b.Write("context/Dockerfile", []byte(withMaven))
	b.Write("secrets/maven", []byte(p.password))
	command(t, b.Work, "cp", "-rL", "/usr/share/maven", "maven")
	command(t, b.Work, jlink, "--add-modules", "java.se,jdk.crypto.ec,jdk.unsupported", "--strip-debug", "--output", "jre")
	build := func(route string) enginetest.Result {
		b.Write("tightlip.yaml", fmt.Appendf(nil, "version: 1\nsecrets:\n  maven: {from: \"file:secrets/maven\", broker: [{origin: \"https://maven.corp.example\", attach: basic, user: ci, connect: \"%s\"%s}]}\n", p.https, route))
		return b.Tightlip("build", "--engine", "embedded", "--progress", "plain", "--allow-source", "broker", "--no-cache", "--build-context", "acme-base=oci-layout://base:latest", "--build-context", "jre=jre",
			"--build-context", "maven=maven", "-t", "app", "-o", "type=docker,dest=app.tar", "context")
	}
	b.Env["SSL_CERT_FILE"] = p.ca
	if r := build(""); r.Code == 0 {
		t.Errorf("maven needs no settings:\n%s", r.All())
	}
	r := build(", client: jvm")
	if r.Code != 0 || !strings.Contains(r.Stderr, "https://maven.corp.example: 6 allowed with maven,") {
		t.Fatalf("exit code %d:\n%s", r.Code, r.All())
	}
	enginetest.NoTraces(t, "the output", r.All(), p.password)
	got := contents(t, engine{box: b}, "app")
	b.Write("context/Dockerfile", []byte("FROM acme-base\nRUN touch /hello.jar\n"))
	if r := build(", client: jvm"); r.Code != 0 {
		t.Fatalf("exit code %d:\n%s", r.Code, r.All())
	}
	for _, line := range difference(contents(t, engine{box: b}, "app"), got) {
		if !strings.Contains(line, "/hello.jar ") {
			t.Errorf("the image has a trace: %s", line)
		}
	}
}
