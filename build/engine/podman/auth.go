package podman

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/docker/cli/cli/config/configfile"
	"github.com/google/go-containerregistry/pkg/authn"
)

// Keychain knows what podman login, buildah login and docker login have stored.
func Keychain() authn.Keychain {
	return authn.NewMultiKeychain(loginKeychain{}, authn.DefaultKeychain)
}

// loginKeychain are the credentials of podman login and buildah login.
type loginKeychain struct{}

// Resolve implements authn.Keychain.
func (loginKeychain) Resolve(target authn.Resource) (authn.Authenticator, error) {
	for _, name := range authFiles() {
		f, err := os.Open(name)
		if err != nil {
			continue
		}
		config := configfile.New(name)
		err = config.LoadFromReader(f)
		f.Close()
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", name, err)
		}
		auth, err := config.GetAuthConfig(target.RegistryStr())
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", name, err)
		}
		if auth.Username+auth.Auth+auth.IdentityToken+auth.RegistryToken != "" {
			return authn.FromConfig(authn.AuthConfig{
				Username: auth.Username, Password: auth.Password, Auth: auth.Auth,
				IdentityToken: auth.IdentityToken, RegistryToken: auth.RegistryToken,
			}), nil
		}
	}
	return authn.Anonymous, nil
}

func authFiles() []string {
	if name := os.Getenv("REGISTRY_AUTH_FILE"); name != "" {
		return []string{name}
	}
	runtimeDir := os.Getenv("XDG_RUNTIME_DIR")
	if runtimeDir == "" {
		runtimeDir = fmt.Sprintf("/run/containers/%d", os.Getuid())
		return []string{filepath.Join(runtimeDir, "auth.json")}
	}
	return []string{filepath.Join(runtimeDir, "containers", "auth.json"), fmt.Sprintf("/run/containers/%d/auth.json", os.Getuid())}
}
