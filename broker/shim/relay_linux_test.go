package shim_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tightlip/tightlip/broker"
	"github.com/tightlip/tightlip/broker/shim"
)

// streams is a pair of pipes as one connection.
type streams struct {
	io.Reader
	io.Writer
	close func() error
}

func (s streams) Close() error { return s.close() }

// relayProcess is the shim as a relay in a process of its own.
func relayProcess(t *testing.T, args ...string) (*exec.Cmd, streams) {
	t.Helper()
	program, err := builtShim()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "shim")
	if err := os.WriteFile(path, program, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, append([]string{"relay"}, args...)...)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = new(strings.Builder)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd, streams{out, in, func() error { return errors.Join(in.Close(), out.Close()) }}
}

// endsWith checks that a relay ends soon, and why.
func endsWith(t *testing.T, cmd *exec.Cmd, text string) {
	t.Helper()
	timer := time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	err := cmd.Wait()
	if stderr := cmd.Stderr.(*strings.Builder).String(); cmd.ProcessState.ExitCode() != 1 || !strings.Contains(stderr, text) {
		t.Errorf("%v, %s, want %s", err, stderr, text)
	}
}

func TestRelayLosesStdin(t *testing.T) {
	cmd, rw := relayProcess(t, "--listen", "127.0.0.1:0")
	relay, err := broker.Attach(t.Context(), rw)
	if err != nil {
		t.Fatal(err)
	}
	if err := relay.Close(); err != nil {
		t.Error(err)
	}
	endsWith(t, cmd, "tightlip: the connection to tightlip is lost")
}

func TestRelayDeadline(t *testing.T) {
	cmd, rw := relayProcess(t, "--listen", "127.0.0.1:0", "--deadline", "300ms")
	relay, err := broker.Attach(t.Context(), rw)
	if err != nil {
		t.Fatal(err)
	}
	defer relay.Close()
	endsWith(t, cmd, "tightlip: the relay ends after 300ms")
	if conn, err := relay.Accept(); err == nil {
		t.Errorf("accepted %v", conn)
	}
}

func TestRelayCannotListen(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cmd, rw := relayProcess(t, "--listen", l.Addr().String())
	if _, err := broker.Attach(t.Context(), rw); err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("got %v", err)
	}
	endsWith(t, cmd, "address already in use")
}

func TestRelayUsage(t *testing.T) {
	for _, args := range [][]string{{}, {"--listen"}, {"--odd", "x"}, {"--listen", "127.0.0.1:0", "--deadline", "soon"}} {
		cmd, rw := relayProcess(t, args...)
		endsWith(t, cmd, "tightlip: ")
		rw.Close()
	}
}

// TestRelayContext also checks that the connections end with the relay.
func TestRelayContext(t *testing.T) {
	here, there := net.Pipe()
	ctx, cancel := context.WithCancelCause(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- shim.Relay(ctx, "127.0.0.1:0", there, time.Hour) }()
	relay, err := broker.Attach(t.Context(), here)
	if err != nil {
		t.Fatal(err)
	}
	defer relay.Close()
	var d net.Dialer
	client, err := d.DialContext(t.Context(), "tcp", (&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: relay.Port()}).String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server, err := relay.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(server, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	enough := errors.New("enough")
	cancel(enough)
	if err := <-ended; !errors.Is(err, enough) {
		t.Errorf("got %v", err)
	}
	for _, c := range []net.Conn{client, server} {
		_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the connection is still open: %v", err)
		}
	}
}
