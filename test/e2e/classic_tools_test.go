package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tightlip/tightlip/internal/enginetest"
)

// withPrograms puts Debian's programs, with the libraries that they need, into a folder of a box's build context.
func withPrograms(b *enginetest.Box, dir string, programs ...string) {
	b.T.Helper()
	for _, name := range programs {
		path := name
		if !strings.Contains(name, "/") {
			path = enginetest.Tool(b.T, name)
		}
		withFile(b, path, filepath.Join(dir, "usr/bin", filepath.Base(path)))
		out, _ := exec.Command("ldd", path).Output() // fails for what needs none
		for _, word := range strings.Fields(string(out)) {
			if strings.HasPrefix(word, "/") {
				withFile(b, word, filepath.Join(dir, word))
			}
		}
	}
}

// withFile copies a file of this machine into a box's build context.
func withFile(b *enginetest.Box, from, to string) {
	b.T.Helper()
	info, err := os.Stat(from)
	if err != nil {
		b.T.Fatal(err)
	}
	if err := os.Chmod(b.Write(to, readFile(b.T, from)), info.Mode().Perm()); err != nil {
		b.T.Fatal(err)
	}
}

// withTree copies files of this machine to where they are there.
func withTree(b *enginetest.Box, dir string, paths ...string) {
	b.T.Helper()
	for _, path := range paths {
		withFile(b, path, filepath.Join(dir, path))
	}
}

// list are the lines that a program prints.
func list(t testing.TB, name string, args ...string) []string {
	t.Helper()
	out, err := exec.Command(name, args...).Output()
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return strings.Fields(string(out))
}

// fetchers are the tools of which a step needs one, with what has to be in the image for it to work.
var fetchers = map[string]func(b *enginetest.Box){
	"curl":    func(b *enginetest.Box) { withPrograms(b, "root", "curl") },
	"wget":    func(b *enginetest.Box) { withPrograms(b, "root", "wget") },
	"busybox": func(b *enginetest.Box) { withPrograms(b, "root", "busybox") },
	"python3": func(b *enginetest.Box) {
		withPrograms(b, "root", "/usr/bin/python3")
		const modules = `import socket,sys,unicodedata; "x".encode("idna")
print(*[f for m in list(sys.modules.values()) for f in [getattr(m,"__file__",None)] if f])`
		withTree(b, "root", list(b.T, "/usr/bin/python3", "-I", "-c", modules)...)
	},
	"perl": func(b *enginetest.Box) {
		withPrograms(b, "root", "perl")
		withTree(b, "root", list(b.T, "find", "/usr/lib/x86_64-linux-gnu/perl-base", "-type", "f")...) // of the package perl-base
	},
	"bash": func(b *enginetest.Box) { withPrograms(b, "root", "bash", "cat") },
}

// minimal makes a box whose context has, in the folder root, a system of dash and chmod.
func minimal(t testing.TB, dockerfile string) *enginetest.Box {
	t.Helper()
	b := newClassicBox(t)
	withSecret(b, dockerfile)
	withPrograms(b, "root", "dash", "chmod")
	withFile(b, enginetest.Tool(t, "dash"), "root/bin/sh")
	return b
}

// TestClassicFetchers gives a step one tool to fetch its secret with, and no other.
func TestClassicFetchers(t *testing.T) {
	all := newClassicBox(t)
	t.Cleanup(func() { nothingOfOurs(t, all) })
	for name, add := range fetchers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := minimal(t, `FROM scratch
COPY root /
COPY nonce /
RUN --mount=type=secret,id=npm read v < /run/secrets/npm; [ "$v" ] && echo ${#v} > /size
RUN [ ! -e /run/secrets/npm ]
CMD ["/bin/sh","-c","read s < /size; echo $s"]
`)
			add(b)
			wantCode(t, buildWith(b, "classic", "-t", "fetched:"+name), 0)
			if got := printedBy(b, "fetched:"+name); got != size {
				t.Errorf("the step saw %s bytes, not %s", got, size)
			}
			b.Docker("rmi", "-f", "fetched:"+name)
		})
	}
}

// TestClassicBusyboxShell has no file but busybox, and it is the shell.
func TestClassicBusyboxShell(t *testing.T) {
	b := newClassicBox(t)
	withSecret(b, `FROM scratch
COPY busybox /bin/busybox
COPY busybox /bin/sh
COPY nonce /
RUN --mount=type=secret,id=npm busybox wc -c < /run/secrets/npm > /size
CMD ["busybox","cat","/size"]
`)
	wantCode(t, buildWith(b, "classic", "-t", "fetched"), 0)
	if got := printedBy(b, "fetched"); got != size {
		t.Errorf("the step saw %s bytes, not %s", got, size)
	}
	b.Docker("rmi", "-f", "fetched")
}

