package minter_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tightlip/tightlip/internal/enginetest"
	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/secrettest"
	"github.com/tightlip/tightlip/secret/source/file"
	"github.com/tightlip/tightlip/secret/source/minter"
)

// sshServer is an sshd that lets in whoever has a certificate of its authority.
type sshServer struct {
	dir, port string
	authority []byte
}

func startSSHServer(t *testing.T) *sshServer {
	t.Helper()
	s := &sshServer{dir: t.TempDir()}
	s.port = enginetest.StartSSHD(t, s.dir)
	s.authority = s.read(t, "authority")
	return s
}

func (s *sshServer) run(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), enginetest.Tool(t, name), args...)
	cmd.Dir = s.dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return string(out)
}

// login is what the server's shell answers to who has a key.
func (s *sshServer) login(t *testing.T, key secret.Value) string {
	t.Helper()
	path := write(t, filepath.Join(s.dir, "key"), key.Open())
	cmd := exec.CommandContext(t.Context(), enginetest.Tool(t, "ssh"), "-F", "none", "-i", path, "-p", s.port, "-o", "BatchMode=yes", "-o", "IdentityAgent=none",
		"-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "root@127.0.0.1", "echo let in")
	out, _ := cmd.Output() // the test looks at what the shell said
	return strings.TrimSpace(string(out))
}

func TestSSHCert(t *testing.T) {
	t.Parallel()
	s := startSSHServer(t)
	p := parents{"CA": s.authority}
	secrettest.MinterContract(t, func(t *testing.T) secrettest.MinterFixture {
		files := minter.Options{Resolve: file.Source{}.Resolve}
		m, r := minterWith(t, files, example(t, "ssh-cert", "~/.ssh/ca", filepath.Join(s.dir, "authority"), "git", "root", "10m", "5m"))
		return secrettest.MinterFixture{
			Minter: m, Ref: r, Life: 5 * time.Minute,
			Works:   func(t *testing.T, v secret.Value) bool { return s.login(t, v) == "let in" },
			Parents: p.values(),
			Broken:  broken(t, "ssh-cert:"+filepath.Join(s.dir, "authority.pub")+"?principals=root", "ssh-cert:none?principals=root"),
		}
	})
}

// TestSSHCertOptions asks sshd what it makes of certificates.
func TestSSHCertOptions(t *testing.T) {
	s := startSSHServer(t)
	p := parents{"CA": s.authority}
	for text, want := range map[string]string{
		"ssh-cert:?principals=root&key=env:CA":                                      "let in",
		"ssh-cert:?principals=git,root&key=env:CA":                                  "let in",
		"ssh-cert:?principals=git&key=env:CA":                                       "",
		"ssh-cert:?principals=root&key=env:CA&force-command=echo%20forced":          "forced",
		"ssh-cert:?principals=root&key=env:CA&source-address=127.0.0.1":             "let in",
		"ssh-cert:?principals=root&key=env:CA&source-address=192.0.2.0/24,::1/128":  "",
		"ssh-cert:?principals=root&key=env:CA&extensions=permit-pty,permit-user-rc": "let in",
	} {
		m, r := minterOf(t, p, text)
		lease, err := m.Mint(t.Context(), r, "tightlip-name")
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := s.login(t, lease.Value); got != want {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
		list := s.run(t, "ssh-keygen", "-L", "-f", s.certificate(t, lease.Value))
		if !strings.Contains(list, `Key ID: "tightlip-name"`) || strings.Contains(list, "permit-pty") != strings.Contains(text, "permit-pty") {
			t.Errorf("%s: the certificate is\n%s", text, list)
		}
	}
}

// certificate takes the certificate out of a key's file.
func (s *sshServer) certificate(t *testing.T, key secret.Value) string {
	t.Helper()
	return write(t, filepath.Join(s.dir, "key-cert.pub"), []byte(s.run(t, "ssh-keygen", "-y", "-f", write(t, filepath.Join(s.dir, "key"), key.Open()))))
}

// TestSSHCertExpires waits for the end of the shortest certificate.
func TestSSHCertExpires(t *testing.T) {
	t.Parallel()
	s := startSSHServer(t)
	m, r := minterOf(t, parents{"CA": s.authority}, "ssh-cert:?principals=root&key=env:CA&ttl=10s")
	lease, err := m.Resolve(t.Context(), r)
	if err != nil || s.login(t, lease.Value) != "let in" {
		t.Fatalf("the certificate does not work: %v", err)
	}
	time.Sleep(time.Until(lease.Expires) + time.Second)
	if got := s.login(t, lease.Value); got != "" {
		t.Errorf("got %q after the end of the certificate", got)
	}
}

// TestSSHAuthorities has authorities of all types, and one that asks for a passphrase.
func TestSSHAuthorities(t *testing.T) {
	s := &sshServer{dir: t.TempDir()}
	for _, args := range [][]string{{"-t", "rsa", "-b", "2048"}, {"-t", "ecdsa"}, {"-t", "rsa", "-b", "2048", "-m", "PEM"}} {
		name := strings.Join(args, "")
		s.run(t, "ssh-keygen", append(args, "-q", "-N", "", "-f", name)...)
		m, r := minterOf(t, parents{"CA": s.read(t, name)}, "ssh-cert:?principals=git&key=env:CA")
		lease, err := m.Resolve(t.Context(), r)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		list := s.run(t, "ssh-keygen", "-L", "-f", s.certificate(t, lease.Value))
		if strings.Contains(name, "rsa") != strings.Contains(list, "rsa-sha2-") {
			t.Errorf("%s: the certificate is\n%s", name, list)
		}
	}
	passphrase := secrettest.Canary(t)
	s.run(t, "ssh-keygen", "-q", "-t", "ed25519", "-N", string(passphrase), "-f", "locked")
	m, r := minterOf(t, parents{"CA": s.read(t, "locked")}, "ssh-cert:?principals=git&key=env:CA")
	if _, err := m.Resolve(t.Context(), r); err == nil || err.Error() != "ssh-cert: env:CA has a passphrase" {
		t.Errorf("got %v", err)
	}
}

func (s *sshServer) read(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(s.dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}
