package conformance

import (
	"fmt"
	"io"
	"strings"
)

// Result is a run on one engine.
type Result struct {
	Engine string
	Rows   []Row
}

// Markdown writes results as a table: a line for each case, and for each engine what it does by itself and through tightlip.
func Markdown(w io.Writer, results []Result) {
	if len(results) == 0 {
		return
	}
	fmt.Fprint(w, "|  |")
	for _, r := range results {
		if hasPlain(r) {
			fmt.Fprintf(w, " %s | with tightlip |", r.Engine)
		} else {
			fmt.Fprintf(w, " %s |", r.Engine)
		}
	}
	fmt.Fprint(w, "\n|---|")
	for _, r := range results {
		fmt.Fprint(w, "---|")
		if hasPlain(r) {
			fmt.Fprint(w, "---|")
		}
	}
	group := ""
	for n, first := range results[0].Rows {
		if first.Group != group {
			group = first.Group
			fmt.Fprintf(w, "\n| **%s** |", group)
			for _, r := range results {
				fmt.Fprint(w, " |")
				if hasPlain(r) {
					fmt.Fprint(w, " |")
				}
			}
		}
		fmt.Fprintf(w, "\n| %s |", first.Case)
		for _, r := range results {
			if hasPlain(r) {
				fmt.Fprintf(w, " %s |", cell(*r.Rows[n].Plain))
			}
			fmt.Fprintf(w, " %s |", cell(r.Rows[n].Ours))
		}
	}
	fmt.Fprintln(w)
}

func hasPlain(r Result) bool { return len(r.Rows) > 0 && r.Rows[0].Plain != nil }

// cell is an outcome in a table. What is not as it should be is marked.
func cell(o Outcome) string {
	text := strings.NewReplacer("|", "/", "\n", " ", "`", "'", "<", "‹").Replace(o.Text)
	if o.Good {
		return text
	}
	return "✗ " + text
}

// String is what a table shows.
func (o Outcome) String() string { return cell(o) }
