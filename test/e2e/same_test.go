package e2e

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"io"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/tightlip/tightlip/internal/enginetest"
)

// plainDockerfile has no secret's size or time in it, and mounts of several kinds.
const plainDockerfile = base + `ARG VERSION=1
ENV PATH=/bin VERSION=$VERSION
LABEL version=$VERSION
WORKDIR /app
RUN --mount=type=secret,id=npm test -s /run/secrets/npm && echo used > used
RUN --mount=type=secret,id=npm,target=/root/.npmrc,uid=7,mode=0440 --mount=type=cache,target=/c ls -ln /root/.npmrc > mode
COPY --chown=7:8 <<EOF /app/here
document
EOF
USER 7:8
EXPOSE 80
HEALTHCHECK CMD true
ENTRYPOINT ["/bin/cat"]
CMD ["used"]
`

// inspected is what two builds of the same must have in common.
type inspected struct {
	Config json.RawMessage
	RootFS json.RawMessage
}

func inspect(t testing.TB, b *enginetest.Box, name string) inspected {
	t.Helper()
	var list []inspected
	if err := json.Unmarshal([]byte(b.Docker("image", "inspect", name)), &list); err != nil {
		t.Fatal(err)
	}
	return list[0]
}

// history is the text of an image's history.
func history(b *enginetest.Box, name string) string {
	b.T.Helper()
	return b.Docker("history", "--no-trunc", "--format", "{{.CreatedBy}}|{{.Comment}}|{{.Size}}", name)
}

// TestSameAsDocker builds a Dockerfile plainly and with tightlip, on one daemon and its one cache, and wants one image.
func TestSameAsDocker(t *testing.T) {
	for name, start := range map[string]func(testing.TB) *enginetest.Docker{
		"docker's store": enginetest.StartDocker, "containerd's store": enginetest.StartDockerContainerd,
	} {
		t.Run(name, func(t *testing.T) {
			b := enginetest.NewBox(t, start(t))
			withSecret(b, plainDockerfile)
			b.Docker("buildx", "build", "-q", "--provenance=false", "--secret", "id=npm,env=NPM_TOKEN", "--build-arg", "VERSION=2", "-t", "plain", ".")
			wantCode(t, buildWith(b, "docker", "--provenance=false", "--build-arg", "VERSION=2", "-t", "ours"), 0)
			if plain, ours := inspect(t, b, "plain"), inspect(t, b, "ours"); !reflect.DeepEqual(plain, ours) {
				t.Errorf("docker build made\n%s\n%s\nand tightlip\n%s\n%s", plain.Config, plain.RootFS, ours.Config, ours.RootFS)
			}
			if plain, ours := history(b, "plain"), history(b, "ours"); plain != ours {
				t.Errorf("docker build's history is\n%s\nand tightlip's\n%s", plain, ours)
			}
			b.Docker("rmi", "-f", "plain", "ours")
		})
	}
}

// TestRebuildLeavesNoTrace wants the image with rebuild=on-change to have the history and the files of the plain one.
func TestRebuildLeavesNoTrace(t *testing.T) {
	b := enginetest.NewBox(t, enginetest.StartDocker(t))
	withSecret(b, plainDockerfile)
	b.Docker("buildx", "build", "-q", "--secret", "id=npm,env=NPM_TOKEN", "-t", "plain", ".")
	r := b.Tightlip("build", "--engine", "docker", "--secret", "id=npm,env=NPM_TOKEN,rebuild=on-change", "-t", "ours", ".")
	wantCode(t, r, 0)
	if plain, ours := history(b, "plain"), history(b, "ours"); plain != ours {
		t.Errorf("docker build's history is\n%s\nand tightlip's\n%s", plain, ours)
	}
	if plain, ours := inspect(t, b, "plain").Config, inspect(t, b, "ours").Config; !bytes.Equal(plain, ours) {
		t.Errorf("docker build's config is\n%s\nand tightlip's\n%s", plain, ours)
	}
	plain, ours := savedFiles(t, b, "plain"), savedFiles(t, b, "ours")
	if !slices.Equal(plain, ours) {
		t.Errorf("docker build's files are\n%q\nand tightlip's\n%q", plain, ours)
	}
	for _, text := range append(ours, history(b, "ours")) {
		if strings.Contains(text, "tightlip") || strings.Contains(text, "fingerprint") {
			t.Errorf("a trace: %s", text)
		}
	}
	b.Docker("rmi", "-f", "plain", "ours")
}

