package sshagent_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/tightlip/tightlip/broker/sshagent"
	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/source/file"
	"github.com/tightlip/tightlip/secret/source/minter"
)

// minted is the file of a new key, with a certificate of the machine's authority.
func (m *machine) minted(t *testing.T, principal string) string {
	t.Helper()
	resolver := secret.NewResolver(minter.Sources(minter.Options{Resolve: file.Source{Dir: m.dir}.Resolve})...)
	lease, err := resolver.Resolve(context.Background(), secret.Ref{Scheme: "ssh-cert", Rest: "authority?principals=" + principal})
	if err != nil {
		t.Fatal(err)
	}
	return save(t, lease.Value.Open())
}

// TestOpenSSHMinted logs in with an agent that has a certificate, at a server that knows no key.
func TestOpenSSHMinted(t *testing.T) {
	m := startServer(t, "ed25519")
	for principal, want := range map[string]bool{"root": true, "git": false} {
		for _, policy := range []*sshagent.Policy{nil, m.policy(t, m.dir+"/known_hosts")} {
			socket, seen := serve(t, policy, m.minted(t, principal))
			if ok, out := m.login(t, socket, "root"); ok != want {
				t.Errorf("%s: let in: %t\n%s\n%+v", principal, ok, out, seen.take())
			}
			if out, err := m.try(t, socket, "ssh-add", "-l"); err != nil || !strings.Contains(out, "(ED25519-CERT)") {
				t.Errorf("listing: %v, %s", err, out)
			}
		}
	}
}

// TestOpenSSHMintedLater has an agent whose key is made when a step connects. The second one has another certificate.
func TestOpenSSHMintedLater(t *testing.T) {
	m := startServer(t, "ed25519")
	principals := []string{"root", "git"}
	agents, err := sshagent.New([]sshagent.Spec{{ID: "default", Key: func(context.Context) ([]byte, error) {
		path := m.minted(t, principals[0])
		principals = principals[1:]
		return os.ReadFile(path)
	}}})
	if err != nil || len(principals) != 2 {
		t.Fatalf("a key was made before there was a step: %v", err)
	}
	for _, want := range []bool{true, false} {
		socket := serveAgents(t, agents)
		if ok, out := m.login(t, socket, "root"); ok != want {
			t.Errorf("let in: %t\n%s", ok, out)
		}
	}
	failing, err := sshagent.New([]sshagent.Spec{{ID: "default", Key: func(context.Context) ([]byte, error) { return nil, errors.New("no key today") }}})
	if err == nil {
		_, err = failing.Open(t.Context(), "default")
	}
	if err == nil || err.Error() != "SSH agent default: no key today" {
		t.Errorf("got %v", err)
	}
}

// TestBrokenKeys has files that are not what they begin like.
func TestBrokenKeys(t *testing.T) {
	m := startServer(t, "ed25519")
	good, err := os.ReadFile(m.minted(t, "root"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(good), "\n")
	for name, text := range map[string]string{
		"cut short": strings.Join(append(lines[:4:4], lines[len(lines)-2:]...), "\n"),
		"another":   strings.Replace(string(good), lines[len(lines)-4], strings.Map(swap, lines[len(lines)-4]), 1),
		"no key":    "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEA\n-----END OPENSSH PRIVATE KEY-----\n",
	} {
		if _, err := sshagent.New([]sshagent.Spec{{ID: "default", Paths: []string{save(t, []byte(text))}}}); err == nil {
			t.Errorf("%s: was read", name)
		}
	}
}

// swap changes letters to others that base64 has, too.
func swap(r rune) rune {
	if r >= 'a' && r < 'z' {
		return r + 1
	}
	return r
}
