package enginetest

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// StartSSHD starts an sshd for one test, and returns its port of 127.0.0.1. The keys host and authority in dir are the host's and
// that of who signs users' certificates; they are made if they are not there. It lets in those certificates and whom
// authorized_keys in dir names, also later, and its line for clients is in known_hosts there. More lines may be in its
// configuration, in which DIR is dir.
func StartSSHD(t testing.TB, dir string, lines ...string) (port string) {
	t.Helper()
	address := FreeAddress(t)
	_, port, _ = net.SplitHostPort(address)
	in := func(name string) string { return filepath.Join(dir, name) }
	for _, key := range []string{"host", "authority"} {
		if _, err := os.Stat(in(key)); err == nil {
			continue
		}
		if out, err := exec.Command(Tool(t, "ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", in(key)).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	public, err := os.ReadFile(in("host.pub"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, in("known_hosts"), append([]byte("[127.0.0.1]:"+port+" "), public...))
	if err := os.MkdirAll("/run/sshd", 0o755); err != nil { // where sshd puts those whom it does not know yet
		t.Fatal(err)
	}
	config := `ListenAddress 127.0.0.1
HostKey DIR/host
AuthorizedKeysFile DIR/authorized_keys
TrustedUserCAKeys DIR/authority.pub
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin yes
PidFile none
Port ` + port + "\n" + strings.Join(lines, "\n") + "\n"
	write(t, in("sshd_config"), []byte(strings.ReplaceAll(config, "DIR", dir)))
	cmd := exec.Command(Tool(t, "sshd"), "-D", "-E", in("sshd.log"), "-f", in("sshd_config"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if stop(cmd, time.Second); t.Failed() {
			log, _ := os.ReadFile(in("sshd.log"))
			t.Logf("sshd:\n%s", log)
		}
	})
	Eventually(t, 10*time.Second, "sshd answers", func() bool {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return port
}
