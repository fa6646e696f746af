package report

import (
	"cmp"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf16"

	"github.com/tightlip/tightlip/finding"
)

// advice is what there is to say around the titles and fixes of leaks.
type advice struct {
	first        string // the sentence before the fix
	then, second string // what leads to the fix, with a colon: in a text, and in a list
	where        string // completes the title
}

var (
	imageAdvice = advice{rotate, "Then build the image without it", "Build the image without it",
		" in a container image, where whoever can pull the image can read it, even if a later layer deletes the file."}
	projectAdvice = advice{rotateBuilt, "Write this instead", "Write this instead",
		" in what a container image is built from: whoever can pull the image could read it."}
)

// rotateBuilt is rotate for what may have been built, or not yet.
const rotateBuilt = "If an image was built like this and anybody else may have it, replace the secret where it was issued."

func (s *Scan) advice() advice {
	if s.Project != nil {
		return projectAdvice
	}
	return imageAdvice
}

// title is what stands before the summary.
func (s *Scan) title() string {
	if s.Project != nil {
		return ""
	}
	return s.name() + ": "
}

func (s *Scan) place(l *finding.Leak) string {
	if s.Project != nil {
		return s.sourcePlace(l)
	}
	return place(l)
}

// sourcePlace is a place in a source file as compilers write it, and as terminals and editors know it: Dockerfile:7:5.
func (s *Scan) sourcePlace(l *finding.Leak) string {
	at := cmp.Or(l.Path, l.Where)
	if !path.IsAbs(at) {
		at = path.Join(s.Project.Root, at)
	}
	if l.Inner != "" {
		at += "!/" + l.Inner
	}
	if l.Line > 0 {
		at += fmt.Sprintf(":%d", l.Line)
		if l.Column > 0 {
			at += fmt.Sprintf(":%d", l.Column)
		}
	}
	return at
}

func (s *Scan) unreadPlace(u *Unread) string {
	if s.Project != nil {
		return s.sourcePlace(&finding.Leak{Path: u.Path, Line: u.Line, Where: string(u.Kind)})
	}
	return u.Location.String()
}

// repositoryPath is the path of a source file as GitHub and GitLab want it, if the working directory is that of the repository.
func (s *Scan) repositoryPath(l *finding.Leak) string {
	file := cmp.Or(l.Path, l.Where)
	if root := s.Project.Root; filepath.IsLocal(root) {
		file = path.Join(root, file)
	}
	return cmp.Or(relative(file), "file") // no path is no place
}

// characters are the column and width of a leak in UTF-16, as SARIF and editors count. What is not known of the line counts as bytes.
func characters(l *finding.Leak) (column, width int) {
	if l.Source == nil || l.Column < 1 || l.Column > len(l.Source.Text) {
		return l.Column, l.Width
	}
	before, rest := l.Source.Text[:l.Column-1], l.Source.Text[l.Column-1:]
	return 1 + units(before), units(rest[:min(max(l.Width, 0), len(rest))])
}

func units(s string) int { return len(utf16.Encode([]rune(s))) }

// projectSummary is the check of a project in one line, such as "3 findings in 2 of 14 files, 12 ms".
func (s *Scan) projectSummary() string {
	if s.Error != "" {
		return "not checked: " + s.Error
	}
	text := s.found()
	switch files, with := s.files(); {
	case files == 0 && len(s.Unread) == 0:
		return "nothing to check: there is no Dockerfile and no file that starts builds"
	case len(s.Findings) == 0:
		text += " in " + count(files, "file")
	default:
		text += fmt.Sprintf(" in %s of %s, %s", thousands(with), count(files, "file"), duration(s.Stats.Milliseconds))
	}
	if n := len(s.Ignored); n > 0 {
		text += "; " + count(n, "finding") + " ignored"
	}
	if n := len(s.Unread); n > 0 {
		text += "; " + count(n, "place") + " not checked"
	}
	return text
}

// files counts the files of a project, and those of them in which something was found.
func (s *Scan) files() (all, with int) {
	known, found := map[string]bool{}, map[string]bool{}
	for _, f := range s.Project.Files {
		known[f] = true
	}
	for _, l := range s.Findings {
		known[l.Path], found[l.Path] = true, true
	}
	return len(known), len(found)
}

// fixable counts the findings that can be mended by the program.
func (s *Scan) fixable() int {
	n := 0
	for _, l := range s.Findings {
		if l.Fixable {
			n++
		}
	}
	return n
}

// ruleRemedies lists the fix of each rule once: that of its worst finding.
func ruleRemedies(scans []Scan) []remedy {
	var out []remedy
	var seen []string
	for i := range scans {
		for _, l := range worstFirst(scans[i].Findings) {
			if !slices.Contains(seen, l.Rule) {
				seen = append(seen, l.Rule)
				out = append(out, remedy{Titles: []string{l.Title}, Fix: printableLines(fixOf(&l))})
			}
		}
	}
	return out
}

// projectDescription is Markdown, as gitlabDescription is.
func projectDescription(s *Scan, l *finding.Leak) string {
	lines := []string{fmt.Sprintf("%s at %s.", l.Title, code(s.sourcePlace(l)))}
	if l.Detail != "" {
		lines = append(lines, code(l.Detail))
	}
	if l.Source != nil && l.Source.Text != "" {
		lines = append(lines, "The line is "+code(strings.TrimSpace(l.Source.Text))+".")
	}
	if l.Key != "" {
		lines = append(lines, "Key: "+code(l.Key)+".")
	}
	return strings.Join(lines, "\n\n")
}

// Printable is a text for a line of the terminal or a log, where it can say something to people only.
func Printable(s string) string { return noCommand(printable(s)) }
