// Package embedded runs BuildKit as a child of the program itself, for machines without a builder.
//
// The engine lives as long as somebody holds it. A holder is a connection to a second socket beside
// BuildKit's: the kernel closes it when the holder dies, however it dies, and the engine stops when
// the last one is gone (and its keep time has passed). As the first process of its own PID and mount
// namespaces it takes every build step and mount along. (Where a container forbids users a new /proc there is no PID
// namespace: then only a stop in good order ends the steps.)
package embedded

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// DefaultCacheLimit bounds the build cache, in bytes.
const DefaultCacheLimit = 10 << 30

// ErrUnsupported is returned where the embedded engine cannot run at all.
var ErrUnsupported = errors.New("the embedded engine runs on Linux only")

// ErrNoRuntime is returned when neither runc nor crun is on PATH.
var ErrNoRuntime = errors.New("the embedded engine needs runc or crun on PATH")

// ErrNoIDs is returned to users other than root who have no subordinate ids: runc cannot set up a step with one id alone.
var ErrNoIDs = errors.New("the embedded engine needs newuidmap, newgidmap and subordinate ids for users other than root")

// Options say where an engine keeps its state and for how long it stays.
type Options struct {
	StateDir   string        // build cache and snapshots; made if missing
	RunDir     string        // sockets; made if missing
	Keep       time.Duration // how long the engine outlives its last holder
	CacheLimit int64         // bytes; 0 means DefaultCacheLimit
	Command    []string      // the command line that ends up in Serve; appended to: its flags
}

// fill completes o with defaults.
func (o Options) fill() (Options, error) {
	if o.StateDir == "" {
		return o, errors.New("the embedded engine has no folder for its state: neither XDG_STATE_HOME nor HOME is set")
	}
	// A link of the user's own, to a larger disk perhaps, is fine; a run folder that is one is not.
	if real, err := filepath.EvalSymlinks(o.StateDir); err == nil {
		o.StateDir = real
	}
	if o.RunDir == "" {
		o.RunDir = defaultRunDir(o.StateDir)
	}
	if o.CacheLimit == 0 {
		o.CacheLimit = DefaultCacheLimit
	}
	return o, nil
}

func (o Options) controlSocket() string { return filepath.Join(o.RunDir, "buildkit.sock") }
func (o Options) holdSocket() string    { return filepath.Join(o.RunDir, "hold.sock") }

// maxRunDir leaves room for the sockets' names: a socket's path has to fit into sockaddr_un, 108 bytes.
const maxRunDir = 90

// defaultRunDir is in the user's runtime folder, or in the state if there is none. Each state has its own.
func defaultRunDir(state string) string {
	sum := sha256.Sum256([]byte(state))
	name := "tightlip-" + hex.EncodeToString(sum[:4])
	if d := os.Getenv("XDG_RUNTIME_DIR"); d != "" && len(d)+len(name) < maxRunDir {
		return filepath.Join(d, name)
	}
	if dir := filepath.Join(state, "run"); len(dir) < maxRunDir {
		return dir
	}
	return filepath.Join(os.TempDir(), fmt.Sprintf("%s-%d", name, os.Getuid()))
}
