package real

import (
	"archive/zip"
	"bytes"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/crane"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/tightlip/tightlip/internal/enginetest"
)

// zipped is an archive with one file.
func zipped(t *testing.T, file, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	zw := zip.NewWriter(&b)
	w, err := zw.Create(file)
	if err == nil {
		_, err = io.WriteString(w, text)
	}
	if err != nil || zw.Close() != nil {
		t.Fatal("writing an archive")
	}
	return b.Bytes()
}

// writeMaven makes a repository of one library, and of the one that Maven adds to each extension.
func (p *private) writeMaven(t *testing.T) {
	t.Helper()
	for _, a := range []struct{ group, name, version string }{{"corp.acme", "hello", "1.0"}, {"org.codehaus.plexus", "plexus-utils", "1.1"}} {
		pom := fmt.Appendf(nil, "<project><modelVersion>4.0.0</modelVersion><groupId>%s</groupId><artifactId>%s</artifactId><version>%s</version></project>", a.group, a.name, a.version)
		base := fmt.Sprintf("www/maven/%s/%s/%s/%[2]s-%[3]s.", strings.ReplaceAll(a.group, ".", "/"), a.name, a.version)
		for kind, data := range map[string][]byte{"pom": pom, "jar": zipped(t, "hello.txt", "hello from a jar\n")} {
			p.write(t, base+kind, data)
			p.write(t, base+kind+".sha1", fmt.Appendf(nil, "%x", sha1.Sum(data)))
		}
	}
}

// writeComposer makes a repository of one package. Its archive has an absolute URL.
func (p *private) writeComposer(t *testing.T) {
	t.Helper()
	data := zipped(t, "hello.php", "<?php echo 'hello from composer';\n")
	p.write(t, "www/composer/hello-1.0.0.zip", data)
	p.write(t, "www/composer/packages.json", fmt.Appendf(nil, `{"packages":{"acme/hello":{"1.0.0":{"name":"acme/hello","version":"1.0.0",
"dist":{"type":"zip","url":"https:\/\/composer.corp.example\/hello-1.0.0.zip","shasum":"%x"}}}}}`, sha1.Sum(data)))
}

// writeGem has gem itself make a gem and the index of its server. Without gem there are none.
func (p *private) writeGem(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("gem"); err != nil {
		return
	}
	p.write(t, "gem/acme-hello.gemspec", []byte(`Gem::Specification.new { |s| s.name, s.version, s.summary, s.author, s.files = 'acme-hello', '1.0', 'says hello', 'test', ['lib/acme_hello.rb'] }`))
	p.write(t, "gem/lib/acme_hello.rb", []byte("puts 'hello from a gem'\n"))
	out := filepath.Join(p.dir, "www/gems/gems")
	if err := os.MkdirAll(out, 0o755); err != nil {
		t.Fatal(err)
	}
	command(t, filepath.Join(p.dir, "gem"), "gem", "build", "-q", "acme-hello.gemspec", "-o", filepath.Join(out, "acme-hello-1.0.gem"))
	command(t, p.dir, "gem", "generate_index", "-q", "-d", filepath.Join(p.dir, "www/gems"))
}

const largeFile = "hello from a large file\n"

// pointer is what git has in the place of a large file.
func pointer() []byte {
	return fmt.Appendf(nil, "version https://git-lfs.github.com/spec/v1\noid sha256:%x\nsize %d\n", sha256.Sum256([]byte(largeFile)), len(largeFile))
}

// serveLFS is a server of large files at /repo.git/info/lfs. As Gitea does, it tells clients to send again what they have sent.
func (p *private) serveLFS(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, "/repo.git/info/lfs")
	file := filepath.Join(p.dir, "lfs", filepath.Base(path))
	switch {
	case path == "/objects/batch":
		w.Header().Set("Content-Type", "application/vnd.git-lfs+json")
		_ = json.NewEncoder(w).Encode(batchAnswer(r))
	case r.Method == http.MethodPut:
		data, _ := io.ReadAll(r.Body)
		_ = os.WriteFile(file, data, 0o644)
	case r.Method == http.MethodGet:
		http.ServeFile(w, r, file)
	default:
		http.NotFound(w, r)
	}
}

func batchAnswer(r *http.Request) map[string]any {
	var ask struct {
		Operation string
		Objects   []map[string]any
	}
	_ = json.NewDecoder(r.Body).Decode(&ask)
	for _, o := range ask.Objects {
		o["actions"] = map[string]any{ask.Operation: map[string]any{
			"href": fmt.Sprintf("https://%s/repo.git/info/lfs/objects/%s", r.Host, o["oid"]), "header": map[string]string{"Authorization": r.Header.Get("Authorization")},
		}}
	}
	return map[string]any{"transfer": "basic", "objects": ask.Objects}
}

// startRegistries starts Debian's registry with a password, and another that wants tokens, with the same image in them. The tokens
// are those of auth.corp.example, which wants the password.
func (p *private) startRegistries(t *testing.T, cert tls.Certificate) {
	t.Helper()
	p.registry = enginetest.StartRegistry(t, "ci", p.password)
	ref, err := name.ParseReference(p.registry.Host + "/acme/hello:1")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, helloImage(t), remote.WithAuth(&authn.Basic{Username: "ci", Password: p.password})); err != nil {
		t.Fatal(err)
	}
	auth := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, password, _ := r.BasicAuth(); password != p.password {
			w.Header().Set("WWW-Authenticate", `Basic realm="auth"`)
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]string{"token": registryToken(cert)})
	}))
	auth.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	auth.StartTLS()
	t.Cleanup(auth.Close)
	p.auth, p.tokens = auth.Listener.Addr().String(), enginetest.FreeAddress(t)
	config := p.write(t, "tokens.yml", fmt.Appendf(nil, `version: 0.1
storage: {filesystem: {rootdirectory: %s}}
http: {addr: %s}
auth: {token: {realm: "https://auth.corp.example/token", service: registry, issuer: test, rootcertbundle: %s}}
`, p.registry.Dir, p.tokens, p.ca))
	start(t, p.tokens, exec.Command(enginetest.Tool(t, "docker-registry"), "serve", config))
}

// helloImage is an image of one small file.
func helloImage(t *testing.T) v1.Image {
	t.Helper()
	img, err := crane.Image(map[string][]byte{"hello": []byte("hello from an image\n")})
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// registryToken lets its bearer pull, for a minute.
func registryToken(cert tls.Certificate) string {
	part := func(v any) string {
		text, _ := json.Marshal(v)
		return base64.RawURLEncoding.EncodeToString(text)
	}
	now := time.Now().Unix()
	text := part(map[string]any{"typ": "JWT", "alg": "ES256", "x5c": []string{base64.StdEncoding.EncodeToString(cert.Certificate[0])}}) + "." + part(map[string]any{
		"iss": "test", "aud": "registry", "sub": "ci", "iat": now, "nbf": now - 10, "exp": now + 60,
		"access": []any{map[string]any{"type": "repository", "name": "acme/hello", "actions": []string{"pull"}}},
	})
	sum := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, cert.PrivateKey.(*ecdsa.PrivateKey), sum[:])
	if err != nil {
		return ""
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
}
