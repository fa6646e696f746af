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
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/tightlip/tightlip/build"
	"github.com/tightlip/tightlip/dockerfile"
	"github.com/tightlip/tightlip/finding"
	"github.com/tightlip/tightlip/image"
	"github.com/tightlip/tightlip/report"
	"github.com/tightlip/tightlip/scan/detect"
	"github.com/tightlip/tightlip/scan/leaks"
	"github.com/tightlip/tightlip/scan/verify"
	"golang.org/x/sync/errgroup"
	"golang.org/x/term"
)

// memoryLimit in bytes is where the garbage collector starts to hurry: a scan stays under 150 MB, the program itself included.
const memoryLimit = 90 << 20

// errUnread is why a scan that found nothing is not clean.
var errUnread = errors.New("not everything could be searched")

// reportOptions are what the flags say of the report.
type reportOptions struct{ format, output, failOn, ignore, baseline string }

// scanOptions are what the flags of scan and extract say.
type scanOptions struct {
	reportOptions
	images     []string
	all        string
	asContext  bool
	since      string
	rules      string
	noCache    bool
	verify     bool
	dockerfile string
	target     string
}

func (a *app) scanCommand() *cobra.Command {
	o := &scanOptions{}
	cmd := &cobra.Command{
		Use:   "scan [flags] IMAGE…",
		Short: "Find secrets that leaked into an image",
		Long: `Search images for credentials that nobody has named: in every layer, with the files that later layers delete or overwrite, in
the config, the history, annotations, provenance and SBOMs, and in what is compressed or archived in any of them.

An image is docker:NAME, podman:NAME, registry:REFERENCE, oci:FOLDER, tar:FILE (a docker or OCI archive, or a root file system),
dir:FOLDER, context:FOLDER (a build context, with its .dockerignore) or container:NAME. Without a scheme it is an existing path, else the
Docker daemon's image of that name, else podman's, else the registry's.

Findings can be ignored by a list (.tightlipignore, or --ignore), each with a reason and a day:

    # what                      until       why
    generic-secret:usr/share/x  2027-01-31  test data of the vendor
    3f2a9c0d1e4b5a67            -           rotated

by a comment in or above the line itself in a folder or context (# tightlip: ignore=RULE why), or by an earlier report (--baseline).

--verify asks GitHub, Slack, Stripe and others whether the tokens that were found still work: each gets its own, in a call that changes
nothing, and before that the hosts are printed. Results kept from earlier scans are not used then: they have no values.

Exit codes: 0 clean; 3 something was found; 2 not everything could be searched.`,
		Example: `  tightlip scan app:latest
  tightlip scan --dockerfile Dockerfile --since debian:12 app
  tightlip scan --as-context .
  tightlip scan --format sarif -o scan.sarif registry:registry.corp.example/app:1
  tightlip scan --all registry:registry.corp.example/team`,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.images = args
			return a.runScan(cmd.Context(), o)
		},
		DisableFlagsInUseLine: true,
	}
	flags := cmd.Flags()
	flags.StringVar(&o.all, "all", "", "scan all tags of all repositories of a `registry:HOST/NAMESPACE`")
	flags.BoolVar(&o.asContext, "as-context", false, "take folders for build contexts: what a build would send, with .dockerignore applied")
	reportFlags(cmd, &o.reportOptions, report.Formats())
	flags.StringVar(&o.since, "since", "", "leave out the layers of a base `image`, or all but the topmost N")
	a.detectorFlags(cmd, o)
	flags.BoolVar(&o.verify, "verify", false, "send tokens that were found to their issuers, to ask whether they still work")
	flags.StringVarP(&o.dockerfile, "dockerfile", "f", "", "the Dockerfile that made the image, to name its lines")
	flags.StringVar(&o.target, "target", "", "the `stage` of the Dockerfile")
	return cmd
}

// reportFlags say what the report has, and where it goes.
func reportFlags(cmd *cobra.Command, o *reportOptions, formats []string) {
	flags := cmd.Flags()
	flags.StringVar(&o.format, "format", "text", strings.Join(formats, ", "))
	flags.StringVarP(&o.output, "output", "o", "", "write the report to a `file` instead of standard output")
	flags.StringVar(&o.failOn, "fail-on", "low", "the least `severity` that ends with exit code 3: critical, high, medium, low or note")
	flags.StringVar(&o.ignore, "ignore", "", "a `file` that lists what to ignore (default .tightlipignore, if it is there)")
	flags.StringVar(&o.baseline, "baseline", "", "ignore what an earlier report (--format json) in a `file` has")
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("fail-on", cobra.FixedCompletions([]string{"critical", "high", "medium", "low", "note"}, cobra.ShellCompDirectiveNoFileComp))
}

