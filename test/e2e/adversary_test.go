package e2e

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tightlip/tightlip/internal/enginetest"
	"golang.org/x/sys/unix"
)

// These are ways around the promises that somebody has found.

func there(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// TestCacheOnlyIsProven: an image that goes nowhere is searched all the same.
func TestCacheOnlyIsProven(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		b := e.box(t)
		withSecret(b, leakyFile)
		r := buildWith(b, e.name, "-o", "type=cacheonly", "--format", "json")
		wantCode(t, r, 3)
		if o := parse(t, r); o.Proof.Blobs == 0 || o.Named {
			t.Errorf("the report says %+v", o)
		}
	})
}

// TestCacheIsProven: with mode=max a cache holds the layers of all stages, and not only those of the image.
func TestCacheIsProven(t *testing.T) {
	t.Parallel()
	b := newEmbeddedBox(t)
	registry := enginetest.StartRegistry(t, "ci", "password")
	b.Login(registry)
	value := withSecret(b, leakyFile+"FROM scratch\nCOPY nonce /\n")
	b.Write("Dockerfile", []byte(strings.Replace(leakyFile, "FROM scratch", "FROM scratch AS leaks", 1)+
		"FROM scratch\nCOPY --from=leaks /bin/busybox /bin/\n"))
	for _, to := range []string{"type=local,dest=cache,mode=max", "type=registry,ref=" + registry.Host + "/cache:1,mode=max"} {
		wantCode(t, buildWith(b, "embedded", "--cache-to", to, "-o", "type=oci,dest=out.tar"), 3)
	}
	if there(b.Work+"/cache") || there(b.Work+"/out.tar") {
		t.Error("a cache or an image is there")
	}
	if repos := registry.Repositories(t); len(repos) > 0 {
		t.Errorf("the registry has %q", repos)
	}
	enginetest.NoTracesIn(t, b.Work, value)
	b.Write("Dockerfile", []byte(clean))
	wantCode(t, buildWith(b, "embedded", "--cache-to", "type=local,dest=cache,mode=max", "-o", "type=oci,dest=out.tar"), 0)
	if !there(b.Work + "/cache/index.json") {
		t.Error("there is no cache")
	}
}

