package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tightlip/tightlip/internal/enginetest"
)

const (
	// clean uses the secret and leaves a file that shows that it had it.
	clean = base + `RUN --mount=type=secret,id=npm test -s /run/secrets/npm && wc -c < /run/secrets/npm > /size
CMD ["/bin/cat","/size"]
`
	// leaky hides what it stole in a lower layer.
	leaky = base + `RUN --mount=type=secret,id=npm cp /run/secrets/npm /stolen
RUN rm /stolen
`
	// leakyFile leaks in the root file system, too, which has no lower layers.
	leakyFile = base + `RUN --mount=type=secret,id=npm cp /run/secrets/npm /stolen
`
	size = "32" // of the canary in clean and leaky
)

// withSecret makes a box that builds with a new secret in the variable NPM_TOKEN.
func withSecret(b *enginetest.Box, dockerfile string) (value string) {
	b.T.Helper()
	value = enginetest.PlainCanary()
	b.Env["NPM_TOKEN"] = value
	project(b, dockerfile)
	return value
}

var secretFlag = []string{"--secret", "id=npm,env=NPM_TOKEN"}

// buildWith runs a build of the working directory.
func buildWith(b *enginetest.Box, engine string, args ...string) enginetest.Result {
	b.T.Helper()
	return b.Tightlip(slices.Concat([]string{"build", "--engine", engine, "--progress", "plain"}, secretFlag, args, []string{"."})...)
}

// TestPushAndRun takes a clean image from the build over the registry into a daemon and runs it there.
func TestPushAndRun(t *testing.T) {
	for _, e := range append(slices.Clone(engines), classic) {
		t.Run(e.name, func(t *testing.T) {
			docker := enginetest.StartDocker(t)
			registry := enginetest.StartRegistry(t, "ci", "password")
			b := enginetest.NewBox(t, docker)
			b.Login(registry)
			name := registry.Host + "/app:" + e.name
			value := withSecret(b, clean)

			r := buildWith(b, e.name, "--push", "-t", name)
			wantCode(t, r, 0)
			wantText(t, r.Stderr, "proven: npm", "named "+name)
			if e.inDocker() {
				b.Docker("rmi", "-f", name)
			}
			b.Docker("pull", "-q", name)
			if got := printedBy(b, name); got != size {
				t.Errorf("the pulled image printed %q, not %q", got, size)
			}
			enginetest.NoTracesIn(t, registry.Dir, value)
			b.Docker("rmi", "-f", name)
		})
	}
}

// TestPushRefused wants no manifest in the registry, and the one from before kept.
func TestPushRefused(t *testing.T) {
	for _, e := range append(slices.Clone(engines), classic) {
		t.Run(e.name, func(t *testing.T) {
			registry := enginetest.StartRegistry(t, "ci", "password")
			b := enginetest.NewBox(t, enginetest.StartDocker(t))
			b.Login(registry)
			name := registry.Host + "/app:1"
			withSecret(b, leaky)
			wantCode(t, buildWith(b, e.name, "--push", "-t", name), 3)
			if _, _, ok := registry.Manifest(t, "app", "1"); ok {
				t.Error("the leaking image was pushed")
			}
			if repos := registry.Repositories(t); repos != nil {
				t.Errorf("the registry has heard of %s", repos)
			}

			b.Write("Dockerfile", []byte(clean))
			wantCode(t, buildWith(b, e.name, "--push", "-t", name), 0)
			before, _, _ := registry.Manifest(t, "app", "1")
			b.Write("Dockerfile", []byte(leaky))
			wantCode(t, buildWith(b, e.name, "--push", "-t", name), 3)
			if after, _, _ := registry.Manifest(t, "app", "1"); after != before || before == "" {
				t.Errorf("the tag was %s and is %s", before, after)
			}
		})
	}
}

// TestPushWrongPassword wants an error that says where, and no value.
func TestPushWrongPassword(t *testing.T) {
	onAll(t, func(t *testing.T, e engine) {
		registry := enginetest.StartRegistry(t, "ci", "password")
		b := e.box(t)
		value := withSecret(b, clean)
		r := buildWith(b, e.name, "--push", "-t", registry.Host+"/app:1")
		wantCode(t, r, 1)
		wantText(t, r.Stderr, registry.Host+"/app:1")
		enginetest.NoTraces(t, "the output", r.All(), value)
		nothingLeft(t, b)
	})
}

