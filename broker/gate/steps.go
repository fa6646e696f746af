package gate

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/tightlip/tightlip/broker/shim"
	"github.com/tightlip/tightlip/secret"
)

// Step is a step of a build that uses credentials.
type Step struct {
	Name    string // by which its connections come
	Label   string // for the audit
	Secrets []string
	Seal    bool // besides the policy's own
}

// Steps are the gates of a build: each step has one of its own, with its own ticket and authority, for the credentials of the secrets
// that it mounts and no others.
type Steps struct {
	options Options
	secrets map[string]*material

	mu     sync.Mutex
	gates  map[string]*stepGate
	closed bool
}

// stepGate is the gate of one step. Its listeners take connections that come through the engine.
type stepGate struct {
	*Gate
	step    Step
	forward *handover
	doors   map[Origin]*handover
}

// NewSteps makes the credentials ready. The error joins a *PolicyError or an *UnfitError for all that is wrong.
func NewSteps(o Options) (*Steps, error) {
	var errs []error
	for _, r := range o.Policy.Routes { // together they are checked for each step
		errs = append(errs, r.check())
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	secrets, err := materials(o)
	if err != nil {
		return nil, err
	}
	return &Steps{options: o, secrets: secrets, gates: map[string]*stepGate{}}, nil
}

// Uses tells whether a secret is one that steps use without having it.
func (s *Steps) Uses(id string) bool { return s.secrets[id] != nil }

// StandIn is what a step finds in place of a secret's value: the same text, with phantoms for the credentials in it.
func (s *Steps) StandIn(id string) (secret.Value, bool) {
	m, ok := s.secrets[id]
	if !ok {
		return secret.Value{}, false
	}
	return m.stand, true
}

// Add makes the gate of a step.
func (s *Steps) Add(step Step) error {
	o := s.options
	o.Policy = o.Policy.For(step.Secrets)
	o.Policy.Seal = o.Policy.Seal || step.Seal
	if err := o.Policy.Check(); err != nil {
		return fmt.Errorf("%s: %w", step.Label, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	if known := s.gates[step.Name]; known != nil {
		if !slices.Equal(known.step.Secrets, step.Secrets) || known.step.Seal != step.Seal {
			return fmt.Errorf("%s and %s have one name and other secrets", known.step.Label, step.Label)
		}
		return nil
	}
	g, err := open(o, s.secrets)
	if err != nil {
		return err
	}
	sg := &stepGate{Gate: g, step: step, forward: newHandover(), doors: map[Origin]*handover{}}
	g.start(strictListener{sg.forward, g.malformed("")}, http.HandlerFunc(g.serveForward))
	for _, r := range o.Policy.Routes {
		if r.Listen == 0 || sg.doors[r.Origin] != nil {
			continue
		}
		sg.doors[r.Origin] = newHandover()
		d := &reverseDoor{gate: g, origin: r.Origin, address: doorAddress(r.Listen), step: step.Label}
		g.start(strictListener{sg.doors[r.Origin], g.malformed(r.Origin.String())}, http.HandlerFunc(d.serve))
	}
	s.gates[step.Name] = sg
	return nil
}

func doorAddress(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

// Has tells whether a name is that of a step.
func (s *Steps) Has(name string) bool { return s.gate(name) != nil }

func (s *Steps) gate(name string) *stepGate {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.gates[name]
}

// ErrNoStep is what Serve returns for a name that no step has.
var ErrNoStep = errors.New("the build has no such step")

// Serve takes a connection of a step: shim.Broker is its client. It returns when the connection is answered or handed over.
func (s *Steps) Serve(name string, conn net.Conn) error {
	g := s.gate(name)
	if g == nil {
		conn.Close()
		return ErrNoStep
	}
	_ = conn.SetReadDeadline(time.Now().Add(headerTimeout))
	from := bufio.NewReaderSize(conn, shim.MaxRequest)
	line, err := from.ReadSlice('\n')
	if err != nil {
		conn.Close()
		return fmt.Errorf("a step's connection: %w", err)
	}
	_ = conn.SetReadDeadline(time.Time{})
	var r shim.BrokerRequest
	if err := json.Unmarshal(line, &r); err != nil {
		conn.Close()
		return errors.New("a step's connection begins with no request")
	}
	return g.answer(r, shim.Ahead{Conn: conn, From: from})
}

// ownConn is a connection that the step's shim knows as one of the step's own processes.
type ownConn struct {
	shim.Ahead
	step string // its label
}

func (g *stepGate) answer(r shim.BrokerRequest, conn shim.Ahead) error {
	from := net.Conn(conn)
	if r.Own {
		from = ownConn{conn, g.step.Label}
	}
	switch r.Door {
	case shim.SetUp:
		defer conn.Close()
		line, err := json.Marshal(g.settings(r))
		if err == nil {
			_, err = conn.Write(append(line, '\n'))
		}
		return err
	case shim.Forward:
		g.forward.give(from)
		return nil
	}
	for o, door := range g.doors {
		if o.String() == r.Door {
			door.give(from)
			return nil
		}
	}
	conn.Close()
	return errors.New("a step asked for a door that it does not have")
}

// settings are what the shim puts in place for the step's command.
func (g *stepGate) settings(r shim.BrokerRequest) shim.BrokerSettings {
	out := shim.BrokerSettings{Env: g.environ(r.Address, g.step.Label, r.Bundle, r.NoProxy), CA: string(g.CA())}
	for _, route := range g.policy.Routes {
		d := shim.BrokerDoor{Port: route.Listen, Door: route.Origin.String()}
		if route.Listen != 0 && !slices.Contains(out.Doors, d) {
			out.Doors = append(out.Doors, d)
		}
		if route.Client.Name != "" {
			out.Clients = append(out.Clients, g.client(route, r))
		}
	}
	return out
}

// Close ends everything at once. No credential is used afterwards.
func (s *Steps) Close() error {
	s.mu.Lock()
	s.closed = true
	gates := s.gates
	s.gates = map[string]*stepGate{}
	s.mu.Unlock()
	var errs []error
	for _, g := range gates {
		errs = append(errs, g.Close())
	}
	return errors.Join(errs...)
}

// StepLabel is how the audit calls the step of a line in a Dockerfile.
func StepLabel(line int) string { return fmt.Sprintf("line-%d", line) }
