// Package real builds one app that needs every kind of private dependency, on every engine, from one Dockerfile.
package real

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/tightlip/tightlip/internal/enginetest"
)

func TestMain(m *testing.M) { os.Exit(enginetest.Main(m)) }

// dockerfile is the app's. Logs and caches go, because they hold times.
const dockerfile = `FROM acme-base
COPY npm /usr/lib/node_modules/npm
COPY known_hosts /root/.ssh/known_hosts
COPY ca.pem /etc/ssl/acme.pem
WORKDIR /app
COPY package.json package-lock.json ./
RUN --mount=type=secret,id=npmrc,target=/root/.npmrc,required=true \
    node /usr/lib/node_modules/npm/bin/npm-cli.js ci --no-audit --no-fund --no-update-notifier && \
    rm -rf /root/.npm node_modules/.package-lock.json
RUN --mount=type=secret,id=netrc,target=/root/.netrc,required=true \
    pip install --break-system-packages --no-compile --no-cache-dir --disable-pip-version-check --root-user-action=ignore \
    --index-url http://@NGINX@/simple --trusted-host 127.0.0.1 acme-hello
ENV GIT_SSL_CAINFO=/etc/ssl/acme.pem
RUN --mount=type=secret,id=git,env=GIT_TOKEN,required=true <<EOF
set -e
git -c credential.helper='!f() { echo username=ci; echo "password=$GIT_TOKEN"; }; f' clone -q @GIT@/repo.git /app/https
rm -rf /app/https/.git
EOF
RUN --mount=type=ssh,required=true \
    git clone -q ssh://root@@SSH@@REPO@ /app/ssh && rm -rf /app/ssh/.git
RUN --mount=type=secret,id=apt,target=/etc/apt/auth.conf.d/acme.conf,mode=0444,required=true \
    echo 'deb [trusted=yes] http://@NGINX@/apt ./' > /etc/apt/sources.list.d/acme.list && \
    apt-get update -qq -o Dir::Etc::sourcelist=sources.list.d/acme.list -o Dir::Etc::sourceparts=- && \
    apt-get install -qq -y acme-hello && \
    rm -rf /etc/apt/sources.list.d/acme.list /var/lib/apt/lists/* /var/cache/apt/* /var/log/* /var/lib/dpkg/*-old
CMD ["sh", "-c", "node -p 'require(\"@acme/hello\")'; python3 -c 'import acme_hello; print(acme_hello.hello())'; cat https/hello ssh/hello /usr/share/acme/hello"]
`

// says is what the app prints.
const says = "hello from npm\nhello from pip\nhello from git\nhello from git\nhello from apt\n"

// engine is one of the engines, with what has to be told to it.
type engine struct {
	name    string
	box     *enginetest.Box
	prepare func(t *testing.T, b *enginetest.Box, base string) // makes acme-base known
	flags   []string
	save    []string // prints an image as an archive; nil: the build wrote it to app.tar
	run     []string // runs the image
	plain   []string // builds by itself, for an engine that leaves mount points in its images
}

func engines(t *testing.T) []engine {
	docker := enginetest.StartDocker(t)
	podman := enginetest.NewPodman(t)
	imported := func(tool string) func(*testing.T, *enginetest.Box, string) {
		return func(t *testing.T, b *enginetest.Box, base string) {
			output(t, b.Command(tool, "import", base, "acme-base"))
		}
	}
	withPodman := func() *enginetest.Box {
		b := podman.Box(t)
		b.DockerConfig(map[string]any{}) // podman wants the file that DOCKER_CONFIG leads to
		return b
	}
	host := []string{"--network", "host"}
	runDocker, runPodman := []string{"docker", "run", "--rm", "--network", "none", "app"}, []string{"podman", "run", "--rm", "--network", "none", "app"}
	return []engine{
		{"docker", enginetest.NewBox(t, docker), imported("docker"), host, []string{"docker", "save"}, runDocker, nil},
		{"classic", enginetest.NewBox(t, docker), nil, host, []string{"docker", "save"}, runDocker, nil},
		{"podman", withPodman(), imported("podman"), host, []string{"podman", "save"}, runPodman, []string{"podman", "build"}},
		{"buildah", withPodman(), nil, host, []string{"podman", "save"}, runPodman, []string{"podman", "build"}},
		{"embedded", enginetest.NewBox(t, nil), layoutOf, []string{"--build-context", "acme-base=oci-layout://base:latest", "-o", "type=docker,dest=app.tar"}, nil, nil, nil},
	}
}

