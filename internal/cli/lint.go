package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/tightlip/tightlip/finding"
	"github.com/tightlip/tightlip/lint"
	"github.com/tightlip/tightlip/report"
	"github.com/tightlip/tightlip/scan/detect"
	"github.com/tightlip/tightlip/scan/leaks"
)

// errUnchecked is why a project without findings is not clean.
var errUnchecked = errors.New("not everything could be checked")

// lintOptions are what the flags of lint say.
type lintOptions struct {
	reportOptions
	folder      string
	dockerfiles []string
	context     string
	target      string
	rules       string
	fix, diff   bool
}

func (a *app) lintCommand() *cobra.Command {
	o := &lintOptions{folder: "."}
	cmd := &cobra.Command{
		Use:   "lint [flags] [FOLDER]",
		Short: "Find secrets that would leak into an image, before it is built",
		Long: `Check a project for secrets that would leak into the images that are built of it: Dockerfiles, what their build contexts would send
and their steps copy, and the files that start builds (compose, bake, GitHub Actions, GitLab CI, Makefiles, scripts). Nothing is built,
and nothing is asked of any network.

Each finding has its place, what happens there, and what to write instead. --fix rewrites what can be rewritten without changing
what a build makes, and says how to build from then on; --diff shows that and writes nothing.

Findings can be ignored by a comment above the line (docker's own # check=skip=SecretsUsedInArgOrEnv counts for what it is about):

    # tightlip: ignore=secret-arg until=2027-01-31 a token for tests, without access to anything
    ARG NPM_TOKEN

by a list (.tightlipignore in the folder, or --ignore; see tightlip scan --help), or by an earlier report (--baseline).

Exit codes: 0 clean; 3 something was found; 2 not everything could be checked.`,
		Example: `  tightlip lint
  tightlip lint --fix --diff
  tightlip lint -f docker/Dockerfile --context . --target app
  tightlip lint --fail-on high --format sarif -o lint.sarif services/shop`,
		Args: oneFolder,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				o.folder = args[0]
			}
			return a.runLint(cmd.Context(), o)
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveFilterDirs
		},
		DisableFlagsInUseLine: true,
	}
	flags := cmd.Flags()
	flags.StringArrayVarP(&o.dockerfiles, "file", "f", nil, "a `Dockerfile` to check instead of all in the folder; may be repeated")
	flags.StringVar(&o.context, "context", "", "the build context, a `folder` (default: what compose and the like say, else the Dockerfile's folder)")
	flags.StringVar(&o.target, "target", "", "the `stage` that is built (default: what compose and the like say, and the last)")
	flags.BoolVar(&o.fix, "fix", false, "rewrite what can be, and report what is left")
	flags.BoolVar(&o.diff, "diff", false, "print what --fix would change, and write nothing; values are masked")
	reportFlags(cmd, &o.reportOptions, report.ProjectFormats())
	flags.StringVar(&o.rules, "rules", "", "a `file` with rules of your own: see tightlip rules --help")
	_ = cmd.MarkFlagFilename("file")
	_ = cmd.MarkFlagDirname("context")
	return cmd
}

func oneFolder(_ *cobra.Command, args []string) error {
	if len(args) > 1 {
		return usageError(errors.New("lint checks one folder"), "tightlip lint "+args[0])
	}
	return nil
}

func (a *app) runLint(ctx context.Context, o *lintOptions) error {
	failOn, err := o.check()
	if err != nil {
		return err
	}
	debug.SetGCPercent(400) // most checks end before there is anything to collect
	p := &project{options: o, meter: newMeter(a.streams.Err, "checking")}
	if p.ignores, err = o.readIgnores(o.folder, "."); err != nil {
		return err
	}
	if p.detector, _, err = a.detector(o.rules); err != nil {
		return err
	}
	started := time.Now()
	r, err := p.check(ctx)
	if err != nil {
		return err
	}
	if o.diff {
		if err := a.showFixes(p, r); err != nil {
			return err
		}
		return judgeLint(r, failOn, nil)
	}
	var failed error
	if o.fix {
		if r, failed = a.mend(ctx, p, r); r == nil {
			return failed
		}
	}
	if err := a.writeScans(&o.reportOptions, []report.Scan{p.report(r, time.Since(started))}, started); err != nil {
		return err
	}
	return judgeLint(r, failOn, failed)
}

