package report

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/tightlip/tightlip/finding"
)

// ScanVersion is the version of Scan's JSON: see docs/scan-json.md.
const ScanVersion = 1

// Scan is what a scan of one image found. Its JSON is documented and versioned: fields are added, never changed. Like its
// leaks, it has no field that could hold a value: its texts are masked by their maker.
type Scan struct {
	Version  int            `json:"version"` // ScanVersion; Write sets it
	Tool     string         `json:"tool"`    // such as "tightlip v1.2.3"
	Image    ScanImage      `json:"image,omitzero"`
	Project  *Project       `json:"project,omitempty"` // instead of an image, if source files were checked
	Findings []finding.Leak `json:"findings"`
	Ignored  []finding.Leak `json:"ignored"` // those with a reason in Leak.Ignored; Write moves them here
	Unread   []Unread       `json:"unread"`  // what could not be searched
	Stats    Stats          `json:"stats"`
	Layers   []ScanLayer    `json:"layers,omitempty"` // and the steps between them, the lowest first
	Error    string         `json:"error,omitempty"`  // why the scan failed, if it did
}

// ScanImage is what was scanned.
type ScanImage struct {
	Image
	Platforms []string `json:"platforms,omitempty"` // os/arch[/variant], of an image for several
}

// Project is a folder whose files were checked.
type Project struct {
	Root  string   `json:"root"`  // from the working directory, with slashes; absolute if it is not below that
	Files []string `json:"files"` // from the root
}

// Stats says how much was searched.
type Stats struct {
	Layers       int   `json:"layers"`
	Files        int   `json:"files"`
	Bytes        int64 `json:"bytes"`
	Cached       int   `json:"cached"` // layers searched before and not read again
	Milliseconds int64 `json:"milliseconds"`
}

// ScanLayer is a layer of an image, or a step of its history that made none.
type ScanLayer struct {
	Platform  string `json:"platform,omitempty"`
	Index     int    `json:"index"` // counted from 1, the lowest; 0 if Empty
	Digest    string `json:"digest,omitempty"`
	Size      int64  `json:"size"` // bytes, as stored
	CreatedBy string `json:"created_by,omitempty"`
	Empty     bool   `json:"empty,omitempty"` // the step made no layer
}

// Options are what a format needs beside the scans.
type Options struct {
	Color             bool      // for text
	Started, Finished time.Time // of the whole command, for gitlab
}

// formats lists the ways to write scans.
var formats = []struct {
	name, description string
	write             func(io.Writer, []Scan, Options) error
	image             bool // it needs one
}{
	{name: "text", description: "for people at a terminal", write: writeText},
	{name: "json", description: "for programs: see docs/scan-json.md", write: writeScanJSON},
	{name: "sarif", description: "SARIF 2.1.0, as GitHub code scanning reads it", write: writeSARIF},
	{name: "html", description: "a page in one file that draws the image", write: writeHTML, image: true},
	{name: "gitlab", description: "GitLab's secret detection report; for source files its SAST report", write: writeGitLab},
	{name: "github", description: "annotations, as workflow commands of GitHub Actions", write: writeGitHub},
	{name: "junit", description: "JUnit XML, as most CI servers read it", write: writeJUnit},
}

// Formats lists the names that Write takes.
func Formats() []string {
	var names []string
	for _, f := range formats {
		names = append(names, f.name)
	}
	return names
}

// ProjectFormats lists the names that Write takes for scans of projects.
func ProjectFormats() []string {
	var names []string
	for _, f := range formats {
		if !f.image {
			names = append(names, f.name)
		}
	}
	return names
}

// FormatHelp describes the formats, one a line.
func FormatHelp() string {
	var b strings.Builder
	for _, f := range formats {
		fmt.Fprintf(&b, "%-8s%s\n", f.name, f.description)
	}
	return b.String()
}

// Write writes the scans in a format of Formats. An unknown format is an error that lists them, and so is one that needs an image
// where there is a project.
func Write(w io.Writer, format string, scans []Scan, o Options) error {
	for _, f := range formats {
		if f.name != format {
			continue
		}
		if f.image && slices.ContainsFunc(scans, func(s Scan) bool { return s.Project != nil }) {
			return fmt.Errorf("the format %s draws images, and this is none: %s", format, strings.Join(ProjectFormats(), ", "))
		}
		return f.write(w, filled(scans), o)
	}
	return fmt.Errorf("unknown format %q: %s", format, strings.Join(Formats(), ", "))
}

