package real

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tightlip/tightlip/conformance"
	"github.com/tightlip/tightlip/internal/enginetest"
	"golang.org/x/crypto/bcrypt"
)

// servers are the private package sources of the app: real servers on loopback, which want a password or a key.
type servers struct {
	dir      string
	password string // of user ci with nginx
	token    string // for verdaccio
	gitToken string
	npm      string // host:port
	nginx    string
	git      *httptest.Server
	ssh      string
	key      string // the SSH key's path
}

func startServers(t *testing.T) *servers {
	t.Helper()
	s := &servers{dir: t.TempDir(), password: enginetest.PlainCanary(), gitToken: enginetest.PlainCanary()}
	for _, start := range []func(*testing.T){s.startNginx, s.startNPM, s.startGit, s.startSSH} {
		start(t)
	}
	return s
}

// start runs a server until the test ends.
func start(t *testing.T, address string, cmd *exec.Cmd) {
	t.Helper()
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s:\n%s", cmd.Path, log.String())
		}
	})
	enginetest.Eventually(t, 30*time.Second, filepath.Base(cmd.Path)+" answers", func() bool {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

func command(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_AUTHOR_DATE=1700000000 +0000", "GIT_COMMITTER_DATE=1700000000 +0000")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func (s *servers) write(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// startNginx serves a package index for pip and a repository for apt, both with a password.
func (s *servers) startNginx(t *testing.T) {
	s.nginx = enginetest.FreeAddress(t)
	hash, err := bcrypt.GenerateFromPassword([]byte(s.password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	s.write(t, "htpasswd", fmt.Appendf(nil, "ci:%s\n", strings.Replace(string(hash), "$2a$", "$2y$", 1)))
	s.writeWheel(t)
	s.writeDeb(t)
	for _, dir := range []string{s.dir, filepath.Dir(s.dir)} { // nginx's workers are another user's
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	config := s.write(t, "nginx.conf", fmt.Appendf(nil, `user root; worker_processes 1; daemon off; pid %[1]s/nginx.pid; error_log stderr;
events { worker_connections 64; }
http { access_log off; client_body_temp_path %[1]s/tmp; proxy_temp_path %[1]s/tmp; fastcgi_temp_path %[1]s/tmp; uwsgi_temp_path %[1]s/tmp; scgi_temp_path %[1]s/tmp;
server { listen %[2]s; root %[1]s/www; autoindex on; auth_basic private; auth_basic_user_file %[1]s/htpasswd; } }
`, s.dir, s.nginx))
	start(t, s.nginx, exec.Command(enginetest.Tool(t, "nginx"), "-e", "stderr", "-c", config))
}

// writeWheel makes a Python package of one module.
func (s *servers) writeWheel(t *testing.T) {
	var wheel bytes.Buffer
	zw := zip.NewWriter(&wheel)
	record := ""
	for _, f := range []struct{ name, text string }{
		{"acme_hello.py", "def hello():\n    return 'hello from pip'\n"},
		{"acme_hello-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: acme-hello\nVersion: 1.0\n"},
		{"acme_hello-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"},
	} {
		record += f.name + ",,\n"
		w, err := zw.Create(f.name)
		if err == nil {
			_, err = w.Write([]byte(f.text))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	w, err := zw.Create("acme_hello-1.0.dist-info/RECORD")
	if err == nil {
		_, err = w.Write([]byte(record + "acme_hello-1.0.dist-info/RECORD,,\n"))
	}
	if err != nil || zw.Close() != nil {
		t.Fatal("writing the wheel")
	}
	s.write(t, "www/simple/acme-hello/acme_hello-1.0-py3-none-any.whl", wheel.Bytes())
}

// writeDeb makes a Debian repository of one package.
func (s *servers) writeDeb(t *testing.T) {
	s.write(t, "deb/DEBIAN/control", []byte("Package: acme-hello\nVersion: 1.0\nArchitecture: all\nMaintainer: test <test@corp.example>\nDescription: says hello\n"))
	s.write(t, "deb/usr/share/acme/hello", []byte("hello from apt\n"))
	name := "acme-hello_1.0_all.deb"
	if err := os.MkdirAll(filepath.Join(s.dir, "www/apt"), 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(s.dir, "www/apt", name)
	command(t, s.dir, "dpkg-deb", "--root-owner-group", "-b", "deb", path)
	data := readFile(t, path)
	control := command(t, s.dir, "dpkg-deb", "-f", path)
	s.write(t, "www/apt/Packages", fmt.Appendf(nil, "%sFilename: ./%s\nSize: %d\nSHA256: %x\n\n", control, name, len(data), sha256.Sum256(data)))
}

// startNPM starts verdaccio, makes a user, and publishes a package that only users may read.
func (s *servers) startNPM(t *testing.T) {
	s.npm = enginetest.FreeAddress(t)
	config := s.write(t, "verdaccio/config.yaml", fmt.Appendf(nil, `storage: %[1]s/verdaccio/storage
auth: {htpasswd: {file: %[1]s/verdaccio/htpasswd, max_users: 10}}
packages: {'**': {access: $authenticated, publish: $authenticated}}
log: {type: stdout, level: warn}
`, s.dir))
	root := enginetest.Root(t)
	cmd := exec.Command("node", filepath.Join(root, ".tools/npm/node_modules/verdaccio/bin/verdaccio"), "-c", config, "-l", "http://"+s.npm)
	cmd.Dir, cmd.Env = filepath.Join(s.dir, "verdaccio"), append(os.Environ(), "HOME="+s.dir, "NO_UPDATE_NOTIFIER=1")
	start(t, s.npm, cmd)
	body, _ := json.Marshal(map[string]string{"name": "ci", "password": s.password})
	req, err := http.NewRequest(http.MethodPut, "http://"+s.npm+"/-/user/org.couchdb.user:ci", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct{ Token string }
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || answer.Token == "" {
		t.Fatalf("verdaccio gave no token: %s %v", resp.Status, err)
	}
	s.token = answer.Token
	s.write(t, "package/package.json", []byte(`{"name": "@acme/hello", "version": "1.0.0", "main": "index.js"}`))
	s.write(t, "package/index.js", []byte("module.exports = 'hello from npm'\n"))
	s.write(t, "package/.npmrc", s.npmrc())
	command(t, filepath.Join(s.dir, "package"), "npm", "publish", "--registry", "http://"+s.npm, "--cache", filepath.Join(s.dir, "npm-cache"))
}

func (s *servers) npmrc() []byte {
	return fmt.Appendf(nil, "@acme:registry=http://%[1]s/\n//%[1]s/:_authToken=%[2]s\n", s.npm, s.token)
}

// startGit serves a repository over HTTPS, to those who have a token.
func (s *servers) startGit(t *testing.T) {
	s.write(t, "repo/hello", []byte("hello from git\n"))
	dir := filepath.Join(s.dir, "repo")
	command(t, dir, "git", "init", "-q", "-b", "main")
	command(t, dir, "git", "add", "hello")
	command(t, dir, "git", "-c", "user.name=test", "-c", "user.email=test@corp.example", "commit", "-q", "-m", "hello")
	command(t, s.dir, "git", "clone", "-q", "--bare", dir, filepath.Join(s.dir, "git/repo.git"))
	backend := &cgi.Handler{
		Path: "/usr/lib/git-core/git-http-backend",
		Env:  []string{"GIT_PROJECT_ROOT=" + filepath.Join(s.dir, "git"), "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*"},
	}
	s.git = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, token, ok := r.BasicAuth(); !ok || user != "ci" || token != s.gitToken {
			w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		backend.ServeHTTP(w, r)
	}))
	t.Cleanup(s.git.Close)
}

// startSSH starts an sshd that lets in whoever has the key.
func (s *servers) startSSH(t *testing.T) {
	s.key = filepath.Join(s.dir, "key")
	if err := conformance.NewKey(s.key); err != nil {
		t.Fatal(err)
	}
	s.write(t, "authorized_keys", []byte(command(t, s.dir, "ssh-keygen", "-y", "-f", s.key)))
	s.ssh = "127.0.0.1:" + enginetest.StartSSHD(t, s.dir)
}

// knownHosts is the line for the sshd.
func (s *servers) knownHosts(t *testing.T) []byte {
	return readFile(t, filepath.Join(s.dir, "known_hosts"))
}
