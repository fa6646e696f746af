package shim

import (
	"bufio"
	"net"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/tightlip/tightlip/internal/enginetest"
)

// TestRootOnly connects as root and as another user.
func TestRootOnly(t *testing.T) {
	enginetest.NeedRoot(t)
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	only := RootOnly(l)
	defer only.Close()
	go func() {
		for {
			c, err := only.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte("in\n"))
			c.Close()
		}
	}()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	for uid, want := range map[uint32]string{0: "in\n", 65534: ""} {
		cmd := exec.Command(enginetest.Tool(t, "busybox"), "nc", "127.0.0.1", port)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
		cmd.Stdin, _ = os.Open(os.DevNull)
		out, _ := cmd.StdoutPipe()
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		got, _ := bufio.NewReader(out).ReadString('\n')
		_ = cmd.Wait()
		if got != want {
			t.Errorf("user %d got %q, want %q", uid, got, want)
		}
	}
}
