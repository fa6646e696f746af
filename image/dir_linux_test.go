package image_test

import (
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tightlip/tightlip/finding"
	"github.com/tightlip/tightlip/image"
)

func TestDir(t *testing.T) {
	root, outside := t.TempDir(), file(t, "outside", []byte(rand.Text()))
	content, attr := rand.Text(), rand.Text()
	must(t, os.Mkdir(filepath.Join(root, "etc"), 0o700))
	must(t, os.WriteFile(filepath.Join(root, "etc", "conf"), []byte(content), 0o600))
	must(t, os.Symlink(outside, filepath.Join(root, "link")))
	must(t, syscall.Mkfifo(filepath.Join(root, "pipe"), 0o600))
	if err := unix.Setxattr(filepath.Join(root, "etc", "conf"), "user.note", []byte(attr), 0); err != nil {
		t.Logf("the file system has no extended attributes (%v): they are not part of this test", err)
		attr = ""
	}
	im, err := image.OpenDir(root)
	got := map[string]piece{}
	for _, p := range drain(t, opened(t, im, err)) {
		if p.Kind != finding.InFile {
			t.Errorf("%s is of kind %s", p.Path, p.Kind)
		}
		got[p.Path] = p
	}
	for path, want := range map[string]string{".": "", "etc": "", "etc/conf": content, "link": "", "pipe": ""} {
		if p, ok := got[path]; !ok || p.bytes != want {
			t.Errorf("%s: there %v, with %d bytes, want %d", path, ok, len(p.bytes), len(want))
		}
	}
	if len(got) != 5 {
		t.Errorf("%d blobs, want 5", len(got))
	}
	if got["link"].Text["linkname"] != outside || got["etc/conf"].Text["xattr.user.note"] != attr || got["etc/conf"].Text["name"] != "etc/conf" {
		t.Errorf("texts %q and %q", got["link"].Text, got["etc/conf"].Text)
	}
}

func TestDirNamesUnreadableFiles(t *testing.T) {
	root := t.TempDir()
	must(t, os.WriteFile(filepath.Join(root, "secret"), []byte("x"), 0o600))
	im, err := image.OpenDir(root)
	im = opened(t, im, err)
	var opens []func() error
	for b, err := range im.Blobs(t.Context()) {
		must(t, err)
		opens = append(opens, func() error { _, err := b.Open(); return err })
	}
	must(t, os.Remove(filepath.Join(root, "secret")))
	must(t, os.Mkdir(filepath.Join(root, "secret"), 0o700))
	if err := opens[1](); err == nil || !strings.Contains(err.Error(), filepath.Join(root, "secret")) {
		t.Errorf("a file that became a folder: %v", err)
	}
	must(t, os.Remove(filepath.Join(root, "secret")))
	if err := opens[1](); err == nil || !strings.Contains(err.Error(), filepath.Join(root, "secret")) {
		t.Errorf("a file that is gone: %v", err)
	}
	if _, err := image.OpenDir(filepath.Join(root, "none")); err == nil {
		t.Error("opened a folder that is not there")
	}
}
