package real

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tightlip/tightlip/broker/gate"
	"github.com/tightlip/tightlip/internal/enginetest"
	"golang.org/x/crypto/bcrypt"
)

// private are package sources that want credentials: nginx with TLS and without, and git's own server.
type private struct {
	*servers
	box      *enginetest.Box
	ca       string // a file
	https    string // nginx, host:port
	http     string
	git      string
	auth     string // where tokens for the registry come from
	tokens   string // a registry that wants them
	registry *enginetest.Registry
	ports    map[string]string // of reverse doors, by host
	policy   string
	env      map[string]string // what the broker says
	captured *recorder
	audit    string
	broker   *exec.Cmd
}

const corp = ".corp.example"

// startPrivate starts the servers and a broker in front of them.
func startPrivate(t *testing.T) *private {
	t.Helper()
	p := startSources(t)
	p.startBroker(t)
	return p
}

// startSources starts the servers alone.
func startSources(t *testing.T) *private {
	t.Helper()
	p := &private{
		servers: &servers{dir: t.TempDir(), password: enginetest.PlainCanary(), token: enginetest.PlainCanary(), gitToken: enginetest.PlainCanary()},
		box:     enginetest.NewBox(t, nil), ports: map[string]string{}, env: map[string]string{},
	}
	cert := p.certificate(t)
	p.writeWheel(t)
	p.writeDeb(t)
	p.writeNPM(t)
	p.writeGo(t)
	p.writeCrate(t)
	p.writeMaven(t)
	p.writeComposer(t)
	p.writeGem(t)
	p.write(t, "www/file", []byte("hello from a file\n"))
	p.startRegistries(t, cert)
	p.startPrivateNginx(t)
	p.startPrivateGit(t, cert)
	return p
}

// certificate makes an authority in ca.pem, and a certificate of it for all of the hosts in cert.pem and key.pem.
func (p *private) certificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "corp"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), NotBefore: ca.NotBefore, NotAfter: ca.NotAfter, DNSNames: []string{"*" + corp}}
	caDER, err1 := x509.CreateCertificate(rand.Reader, ca, ca, key.Public(), key)
	leafDER, err2 := x509.CreateCertificate(rand.Reader, leaf, ca, key.Public(), key)
	keyDER, err3 := x509.MarshalPKCS8PrivateKey(key)
	if err1 != nil || err2 != nil || err3 != nil {
		t.Fatal(err1, err2, err3)
	}
	block := func(kind string, der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}) }
	p.ca = p.write(t, "ca.pem", block("CERTIFICATE", caDER))
	p.write(t, "cert.pem", block("CERTIFICATE", leafDER))
	p.write(t, "key.pem", block("PRIVATE KEY", keyDER))
	return tls.Certificate{Certificate: [][]byte{leafDER}, PrivateKey: key}
}

