package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/tightlip/tightlip/build"
	"github.com/tightlip/tightlip/internal/config"
	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/source/all"
	"github.com/tonistiigi/go-csvvalue"
)

type runOptions struct {
	secrets []string
	context string
	skip    []string
	waived  []string
	format  string
	keep    []string
}

func (a *app) runCommand() *cobra.Command {
	o := &runOptions{}
	cmd := &cobra.Command{
		Use:   "run --secret id=NAME,from=REFERENCE,env=VARIABLE [flags] -- COMMAND…",
		Short: "Run a command with secrets, and mask them in what it prints",
		Long: `Run any command with secrets in its environment: what must be fetched outside of a build, so that the build only copies it. What is
minted lives as long as the command does, and is revoked when it ends. In all that the command prints, the secrets are masked.

  --secret id=NAME,from=REFERENCE,env=VARIABLE    the variable holds the value
  --secret id=NAME,from=REFERENCE,file=VARIABLE   the variable holds the path of a file with the value, in memory where there is /dev/shm
  --secret id=NAME,env=VARIABLE                   tightlip.yaml says where NAME comes from, else the variable of the same name

The command gets our environment, but not the variables that the secrets come from or are minted with, and none that hold other
credentials, by their names or values: it says which. --keep-env passes them on. Its standard input is ours; what it prints goes through a
pipe, so that it sees no terminal there. With --context, the folder is searched for the secrets when the command has ended, as
prove does it, with its .dockerignore. Core dumps are off, for the command too.

Exit codes: those of the command, 128 and the number of a signal that ended it; 3 a secret is in the context; 2 it could not be
searched, there is no such command, or the command line is wrong; 130 interrupted.`,
		Example: `  tightlip run --secret id=npm,from=env:NPM_TOKEN,env=NODE_AUTH_TOKEN --context . -- npm ci --ignore-scripts
  tightlip run --secret id=pip,from=file:~/.netrc,file=NETRC --context . -- pip download -d wheels -r requirements.txt`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error { return a.runRun(cmd.Context(), o, nil, args) },
	}
	flags := cmd.Flags()
	flags.SetInterspersed(false)
	flags.StringArrayVar(&o.secrets, "secret", nil, `secret of the command ("id=npm,from=REFERENCE,env=VARIABLE")`)
	addKeep(cmd, &o.keep)
	o.addContext(cmd)
	return cmd
}

// addKeep adds the flag of commands that run a command.
func addKeep(cmd *cobra.Command, keep *[]string) {
	cmd.Flags().StringSliceVar(keep, "keep-env", nil, "`name` of a variable that the command gets although it looks like a credential, or AWS_* (TIGHTLIP_KEEP_ENV)")
}

// keptEnv is that flag, if it is given.
func keptEnv(keep []string) map[string]string {
	if len(keep) == 0 {
		return map[string]string{}
	}
	return map[string]string{"keep-env": strings.Join(keep, ",")}
}

// showWithheld tells which variables a command does not get.
func (a *app) showWithheld(names []string) {
	for i, name := range names {
		if !secret.Printable(name) {
			names[i] = strconv.Quote(name)
		}
	}
	try := "--keep-env NAME passes one on"
	if len(names) == 1 {
		try = "--keep-env " + names[0] + " passes it on"
	}
	fmt.Fprintln(a.streams.Err, a.redact("tightlip: the command does not get "+strings.Join(names, ", ")+": "+try))
}

func (o *runOptions) addContext(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&o.context, "context", "", "search the build context in `folder` for the secrets when the command has ended")
	flags.StringArrayVar(&o.skip, "prove-skip", nil, "`pattern` of files in the context that may stay unread")
	flags.StringArrayVar(&o.waived, "prove-waive", nil, "`id` of a secret that may be too short to be searched for")
	flags.StringVar(&o.format, "format", "text", "text, or json for one object on standard error")
	_ = cmd.MarkFlagDirname("context")
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
}

func (a *app) mintCommand() *cobra.Command {
	o := &runOptions{}
	variable := ""
	cmd := &cobra.Command{
		Use:   "mint REFERENCE [flags] -- COMMAND…",
		Short: "Run a command with a credential that lives as long as the command",
		Long: `Make a credential, run a command with it in a variable, and revoke it. It is "tightlip run" with one secret; the value is never printed.
"tightlip sources" lists what can be minted.`,
		Example: `  tightlip mint 'ssh-cert:ca_key?principals=git&ttl=10m' --env KEY --as-file -- sh -c 'ssh -i "$KEY" git@git.corp.example'
  tightlip mint 'gitea:https://git.corp.example?user=ci&token=env:GITEA_PASSWORD&scopes=read:package' --env TOKEN -- ./fetch`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError(errors.New("tightlip mint needs a reference"), "tightlip sources lists what can be minted")
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.SetInterspersed(true)
	flags.StringVar(&variable, "env", "TOKEN", "the `variable` that holds the value")
	asFile := flags.Bool("as-file", false, "the variable holds the path of a file with the value")
	addKeep(cmd, &o.keep)
	o.addContext(cmd)
	cmd.ValidArgsFunction = func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveDefault
		}
		var schemes []string
		for _, row := range sourceRows(all.Sources(all.Options{})) {
			if row.Minted {
				schemes = append(schemes, row.Scheme+":\t"+row.What)
			}
		}
		return schemes, cobra.ShellCompDirectiveNoSpace
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ref, err := secret.ParseRef(args[0])
		if err != nil {
			return err
		}
		if _, ok := a.resolver(false).Minter(ref.Scheme); !ok {
			return usageError(fmt.Errorf("%s: makes no credential", ref.Scheme), "tightlip run --secret id=NAME,from=REFERENCE,env=VARIABLE -- COMMAND; tightlip sources lists what is minted")
		}
		s := build.CommandSecret{Secret: build.Secret{ID: "minted", Ref: ref}, Variable: variable, AsFile: *asFile}
		return a.runRun(cmd.Context(), o, []build.CommandSecret{s}, args[1:])
	}
	return cmd
}

