// Package conformance runs the conformance table on real engines.
package conformance

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/tightlip/tightlip/conformance"
	"github.com/tightlip/tightlip/internal/enginetest"
)

var write = flag.String("write", "", "the file to write the tables to")

func TestMain(m *testing.M) { os.Exit(enginetest.Main(m)) }

// TestConformance wants every case as it should be on every engine through tightlip, and writes what the engines do by themselves
// beside it.
func TestConformance(t *testing.T) {
	enginetest.NeedRoot(t)
	var results []conformance.Result
	for _, e := range engines(t) {
		t.Run(e.title, func(t *testing.T) {
			results = append(results, runOn(t, e))
		})
	}
	if *write != "" {
		writeTables(t, results)
	}
}

// theirs are the cases in which an engine leaves something in the image that tightlip has no hand in.
var theirs = map[string]string{"docker-20": "no /run/secrets in the image", "podman": "no /run/secrets in the image"}

// engine is an engine with the box that it is in.
type engine struct {
	title string
	name  string
	box   *enginetest.Box
}

func engines(t *testing.T) []engine {
	return []engine{
		{"docker", "docker", enginetest.NewBox(t, enginetest.StartDocker(t))},
		{"classic", "classic", enginetest.NewBox(t, enginetest.StartDocker(t))},
		{"docker-20", "docker", enginetest.NewBox(t, enginetest.StartOldestDocker(t))},
		{"classic-20", "classic", enginetest.NewBox(t, enginetest.StartOldestDocker(t))},
		{"podman", "podman", podmanBox(t)},
		{"buildah", "buildah", podmanBox(t)},
		{"embedded", "embedded", enginetest.NewBox(t, nil)},
	}
}

func podmanBox(t *testing.T) *enginetest.Box {
	t.Helper()
	b := enginetest.NewPodman(t).Box(t)
	b.DockerConfig(map[string]any{}) // podman wants the file that DOCKER_CONFIG leads to
	return b
}

func runOn(t *testing.T, e engine) conformance.Result {
	t.Helper()
	engine, err := conformance.Named(t.Context(), e.name, enginetest.Binary(t), e.box.Command("true").Env)
	if err != nil {
		t.Fatal(err)
	}
	if *write == "" { // what engines do by themselves is for the document
		engine.Plain = nil
	}
	key := filepath.Join(e.box.Dir, "key")
	if err := conformance.NewKey(key); err != nil {
		t.Fatal(err)
	}
	rows, err := conformance.Run(t.Context(), engine, conformance.Options{Busybox: enginetest.Tool(t, "busybox"), Key: key, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if !r.Ours.Good && theirs[e.title] != r.Case {
			t.Errorf("%s: %s: %s", r.Group, r.Case, r.Ours.Text)
		}
	}
	return conformance.Result{Engine: e.name + " " + engine.Version, Rows: rows}
}

const head = `# Engines

What secrets in builds should do, and what each engine does: by itself, and through tightlip. Every cell is from a run; ✗ marks what is
not as it should be. The table is written by ` + "`make conformance`" + `, and ` + "`tightlip doctor --conformance ENGINE`" + ` runs it on an engine of yours.

`

func writeTables(t *testing.T, results []conformance.Result) {
	t.Helper()
	f, err := os.Create(*write)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(f, head)
	for _, r := range results {
		fmt.Fprintf(f, "## %s\n\n", r.Engine)
		conformance.Markdown(f, []conformance.Result{r})
		fmt.Fprintln(f)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}