// startPrivateNginx serves files.corp.example and npm.corp.example to who has a token, and the others to who has a password.
func (p *private) startPrivateNginx(t *testing.T) {
	t.Helper()
	p.https, p.http = enginetest.FreeAddress(t), enginetest.FreeAddress(t)
	hash, err := bcrypt.GenerateFromPassword([]byte(p.password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	p.write(t, "htpasswd", fmt.Appendf(nil, "ci:%s\n", strings.Replace(string(hash), "$2a$", "$2y$", 1)))
	bearer := fmt.Sprintf(`if ($http_authorization != "Bearer %s") { return 401; }`, p.token)
	basic := fmt.Sprintf("auth_basic private; auth_basic_user_file %s/htpasswd;", p.dir)
	var sites strings.Builder
	for _, s := range []struct{ name, root, auth string }{
		{"files", "www", bearer}, {"npm", "www/npm", bearer}, {"pypi", "www", basic}, {"go", "www/go", basic}, {"cargo", "www/cargo", bearer},
		{"maven", "www/maven", basic}, {"gems", "www/gems", basic}, {"composer", "www/composer", bearer},
	} {
		fmt.Fprintf(&sites, "server { listen %s ssl; server_name %s%s; root %s/%s; autoindex on; %s location / { try_files $uri $uri/index.json $uri/ =404; } }\n", p.https, s.name, corp, p.dir, s.root, s.auth)
	}
	config := p.write(t, "private.conf", fmt.Appendf(nil, `user root; worker_processes 1; daemon off; pid %[1]s/private.pid; error_log stderr;
events { worker_connections 64; }
http { access_log off; default_type application/octet-stream; types { application/json json; text/html html; }
ssl_certificate %[1]s/cert.pem; ssl_certificate_key %[1]s/key.pem;
client_body_temp_path %[1]s/tmp; proxy_temp_path %[1]s/tmp; fastcgi_temp_path %[1]s/tmp; uwsgi_temp_path %[1]s/tmp; scgi_temp_path %[1]s/tmp;
%[2]s
server { listen %[5]s ssl; server_name registry.corp.example; location / { proxy_pass http://%[6]s; proxy_set_header Host $host; proxy_set_header X-Forwarded-Proto https; } }
server { listen %[3]s; root %[1]s/www; %[4]s } }
`, p.dir, sites.String(), p.http, basic, p.https, p.registry.Host))
	start(t, p.https, exec.Command(enginetest.Tool(t, "nginx"), "-e", "stderr", "-c", config))
}

// startPrivateGit serves a repository that may be pushed to, to who has the token.
func (p *private) startPrivateGit(t *testing.T, cert tls.Certificate) {
	t.Helper()
	p.write(t, "repo/hello", []byte("hello from git\n"))
	dir := filepath.Join(p.dir, "repo")
	command(t, dir, "git", "init", "-q", "-b", "main")
	p.write(t, "repo/large", pointer())
	p.write(t, "repo/.gitattributes", []byte("large* filter=lfs diff=lfs merge=lfs -text\n"))
	p.write(t, fmt.Sprintf("lfs/%x", sha256.Sum256([]byte(largeFile))), []byte(largeFile))
	command(t, dir, "git", "-c", "filter.lfs.clean=", "add", ".")
	command(t, dir, "git", "-c", "user.name=test", "-c", "user.email=test@corp.example", "commit", "-q", "-m", "hello")
	command(t, p.dir, "git", "clone", "-q", "--bare", dir, filepath.Join(p.dir, "git/repo.git"))
	command(t, filepath.Join(p.dir, "git/repo.git"), "git", "config", "http.receivepack", "true")
	backend := &cgi.Handler{
		Path: "/usr/lib/git-core/git-http-backend",
		Env:  []string{"GIT_PROJECT_ROOT=" + filepath.Join(p.dir, "git"), "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*"},
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, token, ok := r.BasicAuth(); !ok || token != p.gitToken {
			w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		if strings.HasPrefix(r.URL.Path, "/repo.git/info/lfs/") {
			p.serveLFS(w, r)
			return
		}
		backend.ServeHTTP(w, r)
	}))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	s.StartTLS()
	t.Cleanup(s.Close)
	p.git = s.Listener.Addr().String()
}

// writeNPM makes a registry of one package. Its tarball has an absolute URL, as in all registries.
func (p *private) writeNPM(t *testing.T) {
	t.Helper()
	var tgz bytes.Buffer
	zw := gzip.NewWriter(&tgz)
	tw := tar.NewWriter(zw)
	addFile(t, tw, "package/package.json", `{"name":"@acme/hello","version":"1.0.0","main":"index.js"}`)
	addFile(t, tw, "package/index.js", "module.exports = 'hello from npm'\n")
	if tw.Close() != nil || zw.Close() != nil {
		t.Fatal("writing a package")
	}
	sum := sha512.Sum512(tgz.Bytes())
	p.write(t, "www/npm/@acme/hello/-/hello-1.0.0.tgz", tgz.Bytes())
	p.write(t, "www/npm/@acme/hello/index.json", fmt.Appendf(nil, `{"name":"@acme/hello","dist-tags":{"latest":"1.0.0"},"time":{"1.0.0":"2023-11-14T22:13:20.000Z"},"versions":{"1.0.0":{"name":"@acme/hello","version":"1.0.0","main":"index.js",
"dist":{"integrity":"sha512-%s","tarball":"https://npm.corp.example/@acme/hello/-/hello-1.0.0.tgz"}}}}`, base64.StdEncoding.EncodeToString(sum[:])))
}

func addFile(t *testing.T, tw *tar.Writer, name, text string) {
	t.Helper()
	err := tw.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(text)), ModTime: time.Unix(1700000000, 0)})
	if err == nil {
		_, err = io.WriteString(tw, text)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// writeGo makes a module proxy of one module.
func (p *private) writeGo(t *testing.T) {
	t.Helper()
	const module, mod = "corp.example/hello", "module corp.example/hello\n\ngo 1.21\n"
	var b bytes.Buffer
	zw := zip.NewWriter(&b)
	for name, text := range map[string]string{"go.mod": mod, "hello.go": "package hello\n\nfunc Hello() string { return \"hello from go\" }\n"} {
		w, err := zw.Create(module + "@v1.0.0/" + name)
		if err == nil {
			_, err = io.WriteString(w, text)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	dir := "www/go/" + module + "/@v/"
	p.write(t, dir+"list", []byte("v1.0.0\n"))
	p.write(t, dir+"v1.0.0.info", []byte(`{"Version":"v1.0.0","Time":"2023-11-14T22:13:20Z"}`))
	p.write(t, dir+"v1.0.0.mod", []byte(mod))
	p.write(t, dir+"v1.0.0.zip", b.Bytes())
}

// writeCrate makes a sparse index of one crate.
func (p *private) writeCrate(t *testing.T) {
	t.Helper()
	var crate bytes.Buffer
	zw := gzip.NewWriter(&crate)
	tw := tar.NewWriter(zw)
	addFile(t, tw, "acme-hello-1.0.0/Cargo.toml", "[package]\nname = \"acme-hello\"\nversion = \"1.0.0\"\nedition = \"2021\"\n")
	addFile(t, tw, "acme-hello-1.0.0/src/lib.rs", "pub fn hello() -> &'static str { \"hello from cargo\" }\n")
	if tw.Close() != nil || zw.Close() != nil {
		t.Fatal("writing a crate")
	}
	p.write(t, "www/cargo/index/config.json", []byte(`{"dl":"https://cargo.corp.example/dl/{crate}-{version}.crate"}`))
	p.write(t, "www/cargo/index/ac/me/acme-hello", fmt.Appendf(nil, `{"name":"acme-hello","vers":"1.0.0","deps":[],"cksum":"%x","features":{},"yanked":false}`+"\n", sha256.Sum256(crate.Bytes())))
	p.write(t, "www/cargo/dl/acme-hello-1.0.0.crate", crate.Bytes())
}

// route is what the policy allows: hosts of .corp.example by the secret that opens them.
type route struct{ secret, scheme, hosts, attach string }

var routes = []route{
	{"token", "https", "files npm cargo composer", "attach: bearer"},
	{"password", "https", "pypi go maven gems registry", "attach: basic, user: ci"},
	{"git", "https", "git", "attach: basic, user: ci"},
	{"push", "https", "push", "attach: basic, user: ci, uploads: true"},
	{"auth", "https", "auth", "attach: basic, user: ci"},
	{"apt", "http", "apt", "attach: basic, user: ci"},
}

// writePolicy writes the policy and the secrets, and gives each host a door.
func (p *private) writePolicy(t *testing.T) {
	t.Helper()
	connect := map[string]string{"token": p.https, "password": p.https, "git": p.git, "push": p.git, "auth": p.auth, "apt": p.http}
	values := map[string]string{"token": p.token, "git": p.gitToken, "push": p.gitToken}
	var policy strings.Builder
	policy.WriteString("seal: true\nsecrets:\n")
	for _, r := range routes {
		p.write(t, "secrets/"+r.secret, []byte(cmp.Or(values[r.secret], p.password)+"\n"))
		fmt.Fprintf(&policy, "  %s:\n", r.secret)
		for host := range strings.FieldsSeq(r.hosts) {
			l := enginetest.ListenFree(t)
			defer l.Close() // no two doors get the same port
			_, p.ports[host], _ = net.SplitHostPort(l.Addr().String())
			fmt.Fprintf(&policy, "    - {origin: \"%s://%s%s\", %s, connect: \"%s\", listen: %s}\n", r.scheme, host, corp, r.attach, connect[r.secret], p.ports[host])
		}
	}
	p.policy = p.write(t, "policy.yaml", []byte(policy.String()))
}

// startBroker runs the program, and has clients reach it through a recorder.
func (p *private) startBroker(t *testing.T) {
	t.Helper()
	p.writePolicy(t)
	p.audit = filepath.Join(p.dir, "audit.jsonl")
	envFile := filepath.Join(p.dir, "broker.env")
	args := []string{"broker", "--policy", p.policy, "--audit", p.audit, "--env-file", envFile, "--ca-file", filepath.Join(p.box.Work, "bundle.pem"), "--upstream-ca", p.ca}
	for _, r := range routes {
		args = append(args, "--secret", "id="+r.secret+",src="+filepath.Join(p.dir, "secrets", r.secret))
	}
	p.broker = p.box.Command(enginetest.Binary(t), args...)
	var log bytes.Buffer
	p.broker.Stdout, p.broker.Stderr = &log, &log
	p.broker.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.broker.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if p.broker.ProcessState == nil {
			_ = p.broker.Process.Kill()
			_ = p.broker.Wait()
		}
		if t.Failed() {
			t.Logf("the broker said:\n%s", log.String())
		}
	})
	enginetest.Eventually(t, 20*time.Second, "the broker answers", func() bool { _, err := os.Stat(envFile); return err == nil })
	p.readEnv(t, envFile)
}

// readEnv takes the environment, with the recorder in the place of the proxy.
func (p *private) readEnv(t *testing.T, name string) {
	t.Helper()
	for line := range strings.Lines(string(readFile(t, name))) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		p.env[key] = value
	}
	before, address, _ := strings.Cut(p.env["HTTPS_PROXY"], "@")
	p.captured = record(t, address)
	for key, value := range p.env {
		if strings.HasPrefix(value, before) {
			p.env[key] = before + "@" + p.captured.address
		}
	}
}

