package image_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tightlip/tightlip/image"
	"github.com/tightlip/tightlip/image/imagetest"
)

// TestMirrors reads an image of registries that do not exist from mirrors.
func TestMirrors(t *testing.T) {
	host, keys := imagetest.Registry(t, nil)
	pushed(t, host, keys, "{}", "x")
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(strings.ReplaceAll(text, "HOST", host)), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	conf := write("registries.conf", `unqualified-search-registries = ["docker.io"]
[[registry]]
prefix = "registry.invalid/corp"
location = "registry.invalid/corp"
[[registry.mirror]]
location = "none.invalid/x"
[[registry.mirror]]
location = "HOST"
[[registry]]
location = "other.invalid"
[[registry.mirror]]
location = "HOST/team"
`)
	daemon := write("daemon.json", `{"registry-mirrors": ["http://HOST/"]}`)
	mirrors := image.ReadMirrors([]string{filepath.Join(dir, "none"), conf}, []string{daemon})
	for ref, ok := range map[string]bool{
		"registry.invalid/corp/team/app:v1": true, "other.invalid/app:v1": true, "team/app:v1": true, "docker.io/team/app:v1": true,
		"registry.invalid/corporate/app:v1": false, "registry.invalid/corp/team/app:v2": false, "else.invalid/team/app:v1": false,
	} {
		im, err := image.OpenRegistry(t.Context(), ref, image.Options{Keychain: keys, Mirrors: mirrors})
		if (err == nil) != ok {
			t.Errorf("%s: %v", ref, err)
			continue
		}
		if ok {
			im = opened(t, im, err)
			if l := layoutOf(t, im); im.Ref() != "registry:"+ref || strings.Contains(l.Names[0], host) {
				t.Errorf("%s is called %s %q", ref, im.Ref(), l.Names)
			}
		}
	}
	if _, err := image.OpenRegistry(t.Context(), "registry.invalid/corp/team/app:v1", image.Options{Keychain: keys}); err == nil {
		t.Error("without mirrors the image was found")
	}
}
