package sshagent_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/tightlip/tightlip/broker"
	"github.com/tightlip/tightlip/broker/sshagent"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

func newKey(t *testing.T) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// lockedKey writes a new key with a passphrase.
func lockedKey(t *testing.T) string {
	t.Helper()
	block, err := ssh.MarshalPrivateKeyWithPassphrase(newKey(t), "", []byte("secret words"))
	if err != nil {
		t.Fatal(err)
	}
	return save(t, pem.EncodeToMemory(block))
}

// save makes a file, and returns its path.
func save(t *testing.T, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// socket is a real agent with one key.
func socket(t *testing.T) string {
	t.Helper()
	keys := agent.NewKeyring()
	if err := keys.Add(agent.AddedKey{PrivateKey: newKey(t)}); err != nil {
		t.Fatal(err)
	}
	return socketOf(t, keys)
}

// TestOpen lists and signs with each kind of agent, and wants everything else refused.
func TestOpen(t *testing.T) {
	t.Setenv("SSH_AUTH_SOCK", socket(t))
	agents, err := sshagent.Parse([]string{"default", "sock=" + socket(t), "file=" + writeKey(t, newKey(t)) + "," + writeKey(t, newKey(t))})
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]int{"default": 1, "sock": 1, "file": 2} {
		conn, err := agents.Open(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		c := agent.NewClient(conn)
		keys, err := c.List()
		if err != nil || len(keys) != want {
			t.Fatalf("%s: %d keys, %v", id, len(keys), err)
		}
		data := []byte("data")
		sig, err := c.Sign(keys[0], data)
		if err != nil || keys[0].Verify(data, sig) != nil {
			t.Errorf("%s: signing: %v", id, err)
		}
		for what, err := range map[string]error{
			"adding": c.Add(agent.AddedKey{PrivateKey: newKey(t)}), "removing": c.Remove(keys[0]), "removing all": c.RemoveAll(), "locking": c.Lock([]byte("x")),
		} {
			if err == nil {
				t.Errorf("%s: %s worked", id, what)
			}
		}
		conn.Close()
	}
	if _, err := agents.Open(t.Context(), "none"); !errors.Is(err, broker.ErrNoAgent) {
		t.Errorf("got %v", err)
	}
}

func TestParseRefuses(t *testing.T) {
	t.Setenv("SSH_AUTH_SOCK", "")
	for name, flags := range map[string][]string{
		"no agent": {"default"}, "no file": {"a=/nonexistent/key"}, "passphrase": {"a=" + lockedKey(t)},
		"socket and key": {"a=" + socket(t) + "," + writeKey(t, newKey(t))},
	} {
		if _, err := sshagent.Parse(flags); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
