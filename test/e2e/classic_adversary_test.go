package e2e

import (
	"archive/tar"
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tightlip/tightlip/internal/enginetest"
)

// TestClassicOtherSteps wants a step that mounts nothing to get nothing, although it knows the ticket.
func TestClassicOtherSteps(t *testing.T) {
	b := newClassicBox(t)
	value := withSecret(b, base+`RUN --mount=type=secret,id=npm test -s /run/secrets/npm
RUN n=${NO_PROXY##*,}; n=${n#tightlip.}; touch /got; wget -q -O /got http://127.0.0.1:${n%%.*}/${n#*.}/secret/npm; wc -c < /got > /size; rm /got; true
RUN cat /size | sed 's/^/it got /'
`)
	r := buildWith(b, "classic", "-t", "thief", "--no-cache")
	wantCode(t, r, 0)
	wantText(t, r.Stderr, "it got 0", `a step asked for secret "npm": 403`)
	enginetest.NoTraces(t, "the output", r.All(), value)
	b.Docker("rmi", "-f", "thief")
}

// TestClassicBindLinks wants links of the build context refused where a copy would be another thing.
func TestClassicBindLinks(t *testing.T) {
	b := newClassicBox(t)
	project(b, "")
	b.Write("0real.txt", []byte("text"))
	b.Write("d/file", []byte("text"))
	for name, target := range map[string]string{"link.txt": "0real.txt", "dlink": "d", "d/inside": "file"} {
		if err := os.Symlink(target, filepath.Join(b.Work, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"zhard.txt", "d/zhard"} {
		if err := os.Link(filepath.Join(b.Work, "0real.txt"), filepath.Join(b.Work, name)); err != nil {
			t.Fatal(err)
		}
	}
	for source, want := range map[string]string{"link.txt": "is a link", "dlink": "is a link", "zhard.txt": "hard link", "d": "hard link", "none": "has no none"} {
		b.Write("Dockerfile", []byte(base+"RUN --mount=type=bind,source="+source+",target=/m cat /m\n"))
		r := b.Tightlip("build", "--engine", "classic", "-t", "never", ".")
		wantCode(t, r, 2)
		wantText(t, r.Stderr, "line 4", want)
	}
	if err := os.Remove(filepath.Join(b.Work, "d/zhard")); err != nil {
		t.Fatal(err)
	}
	b.Write("Dockerfile", []byte(base+"RUN --mount=type=bind,source=d,target=/m cat /m/inside /m/file | sed 's/^/got /'\n"))
	r := b.Tightlip("build", "--engine", "classic", "-t", "never", ".")
	wantCode(t, r, 0)
	wantText(t, r.Stderr, "got texttext")
	b.Docker("rmi", "-f", "never")
}

// TestClassicBindFromArchive mounts a folder that the archive on standard input does not list.
func TestClassicBindFromArchive(t *testing.T) {
	b := newClassicBox(t)
	project(b, base+"RUN --mount=type=bind,source=a,target=/m cat /m/one /m/two | sed 's/^/got /'\n")
	var archive bytes.Buffer
	tw := tar.NewWriter(&archive)
	for _, name := range []string{"Dockerfile", "busybox", "nonce", "a/one", "a/two"} {
		text := []byte(name)
		if !strings.Contains(name, "/") {
			text = readFile(t, filepath.Join(b.Work, name))
		}
		if err := tw.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Typeflag: tar.TypeReg, Size: int64(len(text))}); err != nil {
			t.Fatal(err)
		}
		if _, err := tw.Write(text); err != nil {
			t.Fatal(err)
		}
	}
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	cmd := b.Command(enginetest.Binary(t), "build", "--engine", "classic", "-t", "stdin", "-")
	cmd.Stdin = &archive
	r := enginetest.Finish(t, cmd)
	wantCode(t, r, 0)
	wantText(t, r.Stderr, "got a/onea/two")
	b.Docker("rmi", "-f", "stdin")
}

// TestVariableWithoutCat wants a step that cannot read its secret to fail, and not to go on without it.
func TestVariableWithoutCat(t *testing.T) {
	b := enginetest.NewBox(t, enginetest.StartDocker(t))
	withSecret(b, `FROM scratch
COPY root /
COPY nonce /
RUN --mount=type=secret,id=npm,env=TOKEN,required=true ["/bin/sh","-c","echo has ${#TOKEN}"]
`)
	withPrograms(b, "root", "dash")
	withFile(b, enginetest.Tool(t, "dash"), "root/bin/sh")
	r := buildWith(b, "docker", "-t", "never")
	wantCode(t, r, 1)
	if strings.Contains(r.Stderr, "has 0") {
		t.Errorf("the step ran without its secret:\n%s", r.Stderr)
	}
}
