package report

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	"github.com/tightlip/tightlip/finding"
)

// The elements of JUnit's XML, which has no specification: these are the ones that Jenkins, GitLab, Azure and CircleCI share.
type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Name     string       `xml:"name,attr"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Errors   int          `xml:"errors,attr"`
		Skipped  int          `xml:"skipped,attr"`
		Time     string       `xml:"time,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Errors   int         `xml:"errors,attr"`
		Skipped  int         `xml:"skipped,attr"`
		Time     string      `xml:"time,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Class   string        `xml:"classname,attr"`
		Name    string        `xml:"name,attr"`
		Failure *junitOutcome `xml:"failure"`
		Error   *junitOutcome `xml:"error"`
		Skipped *junitOutcome `xml:"skipped"`
	}
	junitOutcome struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr,omitempty"`
		Text    string `xml:",cdata"`
	}
)

// command is the one that made the scans.
func command(scans []Scan) string {
	if len(scans) > 0 && scans[0].Project != nil {
		return "lint"
	}
	return "scan"
}

// writeJUnit writes a suite for each image and a case for each finding; an image without any has one case, which passes.
func writeJUnit(w io.Writer, scans []Scan, _ Options) error {
	all := junitSuites{Name: "tightlip " + command(scans)}
	ms := int64(0)
	scans = printed(scans)
	for i := range scans {
		s := suite(&scans[i])
		all.Tests, all.Failures, all.Errors, all.Skipped = all.Tests+s.Tests, all.Failures+s.Failures, all.Errors+s.Errors, all.Skipped+s.Skipped
		all.Suites = append(all.Suites, s)
		ms += scans[i].Stats.Milliseconds
	}
	all.Time = seconds(ms)
	data, err := xml.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, xml.Header+string(data)+"\n")
	return err
}

func seconds(ms int64) string { return fmt.Sprintf("%.3f", float64(ms)/1000) }

func suite(s *Scan) junitSuite {
	out, class := junitSuite{Name: s.name(), Time: seconds(s.Stats.Milliseconds)}, command([]Scan{*s})
	for i := range s.Findings {
		l := &s.Findings[i]
		out.Cases = append(out.Cases, junitCase{Class: l.Rule, Name: s.place(l), Failure: &junitOutcome{
			Message: s.sentence(l), Type: string(l.Severity), Text: junitText(s, l)}})
	}
	for i := range s.Ignored {
		l := &s.Ignored[i]
		out.Cases = append(out.Cases, junitCase{Class: l.Rule, Name: s.place(l), Skipped: &junitOutcome{Message: "ignored: " + l.Ignored}})
	}
	for _, u := range s.Unread {
		out.Cases = append(out.Cases, junitCase{Class: "unread", Name: s.unreadPlace(&u), Error: &junitOutcome{
			Message: "not searched: " + u.Reason, Type: "unread"}})
	}
	if s.Error != "" {
		out.Cases = append(out.Cases, junitCase{Class: class, Name: s.name(), Error: &junitOutcome{Message: s.Error, Type: "error"}})
	}
	if s.clean() {
		out.Cases = append(out.Cases, junitCase{Class: class, Name: s.found()})
	}
	out.Tests, out.Failures, out.Skipped = len(out.Cases), len(s.Findings), len(s.Ignored)
	for _, c := range out.Cases {
		if c.Error != nil {
			out.Errors++
		}
	}
	return out
}

// junitText is the body of a failure, for people who read a build's log.
func junitText(s *Scan, l *finding.Leak) string {
	lines, a := []string{l.Title + " (" + l.Rule + ", " + string(l.Severity) + ")", s.place(l)}, s.advice()
	if o := origin(l); o != "" {
		lines = append(lines, o)
	}
	if l.Detail != "" {
		lines = append(lines, l.Detail)
	}
	lines = append(lines, details(l)...)
	return strings.Join(append(lines, "", a.first, a.then+":", fixOf(l)), "\n")
}
