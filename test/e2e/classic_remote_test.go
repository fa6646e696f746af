package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

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
	host, user := filepath.Join(dir, "host"), filepath.Join(dir, "user")
	for _, key := range []string{host, user} {
		if err := conformance.NewKey(key); err != nil {
			t.Fatal(err)
		}
	}
	public := func(key string) string {
		out, err := exec.Command("ssh-keygen", "-y", "-f", key).Output()
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(out))
	}
	address := enginetest.FreeAddress(t)
	_, port, _ := net.SplitHostPort(address)
	program, err := exec.LookPath(b.Command("docker").Path)
	if err != nil {
		t.Fatal(err)
	}
	keys := file("keys", "command=\"DOCKER_HOST=%s %s system dial-stdio\" %s\n", docker.Host, program, public(user))
	config := file("sshd_config", "ListenAddress 127.0.0.1\nPort %s\nHostKey %s\nAuthorizedKeysFile %s\nStrictModes no\nUsePAM no\nPermitRootLogin yes\nPidFile none\n", port, host, keys)
	if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(enginetest.Tool(t, "sshd"), "-D", "-e", "-f", config)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	enginetest.Eventually(t, 10*time.Second, "sshd answers", func() bool {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	known := file("known", "[127.0.0.1]:%s %s\n", port, public(host))
	client := file("ssh_config", "IdentityFile %s\nUserKnownHostsFile %s\nIdentitiesOnly yes\n", user, known)
	bin := b.Write("bin/ssh", fmt.Appendf(nil, "#!/bin/sh\nexec /usr/bin/ssh -F %s \"$@\"\n", client))
	if err := os.Chmod(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	b.Env["PATH"] = filepath.Dir(bin) + ":" + b.Env["PATH"]
	return "ssh://root@" + address
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
	if got := b.Docker("run", "--rm", "--network", "none", "over-ssh"); got != size {
		t.Errorf("the image printed %q, not %q", got, size)
	}
	if left := b.Docker("ps", "-aq", "--filter", "label=io.github.tightlip"); left != "" {
		t.Errorf("containers are left: %s", left)
	}
	b.Docker("rmi", "-f", "over-ssh")
}
