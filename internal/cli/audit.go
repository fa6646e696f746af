package cli

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/tightlip/tightlip/broker/gate"
)

func (a *app) auditCommand() *cobra.Command {
	format := "text"
	cmd := &cobra.Command{
		Use:   "audit [flags] [FILE]",
		Short: "Show what went through a broker",
		Long: `Print what the steps of the last build asked the broker for: how many requests went to each origin, with which secret and what verdict,
and each one that was refused. FILE is another one that "tightlip build --audit" or "tightlip broker --audit" wrote; - is standard input.

Exit codes: 0 printed; 2 the file cannot be read.`,
		Example: `  tightlip audit
  tightlip audit audit.jsonl
  tightlip audit --format json audit.jsonl`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) (err error) {
			var name string
			if len(args) == 1 {
				name = args[0]
			} else if name, err = a.lastAudit(); err != nil {
				return err
			}
			return a.runAudit(name, format)
		},
	}
	cmd.Flags().StringVar(&format, "format", format, "text, or json for one object on standard output")
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (a *app) runAudit(name, format string) error {
	if err := checkFormat(format); err != nil {
		return err
	}
	in := io.Reader(a.streams.In)
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return usageError(err, "the path of a file that tightlip broker --audit wrote")
		}
		defer f.Close()
		in = f
	}
	events, err := gate.ReadAudit(in)
	if err != nil {
		return usageError(fmt.Errorf("%s: %w", name, err), "")
	}
	if format == "json" {
		enc := json.NewEncoder(a.streams.Out)
		enc.SetIndent("", "  ")
		return enc.Encode(auditReport{Summary: summarise(events), Events: events})
	}
	return printAudit(a.streams.Out, events)
}

// auditReport is what --format json prints.
type auditReport struct {
	Summary []auditLine  `json:"summary"`
	Events  []gate.Event `json:"events"`
}

// auditLine sums up the requests of one kind.
type auditLine struct {
	Origin   string       `json:"origin"`
	Secret   string       `json:"secret"`
	Verdict  gate.Verdict `json:"verdict"`
	Requests int          `json:"requests"`
	Bytes    int64        `json:"bytes"`
	Millis   float64      `json:"ms"`
}

func summarise(events []gate.Event) []auditLine {
	lines := []auditLine{}
	for _, e := range events {
		lines = sum(lines, e)
	}
	return sorted(lines)
}

// sum adds an event to the line of its kind.
func sum(lines []auditLine, e gate.Event) []auditLine {
	i := slices.IndexFunc(lines, func(l auditLine) bool { return l.Origin == e.Origin && l.Secret == e.Secret && l.Verdict == e.Verdict })
	if i < 0 {
		i = len(lines)
		lines = append(lines, auditLine{Origin: e.Origin, Secret: e.Secret, Verdict: e.Verdict})
	}
	lines[i].Requests++
	lines[i].Bytes += e.Bytes
	lines[i].Millis += e.Millis
	return lines
}

func sorted(lines []auditLine) []auditLine {
	slices.SortStableFunc(lines, func(a, b auditLine) int {
		return cmp.Or(cmp.Compare(a.Origin, b.Origin), cmp.Compare(a.Secret, b.Secret), cmp.Compare(a.Verdict, b.Verdict))
	})
	return lines
}

func printAudit(w io.Writer, events []gate.Event) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ORIGIN\tSECRET\tVERDICT\tREQUESTS\tBYTES")
	for _, l := range summarise(events) {
		fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%d\n", quoted(cmp.Or(l.Origin, "-")), quoted(cmp.Or(l.Secret, "-")), quoted(string(l.Verdict)), l.Requests, l.Bytes)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, e := range events {
		if e.Verdict == gate.Refused {
			fmt.Fprintf(w, "%s %s\n", e.Time.Format(time.RFC3339), quoted(stepText(e)+eventText(e)))
		}
	}
	return nil
}
