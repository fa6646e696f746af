package broker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// ListenIn listens inside a network namespace, such as /proc/PID/ns/net. The caller must be allowed to enter it.
func ListenIn(ctx context.Context, netns, address string) (net.Listener, error) {
	there, err := os.Open(netns)
	if err != nil {
		return nil, err
	}
	defer there.Close()
	var l net.Listener
	done := make(chan struct{})
	// A thread that cannot go back ends with its goroutine.
	go func() {
		defer close(done)
		l, err = listenThere(ctx, there, address)
	}()
	<-done
	if err != nil {
		return nil, fmt.Errorf("listening in the network namespace %s: %w", netns, err)
	}
	return l, nil
}

func listenThere(ctx context.Context, there *os.File, address string) (net.Listener, error) {
	runtime.LockOSThread()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		runtime.UnlockOSThread()
		return nil, err
	}
	defer home.Close()
	if err := unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return nil, err
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); back != nil {
		if l != nil {
			l.Close()
		}
		return nil, errors.Join(err, back)
	}
	runtime.UnlockOSThread()
	return l, err
}