// filled gives each scan its version, empty lists instead of null ones, and the ignored findings their own list.
func filled(scans []Scan) []Scan {
	out := make([]Scan, len(scans))
	for i, s := range scans {
		s.Version = ScanVersion
		s.Ignored = list(slices.Clone(s.Ignored))
		findings := []finding.Leak{}
		for _, l := range s.Findings {
			if l.Ignored == "" {
				findings = append(findings, l)
			} else {
				s.Ignored = append(s.Ignored, l)
			}
		}
		s.Findings, s.Unread = findings, list(s.Unread)
		if s.Project != nil {
			s.Project = &Project{Root: s.Project.Root, Files: list(s.Project.Files)}
		} else {
			s.Image.Names = list(s.Image.Names)
		}
		if len(s.Image.Names) > 0 {
			s.Image.Name = s.Image.Names[0]
		}
		out[i] = s
	}
	return out
}

// name is what the image or the project is called to people.
func (s *Scan) name() string {
	if s.Project != nil {
		return cmp.Or(s.Project.Root, ".")
	}
	for _, name := range []string{s.Image.Name, s.Image.Digest, s.Image.ID} {
		if name != "" {
			return name
		}
	}
	return "image"
}

// clean tells whether everything was searched and nothing found.
func (s *Scan) clean() bool { return len(s.Findings) == 0 && len(s.Unread) == 0 && s.Error == "" }

// summary is the scan in one line, such as "2 secrets in 3 layers, 1,234 files, 210.0 MB, 1.2 s".
func (s *Scan) summary() string {
	if s.Project != nil {
		return s.projectSummary()
	}
	if s.Error != "" {
		return "not scanned: " + s.Error
	}
	found, where := s.found(), []string{}
	if s.Stats.Layers > 0 {
		where = append(where, count(s.Stats.Layers, "layer"))
	}
	where = append(where, count(s.Stats.Files, "file"), Size(s.Stats.Bytes), duration(s.Stats.Milliseconds))
	text := found + " in " + strings.Join(where, ", ")
	if s.Stats.Cached > 0 {
		text += fmt.Sprintf(" (%s known from before)", count(s.Stats.Cached, "layer"))
	}
	if n := len(s.Ignored); n > 0 {
		text += "; " + count(n, "finding") + " ignored"
	}
	if n := len(s.Unread); n > 0 {
		text += "; " + count(n, "place") + " not searched"
	}
	return text
}

// found counts the secrets, and apart from them the notes, which are no leaks of their own. In a project all are findings.
func (s *Scan) found() string {
	switch {
	case s.Project != nil && len(s.Findings) == 0:
		return "no leaks"
	case s.Project != nil:
		return count(len(s.Findings), "finding")
	}
	secrets, notes := 0, 0
	for _, l := range s.Findings {
		if l.Severity == finding.Note {
			notes++
		} else {
			secrets++
		}
	}
	text := count(secrets, "secret")
	if secrets == 0 {
		text = "no secrets"
	}
	if notes > 0 {
		text += " and " + count(notes, "note")
	}
	return text
}

// worstFirst sorts findings by severity, and keeps their order otherwise.
func worstFirst(leaks []finding.Leak) []finding.Leak {
	sorted := slices.Clone(leaks)
	slices.SortStableFunc(sorted, func(a, b finding.Leak) int {
		switch {
		case a.Severity == b.Severity:
			return 0
		case a.Severity.AtLeast(b.Severity):
			return -1
		}
		return 1
	})
	return sorted
}

// count is a number with its noun, in the plural where English has it.
func count(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return thousands(n) + " " + noun
}

// thousands puts commas into a number.
func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// duration renders milliseconds for people.
func duration(ms int64) string {
	switch {
	case ms < 1000:
		return fmt.Sprintf("%d ms", ms)
	case ms < 60_000:
		return fmt.Sprintf("%.1f s", float64(ms)/1000)
	}
	return (time.Duration(ms) * time.Millisecond).Round(time.Second).String()
}
