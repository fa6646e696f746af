package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tightlip/tightlip/internal/enginetest"
)

// archiveOf is the box's working directory as a tar archive.
func archiveOf(t *testing.T, b *enginetest.Box) []byte {
	t.Helper()
	r := b.Run("tar", "-cf", "-", "Dockerfile", "busybox", "nonce")
	wantCode(t, r, 0)
	return []byte(r.Stdout)
}

// serveGit serves the box's working directory as a Git repository and returns its URL.
func serveGit(t *testing.T, b *enginetest.Box) string {
	t.Helper()
	for _, args := range [][]string{{"init", "-q", "-b", "main"}, {"add", "Dockerfile", "busybox", "nonce"},
		{"-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "-q", "-m", "first"}} {
		wantCode(t, b.Run("git", args...), 0)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	cmd := b.Command("git", "daemon", "--export-all", "--listen=127.0.0.1", fmt.Sprintf("--port=%d", port), "--base-path="+b.Dir, "--informative-errors")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); _ = cmd.Wait() })
	enginetest.Eventually(t, 10*time.Second, "git daemon listens", func() bool {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return fmt.Sprintf("git://127.0.0.1:%d/work#main", port)
}

// TestContexts builds from everywhere a context and a Dockerfile can come from: a clean image, which is named, and a
// leaking one, which is not.
func TestContexts(t *testing.T) {
	contexts := []struct {
		name string
		make func(t *testing.T, b *enginetest.Box) (args []string, stdin []byte)
	}{
		{"folder", func(*testing.T, *enginetest.Box) ([]string, []byte) { return []string{"."}, nil }},
		{"folder, other Dockerfile", func(t *testing.T, b *enginetest.Box) ([]string, []byte) {
			b.Write("sub/Other.dockerfile", readFile(t, b.Work+"/Dockerfile"))
			b.Write("Dockerfile", []byte("FROM nowhere.invalid/nothing\n"))
			return []string{"-f", "sub/Other.dockerfile", "."}, nil
		}},
		{"Dockerfile on stdin", func(t *testing.T, b *enginetest.Box) ([]string, []byte) {
			return []string{"-f", "-", "."}, readFile(t, b.Work+"/Dockerfile")
		}},
		{"archive on stdin", func(t *testing.T, b *enginetest.Box) ([]string, []byte) { return []string{"-"}, archiveOf(t, b) }},
		{"Dockerfile alone on stdin", func(t *testing.T, b *enginetest.Box) ([]string, []byte) {
			text := strings.Replace(string(readFile(t, b.Work+"/Dockerfile")), "COPY busybox nonce", "COPY --from=tools busybox nonce", 1)
			return []string{"--build-context", "tools=.", "-"}, []byte(text)
		}},
		{"archive over HTTP", func(t *testing.T, b *enginetest.Box) ([]string, []byte) {
			data := archiveOf(t, b)
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(data) }))
			t.Cleanup(server.Close)
			return []string{server.URL + "/context.tar"}, nil
		}},
		{"Git", func(t *testing.T, b *enginetest.Box) ([]string, []byte) { return []string{serveGit(t, b)}, nil }},
	}
	for _, c := range contexts {
		t.Run(c.name, func(t *testing.T) {
			onEach(t, func(t *testing.T, e engine) {
				for dockerfile, code := range map[string]int{clean: 0, leaky: 3} {
					b := e.box(t)
					withSecret(b, dockerfile)
					rest, stdin := c.make(t, b)
					args := slices.Concat([]string{"build", "--engine", e.name, "--format", "json", "-t", "context"}, secretFlag, rest)
					if e.name == "embedded" {
						args = slices.Insert(args, 1, "-o", "type=oci,dest="+b.Dir+"/out.tar")
					}
					cmd := b.Command(enginetest.Binary(t), args...)
					cmd.Stdin = bytes.NewReader(stdin)
					r := enginetest.Finish(t, cmd)
					wantCode(t, r, code)
					o := parse(t, r)
					if o.Named != (code == 0) || !o.Secrets[0].Requested {
						t.Errorf("the report says %+v", o)
					}
					nothingLeft(t, b)
					if e.name == "docker" && o.Named {
						b.Docker("rmi", "-f", "context")
					}
				}
			})
		})
	}
}

