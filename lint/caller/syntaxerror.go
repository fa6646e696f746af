package caller

import (
	"errors"
	"fmt"
	"sort"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"mvdan.cc/sh/v3/syntax"

	"github.com/tightlip/tightlip/internal/lazy"
	"github.com/tightlip/tightlip/lint/nesting"
)

// SyntaxError is the error for a place in a file that cannot be read. It holds nothing of what the file says there: that may be a secret.
type SyntaxError struct {
	Line int // counted from 1
	Why  string
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Why) }

const tooDeep = "it is nested too deeply"

// shellMistakes are the parser's words for a mistake, which quote the script, and ours.
var shellMistakes = []struct{ theirs, ours string }{
	{"unclosed here-document", "a here-document is not closed"},
	{"without closing quote", "a quote is not closed"},
	{"without matching", "a bracket is not closed"},
	{"statement must end with", "a statement is not ended"},
	{"must be followed by", "something is missing"},
	{"can only", "a word is out of place"},
	{"is not a valid start", "a sign is out of place"},
}

// shellMistake tells what is wrong with a script, and at which of its bytes.
func shellMistake(err error) (why string, at int) {
	var deep *nesting.Error
	var parse syntax.ParseError
	var lang syntax.LangError
	why = "not a valid shell script"
	switch {
	case errors.As(err, &deep):
		return tooDeep, deep.Offset
	case errors.As(err, &lang):
		return why + ": it is written for another shell", int(lang.Pos.Offset())
	case errors.As(err, &parse):
		for _, m := range shellMistakes {
			if strings.Contains(parse.Text, m.theirs) {
				why += ": " + m.ours
				break
			}
		}
	}
	return why, int(parse.Pos.Offset())
}

// failHCL tells the first mistake of an HCL file. Its summary is a title that quotes nothing.
func (d *document) failHCL(diags hcl.Diagnostics) {
	for _, diag := range diags {
		if diag.Severity == hcl.DiagError && diag.Subject != nil {
			d.fail(min(diag.Subject.Start.Line, len(d.starts)), "not valid HCL: "+strings.ToLower(diag.Summary))
			return
		}
	}
}

var yamlLine = lazy.Regexp(`^yaml: (?:line (\d+): )?`)

// yamlMistake is an error of the YAML package without its line, and the first line where it may be.
func yamlMistake(err error) (why string, from int) {
	m := yamlLine().FindStringSubmatch(err.Error())
	why = strings.TrimPrefix(err.Error(), m[0])
	switch {
	case strings.HasPrefix(why, "unknown anchor"):
		why = "unknown anchor"
	case strings.HasPrefix(why, "exceeded max depth"):
		why = tooDeep
	}
	from, _ = strconv.Atoi(m[1])
	return why, max(from, 1)
}

func isMistake(err error, why string) bool {
	if err == nil {
		return false
	}
	other, _ := yamlMistake(err)
	return other == why
}

// failYAML tells the mistake of a YAML file, and its line. The YAML package tells no line of some mistakes, and of others that of what
// surrounds them: but a mistake is in the first line with which the lines above do have it.
func (t *tree) failYAML(err error) int {
	why, from := yamlMistake(err)
	line := t.line(t.breaks[min(from, len(t.breaks))-1])
	if len(t.text) <= maxSearched {
		line += sort.Search(len(t.starts)-line, func(n int) bool {
			_, err := decodeYAML(t.text[:t.lineEnd(t.starts[line+n-1])])
			return isMistake(err, why)
		})
	}
	t.fail(line, "not valid YAML: "+why)
	return line
}

// maxSearched is how many bytes a file may have in which the line of a mistake is searched for.
const maxSearched = 256 << 10
