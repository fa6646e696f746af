package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
)

// patience is how long a new engine waits for its first holder.
const patience = 10 * time.Second

// Serve is the engine: it runs until nobody holds it. It expects to be alone in new mount, PID and, unless root
// started it, user namespaces.
func Serve(ctx context.Context, o ServeOptions) error {
	// By hand it would change the mounts of the whole machine.
	if o.StateDir == "" || os.Getpid() != 1 && !o.NoPIDNamespace {
		return errors.New("the engine is started by builds, and not by hand")
	}
	// Who it is cannot tell: the ids may or may not be there by now.
	if o.UserNamespace && !o.Mapped {
		return enterUserNamespace()
	}
	// Its standard error may be a pipe to a holder that died; that must not kill it.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := isolate(o); err != nil {
		return err
	}
	logrus.SetOutput(io.Discard)

	opts := Options{StateDir: o.StateDir, RunDir: o.RunDir}
	control, err := listen(opts.controlSocket())
	if err != nil {
		return err
	}
	holdSocket, err := listen(opts.holdSocket())
	if err != nil {
		return err
	}
	h := newHolders(patience)
	ready := make(chan struct{})
	var server *grpc.Server
	var shut func() error
	var startErr error
	go h.serve(holdSocket, func() error { <-ready; return startErr })
	server, shut, startErr = newServer(ctx, o)
	close(ready)
	if startErr != nil {
		<-h.idle // let the holder hear of it
		return startErr
	}
	go func() { _ = server.Serve(control) }()
	select {
	case <-h.idle:
	case <-ctx.Done():
	}
	return stopServer(server, shut, control, holdSocket)
}

// stopServer ends running builds and closes the databases. The sockets' files go first, so that nobody finds an
// engine that is about to end.
func stopServer(server *grpc.Server, shut func() error, listeners ...net.Listener) error {
	for _, l := range listeners {
		l.Close()
	}
	timer := time.AfterFunc(2*time.Second, server.Stop)
	defer timer.Stop()
	server.GracefulStop()
	done := make(chan error, 1)
	go func() { done <- shut() }()
	select {
	case err := <-done:
		return err
	case <-time.After(3 * time.Second):
		return errors.New("closing the engine's databases took too long")
	}
}

// isolate keeps mounts from reaching the host and gives a new PID namespace its /proc.
func isolate(o ServeOptions) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("making the engine's mounts private: %w", err)
	}
	if !o.NoPIDNamespace {
		if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
			return fmt.Errorf("%w: %w", errNoProc, err)
		}
	}
	tmp := filepath.Join(o.StateDir, "tmp")
	if err := errors.Join(os.RemoveAll(tmp), os.MkdirAll(tmp, 0o700)); err != nil {
		return err
	}
	for _, name := range []string{"overlayfs", "native"} {
		if err := inMemory(filepath.Join(o.StateDir, "runc-"+name, "executor")); err != nil {
			return err
		}
	}
	return nil
}

// inMemory empties a folder and keeps what is put there off the disk. BuildKit writes each step's runtime configuration into its
// executor's folder, with the secrets that a step mounts as variables; a killed engine would leave it there.
func inMemory(dir string) error {
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o711)); err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0711"); err != nil {
		return fmt.Errorf("keeping the steps' configuration in memory: %w", err)
	}
	return nil
}

// listen makes a socket that only this user can reach.
func listen(path string) (net.Listener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("listening for builds: %w", err)
	}
	return l, os.Chmod(path, 0o600)
}
