package cli

import (
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"
	"github.com/tightlip/tightlip/lint"
	"github.com/tightlip/tightlip/report"
	"github.com/tightlip/tightlip/scan/detect"
)

func (a *app) rulesCommand() *cobra.Command {
	file := ""
	cmd := &cobra.Command{
		Use:   "rules [flags]",
		Short: "List the rules of scan and lint",
		Long: `List the rules that "tightlip scan" goes by, and below them those that "tightlip lint" has besides: id, severity, title.

Rules of your own are in a YAML file, given with --rules. Each needs examples of what it finds and what it does not: they are tried
before the rule is used.

    rules:
      - id: corp-token
        title: token of our own
        severity: high            # critical, high, medium, low, note
        keywords: [corp_]         # one of them, of 4 bytes or more, is in each match
        pattern: 'corp_([a-z0-9]{32})'   # RE2; the first group is the value
        why: Gives access to the package server.
        match: ["corp_0123456789abcdefghijklmnopqrstuv"]
        no_match: ["corp_id"]`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			d, _, err := a.detector(file)
			if err != nil {
				return err
			}
			a.listRules(d.Rules())
			fmt.Fprint(a.streams.Out, "\nOf lint, in what images are built from:\n\n")
			a.listRules(lint.Rules())
			return nil
		},
		DisableFlagsInUseLine: true,
	}
	cmd.Flags().StringVar(&file, "rules", "", "a `file` with rules of your own")
	return cmd
}

func (a *app) listRules(rules []*detect.Rule) {
	for _, r := range rules {
		fmt.Fprintf(a.streams.Out, "%-36s %-9s %s\n", r.ID, r.Severity, r.Title)
	}
}

func (a *app) explainCommand() *cobra.Command {
	file := ""
	cmd := &cobra.Command{
		Use:     "explain [flags] RULE",
		Short:   "Say what a rule finds, who can get at it, and what to write instead",
		Example: "  tightlip explain npmrc",
		Args:    exactArgs(1, "the id of a rule: tightlip rules lists them"),
		RunE: func(_ *cobra.Command, args []string) error {
			d, _, err := a.detector(file)
			if err != nil {
				return err
			}
			if r := ruleOf(lint.Rules(), args[0]); r != nil {
				_, err := io.WriteString(a.streams.Out, report.ExplainLint(r.ID, r.Title, r.Severity, r.Why, r.Fix))
				return err
			}
			if r := ruleOf(d.Rules(), args[0]); r != nil {
				_, err := io.WriteString(a.streams.Out, report.Explain(r.ID, r.Title, r.Severity, r.Why, r.Fix))
				return err
			}
			return usageError(fmt.Errorf("there is no rule %q", args[0]), "tightlip rules")
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			var ids []string
			for _, r := range slices.Concat(detect.New().Rules(), lint.Rules()) {
				ids = append(ids, r.ID)
			}
			return ids, cobra.ShellCompDirectiveNoFileComp
		},
		DisableFlagsInUseLine: true,
	}
	cmd.Flags().StringVar(&file, "rules", "", "a `file` with rules of your own")
	return cmd
}

// ruleOf is the rule with an id, or nil.
func ruleOf(rules []*detect.Rule, id string) *detect.Rule {
	if i := slices.IndexFunc(rules, func(r *detect.Rule) bool { return r.ID == id }); i >= 0 {
		return rules[i]
	}
	return nil
}
