package cli

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/source/all"
	"github.com/tightlip/tightlip/secret/source/provider"
)

// issuers is a life that nobody can ask for.
const issuers = "the issuer's"

// sourceRow is one line of the list. Its JSON is stable: fields are added, never changed.
type sourceRow struct {
	Scheme  string `json:"scheme"`
	Form    string `json:"form"`
	What    string `json:"what"`
	Minted  bool   `json:"minted"`
	Grade   string `json:"grade,omitempty"`
	Least   string `json:"least,omitempty"`   // life that can be asked for
	Default string `json:"default,omitempty"` // life
	Narrow  string `json:"narrow,omitempty"`
	Revoke  string `json:"revoke,omitempty"`
	Warning string `json:"warning,omitempty"`
	Takes   string `json:"takes,omitempty"` // what a reference must say to be of the grade
}

func (a *app) sourcesCommand() *cobra.Command {
	format := "text"
	cmd := &cobra.Command{
		Use:   "sources",
		Short: "List where secrets can come from, and what can be minted for a build",
		Long: `List the schemes of references: sources that find a secret, and those that mint one for a build and revoke it when it ends.

A grade says how little a minted credential is worth when it leaks, at best:
  A  it lives for an hour at most or is revoked at once, and can be narrowed to what the build needs
  B  it lives for an hour at most or is revoked at once, and may do all that its parent may do
  C  it lives for hours or days, unless revoking works
  D  it neither ends soon nor is surely revoked`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			rows := sourceRows(all.Sources(all.Options{}))
			if format == "json" {
				return a.printJSON(rows)
			}
			return a.printSources(rows)
		},
	}
	cmd.Flags().StringVar(&format, "format", "text", "text, or json for one list on standard output")
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func sourceRows(sources []secret.Source) []sourceRow {
	var rows []sourceRow
	for _, s := range sources {
		row := sourceRow{Scheme: s.Scheme()}
		if d, ok := s.(secret.Described); ok {
			about := d.About()
			row.Form, row.What = about.Form, about.What
			if m := about.Mint; m != nil {
				row.Minted, row.Grade, row.Narrow, row.Revoke = true, string(m.Grade), m.Narrow, m.Revoke
				row.Least, row.Default, row.Warning, row.Takes = life(m.Least), cmp.Or(m.Life, life(m.Default)), warning(m), m.Takes
				if m.Least == 0 && m.Default > 0 {
					row.Least = cmp.Or(m.Life, issuers)
				}
			}
		}
		rows = append(rows, row)
	}
	return rows
}

func life(d time.Duration) string {
	if d == 0 {
		return "does not expire"
	}
	text := d.String() // 1h0m0s
	if d%time.Minute == 0 {
		text = strings.TrimSuffix(text, "0s")
	}
	if d%time.Hour == 0 {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// warning is for a default that would outlive a build.
func warning(m *secret.MintAbout) string {
	switch {
	case m.Revoke != "":
		return ""
	case m.Default == 0:
		return "does not expire and cannot be revoked"
	case m.Default > secret.ShortLife:
		return "outlives the build by default, and cannot be revoked"
	}
	return ""
}

// print shows what is minted, a line for each thing that there is to say.
func (r sourceRow) print(w io.Writer) {
	fmt.Fprintf(w, "%s %s\n", r.Grade, r.Form)
	line := func(what, text string) {
		if text != "" {
			fmt.Fprintf(w, "    %-9s %s\n", what, text)
		}
	}
	lives := r.Default
	if r.Least != r.Default && r.Least != issuers {
		lives += ", at least " + r.Least
	}
	line("is", r.What)
	line("lives", lives)
	line("narrowed", r.Narrow)
	line("needs", r.needs())
	line("revoked", cmp.Or(r.Revoke, "no: it ends when it expires"))
	line("warning:", r.Warning)
}

// needs is what a reference must say to be of the grade.
func (r sourceRow) needs() string {
	if r.Takes == "" {
		return ""
	}
	return r.Takes + ", for grade " + r.Grade
}

func (a *app) printSources(rows []sourceRow) error {
	w := tabwriter.NewWriter(a.streams.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "FOUND\t")
	for _, r := range rows {
		if !r.Minted {
			fmt.Fprintf(w, "  %s\t%s\n", r.Form, r.What)
		}
	}
	fmt.Fprintf(w, "  NAME:ARGUMENT\twhat an executable %sNAME on PATH prints\n", provider.Prefix)
	fmt.Fprintln(w, "\t")
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w, "MINTED, by grade: docs/leases.md, tightlip sources --help")
	for _, r := range rows {
		if r.Minted {
			r.print(w)
		}
	}
	return w.Flush()
}
