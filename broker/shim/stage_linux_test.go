package shim_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tightlip/tightlip/broker"
	"github.com/tightlip/tightlip/broker/shim"
	"github.com/tightlip/tightlip/internal/enginetest"
	"github.com/tightlip/tightlip/secret"
)

const port = 7913

const passwd = `root:x:0:0:root:/root:/bin/sh
app:x:1000:1000:An app:/home/app:/bin/sh
nohome:x:1001:1001:::
`

const group = `root:x:0:
app:x:1000:
docker:x:2000:someone,app
audio:x:2001:app
other:x:2002:someone
`

// builtShim is the shim, built once for all tests of the package.
var builtShim = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "shim")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "shim")
	cmd := exec.Command("go", "build", "-o", path, "../../cmd/tightlip-shim")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, out)
	}
	return os.ReadFile(path)
})

// values are the secrets of a build.
type values map[string][]byte

func (v values) Get(_ context.Context, id string) (secret.Value, error) {
	b, ok := v[id]
	if !ok {
		return secret.Value{}, secret.ErrNotFound
	}
	return secret.NewValue(b), nil
}

// container is a root file system as steps have it, and namespaces to run them in.
type container struct {
	t      *testing.T
	root   string
	server *broker.Server
	env    []string
	dir    string                 // the working directory
	noShm  bool                   // leave out /dev/shm
	noMem  bool                   // leave out the tmpfs on /dev, too
	usr    bool                   // with the machine's own programs
	serve  func(l net.Listener)   // instead of the server
	during func(step *os.Process) // while the step runs
}

// newContainer makes a root file system whose folders have times of long ago.
func newContainer(t *testing.T, o broker.Options) *container {
	t.Helper()
	enginetest.NeedRoot(t)
	c := &container{t: t, root: t.TempDir(), server: broker.New(o), dir: "/"}
	t.Cleanup(func() { c.server.Close() })
	c.env = []string{"PATH=/bin", "HOME=/root", "NO_PROXY=" + c.server.Element(port)}
	for _, dir := range []string{"bin", "etc", "dev", "proc", "root", "home/app", "tmp", "usr"} {
		if err := os.MkdirAll(filepath.Join(c.root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	busybox, err := os.ReadFile(enginetest.Tool(t, "busybox"))
	if err != nil {
		t.Fatal(err)
	}
	c.write("bin/busybox", string(busybox), 0o755)
	for _, name := range []string{"sh", "cat", "ls", "stat", "env", "sleep", "id", "rm", "mv", "mkdir", "touch", "echo", "kill", "readlink", "ps", "pwd", "true", "wc", "sha256sum", "ln"} {
		if err := os.Symlink("busybox", filepath.Join(c.root, "bin", name)); err != nil {
			t.Fatal(err)
		}
	}
	c.write("etc/passwd", passwd, 0o644)
	c.write("etc/group", group, 0o644)
	return c
}

func (c *container) write(path, content string, mode fs.FileMode) {
	c.t.Helper()
	path = filepath.Join(c.root, path)
	err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), mode), os.Chmod(path, mode))
	if err != nil {
		c.t.Fatal(err)
	}
}

// outcome is how a step ended.
type outcome struct {
	code           int
	stdout, stderr string
	changed        []string // what differs in the file system
}

// sh runs a step whose command is a shell script.
func (c *container) sh(script string, mounts ...shim.Mount) outcome {
	c.t.Helper()
	return c.run(shim.Spec{Mounts: mounts, Command: []string{"/bin/sh", "-c", script}})
}

// run runs a step as the first process of new namespaces, and compares the file system with what it was.
func (c *container) run(spec shim.Spec) outcome {
	c.t.Helper()
	program, err := builtShim()
	if err != nil {
		c.t.Fatal(err)
	}
	c.write("../"+filepath.Base(c.root)+".shim", string(program), 0o755)
	c.age()
	before := c.snapshot()

	self, err := os.Executable()
	if err != nil {
		c.t.Fatal(err)
	}
	readyR, readyW := c.pipe()
	goR, goW := c.pipe()
	var out outcome
	var stdout, stderr bytes.Buffer
	cmd := exec.Command(self, spec.Args()...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.Env = append(c.env, "TIGHTLIP_TEST_STAGE="+c.root, fmt.Sprintf("TIGHTLIP_TEST_HOW=%s %v %v %v", c.dir, c.noShm, c.noMem, c.usr))
	cmd.ExtraFiles = []*os.File{readyW, goR}
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = 20 * time.Second
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	readyW.Close()
	goR.Close()
	if _, err := readyR.Read(make([]byte, 1)); err != nil {
		_ = cmd.Wait()
		c.t.Fatalf("setting the container up: %v\n%s", err, &stderr)
	}
	stop := c.listen(cmd.Process.Pid)
	goW.Close()
	if c.during != nil {
		c.during(cmd.Process)
	}
	timer := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	err = cmd.Wait()
	timer.Stop()
	stop()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		c.t.Fatal(err)
	}
	out.code, out.stdout, out.stderr = cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()
	out.changed = differences(before, c.snapshot())
	return out
}

