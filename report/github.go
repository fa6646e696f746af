package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/tightlip/tightlip/finding"
)

var githubCommands = map[finding.Severity]string{
	finding.Critical: "error", finding.High: "error", finding.Medium: "warning", finding.Low: "notice", finding.Note: "notice",
}

// writeGitHub writes workflow commands, which GitHub Actions shows as annotations, and a summary for the log:
// https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands.
func writeGitHub(w io.Writer, scans []Scan, _ Options) error {
	var b strings.Builder
	scans = printed(scans)
	for i := range scans {
		githubScan(&b, &scans[i])
	}
	for i := range scans {
		b.WriteString(noCommand(scans[i].title()+scans[i].summary()) + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func githubScan(b *strings.Builder, s *Scan) {
	for _, l := range worstFirst(s.Findings) {
		at, a := "", s.advice()
		if s.Project != nil {
			at = githubPlace(s, &l)
		} else if d := l.Source; d != nil {
			at = fmt.Sprintf("file=%s,line=%d,", githubProperty(d.File), d.Line)
		}
		text := s.sentence(&l) + "\n" + a.first + " " + a.then + ":\n" + fixOf(&l)
		fmt.Fprintf(b, "::%s %stitle=%s::%s\n", githubCommands[l.Severity], at, githubProperty(l.Title), githubData(text))
	}
	for _, u := range s.Unread {
		text, at := fmt.Sprintf("%s of %s: %s", u.Location, s.name(), u.Reason), ""
		if s.Project != nil {
			text, at = s.unreadPlace(&u)+": "+u.Reason, githubPlace(s, &finding.Leak{Path: u.Path, Line: u.Line})
		}
		fmt.Fprintf(b, "::warning %stitle=Not searched::%s\n", at, githubData(text))
	}
	if s.Error != "" {
		fmt.Fprintf(b, "::error title=Not scanned::%s\n", githubData(s.name()+": "+s.Error))
	}
}

// githubPlace are the properties for a place in a source file.
func githubPlace(s *Scan, l *finding.Leak) string {
	at := fmt.Sprintf("file=%s,line=%d,", githubProperty(s.repositoryPath(l)), max(l.Line, 1))
	if l.Column > 0 {
		at += fmt.Sprintf("col=%d,", l.Column)
	}
	return at
}

var (
	githubDataEscapes     = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	githubPropertyEscapes = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)

func githubData(s string) string     { return githubDataEscapes.Replace(s) }
func githubProperty(s string) string { return githubPropertyEscapes.Replace(s) }

// noCommand keeps a line of a log from being a workflow command: one that begins with ::, after spaces, or has ##[ in it.
func noCommand(line string) string {
	if strings.HasPrefix(strings.TrimSpace(line), "::") {
		line = strings.Replace(line, "::", ": :", 1)
	}
	return strings.ReplaceAll(line, "##[", "## [")
}