// runRun runs a command with secrets, and those of the flags.
func (a *app) runRun(ctx context.Context, o *runOptions, secrets []build.CommandSecret, command []string) error {
	cfg, err := a.load(keptEnv(o.keep))
	if err != nil {
		return err
	}
	if err := checkFormat(o.format); err != nil {
		return err
	}
	r := &build.CommandRequest{Secrets: secrets, Command: command, Context: o.context, Skip: o.skip, Keep: cfg.KeepEnv, Out: a.streams.Out, Err: a.streams.Err}
	for _, text := range o.secrets {
		s, err := commandSecret(cfg, text)
		if err != nil {
			return err
		}
		s.Waived = s.Waived || slices.Contains(o.waived, s.ID)
		r.Secrets = append(r.Secrets, s)
	}
	if err := checkWaived(o.waived, func(id string) bool {
		return slices.ContainsFunc(r.Secrets, func(s build.CommandSecret) bool { return s.ID == id })
	}); err != nil {
		return err
	}
	tools, err := a.tools(cfg, false)
	if err != nil {
		return err
	}
	if o.format != "json" { // which is on standard error, and has a field for it
		tools.Withheld = a.showWithheld
		a.tellLeft(cfg)
	}
	out, err := build.RunCommand(ctx, r, a.openImage, tools)
	if re, ok := errors.AsType[*secret.ResolveError](err); ok {
		re.Only = true // a file would need its variable, too
	}
	switch {
	case out == nil && o.format == "json":
		return errors.Join(err, asReport(&build.Outcome{}, err, a.redact).JSON(a.streams.Err))
	case out == nil:
		return err
	}
	if out.Left {
		fmt.Fprintf(a.streams.Err, "tightlip: %s has left something running with its output open; what that prints from now on is not shown\n", a.redact(command[0]))
	}
	rep := asReport(out, err, a.redact)
	rep.Place = "build context"
	if o.format == "json" {
		return errors.Join(err, rep.JSON(a.streams.Err))
	}
	if r.Context != "" || len(out.Leases) > 0 {
		rep.Text(a.streams.Err, "tightlip: ")
	}
	return err
}

// commandSecret reads a --secret of run: env= or file= name the command's variable if the secret comes from somewhere else.
func commandSecret(cfg *config.Config, text string) (build.CommandSecret, error) {
	fields, err := csvvalue.Fields(text, nil)
	if err != nil {
		_, err := secret.ParseSpec(text) // which says how to quote
		return build.CommandSecret{}, err
	}
	var s build.CommandSecret
	has := map[string]bool{}
	var rest []string
	for _, f := range fields {
		key, value, _ := strings.Cut(f, "=")
		key = strings.ToLower(key)
		has[key] = true
		switch key {
		case "env", "file":
			s.Variable, s.AsFile = value, key == "file"
		default:
			rest = append(rest, `"`+strings.ReplaceAll(f, `"`, `""`)+`"`)
		}
	}
	if has["env"] && has["file"] {
		return build.CommandSecret{}, usageError(errors.New("--secret: env= and file= are two ways to bring one secret"), "one of the two")
	}
	spec, err := secret.ParseSpec(strings.Join(rest, ","))
	if err != nil {
		return build.CommandSecret{}, err
	}
	if spec.Argument != "" {
		return build.CommandSecret{}, usageError(errors.New("--secret: deliver=build-arg is for builds"), "env=VARIABLE brings the secret to a command")
	}
	if spec.RebuildOnChange {
		return build.CommandSecret{}, usageError(errors.New("--secret: rebuild=on-change is for steps of a build"), "leave it out")
	}
	if _, known := cfg.Secret(spec.ID); spec.Ref.IsZero() && !known && has["env"] {
		if spec.Ref, err = secret.ParseRef(secret.SchemeEnv + ":" + s.Variable); err != nil {
			return build.CommandSecret{}, err
		}
	}
	if spec, err = cfg.Complete(spec, os.LookupEnv); err != nil {
		return build.CommandSecret{}, err
	}
	entry, _ := cfg.Secret(spec.ID)
	s.Secret = build.Secret{ID: spec.ID, Ref: spec.Ref, Waived: entry.Waive}
	return s, nil
}

// showLeases tells what became of what was minted.
func (a *app) showLeases(endings []secret.Ending) {
	for _, e := range endings {
		fmt.Fprintf(a.streams.Err, "tightlip: %s\n", asLease(e, a.redact))
	}
}