// TestPlatforms pushes an image of two platforms, and wants a leak in only one of them found.
func TestPlatforms(t *testing.T) {
	t.Parallel()
	registry := enginetest.StartRegistry(t, "ci", "password")
	b := newEmbeddedBox(t)
	b.Login(registry)
	value := withSecret(b, "FROM scratch\nARG TARGETARCH\nCOPY for-$TARGETARCH /file\n")
	b.Write("for-amd64", []byte("clean"))
	b.Write("for-arm64", []byte("clean, too"))
	args := []string{"--platform", "linux/amd64,linux/arm64", "--push", "-t", registry.Host + "/multi:1", "--attest", "type=provenance,mode=max", "--format", "json"}
	r := buildWith(b, "embedded", args...)
	wantCode(t, r, 0)
	digest, mediaType, _ := registry.Manifest(t, "multi", "1")
	if o := parse(t, r); mediaType != "application/vnd.oci.image.index.v1+json" || digest != o.Image.Digest || o.Image.Name != registry.Host+"/multi:1" {
		t.Errorf("the registry has %s %s, and the report says %+v", digest, mediaType, o.Image)
	}
	r = b.Tightlip(append([]string{"prove", "registry:" + registry.Host + "/multi:1"}, secretFlag...)...)
	wantCode(t, r, 0)

	b.Write("for-arm64", []byte("x"+value))
	r = buildWith(b, "embedded", args...)
	wantCode(t, r, 3)
	wantText(t, r.Stdout, `"platform": "linux/arm64"`)
	if after, _, _ := registry.Manifest(t, "multi", "1"); after != digest {
		t.Error("the tag has changed")
	}
}

// TestAttestations wants provenance in the image, where BuildKit puts it.
func TestAttestations(t *testing.T) {
	t.Parallel()
	b := newEmbeddedBox(t)
	withSecret(b, clean)
	wantCode(t, buildWith(b, "embedded", "--provenance=mode=max", "-o", "type=oci,tar=false,dest=out", "-t", "app"), 0)
	found := false
	blobs, _ := filepath.Glob(b.Work + "/out/blobs/sha256/*")
	for _, blob := range blobs {
		found = found || bytes.Contains(readFile(t, blob), []byte("https://slsa.dev/provenance/"))
	}
	if !found {
		t.Error("there is no provenance")
	}
}

// TestSBOM has a scanner of our own write the bill of materials, which is a part of the image: the first scanner is clean,
// the second one writes what it found in a file.
func TestSBOM(t *testing.T) {
	t.Parallel()
	registry := enginetest.StartRegistry(t, "ci", "password")
	b := newEmbeddedBox(t)
	b.Login(registry)
	scanner := registry.Host + "/scanner:1"
	const script = `printf '{"_type":"https://in-toto.io/Statement/v0.1","predicateType":"https://spdx.dev/Document","predicate":{"found":"%s"}}' \
"$(cat $BUILDKIT_SCAN_SOURCE/name)" > $BUILDKIT_SCAN_DESTINATION/sbom.spdx.json`
	b.Write("scan.sh", []byte(script))
	value := withSecret(b, base+"COPY scan.sh /scan.sh\nCMD [\"/bin/sh\",\"/scan.sh\"]\n")
	wantCode(t, buildWith(b, "embedded", "--push", "-t", scanner), 0)

	args := []string{"--sbom", "generator=" + scanner, "-o", "type=oci,tar=false,dest=out", "-t", "app", "--format", "json"}
	b.Write("Dockerfile", []byte(base+"RUN --mount=type=secret,id=npm test -s /run/secrets/npm && echo bill > /name\n"))
	wantCode(t, buildWith(b, "embedded", args...), 0)
	found := false
	blobs, _ := filepath.Glob(b.Work + "/out/blobs/sha256/*")
	for _, blob := range blobs {
		found = found || bytes.Contains(readFile(t, blob), []byte(`"found":"bill"`))
	}
	if !found {
		t.Error("there is no bill of materials")
	}

	// Only the bill holds the value, in a form that is none in the layer: it is the scanner that joins its halves.
	b.Write("Dockerfile", []byte(base+"RUN --mount=type=secret,id=npm cut -c1-16 /run/secrets/npm > /name; cut -c17- /run/secrets/npm > /rest\n"))
	wantCode(t, buildWith(b, "embedded", args...), 0)
	b.Write("scan.sh", []byte(strings.Replace(script, "/name)", "/name)$(cat $BUILDKIT_SCAN_SOURCE/rest)", 1)))
	halves := readFile(t, filepath.Join(b.Work, "Dockerfile"))
	b.Write("Dockerfile", []byte(base+"COPY scan.sh /scan.sh\nCMD [\"/bin/sh\",\"/scan.sh\"]\n"))
	wantCode(t, buildWith(b, "embedded", "--push", "-t", scanner), 0)
	b.Write("Dockerfile", halves)
	r := buildWith(b, "embedded", args...)
	wantCode(t, r, 3)
	wantText(t, r.Stdout, "attestation")
	enginetest.NoTraces(t, "the output", r.All(), value)
}

