package enginetest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// Docker is a daemon of the tests' own.
type Docker struct {
	Host   string // for DOCKER_HOST
	Data   string // the folder of all that it stores
	bin    string // the folder of the docker command
	buildx string
	bridge string
	dir    string
	start  func(testing.TB) *exec.Cmd
	cmd    *exec.Cmd
}

// dockerd is a daemon that the tests of a package share.
type dockerd struct {
	once    sync.Once
	docker  *Docker
	release string // the folder of its programs in .tools
	config  string // daemon.json
	bridge  byte
}

var (
	plain      = &dockerd{release: "docker26", config: `{}`, bridge: 'd'}
	containerd = &dockerd{release: "docker26", config: `{"features":{"containerd-snapshotter":true}}`, bridge: 'c'}
	oldest     = &dockerd{release: "docker20", config: `{}`, bridge: 'o'}
)

// StartDocker returns a Docker 26 with Docker's own image store.
func StartDocker(t testing.TB) *Docker { t.Helper(); return plain.get(t) }

// StartDockerContainerd returns a Docker 26 with containerd's image store.
func StartDockerContainerd(t testing.TB) *Docker { t.Helper(); return containerd.get(t) }

// StartOldestDocker returns a Docker 20.10.
func StartOldestDocker(t testing.TB) *Docker { t.Helper(); return oldest.get(t) }

// OwnDocker returns a Docker 26 of one test's own, which that may kill.
func OwnDocker(t testing.TB) *Docker {
	t.Helper()
	NeedRoot(t)
	d := (&dockerd{release: "docker26", config: `{}`, bridge: 'w'}).launch(t)
	t.Cleanup(d.end)
	return d
}

func (d *dockerd) get(t testing.TB) *Docker {
	t.Helper()
	NeedRoot(t)
	d.once.Do(func() {
		d.docker = d.launch(t)
		atEnd(d.docker.end)
	})
	if d.docker == nil {
		t.Fatal("the Docker daemon of these tests did not start: see the first test that needed it")
	}
	return d.docker
}

// launch starts a daemon with folders and a network of its own.
func (d *dockerd) launch(t testing.TB) *Docker {
	t.Helper()
	tools := filepath.Join(Root(t), ".tools")
	root := filepath.Join(tools, d.release, "usr")
	bin := filepath.Join(root, "sbin/dockerd")
	if _, err := os.Stat(bin); err != nil {
		t.Fatalf("%s is missing in .tools: run .ci/setup (%v)", d.release, err)
	}
	for _, tool := range []string{"containerd", "runc", "ip"} {
		Tool(t, tool)
	}
	dir := shortTemp(t)
	bridge := d.makeBridge(t)
	sock := filepath.Join(dir, "docker.sock")
	config := filepath.Join(dir, "daemon.json")
	write(t, config, []byte(d.config))
	docker := &Docker{
		Host: "unix://" + sock, Data: dir + "/data", bin: filepath.Join(root, "bin"), dir: dir, bridge: bridge,
		buildx: filepath.Join(tools, "docker26/usr/libexec/docker/cli-plugins/docker-buildx"),
	}
	docker.start = func(t testing.TB) *exec.Cmd {
		t.Helper()
		log, err := os.OpenFile(filepath.Join(dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		defer log.Close()
		cmd := exec.Command(bin, "--config-file", config, "--data-root", docker.Data, "--exec-root", dir+"/exec", "--pidfile", dir+"/pid",
			"-H", "unix://"+sock, "--bridge", bridge, "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false")
		cmd.Env = []string{"PATH=" + filepath.Join(root, "bin") + ":" + filepath.Join(root, "sbin") + ":" + systemPath, "HOME=" + dir}
		cmd.Stdout, cmd.Stderr = log, log
		// It also goes when the tests are killed.
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGTERM}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd
	}
	docker.Start(t)
	return docker
}

// Start starts the daemon, again if it was killed, and waits until it answers.
func (d *Docker) Start(t testing.TB) {
	t.Helper()
	d.cmd = d.start(t)
	for deadline := time.Now().Add(30 * time.Second); !d.answers(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			text, _ := os.ReadFile(filepath.Join(d.dir, "log"))
			d.end()
			t.Fatalf("dockerd does not answer:\n%s", text)
		}
	}
}

// Run runs Docker's command line with the daemon, in a folder and without a user's configuration. It must succeed. The
// result is its standard output without the last newline.
func (d *Docker) Run(t testing.TB, dir string, args ...string) string {
	t.Helper()
	config := t.TempDir()
	if err := os.MkdirAll(filepath.Join(config, "cli-plugins"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(d.buildx, filepath.Join(config, "cli-plugins/docker-buildx")); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(d.bin, "docker"), args...)
	cmd.Dir = dir
	cmd.Env = []string{"DOCKER_HOST=" + d.Host, "DOCKER_CONFIG=" + config, "PATH=" + systemPath, "HOME=" + config}
	r := Finish(t, cmd)
	if r.Code != 0 {
		t.Fatalf("docker %s: exit code %d\n%s", strings.Join(args, " "), r.Code, r.All())
	}
	return strings.TrimSuffix(r.Stdout, "\n")
}

// Kill ends the daemon at once. Its containers go on.
func (d *Docker) Kill() {
	_ = d.cmd.Process.Kill()
	_ = d.cmd.Wait()
}

// end stops the daemon and removes what it had. A daemon leaves its default network namespace mounted.
func (d *Docker) end() {
	stop(d.cmd, 15*time.Second)
	_ = exec.Command("ip", "link", "delete", d.bridge).Run()
	mounts, _ := os.ReadFile("/proc/self/mounts")
	for line := range strings.Lines(string(mounts)) {
		if where := strings.Fields(line)[1]; strings.HasPrefix(where, d.dir+"/") {
			_ = exec.Command("umount", "--lazy", where).Run()
		}
	}
	os.RemoveAll(d.dir)
}

var bridges atomic.Int32

// makeBridge gives the daemon a network bridge of its own, so that it changes neither docker0 nor the firewall.
func (d *dockerd) makeBridge(t testing.TB) string {
	t.Helper()
	n := bridges.Add(1)
	name := fmt.Sprintf("tl%c%d%c", d.bridge, os.Getpid()%1_000_000, 'a'+n)
	address := fmt.Sprintf("10.%d.%d.1/24", int32(d.bridge)+n, os.Getpid()%256)
	for _, args := range [][]string{{"link", "add", "name", name, "type", "bridge"}, {"addr", "add", address, "dev", name}, {"link", "set", name, "up"}} {
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	return name
}

func (d *Docker) answers() bool {
	cmd := exec.Command(filepath.Join(d.bin, "docker"), "version")
	cmd.Env = []string{"DOCKER_HOST=" + d.Host, "DOCKER_CONFIG=/nonexistent"}
	return cmd.Run() == nil
}
