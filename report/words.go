package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/tightlip/tightlip/finding"
)

// generalFix is what to write for a rule that brings no fix of its own.
const generalFix = `RUN --mount=type=secret,id=token,env=TOKEN ./step-that-needs-it
tightlip build --secret id=token,env=TOKEN …`

// rotate is the first thing to do, whatever leaked.
const rotate = "Replace the secret where it was issued: whoever could pull the image may have it."

// statusWords says what became of the file with a secret.
var statusWords = map[finding.Status]string{
	finding.Deleted:     "deleted later, but still in the image",
	finding.Overwritten: "overwritten later, but still in the image",
}

// verdictWords says what the issuer of a token told, if it was asked.
var verdictWords = map[finding.Verdict]string{
	finding.Alive:   "still works",
	finding.Unknown: "could not be asked",
	finding.Dead:    "revoked",
}

// verdicts is what issuers told about the findings of a group, such as "still works" or, if they differ, "still works: 1, revoked: 2".
func verdicts(g []finding.Leak) string {
	told := map[finding.Verdict]int{}
	for _, l := range g {
		told[l.Verified]++
	}
	if told[g[0].Verified] == len(g) {
		return verdictWords[g[0].Verified]
	}
	var parts []string
	for _, v := range []finding.Verdict{finding.Alive, finding.Unknown, finding.Dead} {
		if n := told[v]; n > 0 {
			parts = append(parts, verdictWords[v]+": "+thousands(n))
		}
	}
	return strings.Join(parts, ", ")
}

// printed makes every text of the scans fit for people: see printable. Columns become those of characters, as editors count them.
func printed(scans []Scan) []Scan {
	out := make([]Scan, len(scans))
	for i, s := range scans {
		each(printable, &s.Tool, &s.Error, &s.Image.Name, &s.Image.ID, &s.Image.Digest)
		s.Image.Names, s.Image.Platforms = printedAll(s.Image.Names), printedAll(s.Image.Platforms)
		s.Findings, s.Ignored = printedLeaks(s.Findings), printedLeaks(s.Ignored)
		if s.Project != nil {
			s.Project = &Project{Root: printable(s.Project.Root), Files: printedAll(s.Project.Files)}
		}
		s.Unread = slices.Clone(s.Unread)
		for j := range s.Unread {
			u := &s.Unread[j]
			each(printable, (*string)(&u.Kind), &u.Platform, &u.Digest, &u.Path, &u.Field, &u.Reason)
		}
		s.Layers = slices.Clone(s.Layers)
		for j := range s.Layers {
			l := &s.Layers[j]
			each(printable, &l.Platform, &l.Digest, &l.CreatedBy)
		}
		out[i] = s
	}
	return out
}

func printedLeaks(leaks []finding.Leak) []finding.Leak {
	leaks = slices.Clone(leaks)
	for i := range leaks {
		l := &leaks[i]
		l.Column, l.Width = characters(l)
		each(printable, &l.Rule, &l.Title, (*string)(&l.Severity), &l.Where, &l.Platform, &l.Digest, &l.Path, &l.Inner, &l.Field, &l.Key,
			&l.Encoding, (*string)(&l.Status), (*string)(&l.Verified), &l.Hint, &l.CreatedBy, &l.Detail, &l.Fingerprint, &l.Ignored)
		each(printableLines, &l.Fix)
		if l.Source != nil {
			source := *l.Source
			each(printable, &source.File, &source.Text)
			l.Source = &source
		}
	}
	return leaks
}

func printedAll(texts []string) []string {
	var out []string
	for _, s := range texts {
		out = append(out, printable(s))
	}
	return out
}

func each(change func(string) string, texts ...*string) {
	for _, s := range texts {
		*s = change(*s)
	}
}

// printableLines is printable for a text of several lines.
func printableLines(s string) string {
	lines := strings.Split(strings.TrimRight(s, "\n"), "\n")
	for i, l := range lines {
		lines[i] = printable(strings.ReplaceAll(strings.TrimRight(l, "\r"), "\t", "    "))
	}
	return strings.Join(lines, "\n")
}

// sentence says what a leak is and where, such as "npm access token: layer 3 /app/.npmrc line 2 of app:1.0, deleted later,
// but still in the image".
func (s *Scan) sentence(l *finding.Leak) string {
	if s.Project != nil {
		return l.Title + ": " + cmp.Or(l.Detail, s.sourcePlace(l))
	}
	text := fmt.Sprintf("%s: %s of %s", l.Title, l.Place(), s.name())
	if words := statusWords[l.Status]; words != "" {
		text += ", " + words
	}
	return text
}

// details are the lesser facts of a leak, such as "key _authToken", for one line.
func details(l *finding.Leak) []string {
	var facts []string
	if l.Key != "" {
		facts = append(facts, "key "+l.Key)
	}
	if l.Hint != "" {
		facts = append(facts, "value "+l.Hint+"…")
	}
	if l.Encoding != "" {
		facts = append(facts, "written in "+l.Encoding)
	}
	if l.Fingerprint != "" {
		facts = append(facts, "fingerprint "+l.Fingerprint)
	}
	return facts
}

// origin is the line that made the place of a leak: of the Dockerfile if it is known, else of the history.
func origin(l *finding.Leak) string {
	if d := l.Source; d != nil {
		return fmt.Sprintf("%s:%d  %s", d.File, d.Line, d.Text)
	}
	return l.CreatedBy
}

// short cuts a text after n characters.
func short(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	return string(r[:n])
}

// remedy is a fix with the rules that it is for.
type remedy struct {
	Titles []string
	Fix    string
}

// remedies lists each fix of the findings once.
func remedies(scans []Scan) []remedy {
	var out []remedy
	for i := range scans {
		for _, l := range worstFirst(scans[i].Findings) {
			fix := fixOf(&l)
			at := slices.IndexFunc(out, func(r remedy) bool { return r.Fix == fix })
			if at < 0 {
				at, out = len(out), append(out, remedy{Fix: fix})
			}
			if !slices.Contains(out[at].Titles, l.Title) {
				out[at].Titles = append(out[at].Titles, l.Title)
			}
		}
	}
	return out
}

func fixOf(l *finding.Leak) string {
	if l.Fix == "" {
		return generalFix
	}
	return l.Fix
}
