package report

import (
	"cmp"
	"fmt"
	"io"
	"net/url"
	"path"
	"path/filepath"
	"strings"

	"github.com/tightlip/tightlip/finding"
	"github.com/tightlip/tightlip/internal/lazy"
)

// The objects of SARIF 2.1.0 that a scan needs: https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html.
// Lists that may be empty are present, because readers differ in what they make of a missing one.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool struct {
			Driver sarifDriver `json:"driver"`
		} `json:"tool"`
		Invocations []sarifInvocation `json:"invocations"`
		ColumnKind  string            `json:"columnKind,omitempty"`
		Results     []sarifResult     `json:"results"`
	}
	sarifDriver struct {
		Name            string      `json:"name"`
		Version         string      `json:"version,omitempty"`
		SemanticVersion string      `json:"semanticVersion,omitempty"`
		Rules           []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID      string    `json:"id"`
		Name    string    `json:"name"`
		Short   sarifText `json:"shortDescription"`
		Full    sarifText `json:"fullDescription"`
		Help    sarifText `json:"help"`
		Default struct {
			Level string `json:"level"`
		} `json:"defaultConfiguration"`
		Properties sarifRuleProperties `json:"properties"`
	}
	sarifRuleProperties struct {
		Tags     []string `json:"tags"`
		Severity string   `json:"security-severity,omitempty"`
	}
	sarifText struct {
		Text     string `json:"text"`
		Markdown string `json:"markdown,omitempty"`
	}
	sarifInvocation struct {
		Successful    bool                `json:"executionSuccessful"`
		Notifications []sarifNotification `json:"toolExecutionNotifications"`
	}
	sarifNotification struct {
		Level   string    `json:"level"`
		Message sarifText `json:"message"`
	}
	sarifResult struct {
		RuleID       string             `json:"ruleId"`
		RuleIndex    int                `json:"ruleIndex"`
		Level        string             `json:"level"`
		Message      sarifText          `json:"message"`
		Locations    []sarifLocation    `json:"locations"`
		Fingerprints map[string]string  `json:"partialFingerprints,omitempty"`
		Suppressions []sarifSuppression `json:"suppressions"`
	}
	sarifLocation struct {
		Physical struct {
			Artifact sarifArtifact `json:"artifactLocation"`
			Region   struct {
				StartLine   int `json:"startLine"`
				StartColumn int `json:"startColumn,omitempty"`
				EndColumn   int `json:"endColumn,omitempty"` // of what comes after it
			} `json:"region"`
		} `json:"physicalLocation"`
		Logical []sarifLogical `json:"logicalLocations"`
	}
	sarifArtifact struct {
		URI    string `json:"uri"`
		BaseID string `json:"uriBaseId,omitempty"`
	}
	sarifLogical struct {
		Name string `json:"fullyQualifiedName"`
		Kind string `json:"kind"`
	}
	sarifSuppression struct {
		Kind          string `json:"kind"`
		Status        string `json:"status"`
		Justification string `json:"justification"`
	}
)

// sarifLevels are SARIF's levels, and scores what GitHub makes its own severities of: over 9 is critical, from 7 high,
// from 4 medium. What has no score is no security alert.
var (
	sarifLevels = map[finding.Severity]string{
		finding.Critical: "error", finding.High: "error", finding.Medium: "warning", finding.Low: "note", finding.Note: "note",
	}
	scores = map[finding.Severity]string{finding.Critical: "9.5", finding.High: "8.0", finding.Medium: "5.5", finding.Low: "3.0"}
)

// writeSARIF writes one run for all images: GitHub refuses a file with several runs of one tool.
func writeSARIF(w io.Writer, scans []Scan, _ Options) error {
	run := sarifRun{Results: []sarifResult{}, Invocations: []sarifInvocation{{Successful: true, Notifications: []sarifNotification{}}}}
	rules := &sarifRules{at: map[string]int{}, list: []sarifRule{}}
	scans = printed(scans)
	for i := range scans {
		run.add(rules, &scans[i])
	}
	run.Tool.Driver = driver(toolVersion(scans), rules.list)
	return writeJSON(w, sarifLog{
		Schema:  "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
		Version: "2.1.0", Runs: []sarifRun{run},
	})
}

// add adds what a scan found.
func (run *sarifRun) add(rules *sarifRules, s *Scan) {
	for i := range s.Findings {
		run.Results = append(run.Results, result(rules, s, &s.Findings[i]))
	}
	for i := range s.Ignored {
		r := result(rules, s, &s.Ignored[i])
		r.Suppressions = []sarifSuppression{{Kind: "external", Status: "accepted", Justification: s.Ignored[i].Ignored}}
		run.Results = append(run.Results, r)
	}
	if s.Project != nil {
		run.ColumnKind = "utf16CodeUnits" // see characters
	}
	inv := &run.Invocations[0]
	for _, u := range s.Unread {
		text := fmt.Sprintf("not searched: %s of %s: %s", s.unreadPlace(&u), s.name(), u.Reason)
		inv.Notifications = append(inv.Notifications, sarifNotification{"warning", message(text)})
	}
	if s.Error != "" {
		inv.Successful = false
		inv.Notifications = append(inv.Notifications, sarifNotification{"error", message(s.name() + ": " + s.Error)})
	}
}

