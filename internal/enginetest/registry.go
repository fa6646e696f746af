package enginetest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/crypto/bcrypt"
)

// Registry is Debian's docker-registry on a loopback port, with a password.
type Registry struct {
	Host           string // host:port
	Dir            string // where it stores what is pushed
	user, password string
}

// StartRegistry starts a registry for one test.
func StartRegistry(t testing.TB, user, password string) *Registry {
	t.Helper()
	bin := Tool(t, "docker-registry")
	dir := t.TempDir()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "htpasswd"), fmt.Appendf(nil, "%s:%s\n", user, hash))
	r := &Registry{Host: FreeAddress(t), Dir: filepath.Join(dir, "data"), user: user, password: password}
	config := filepath.Join(dir, "config.yml")
	write(t, config, fmt.Appendf(nil, `version: 0.1
storage: {filesystem: {rootdirectory: %s}, delete: {enabled: true}}
http: {addr: %s}
auth: {htpasswd: {realm: test, path: %s}}
`, r.Dir, r.Host, filepath.Join(dir, "htpasswd")))
	cmd := exec.Command(bin, "serve", config)
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(cmd, time.Second) })
	Eventually(t, 10*time.Second, "the registry answers", func() bool { _, err := r.get("/v2/", ""); return err == nil })
	return r
}

// Manifest returns the digest and media type of what a tag points at, and false if there is no such tag.
func (r *Registry) Manifest(t testing.TB, repository, tag string) (digest, mediaType string, ok bool) {
	t.Helper()
	const accept = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, " +
		"application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json"
	resp, err := r.get("/v2/"+repository+"/manifests/"+tag, accept)
	if err != nil {
		t.Fatal(err)
	}
	return resp.Header.Get("Docker-Content-Digest"), resp.Header.Get("Content-Type"), resp.StatusCode == http.StatusOK
}

// Index returns the index that a tag points at.
func (r *Registry) Index(t testing.TB, repository, tag string) *v1.IndexManifest {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, "http://"+r.Host+"/v2/"+repository+"/manifests/"+tag, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json")
	req.SetBasicAuth(r.user, r.password)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	index, err := v1.ParseIndexManifest(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return index
}

// Repositories lists what the registry's storage knows of repositories, tagged or not.
func (r *Registry) Repositories(t testing.TB) []string {
	t.Helper()
	dirs, err := filepath.Glob(filepath.Join(r.Dir, "docker/registry/v2/repositories/*"))
	if err != nil {
		t.Fatal(err)
	}
	return dirs
}

// Delete removes what a tag points at, and so the tag.
func (r *Registry) Delete(t testing.TB, repository, tag string) {
	t.Helper()
	digest, _, _ := r.Manifest(t, repository, tag)
	resp, err := r.do(http.MethodDelete, "/v2/"+repository+"/manifests/"+digest, "")
	if err != nil || resp.StatusCode != http.StatusAccepted {
		t.Fatalf("deleting %s:%s: %v, %v", repository, tag, resp, err)
	}
}

func (r *Registry) get(path, accept string) (*http.Response, error) {
	return r.do(http.MethodGet, path, accept)
}

func (r *Registry) do(method, path, accept string) (*http.Response, error) {
	req, err := http.NewRequest(method, "http://"+r.Host+path, nil)
	if err != nil {
		return nil, err
	}
	req.SetBasicAuth(r.user, r.password)
	if accept != "" {
		req.Header.Set("Accept", accept)
	}
	resp, err := http.DefaultClient.Do(req)
	if err == nil {
		resp.Body.Close()
	}
	return resp, err
}

// FreeAddress is a loopback address that nobody listens on.
func FreeAddress(t testing.TB) string {
	t.Helper()
	l := ListenFree(t)
	defer l.Close()
	return l.Addr().String()
}

// ListenFree listens on loopback at a port that the system chooses for nobody else, also when nobody listens there for a while.
func ListenFree(t testing.TB) net.Listener {
	t.Helper()
	const lowest, count = 10_000, 20_000 // Linux chooses from 32768 on
	for range 100 {
		if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", lowest+rand.N(count))); err == nil {
			return l
		}
	}
	t.Fatal("no port is free")
	return nil
}
