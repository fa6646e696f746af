package embedded

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// inherited are the variables that an engine needs from its starter: to pull images, and to trust their registries.
var inherited = []string{
	"HOME", "LANG", "SSL_CERT_FILE", "SSL_CERT_DIR",
	"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
}

// environment is the engine's whole environment.
func environment(o Options) []string {
	env := []string{
		"PATH=" + searchPath(),
		"TMPDIR=" + filepath.Join(o.StateDir, "tmp"),
		// runc keeps its state here when it runs in a user namespace, and believes it runs in one only if USER is not root.
		"XDG_RUNTIME_DIR=" + o.RunDir,
		// BuildKit cuts a step's log at 2 MiB and 200 KiB/s otherwise: a cut could fall into a value.
		"BUILDKIT_STEP_LOG_MAX_SIZE=-1",
		"BUILDKIT_STEP_LOG_MAX_SPEED=-1",
		"OTEL_TRACES_EXPORTER=none",
		"OTEL_METRICS_EXPORTER=none",
	}
	if u, err := user.Current(); err == nil {
		env = append(env, "USER="+u.Username)
	}
	for _, name := range inherited {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// searchPath is PATH and the system folders that an ordinary user's PATH often lacks.
func searchPath() string {
	path := os.Getenv("PATH")
	have := filepath.SplitList(path)
	for _, dir := range []string{"/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/local/bin", "/usr/bin", "/bin"} {
		if !slices.Contains(have, dir) {
			path += string(os.PathListSeparator) + dir
		}
	}
	return strings.TrimPrefix(path, ":")
}

// findRuntime looks for an OCI runtime in path.
func findRuntime(path string) (string, error) {
	for _, name := range []string{"buildkit-runc", "runc", "crun"} {
		for _, dir := range filepath.SplitList(path) {
			if p, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
				return p, nil
			}
		}
	}
	return "", fmt.Errorf("%w (looked in %s)", ErrNoRuntime, path)
}

// tail keeps the end of what is written to it.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

const tailSize = 16 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	if extra := len(t.buf) - tailSize; extra > 0 {
		t.buf = append(t.buf[:0], t.buf[extra:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.buf))
}
