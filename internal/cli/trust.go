package cli

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"github.com/tightlip/tightlip/internal/config"
)

func (a *app) trustCommand() *cobra.Command {
	var show, remove bool
	cmd := &cobra.Command{
		Use:   "trust",
		Short: "Let the project's tightlip.yaml run commands, reach hosts and send secrets to them",
		Long: `A project's tightlip.yaml may name files and variables for the secrets that steps mount. Only if you trust it, it may name what runs a
command or reaches a host, have secrets used at hosts (broker:), have steps sign with them (ssh:), or put them into the image (deliver:
build-arg). This shows what it wants, and trusts the file as it is now, at the place where it is now. When it changes, so does that.

In CI, --allow-source SCHEME or TIGHTLIP_ALLOW says which schemes any project's file may use, and with the words broker, ssh and build-arg
what else it may do.`,
		Example: `  tightlip trust
  tightlip trust --show`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return a.runTrust(show, remove) },
	}
	cmd.Flags().BoolVar(&show, "show", false, "show what the file wants, and change nothing")
	cmd.Flags().BoolVar(&remove, "remove", false, "trust the file no longer")
	cmd.MarkFlagsMutuallyExclusive("show", "remove")
	return cmd
}

func (a *app) runTrust(show, remove bool) error {
	cfg, err := a.load(map[string]string{})
	if err != nil {
		return err
	}
	if cfg.ProjectFile() == "" {
		return usageError(errors.New("there is no tightlip.yaml from here up to the root of the repository"), "--config FILE names one")
	}
	switch {
	case remove:
		err = cfg.Distrust()
	case !show:
		err = cfg.Trust()
	}
	if err != nil {
		return err
	}
	a.describeTrust(a.streams.Out, cfg)
	return nil
}

func (a *app) describeTrust(w io.Writer, cfg *config.Config) {
	how := "is not trusted"
	if cfg.Trusted() {
		how = "is trusted as it is now"
	}
	fmt.Fprintf(w, "%s %s\n", cfg.ProjectFile(), how)
	need := 0
	for _, u := range cfg.Wants() {
		allowed := " (allowed)"
		if !cfg.Allows(u) {
			allowed = ""
			need++
		}
		fmt.Fprintf(w, "  line %d: %s%s\n", u.Origin.Line, u.Text, allowed)
	}
	if need == 0 {
		fmt.Fprintln(w, "  it needs no trust: its secrets come from files and variables, and go nowhere but to the steps that mount them, or as you allow")
	}
}