// recorder is what sees all that clients send and get.
type recorder struct {
	address string
	mu      sync.Mutex
	bytes   bytes.Buffer
}

// Write implements io.Writer.
func (r *recorder) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.bytes.Write(b)
}

func record(t *testing.T, to string) *recorder {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	r := &recorder{address: l.Addr().String()}
	go func() {
		for {
			down, err := l.Accept()
			if err != nil {
				return
			}
			up, err := net.Dial("tcp", to)
			if err != nil {
				down.Close()
				continue
			}
			for _, way := range [][2]net.Conn{{down, up}, {up, down}} {
				go func() {
					_, _ = io.Copy(io.MultiWriter(way[1], r), way[0])
					_ = way[1].(*net.TCPConn).CloseWrite()
				}()
			}
		}
	}()
	return r
}

// canaries are the credentials, which nobody may see.
func (p *private) canaries() []string { return []string{p.token, p.password, p.gitToken} }

// stop ends the broker as a user does.
func (p *private) stop(t *testing.T) {
	t.Helper()
	_ = p.broker.Process.Signal(syscall.SIGTERM)
	if err := p.broker.Wait(); err != nil {
		t.Errorf("the broker ended with %v", err)
	}
}

// checkAudit wants an event for what each client did.
func (p *private) checkAudit(t *testing.T) {
	t.Helper()
	data := readFile(t, p.audit)
	for _, v := range p.canaries() {
		enginetest.NoTraces(t, "the audit", string(data), v)
	}
	events, err := gate.ReadAudit(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []gate.Event{
		{Origin: "https://files.corp.example", Secret: "token", Path: "/file", Status: 200, Verdict: gate.Allowed},
		{Origin: "https://npm.corp.example", Secret: "token", Path: "/@acme%2fhello", Status: 200, Verdict: gate.Allowed},
		{Origin: "https://pypi.corp.example", Secret: "password", Path: "/simple/acme-hello/", Status: 200, Verdict: gate.Allowed},
		{Origin: "https://git.corp.example", Secret: "git", Path: "/repo.git/git-upload-pack", Status: 200, Verdict: gate.Allowed},
		{Origin: "https://git.corp.example", Secret: "git", Path: "/repo.git/info/refs", Status: 403, Verdict: gate.Refused},
		{Origin: "https://push.corp.example", Secret: "push", Path: "/repo.git/git-receive-pack", Status: 200, Verdict: gate.Allowed},
		{Origin: "http://apt.corp.example", Secret: "apt", Path: "/apt/Packages", Status: 200, Verdict: gate.Allowed},
		{Origin: "https://elsewhere.example", Status: 403, Verdict: gate.Refused},
	} {
		if !hasEvent(events, want) {
			t.Errorf("the audit has no %+v", want)
		}
	}
	if t.Failed() {
		t.Logf("the audit:\n%s", data)
	}
}

func hasEvent(events []gate.Event, want gate.Event) bool {
	for _, e := range events {
		if e.Origin == want.Origin && e.Secret == want.Secret && e.Path == want.Path && e.Status == want.Status && e.Verdict == want.Verdict {
			return true
		}
	}
	return false
}
