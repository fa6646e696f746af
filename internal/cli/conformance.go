package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"text/tabwriter"

	"github.com/tightlip/tightlip/build"
	"github.com/tightlip/tightlip/conformance"
)

// runConformance runs the table of secret semantics on an engine, by itself and through this program.
func (a *app) runConformance(ctx context.Context, name, format string) (err error) {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	e, err := conformance.Named(ctx, name, program, nil)
	if err != nil {
		return usageError(err, "tightlip doctor shows what is here")
	}
	dir, err := os.MkdirTemp("", "tightlip-conformance-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, build.RemoveAll(dir)) }()
	o := conformance.Options{Dir: dir, Key: filepath.Join(dir, "key")}
	if o.Busybox, err = exec.LookPath("busybox"); err != nil {
		return usageError(errors.New("the run needs a static busybox"), "apt-get install busybox-static")
	}
	if err := conformance.NewKey(o.Key); err != nil {
		return err
	}
	w := tabwriter.NewWriter(a.streams.Out, 0, 8, 2, ' ', 0)
	fmt.Fprintf(w, "%s %s\tby itself\twith tightlip\n", e.Name, e.Version)
	failed := 0
	o.Done = func(r conformance.Row) {
		plain := conformance.Outcome{Good: true, Text: "–"}
		if r.Plain != nil {
			plain = *r.Plain
		}
		fmt.Fprintf(a.streams.Err, "tightlip: %s: %s\n", r.Case, r.Ours.Text)
		fmt.Fprintf(w, "%s: %s\t%s\t%s\n", r.Group, r.Case, plain, r.Ours)
		if !r.Ours.Good {
			failed++
		}
	}
	rows, err := conformance.Run(ctx, e, o)
	if format == "json" {
		err = errors.Join(a.printJSON(map[string]any{"engine": e.Name, "version": e.Version, "cases": rows}), err)
	} else {
		w.Flush()
	}
	if err == nil && failed > 0 {
		err = fmt.Errorf("%d cases are not as they should be", failed)
	}
	return err
}
