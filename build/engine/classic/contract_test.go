//go:build linux

package classic_test

import (
	"bytes"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/docker/cli/cli/command"
	cliflags "github.com/docker/cli/cli/flags"
	"github.com/tightlip/tightlip/build/buildtest"
	"github.com/tightlip/tightlip/build/engine/classic"
	"github.com/tightlip/tightlip/internal/enginetest"
)

func TestMain(m *testing.M) { os.Exit(enginetest.Main(m)) }

// screen keeps what the engine shows.
type screen struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.String()
}

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
	s := &screen{}
	engine, err := classic.New(t.Context(), cli, classic.Streams{In: strings.NewReader(""), Out: &bytes.Buffer{}, Err: s})
	if err != nil {
		t.Fatal(err)
	}
	buildtest.Contract(t, buildtest.Fixture{
		Engine: engine, Busybox: enginetest.Tool(t, "busybox"), Log: s.String,
		Output: func(path string) string { return "type=docker,dest=" + path },
	})
}
