package podman

import (
	"context"
	"net"
	"os"
	"path/filepath"

	"github.com/tightlip/tightlip/broker/shim"
	"github.com/tightlip/tightlip/broker/sshagent"
	"github.com/tightlip/tightlip/dockerfile/translate"
)

// agentsName is the context with the sockets of the SSH agents.
const agentsName = "tightlip-agents"

// agentsContext is empty if the tool itself gives agents to steps.
func (b *result) agentsContext() string {
	if len(b.job.Request.SSH) > 0 && b.job.Request.HasSSHPolicy() {
		return agentsName
	}
	return ""
}

func (b *result) hasAgent(id string) bool {
	specs, _ := sshagent.ParseSpecs(b.job.Request.SSH)
	for _, s := range specs {
		if s.ID == id {
			return true
		}
	}
	return false
}

// agentSockets makes the sockets that steps mount, and returns the arguments by which the tool knows them.
func (b *result) agentSockets(sockets map[string]translate.Socket) ([]string, error) {
	if b.agentsContext() == "" {
		return nil, nil
	}
	agents, err := b.job.Agents()
	if err != nil || len(sockets) == 0 {
		return nil, err
	}
	dir := filepath.Join(b.dir, agentsName)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	for name, s := range sockets {
		socket := filepath.Join(dir, name)
		if err := b.serveSocket(socket, func(conn net.Conn) { talk(agents, s.ID, conn) }); err != nil {
			return nil, err
		}
		if err := os.Chmod(socket, s.Mode); err != nil {
			return nil, err
		}
		if s.UID == 0 && s.GID == 0 {
			continue
		}
		if err := os.Chown(socket, s.UID, s.GID); err != nil {
			return nil, refuse("mode=0666 instead of uid= and gid=", "giving the SSH agent %s to another user takes root: %w", s.ID, err)
		}
	}
	return []string{"--build-context", agentsName + "=" + dir}, nil
}

// talk connects a client to an agent, for as long as both want.
func talk(agents *sshagent.Agents, id string, conn net.Conn) {
	defer conn.Close()
	agent, err := agents.Open(context.Background(), id)
	if err != nil {
		return
	}
	defer agent.Close()
	shim.Join(conn, agent, agent)
}
