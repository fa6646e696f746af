package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	dockeropts "github.com/docker/cli/opts"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/tightlip/tightlip/build"
	"github.com/tightlip/tightlip/proof"
	"github.com/tonistiigi/go-csvvalue"
)

// buildOptions are what the build command's flags say.
type buildOptions struct {
	request build.Request
	secrets []string
	waived  []string
	shmSize dockeropts.MemBytes
	format  string
	dryRun  bool
	engine  engineFlags
	broker  brokerFlags

	requests *requestLog // of the broker
}

// engineFlags choose and tune the engine.
type engineFlags struct{ engine, cache, keep string }

func (f *engineFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.cache, "engine-cache", "", "how much the embedded engine keeps on disk, in `bytes` such as 10GB")
	flags.StringVar(&f.keep, "engine-keep", "", "how long the embedded engine runs on after a build, a `duration` such as 5m")
}

func (a *app) buildCommand() *cobra.Command {
	o := &buildOptions{}
	cmd := &cobra.Command{
		Use:   "build [flags] PATH | URL | -",
		Short: "Build an image, prove that no secret is in it, and name it",
		Long: `Build an image as docker build does, with the same flags, and search everything that was built for the secrets,
in every encoding. Only if none is found, the image is tagged, loaded, pushed or written to its place.

A secret is docker's --secret, or comes from a reference:

  --secret id=npm,src=FILE             a file, as it is
  --secret id=npm,env=VARIABLE         an environment variable
  --secret id=npm,from=REFERENCE       file:PATH, file:PATH#KEY (of a dotenv, JSON, YAML, TOML or INI file),
                                       env:NAME, cmd:COMMAND, fd:NUMBER, - for standard input, and more: docs/sources.md
  --secret id=npm                      what tightlip.yaml says, else the variable npm, else the file npm
  --secret …,rebuild=on-change         a changed value runs the steps that mount it again
  --secret …,deliver=build-arg         the build argument of that name, for builders that can do nothing else: only what is minted,
                                       revoked and verified dead ("tightlip sources": grade A) before the image has a name

What "tightlip sources" calls minted is made when a step first asks for it, and revoked when the build is over.

With --broker, or broker: in a tightlip.yaml that you trust ("tightlip trust"), steps use a secret at the origins that are named and never
have it: they find a phantom, and their requests get the credential on the way (docs/broker.md).

Exit codes: 0 built, proven and named; 3 a secret, or the phantom of one, is in the image; 2 not everything could be searched, or the command
line is wrong; 1 the build failed; 130 interrupted. Except with 0, nothing has a name, or the last lines say what has one: a second
push can fail after the first. With --prove=warn a leak is told and the exit code is 0.`,
		Example: `  tightlip build -t app .
  tightlip build --secret id=npm,env=NPM_TOKEN -t app .
  tightlip build --secret id=npm,from=file:.env#NPM_TOKEN --push -t registry.corp.example/app .
  tightlip build --secret id=npm,from='cmd:pass show ci/npm' --proof app.proof.json -t app .`,
		Args: exactArgs(1, "what to build: a folder, a URL, or - for standard input"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.request.Context = args[0]
			return a.runBuild(cmd.Context(), cmd.Flags(), o)
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveFilterDirs
		},
		DisableFlagsInUseLine: true,
	}
	dockerBuildFlags(cmd.Flags(), o)
	ownBuildFlags(cmd, o)
	return cmd
}

// exactArgs is cobra.ExactArgs with words about what is missing.
func exactArgs(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != n {
			return usageError(fmt.Errorf("%s needs %s", cmd.CommandPath(), what), cmd.CommandPath()+" --help")
		}
		return nil
	}
}

const forgetUsage = "forget which layers leaked an earlier value of a secret"