// TestTamperedLayout: a proof is about content, and not about what a file is called.
func TestTamperedLayout(t *testing.T) {
	t.Parallel()
	b := newEmbeddedBox(t)
	value := withSecret(b, clean)
	wantCode(t, buildWith(b, "embedded", "-o", "type=oci,tar=false,dest=lay"), 0)
	prove := func() enginetest.Result {
		return b.Tightlip(slices.Concat([]string{"prove", "oci:lay"}, secretFlag)...)
	}
	wantCode(t, prove(), 0)
	wantCode(t, prove(), 0)
	blobs, err := filepath.Glob(filepath.Join(b.Work, "lay/blobs/sha256/*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range blobs {
		if data := readFile(t, name); len(data) > 1<<16 {
			copy(data[5000:], value)
			if err := os.WriteFile(name, data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	if r := prove(); r.Code == 0 {
		t.Errorf("a layout that was changed is proven:\n%s", r.All())
	}
}

// TestValueInNames: a name is printed and written into indexes.
func TestValueInNames(t *testing.T) {
	t.Parallel()
	b := newEmbeddedBox(t)
	value := withSecret(b, clean)
	b.Env["NPM_TOKEN"] = strings.ToLower(value)
	for _, args := range [][]string{
		{"-t", "app:" + b.Env["NPM_TOKEN"], "-o", "type=oci,dest=out.tar"}, {"-o", "type=local,dest=" + b.Env["NPM_TOKEN"]},
		{"--proof", b.Env["NPM_TOKEN"]},
	} {
		r := buildWith(b, "embedded", args...)
		wantCode(t, r, 2)
		enginetest.NoTraces(t, "the output", r.All(), b.Env["NPM_TOKEN"])
	}
	if there(b.Work + "/out.tar") {
		t.Error("the image is there")
	}
}

// TestValueAsPath: a value with a slash in it is in no single file name.
func TestValueAsPath(t *testing.T) {
	t.Parallel()
	b := newEmbeddedBox(t)
	withSecret(b, base+"RUN --mount=type=secret,id=npm mkdir -p /$(cat /run/secrets/npm)\n")
	b.Env["NPM_TOKEN"] = "a/" + enginetest.PlainCanary()[:10] + "/" + enginetest.PlainCanary()[:10]
	wantCode(t, buildWith(b, "embedded", "-o", "type=local,dest=out"), 3)
	if there(b.Work + "/out") {
		t.Error("the image is there")
	}
}

// TestVariableSecretStaysOffTheDisk: the runtime's configuration of a step holds the variables that it mounts.
func TestVariableSecretStaysOffTheDisk(t *testing.T) {
	t.Parallel()
	b := newEmbeddedBox(t)
	value := withSecret(b, base+"RUN --mount=type=secret,id=npm,env=TOKEN echo started; sleep 30\n")
	args := slices.Concat([]string{"build", "--engine", "embedded", "--progress", "plain"}, secretFlag, []string{"."})
	r := begin(t, b.Command(enginetest.Binary(t), args...))
	r.waitFor("started")
	enginetest.NoTracesIn(t, b.Env["TIGHTLIP_STATE_DIR"], value)
	if err := unix.Kill(enginePID(t, b), unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if code := r.end(); code != 1 {
		t.Errorf("exit code %d, not 1:\n%s", code, r.String())
	}
	wantText(t, r.String(), "the embedded engine ended")
	enginetest.NoTracesIn(t, b.Env["TIGHTLIP_STATE_DIR"], value)
}

// TestDestinationsStayWhatTheyAre: a device is written to, and neither it nor a link to it is replaced.
func TestDestinationsStayWhatTheyAre(t *testing.T) {
	enginetest.NeedRoot(t)
	t.Parallel()
	b := newEmbeddedBox(t)
	withSecret(b, clean)
	null := filepath.Join(b.Work, "null")
	if err := unix.Mknod(null, unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("null", filepath.Join(b.Work, "link")); err != nil {
		t.Fatal(err)
	}
	wantCode(t, buildWith(b, "embedded", "-o", "type=oci,dest=null", "--iidfile", "link", "--metadata-file", "link", "--proof", "link"), 0)
	if info, err := os.Lstat(null); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		t.Errorf("the device is %v, %v", info, err)
	}
	if info, err := os.Lstat(filepath.Join(b.Work, "link")); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is %v, %v", info, err)
	}
}

// TestLocalOutputFollowsNoLinks: an image must not write outside of the folder that it is put into.
func TestLocalOutputFollowsNoLinks(t *testing.T) {
	t.Parallel()
	b := newEmbeddedBox(t)
	outside := filepath.Join(b.Dir, "outside")
	if err := os.Mkdir(outside, 0o755); err != nil {
		t.Fatal(err)
	}
	withSecret(b, base+"RUN ln -s "+outside+" /d\n")
	wantCode(t, buildWith(b, "embedded", "-o", "two"), 0)
	b.Write("Dockerfile", []byte("FROM scratch\nCOPY nonce /d/pwned\n"))
	wantCode(t, buildWith(b, "embedded", "-o", "two"), 0)
	if there(outside + "/pwned") {
		t.Error("the image has written outside")
	}
	wantFile(t, filepath.Join(b.Work, "two/d/pwned"), b.Dir)
}

// TestLocalOutputToAnotherFileSystem needs a copy where a rename cannot do.
func TestLocalOutputToAnotherFileSystem(t *testing.T) {
	t.Parallel()
	b := newEmbeddedBox(t)
	withSecret(b, clean)
	out, err := os.MkdirTemp("/dev/shm", "tl")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(out)
	wantCode(t, buildWith(b, "embedded", "-o", "type=local,dest="+out), 0)
	if !there(out + "/bin/busybox") {
		t.Error("the image is not there")
	}
	wantCode(t, buildWith(b, "embedded", "-o", "type=tar,dest="+out+"/x.tar"), 0)
}

// TestUntaggedImageStays: docker build -q prints an ID that can be run.
func TestUntaggedImageStays(t *testing.T) {
	docker := enginetest.StartDocker(t)
	b := enginetest.NewBox(t, docker)
	withSecret(b, clean)
	r := buildWith(b, "docker", "--format", "json")
	wantCode(t, r, 0)
	id := parse(t, r).Image.ID
	if got := strings.TrimSpace(b.Docker("inspect", "-f", "{{.Id}}", id)); got != id {
		t.Errorf("got %q, not %q", got, id)
	}
	b.Docker("rmi", "-f", id)
}

// TestCallIsRedacted: an outline shows the defaults of arguments.
func TestCallIsRedacted(t *testing.T) {
	t.Parallel()
	b := newEmbeddedBox(t)
	value := withSecret(b, clean)
	b.Write("Dockerfile", []byte("FROM scratch\nARG T="+value+"\nCOPY nonce /\n"))
	for _, call := range []string{"outline", "outline,format=json", "check", "check,format=json", "targets"} {
		r := buildWith(b, "embedded", "--call", call)
		enginetest.NoTraces(t, call, r.All(), value)
		if r.Code > 1 {
			t.Errorf("%s: exit code %d:\n%s", call, r.Code, r.All())
		}
	}
}

// TestClippedLog: where BuildKit cuts a log, the first bytes of a value are left.
func TestClippedLog(t *testing.T) {
	docker := enginetest.StartDocker(t)
	b := enginetest.NewBox(t, docker)
	value := withSecret(b, base+`RUN --mount=type=secret,id=npm printf '%13s' x; yes "$(cat /run/secrets/npm)" | tr -d '\n' | head -c 3000000
`)
	r := buildWith(b, "docker")
	for n := len(value); n >= 12; n-- {
		if strings.Contains(r.All(), value[:n]) {
			t.Fatalf("%d bytes of the value are shown", n)
		}
	}
	if !bytes.Contains([]byte(r.All()), []byte("output clipped")) {
		t.Errorf("nothing was clipped:\n%.500s", r.All())
	}
}

// TestProveHistoryOfAFailedBuild: its record is there, too.
func TestProveHistoryOfAFailedBuild(t *testing.T) {
	docker := enginetest.StartDocker(t)
	b := enginetest.NewBox(t, docker)
	value := withSecret(b, talkative+"RUN false\n")
	r := buildWith(b, "docker", "--prove-history")
	wantCode(t, r, 3)
	wantText(t, r.Stderr, "record")
	if n := recordsWith(t, docker, value); n != 0 {
		t.Errorf("%d records hold the value", n)
	}
}

// TestRotatedAfterALeak: the layer that leaked comes from the cache, and the secret has another value by then.
func TestRotatedAfterALeak(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		b := e.box(t)
		withSecret(b, leaky)
		output := []string{"-o", "type=tar,dest=out.tar"}
		if e.name == "docker" {
			output = []string{"-t", "rotated"}
		} else {
			output[1] = "type=oci,dest=out.tar"
		}
		wantCode(t, buildWith(b, e.name, output...), 3)
		b.Env["NPM_TOKEN"] = enginetest.PlainCanary()
		r := buildWith(b, e.name, output...)
		wantCode(t, r, 3)
		wantText(t, r.Stderr, "earlier value", "--no-cache", "Dockerfile:4")
		b.Write("Dockerfile", []byte(clean))
		wantCode(t, buildWith(b, e.name, output...), 0)
		if e.name == "docker" {
			b.Docker("rmi", "-f", "rotated")
		}
	})
}

// TestRemoteDockerfile: with a remote context, -f names a file in it, and not one that happens to be here.
func TestRemoteDockerfile(t *testing.T) {
	t.Parallel()
	b := newEmbeddedBox(t)
	withSecret(b, base+"COPY nonce /remote\n")
	archive := archiveOf(t, b)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(archive) }))
	defer server.Close()
	b.Write("Dockerfile", []byte("FROM scratch\nCOPY nonce /local\n"))
	args := slices.Concat([]string{"build", "--engine", "embedded", "-f", "Dockerfile", "-o", "out"}, secretFlag, []string{server.URL + "/ctx.tar"})
	wantCode(t, b.Tightlip(args...), 0)
	if !there(b.Work + "/out/remote") {
		t.Error("another Dockerfile was built")
	}
	args[slices.Index(args, "id=npm,env=NPM_TOKEN")] += ",rebuild=on-change"
	wantCode(t, b.Tightlip(args...), 2)
}