// fileOutputs are the outputs that end in the file system. Each check looks into what is at dest.
var fileOutputs = []struct {
	name, flag, dest string
	check            func(t *testing.T, dest string)
}{
	{"oci archive", "type=oci,dest=out.tar", "out.tar", func(t *testing.T, dest string) { wantMember(t, dest, "index.json") }},
	{"docker archive", "type=docker,dest=out.tar", "out.tar", func(t *testing.T, dest string) { wantMember(t, dest, "manifest.json") }},
	{"root file system archive", "type=tar,dest=out.tar", "out.tar", func(t *testing.T, dest string) { wantMember(t, dest, "size") }},
	{"folder", "type=local,dest=out", "out", func(t *testing.T, dest string) { wantFile(t, filepath.Join(dest, "size"), size+"\n") }},
	{"short for folder", "out", "out", func(t *testing.T, dest string) { wantFile(t, filepath.Join(dest, "size"), size+"\n") }},
	{"oci layout", "type=oci,tar=false,dest=out", "out", func(t *testing.T, dest string) {
		wantFile(t, filepath.Join(dest, "oci-layout"), "{\n    \"imageLayoutVersion\": \"1.0.0\"\n}")
	}},
}

// TestFileOutputs writes each kind of output, and wants nothing changed by a leaking build.
func TestFileOutputs(t *testing.T) {
	for _, o := range fileOutputs {
		t.Run(o.name, func(t *testing.T) {
			t.Parallel()
			b := newEmbeddedBox(t)
			withSecret(b, leakyFile)
			dest := filepath.Join(b.Work, o.dest)
			wantCode(t, buildWith(b, "embedded", "-o", o.flag, "-t", "app"), 3)
			if _, err := os.Lstat(dest); err == nil {
				t.Error("the leaking build made the output")
			}
			nothingLeft(t, b)

			b.Write("Dockerfile", []byte(clean))
			wantCode(t, buildWith(b, "embedded", "-o", o.flag, "-t", "app"), 0)
			o.check(t, dest)
			nothingLeft(t, b)

			before := contents(t, dest)
			b.Write("Dockerfile", []byte(leakyFile))
			wantCode(t, buildWith(b, "embedded", "-o", o.flag, "-t", "app"), 3)
			if !slices.Equal(before, contents(t, dest)) {
				t.Error("the leaking build changed the output of the build before")
			}
			nothingLeft(t, b)

			b.Write("Dockerfile", []byte(clean+"LABEL second=true\n"))
			wantCode(t, buildWith(b, "embedded", "-o", o.flag, "-t", "app"), 0)
			o.check(t, dest)
		})
	}
}

// TestLayoutTwice wants both images in the folder, and the name on the second.
func TestLayoutTwice(t *testing.T) {
	t.Parallel()
	b := newEmbeddedBox(t)
	withSecret(b, clean)
	names := func(want ...string) {
		t.Helper()
		var index struct {
			Manifests []struct {
				Digest      string
				Annotations map[string]string
			}
		}
		if err := json.Unmarshal(readFile(t, filepath.Join(b.Work, "out/index.json")), &index); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, m := range index.Manifests {
			got = append(got, m.Annotations["org.opencontainers.image.ref.name"])
			if _, err := os.Stat(filepath.Join(b.Work, "out/blobs", strings.Replace(m.Digest, ":", "/", 1))); err != nil {
				t.Error(err)
			}
		}
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("the folder has %q, not %q", got, want)
		}
	}
	wantCode(t, buildWith(b, "embedded", "-o", "type=oci,tar=false,dest=out", "-t", "app:1"), 0)
	names("1")
	b.Write("Dockerfile", []byte(clean+"LABEL second=true\n"))
	wantCode(t, buildWith(b, "embedded", "-o", "type=oci,tar=false,dest=out", "-t", "app:2"), 0)
	names("1", "2")
	b.Write("Dockerfile", []byte(clean+"LABEL third=true\n"))
	wantCode(t, buildWith(b, "embedded", "-o", "type=oci,tar=false,dest=out", "-t", "app:2"), 0)
	names("1", "2")
	wantCode(t, b.Tightlip("prove", "oci:out", "--secret", "id=npm,env=NPM_TOKEN"), 0)
}

