package report

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/tightlip/tightlip/finding"
)

// gitlabSchema is the version of GitLab's schema: https://gitlab.com/gitlab-org/security-products/security-report-schemas.
const gitlabSchema = "15.0.7"

// The objects of GitLab's secret detection report.
type (
	gitlabReport struct {
		Version         string       `json:"version"`
		Scan            gitlabScan   `json:"scan"`
		Vulnerabilities []gitlabLeak `json:"vulnerabilities"`
	}
	gitlabScan struct {
		Analyzer gitlabTool      `json:"analyzer"`
		Scanner  gitlabTool      `json:"scanner"`
		Type     string          `json:"type"`
		Start    string          `json:"start_time"`
		End      string          `json:"end_time"`
		Status   string          `json:"status"`
		Messages []gitlabMessage `json:"messages"`
	}
	gitlabTool struct {
		ID      string `json:"id"`
		Name    string `json:"name"`
		Version string `json:"version"`
		Vendor  struct {
			Name string `json:"name"`
		} `json:"vendor"`
	}
	gitlabMessage struct {
		Level string `json:"level"`
		Value string `json:"value"`
	}
	gitlabLeak struct {
		ID          string             `json:"id"`
		Category    string             `json:"category"`
		Name        string             `json:"name"`
		Description string             `json:"description"` // Markdown
		Severity    string             `json:"severity"`
		Solution    string             `json:"solution"`
		Location    gitlabLocation     `json:"location"`
		Identifiers []gitlabIdentifier `json:"identifiers"`
	}
	gitlabLocation struct {
		File      string        `json:"file"`
		StartLine int           `json:"start_line,omitempty"`
		Commit    *gitlabCommit `json:"commit,omitempty"`
	}
	gitlabCommit struct {
		SHA string `json:"sha"`
	}
	gitlabIdentifier struct {
		Type  string `json:"type"`
		Name  string `json:"name"`
		Value string `json:"value"`
	}
)

// Lengths that the schema allows, in characters.
const (
	gitlabName     = 255
	gitlabSolution = 7000
)

var gitlabSeverities = map[finding.Severity]string{
	finding.Critical: "Critical", finding.High: "High", finding.Medium: "Medium", finding.Low: "Low", finding.Note: "Info",
}

// writeGitLab writes one report for all images. Ignored findings are not in it: GitLab has no place for them.
func writeGitLab(w io.Writer, scans []Scan, o Options) error {
	scans = printed(scans)
	tool := gitlabTool{ID: "tightlip", Name: "tightlip", Version: toolVersion(scans)}
	if tool.Version == "" {
		tool.Version = "unknown"
	}
	tool.Vendor.Name = "tightlip"
	r := gitlabReport{Version: gitlabSchema, Vulnerabilities: []gitlabLeak{}, Scan: gitlabScan{
		Analyzer: tool, Scanner: tool, Type: gitlabType(scans), Start: gitlabTime(o.Started), End: gitlabTime(o.Finished),
		Status: "success", Messages: []gitlabMessage{},
	}}
	for i := range scans {
		r.add(&scans[i])
	}
	return writeJSON(w, r)
}

// gitlabType is the kind of the report. In source files no secret has to be: what is found there are mistakes, as static analysis finds them.
func gitlabType(scans []Scan) string {
	if len(scans) > 0 && scans[0].Project != nil {
		return "sast"
	}
	return "secret_detection"
}

// gitlabTime is in UTC and has no zone, as the schema wants it.
func gitlabTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05") }

// add adds what a scan found.
func (r *gitlabReport) add(s *Scan) {
	for i := range s.Findings {
		r.Vulnerabilities = append(r.Vulnerabilities, vulnerability(s, &s.Findings[i]))
	}
	say := func(level, format string, args ...any) {
		r.Scan.Messages = append(r.Scan.Messages, gitlabMessage{level, s.name() + ": " + fmt.Sprintf(format, args...)})
	}
	for _, u := range s.Unread {
		say("warn", "not searched: %s: %s", s.unreadPlace(&u), u.Reason)
	}
	if n := len(s.Ignored); n > 0 {
		say("info", "%s ignored", count(n, "finding"))
	}
	if s.Error != "" {
		r.Scan.Status = "failure"
		say("fatal", "%s", s.Error)
	}
}

func vulnerability(s *Scan, l *finding.Leak) gitlabLeak {
	id := sha256.Sum256([]byte(s.name() + "\x00" + l.Fingerprint + "\x00" + l.Place()))
	a := s.advice()
	v := gitlabLeak{
		ID: hex.EncodeToString(id[:]), Category: gitlabType([]Scan{*s}), Name: short(l.Title, gitlabName), Severity: gitlabSeverities[l.Severity],
		Description: gitlabDescription(s, l),
		Solution:    short(a.first+" "+a.then+":\n\n"+fenced(fixOf(l)), gitlabSolution),
		Identifiers: []gitlabIdentifier{{"tightlip_rule", "tightlip rule " + l.Rule, l.Rule}},
	}
	if s.Project != nil {
		v.Location.File, v.Location.StartLine = s.repositoryPath(l), l.Line
		return v
	}
	v.Location.Commit = &gitlabCommit{"0000000"} // required, and an image has none
	if d := l.Source; d != nil {
		v.Location.File, v.Location.StartLine = relative(d.File), d.Line
	} else {
		v.Location.File, v.Location.StartLine = imagePath(s, l), l.Line
	}
	return v
}

// gitlabDescription is Markdown: what comes from the image stands in code, where it can be no link, picture or mention.
func gitlabDescription(s *Scan, l *finding.Leak) string {
	if s.Project != nil {
		return projectDescription(s, l)
	}
	lines := []string{fmt.Sprintf("%s at %s of the image %s.", l.Title, code(l.Place()), code(s.name()))}
	if words := statusWords[l.Status]; words != "" {
		lines = append(lines, "The file is "+words+".")
	}
	if o := origin(l); o != "" {
		lines = append(lines, "Made by "+code(o)+".")
	}
	if l.Key != "" {
		lines = append(lines, "Key: "+code(l.Key)+".")
	}
	return strings.Join(lines, "\n\n")
}