// TestClassicNothingToFetchWith wants a build refused before it starts where that can be known, and a step failed where not.
func TestClassicNothingToFetchWith(t *testing.T) {
	const step = "RUN --mount=type=secret,id=npm echo step-has-run > /ran; exit 0\n"
	t.Run("base image", func(t *testing.T) {
		b := minimal(t, "FROM scratch\nCOPY root /\nCOPY nonce /\n")
		wantCode(t, b.Tightlip("build", "--engine", "classic", "-t", "bare", "."), 0)
		before := stored(b)
		b.Write("Dockerfile", []byte("FROM bare\n\n"+step))
		r := buildWith(b, "classic", "-t", "never")
		wantCode(t, r, 2)
		wantText(t, r.Stderr, "tightlip: error: line 3: RUN --mount=type=secret,id=npm", "nothing that could fetch a secret", "tightlip: hint: ", "curl")
		if strings.Contains(r.Stderr, "Step 1") {
			t.Errorf("the build began:\n%s", r.Stderr)
		}
		if after := stored(b); !slices.Equal(after, before) {
			t.Errorf("the images were %q and are %q", before, after)
		}
		nothingOfOurs(t, b)
		b.Docker("rmi", "-f", "bare")
	})
	t.Run("empty image", func(t *testing.T) {
		b := newClassicBox(t)
		withSecret(b, "FROM scratch\nRUN --mount=type=secret,id=npm [\"/bin/app\"]\n")
		r := buildWith(b, "classic", "-t", "never")
		wantCode(t, r, 2)
		wantText(t, r.Stderr, "line 2: RUN --mount=type=secret,id=npm", "nothing is in this image yet")
	})
	t.Run("not known before", func(t *testing.T) {
		b := minimal(t, "FROM scratch\nCOPY root /\nCOPY nonce /\n"+step)
		r := buildWith(b, "classic", "-t", "never")
		if r.Code == 0 {
			t.Fatalf("exit code 0:\n%s", r.All())
		}
		wantText(t, r.Stderr, "this step has nothing to fetch its secrets with: it needs one of curl, wget", "tightlip: error: building: line 4: RUN --mount=type=secret,id=npm")
		neverNamed(t, b, "never")
	})
	t.Run("no shell", func(t *testing.T) {
		b := newClassicBox(t)
		withSecret(b, "FROM scratch\nCOPY busybox nonce /bin/\nRUN --mount=type=secret,id=npm [\"/bin/busybox\",\"true\"]\n")
		r := buildWith(b, "classic", "-t", "never")
		if r.Code == 0 {
			t.Fatalf("exit code 0:\n%s", r.All())
		}
		wantText(t, r.Stderr, "line 3", "/bin/sh")
		neverNamed(t, b, "never")
	})
	t.Run("removed", func(t *testing.T) {
		b := newClassicBox(t)
		withSecret(b, base+"RUN [\"/bin/busybox\",\"rm\",\"/bin/wget\",\"/bin/busybox\"]\n"+step)
		r := buildWith(b, "classic", "-t", "never")
		if r.Code == 0 {
			t.Fatalf("exit code 0:\n%s", r.All())
		}
		wantText(t, r.Stderr, "line 5: RUN --mount=type=secret,id=npm")
		neverNamed(t, b, "never")
	})
}

// neverNamed fails the test if an image has a name, or something of a build is left.
func neverNamed(t testing.TB, b *enginetest.Box, name string) {
	t.Helper()
	if ids := b.Docker("images", "-q", name); ids != "" {
		t.Errorf("there is an image %s", name)
	}
	nothingOfOurs(t, b)
	nothingLeft(t, b)
}

// nothingOfOurs fails the test if a container or image that is not the user's is left, or any container or volume at all.
func nothingOfOurs(t testing.TB, b *enginetest.Box) {
	t.Helper()
	for what, args := range map[string][]string{
		"containers": {"ps", "-aq"}, "volumes": {"volume", "ls", "-q"}, "images": {"images", "-aq", "--filter", "label=io.github.tightlip"},
	} {
		left := b.Docker(args...)
		// The daemon removes by itself the container of a step whose build was broken off, and one that was killed. That takes it a moment.
		for deadline := time.Now().Add(10 * time.Second); left != "" && time.Now().Before(deadline); left = b.Docker(args...) {
			time.Sleep(100 * time.Millisecond)
		}
		if left != "" {
			t.Errorf("%s are left: %q", what, slices.Compact(strings.Fields(left)))
		}
	}
}

func newClassicBox(t testing.TB) *enginetest.Box {
	return enginetest.NewBox(t, enginetest.StartDocker(t))
}