// ownBuildFlags are those that docker build does not have.
func ownBuildFlags(cmd *cobra.Command, o *buildOptions) {
	flags, r := cmd.Flags(), &o.request
	flags.StringVar(&o.engine.engine, "engine", "", "what builds: auto, docker (any buildx builder), embedded, classic (Docker without BuildKit), podman or buildah")
	flags.String("prove", "", "what a failed proof leads to: strict (no name), warn or off")
	flags.StringArrayVar(&o.waived, "prove-waive", nil, "`id` of a secret that may be too short to be proven")
	flags.StringArrayVar(&r.Skip, "prove-skip", nil, "`pattern` of files in layers that may stay unread, such as usr/share/*/testdata/*")
	flags.BoolVar(&r.ProveHistory, "prove-history", false, "search the builder's record of the build, too, and delete it if it holds a secret")
	flags.BoolVar(&r.Forget, "prove-forget", false, forgetUsage)
	flags.StringVar(&r.Proof, "proof", "", "write the proof as an in-toto statement to `file`")
	flags.StringVar(&o.format, "format", "text", "text, or json for one object on standard output")
	flags.BoolVar(&o.dryRun, "dry-run", false, "print what would be done, and do nothing")
	o.engine.add(flags)
	o.broker.add(cmd)
	flags.BoolVar(&r.Rehearse, "rehearse", false, "build with phantoms in place of all secrets, show where they end up, and name nothing")
	flags.BoolVar(&r.AllowPhantom, "allow-phantom", false, "name the image although the phantom of a secret is in it")
	complete := func(name string, values ...string) {
		_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	}
	complete("engine", "auto", "docker", "embedded", "classic", "podman", "buildah")
	complete("prove", "strict", "warn", "off")
	complete("format", "text", "json")
	complete("progress", "auto", "none", "plain", "quiet", "rawjson", "tty")
	complete("call", "build", "check", "outline", "targets")
}

func (a *app) runBuild(ctx context.Context, flags *pflag.FlagSet, o *buildOptions) error {
	cfg, err := a.load(given(flags, "engine", "prove", "engine-cache", "engine-keep"))
	if err != nil {
		return err
	}
	if err := checkFormat(o.format); err != nil {
		return err
	}
	r := &o.request
	if o.format == "json" && slices.ContainsFunc(r.Output, toStdout) {
		return usageError(errors.New("--format json and an output to standard output would be mixed"), "dest=FILE")
	}
	if o.format == "json" && r.Call != "" && r.Call != "build" {
		return usageError(errors.New("--call has formats of its own"), "--call="+r.Call+",format=json")
	}
	if cfg.Engine != "auto" && cfg.Engine != "docker" && r.Builder != "" {
		return usageError(fmt.Errorf("--engine %s is a builder of its own: --builder would have no effect", cfg.Engine), "one of the two")
	}
	dockerEnvironment(r)
	r.ShmSize, r.Prove = o.shmSize.Value(), build.ProveMode(cfg.Prove)
	if r.Secrets, err = secrets(cfg, o.secrets, o.waived, r.Rehearse); err != nil {
		return err
	}
	if !r.Rehearse {
		if err := o.broker.apply(cfg, r); err != nil {
			return err
		}
	}
	if err := o.broker.agents(cfg, r); err != nil {
		return err
	}
	if err := proof.CheckSkip(r.Skip); err != nil {
		return usageError(err, "--prove-skip takes the patterns of a shell, without **")
	}
	warnIgnored(flags, a.streams.Err)
	if o.dryRun {
		return a.printJSON(struct {
			Engine string         `json:"engine"`
			Build  *build.Request `json:"build"`
		}{cfg.Engine, r.Printable()})
	}
	tools, err := a.tools(cfg, r.Context != "-" && r.File != "-")
	if err != nil {
		return err
	}
	tools.Engine = a.engineFor(cfg)
	if !r.Quiet {
		a.tellLeft(cfg)
	}
	a.tellRoutes(cfg, r)
	o.requests = newRequestLog(cfg, o.broker.audit)
	tools.Audit, tools.AgentAudit = o.requests.write, a.showAgent
	out, err := build.Run(ctx, r, tools)
	return a.finishBuild(o, out, errors.Join(err, o.requests.close()))
}

// finishBuild reports what came of a build, whether it failed or not.
func (a *app) finishBuild(o *buildOptions, out *build.Outcome, err error) error {
	if out == nil {
		return err
	}
	a.named = out.Image.Names
	if out.Proof != nil && o.request.Proof != "" {
		if werr := a.writeStatement(o.request.Proof, out, o.requests.materials()); werr != nil {
			return errors.Join(err, werr)
		}
	}
	rep := asReport(out, err, a.redact)
	rep.Requests = o.requests.report()
	switch {
	case o.format == "json":
		return errors.Join(err, rep.JSON(a.streams.Out))
	case o.request.Quiet && err == nil:
		if out.Proof != nil && out.Proof.Verdict != proof.Clean { // with --prove=warn
			rep.Text(a.streams.Err, "tightlip: ")
		}
		fmt.Fprintln(a.streams.Out, out.Image.ID)
		return nil
	case o.request.Quiet && out.Proof == nil:
		return err
	}
	if o.request.Call == "" || o.request.Call == "build" {
		a.brokerNotes(o.requests)
		rep.Text(a.streams.Err, "tightlip: ")
		a.notes(o, out)
	}
	return err
}

