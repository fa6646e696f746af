//go:build linux

package classic_test

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/docker/cli/cli/command"
	cliflags "github.com/docker/cli/cli/flags"
	"github.com/tightlip/tightlip/build"
	"github.com/tightlip/tightlip/build/buildtest"
	"github.com/tightlip/tightlip/build/engine/classic"
	"github.com/tightlip/tightlip/internal/enginetest"
)

func TestMain(m *testing.M) { os.Exit(enginetest.Main(m)) }

func TestContract(t *testing.T) {
	enginetest.NeedRoot(t)
	enginetest.NeedShim(t)
	d := enginetest.StartDocker(t)
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	t.Setenv("DOCKER_HOST", d.Host)
	cli, err := command.NewDockerCli()
	if err != nil {
		t.Fatal(err)
	}
	if err := cli.Initialize(cliflags.NewClientOptions()); err != nil {
		t.Fatal(err)
	}
	s := &buildtest.Screen{}
	engine, err := classic.New(t.Context(), cli, build.Streams{In: strings.NewReader(""), Out: &bytes.Buffer{}, Err: s})
	if err != nil {
		t.Fatal(err)
	}
	buildtest.Contract(t, buildtest.Fixture{
		Engine: engine, Busybox: enginetest.Tool(t, "busybox"), Log: s.String,
		Output: func(path string) string { return "type=docker,dest=" + path },
	})
}
