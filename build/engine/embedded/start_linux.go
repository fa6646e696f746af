package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/tightlip/tightlip/internal/lockfile"
	"golang.org/x/sys/unix"
)

// stopTime is how long Close waits for an engine that stops, and startTime how long Start waits for one that starts.
const (
	stopTime  = 10 * time.Second
	startTime = 30 * time.Second
)

// Engine is a running engine that the caller holds.
type Engine struct {
	address string
	state   string
	conn    *net.UnixConn
	child   *child // nil if somebody else started the engine
}

// Check says which OCI runtime the engine would use, or ErrNoRuntime or ErrNoIDs.
func Check() (string, error) {
	oci, err := findRuntime(searchPath())
	if err == nil && os.Geteuid() != 0 {
		_, _, err = subordinateIDs()
	}
	return oci, err
}

// Start takes hold of the engine of o.StateDir, starting it if nobody has yet.
func Start(ctx context.Context, o Options) (*Engine, error) {
	o, err := o.fill()
	if err != nil {
		return nil, err
	}
	if _, err := Check(); err != nil {
		return nil, err
	}
	for _, dir := range []string{o.StateDir, o.RunDir} {
		if err := makePrivate(dir); err != nil {
			return nil, fmt.Errorf("making the engine's folder: %w", err)
		}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, startTime, fmt.Errorf("the embedded engine did not answer within %s", startTime))
	defer cancel()
	unlock, err := lock(ctx, o.RunDir+"/start.lock")
	if err != nil {
		return nil, fmt.Errorf("waiting for another start of the engine: %w", err)
	}
	defer unlock()

	if conn, err := hold(ctx, o.holdSocket(), o.Keep); err == nil {
		return &Engine{address: "unix://" + o.controlSocket(), state: o.StateDir, conn: conn}, nil
	}
	return spawnAndHold(ctx, o, true)
}

// makePrivate makes a folder that only this user can enter. One that is there already must be like that.
func makePrivate(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if st, ok := info.Sys().(*syscall.Stat_t); !info.IsDir() || !ok || int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("%s belongs to another user", dir)
	}
	return os.Chmod(dir, 0o700)
}

// spawnAndHold starts the engine, once more without a PID namespace where the kernel forbids a new /proc
// (in most containers).
func spawnAndHold(ctx context.Context, o Options, pidNamespace bool) (*Engine, error) {
	c, err := spawn(o, pidNamespace)
	if err != nil {
		return nil, err
	}
	conn, err := waitForHold(ctx, o, c)
	if err == nil {
		return &Engine{address: "unix://" + o.controlSocket(), state: o.StateDir, conn: conn, child: c}, nil
	}
	c.kill()
	if pidNamespace && os.Geteuid() != 0 && strings.Contains(c.log.String(), errNoProc.Error()) {
		return spawnAndHold(ctx, o, false)
	}
	if log := c.log.String(); log != "" {
		return nil, fmt.Errorf("starting the embedded engine: %w: %s", err, log)
	}
	return nil, fmt.Errorf("starting the embedded engine: %w", err)
}

// waitForHold tries until the engine answers, dies, or takes too long.
func waitForHold(ctx context.Context, o Options, c *child) (*net.UnixConn, error) {
	for {
		conn, err := hold(ctx, o.holdSocket(), o.Keep)
		if err == nil {
			return conn, nil
		}
		if own := (*startError)(nil); errors.As(err, &own) {
			return nil, own.error
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-c.done:
			return nil, fmt.Errorf("it ended at once (%w)", c.err)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// Address is where BuildKit's API is served.
func (e *Engine) Address() string { return e.address }

// StateDir is where the engine keeps its state.
func (e *Engine) StateDir() string { return e.state }

// Ended tells whether the engine's process has ended. It can take a moment to be noticed.
func (e *Engine) Ended() bool {
	_ = e.conn.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
	_, err := e.conn.Read(make([]byte, 1))
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)
}

// Close lets go of the engine and, if it stops for that, waits until it has.
func (e *Engine) Close() error {
	defer e.conn.Close()
	_ = e.conn.CloseWrite()
	_ = e.conn.SetReadDeadline(time.Now().Add(stopTime))
	_, err := e.conn.Read(make([]byte, 1))
	switch {
	case !errors.Is(err, os.ErrDeadlineExceeded):
		return nil
	case e.child == nil:
		return fmt.Errorf("the embedded engine, which another process started, did not stop within %s", stopTime)
	}
	e.child.kill()
	return fmt.Errorf("the embedded engine did not stop within %s and was killed", stopTime)
}

// child is an engine process that this process started.
type child struct {
	cmd  *exec.Cmd
	log  *tail
	done chan struct{} // closed when the process has ended
	err  error
}

func (c *child) kill() {
	_ = c.cmd.Process.Kill()
	<-c.done
}

// spawn starts the engine in namespaces of its own. It gets none of our environment but what it needs:
// the secrets of a build often stand in variables.
func spawn(o Options, pidNamespace bool) (*child, error) {
	argv := o.Command
	if len(argv) == 0 {
		argv = []string{"/proc/self/exe", "engine", "serve"}
	}
	argv = append(argv[:len(argv):len(argv)], "--state", o.StateDir, "--run", o.RunDir,
		"--cache", strconv.FormatInt(o.CacheLimit, 10))
	if !pidNamespace {
		argv = append(argv, "--no-pid-namespace")
	}
	if os.Geteuid() != 0 {
		argv = append(argv, "--user-namespace")
	}
	c := &child{cmd: exec.Command(argv[0], argv[1:]...), log: &tail{}, done: make(chan struct{})}
	c.cmd.Env = environment(o)
	c.cmd.Stderr = c.log
	c.cmd.WaitDelay = time.Second
	attr := &syscall.SysProcAttr{Setsid: true, Cloneflags: syscall.CLONE_NEWNS}
	if pidNamespace {
		attr.Cloneflags |= syscall.CLONE_NEWPID
	}
	c.cmd.SysProcAttr = attr
	start := c.cmd.Start
	if os.Geteuid() != 0 {
		attr.Cloneflags |= syscall.CLONE_NEWUSER
		start = func() error { return startMapped(c.cmd) }
	}
	if err := start(); err != nil {
		return nil, fmt.Errorf("starting the embedded engine: %w", err)
	}
	go func() {
		c.err = c.cmd.Wait()
		close(c.done)
	}()
	return c, nil
}

// lock waits for the lock of a file.
func lock(ctx context.Context, name string) (unlock func(), err error) {
	for {
		unlock, err := lockfile.Lock(name)
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return unlock, err
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
