package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/tightlip/tightlip/internal/config"
)

func (a *app) trustCommand() *cobra.Command {
	var show, remove bool
	cmd := &cobra.Command{
		Use:   "trust",
		Short: "Let the project's tightlip.yaml run commands and reach hosts for its secrets",
		Long: `A project's tightlip.yaml may name files and variables for its secrets. What runs a command or reaches a host it may name only if you
trust it: this shows what it wants, and trusts the file as it is now, at the place where it is now. When it changes, so does that.

In CI, --allow-source SCHEME or TIGHTLIP_ALLOW says which schemes any project's file may use.`,
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
	wants := cfg.NeedsTrust()
	for _, s := range wants {
		fmt.Fprintf(w, "  line %d: secret %s from %s\n", s.Origin.Line, s.ID, s.Ref)
	}
	describeUse(w, cfg)
	if len(wants) == 0 {
		fmt.Fprintln(w, "  it needs no trust: its secrets come from files and variables, or from sources that you allow")
	}
}

// describeUse shows what the file has the secrets used for, which needs no trust.
func describeUse(w io.Writer, cfg *config.Config) {
	for _, s := range cfg.Secrets {
		if s.Origin.Kind != config.FromProject {
			continue
		}
		for _, r := range s.Broker {
			fmt.Fprintf(w, "  line %d: steps use secret %s at %s (told at the start of each build)\n", s.Origin.Line, s.ID, r.Origin)
		}
		if s.Argument != "" {
			fmt.Fprintf(w, "  line %d: secret %s comes to the build as the argument %s, and stays in the image\n", s.Origin.Line, s.ID, s.Argument)
		}
	}
	for _, a := range cfg.Agents {
		if a.Origin.Kind == config.FromProject && a.Secret != "" {
			fmt.Fprintf(w, "  line %d: steps sign with secret %s through the SSH agent %s, for %s\n", a.Origin.Line, a.Secret, a.ID, strings.Join(a.Allow, ", "))
		}
	}
}
