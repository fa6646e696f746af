// Package sshagent gives steps SSH agents that list keys and sign: the user's own, or ones that hold keys from files. A policy narrows
// what they sign to logins of certain users at certain hosts.
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
	"golang.org/x/crypto/ssh/agent"
)

// Spec is an agent of a build, as --ssh ID=PATHS has it.
type Spec struct {
	ID    string
	Paths []string // sockets or keys; none is the socket in SSH_AUTH_SOCK
	// Key returns the file of a key instead of Paths, each time that a step connects, since one that was minted may have ended by
	// then. nil: Paths say it.
	Key func(context.Context) ([]byte, error)
	// Policy says where the agent may log in. Without one it signs whatever it is asked to.
	Policy *Policy
	// Audit is told of each request but listing. It is called by several goroutines at once. It may be nil.
	Audit func(Event)
}

// Parse reads --ssh flags and finds what they name. The agents have no policy.
func Parse(flags []string) (*Agents, error) {
	specs, err := ParseSpecs(flags)
	if err != nil {
		return nil, err
	}
	return New(specs)
}

// ParseSpecs reads --ssh flags. The agents have no policy yet.
func ParseSpecs(flags []string) ([]Spec, error) {
	parsed, err := buildflags.ParseSSHSpecs(flags)
	if err != nil {
		return nil, err
	}
	var specs []Spec
	for _, s := range parsed {
		specs = append(specs, Spec{ID: s.ID, Paths: s.Paths})
	}
	return specs, nil
}

// maxKey bounds, in bytes, what is read as a key.
const maxKey = 100 << 10

// Agents opens agents by id.
type Agents struct {
	specs   map[string]Spec
	sockets map[string]string
	keys    map[string]agent.ExtendedAgent
}

// New finds the agents and reads the keys. A key with a passphrase is an error: an agent is there for it.
func New(specs []Spec) (*Agents, error) {
	a := &Agents{specs: map[string]Spec{}, sockets: map[string]string{}, keys: map[string]agent.ExtendedAgent{}}
	for _, s := range specs {
		if err := a.add(s); err != nil {
			return nil, fmt.Errorf("SSH agent %s: %w", s.ID, err)
		}
		a.specs[s.ID] = s
	}
	return a, nil
}

func (a *Agents) add(s Spec) error {
	if s.Key != nil {
		return nil
	}
	paths := s.Paths
	if len(paths) == 0 {
		socket := os.Getenv("SSH_AUTH_SOCK")
		if socket == "" {
			return errors.New("SSH_AUTH_SOCK is not set")
		}
		paths = []string{socket}
	}
	keys := agent.NewKeyring().(agent.ExtendedAgent) // as its documentation says
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
	key, err := parseKey(text)
	if err != nil {
		return fmt.Errorf("reading the key %s: %w", path, err)
	}
	return keys.Add(key)
}

// Open connects to an agent. It is gone when the connection is closed.
func (a *Agents) Open(ctx context.Context, id string) (io.ReadWriteCloser, error) {
	spec, ok := a.specs[id]
	if !ok {
		return nil, broker.ErrNoAgent
	}
	c := &connection{id: id, agent: a.keys[id], policy: spec.Policy, audit: spec.Audit}
	if spec.Key != nil {
		keys, err := keyring(ctx, spec.Key)
		if err != nil {
			return nil, fmt.Errorf("SSH agent %s: %w", id, err)
		}
		c.agent = keys
	}
	var upstream net.Conn
	if socket, ok := a.sockets[id]; ok {
		conn, err := (&net.Dialer{}).DialContext(ctx, "unix", socket)
		if err != nil {
			return nil, fmt.Errorf("connecting to the SSH agent: %w", err)
		}
		c.agent, upstream = agent.NewClient(conn), conn
	}
	near, far := net.Pipe()
	go func() {
		_ = c.serve(far)
		far.Close()
		if upstream != nil {
			upstream.Close()
		}
	}()
	return near, nil
}

// keyring is an agent with one key.
func keyring(ctx context.Context, read func(context.Context) ([]byte, error)) (agent.ExtendedAgent, error) {
	text, err := read(ctx)
	if err != nil {
		return nil, err
	}
	key, err := parseKey(text)
	if err != nil {
		return nil, fmt.Errorf("reading the key: %w", err)
	}
	keys := agent.NewKeyring().(agent.ExtendedAgent) // as its documentation says
	return keys, keys.Add(key)
}
