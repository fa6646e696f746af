package shim

import (
	"context"
	"net"
	"sync"
)

// mountAgent makes a socket in memory that leads to an SSH agent, and a link to it at the mount's target.
func (s *step) mountAgent(i int, m Mount) error {
	// A socket's path has at most 108 bytes, so the target's name is not repeated in it.
	path, err := s.inMemory(i, "agent")
	if err != nil {
		return err
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	s.later(func() error {
		cancel()
		l.Close()
		all.Wait()
		return nil
	})
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { s.talk(ctx, m.ID, conn) })
		}
	})
	if err := own(path, m, 0o600); err != nil {
		return err
	}
	return s.link(path, m.Target)
}

// talk connects one client to the agent.
func (s *step) talk(ctx context.Context, id string, conn net.Conn) {
	defer conn.Close()
	agent, from, err := s.client.agent(ctx, id)
	if err != nil {
		if ctx.Err() == nil {
			s.note("SSH agent %q: %v", id, err)
		}
		return
	}
	defer agent.Close()
	defer context.AfterFunc(ctx, func() {
		conn.Close()
		agent.Close()
	})()
	Join(conn, agent, from)
}
