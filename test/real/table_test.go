package real

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tightlip/tightlip/internal/enginetest"
)

var update = flag.Bool("update", false, "write the table of clients into docs/broker.md")

// clientTable is the table of docs/broker.md.
type clientTable struct {
	file, before, rows, after string
}

const (
	tableBegin = "<!-- clients -->\n| client | door | result |\n|---|---|---|\n"
	tableEnd   = "<!-- end of clients -->"
	// earlier marks what was not run this time.
	earlier = " (of an earlier run)"
)

func readTable(t *testing.T) clientTable {
	t.Helper()
	table := clientTable{file: filepath.Join(enginetest.Root(t), "docs/broker.md")}
	data := readFile(t, table.file)
	before, rest, ok := strings.Cut(string(data), tableBegin)
	rows, after, ok2 := strings.Cut(rest, tableEnd)
	if !ok || !ok2 {
		t.Fatalf("docs/broker.md has no %s", tableBegin)
	}
	table.before, table.rows, table.after = before, rows, after
	return table
}

// skipped is what the table says of a client that cannot be run here, and "" for one that can.
func (table clientTable) skipped(c client) string {
	tool := cmp.Or(c.tool, strings.TrimSuffix(strings.Fields(c.name)[0], ","))
	if c.absent != "" {
		return "not tried: " + c.absent
	}
	if _, err := exec.LookPath(tool); err != nil {
		return cmp.Or(table.kept(c), "not tried: "+tool+" is not installed")
	}
	return ""
}

// kept is what an earlier run has found, and "" if there was none.
func (table clientTable) kept(c client) string {
	before, _, _ := strings.Cut(c.row("\n"), "\n")
	for line := range strings.Lines(table.rows) {
		result, ok := strings.CutPrefix(line, before)
		if result = strings.TrimSuffix(strings.TrimSuffix(result, " |\n"), earlier); ok && !strings.HasPrefix(result, "not tried") {
			return result + earlier
		}
	}
	return ""
}

func (c client) row(result string) string {
	return fmt.Sprintf("| %s | %s | %s |\n", c.name, cmp.Or(c.door, "–"), result)
}

func (c client) result() string {
	switch {
	case c.fails && c.note != "":
		return "does not work: " + c.note
	case c.fails:
		return "refused, as it should be (" + c.shows + ")"
	case c.note != "":
		return "works; " + c.note
	}
	return "works"
}

// check compares with what docs/broker.md says, or writes it.
func (table clientTable) check(t *testing.T, rows string) {
	t.Helper()
	plain := func(text string) string { return strings.ReplaceAll(text, earlier, "") }
	switch {
	case *update && !t.Failed():
		if err := os.WriteFile(table.file, []byte(table.before+tableBegin+rows+tableEnd+table.after), 0o644); err != nil {
			t.Fatal(err)
		}
	case plain(table.rows) != plain(rows):
		t.Logf("docs/broker.md has another table (go test ./test/real -run TestClients -update writes it):\n%s", rows)
	}
}

// TestSkippedClients keeps what is known of clients that are not installed.
func TestSkippedClients(t *testing.T) {
	table := clientTable{rows: "| gone | forward | works; wants `x` |\n| gone | reverse | works (of an earlier run) |\n| never | forward | not tried: never is not installed |\n"}
	for want, c := range map[string]client{
		"":                                     {name: "sh", door: "forward"},
		"works; wants `x` (of an earlier run)": {name: "gone", door: "forward"},
		"works (of an earlier run)":            {name: "gone", door: "reverse"},
		"not tried: never is not installed":    {name: "never, with x", tool: "never", door: "forward"},
		"not tried: gone2 is not installed":    {name: "gone2", door: "forward"},
		"not tried: it is of another world":    {name: "sh", absent: "it is of another world"},
	} {
		if got := table.skipped(c); got != want {
			t.Errorf("%s, %s: %q", c.name, c.door, got)
		}
	}
}
