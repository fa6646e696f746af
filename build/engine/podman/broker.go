package podman

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"

	"github.com/tightlip/tightlip/broker/shimbin"
	"github.com/tightlip/tightlip/build"
	"github.com/tightlip/tightlip/dockerfile/translate"
)

// networkFlag is the minor version of buildah 1 in which RUN has a flag for the network.
const networkFlag = 30

// Brokers implements build.Brokers.
func (e *Engine) Brokers(r *build.Request) error {
	if !r.Rehearse && r.Network != "none" && !e.info.atLeast(networkFlag) && slices.ContainsFunc(r.Secrets, func(s build.Secret) bool { return s.Seal }) {
		return refuse("--network none for all steps, --engine docker or --engine embedded", "the buildah in this %s (%s) cannot take the network from one step (seal)", e.tool, e.info.buildah)
	}
	if chroot() {
		return refuse("unset BUILDAH_ISOLATION, or --engine embedded", "with BUILDAH_ISOLATION=chroot, steps have no network and no /dev of their own to reach the broker in")
	}
	return nil
}

// brokerSteps makes the folder that each translated step mounts: the shim, and the socket of the broker. It returns the arguments by
// which the tool knows the folders.
func (b *result) brokerSteps(steps []translate.Step) (args []string, err error) {
	shim := sync.OnceValues(func() ([]byte, error) { return shimbin.For(runtime.GOARCH) })
	for _, s := range steps {
		context := s.Context()
		dir := filepath.Join(b.dir, context)
		if !s.Wrapped || slices.Contains(args, context+"="+dir) {
			continue
		}
		if err := os.Mkdir(dir, 0o755); err != nil {
			return nil, err
		}
		program, err := shim()
		if err != nil {
			return nil, err
		}
		if err := errors.Join(os.WriteFile(filepath.Join(dir, translate.ShimFile), program, 0o755), os.Chmod(dir, 0o755)); err != nil {
			return nil, err
		}
		args = append(args, "--build-context", context+"="+dir)
		if s.Broker == "" {
			continue
		}
		if err := b.job.AddStep(s); err != nil {
			return nil, err
		}
		socket := filepath.Join(dir, translate.SocketFile)
		if err := b.serveSocket(socket, func(conn net.Conn) { _ = b.job.Broker.Serve(s.Broker, conn) }); err != nil {
			return nil, err
		}
		if err := os.Chmod(socket, 0o666); err != nil { // for any USER
			return nil, err
		}
	}
	return args, nil
}

// serveSocket answers the connections to a socket. The folder of the build is for its user alone, so that only steps that mount the
// socket reach it.
func (b *result) serveSocket(socket string, serve func(net.Conn)) error {
	// The path may be longer than a socket's address.
	dir, err := os.Open(filepath.Dir(socket))
	if err != nil {
		return err
	}
	defer dir.Close()
	short := filepath.Join("/proc/self/fd", strconv.Itoa(int(dir.Fd())), filepath.Base(socket))
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: short, Net: "unix"})
	if err != nil {
		return err
	}
	l.SetUnlinkOnClose(false)
	b.sockets = append(b.sockets, l)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go serve(conn)
		}
	}()
	return nil
}

// closeSockets ends the way to the broker and the agents.
func (b *result) closeSockets() {
	for _, l := range b.sockets {
		l.Close()
	}
	b.sockets = nil
}
