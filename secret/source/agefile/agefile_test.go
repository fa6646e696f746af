package agefile_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/tightlip/tightlip/internal/storetest"
	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/secrettest"
	"github.com/tightlip/tightlip/secret/source/agefile"
	"github.com/tightlip/tightlip/secret/source/file"
)

func TestContract(t *testing.T) {
	secrettest.Contract(t, func(t *testing.T) secrettest.Fixture {
		dir := t.TempDir()
		key := identity(t, filepath.Join(dir, "key.txt"))
		other := identity(t, filepath.Join(dir, "other.txt"))
		count := 0
		put := func(t *testing.T, value []byte, to age.Recipient) secret.Ref {
			count++
			name := fmt.Sprintf("%d.age", count)
			write(t, filepath.Join(dir, name), encrypt(t, value, to))
			return secrettest.Ref(t, "age:"+name+"?identity=key.txt")
		}
		return secrettest.Fixture{
			Source:  agefile.Source{Files: file.Source{Dir: dir}},
			Put:     func(t *testing.T, value []byte) secret.Ref { return put(t, value, key.Recipient()) },
			Missing: secrettest.Ref(t, "age:no/such/file?identity=key.txt"),
			Broken: func(t *testing.T, value []byte) []secret.Ref {
				refs := []secret.Ref{put(t, value, other.Recipient())}
				for i, content := range []string{"%s", "age-encryption.org/v1\n-> X25519 %s\n", "AGE-SECRET-KEY-%s", "-----BEGIN AGE %s", "-----BEGIN OPENSSH PRIVATE KEY-----\n%s"} {
					name := fmt.Sprintf("broken%d", i)
					write(t, filepath.Join(dir, name), fmt.Appendf(nil, content, value))
					refs = append(refs, secrettest.Ref(t, "age:"+name+"?identity=key.txt"), secrettest.Ref(t, "age:1.age?identity="+name))
				}
				key := put(t, fmt.Appendf(nil, "A=%s", value), key.Recipient())
				key.Rest += "#B"
				return append(refs, key)
			},
		}
	})
}

// TestProgram decrypts what the age program encrypted, to its keys and to SSH keys, armored and not.
func TestProgram(t *testing.T) {
	storetest.Need(t, "age", "age-keygen", "ssh-keygen")
	dir := t.TempDir()
	storetest.Run(t, nil, "age-keygen", "-o", filepath.Join(dir, "key.txt"))
	recipients := map[string]string{"key.txt": strings.TrimSpace(storetest.Run(t, nil, "age-keygen", "-y", filepath.Join(dir, "key.txt")))}
	for _, kind := range []string{"ed25519", "rsa"} {
		storetest.Run(t, nil, "ssh-keygen", "-q", "-t", kind, "-N", "", "-f", filepath.Join(dir, kind))
		public, err := os.ReadFile(filepath.Join(dir, kind+".pub"))
		if err != nil {
			t.Fatal(err)
		}
		recipients[kind] = strings.TrimSpace(string(public))
	}
	canary := secrettest.Canary(t)
	for _, name := range []string{"ed25519", "rsa", "key.txt"} {
		for _, armor := range []string{"", "--armor"} {
			args := strings.Fields(armor + " --recipient")
			out := storetest.Run(t, append([]byte("NPM_TOKEN="), canary...), "age", append(args, recipients[name])...)
			write(t, filepath.Join(dir, "secrets.env.age"), []byte(out))
			check(t, dir, "age:secrets.env.age?identity="+name+"#NPM_TOKEN", canary)
		}
	}
	check(t, dir, agefile.Source{}.About().Example, canary)
	check(t, dir, "age:secrets.env.age?identity=rsa", nil)
}

func TestIdentities(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", filepath.Join(dir, "config"))
	t.Setenv("SOPS_AGE_KEY", "")
	t.Setenv("SOPS_AGE_KEY_FILE", "")
	key := identity(t, filepath.Join(dir, "key.txt"))
	canary := secrettest.Canary(t)
	write(t, filepath.Join(dir, "f"), encrypt(t, canary, key.Recipient()))
	_, err := resolve(t, dir, "age:f")
	if err == nil || !strings.Contains(err.Error(), "keys.txt does not exist") || errors.Is(err, secret.ErrNotFound) {
		t.Errorf("without identities: %v", err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "config/sops/age"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "config/sops/age/keys.txt"), []byte(key.String()))
	check(t, dir, "age:f", canary)
	t.Setenv("SOPS_AGE_KEY_FILE", "no/such/file")
	check(t, dir, "age:f", nil)
	t.Setenv("SOPS_AGE_KEY_FILE", "key.txt")
	check(t, dir, "age:f", canary)
	t.Setenv("SOPS_AGE_KEY", "# mine\n"+key.String())
	t.Setenv("SOPS_AGE_KEY_FILE", "no/such/file")
	check(t, dir, "age:f", canary)
}

// check expects an error if want is nil.
func check(t *testing.T, dir, ref string, want []byte) {
	t.Helper()
	lease, err := resolve(t, dir, ref)
	if want == nil && err == nil || want != nil && (err != nil || !bytes.Equal(lease.Value.Open(), want)) {
		t.Errorf("%s: got %v", ref, err)
	}
}

func resolve(t *testing.T, dir, ref string) (*secret.Lease, error) {
	t.Helper()
	return agefile.Source{Files: file.Source{Dir: dir}}.Resolve(t.Context(), secrettest.Ref(t, ref))
}

func identity(t *testing.T, path string) *age.X25519Identity {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, []byte("# a key\n"+id.String()+"\n"))
	return id
}

func encrypt(t *testing.T, value []byte, to age.Recipient) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := age.Encrypt(&out, to)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(value); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func Example() {
	_, err := agefile.Source{}.Resolve(context.Background(), secret.Ref{Scheme: "age", Rest: "gone.age?identity=key.txt"})
	fmt.Println(err)
	// Output: file gone.age does not exist
}
