package e2e

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"slices"
	"testing"

	"github.com/tightlip/tightlip/internal/enginetest"
	"golang.org/x/crypto/ssh"
)

// authority is a reference to certificates by a new key, which is the file ca_key of a box's project.
func authority(b *enginetest.Box) string {
	b.T.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		b.T.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(key, "ca")
	if err != nil {
		b.T.Fatal(err)
	}
	b.Write("ca_key", pem.EncodeToMemory(block))
	return "ssh-cert:ca_key?principals=git"
}

// TestParentLeak copies the key that signs into an image, with a step that has something signed, and without one.
func TestParentLeak(t *testing.T) {
	leaks := func(t *testing.T, b *enginetest.Box, engine string) {
		t.Helper()
		args := []string{"build", "--engine", engine, "--format", "json", "--secret=id=host,from=" + authority(b), "-t", "parent:leak", "."}
		if engine == "embedded" {
			args = slices.Concat(args[:6], []string{"-o", "type=oci,dest=out.tar", "."})
		}
		const mounts = "RUN --mount=type=secret,id=host test -s /run/secrets/host\n"
		for _, step := range []string{mounts, "RUN true\n"} {
			project(b, base+"COPY . /app\n"+step)
			r := b.Tightlip(args...)
			wantCode(t, r, 3)
			o := parse(t, r)
			i := slices.IndexFunc(o.Findings, func(f leak) bool { return f.Path == "app/ca_key" })
			if i < 0 || o.Named {
				t.Fatalf("got %+v", o)
			}
			if f := o.Findings[i]; f.Secret != "host's key=file:ca_key" || f.Dockerfile == nil || f.Dockerfile.Line != 4 {
				t.Errorf("after %s: got %+v", step, f)
			}
		}
		project(b, base+"COPY . /app\n"+mounts)
		b.Write(".dockerignore", []byte("ca_key\n"))
		args = slices.Delete(args, 3, 5)
		r := b.Tightlip(args...)
		wantCode(t, r, 0)
		wantText(t, r.Stderr, "proven: host nowhere in the image")
	}
	onAll(t, func(t *testing.T, e engine) { leaks(t, e.box(t), e.name) })
	onEachTool(t, func(t *testing.T, tool string, b *enginetest.Box, _ *enginetest.Podman) { leaks(t, b, tool) })
}

// TestParentOfMint has a command that prints what it should not know, and a context that holds it.
func TestParentOfMint(t *testing.T) {
	t.Parallel()
	b := newEmbeddedBox(t)
	i := newIssuer(t, b)
	for _, args := range [][]string{
		{"mint", i.ref(), "--", "echo", "it is", i.Password},
		{"run", i.secret() + ",env=TOKEN", "--", "echo", "it is", i.Password},
	} {
		r := b.Tightlip(args...)
		wantCode(t, r, 0)
		wantText(t, r.Stdout, "it is ***")
		i.sealed(t, r.All())
	}
	ref := authority(b)
	r := b.Tightlip("mint", ref, "--as-file", "--context", ".", "--", "true")
	wantCode(t, r, 3)
	wantText(t, r.Stderr, "minted's key=file:ca_key (", "ca_key at byte", "a secret is in the build context", ".dockerignore")
	b.Write(".dockerignore", []byte("ca_key\n"))
	r = b.Tightlip("mint", ref, "--as-file", "--context", ".", "--", "true")
	wantCode(t, r, 0)
	wantText(t, r.Stderr, "proven: minted nowhere in the build context")
}
