package scan

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// packObjectOf is an object of a pack, of the given type; base stands between its header and its content.
func packObjectOf(kind byte, base, data string) []byte {
	var b bytes.Buffer
	size := len(data)
	head := kind<<4 | byte(size&15)
	for size >>= 4; size > 0; size >>= 7 {
		b.WriteByte(head | 0x80)
		head = byte(size & 0x7f)
	}
	b.WriteByte(head)
	b.WriteString(base)
	writeAll(zlib.NewWriter(&b), nil, data)
	return b.Bytes()
}

func packOf(objects ...[]byte) []byte {
	head := binary.BigEndian.AppendUint32([]byte(packMagic+"\x00\x00\x00\x02"), uint32(len(objects)))
	return concat(head, concat(objects...), []byte("the sha1 of all that"))
}

// blobPack is a pack with data in it, and something before and behind it.
func blobPack(data string) []byte {
	return packOf(packObjectOf(3, "", data), packObjectOf(packOffsetDelta, "\x81\x02", "delta"), packObjectOf(3, "", ""))
}

// repository makes a repository with two commits, packed: a file that the second deletes, and one that it changes.
func repository(t *testing.T, hash, deltas, deleted, changed string) (pack string) {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("needs git: ", err)
	}
	dir := t.TempDir()
	git := func(args ...string) {
		cmd := exec.Command("git", append([]string{"-c", "user.name=t", "-c", "user.email=t@example.com"}, args...)...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %s: %v\n%s", args, err, out)
		}
	}
	write := func(name, text string) { must(os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600)) }
	long := fmt.Sprintf("%x\n", noise(4000))
	git("init", "-q", "--object-format="+hash)
	git("config", "repack.useDeltaBaseOffset", deltas)
	write("secret.txt", deleted)
	write("config", long+changed+"\n")
	git("add", ".")
	git("commit", "-qm", "first")
	git("rm", "-q", "secret.txt")
	write("config", long+strings.Repeat("something longer, so that the older one becomes the delta\n", 9))
	git("commit", "-qam", "second")
	git("gc", "-q")
	packs, err := filepath.Glob(filepath.Join(dir, ".git/objects/pack/*.pack"))
	if err != nil || len(packs) != 1 {
		t.Fatalf("git made the packs %q (%v)", packs, err)
	}
	return packs[0]
}

// objectAt is what git says about the object at an offset of a pack: its name, type and sizes and, of a delta, its depth
// and base.
func objectAt(t *testing.T, pack, hash, offset string) []string {
	t.Helper()
	out, err := exec.Command("git", "verify-pack", "--object-format="+hash, "-v", pack).Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		if f := strings.Fields(line); len(f) >= 5 && f[4] == offset {
			return f
		}
	}
	t.Fatalf("git knows no object at %s in\n%s", offset, out)
	return nil
}

func TestWalkGitPack(t *testing.T) {
	for _, hash := range []string{"sha1", "sha256"} {
		for _, offsets := range []string{"true", "false"} {
			t.Run(hash+", deltas by offset "+offsets, func(t *testing.T) {
				deleted, changed, after := canary(), canary(), canary()
				file := repository(t, hash, offsets, deleted, changed)
				pack, err := os.ReadFile(file)
				must(err)
				layer := gzipOf(string(tarOf("app/x.pack", string(pack), "z", after)))
				for _, r := range []*recorder{walk(t, layer, Limits{MustUnpack: true}), walkReader(t, layer, slowly(layer), Limits{})} {
					for value, fields := range map[string]int{deleted: 5, changed: 7} {
						got := r.where(value)
						if len(got) != 1 || !strings.HasPrefix(got[0], "app/x.pack!/") {
							t.Fatalf("found at %q", got)
						}
						object := objectAt(t, file, hash, strings.TrimPrefix(got[0], "app/x.pack!/"))
						if object[1] != "blob" || len(object) != fields {
							t.Errorf("found in %q, which should have %d fields", object, fields)
						}
					}
					if got := r.where(after); !slices.Equal(got, []string{"z"}) || len(r.unread) > 0 {
						t.Errorf("what follows is found at %q; unread %q", got, r.unread)
					}
				}
				cut := walk(t, tarOf("f", string(pack[:len(pack)-40])), Limits{})
				if want := []string{"f: damaged"}; !slices.Equal(cut.unread, want) {
					t.Errorf("cut off: unread %q", cut.unread)
				}
			})
		}
	}
}

// TestGitPackEndsExactly: what follows a pack is read like what follows any other container.
func TestGitPackEndsExactly(t *testing.T) {
	c := canary()
	for name, pack := range map[string][]byte{"SHA-1": blobPack("x"), "SHA-256": packOf(packObjectOf(packNameDelta, noise(32), "x"))} {
		if name == "SHA-256" {
			pack = concat(pack, []byte(noise(12)))
		}
		rec := walk(t, concat(pack, gzipOf(string(tarOf("b", c)))), Limits{})
		if got := rec.where(c); !slices.Contains(got, "b") || len(rec.unread) > 0 {
			t.Errorf("%s: found at %q, unread %q", name, got, rec.unread)
		}
	}
}
