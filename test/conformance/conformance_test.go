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
	for _, e := range []struct {
		name string
		box  *enginetest.Box
	}{
		{"docker", enginetest.NewBox(t, enginetest.StartDocker(t))},
		{"classic", enginetest.NewBox(t, enginetest.StartDocker(t))},
		{"embedded", enginetest.NewBox(t, nil)},
	} {
		t.Run(e.name, func(t *testing.T) {
			engine, err := conformance.Named(t.Context(), e.name, enginetest.Binary(t), e.box.Command("true").Env)
			if err != nil {
				t.Fatal(err)
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
				if !r.Ours.Good {
					t.Errorf("%s: %s: %s", r.Group, r.Case, r.Ours.Text)
				}
			}
			results = append(results, conformance.Result{Engine: e.name + " " + engine.Version, Rows: rows})
		})
	}
	if *write != "" {
		writeTables(t, results)
	}
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
