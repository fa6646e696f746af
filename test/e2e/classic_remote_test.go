package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/tightlip/tightlip/conformance"
	"github.com/tightlip/tightlip/internal/enginetest"
)

// sshTo starts an sshd whose only command is the way to a Docker, and returns DOCKER_HOST for it. The box's ssh trusts it.
func sshTo(t *testing.T, b *enginetest.Box, docker *enginetest.Docker) string {
	t.Helper()
	dir := t.TempDir()
	file := func(name, format string, args ...any) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, fmt.Appendf(nil, format, args...), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	user := filepath.Join(dir, "user")
	if err := conformance.NewKey(user); err != nil {
		t.Fatal(err)
	}
	public, err := exec.Command("ssh-keygen", "-y", "-f", user).Output()
	if err != nil {
		t.Fatal(err)
	}
	file("authorized_keys", "command=\"DOCKER_HOST=%s %s system dial-stdio\" %s", docker.Host, b.Command("docker").Path, public)
	port := enginetest.StartSSHD(t, dir)
	client := file("ssh_config", "IdentityFile %s\nUserKnownHostsFile %s/known_hosts\nIdentitiesOnly yes\n", user, dir)
	bin := b.Write("bin/ssh", fmt.Appendf(nil, "#!/bin/sh\nexec /usr/bin/ssh -F %s \"$@\"\n", client))
	if err := os.Chmod(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	b.Env["PATH"] = filepath.Dir(bin) + ":" + b.Env["PATH"]
	return "ssh://root@127.0.0.1:" + port
}

// TestClassicOverSSH builds with a Docker behind SSH: nothing there has a way back to us but that connection.
func TestClassicOverSSH(t *testing.T) {
	docker := enginetest.StartDocker(t)
	b := enginetest.NewBox(t, docker)
	value := withSecret(b, clean)
	local := b.Env["DOCKER_HOST"]
	b.Env["DOCKER_HOST"] = sshTo(t, b, docker)
	r := buildWith(b, "classic", "-t", "over-ssh", "--no-cache")
	wantCode(t, r, 0)
	wantText(t, r.Stderr, "proven: npm", `a step asked for secret "npm": 200`)
	enginetest.NoTraces(t, "the output", r.All(), value)
	b.Write("Dockerfile", []byte(leaky))
	wantCode(t, buildWith(b, "classic", "-t", "over-ssh-leak", "--no-cache"), 3)
	b.Env["DOCKER_HOST"] = local
	if got := printedBy(b, "over-ssh"); got != size {
		t.Errorf("the image printed %q, not %q", got, size)
	}
	if left := b.Docker("ps", "-aq", "--filter", "label=io.github.tightlip"); left != "" {
		t.Errorf("containers are left: %s", left)
	}
	b.Docker("rmi", "-f", "over-ssh")
}