// notes are what the user should know besides the proof.
func (a *app) notes(o *buildOptions, out *build.Outcome) {
	note := func(format string, args ...any) { fmt.Fprintf(a.streams.Err, "tightlip: note: "+format+"\n", args...) }
	for _, s := range out.Secrets {
		if !s.Requested && out.Named && !isArgument(&o.request, s.ID) {
			note("no step asked for secret %s: what mounts it is in the cache, or nothing does", s.ID)
		}
	}
	for _, id := range out.Unknown {
		note("a step asked for secret %s, which this build does not have: --secret id=%s,…", id, id)
	}
	if out.Proof != nil && len(out.Proof.Waived) > 0 {
		note("not proven, because too short: %s", strings.Join(out.Proof.Waived, ", "))
	}
	if out.Proof != nil && len(out.Proof.Spent) > 0 && out.Named {
		note("may be in the image as a build argument, and is dead: %s", strings.Join(out.Proof.Spent, ", "))
	}
	if out.Proof != nil && out.Proof.Verdict == proof.Leaked && out.Engine != "classic" { // there, the layers are gone with the image
		note("the builder's cache still holds what leaked: %s removes it", pruneCommand(out.Engine))
	}
	if out.Proof != nil && out.Proof.Known() {
		note("a layer from the cache holds a value that the secret had in an earlier build: --no-cache builds it anew; if the earlier leak was none: --prove-forget")
	}
	switch {
	case !out.KeepsHistory || !out.Built || o.request.ProveHistory || len(out.Secrets) == 0:
	case out.Printed:
		note("a step printed a secret, and the builder's history keeps the log as it was: --prove-history finds and deletes it")
	default:
		note("the builder's history keeps the log of this build, in which no secret was seen")
	}
	if !out.Named && len(out.Image.Names) > 0 {
		note("named before the error: %s", strings.Join(out.Image.Names, ", "))
	}
	if !out.Named {
		return
	}
	for _, name := range out.Image.Names {
		fmt.Fprintf(a.streams.Err, "tightlip: named %s\n", name)
	}
	if len(out.Image.Names) == 0 && out.CacheOnly {
		note("the image is in the builder's cache only: --push, --load or --output type=oci,dest=FILE takes it out")
	}
}

// isArgument tells whether a secret comes to the build as an argument, which no step asks for.
func isArgument(r *build.Request, id string) bool {
	return slices.ContainsFunc(r.Secrets, func(s build.Secret) bool { return s.ID == id && s.Argument != "" })
}

func pruneCommand(engine string) string {
	switch engine {
	case "embedded":
		return "tightlip engine prune --all"
	case "podman":
		return "podman image prune"
	case "buildah":
		return "buildah rmi --prune"
	}
	return "docker builder prune"
}

func (a *app) writeStatement(name string, out *build.Outcome, materials []proof.Material) error {
	st := proof.NewStatement(out.Proof, out.SubjectDigest(), out.Image.Names, Version(), time.Now())
	st.Predicate.Materials = materials
	text, err := json.MarshalIndent(st, "", "  ")
	if err != nil {
		return err
	}
	text = []byte(a.redact(string(append(text, '\n'))))
	err = build.WriteFile(name, func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	})
	if err != nil {
		return fmt.Errorf("writing the proof: %w", err)
	}
	return nil
}

func (a *app) printJSON(v any) error {
	enc := json.NewEncoder(a.streams.Out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// toStdout tells whether an --output goes to standard output.
func toStdout(output string) bool {
	fields, err := csvvalue.Fields(output, nil)
	if err != nil || output == "-" {
		return output == "-"
	}
	values := map[string]string{}
	for _, f := range fields {
		k, v, _ := strings.Cut(f, "=")
		values[strings.ToLower(k)] = v
	}
	archive := values["type"] == "tar" || values["type"] == "oci" && values["tar"] != "false"
	return values["dest"] == "-" || archive && values["dest"] == ""
}

func checkFormat(format string) error {
	if format != "text" && format != "json" {
		return usageError(errors.New("the format is neither text nor json"), "--format text or --format json")
	}
	return nil
}

// given are the flags of those names that the user gave.
func given(flags *pflag.FlagSet, names ...string) map[string]string {
	out := map[string]string{}
	for _, name := range names {
		if f := flags.Lookup(name); f != nil && f.Changed {
			out[name] = f.Value.String()
		}
	}
	return out
}
