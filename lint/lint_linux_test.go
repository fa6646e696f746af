package lint_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/tightlip/tightlip/lint"
	"github.com/tightlip/tightlip/scan/detect"
)

// TestPipes: a pipe in the project is not waited for.
func TestPipes(t *testing.T) {
	root := t.TempDir()
	dockerfile := filepath.Join(root, "Dockerfile")
	if err := os.WriteFile(dockerfile, []byte("FROM a\nARG TOKEN\nCOPY key /\nCOPY . /\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{".dockerignore", "compose.yaml", "key", ".env", "b.Dockerfile", "Makefile"} {
		if err := syscall.Mkfifo(filepath.Join(root, name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r, err := lint.Check(t.Context(), lint.Options{Root: root, Detector: detect.New()})
	if err != nil {
		t.Fatal(err)
	}
	if got := listed(r); got != "2 secret-arg" {
		t.Errorf("found %q", got)
	}
	if len(r.Unread) != 1 || r.Unread[0].Path != ".dockerignore" {
		t.Errorf("not checked: %v", r.Unread)
	}
	r, err = lint.Check(t.Context(), lint.Options{Root: root, Detector: detect.New(), Dockerfiles: []string{filepath.Join(root, "b.Dockerfile")}})
	if err != nil || len(r.Unread) == 0 || len(r.Findings) != 0 {
		t.Errorf("a pipe as Dockerfile: %v, %v", r, err)
	}
}
