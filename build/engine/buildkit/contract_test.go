//go:build linux

package buildkit_test

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/docker/cli/cli/command"
	cliflags "github.com/docker/cli/cli/flags"
	"github.com/tightlip/tightlip/build"
	"github.com/tightlip/tightlip/build/buildtest"
	"github.com/tightlip/tightlip/build/engine/buildkit"
	"github.com/tightlip/tightlip/build/engine/embedded"
	"github.com/tightlip/tightlip/internal/enginetest"
)

func TestMain(m *testing.M) { os.Exit(enginetest.Main(m)) }

// contract runs the contract on the engine that open makes.
func contract(t *testing.T, output func(string) string, open func(command.Cli, build.Streams) (build.Engine, error)) {
	t.Helper()
	cli, err := command.NewDockerCli()
	if err != nil {
		t.Fatal(err)
	}
	if err := cli.Initialize(cliflags.NewClientOptions()); err != nil {
		t.Fatal(err)
	}
	s := &buildtest.Screen{}
	engine, err := open(cli, build.Streams{In: strings.NewReader(""), Out: &bytes.Buffer{}, Err: s})
	if err != nil {
		t.Fatal(err)
	}
	buildtest.Contract(t, buildtest.Fixture{Engine: engine, Busybox: enginetest.Tool(t, "busybox"), Output: output, Log: s.String})
}

func TestContractEmbedded(t *testing.T) {
	enginetest.NeedRoot(t)
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	binary := enginetest.Binary(t)
	for name, output := range map[string]string{
		"archive": "type=oci,dest=", "folder": "type=local,dest=", "tarball": "type=tar,dest=", "layout": "type=oci,tar=false,dest=",
	} {
		t.Run(name, func(t *testing.T) {
			contract(t, func(path string) string { return output + path }, func(cli command.Cli, s build.Streams) (build.Engine, error) {
				o := embedded.Options{StateDir: t.TempDir(), Command: []string{binary, "engine", "serve"}}
				return buildkit.Embedded(t.Context(), cli, o, s)
			})
		})
	}
}

func TestContractDocker(t *testing.T) {
	enginetest.NeedRoot(t)
	d := enginetest.StartDocker(t)
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	t.Setenv("DOCKER_HOST", d.Host)
	for name, output := range map[string]string{"folder": "type=local,dest=", "tarball": "type=tar,dest="} {
		t.Run(name, func(t *testing.T) {
			contract(t, func(path string) string { return output + path }, func(cli command.Cli, s build.Streams) (build.Engine, error) {
				return buildkit.Docker(t.Context(), cli, "", ".", s)
			})
		})
	}
}