// TestCacheExport wants an exported cache to serve another engine, and none of a leaking build.
func TestCacheExport(t *testing.T) {
	t.Parallel()
	b := newEmbeddedBox(t)
	withSecret(b, leaky)
	cacheTo := []string{"--cache-to", "type=local,dest=" + b.Dir + "/cache-of-build,mode=max"}
	wantCode(t, buildWith(b, "embedded", cacheTo...), 3)
	if left := tree(t, b.Dir+"/cache-of-build"); left != nil {
		t.Errorf("the leaking build exported %q", left)
	}
	b.Write("Dockerfile", []byte(clean))
	wantCode(t, buildWith(b, "embedded", cacheTo...), 0)

	b.Env["TIGHTLIP_STATE_DIR"] = b.Dir + "/other-state"
	r := buildWith(b, "embedded", "--cache-from", "type=local,src="+b.Dir+"/cache-of-build")
	wantCode(t, r, 0)
	wantText(t, r.Stderr, "CACHED")

}

// TestCacheExportOfStdin builds from what can be read only once, and exports the cache after that.
func TestCacheExportOfStdin(t *testing.T) {
	t.Parallel()
	b := newEmbeddedBox(t)
	withSecret(b, clean)
	for name, input := range map[string]struct {
		args  []string
		stdin []byte
	}{
		"context":    {[]string{"-"}, archiveOf(t, b)},
		"Dockerfile": {[]string{"-f", "-", "."}, []byte(clean)},
	} {
		cache := filepath.Join(b.Dir, "cache-of-"+name)
		cmd := b.Command(enginetest.Binary(t), slices.Concat([]string{"build", "--engine", "embedded", "--cache-to", "type=local,dest=" + cache}, secretFlag, input.args)...)
		cmd.Stdin = bytes.NewReader(input.stdin)
		r := enginetest.Finish(t, cmd)
		wantCode(t, r, 0)
		if strings.Contains(r.Stderr, "_AUTH_") {
			t.Errorf("%s: a note on a request of BuildKit's own:\n%s", name, r.Stderr)
		}
		if _, err := os.Stat(filepath.Join(cache, "index.json")); err != nil {
			t.Error(err)
		}
		nothingLeft(t, b)
	}
}

// TestPlugin runs tightlip as a command of Docker's.
func TestPlugin(t *testing.T) {
	b := enginetest.NewBox(t, enginetest.StartDocker(t))
	value := withSecret(b, clean)
	var metadata struct{ SchemaVersion, Vendor, Version, ShortDescription string }
	r := b.Run(b.Env["DOCKER_CONFIG"]+"/cli-plugins/docker-tightlip", "docker-cli-plugin-metadata")
	wantCode(t, r, 0)
	if err := json.Unmarshal([]byte(r.Stdout), &metadata); err != nil || metadata.SchemaVersion != "0.1.0" || metadata.Vendor == "" || metadata.Version == "" {
		t.Errorf("the metadata is %s (%v)", r.Stdout, err)
	}
	wantText(t, b.Docker("--help"), "tightlip*")
	wantText(t, b.Docker("tightlip", "--help"), "prove")

	build := append(append([]string{"build", "--progress", "plain"}, secretFlag...), "-t", "plugged", ".")
	r = b.Run("docker", append([]string{"tightlip"}, build...)...)
	wantCode(t, r, 0)
	wantText(t, r.Stderr, "proven: npm")
	enginetest.NoTraces(t, "the output", r.All(), value)

	b.DockerConfig(map[string]any{"aliases": map[string]string{"builder": "tightlip"}})
	r = b.Run("docker", build...)
	wantCode(t, r, 0)
	wantText(t, r.Stderr, "proven: npm")
	b.Write("Dockerfile", []byte(leaky))
	r = b.Run("docker", build...)
	wantCode(t, r, 3)
	enginetest.NoTraces(t, "the output", r.All(), value)

	// Docker's own flags are for the plugin, too.
	b.Env["DOCKER_HOST"] = "unix:///nonexistent/docker.sock"
	b.Write("Dockerfile", []byte(clean))
	r = b.Run("docker", append([]string{"-H", enginetest.StartDocker(t).Host, "tightlip"}, build...)...)
	wantCode(t, r, 0)
	b.Env["DOCKER_HOST"] = enginetest.StartDocker(t).Host
	b.Docker("rmi", "-f", "plugged")
}

// TestPluginInterrupted presses Ctrl-C while Docker's command line waits for the plugin.
func TestPluginInterrupted(t *testing.T) {
	b := enginetest.NewBox(t, enginetest.StartDocker(t))
	withSecret(b, slow)
	cmd := b.Command("docker", slices.Concat([]string{"tightlip", "build", "--progress", "plain"}, secretFlag, []string{"."})...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	r := begin(t, cmd)
	r.waitFor("step-has-begun")
	if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if code := r.end(); code != 130 {
		t.Errorf("exit code %d, not 130:\n%s", code, r)
	}
	nothingLeft(t, b)
	if out, _ := exec.Command("pgrep", "-f", b.Dir).Output(); len(out) > 0 {
		t.Errorf("still running: %s", out)
	}
}
