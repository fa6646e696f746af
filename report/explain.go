package report

import (
	"fmt"
	"strings"

	"github.com/tightlip/tightlip/finding"
)

// Explain is what there is to say of a rule of scan: what it finds, how whoever has the image gets at it, and what to write instead.
func Explain(id, title string, severity finding.Severity, why, fix string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s (%s)\n\n%s\n\n", id, title, severity, why)
	b.WriteString("How it is extracted\n    docker save IMAGE | tar -x   # every layer, deleted files included\n    docker history --no-trunc IMAGE\n    tightlip extract IMAGE FINDING\n\n")
	return b.String() + todo(rotate, "Then build like this", fix)
}

// ExplainLint is Explain for a rule of lint, whose why says how it would get out.
func ExplainLint(id, title string, severity finding.Severity, why, fix string) string {
	return fmt.Sprintf("%s: %s (%s)\n\n%s\n\n", id, title, severity, strings.TrimSpace(why)) + todo(rotateBuilt, "Write this instead", fix)
}

func todo(first, then, fix string) string {
	if fix == "" {
		fix = generalFix
	}
	var b strings.Builder
	fmt.Fprintf(&b, "What to do\n    %s\n    %s:\n", first, then)
	for line := range strings.Lines(fix) {
		b.WriteString("        " + line)
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}
