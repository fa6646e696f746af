package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"github.com/spf13/cobra"
	"github.com/tightlip/tightlip/finding"
	"github.com/tightlip/tightlip/image"
	"github.com/tightlip/tightlip/internal/lazy"
	"github.com/tightlip/tightlip/scan/leaks"
)

func (a *app) extractCommand() *cobra.Command {
	o := &scanOptions{}
	cmd := &cobra.Command{
		Use:   "extract [flags] IMAGE FINDING",
		Short: "Take the file of a finding out of its layer",
		Long: `Write the file that a finding of "tightlip scan" is about, as it is in its layer, deleted or not, to a file that only you can
read. FINDING is its fingerprint, or the beginning of it. It proves that what a later layer deletes can still be had.`,
		Example: `  tightlip extract app 3f2a9c0d
  tightlip extract -o leaked.npmrc app 3f2a9c0d`,
		Args: exactArgs(2, "an image and the fingerprint of a finding"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.runExtract(cmd.Context(), o, args[0], args[1])
		},
		DisableFlagsInUseLine: true,
	}
	cmd.Flags().StringVarP(&o.output, "output", "o", "", "the `file` to write, or - for standard output (default: the leaked file's name after leaked-, here)")
	a.detectorFlags(cmd, o)
	return cmd
}

func (a *app) runExtract(ctx context.Context, o *scanOptions, name, fingerprint string) error {
	ref, err := image.ParseRef(name)
	if err != nil {
		return usageError(err, "")
	}
	s, err := a.newScanner(ctx, o)
	if err != nil {
		return err
	}
	r, err := s.scan(ctx, ref)
	s.meter.clear()
	if err != nil {
		return err
	}
	var found []finding.Leak
	for _, f := range r.Findings {
		if fingerprint != "" && strings.HasPrefix(f.Fingerprint, fingerprint) {
			found = append(found, f)
		}
	}
	if len(found) != 1 {
		return usageError(fmt.Errorf("%d findings of %s have a fingerprint that begins with %q", len(found), name, fingerprint), "tightlip scan "+name)
	}
	f := found[0]
	img, err := s.open(ctx, ref)
	if err != nil {
		return err
	}
	defer img.Close()
	if o.output == "-" {
		return leaks.Extract(ctx, img, r.Layout, f, a.streams.Out)
	}
	to := o.output
	if to == "" {
		to = extractName(f)
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return usageError(err, "-o FILE for another name")
	}
	if err := errors.Join(leaks.Extract(ctx, img, r.Layout, f, out), out.Close()); err != nil {
		return errors.Join(err, os.Remove(to))
	}
	fmt.Fprintf(a.streams.Err, "tightlip: wrote %s\n", a.redact(to))
	return nil
}

// unusual are characters that a file of ours has none of in its name.
var unusual = lazy.Regexp(`[^A-Za-z0-9._-]`)

// extractName is what the file of a finding is called here: never as a tool would read it, and never what an image would have it be.
func extractName(f finding.Leak) string {
	if f.Path == "" {
		return "leaked-" + f.Fingerprint + ".json"
	}
	return "leaked-" + strings.TrimLeft(unusual().ReplaceAllString(path.Base(f.Path), "_"), ".")
}
