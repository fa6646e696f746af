package e2e

import (
	"encoding/base64"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tightlip/tightlip/internal/enginetest"
)

// sidecars is a podman with the images of a broker and of a build, a network for them, and an origin outside of it.
type sidecars struct {
	*enginetest.Box
	podman *enginetest.Podman
	origin *origin
	url    string // of the origin, for containers
	value  string // the credential
}

func newSidecars(t *testing.T) *sidecars {
	t.Helper()
	enginetest.NeedRoot(t)
	s := &sidecars{podman: enginetest.NewPodman(t), value: enginetest.PlainCanary()}
	s.Box = s.podman.Box(t)
	project(s.Box, base+"ENTRYPOINT [\"/bin/sleep\",\"600\"]\nSTOPSIGNAL SIGKILL\n")
	copyFile(t, enginetest.Binary(t), filepath.Join(s.Work, "image/tightlip"))
	copyFile(t, "/etc/ssl/certs/ca-certificates.crt", filepath.Join(s.Work, "image/ca-certificates.crt"))
	r := s.Tightlip("build", "--engine", "podman", "-f", filepath.Join(enginetest.Root(t), "examples/sidecar/Dockerfile"), "-t", "localhost/tightlip:latest", "image")
	wantCode(t, r, 0)
	delete(s.Env, "DOCKER_CONFIG") // which podman wants to exist
	s.must("build", "-q", "-t", "localhost/build:latest", ".")
	s.must("tag", "localhost/build:latest", "localhost/pause:latest")
	t.Cleanup(func() { // before the storage goes
		s.must("pod", "rm", "--force", "--all", "--time", "0")
		s.must("rm", "--force", "--all", "--time", "0")
		s.must("network", "rm", "--force", s.network())
		_ = os.RemoveAll("/var/lib/cni/networks/" + s.network()) // which addresses were taken
	})
	s.must("network", "create", s.network())
	s.listen(s.must("network", "inspect", "--format", "{{range .Subnets}}{{.Gateway}}{{end}}", s.network()))
	return s
}

// network has a name of its own, for what is outside of podman's storage.
func (s *sidecars) network() string { return filepath.Base(s.Dir) }

// must runs podman, and returns what it prints.
func (s *sidecars) must(args ...string) string {
	s.T.Helper()
	r := s.Run("podman", args...)
	wantCode(s.T, r, 0)
	enginetest.NoTraces(s.T, "podman "+args[0], r.All(), s.value)
	return strings.TrimSpace(r.Stdout)
}

// listen has the origin answer at all addresses: the one that containers know is there when the first of them is.
func (s *sidecars) listen(gateway string) {
	s.T.Helper()
	l, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		s.T.Fatal(err)
	}
	s.origin = &origin{want: "Bearer " + s.value}
	s.origin.Server = httptest.NewUnstartedServer(http.HandlerFunc(s.origin.serve))
	s.origin.Listener.Close()
	s.origin.Listener = l
	s.origin.Start()
	s.T.Cleanup(s.origin.Close)
	_, port, _ := net.SplitHostPort(l.Addr().String())
	s.url = "http://" + net.JoinHostPort(gateway, port)
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, readFile(t, from), 0o755); err != nil {
		t.Fatal(err)
	}
}

// noTraces wants nothing of a value in what podman shows of a container, and in the container's files.
func (s *sidecars) noTraces(container, value string) {
	s.T.Helper()
	for _, args := range [][]string{{"logs", container}, {"inspect", container}, {"export", container}} {
		r := s.Run("podman", args...)
		wantCode(s.T, r, 0)
		enginetest.NoTraces(s.T, "podman "+strings.Join(args, " "), r.All(), value)
	}
}

// variable is one of those that the broker writes.
func variable(t testing.TB, env, name string) string {
	t.Helper()
	for line := range strings.Lines(env) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), name+"="); ok {
			return value
		}
	}
	t.Fatalf("there is no %s in the environment", name)
	return ""
}

