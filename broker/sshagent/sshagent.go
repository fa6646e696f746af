// Package sshagent gives steps read-only SSH agents: the user's own, or ones that hold keys from files.
package sshagent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"

	"github.com/docker/buildx/util/buildflags"
	"github.com/tightlip/tightlip/broker"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// Spec is an agent of a build, as --ssh ID=PATHS has it.
type Spec struct {
	ID    string
	Paths []string // sockets or keys; none is the socket in SSH_AUTH_SOCK
}

// Parse reads --ssh flags and finds what they name.
func Parse(flags []string) (*Agents, error) {
	parsed, err := buildflags.ParseSSHSpecs(flags)
	if err != nil {
		return nil, err
	}
	var specs []Spec
	for _, s := range parsed {
		specs = append(specs, Spec{ID: s.ID, Paths: s.Paths})
	}
	return New(specs)
}

// maxKey bounds, in bytes, what is read as a key.
const maxKey = 100 << 10

// Agents opens agents by id.
type Agents struct {
	sockets map[string]string
	keys    map[string]agent.Agent
}

// New finds the agents and reads the keys. A key with a passphrase is an error: an agent is there for it.
func New(specs []Spec) (*Agents, error) {
	a := &Agents{sockets: map[string]string{}, keys: map[string]agent.Agent{}}
	for _, s := range specs {
		if err := a.add(s); err != nil {
			return nil, fmt.Errorf("SSH agent %s: %w", s.ID, err)
		}
	}
	return a, nil
}

func (a *Agents) add(s Spec) error {
	paths := s.Paths
	if len(paths) == 0 {
		socket := os.Getenv("SSH_AUTH_SOCK")
		if socket == "" {
			return errors.New("SSH_AUTH_SOCK is not set")
		}
		paths = []string{socket}
	}
	keys := agent.NewKeyring()
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		if info.Mode()&fs.ModeSocket != 0 {
			if len(paths) > 1 {
				return errors.New("several sockets, or a socket and keys, cannot be one agent")
			}
			a.sockets[s.ID] = path
			return nil
		}
		if err := addKey(keys, path); err != nil {
			return err
		}
	}
	a.keys[s.ID] = keys
	return nil
}

func addKey(keys agent.Agent, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxKey))
	if err != nil {
		return err
	}
	key, err := ssh.ParseRawPrivateKey(text)
	if err != nil {
		return fmt.Errorf("reading the key %s: %w", path, err)
	}
	return keys.Add(agent.AddedKey{PrivateKey: key})
}

// Open connects to an agent. It is gone when the connection is closed.
func (a *Agents) Open(ctx context.Context, id string) (io.ReadWriteCloser, error) {
	var of agent.Agent
	var upstream net.Conn
	if socket, ok := a.sockets[id]; ok {
		conn, err := (&net.Dialer{}).DialContext(ctx, "unix", socket)
		if err != nil {
			return nil, fmt.Errorf("connecting to the SSH agent: %w", err)
		}
		of, upstream = agent.NewClient(conn), conn
	} else if of = a.keys[id]; of == nil {
		return nil, broker.ErrNoAgent
	}
	near, far := net.Pipe()
	go func() {
		_ = agent.ServeAgent(readOnly{of}, far)
		far.Close()
		if upstream != nil {
			upstream.Close()
		}
	}()
	return near, nil
}

// readOnly refuses what would change the agent.
type readOnly struct{ agent.Agent }

var errReadOnly = errors.New("a step may only list keys and sign")

func (readOnly) Add(agent.AddedKey) error       { return errReadOnly }
func (readOnly) Remove(ssh.PublicKey) error     { return errReadOnly }
func (readOnly) RemoveAll() error               { return errReadOnly }
func (readOnly) Lock([]byte) error              { return errReadOnly }
func (readOnly) Unlock([]byte) error            { return errReadOnly }
func (readOnly) Signers() ([]ssh.Signer, error) { return nil, errReadOnly }

// SignWithFlags implements agent.ExtendedAgent: RSA keys sign with SHA-2 only through it.
func (r readOnly) SignWithFlags(key ssh.PublicKey, data []byte, flags agent.SignatureFlags) (*ssh.Signature, error) {
	if e, ok := r.Agent.(agent.ExtendedAgent); ok {
		return e.SignWithFlags(key, data, flags)
	}
	return r.Sign(key, data)
}

// Extension implements agent.ExtendedAgent.
func (readOnly) Extension(string, []byte) ([]byte, error) { return nil, agent.ErrExtensionUnsupported }