// imageList lists a daemon's images in an order that does not change: Docker's is by the second of their creation.
func imageList(b *enginetest.Box, args ...string) string {
	b.T.Helper()
	lines := strings.Split(b.Docker(append([]string{"images"}, args...)...), "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// printedBy is what an image prints. Of a container that ends at once, docker run loses what it prints now and then; its log has it.
func printedBy(b *enginetest.Box, image ...string) string {
	b.T.Helper()
	id := b.Docker(append([]string{"run", "-d", "--network", "none"}, image...)...)
	b.Docker("wait", id)
	printed := b.Docker("logs", id)
	b.Docker("rm", id)
	return printed
}

// TestLoad brings images of the embedded engine into a daemon: by --load, and as an archive.
func TestLoad(t *testing.T) {
	b := enginetest.NewBox(t, enginetest.StartDocker(t))
	withSecret(b, leaky)
	before := imageList(b, "-aq")
	wantCode(t, buildWith(b, "embedded", "--load", "-t", "loaded:1"), 3)
	if after := imageList(b, "-aq"); after != before {
		t.Errorf("the leaking build put an image into the daemon: %s", after)
	}
	b.Write("Dockerfile", []byte(clean))
	wantCode(t, buildWith(b, "embedded", "--load", "-t", "loaded:1"), 0)
	wantCode(t, buildWith(b, "embedded", "-o", "type=docker,dest=app.tar", "-t", "loaded:2"), 0)
	b.Docker("load", "-i", filepath.Join(b.Work, "app.tar"))
	for _, name := range []string{"loaded:1", "loaded:2"} {
		if got := printedBy(b, name); got != size {
			t.Errorf("%s printed %q, not %q", name, got, size)
		}
	}
	b.Docker("rmi", "-f", "loaded:1", "loaded:2")
}

// TestDockerKeepsTag wants a leaking build to leave the tag on the image it was on.
func TestDockerKeepsTag(t *testing.T) {
	for name, start := range map[string]func(testing.TB) *enginetest.Docker{
		"docker's store": enginetest.StartDocker, "containerd's store": enginetest.StartDockerContainerd,
	} {
		t.Run(name, func(t *testing.T) {
			b := enginetest.NewBox(t, start(t))
			withSecret(b, clean)
			wantCode(t, buildWith(b, "docker", "-t", "kept"), 0)
			if got := printedBy(b, "kept"); got != size {
				t.Errorf("the image printed %q, not %q", got, size)
			}
			before := imageList(b, "-a", "--no-trunc", "--format", "{{.Repository}}:{{.Tag}} {{.ID}} {{.Digest}}")
			b.Write("Dockerfile", []byte(leaky))
			wantCode(t, buildWith(b, "docker", "-t", "kept"), 3)
			if after := imageList(b, "-a", "--no-trunc", "--format", "{{.Repository}}:{{.Tag}} {{.ID}} {{.Digest}}"); after != before {
				t.Errorf("the images were\n%s\nand are\n%s", before, after)
			}
			b.Docker("rmi", "-f", "kept")
		})
	}
}

// TestArchiveOnStdout wants the archive and nothing else on standard output, and nothing at all of a leaking build.
func TestArchiveOnStdout(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		b := e.box(t)
		withSecret(b, leakyFile)
		outputs := []string{"type=tar,dest=-"}
		if e.name == "embedded" { // Docker's own store exports no images
			outputs = append(outputs, "type=docker,dest=-", "type=oci,dest=-", "-")
		}
		for _, output := range outputs {
			b.Write("Dockerfile", []byte(leakyFile))
			r := buildWith(b, e.name, "-o", output)
			wantCode(t, r, 3)
			if r.Stdout != "" {
				t.Errorf("a leaking build with %s wrote %d bytes to standard output", output, len(r.Stdout))
			}
			b.Write("Dockerfile", []byte(clean))
			r = buildWith(b, e.name, "-o", output)
			wantCode(t, r, 0)
			b.Write("out.tar", []byte(r.Stdout))
			members(t, filepath.Join(b.Work, "out.tar"))
		}
	})
}