// layoutOf makes an OCI layout of the base image, for an engine without a store of images.
func layoutOf(t *testing.T, b *enginetest.Box, base string) {
	t.Helper()
	layer, err := tarball.LayerFromFile(base)
	if err != nil {
		t.Fatal(err)
	}
	img, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config.OS, config.Architecture = "linux", "amd64"
	if img, err = mutate.ConfigFile(img, config); err != nil {
		t.Fatal(err)
	}
	to, err := layout.Write(filepath.Join(b.Work, "base"), empty.Index)
	if err == nil {
		err = to.AppendImage(img, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": "latest"}))
	}
	if err != nil {
		t.Fatal(err)
	}
}

func output(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	out, err := cmd.Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		t.Fatalf("%s: %v\n%s", strings.Join(cmd.Args, " "), err, exit.Stderr)
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// TestApp builds the app on each engine, wants it proven and working, and the images equal.
func TestApp(t *testing.T) {
	enginetest.NeedRoot(t)
	base := filepath.Join(enginetest.Root(t), ".tools/base.tar")
	if _, err := os.Stat(base); err != nil {
		t.Fatalf("the base image is missing in .tools: run .ci/setup (%v)", err)
	}
	s := startServers(t)
	lock := s.lockfile(t)
	text := strings.NewReplacer("@NGINX@", s.nginx, "@GIT@", s.git.URL, "@SSH@", s.ssh, "@REPO@", filepath.Join(s.dir, "git/repo.git")).Replace(dockerfile)
	var first []string
	var firstName string
	for _, e := range engines(t) {
		t.Run(e.name, func(t *testing.T) {
			b := e.box
			s.fill(t, b, text, lock)
			if e.prepare != nil {
				e.prepare(t, b, base)
			}
			args := slices.Concat([]string{"build", "--engine", e.name, "--progress", "plain", "-t", "app", "--ssh", "default=" + s.key}, secretFlags, e.flags, []string{"context"})
			r := b.Tightlip(args...)
			if r.Code != 0 || !strings.Contains(r.Stderr, "proven: ") {
				t.Fatalf("exit code %d:\n%s", r.Code, r.All())
			}
			for _, value := range []string{s.password, s.token, s.gitToken} {
				enginetest.NoTraces(t, "the output", r.All(), value)
			}
			if e.run != nil {
				if got := output(t, b.Command(e.run[0], e.run[1:]...)); got != says {
					t.Errorf("the app says %q", got)
				}
			}
			got := contents(t, e, "app")
			if first == nil {
				first, firstName = got, e.name
			}
			if e.plain != nil {
				got = without(got, s.leftByItself(t, e))
			}
			if diff := difference(first, got); len(diff) > 0 {
				t.Errorf("the image differs from that of %s:\n%s", firstName, strings.Join(diff, "\n"))
			}
			if e.name != "buildah" { // it is podman's code
				s.brokered(t, e, args)
				s.mintedAgent(t, e)
			}
		})
	}
}

// mintedAgent has a step log in with a key that was made for it, by an agent.
func (s *servers) mintedAgent(t *testing.T, e engine) {
	t.Helper()
	b := e.box
	b.Write("tightlip.yaml", fmt.Appendf(nil, "version: 1\nsecrets:\n  host: {from: %q}\nssh:\n  default: {secret: host}\n",
		"ssh-cert:"+filepath.Join(s.dir, "authority")+"?principals=root&ttl=10m"))
	b.Write("agent/known_hosts", s.knownHosts(t))
	b.Write("agent/Dockerfile", fmt.Appendf(nil, "FROM acme-base\nCOPY known_hosts /root/.ssh/known_hosts\n"+
		"RUN --mount=type=ssh,required=true ssh-add -l | grep -c CERT && git ls-remote ssh://root@%s%s HEAD\n", s.ssh, filepath.Join(s.dir, "git/repo.git")))
	r := b.Tightlip(slices.Concat([]string{"build", "--engine", e.name, "--progress", "plain", "--no-cache", "--allow-source", "ssh-cert,ssh", "-t", "agent", "--ssh", "default"}, e.flags, []string{"agent"})...)
	if r.Code != 0 || !strings.Contains(r.Stderr, "lease of host (tightlip-") || !strings.Contains(r.Stderr, "proven: host nowhere in the image") {
		t.Errorf("exit code %d:\n%s", r.Code, r.All())
	}
	if err := os.Remove(filepath.Join(b.Work, "tightlip.yaml")); err != nil {
		t.Error(err)
	}
}

// brokered builds the app again, with steps that have none of the secrets, and wants the same image.
func (s *servers) brokered(t *testing.T, e engine, args []string) {
	t.Helper()
	b := e.box
	plain := contents(t, e, "app")
	b.Env["SSL_CERT_FILE"] = filepath.Join(b.Work, "context/ca.pem")
	defer delete(b.Env, "SSL_CERT_FILE")
	args = append(slices.Clone(args[:len(args)-1]),
		"--broker", "npmrc=http://"+s.npm+":bearer", "--broker", "netrc=http://"+s.nginx+":basic", "--broker", "apt=http://"+s.nginx+":basic", "--broker", "git="+s.git.URL+":basic:ci")
	b.Write("home/.ssh/known_hosts", s.knownHosts(t))
	b.Env["HOME"] = filepath.Join(b.Work, "home")
	args = append(args, "--ssh-allow", "default=root@"+s.ssh)
	r := b.Tightlip(append(args, "context")...)
	if r.Code != 0 || !strings.Contains(r.Stderr, "proven: ") {
		t.Fatalf("with the broker: exit code %d:\n%s", r.Code, r.All())
	}
	for _, with := range []string{"npmrc", "netrc", "git", "apt"} {
		if !strings.Contains(r.Stderr, " allowed with "+with+",") {
			t.Errorf("no step used %s through the broker:\n%s", with, r.Stderr)
		}
	}
	for _, value := range []string{s.password, s.token, s.gitToken} {
		enginetest.NoTraces(t, "the output", r.All(), value)
	}
	if diff := difference(plain, contents(t, e, "app")); len(diff) > 0 {
		t.Errorf("with the broker, the image is another one:\n%s", strings.Join(diff, "\n"))
	}
}

var secretFlags = []string{
	"--secret", "id=npmrc,src=secrets/npmrc", "--secret", "id=netrc,src=secrets/netrc", "--secret", "id=git,env=GIT_TOKEN", "--secret", "id=apt,src=secrets/apt",
}

const packageJSON = `{"name": "app", "version": "1.0.0", "dependencies": {"@acme/hello": "1.0.0"}}`

// lockfile has npm resolve the app's dependencies once.
func (s *servers) lockfile(t *testing.T) []byte {
	t.Helper()
	s.write(t, "app/package.json", []byte(packageJSON))
	s.write(t, "app/.npmrc", s.npmrc())
	dir := filepath.Join(s.dir, "app")
	command(t, dir, "npm", "install", "--package-lock-only", "--no-audit", "--no-fund", "--cache", filepath.Join(s.dir, "npm-cache"))
	return readFile(t, filepath.Join(dir, "package-lock.json"))
}

// fill puts the build context and the secrets into a box.
func (s *servers) fill(t *testing.T, b *enginetest.Box, text string, lock []byte) {
	t.Helper()
	b.Write("context/Dockerfile", []byte(text))
	b.Write("context/package.json", []byte(packageJSON))
	b.Write("context/package-lock.json", lock)
	b.Write("context/known_hosts", s.knownHosts(t))
	b.Write("context/ca.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.git.Certificate().Raw}))
	command(t, b.Work, "cp", "-r", filepath.Join(enginetest.Root(t), ".tools/npm/node_modules/npm"), "context/npm")
	b.Write("secrets/npmrc", s.npmrc())
	b.Write("secrets/netrc", fmt.Appendf(nil, "machine 127.0.0.1 login ci password %s\n", s.password))
	b.Write("secrets/apt", fmt.Appendf(nil, "machine http://%s login ci password %s\n", s.nginx, s.password))
	b.Env["GIT_TOKEN"] = s.gitToken
}

// contents lists the files of an image: name, type, owner, and what is in them.
func contents(t *testing.T, e engine, name string) []string {
	t.Helper()
	archive := filepath.Join(e.box.Work, "app.tar")
	if e.save != nil {
		f, err := os.Create(archive)
		if err != nil {
			t.Fatal(err)
		}
		cmd := e.box.Command(e.save[0], append(e.save[1:len(e.save):len(e.save)], name)...)
		cmd.Stdout = f
		if err := errors.Join(cmd.Run(), f.Close()); err != nil {
			t.Fatal(err)
		}
	}
	img, err := tarball.ImageFromPath(archive, nil)
	if err != nil {
		t.Fatal(err)
	}
	files := mutate.Extract(img)
	defer files.Close()
	var list []string
	for tr := tar.NewReader(files); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.New()
		if _, err := io.Copy(sum, tr); err != nil {
			t.Fatal(err)
		}
		list = append(list, fmt.Sprintf("%s %c %o %d:%d %s %x", path.Clean("/"+h.Name), h.Typeflag, h.Mode&0o7777, h.Uid, h.Gid, h.Linkname, sum.Sum(nil)[:8]))
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// leftByItself is what the engine leaves in an image without tightlip, of the mounts that the app has.
func (s *servers) leftByItself(t *testing.T, e engine) []string {
	t.Helper()
	e.box.Write("plain/Dockerfile", []byte("FROM acme-base\nRUN --mount=type=ssh,required=true true\n"))
	output(t, e.box.Command(e.plain[0], append(e.plain[1:len(e.plain):len(e.plain)], "--ssh", "default="+s.key, "-t", "plain", "plain")...))
	return without(contents(t, e, "plain"), contents(t, e, "acme-base"))
}

// without is what of a list is not in another sorted one.
func without(list, other []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool {
		_, found := slices.BinarySearch(other, s)
		return found
	})
}

// difference is what only one of two sorted lists holds.
func difference(a, b []string) []string {
	var out []string
	for _, s := range a {
		if _, ok := slices.BinarySearch(b, s); !ok {
			out = append(out, "- "+s)
		}
	}
	for _, s := range b {
		if _, ok := slices.BinarySearch(a, s); !ok {
			out = append(out, "+ "+s)
		}
	}
	return out[:min(len(out), 40)]
}
