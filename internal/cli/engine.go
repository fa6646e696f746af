package cli

import (
	"context"
	"fmt"

	"github.com/moby/buildkit/client"
	"github.com/spf13/cobra"
	"github.com/tightlip/tightlip/build/engine/embedded"
	"github.com/tightlip/tightlip/report"
)

// engineCommand holds what is about the embedded engine.
func (a *app) engineCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "engine",
		Short: "Manage the embedded engine",
		Long: `The embedded engine is BuildKit inside tightlip, for machines that have no builder. It needs Linux, and runc or crun.
It starts with a build and stops with it; its cache stays, up to a limit.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.enginePruneCommand(), a.engineServeCommand())
	return cmd
}

func (a *app) enginePruneCommand() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "prune",
		Short: "Remove what the embedded engine has cached",
		Example: `  tightlip engine prune
  tightlip engine prune --all`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.prune(cmd.Context(), all) },
	}
	cmd.Flags().BoolVar(&all, "all", false, "remove what is shared and internal, too")
	return cmd
}

func (a *app) prune(ctx context.Context, all bool) error {
	cfg, err := a.load(map[string]string{})
	if err != nil {
		return err
	}
	o := embeddedOptions(cfg)
	o.Keep = 0
	e, err := embedded.Start(ctx, o)
	if err != nil {
		return err
	}
	defer e.Close()
	c, err := client.New(ctx, e.Address())
	if err != nil {
		return fmt.Errorf("connecting to the embedded engine: %w", err)
	}
	defer c.Close()
	usage := make(chan client.UsageInfo)
	done := make(chan struct{})
	var items int
	var bytes int64
	go func() {
		for u := range usage {
			items, bytes = items+1, bytes+u.Size
		}
		close(done)
	}()
	var opts []client.PruneOption
	if all {
		opts = append(opts, client.PruneAll)
	}
	err = c.Prune(ctx, usage, opts...)
	close(usage)
	<-done
	if err != nil {
		return fmt.Errorf("pruning the embedded engine's cache: %w", err)
	}
	fmt.Fprintf(a.streams.Out, "removed %d records, %s\n", items, report.Size(bytes))
	return nil
}

// engineServeCommand is the engine's own process. Users have no use for it.
func (a *app) engineServeCommand() *cobra.Command {
	var o embedded.ServeOptions
	cmd := &cobra.Command{
		Use:    "serve",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return embedded.Serve(cmd.Context(), o)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.StateDir, "state", "", "")
	flags.StringVar(&o.RunDir, "run", "", "")
	flags.Int64Var(&o.CacheLimit, "cache", embedded.DefaultCacheLimit, "")
	flags.BoolVar(&o.NoPIDNamespace, "no-pid-namespace", false, "")
	flags.BoolVar(&o.UserNamespace, "user-namespace", false, "")
	flags.BoolVar(&o.Mapped, "mapped", false, "")
	return cmd
}