func (a *app) detectorFlags(cmd *cobra.Command, o *scanOptions) {
	cmd.Flags().StringVar(&o.rules, "rules", "", "a `file` with rules of your own: see tightlip rules --help")
	cmd.Flags().BoolVar(&o.noCache, "no-cache", false, "read everything, also layers that were scanned before")
}

func (a *app) runScan(ctx context.Context, o *scanOptions) error {
	failOn, err := o.check(report.Formats())
	if err != nil {
		return err
	}
	ignores, err := o.readIgnores(".")
	if err != nil {
		return err
	}
	refs, err := a.scanned(ctx, o)
	if err != nil {
		return err
	}
	started := time.Now()
	s, err := a.newScanner(ctx, o)
	if err != nil {
		return err
	}
	looks := s.scanAll(ctx, refs)
	s.meter.clear()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if len(looks) == 1 && looks[0].err != nil {
		return looks[0].err
	}
	for _, l := range looks {
		l.ignore(ignores, started)
	}
	if err := s.ask(ctx, looks); err != nil {
		return err
	}
	scans := make([]report.Scan, len(looks))
	for i, l := range looks {
		scans[i] = l.report()
	}
	if err := a.writeScans(&o.reportOptions, scans, started); err != nil {
		return err
	}
	return judge(looks, failOn)
}

// check looks at the flags that take one of a few words.
func (o *reportOptions) check(formats []string) (failOn finding.Severity, err error) {
	if failOn, err = finding.ParseSeverity(o.failOn); err != nil {
		return "", usageError(err, "--fail-on high")
	}
	if !slices.Contains(formats, o.format) {
		return "", usageError(fmt.Errorf("there is no format %q", o.format), "--format "+strings.Join(formats, ", --format "))
	}
	return failOn, nil
}

// look is what came of scanning an image: a result, or an error.
type look struct {
	ref    image.Ref
	result *leaks.Result
	err    error
}

func (l look) findings() []finding.Leak {
	if l.err != nil {
		return nil
	}
	return l.result.Findings
}

// ignore marks the findings that the lists name.
func (l look) ignore(lists []*leaks.Ignores, now time.Time) {
	for _, list := range lists {
		list.Apply(l.findings(), now)
	}
}

func (l look) report() report.Scan {
	if l.err != nil {
		return report.Scan{Tool: toolName(), Image: report.ScanImage{Image: report.Image{Names: []string{l.ref.String()}}}, Error: l.err.Error()}
	}
	return asScan(l.result)
}

// judge says how a scan ends. What was found comes before what could not be searched.
func judge(looks []look, failOn finding.Severity) error {
	var failed error
	found := false
	for _, l := range looks {
		switch {
		case l.err != nil:
			failed = errors.Join(failed, l.err)
		case len(l.result.Unread) > 0:
			failed = errors.Join(failed, fmt.Errorf("%s: %w", l.ref, errUnread))
		}
		found = found || slices.ContainsFunc(l.findings(), func(f finding.Leak) bool { return f.Ignored == "" && f.Severity.AtLeast(failOn) })
	}
	if found {
		return &quietError{code: exitLeaked, err: failed}
	}
	return failed
}

// toolName is what reports call us.
func toolName() string { return "tightlip " + Version() }

// quietError ends with an exit code. What it means has been said already, but for err.
type quietError struct {
	code int
	err  error
}

func (e *quietError) Error() string { return "found something" }

func (a *app) writeScans(o *reportOptions, scans []report.Scan, started time.Time) error {
	return a.product(o.output, func(w io.Writer, options report.Options) error {
		options.Started, options.Finished = started, time.Now()
		return report.Write(w, o.format, scans, options)
	})
}

