package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tightlip/tightlip/internal/config"
	"github.com/tightlip/tightlip/secret"
)

func someSources(ref secret.Ref) error {
	return secret.CheckScheme(ref, []string{"file", "env", "cmd", "github-app", "vault"})
}

func loadIn(t *testing.T, dir string, environ ...string) *config.Config {
	t.Helper()
	c, err := config.Load(config.Options{Dir: dir, Environ: append(environ, "HOME="+dir), Check: someSources})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestTrust(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "tightlip.yaml")
	write := func(text string) {
		if err := os.WriteFile(file, []byte("version: 1\nsecrets:\n  npm: {from: "+text+"}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	complete := func(c *config.Config) error {
		_, err := c.Complete(secret.Spec{ID: "npm"}, os.LookupEnv)
		return err
	}
	write(`"cmd:pass show npm"`)
	c := loadIn(t, dir)
	if err := complete(c); err == nil || !strings.Contains(err.Error(), "may not use cmd: on its own") || len(c.Wants()) != 1 {
		t.Fatalf("got %v", err)
	}
	if err := c.Trust(); err != nil {
		t.Fatal(err)
	}
	if err := complete(loadIn(t, dir)); err != nil {
		t.Errorf("of a file that is trusted: %v", err)
	}
	write(`"cmd:pass show other"`)
	if err := complete(loadIn(t, dir)); err == nil {
		t.Error("a file that has changed is still trusted")
	}
	write(`"cmd:pass show npm"`)
	c = loadIn(t, dir)
	if err := complete(c); err != nil {
		t.Errorf("of the same file again: %v", err)
	}
	other := t.TempDir()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(other, "tightlip.yaml"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	elsewhere, err := config.Load(config.Options{Dir: other, Environ: []string{"HOME=" + dir}, Check: someSources})
	if err != nil || complete(elsewhere) == nil {
		t.Errorf("the same text at another place is trusted, %v", err)
	}
	if err := os.Remove(filepath.Join(other, "tightlip.yaml")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(file, filepath.Join(other, "tightlip.yaml")); err != nil {
		t.Fatal(err)
	}
	linked, err := config.Load(config.Options{Dir: other, Environ: []string{"HOME=" + dir}, Check: someSources})
	if err != nil || complete(linked) == nil {
		t.Errorf("a link to a trusted file is trusted, %v", err)
	}
	if spec, err := c.Complete(secret.Spec{ID: "npm"}, os.LookupEnv); err != nil || spec.Ref.Dir != dir {
		t.Errorf("commands run in %q, %v", spec.Ref.Dir, err)
	}
	if err := c.Distrust(); err != nil {
		t.Fatal(err)
	}
	if err := complete(loadIn(t, dir)); err == nil {
		t.Error("the file is still trusted")
	}
}

func TestTrustOfSchemesWithin(t *testing.T) {
	dir := t.TempDir()
	for from, want := range map[string]string{
		"github-app:1/2?key=file:a&permissions=contents:read": "",
		"github-app:1/2?key=cmd:a":                            "cmd:",
		"vault:kv/ci#pip":                                     "vault:",
		"file:a?x=cmd:b":                                      "",
	} {
		if err := os.WriteFile(filepath.Join(dir, "tightlip.yaml"), []byte("version: 1\nsecrets:\n  npm: {from: \""+from+"\"}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := loadIn(t, dir, "TIGHTLIP_ALLOW=github-app").Complete(secret.Spec{ID: "npm"}, os.LookupEnv)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), "may not use "+want) {
			t.Errorf("%s: got %v", from, err)
		}
	}
}
