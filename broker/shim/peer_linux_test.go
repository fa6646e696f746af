package shim

import (
	"bufio"
	"net"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/tightlip/tightlip/internal/enginetest"
	"golang.org/x/sys/unix"
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

// TestPeer knows whose connection it is, also of clients that speak IPv4 through IPv6.
func TestPeer(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).Port
	for name, client := range map[string]struct {
		family  int
		address unix.Sockaddr
	}{
		"IPv4":              {unix.AF_INET, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}},
		"IPv4 through IPv6": {unix.AF_INET6, &unix.SockaddrInet6{Port: port, Addr: [16]byte{10: 0xff, 11: 0xff, 12: 127, 15: 1}}},
	} {
		fd, err := unix.Socket(client.family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Logf("%s: this system has none: %v", name, err)
			continue
		}
		if err := unix.Connect(fd, client.address); err != nil {
			t.Fatal(name, err)
		}
		conn, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if uid, _, err := peer(conn); err != nil || uid != os.Geteuid() || !ofStep(conn) || !ownProcess(conn) {
			t.Errorf("%s: user %d, %v, of the step: %t, a process of it: %t", name, uid, err, ofStep(conn), ownProcess(conn))
		}
		unix.Close(fd)
		if ownProcess(conn) {
			t.Errorf("%s: a connection that nobody has open is a process's", name)
		}
		conn.Close()
	}
}