// TestSidecarPod runs the pod of the examples. The broker has the secret; the build has the use of it.
func TestSidecarPod(t *testing.T) {
	s := newSidecars(t)
	s.Write("npm.yaml", []byte("apiVersion: v1\nkind: Secret\nmetadata: {name: npm}\ndata: {token: "+s.value+"}\n"))
	s.must("secret", "create", "npm", "npm.yaml")
	pod := string(readFile(t, filepath.Join(enginetest.Root(t), "examples/sidecar/pod.yaml")))
	pod = strings.ReplaceAll(pod, "https://npm.corp.example", s.url)
	const fetch = "wget -O /package "
	if !strings.Contains(pod, fetch) {
		t.Fatal("the example does something else")
	}
	pod = strings.Replace(pod, fetch, "env > /env; ! http_proxy= wget -q -O /direct "+s.url+"/direct; "+fetch, 1)
	s.Write("pod.yaml", []byte(pod))
	s.must("kube", "play", "--network", s.network(), "pod.yaml")
	if code := s.must("wait", "build-build"); code != "0" {
		t.Fatalf("the build ended with %s:\n%s\n%s", code, s.Run("podman", "logs", "build-build").All(), s.Run("podman", "logs", "build-broker").All())
	}
	s.checkPod()
}

func (s *sidecars) checkPod() {
	s.T.Helper()
	s.must("cp", "build-build:/package", "package")
	if got := string(readFile(s.T, filepath.Join(s.Work, "package"))); got != "private /package\n" {
		s.T.Errorf("the build got %q", got)
	}
	shared := filepath.Join(s.podman.Store, "volumes/tightlip/_data")
	env := string(readFile(s.T, filepath.Join(shared, "broker.env")))
	enginetest.NoTracesIn(s.T, shared, s.value)
	for _, container := range []string{"build-build", "build-broker"} {
		s.noTraces(container, s.value)
	}
	proxy := variable(s.T, env, "HTTPS_PROXY")
	ticket := proxy[strings.LastIndexByte(proxy[:strings.IndexByte(proxy, '@')], ':')+1 : strings.IndexByte(proxy, '@')]
	wantText(s.T, proxy, "@127.0.0.1:8080")
	wantText(s.T, s.Run("podman", "logs", "build-broker").Stderr, "allowed GET "+s.url+"/package: 200 with npm")
	for _, container := range []string{"build-build", "build-broker"} {
		for _, show := range []string{"logs", "inspect"} {
			enginetest.NoTraces(s.T, "podman "+show, s.Run("podman", show, container).All(), ticket)
		}
	}
	s.must("stop", "build-broker")
	if code := s.must("inspect", "--format", "{{.State.ExitCode}}", "build-broker"); code != "0" {
		s.T.Errorf("the broker ended with %s", code)
	}
	absentFile(s.T, filepath.Join(shared, "broker.env"))
	absentFile(s.T, filepath.Join(shared, "bundle.pem"))
}

// job is what a CI job does with a broker that it shares only a network and a ticket with. ORIGIN is where the package is.
const job = `set -e
base=http://tightlip:$BROKER_TICKET@broker:8080
for i in $(seq 100); do wget -q -O /dev/shm/bundle.pem $base/bundle.pem && break; sleep 0.1; done
wget -q -O /dev/shm/broker.env $base/broker.env
set -a; . /dev/shm/broker.env; set +a
test -s "$SSL_CERT_FILE"
wget -q -O - ORIGIN/package
http_proxy= wget -q -O - --header "Authorization: Bearer $PHANTOM_NPM" http://broker:4873/reverse
! wget -q -O - http://10.1.2.3/
for closed in broker:8080/broker.env broker:8080/bundle.pem x:$PHANTOM_NPM@broker:8080/broker.env broker:4873/package tightlip:0$BROKER_TICKET@broker:4873/package
do ! http_proxy= wget -q -O - http://$closed || exit 9
done
! http_proxy=http://tightlip:0$BROKER_TICKET@broker:8080 wget -q -O - ORIGIN/wrong
! http_proxy= wget -q -O - ORIGIN/direct
`