// check looks at what can be wrong with the flags before anything is read.
func (o *lintOptions) check() (finding.Severity, error) {
	for _, f := range o.dockerfiles {
		if info, err := os.Stat(f); err != nil {
			return "", notThere("-f "+f, err)
		} else if info.IsDir() {
			return "", usageError(fmt.Errorf("-f %s: it is a folder", f), "tightlip lint "+f)
		}
	}
	if info, err := os.Stat(o.folder); err != nil {
		return "", notThere(o.folder, err)
	} else if !info.IsDir() {
		return "", usageError(fmt.Errorf("%s is no folder", o.folder), "tightlip lint -f "+o.folder)
	}
	if o.context != "" {
		if info, err := os.Stat(o.context); err != nil {
			return "", notThere("--context "+o.context, err)
		} else if !info.IsDir() {
			return "", usageError(fmt.Errorf("--context %s: it is no folder", o.context), "")
		}
	}
	if o.diff && o.format != "text" {
		return "", usageError(errors.New("--diff prints a diff, and no "+o.format), "leave out --format")
	}
	return o.reportOptions.check(report.ProjectFormats())
}

// notThere is an error of os.Stat without the name of that call.
func notThere(what string, err error) error {
	if inner, ok := errors.AsType[*fs.PathError](err); ok {
		err = inner.Err
	}
	return usageError(fmt.Errorf("%s: %w", what, err), "paths are from here, the working directory")
}

// judgeLint says how a check ends. What was found comes before what could not be checked or mended.
func judgeLint(r *lint.Result, failOn finding.Severity, failed error) error {
	if len(r.Unread) > 0 {
		failed = errors.Join(failed, errUnchecked)
	}
	if slices.ContainsFunc(r.Findings, func(f finding.Leak) bool { return f.Ignored == "" && f.Severity.AtLeast(failOn) }) {
		return &quietError{code: exitLeaked, err: failed}
	}
	return failed
}

// project is what is checked, once or, if files are mended, twice.
type project struct {
	options  *lintOptions
	meter    *meter
	ignores  []*leaks.Ignores
	detector *detect.Detector
}

func (p *project) check(ctx context.Context) (*lint.Result, error) {
	defer p.meter.wait()()
	o := p.options
	return lint.Check(ctx, lint.Options{Root: o.folder, Dockerfiles: o.dockerfiles, Context: o.context, Target: o.target, Detector: p.detector, Ignore: p.ignore})
}

func (p *project) ignore(findings []finding.Leak) {
	for _, list := range p.ignores {
		list.Apply(findings, time.Now())
	}
}

func (p *project) report(r *lint.Result, took time.Duration) report.Scan {
	out := report.Scan{Tool: toolName(), Project: &report.Project{Root: p.root(), Files: r.Files}, Findings: r.Findings}
	for _, u := range r.Unread {
		out.Unread = append(out.Unread, report.Unread{Location: finding.Location{Kind: finding.InFile, Path: u.Path}, Line: u.Line, Reason: u.Reason})
	}
	out.Stats = report.Stats{Files: len(r.Files), Bytes: r.Bytes, Milliseconds: took.Milliseconds()}
	return out
}

// root is the folder from here, if it is below.
func (p *project) root() string {
	folder := filepath.Clean(p.options.folder)
	here, err := os.Getwd()
	if err == nil && filepath.IsAbs(folder) {
		if rel, err := filepath.Rel(here, folder); err == nil && filepath.IsLocal(rel) {
			folder = rel
		}
	}
	return filepath.ToSlash(folder)
}

// shown is a file of the project as it is printed.
func (p *project) shown(file string) string {
	if filepath.IsAbs(file) {
		return report.Printable(file)
	}
	return report.Printable(filepath.ToSlash(filepath.Join(p.root(), file)))
}

// say prints a line beside the report. Its texts may come from the project's files.
func (a *app) say(format string, args ...any) {
	fmt.Fprintln(a.streams.Err, "tightlip: "+report.Printable(fmt.Sprintf(format, args...)))
}

// showFixes prints what --fix would change.
func (a *app) showFixes(p *project, r *lint.Result) error {
	var text strings.Builder
	for _, f := range r.Fixes {
		text.WriteString(p.diff(f))
	}
	err := a.product(p.options.output, func(w io.Writer, options report.Options) error { return report.WriteDiff(w, text.String(), options) })
	if err != nil {
		return err
	}
	for _, u := range r.Unread {
		a.say("not checked: %s:%d: %s", p.shown(u.Path), max(u.Line, 1), u.Reason)
	}
	counted, fixable := count(r)
	if counted > 0 {
		a.say("--fix mends %d of %d findings", fixable, counted)
	}
	return nil
}

// count says how many findings count, and how many of these can be mended.
func count(r *lint.Result) (counted, fixable int) {
	for _, f := range r.Findings {
		if f.Ignored == "" {
			counted++
			if f.Fixable {
				fixable++
			}
		}
	}
	return counted, fixable
}