// TestHistoryWithoutRecords: a leak in the image stays one when the engine keeps no records.
func TestHistoryWithoutRecords(t *testing.T) {
	t.Parallel()
	b := newEmbeddedBox(t)
	withSecret(b, leakyFile)
	wantCode(t, buildWith(b, "embedded", "--prove-history", "-o", "type=oci,dest=out.tar"), 3)
}

// TestQuietWarning: with a leak that does not stop the build, -q is not silent.
func TestQuietWarning(t *testing.T) {
	t.Parallel()
	b := newEmbeddedBox(t)
	withSecret(b, leakyFile)
	args := slices.Concat([]string{"build", "--engine", "embedded", "-q", "--prove=warn", "-o", "type=oci,dest=out.tar"}, secretFlag, []string{"."})
	r := b.Tightlip(args...)
	wantCode(t, r, 0)
	wantText(t, r.Stderr, "leaked", "Dockerfile:4")
}

// TestReadOnlyFolders: an image has folders that their owner may not write to.
func TestReadOnlyFolders(t *testing.T) {
	enginetest.NeedRoot(t)
	b := newEmbeddedBox(t)
	asUser := asUser(t, b)
	withSecret(b, base+"RUN mkdir /ro && chmod 555 /ro\n")
	args := slices.Concat([]string{"build", "--engine", "embedded"}, secretFlag, []string{"-o", "out", "."})
	wantCode(t, asUser(args...), 0)
	if !there(b.Work + "/out/ro") {
		t.Error("the folder is not there")
	}
	nothingLeft(t, b)
}