// product writes what a command is for to a file, or to standard output.
func (a *app) product(file string, write func(io.Writer, report.Options) error) error {
	if file == "" {
		return write(a.streams.Out, report.Options{Color: isTerminal(a.streams.Out) && os.Getenv("NO_COLOR") == ""})
	}
	return build.WriteFile(file, func(w io.Writer) error { return write(w, report.Options{}) })
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// readIgnores reads what is to be ignored. The list that nobody named is that of the first folder that has one.
func (o *reportOptions) readIgnores(folders ...string) ([]*leaks.Ignores, error) {
	var out []*leaks.Ignores
	read := func(name string, parse func(io.Reader) (*leaks.Ignores, error)) error {
		f, err := os.Open(name)
		if err != nil {
			return usageError(err, "the path of a file")
		}
		defer f.Close()
		list, err := parse(f)
		if err != nil {
			return usageError(fmt.Errorf("%s: %w", name, err), "")
		}
		out = append(out, list)
		return nil
	}
	name := o.ignore
	for _, folder := range folders {
		own := filepath.Join(folder, ".tightlipignore")
		info, err := os.Stat(own)
		switch {
		case name != "" || errors.Is(err, fs.ErrNotExist):
		case err == nil && !info.Mode().IsRegular():
			return nil, usageError(fmt.Errorf("%s is no file", own), "--ignore FILE")
		default:
			name = own
		}
	}
	if name != "" {
		if err := read(name, leaks.ParseIgnores); err != nil {
			return nil, err
		}
	}
	if o.baseline != "" {
		if err := read(o.baseline, leaks.ParseBaseline); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// scanned lists the images to scan.
func (a *app) scanned(ctx context.Context, o *scanOptions) ([]image.Ref, error) {
	var refs []image.Ref
	for _, name := range o.images {
		ref, err := image.ParseRef(name)
		if err != nil {
			return nil, usageError(err, imageForms)
		}
		if o.asContext && ref.Scheme == image.Auto {
			ref.Scheme = image.Context
		}
		refs = append(refs, ref)
	}
	if o.all != "" {
		all, err := image.List(ctx, strings.TrimPrefix(o.all, "registry:"), image.Options{Keychain: logins()})
		if err != nil {
			return nil, err
		}
		refs = append(refs, all...)
	}
	if len(refs) == 0 {
		return nil, usageError(errors.New("there is no image to scan"), "tightlip scan IMAGE")
	}
	return refs, nil
}

// scanner scans images.
type scanner struct {
	app      *app
	options  leaks.Options
	meter    *meter
	mirrors  image.Mirrors
	verifier *verify.Verifier // nil without --verify
}

func (a *app) newScanner(ctx context.Context, o *scanOptions) (*scanner, error) {
	cfg, err := a.load(map[string]string{})
	if err != nil {
		return nil, err
	}
	d, id, err := a.detector(o.rules)
	if err != nil {
		return nil, err
	}
	debug.SetMemoryLimit(memoryLimit)
	s := &scanner{app: a, meter: newMeter(a.streams.Err, "scanning"), mirrors: image.SystemMirrors()}
	s.options = leaks.Options{Detector: d, Budget: leaks.NewBudget()}
	if o.verify {
		s.useVerifier()
	}
	if !o.noCache && cfg.CacheDir != "" {
		s.options.Cache, err = leaks.OpenCache(filepath.Join(cfg.CacheDir, "scans"), id)
		if err != nil { // it is only slow
			fmt.Fprintf(a.streams.Err, "tightlip: warning: %v\n", err)
		}
	}
	if n, err := strconv.Atoi(o.since); err == nil {
		if n < 1 {
			return nil, usageError(fmt.Errorf("--since %s: no number of layers", o.since), "--since 1, or the name of a base image")
		}
		s.options.Last = n
	} else if o.since != "" {
		if s.options.Base, err = a.baseLayers(ctx, o.since); err != nil {
			return nil, err
		}
	}
	if o.dockerfile != "" {
		if s.options.Origins, err = a.origins(o.dockerfile, o.target); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// detector knows the rules, and those of a file of the user's. The id tells sets of rules apart.
func (a *app) detector(rules string) (d *detect.Detector, id string, err error) {
	if rules == "" {
		return detect.New(), "", nil
	}
	text, err := os.ReadFile(rules)
	if err != nil {
		return nil, "", usageError(err, "the path of a file with rules")
	}
	own, err := detect.ParseRules(text)
	if err != nil {
		return nil, "", usageError(fmt.Errorf("%s: %w", rules, err), "tightlip rules --help shows the format")
	}
	return detect.New(own...), string(text), nil
}

// atOnce is how many images of registries are scanned at the same time: most of that is waiting.
const atOnce = 4

// scanAll scans images, in any order. Those that are not in registries come one after the other.
func (s *scanner) scanAll(ctx context.Context, refs []image.Ref) []look {
	looks := make([]look, len(refs))
	group := errgroup.Group{}
	group.SetLimit(atOnce)
	for i, ref := range refs {
		scan := func() error {
			looks[i].ref = ref
			looks[i].result, looks[i].err = s.scan(ctx, ref)
			return nil
		}
		if ref.Scheme == image.Registry {
			group.Go(scan)
			continue
		}
		_ = scan()
	}
	_ = group.Wait() // its functions return nothing
	return looks
}

// open opens an image, or what is left of it, from where the engines of this machine would take it.
func (s *scanner) open(ctx context.Context, ref image.Ref) (image.Image, error) {
	return s.app.openImageAs(ctx, ref.String(), image.Options{Mirrors: s.mirrors, Partial: true})
}

func (s *scanner) scan(ctx context.Context, ref image.Ref) (*leaks.Result, error) {
	img, err := s.open(ctx, ref)
	if err != nil {
		return nil, s.masked(err)
	}
	defer img.Close()
	o := s.options
	o.Progress = s.meter.part()
	r, err := leaks.Find(ctx, img, o)
	return r, s.masked(err)
}

// maskedError is an error whose text may name what an image calls itself.
type maskedError struct {
	error
	text string
}

func (e *maskedError) Error() string { return e.text }
func (e *maskedError) Unwrap() error { return e.error }

func (s *scanner) masked(err error) error {
	if err == nil {
		return nil
	}
	return &maskedError{err, s.options.Detector.Mask(err.Error())}
}

// baseLayers are those of an image.
func (a *app) baseLayers(ctx context.Context, name string) (map[string]bool, error) {
	img, err := a.openImage(ctx, name)
	if err != nil {
		return nil, err
	}
	defer img.Close()
	l, err := img.Layout(ctx)
	if err != nil {
		return nil, err
	}
	out := map[string]bool{}
	for _, p := range l.Platforms {
		for _, layer := range p.Layers {
			out[layer.Digest], out[layer.DiffID] = true, true
		}
	}
	delete(out, "")
	return out, nil
}

// origins finds the Dockerfile lines behind an image's history.
func (a *app) origins(name, target string) (func([]string) []*finding.Source, error) {
	text, err := a.readDockerfile(name)
	if err != nil {
		return nil, err
	}
	f, err := dockerfile.Parse(name, text)
	if err != nil {
		return nil, usageError(err, "")
	}
	return func(history []string) []*finding.Source {
		out := make([]*finding.Source, len(history))
		for i, o := range dockerfile.Origins(f.Chain(target), history) {
			if o != nil {
				out[i] = &finding.Source{File: name, Line: o.Line, Text: o.Text}
			}
		}
		return out
	}, nil
}

// asScan puts a result into the shape that is printed.
func asScan(r *leaks.Result) report.Scan {
	out := report.Scan{Tool: toolName(), Findings: r.Findings}
	out.Image.Names = append([]string{r.Ref}, r.Layout.Names...)
	out.Image.Digest = r.Layout.Digest
	for _, p := range r.Layout.Platforms {
		out.Image.Platforms = append(out.Image.Platforms, p.String())
	}
	if len(r.Layout.Platforms) > 0 {
		out.Image.ID = r.Layout.Platforms[0].Config
	}
	for i, l := range r.Layers {
		out.Layers = append(out.Layers, report.ScanLayer{Index: i + 1, Digest: l.Digest, Size: max(l.Size, 0), CreatedBy: l.CreatedBy})
	}
	for _, u := range r.Unread {
		out.Unread = append(out.Unread, report.Unread{Location: u.Location, Reason: u.Reason})
	}
	out.Stats = report.Stats{Layers: r.Stats.Layers, Files: int(r.Stats.Files), Bytes: r.Stats.Bytes, Cached: r.Stats.Cached, Milliseconds: r.Stats.Time.Milliseconds()}
	return out
}
