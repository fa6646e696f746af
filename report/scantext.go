package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/tightlip/tightlip/finding"
)

// How much the text form shows: findings of an image, the worst first; further places of one; further lines in its file.
const (
	maxGroups = 50
	maxPlaces = 3
	maxLines  = 10
)

// Styles of the terminal, as parameters of SGR.
const (
	plain = ""
	bold  = "1"
	dim   = "2"
)

var severityStyles = map[finding.Severity]string{
	finding.Critical: "1;31", finding.High: "31", finding.Medium: "33", finding.Low: "34", finding.Note: dim,
}

// text is the form of scans that a terminal shows.
type text struct {
	b     strings.Builder
	color bool
}

// span is a piece of a line in one style.
type span struct{ style, text string }

func writeText(w io.Writer, scans []Scan, o Options) error {
	t := &text{color: o.Color}
	if len(scans) > 0 && scans[0].Project != nil {
		t.projects(scans)
	} else {
		t.images(printed(scans))
	}
	_, err := io.WriteString(w, t.b.String())
	return err
}

func (t *text) images(scans []Scan) {
	for i := range scans {
		t.scan(&scans[i])
	}
	t.todo(imageAdvice, remedies(scans))
	for i := range scans {
		t.summary(&scans[i], len(scans) > 1)
	}
}

// line writes its spans, and makes them printable once more: nothing gets by. GitHub Actions may be what shows them.
func (t *text) line(indent int, spans ...span) {
	t.b.WriteString(strings.Repeat(" ", indent))
	for _, s := range spans {
		t.span(s.style, noCommand(printable(s.text)))
	}
	t.b.WriteByte('\n')
}

// span writes what is fit to print.
func (t *text) span(style, clean string) {
	if t.color && style != plain {
		clean = "\x1b[" + style + "m" + clean + "\x1b[0m"
	}
	t.b.WriteString(clean)
}

func (t *text) scan(s *Scan) {
	if len(s.Findings)+len(s.Unread) == 0 {
		return
	}
	t.line(0, span{bold, s.name()}, span{dim, digestOf(s)})
	t.line(0)
	groups := groupLeaks(worstFirst(s.Findings))
	for i, g := range groups {
		if i == maxGroups {
			t.line(2, span{plain, fmt.Sprintf("… and %d more: --format json lists them", len(groups)-maxGroups)})
			t.line(0)
			break
		}
		t.group(g)
	}
	t.unread(s, "Not searched")
}

func digestOf(s *Scan) string {
	if s.Image.Digest == "" || s.name() == s.Image.Digest {
		return ""
	}
	return "  " + short(s.Image.Digest, len("sha256:")+12)
}

// group writes findings that are one mistake.
func (t *text) group(g []finding.Leak) {
	l := &g[0]
	t.title(l)
	t.line(12, span{plain, place(l)})
	if v := verdicts(g); v != "" {
		t.line(12, span{bold, v})
	}
	if o := origin(l); o != "" {
		t.line(12, span{plain, ellipsis(o, 160)})
	}
	if d := details(l); len(d) > 0 {
		t.line(12, span{dim, strings.Join(d, ", ")})
	}
	t.others(g)
	t.line(0)
}

func (t *text) title(l *finding.Leak) {
	t.line(2, span{severityStyles[l.Severity], fmt.Sprintf("%-8s", strings.ToUpper(string(l.Severity)))}, span{plain, "  "},
		span{bold, l.Title}, span{dim, "  " + l.Rule})
}

// others names the further places of a mistake: lines of the same file in one line.
func (t *text) others(g []finding.Leak) {
	var lines, places []string
	for _, l := range g[1:] {
		if l.Line > 0 && sameFile(&l, &g[0]) {
			lines = append(lines, fmt.Sprint(l.Line))
		} else {
			places = append(places, place(&l))
		}
	}
	if n := len(lines) - maxLines; n > 0 {
		lines = append(lines[:maxLines], fmt.Sprintf("and %d more", n))
	}
	if len(lines) > 0 {
		t.line(12, span{plain, "also on line " + strings.Join(lines, ", ")})
	}
	for i, p := range places {
		if i == maxPlaces {
			t.line(12, span{plain, fmt.Sprintf("and in %s", count(len(places)-maxPlaces, "more place"))})
			break
		}
		t.line(12, span{plain, "also in " + p})
	}
}

func sameFile(a, b *finding.Leak) bool {
	return a.Platform == b.Platform && a.Layer == b.Layer && a.Path == b.Path && a.Inner == b.Inner && a.Path != ""
}

func place(l *finding.Leak) string {
	if words := statusWords[l.Status]; words != "" {
		return l.Place() + ", " + words
	}
	return l.Place()
}

func ellipsis(s string, n int) string {
	if cut := short(s, n); cut != s {
		return cut + "…"
	}
	return s
}

func (t *text) unread(s *Scan, heading string) {
	if len(s.Unread) == 0 {
		return
	}
	t.line(2, span{bold, heading})
	for i := range s.Unread {
		if i == maxShown {
			t.line(4, span{plain, fmt.Sprintf("… and %d more", len(s.Unread)-maxShown)})
			break
		}
		t.line(4, span{plain, s.unreadPlace(&s.Unread[i]) + ": " + s.Unread[i].Reason})
	}
	t.line(0)
}

// todo says once for each rule what to do about its findings.
func (t *text) todo(a advice, list []remedy) {
	if len(list) == 0 {
		return
	}
	t.line(0, span{bold, "What to do"})
	t.line(2, span{plain, "1. " + a.first})
	t.line(2, span{plain, "2. " + a.second + ":"})
	for _, r := range list {
		t.line(0)
		t.line(5, span{plain, strings.Join(r.Titles, ", ")})
		for _, l := range strings.Split(r.Fix, "\n") {
			t.line(7, span{dim, l})
		}
	}
	t.line(0)
}

func (t *text) summary(s *Scan, named bool) {
	name := ""
	if named {
		name = s.name() + ": "
	}
	style := bold
	if s.clean() && t.color {
		style = "32"
	}
	t.line(0, span{plain, name}, span{style, s.summary()})
}

// groupLeaks puts together what one rule found in one file, or in the documents for one line of a Dockerfile.
func groupLeaks(leaks []finding.Leak) [][]finding.Leak {
	type mistake struct {
		rule, path, file string
		line             int
	}
	at := map[mistake]int{}
	var groups [][]finding.Leak
	for _, l := range leaks {
		m := mistake{rule: l.Rule, path: l.Path}
		if l.Path == "" && l.Source != nil {
			m.file, m.line = l.Source.File, l.Source.Line
		} else if l.Path == "" {
			groups = append(groups, []finding.Leak{l})
			continue
		}
		i, ok := at[m]
		if !ok {
			i = len(groups)
			at[m], groups = i, append(groups, nil)
		}
		groups[i] = append(groups[i], l)
	}
	return groups
}
