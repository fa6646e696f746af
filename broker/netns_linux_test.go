package broker_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/tightlip/tightlip/broker"
	"github.com/tightlip/tightlip/internal/enginetest"
)

// ownNetwork starts a process in a network of its own, which has no interface that is up.
func ownNetwork(t *testing.T) (path string) {
	t.Helper()
	enginetest.NeedRoot(t)
	cmd := exec.Command(enginetest.Tool(t, "busybox"), "sleep", "600")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return fmt.Sprintf("/proc/%d/ns/net", cmd.Process.Pid)
}

func TestListenIn(t *testing.T) {
	path := ownNetwork(t)
	here, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			l, err := broker.ListenIn(t.Context(), path, fmt.Sprintf("0.0.0.0:%d", 7000+i))
			if err != nil {
				t.Error(err)
				return
			}
			defer l.Close()
			if conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", 7000+i)); err == nil {
				conn.Close()
				t.Error("it listens in this network")
			}
			if now, err := os.Readlink("/proc/thread-self/ns/net"); now != here || err != nil {
				t.Errorf("this thread is in %s, %v", now, err)
			}
		})
	}
	wg.Wait()
	there, err := os.ReadFile(strings.TrimSuffix(path, "ns/net") + "net/tcp")
	if err != nil || len(there) == 0 {
		t.Error(err)
	}
}

func TestListenInErrors(t *testing.T) {
	path := ownNetwork(t)
	l, err := broker.ListenIn(t.Context(), path, "0.0.0.0:7913")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, tt := range []struct{ path, address, want string }{
		{path, "0.0.0.0:7913", "address already in use"},
		{path, "0.0.0.0:70000", "invalid port"},
		{"/proc/self/ns/mnt", "0.0.0.0:0", "invalid argument"},
		{"/nonesuch", "0.0.0.0:0", "no such file"},
		{"/etc/passwd", "0.0.0.0:0", "invalid argument"},
	} {
		if l, err := broker.ListenIn(t.Context(), tt.path, tt.address); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s, %s: %v, %v", tt.path, tt.address, l, err)
		}
	}
}
