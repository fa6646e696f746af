//go:build unix

package config

import (
	"os"
	"path/filepath"
	"testing"
)

// TestStrangersFile has a project file of another user above the working directory, in a repository and outside of one.
func TestStrangersFile(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file to another user")
	}
	dir := t.TempDir()
	file := filepath.Join(dir, projectName)
	if err := os.WriteFile(file, []byte("version: 1\nbuild: {prove: off}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	work := filepath.Join(dir, "work")
	if err := os.Mkdir(work, 0o755); err != nil {
		t.Fatal(err)
	}
	load := func() (*Config, error) { return Load(Options{Dir: work, Environ: []string{"HOME=" + t.TempDir()}}) }
	if c, err := load(); err != nil || c.Prove != ProofOff {
		t.Fatalf("our own file: %+v, %v", c, err)
	}
	if err := os.Chown(file, 12345, 12345); err != nil {
		t.Fatal(err)
	}
	if c, err := load(); err == nil {
		t.Errorf("a stranger's file was used: %+v", c)
	}
	if err := os.Mkdir(filepath.Join(dir, ".git"), 0o755); err != nil {
		t.Fatal(err)
	}
	if c, err := load(); err != nil || c.Prove != ProofOff {
		t.Errorf("in a repository: %+v, %v", c, err)
	}
}
