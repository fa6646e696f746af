package e2e

import (
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/tightlip/tightlip/internal/enginetest"
)

// TestScripts runs the scripts in testdata. Each has a box of its own, $NPM_TOKEN with a new secret and the embedded engine.
//
//	exits CODE PROGRAM [ARGUMENT...]   runs a program that has to end with that code
//	sealed                             fails if the secret is in the last output or in any file but secret.txt
func TestScripts(t *testing.T) {
	binary := enginetest.Binary(t)
	busybox := readFile(t, enginetest.Tool(t, "busybox"))
	testscript.Run(t, testscript.Params{
		Dir: "testdata", ContinueOnError: true,
		Setup: func(env *testscript.Env) error {
			value := enginetest.PlainCanary()
			vars := map[string]string{
				"NPM_TOKEN": value, "TIGHTLIP_ENGINE": "embedded", "DOCKER_HOST": "unix:///nonexistent/docker.sock",
				"DOCKER_CONFIG": env.WorkDir + "/.docker", "HOME": env.WorkDir + "/.home",
				"TIGHTLIP_CACHE_DIR": env.WorkDir + "/.cache", "TIGHTLIP_STATE_DIR": env.WorkDir + "/.state",
				"PATH": filepath.Dir(binary) + ":" + env.Getenv("PATH"), "BUILDX_NO_DEFAULT_ATTESTATIONS": "1",
			}
			for _, name := range slices.Sorted(maps.Keys(vars)) {
				env.Setenv(name, vars[name])
			}
			env.Values[secretKey{}] = value
			return errors.Join(os.MkdirAll(env.WorkDir+"/.home", 0o755), os.WriteFile(env.WorkDir+"/busybox", busybox, 0o755))
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "sealed": sealed},
	})
}

// secretKey finds a script's secret among its values.
type secretKey struct{}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM [ARGUMENT...]")
	}
	code := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit := (*exec.ExitError)(nil)
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		code = exit.ExitCode()
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("exit code %d, not %s", code, args[0])
	}
}

func sealed(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: sealed")
	}
	value := ts.Value(secretKey{}).(string)
	for _, stream := range []string{"stdout", "stderr"} {
		if found := enginetest.Traces([]byte(ts.ReadFile(stream)), value); found != nil {
			ts.Fatalf("%s holds the value (%q)", stream, found)
		}
	}
	err := filepath.WalkDir(ts.Getenv("WORK"), func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || d.Name() == "secret.txt" {
			return err
		}
		data, err := os.ReadFile(path)
		if found := enginetest.Traces(data, value); found != nil {
			ts.Fatalf("%s holds the value (%q)", path, found)
		}
		return err
	})
	ts.Check(err)
}
