package enginetest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Podman is a storage and a configuration for podman and buildah, which share them.
type Podman struct {
	Dir   string   // of all of it
	Store string   // of images and containers
	Env   []string // for the tools
}

// NewPodman makes a storage for one test. What the machine's user has is not touched. Debian's tools need runc: crun fails on a
// machine with both versions of control groups. Pods want an image localhost/pause that sleeps.
func NewPodman(t testing.TB) *Podman {
	t.Helper()
	for _, tool := range []string{"podman", "buildah", "runc"} {
		Tool(t, tool)
	}
	p := &Podman{Dir: shortTemp(t)}
	p.Store = filepath.Join(p.Dir, "graph")
	if err := os.Chmod(p.Dir, 0o755); err != nil { // another user may be the one who builds
		t.Fatal(err)
	}
	file := func(name, format string, args ...any) string {
		path := filepath.Join(p.Dir, name)
		write(t, path, fmt.Appendf(nil, format, args...))
		return path
	}
	p.Env = []string{
		"CONTAINERS_CONF=" + file("containers.conf", `[containers]
default_ulimits = ["nofile=20000:20000", "nproc=32768:32768"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "none"
lock_type = "file"
tmp_dir = "%[1]s/tmp"
infra_image = "localhost/pause:latest"
[network]
network_config_dir = "%[1]s/networks"
`, p.Dir),
		"CONTAINERS_STORAGE_CONF=" + file("storage.conf", `[storage]
driver = "overlay"
graphroot = "%[1]s/graph"
runroot = "%[1]s/run"
rootless_storage_path = "%[1]s/graph"
`, p.Dir),
		"XDG_RUNTIME_DIR=" + filepath.Join(p.Dir, "xdg"),
	}
	if err := os.Mkdir(filepath.Join(p.Dir, "xdg"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.remove(t) })
	return p
}

// Box makes a box whose podman and buildah use the storage.
func (p *Podman) Box(t testing.TB) *Box {
	t.Helper()
	b := NewBox(t, nil)
	for _, v := range p.Env {
		name, value, _ := strings.Cut(v, "=")
		b.Env[name] = value
	}
	return b
}

// remove removes all of it. The storage driver mounts its own folder on itself.
func (p *Podman) remove(t testing.TB) {
	t.Helper()
	_ = exec.Command("umount", "--recursive", "--lazy", filepath.Join(p.Store, "overlay")).Run()
	if err := os.RemoveAll(p.Dir); err != nil {
		t.Errorf("something still holds the storage: %v", err)
	}
}