// savedFiles lists the entries of an image's layers, sorted, without their times.
func savedFiles(t *testing.T, b *enginetest.Box, name string) (list []string) {
	t.Helper()
	b.Docker("save", "-o", filepath.Join(b.Dir, "saved.tar"), name)
	r := b.Command("tar", "-xf", "../saved.tar", "-C", "../home")
	wantCode(t, enginetest.Finish(t, r), 0)
	var manifest []struct{ Layers []string }
	if err := json.Unmarshal(readFile(t, filepath.Join(b.Env["HOME"], "manifest.json")), &manifest); err != nil {
		t.Fatal(err)
	}
	for _, layer := range manifest[0].Layers {
		for tr := tar.NewReader(bytes.NewReader(readFile(t, filepath.Join(b.Env["HOME"], layer)))); ; {
			h, err := tr.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, h.Name+" "+h.FileInfo().Mode().String()+" "+h.Linkname)
		}
	}
	slices.Sort(list)
	return list
}

// TestSameAsBuildx has a plain buildx drive the embedded engine, and wants the same manifest from it.
func TestSameAsBuildx(t *testing.T) {
	b := enginetest.NewBox(t, enginetest.StartDocker(t))
	withSecret(b, plainDockerfile)
	args := []string{"--provenance=false", "-t", "same", "--engine-keep", "1m", "-o", "type=oci,dest=ours.tar", "--iidfile", "ours", "--metadata-file", "ours.json"}
	wantCode(t, buildWith(b, "embedded", args...), 0)
	t.Cleanup(func() { wantCode(t, b.Tightlip("engine", "prune"), 0); nothingRuns(t, b) }) // it also ends the keeping
	socket, err := filepath.Glob(filepath.Join(b.Env["TIGHTLIP_STATE_DIR"], "engine/run/buildkit.sock"))
	if err != nil || len(socket) != 1 {
		t.Fatalf("no socket of the engine: %v", err)
	}
	b.Docker("buildx", "create", "--name", "warm", "--driver", "remote", "unix://"+socket[0])
	b.Docker("buildx", "build", "--builder", "warm", "--provenance=false", "-t", "same", "--secret", "id=npm,env=NPM_TOKEN",
		"-o", "type=oci,dest=plain.tar", "--iidfile", "plain", "--metadata-file", "plain.json", ".")
	if plain, ours := readFile(t, filepath.Join(b.Work, "plain")), readFile(t, filepath.Join(b.Work, "ours")); !bytes.Equal(plain, ours) {
		t.Errorf("buildx wrote the ID %s and tightlip %s", plain, ours)
	}
	if plain, ours := metadata(t, b, "plain.json"), metadata(t, b, "ours.json"); !reflect.DeepEqual(plain, ours) {
		t.Errorf("buildx wrote %v and tightlip %v", plain, ours)
	}

	// A builder of the user's own is as good as Docker.
	r := b.Tightlip(append(append([]string{"build", "--builder", "warm"}, secretFlag...), "-o", "type=oci,dest=builder.tar", "-t", "same", ".")...)
	wantCode(t, r, 0)
	b.Write("Dockerfile", []byte(leaky))
	r = b.Tightlip(append(append([]string{"build", "--builder", "warm"}, secretFlag...), "-o", "type=oci,dest=leak.tar", "-t", "same", ".")...)
	wantCode(t, r, 3)
	nothingLeft(t, b)
}

// metadata reads the digests and names of a metadata file.
func metadata(t *testing.T, b *enginetest.Box, name string) map[string]any {
	t.Helper()
	var all map[string]any
	if err := json.Unmarshal(readFile(t, filepath.Join(b.Work, name)), &all); err != nil {
		t.Fatal(err)
	}
	out := map[string]any{}
	for _, key := range []string{"containerimage.digest", "containerimage.config.digest", "image.name"} {
		out[key] = all[key]
	}
	return out
}
