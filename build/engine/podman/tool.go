package podman

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"github.com/tightlip/tightlip/dockerfile/translate"
)

// Tool is a program that builds.
type Tool string

// The tools.
const (
	Podman  Tool = "podman"
	Buildah Tool = "buildah"
)

// info is what has to be known of a tool here.
type info struct {
	version   string
	buildah   string // the version of the buildah in it
	graphRoot string // where images and containers are
	driver    string // the storage driver, which is in the names of the folders there
	runtime   string // the OCI runtime's program
	rootless  bool
	remote    bool // it only talks to another one
}

// find finds the program of a tool.
func find(tool Tool, o Options) (*Engine, error) {
	e := &Engine{tool: tool, path: o.Path, env: o.Env, environ: o.Environ, streams: o.Streams}
	if runtime.GOOS != "linux" {
		return nil, refuse("--engine docker or --engine embedded", "%s builds on Linux only: elsewhere it talks to a virtual machine", tool)
	}
	if e.path == "" {
		var err error
		if e.path, err = exec.LookPath(string(tool)); err != nil {
			return nil, refuse("apt-get install "+string(tool), "%s is not installed", tool)
		}
	}
	return e, nil
}

// infoTime bounds how long a tool may take to tell about itself.
const infoTime = 30 * time.Second

// ask asks a tool about itself.
func (e *Engine) ask(ctx context.Context) (info, error) {
	ctx, cancel := context.WithTimeout(ctx, infoTime)
	defer cancel()
	args := []string{"info"}
	if e.tool == Podman {
		args = append(args, "--format", "json")
	}
	text, err := e.output(ctx, args...)
	if err != nil {
		return info{}, err
	}
	// Names of JSON fields match whatever their case is: buildah begins these with capitals.
	var doc struct {
		Host struct {
			BuildahVersion  string
			ServiceIsRemote bool
			Rootless        bool
			OCIRuntime      json.RawMessage
			Security        struct{ Rootless bool }
		}
		Store   struct{ GraphRoot, GraphDriverName string }
		Version struct{ Version string }
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		return info{}, fmt.Errorf("asking %s about itself: %w", e.tool, err)
	}
	i := info{
		version: doc.Version.Version, buildah: doc.Host.BuildahVersion, graphRoot: doc.Store.GraphRoot, driver: doc.Store.GraphDriverName,
		runtime: runtimeOf(doc.Host.OCIRuntime), rootless: doc.Host.Rootless || doc.Host.Security.Rootless, remote: doc.Host.ServiceIsRemote,
	}
	if e.tool == Buildah {
		text, err := e.output(ctx, "--version")
		if err != nil {
			return info{}, err
		}
		_, _ = fmt.Sscanf(string(text), "buildah version %s", &i.version)
		i.buildah = i.version
	}
	return i, nil
}

// runtimeOf is the OCI runtime, of which podman tells the path and buildah the name.
func runtimeOf(raw json.RawMessage) string {
	var full struct{ Path string }
	if json.Unmarshal(raw, &full) == nil {
		return full.Path
	}
	var name string
	_ = json.Unmarshal(raw, &name)
	return name
}

// check refuses a tool that cannot be used.
func (i info) check(tool Tool) error {
	switch {
	case i.remote:
		// It would copy secrets into the build context to send them.
		return refuse("unset CONTAINER_HOST, or run tightlip where podman builds", "this %s only talks to a podman somewhere else", tool)
	case i.version == "" || i.graphRoot == "":
		return refuse("", "%s does not say its version and where it stores images", tool)
	case os.Getenv("BUILDAH_FORMAT") == "docker":
		return refuse("unset BUILDAH_FORMAT", "images of BUILDAH_FORMAT=docker cannot be proven: tightlip makes OCI images with %s", tool)
	}
	return nil
}

// chroot tells whether steps run without a container.
func chroot() bool { return os.Getenv("BUILDAH_ISOLATION") == "chroot" }

// atLeast tells whether the buildah is of a minor version of 1, or newer.
func (i info) atLeast(wanted int) bool {
	major, minor := 0, 0
	_, _ = fmt.Sscanf(i.buildah, "%d.%d", &major, &minor)
	return major > 1 || minor >= wanted
}

// builder tells what the Dockerfile frontend can do.
func (i info) builder() translate.Builder {
	return translate.Builder{Mounts: true, Heredocs: i.atLeast(33), Documents: documents, StepFolders: true}
}

// output runs a short command and returns its standard output.
func (e *Engine) output(ctx context.Context, args ...string) ([]byte, error) {
	var stdout, stderr bytes.Buffer
	err := e.run(ctx, command{args: args, stdout: &stdout, stderr: &stderr})
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return nil, fmt.Errorf("%s %s: %s", e.tool, args[0], lastLine(stderr.String()))
	}
	return stdout.Bytes(), err
}

// lastLine is what a tool says last, which is its error.
func lastLine(text string) string {
	text = strings.TrimSpace(text)
	return strings.TrimPrefix(text[strings.LastIndexByte(text, '\n')+1:], "Error: ")
}

// exitCode is the code of a command that ended by itself, and 1 for one that was killed.
func exitCode(err error) (code int, failed bool) {
	exit := (*exec.ExitError)(nil)
	if !errors.As(err, &exit) {
		return 0, false
	}
	return max(exit.ExitCode(), 1), true
}
