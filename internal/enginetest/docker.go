package enginetest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Docker is a daemon of the tests' own.
type Docker struct {
	Host   string // for DOCKER_HOST
	bin    string // the folder of the docker command
	buildx string
}

// dockerd is a daemon that the tests of a package share.
type dockerd struct {
	once   sync.Once
	docker *Docker
	config string // daemon.json
	bridge byte
}

var (
	plain      = &dockerd{config: `{}`, bridge: 'd'}
	containerd = &dockerd{config: `{"features":{"containerd-snapshotter":true}}`, bridge: 'c'}
)

// StartDocker returns a Docker 26 with Docker's own image store.
func StartDocker(t testing.TB) *Docker { t.Helper(); return plain.get(t) }

// StartDockerContainerd returns a Docker 26 with containerd's image store.
func StartDockerContainerd(t testing.TB) *Docker { t.Helper(); return containerd.get(t) }

func (d *dockerd) get(t testing.TB) *Docker {
	t.Helper()
	NeedRoot(t)
	d.once.Do(func() { d.start(t) })
	if d.docker == nil {
		t.Fatal("the Docker daemon of these tests did not start: see the first test that needed it")
	}
	return d.docker
}

func (d *dockerd) start(t testing.TB) {
	t.Helper()
	root := filepath.Join(Root(t), ".tools/docker26/usr")
	bin := filepath.Join(root, "sbin/dockerd")
	if _, err := os.Stat(bin); err != nil {
		t.Fatalf("Docker 26 is missing in .tools: run .ci/setup (%v)", err)
	}
	for _, tool := range []string{"containerd", "runc", "ip"} {
		Tool(t, tool)
	}
	dir := shortTemp(t)
	bridge := d.makeBridge(t)
	sock := filepath.Join(dir, "docker.sock")
	config := filepath.Join(dir, "daemon.json")
	write(t, config, []byte(d.config))
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(bin, "--config-file", config, "--data-root", dir+"/data", "--exec-root", dir+"/exec", "--pidfile", dir+"/pid",
		"-H", "unix://"+sock, "--bridge", bridge, "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false")
	cmd.Env = []string{"PATH=" + filepath.Join(root, "bin") + ":" + filepath.Join(root, "sbin") + ":" + systemPath, "HOME=" + dir}
	cmd.Stdout, cmd.Stderr = log, log
	// It also goes when the tests are killed.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	atEnd(func() {
		stop(cmd, 15*time.Second)
		_ = exec.Command("ip", "link", "delete", bridge).Run()
		os.RemoveAll(dir)
	})
	docker := &Docker{Host: "unix://" + sock, bin: filepath.Join(root, "bin"), buildx: filepath.Join(root, "libexec/docker/cli-plugins/docker-buildx")}
	deadline := time.Now().Add(30 * time.Second)
	for !docker.answers() {
		if time.Now().After(deadline) {
			text, _ := os.ReadFile(log.Name())
			t.Fatalf("dockerd does not answer:\n%s", text)
		}
		time.Sleep(50 * time.Millisecond)
	}
	d.docker = docker
}

// makeBridge gives the daemon a network bridge of its own, so that it changes neither docker0 nor the firewall.
func (d *dockerd) makeBridge(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("tl%c%d", d.bridge, os.Getpid()%1_000_000)
	address := fmt.Sprintf("10.%d.%d.1/24", int(d.bridge), os.Getpid()%256)
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