func (c *container) pipe() (r, w *os.File) {
	c.t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() {
		r.Close()
		w.Close()
	})
	return r, w
}

// listen serves in the network of the step.
func (c *container) listen(pid int) (stop func()) {
	c.t.Helper()
	l, err := broker.ListenIn(c.t.Context(), fmt.Sprintf("/proc/%d/ns/net", pid), fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		c.t.Fatal(err)
	}
	if c.serve != nil {
		go c.serve(l)
	} else {
		go func() { _ = c.server.Serve(l) }()
	}
	return func() { l.Close() }
}

// age gives everything an old time with nanoseconds. The access time is in the future, or reading would change it.
func (c *container) age() {
	c.t.Helper()
	err := filepath.WalkDir(c.root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Type()&fs.ModeSymlink != 0 {
			return err
		}
		return os.Chtimes(path, time.Now().Add(time.Hour), time.Unix(1600000000, 123456789))
	})
	if err != nil {
		c.t.Fatal(err)
	}
}

// snapshot describes everything in the root file system.
func (c *container) snapshot() map[string]string {
	c.t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(c.root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			return err
		}
		text := fmt.Sprintf("%o %d:%d %v", st.Mode, st.Uid, st.Gid, st.Mtim)
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFDIR:
			text += fmt.Sprint(" ", st.Atim)
		case unix.S_IFLNK:
			target, _ := os.Readlink(path)
			text += " " + target
		case unix.S_IFREG:
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			text += " " + string(content)
		}
		rel, _ := filepath.Rel(c.root, path)
		all[rel] = text
		return nil
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return all
}

func differences(before, after map[string]string) []string {
	var out []string
	for path := range before {
		if after[path] != before[path] {
			out = append(out, path)
		}
	}
	for path := range maps.Keys(after) {
		if _, ok := before[path]; !ok {
			out = append(out, "+"+path)
		}
	}
	return out
}

// stage runs in new namespaces: it makes the root file system the root, and becomes the shim there.
func stage(root string) {
	err := enter(root)
	fmt.Fprintln(os.Stderr, "stage:", err)
	os.Exit(1)
}

func enter(root string) error {
	var dir string
	var noShm, noMem, usr bool
	if _, err := fmt.Sscan(os.Getenv("TIGHTLIP_TEST_HOW"), &dir, &noShm, &noMem, &usr); err != nil {
		return err
	}
	if err := mounts(root, noShm, noMem, usr); err != nil {
		return err
	}
	if err := loopbackUp(); err != nil {
		return err
	}
	program, err := os.ReadFile(root + ".shim")
	if err != nil {
		return err
	}
	place := "/dev/.tightlip"
	if noMem {
		place = "/bin/.tightlip"
	}
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		return err
	}
	if err := errors.Join(os.WriteFile(root+place, program, 0o755), os.WriteFile(root+"/dev/self", self, 0o755)); err != nil {
		return err
	}
	ready, go_ := os.NewFile(3, "ready"), os.NewFile(4, "go")
	if _, err := ready.Write([]byte{1}); err != nil {
		return err
	}
	_, _ = io.ReadAll(go_)
	ready.Close()
	go_.Close()
	if err := errors.Join(unix.Chroot(root), unix.Chdir(dir)); err != nil {
		return err
	}
	var env []string
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "TIGHTLIP_TEST_STAGE=") && !strings.HasPrefix(e, "TIGHTLIP_TEST_HOW=") {
			env = append(env, e)
		}
	}
	return unix.Exec(place, append([]string{place, "step"}, os.Args[1:]...), env)
}

func mounts(root string, noShm, noMem, usr bool) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	if err := unix.Mount("proc", root+"/proc", "proc", 0, ""); err != nil {
		return err
	}
	if usr {
		if err := unix.Mount("/usr", root+"/usr", "", unix.MS_BIND, ""); err != nil {
			return err
		}
	}
	if noMem {
		return unix.Mount(root+"/dev", root+"/dev", "", unix.MS_BIND, "")
	}
	if err := unix.Mount("tmpfs", root+"/dev", "tmpfs", unix.MS_NOSUID, "mode=0755"); err != nil {
		return err
	}
	unix.Umask(0)
	if err := unix.Mknod(root+"/dev/null", unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))); err != nil {
		return err
	}
	unix.Umask(0o077) // the shim must not depend on it
	if noShm {
		return nil
	}
	if err := os.Mkdir(root+"/dev/shm", 0o777); err != nil {
		return err
	}
	return unix.Mount("tmpfs", root+"/dev/shm", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=1777,size=64m")
}

// loopbackUp makes 127.0.0.1 of a new network namespace work.
func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	ifr, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	ifr.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, ifr)
}