func result(rules *sarifRules, s *Scan, l *finding.Leak) sarifResult {
	r := sarifResult{
		RuleID: l.Rule, RuleIndex: rules.index(s, l), Level: sarifLevels[l.Severity], Message: message(s.sentence(l)),
		Suppressions: []sarifSuppression{},
	}
	var at sarifLocation
	at.Physical.Artifact, at.Physical.Region.StartLine = artifact(s, l)
	if region := &at.Physical.Region; s.Project != nil && l.Line > 0 && l.Column > 0 {
		region.StartColumn = l.Column
		if l.Width > 0 {
			region.EndColumn = l.Column + l.Width
		}
	}
	at.Logical = []sarifLogical{{s.name() + ": " + l.Place(), "resource"}}
	r.Locations = []sarifLocation{at}
	if l.Fingerprint != "" {
		// GitHub looks at the second one only.
		r.Fingerprints = map[string]string{"tightlip/v1": l.Fingerprint, "primaryLocationLineHash": l.Fingerprint + ":1"}
	}
	return r
}

// artifact is the file that a reader is sent to, and the line: of the Dockerfile if it is known, else inside of the image.
func artifact(s *Scan, l *finding.Leak) (sarifArtifact, int) {
	if s.Project != nil {
		return sarifArtifact{URI: percentEncoded(s.repositoryPath(l)), BaseID: "%SRCROOT%"}, max(l.Line, 1)
	}
	if d := l.Source; d != nil {
		return sarifArtifact{URI: percentEncoded(relative(d.File)), BaseID: "%SRCROOT%"}, max(d.Line, 1)
	}
	return sarifArtifact{URI: percentEncoded(imagePath(s, l))}, max(l.Line, 1)
}

var unsafeInPath = lazy.Regexp(`[^A-Za-z0-9._/-]+`)

// imagePath is a path for a place in an image, such as "registry/app_1.0/etc/npmrc": no such file is in the repository.
func imagePath(s *Scan, l *finding.Leak) string {
	inside := l.Path
	switch {
	case inside != "":
	case l.Field != "":
		inside = l.Field
	default:
		inside = l.Where
	}
	if l.Inner != "" {
		inside += "!/" + l.Inner
	}
	// Each half loses its ".." before it could lead out of the whole.
	return cmp.Or(relative(unsafeInPath().ReplaceAllString(s.name(), "_")), "image") + path.Clean("/"+inside)
}

// relative is the path of a file in the repository as GitHub and GitLab want it.
func relative(file string) string {
	return strings.TrimPrefix(path.Clean("/"+filepath.ToSlash(file)), "/")
}

// percentEncoded makes a URI of a relative path.
func percentEncoded(file string) string {
	segments := strings.Split(file, "/")
	for i, s := range segments {
		segments[i] = strings.ReplaceAll(url.PathEscape(s), ":", "%3A") // a: would be a scheme
	}
	return strings.Join(segments, "/")
}

// message is a plain text. SARIF takes [a](b) for a link, and a file may be called so.
func message(s string) sarifText {
	if strings.Contains(s, "](") {
		s = strings.NewReplacer(`\`, `\\`, "[", `\[`, "]", `\]`).Replace(s)
	}
	return sarifText{Text: s}
}

var semver = lazy.Regexp(`^v?(\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?)$`)

// driver is the tool with its rules.
func driver(version string, rules []sarifRule) sarifDriver {
	d := sarifDriver{Name: "tightlip", Version: version, Rules: rules}
	if m := semver().FindStringSubmatch(version); m != nil {
		d.SemanticVersion = m[1]
	}
	return d
}

// toolVersion is the version of the first scan's tool, which is "tightlip v1.2.3".
func toolVersion(scans []Scan) string {
	if len(scans) == 0 {
		return ""
	}
	_, version, _ := strings.Cut(scans[0].Tool, " ")
	return version
}

// sarifRules are the rules of the results, each once.
type sarifRules struct {
	at   map[string]int
	list []sarifRule
}

// index is the place of a leak's rule in the list.
func (r *sarifRules) index(s *Scan, l *finding.Leak) int {
	i, ok := r.at[l.Rule]
	if !ok {
		i = len(r.list)
		r.at[l.Rule], r.list = i, append(r.list, rule(s, l))
	}
	return i
}

func rule(s *Scan, l *finding.Leak) sarifRule {
	r, a := sarifRule{ID: l.Rule, Name: pascal(l.Rule)}, s.advice()
	r.Short = sarifText{Text: l.Title}
	r.Full = sarifText{Text: l.Title + a.where}
	r.Help = sarifText{
		Text:     a.first + "\n" + a.then + ":\n\n" + fixOf(l),
		Markdown: a.first + "\n\n" + a.then + ":\n\n" + fenced(fixOf(l)),
	}
	r.Default.Level = sarifLevels[l.Severity]
	r.Properties = sarifRuleProperties{Tags: []string{"security", "secret"}, Severity: scores[l.Severity]}
	return r
}

// pascal makes NpmToken of npm-token.
func pascal(id string) string {
	var b strings.Builder
	for _, word := range strings.FieldsFunc(id, func(r rune) bool { return r == '-' || r == '_' || r == '.' }) {
		r := []rune(word)
		b.WriteString(strings.ToUpper(string(r[0])) + string(r[1:]))
	}
	return b.String()
}

// fenced is a block of code in Markdown, code a piece of code in a line, between more backticks than are in it.
func fenced(s string) string {
	fence := strings.Repeat("`", max(3, backticks(s)+1))
	return fence + "dockerfile\n" + s + "\n" + fence
}

func code(s string) string {
	fence := strings.Repeat("`", backticks(s)+1)
	if strings.HasPrefix(s, "`") || strings.HasSuffix(s, "`") {
		s = " " + s + " "
	}
	return fence + s + fence
}

// backticks is the length of the longest run of them.
func backticks(s string) int {
	longest, run := 0, 0
	for _, r := range s {
		if r == '`' {
			run++
		} else {
			run = 0
		}
		longest = max(longest, run)
	}
	return longest
}
