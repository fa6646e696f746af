// Package cli is the command line: it parses, makes one call, and prints what came of it.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/tightlip/tightlip/build"
	"github.com/tightlip/tightlip/internal/redact"
	"github.com/tightlip/tightlip/secret/journal"
)

// Streams are the standard streams of the program.
type Streams struct {
	In  *os.File
	Out io.Writer // the product
	Err *os.File  // the talk
}

// app is what commands share.
type app struct {
	streams Streams
	global  globalFlags
	docker  dockerFlags

	mu       sync.Mutex
	redactor *redact.Redactor
	command  string   // the one that ran, for the exit code
	named    []string // what a build has named
	journal  *journal.Journal
}

// globalFlags are those of every command.
type globalFlags struct {
	config      string
	allowSource []string
}

// errInterrupted is why the context ends on a signal.
var errInterrupted = errors.New("interrupted")

// Main runs the command line args, without the program's name, and returns the exit code.
func Main(ctx context.Context, args []string, s Streams) int {
	noCoreDumps()
	ctx, stop := notify(ctx)
	defer stop()
	a := &app{streams: s}
	args, done, err := a.asPlugin(args)
	if done {
		return a.exit(ctx, err)
	}
	root := a.root()
	root.SetArgs(args)
	root.SetIn(s.In)
	root.SetOut(s.Out)
	root.SetErr(s.Err)
	err = root.ExecuteContext(ctx)
	if a.journal != nil {
		err = errors.Join(err, a.journal.Close())
	}
	return a.exit(ctx, err)
}

// notify ends the context on the first signal. The second ends the program. SIGPIPE does nothing, since it would end the program where it
// stands, with its credentials alive and its files in place: writing fails instead.
func notify(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // as nohup has it
		signal.Notify(signals, syscall.SIGHUP)
	}
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) // ignoring it would have commands ignore it
	go func() {
		<-signals
		cancel(errInterrupted)
		<-signals
		fmt.Fprintln(os.Stderr, "tightlip: interrupted again, while cleaning up: tightlip reap ends what is left")
		os.Exit(exitInterrupted)
	}()
	return ctx, func() { signal.Stop(signals); cancel(nil) }
}

// root is the command tree.
func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "tightlip",
		Short: "Build images with secrets, and prove that none is in them",
		Long: `tightlip gets secrets into image builds without leaking them, and proves that it did.

It stands in front of docker build: the same flags, the same display. Secrets come from files, variables, commands or
descriptors, are handed over only when a step mounts them, and are searched for in all that was built. Only an image
without any of them is tagged, loaded or pushed.`,
		Example: `  tightlip build -t app .
  tightlip build --secret id=npm,env=NPM_TOKEN -t app .
  tightlip prove app --secret id=npm,from=env:NPM_TOKEN`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	flags := root.PersistentFlags()
	flags.StringVar(&a.global.config, "config", "", "the project's `file`, instead of the tightlip.yaml above the working directory")
	flags.StringSliceVar(&a.global.allowSource, "allow-source", nil, "`schemes` that the project's file may use for secrets, such as cmd; broker, ssh, build-arg: what it may use them for")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError(err, cmd.CommandPath()+" --help lists the flags")
	})
	root.AddCommand(a.buildCommand(), a.proveCommand(), a.scanCommand(), a.lintCommand(), a.extractCommand(), a.explainCommand(), a.rulesCommand(), a.translateCommand(), a.serveCommand(), a.brokerCommand(), a.auditCommand(), a.runCommand(), a.mintCommand(), a.sourcesCommand(), a.trustCommand(), a.reapCommand(), a.doctorCommand(), a.engineCommand(), a.versionCommand(), a.docsCommand(), environmentTopic())
	root.PersistentPreRun = func(cmd *cobra.Command, _ []string) { a.command = cmd.Name() }
	return root
}

// setRedactor makes everything that is printed from now on pass r.
func (a *app) setRedactor(r *redact.Redactor) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.redactor = r
	redactLogs(r, a.streams.Err)
}

// redact makes text fit to print.
func (a *app) redact(text string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.redactor == nil {
		return text
	}
	return a.redactor.String(text)
}

// usageError is for a command line that cannot be understood. try is what to type instead, if anything.
func usageError(err error, try string) error { return &build.UsageError{Err: err, Try: try} }