// TestSidecarService: a service container and a job share a network and a ticket. Who has no ticket gets nothing.
func TestSidecarService(t *testing.T) {
	s := newSidecars(t)
	ticket := base64.RawURLEncoding.EncodeToString([]byte(enginetest.PlainCanary()))
	s.must("secret", "create", "npm", s.Write("token", []byte(s.value)))
	s.must("secret", "create", "ticket", s.Write("ticket", []byte(ticket)))
	s.Write("policy.yaml", []byte("version: 1\nseal: true\nsecrets:\n  npm: [{origin: \""+s.url+"\", attach: bearer, listen: 4873}]\n"))
	s.must("run", "--detach", "--name", "broker", "--network", s.network(), "--secret", "npm", "--secret", "ticket",
		"--volume", filepath.Join(s.Work, "policy.yaml")+":/policy.yaml:ro", "localhost/tightlip:latest", "--policy", "/policy.yaml", "--secret", "id=npm,src=/run/secrets/npm",
		"--listen", "0.0.0.0:8080", "--expose", "broker", "--ticket", "file:/run/secrets/ticket", "--ca-file", "/dev/shm/bundle.pem")
	address := s.must("inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", "broker")
	r := s.Run("podman", "run", "--name", "job", "--network", s.network(), "--add-host", "broker:"+address, "--secret", "ticket,type=env,target=BROKER_TICKET",
		"--entrypoint", "/bin/sh", "localhost/build:latest", "-c", strings.ReplaceAll(job, "ORIGIN", s.url))
	if want := "private /package\nprivate /reverse\n"; r.Code != 0 || r.Stdout != want {
		t.Errorf("exit code %d, not the two packages:\n%s\n%s", r.Code, r.All(), s.Run("podman", "logs", "broker").All())
	}
	if got := strings.Join(s.origin.paths(), " "); got != "/package /reverse /direct" {
		t.Errorf("the origin was asked for %s", got)
	}
	s.noTraces("job", s.value)
	s.noTraces("broker", s.value)
	s.noTraces("broker", ticket)
	log := s.Run("podman", "logs", "broker").All()
	wantText(t, log, "the broker is at broker:8080", s.url+" is at http://broker:4873", "passed GET /broker.env: 200", "401 (the proxy wants its ticket)", "407 (the proxy wants its ticket)")
}

// TestBrokerAddresses: the broker lets nobody in from elsewhere unless it is told so, and wants a ticket that the other side can know.
func TestBrokerAddresses(t *testing.T) {
	b := newEmbeddedBox(t)
	b.Env["NPM_TOKEN"], b.Env["SHORT"], b.Env["FIXED"] = enginetest.PlainCanary(), enginetest.PlainCanary()[:25], strings.Repeat("changeme", 4)
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"--listen", "0.0.0.0:0"}, "--expose HOST"},
		{[]string{"--listen", "192.0.2.1:0", "--ticket", "env:NPM_TOKEN"}, "no address on loopback"},
		{[]string{"--listen", "0.0.0.0:0", "--expose", "broker"}, "the ticket would be in the log"},
		{[]string{"--listen", "broker:8080", "--expose", "broker", "--ticket", "env:NPM_TOKEN"}, "no address and port"},
		{[]string{"--expose", "broker:8080", "--ticket", "env:NPM_TOKEN"}, "no host's"},
		{[]string{"--ticket", "env:SHORT"}, "26 to 256 characters"},
		{[]string{"--ticket", "env:FIXED"}, "repeats too few"},
		{[]string{"--ticket", "env:MISSING"}, "MISSING"},
		{[]string{"--ticket", b.Env["NPM_TOKEN"]}, "must begin with a scheme"},
	} {
		r := b.Tightlip(append([]string{"broker", "--route", "npm=https://npm.corp.example:bearer", "--secret", "id=npm,env=NPM_TOKEN"}, tt.args...)...)
		wantCode(t, r, 2)
		wantText(t, r.Stderr, tt.want)
		for _, name := range []string{"NPM_TOKEN", "SHORT", "FIXED"} {
			enginetest.NoTraces(t, "the output", r.All(), b.Env[name])
		}
	}
}
