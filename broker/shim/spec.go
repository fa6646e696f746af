// Package shim is what happens inside a build's step where the builder has no mounts: secrets and SSH agents come over a
// loopback connection, the step's command runs with them in place, and nothing of them stays.
package shim

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
)

// Spec is what a step needs: the arguments of the shim, which stand in the image's history.
type Spec struct {
	Mounts []Mount
	User   string // whom the command runs as, as USER has it; empty is whoever runs the shim
	// Broker is the socket that leads to the broker, or serverPrefix and the id under which the server does; empty: the step has none.
	Broker string
	// Rehearsal lets the step succeed although its command fails: without the real secrets, it may have no chance.
	Rehearsal bool
	Changed   []string // opaque texts that make the step another one for the builder's cache
	Command   []string
}

// Kind is a kind of mount.
type Kind string

// The kinds of mounts, as RUN --mount=type= names them. Script is the one of a heredoc that begins with #!.
const (
	Secret Kind = "secret"
	SSH    Kind = "ssh"
	Tmpfs  Kind = "tmpfs"
	Bind   Kind = "bind" // of the build context
	Script Kind = "script"
	// Through is a connection to the broker. It is no mount.
	Through Kind = "broker"
)

// AtServer is a Spec.Broker that the server leads to.
func AtServer(id string) string { return serverPrefix + id }

const serverPrefix = "server:"

// Mount is a mount of a step, with BuildKit's defaults filled in.
type Mount struct {
	Kind     Kind
	ID       string      // of a secret or agent; the path in the build context
	Target   string      // an absolute path, of Bind also one in the working directory; empty for a secret that is only a variable
	Env      string      // the variable of a secret
	Mode     fs.FileMode // permissions of the file or socket
	UID, GID int
	Required bool
	Text     string // of a script
}

// Args writes a spec as arguments. They are the same for the same spec.
func (s Spec) Args() []string {
	var args []string
	for _, m := range s.Mounts {
		args = append(args, m.args()...)
	}
	for _, c := range s.Changed {
		args = append(args, "--changed", c)
	}
	if s.User != "" {
		args = append(args, "--user", s.User)
	}
	if s.Broker != "" {
		args = append(args, "--broker", s.Broker)
	}
	if s.Rehearsal {
		args = append(args, "--rehearsal")
	}
	return append(append(args, "--"), s.Command...)
}

func (m Mount) args() []string {
	args := []string{"--" + string(m.Kind), m.ID}
	add := func(name, value string) { args = append(args, "--"+name, value) }
	if m.Target != "" {
		add("target", m.Target)
	}
	if m.Env != "" {
		add("env", m.Env)
	}
	if m.Mode != 0 {
		add("mode", fmt.Sprintf("%04o", m.Mode))
	}
	if m.UID != 0 {
		add("uid", strconv.Itoa(m.UID))
	}
	if m.GID != 0 {
		add("gid", strconv.Itoa(m.GID))
	}
	if m.Text != "" {
		add("text", m.Text)
	}
	if m.Required {
		args = append(args, "--required")
	}
	return args
}

// ParseArgs is the inverse of Args.
func ParseArgs(args []string) (Spec, error) {
	var s Spec
	for len(args) > 0 {
		flag := args[0]
		args = args[1:]
		switch flag {
		case "--":
			s.Command = args
			if len(args) == 0 {
				return s, errors.New("there is no command")
			}
			return s, nil
		case "--rehearsal":
			s.Rehearsal = true
			continue
		case "--required":
			if len(s.Mounts) == 0 {
				return s, errors.New("--required without a mount")
			}
			s.Mounts[len(s.Mounts)-1].Required = true
			continue
		}
		if len(args) == 0 {
			return s, fmt.Errorf("%s has no value", flag)
		}
		if err := s.set(flag, args[0]); err != nil {
			return s, err
		}
		args = args[1:]
	}
	return s, errors.New("there is no command")
}

func (s *Spec) set(flag, value string) (err error) {
	switch flag {
	case "--user":
		s.User = value
		return nil
	case "--broker":
		s.Broker = value
		return nil
	case "--changed":
		s.Changed = append(s.Changed, value)
		return nil
	case "--" + string(Secret), "--" + string(SSH), "--" + string(Tmpfs), "--" + string(Bind), "--" + string(Script):
		s.Mounts = append(s.Mounts, Mount{Kind: Kind(flag[2:]), ID: value})
		return nil
	}
	if len(s.Mounts) == 0 {
		return fmt.Errorf("%s without a mount", flag)
	}
	m := &s.Mounts[len(s.Mounts)-1]
	switch flag {
	case "--target":
		m.Target = value
	case "--env":
		m.Env = value
	case "--text":
		m.Text = value
	case "--mode":
		var mode uint64
		mode, err = strconv.ParseUint(value, 8, 32)
		m.Mode = fs.FileMode(mode)
	case "--uid":
		m.UID, err = strconv.Atoi(value)
	case "--gid":
		m.GID, err = strconv.Atoi(value)
	default:
		return fmt.Errorf("unknown flag %s", flag)
	}
	return err
}
