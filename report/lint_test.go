package report_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/tightlip/tightlip/finding"
	"github.com/tightlip/tightlip/report"
)

// checked is a check of a project with everything in it: a place with a column, one without, one in another file, ignored and unread.
func checked() report.Scan {
	return report.Scan{
		Tool:    "tightlip v1.2.3",
		Project: &report.Project{Root: "services/shop", Files: []string{".dockerignore", "Dockerfile", "compose.yaml"}},
		Findings: []finding.Leak{
			{Rule: "secret-arg", Title: "secret in a build argument", Severity: finding.High, Where: "dockerfile", Path: "Dockerfile", Key: "NPM_TOKEN",
				Line: 7, Column: 6, Width: 9, Source: &finding.Source{File: "Dockerfile", Line: 7, Text: "\tARG NPM_TOKEN"}, Fixable: true,
				Detail: "RUN in line 9 has it in its environment, so that its value is in the history of the image and in the provenance of each build.",
				Fix:    npmFix, Fingerprint: "a1a1a1a1a1a1a1a1"},
			{Rule: "context-credential", Title: "credential file of the build context in a layer", Severity: finding.Critical, Where: "context", Path: ".npmrc",
				Key: "_authToken", Hint: "npm_", Source: &finding.Source{File: "Dockerfile", Line: 12, Text: "COPY . /app"}, Fingerprint: "b1b1b1b1b1b1b1b1"},
			{Rule: "secret-arg", Title: "secret in a build argument", Severity: finding.Note, Where: "compose", Path: "compose.yaml", Line: 3,
				Fix: "another", Fingerprint: "a2a2a2a2a2a2a2a2"},
		},
		Ignored: []finding.Leak{{Rule: "secret-env", Title: "secret in the environment of the image", Severity: finding.High, Where: "dockerfile",
			Path: "Dockerfile", Line: 20, Fingerprint: "c1c1c1c1c1c1c1c1", Ignored: "of the tests"}},
		Unread: []report.Unread{{Location: finding.Location{Kind: finding.InFile, Path: "old/Dockerfile"}, Line: 4, Reason: "unknown instruction: RUNN"}},
		Stats:  report.Stats{Files: 3, Bytes: 900, Milliseconds: 12},
	}
}

// unharmed is a check that found nothing.
func unharmed(files ...string) report.Scan {
	return report.Scan{Tool: "tightlip v1.2.3", Project: &report.Project{Root: ".", Files: files}, Stats: report.Stats{Files: len(files), Milliseconds: 3}}
}

func TestLintText(t *testing.T) {
	const want = `  HIGH      secret in a build argument  secret-arg
            services/shop/Dockerfile:7:6
               7 |     ARG NPM_TOKEN
                 |         ^^^^^^^^^
            RUN in line 9 has it in its environment, so that its value is in the history of the
            image and in the provenance of each build.
            fixable, key NPM_TOKEN, fingerprint a1a1a1a1a1a1a1a1

  CRITICAL  credential file of the build context in a layer  context-credential
            services/shop/.npmrc
            Dockerfile:12
              12 | COPY . /app
            key _authToken, value npm_…, fingerprint b1b1b1b1b1b1b1b1

  NOTE      secret in a build argument  secret-arg
            services/shop/compose.yaml:3
            fingerprint a2a2a2a2a2a2a2a2

  Not checked
    services/shop/old/Dockerfile:4: unknown instruction: RUNN

What to do
  1. If an image was built like this and anybody else may have it, replace the secret where it was issued.
  2. Write this instead:

     credential file of the build context in a layer
       RUN --mount=type=secret,id=token,env=TOKEN ./step-that-needs-it
       tightlip build --secret id=token,env=TOKEN …

     secret in a build argument
       RUN --mount=type=secret,id=npm,target=/root/.npmrc \
           npm ci

3 findings in 3 of 4 files, 12 ms; 1 finding ignored; 1 place not checked
1 of them can be mended: tightlip lint --fix
`
	if got := written(t, "text", checked()); got != want {
		t.Errorf("got:\n%s", got)
	}
}

func TestLintTextSummary(t *testing.T) {
	fixable := func(n int) report.Scan {
		s := unharmed("Dockerfile")
		for i := range 2 {
			s.Findings = append(s.Findings, finding.Leak{Rule: "r", Title: "t", Severity: finding.Low, Path: "Dockerfile", Line: i + 1, Fixable: i < n})
		}
		return s
	}
	ignored, one := fixable(0), fixable(1)
	ignored.Findings[0].Ignored, ignored.Findings[1].Ignored = "a", "b"
	one.Findings = one.Findings[:1]
	for _, test := range []struct {
		scan report.Scan
		want string
	}{
		{unharmed(make([]string, 0)...), "nothing to check: there is no Dockerfile and no file that starts builds\n"},
		{unharmed("a"), "no leaks in 1 file\n"},
		{unharmed("a", "b"), "no leaks in 2 files\n"},
		{ignored, "no leaks in 1 file; 2 findings ignored\n"},
		{fixable(0), "2 findings in 1 of 1 file, 3 ms\n"},
		{fixable(1), "2 findings in 1 of 1 file, 3 ms\n1 of them can be mended: tightlip lint --fix\n"},
		{fixable(2), "2 findings in 1 of 1 file, 3 ms\nall of them can be mended: tightlip lint --fix\n"},
		{one, "1 finding in 1 of 1 file, 3 ms\nit can be mended: tightlip lint --fix\n"},
	} {
		if got := written(t, "text", test.scan); !strings.HasSuffix("\n"+got, "\n"+test.want) {
			t.Errorf("got:\n%s\nwant the end %s", got, test.want)
		}
	}
}

// TestLintTextExcerpt: the carets stand under what is meant, whatever the line has before it, and the line fits.
func TestLintTextExcerpt(t *testing.T) {
	long := strings.Repeat("left ", 100) + "HERE" + strings.Repeat(" right", 100)
	for _, test := range []struct {
		line          string
		column, width int
		want          string // the two lines behind the gutter
	}{
		{"ARG TOKEN", 5, 5, "ARG TOKEN\n    ^^^^^"},
		{"\t\tARG TOKEN\r", 7, 5, "        ARG TOKEN\n            ^^^^^"},
		{"a\tTOKEN", 3, 5, "a   TOKEN\n    ^^^^^"},
		{"ärger TOKEN", 8, 5, "ärger TOKEN\n      ^^^^^"},
		{"機密 TOKEN", 8, 5, "機密 TOKEN\n     ^^^^^"},
		{"e\u0301 TOKEN", 5, 5, "e\u0301 TOKEN\n  ^^^^^"},
		{"\xff\xfe TOKEN", 4, 5, "\ufffd\ufffd TOKEN\n   ^^^^^"},
		{"\x1b[2J TOKEN", 6, 5, `\x1b[2J TOKEN` + "\n" + `        ^^^^^`},
		{"TOKEN", 0, 5, "TOKEN"},
		{"TOKEN", 3, 0, "TOKEN\n  ^"},
		{"TOKEN", 3, 99, "TOKEN\n  ^^^"},
		{"TOKEN", 99, 5, "TOKEN\n     ^"},
		{"TOKEN", -1, -1, "TOKEN"},
		{"RUN a \\\n  b", 5, 9, "RUN a \\\n    ^^^"},
	} {
		s := unharmed("Dockerfile")
		s.Findings = []finding.Leak{{Rule: "r", Title: "t", Severity: finding.High, Path: "Dockerfile", Line: 3, Column: test.column, Width: test.width,
			Source: &finding.Source{Text: test.line}}}
		if got := strings.Join(behindGutter(written(t, "text", s)), "\n"); got != test.want {
			t.Errorf("%q at %d, %d is\n%s\nnot\n%s", test.line, test.column, test.width, got, test.want)
		}
		for _, column := range []int{1, 400, 500, 501, 505, 800, 1100, 5000} {
			s.Findings[0].Column, s.Findings[0].Width, s.Findings[0].Source.Text = column, 4, long
			out := written(t, "text", s)
			for line := range strings.Lines(out) {
				if n := len([]rune(strings.TrimSpace(line))); strings.Contains(line, " | ") && n > 120-12 {
					t.Errorf("a line has %d columns: %s", n, line)
				}
			}
			lines := behindGutter(out)
			at := strings.Index(lines[1], "^")
			if at < 0 || column == 501 && string([]rune(lines[0])[at:at+4]) != "HERE" {
				t.Errorf("at %d:\n%s", column, strings.Join(lines, "\n"))
			}
		}
	}
}

// behindGutter are the lines of an excerpt.
func behindGutter(text string) []string {
	var lines []string
	for _, m := range regexp.MustCompile(`(?m)^ {12}[ \d]* \| (.*)$`).FindAllStringSubmatch(text, -1) {
		lines = append(lines, m[1])
	}
	return lines
}

// TestLintTextOfMany: if not all can be shown, the worst are.
func TestLintTextOfMany(t *testing.T) {
	s := unharmed("Dockerfile")
	for i := range 60 {
		s.Findings = append(s.Findings, finding.Leak{Rule: "r", Title: "t", Severity: finding.Low, Path: "Dockerfile", Line: i + 1})
	}
	s.Findings[59].Severity = finding.Critical
	got := written(t, "text", s)
	for _, want := range []string{"… and 10 more: --format json lists them", "Dockerfile:60\n", "60 findings in 1 of 1 file"} {
		if strings.Count(got, want) != 1 {
			t.Errorf("%q is there %d times", want, strings.Count(got, want))
		}
	}
}

func TestLintTextColor(t *testing.T) {
	var b bytes.Buffer
	if err := report.Write(&b, "text", []report.Scan{checked()}, report.Options{Color: true}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.String(), "\x1b[31mHIGH") || !strings.Contains(b.String(), "\x1b[31m        ^^^^^^^^^\x1b[0m") {
		t.Errorf("no colours: %q", b.String())
	}
	if without := regexp.MustCompile(`\x1b\[[0-9;]*m`).ReplaceAllString(b.String(), ""); without != written(t, "text", checked()) {
		t.Error("the colours are not all there is to it")
	}
}

// TestLintJSON holds what docs/lint-json.md says.
func TestLintJSON(t *testing.T) {
	var got map[string]any
	if err := json.Unmarshal([]byte(written(t, "json", checked())), &got); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]any{"version": 1.0, "project.root": "services/shop", "stats.files": 3.0, "stats.layers": 0.0} {
		if v := at(got, strings.Split(path, ".")); v != want {
			t.Errorf("%s is %v, want %v", path, v, want)
		}
	}
	if _, ok := got["image"]; ok {
		t.Error("there is an image")
	}
	first := got["findings"].([]any)[0].(map[string]any)
	for field, want := range map[string]any{"path": "Dockerfile", "line": 7.0, "column": 6.0, "width": 9.0, "fixable": true, "where": "dockerfile"} {
		if first[field] != want {
			t.Errorf("%s is %v, want %v", field, first[field], want)
		}
	}
	if text := at(first, []string{"dockerfile", "text"}); text != "\tARG NPM_TOKEN" || !strings.HasPrefix(first["detail"].(string), "RUN in line 9") {
		t.Errorf("a finding is %v", first)
	}
	if u := got["unread"].([]any)[0].(map[string]any); u["line"] != 4.0 || u["path"] != "old/Dockerfile" {
		t.Errorf("unread is %v", u)
	}
	s := unharmed()
	if out := written(t, "json", s); !strings.Contains(out, `"files": []`) || strings.Contains(out, "null") || s.Project.Files != nil {
		t.Errorf("got %s", out)
	}
}

func TestLintSARIF(t *testing.T) {
	s := checked()
	s.Findings[0].Source.Text = "\t\U0001f511 ARG NPM_TOKEN" // 4 bytes, and 2 of what editors count
	s.Findings[0].Column, s.Findings[0].Width = 11, 9
	out := written(t, "sarif", s)
	validSARIF(t, out)
	validSARIF(t, written(t, "sarif", unharmed()))
	type location struct {
		PhysicalLocation struct {
			ArtifactLocation struct{ URI, URIBaseID string }
			Region           map[string]int
		}
	}
	var log struct {
		Runs []struct {
			ColumnKind string
			Results    []struct {
				Message   struct{ Text string }
				Locations []location
			}
		}
	}
	if err := json.Unmarshal([]byte(out), &log); err != nil {
		t.Fatal(err)
	}
	run := log.Runs[0]
	if run.ColumnKind != "utf16CodeUnits" || !strings.HasPrefix(run.Results[0].Message.Text, "secret in a build argument: RUN in line 9") {
		t.Errorf("the run is %+v", run)
	}
	for i, want := range []struct {
		uri    string
		region map[string]int
	}{
		{"services/shop/Dockerfile", map[string]int{"startLine": 7, "startColumn": 9, "endColumn": 18}},
		{"services/shop/.npmrc", map[string]int{"startLine": 1}},
		{"services/shop/compose.yaml", map[string]int{"startLine": 3}},
		{"services/shop/Dockerfile", map[string]int{"startLine": 20}},
	} {
		at := run.Results[i].Locations[0].PhysicalLocation
		if at.ArtifactLocation.URI != want.uri || at.ArtifactLocation.URIBaseID != "%SRCROOT%" || !reflect.DeepEqual(at.Region, want.region) {
			t.Errorf("result %d is at %+v", i, at)
		}
	}
}

// TestLintRoot: paths are those of the repository as far as they can be.
func TestLintRoot(t *testing.T) {
	for root, want := range map[string]string{".": "Dockerfile", "": "Dockerfile", "a/b": "a/b/Dockerfile", "../x": "Dockerfile", "/srv/x": "Dockerfile"} {
		s := checked()
		s.Project.Root = root
		if got := written(t, "github", s); !strings.Contains(got, "file="+want+",line=7,") {
			t.Errorf("with %q got %s", root, got)
		}
	}
}

func TestLintGitLab(t *testing.T) {
	out := written(t, "gitlab", checked())
	if strings.Contains(out, `"commit"`) {
		t.Error("only secret detection has commits")
	}
	var got gitlab
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatal(err)
	}
	if got.Scan.Type != "sast" || len(got.Vulnerabilities) != 3 || len(got.Scan.Messages) != 2 {
		t.Fatalf("the report is %+v", got)
	}
	for i, want := range []struct {
		file string
		line int
	}{{"services/shop/Dockerfile", 7}, {"services/shop/.npmrc", 0}, {"services/shop/compose.yaml", 3}} {
		v := got.Vulnerabilities[i]
		if v.Category != "sast" || v.Location.File != want.file || v.Location.StartLine != want.line {
			t.Errorf("vulnerability %d is %+v", i, v)
		}
	}
}

func TestLintGitHub(t *testing.T) {
	const want = `::error file=services/shop/.npmrc,line=1,title=credential file of the build context in a layer::credential file of the build context in a layer: services/shop/.npmrc%0A`
	got := strings.Split(written(t, "github", checked()), "\n")
	if !strings.HasPrefix(got[0], want) {
		t.Errorf("got %s", got[0])
	}
	for i, start := range []string{1: "::error file=services/shop/Dockerfile,line=7,col=6,title=secret in a build argument::secret in a build argument: RUN in line 9",
		2: "::notice file=services/shop/compose.yaml,line=3,title=", 3: "::warning file=services/shop/old/Dockerfile,line=4,title=Not searched::", 4: "3 findings in 3 of 4 files"} {
		if !strings.HasPrefix(got[i], start) {
			t.Errorf("line %d is %s", i, got[i])
		}
	}
}

func TestLintJUnit(t *testing.T) {
	got := written(t, "junit", checked())
	for _, want := range []string{`<testsuites name="tightlip lint" tests="5" failures="3" errors="1" skipped="1"`, `<testsuite name="services/shop"`,
		`<testcase classname="secret-arg" name="services/shop/Dockerfile:7:6">`, `classname="unread" name="services/shop/old/Dockerfile:4"`} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in %s", want, got)
		}
	}
	if got := written(t, "junit", unharmed("Dockerfile")); !strings.Contains(got, `<testcase classname="lint" name="no leaks"></testcase>`) {
		t.Errorf("got %s", got)
	}
}

func TestLintFormats(t *testing.T) {
	if got := strings.Join(report.ProjectFormats(), " "); got != "text json sarif gitlab github junit" {
		t.Errorf("got %s", got)
	}
	err := report.Write(&bytes.Buffer{}, "html", []report.Scan{checked()}, report.Options{})
	if err == nil || err.Error() != "the format html draws images, and this is none: text, json, sarif, gitlab, github, junit" {
		t.Errorf("got %v", err)
	}
}

// hostileProject is a check of files in which every text is nasty.
func hostileProject(text string) report.Scan {
	leak := finding.Leak{Rule: "rule", Title: text, Severity: finding.High, Where: text, Path: text, Inner: text, Key: text, Line: 3, Column: 2, Width: 3,
		Hint: text, Source: &finding.Source{File: text, Line: 3, Text: text}, Detail: text, Fix: text, Fixable: true, Fingerprint: text}
	elsewhere, nowhere, ignored := leak, leak, leak
	elsewhere.Source = &finding.Source{File: "other" + text, Line: 9, Text: text}
	nowhere.Path, nowhere.Where, nowhere.Line, nowhere.Source = "", "", 0, nil
	ignored.Ignored = text
	return report.Scan{Tool: text, Project: &report.Project{Root: text, Files: []string{text}}, Findings: []finding.Leak{leak, elsewhere, nowhere, ignored},
		Unread: []report.Unread{{Location: finding.Location{Kind: finding.InFile, Path: text}, Line: 2, Reason: text}}}
}

// TestLintHostile holds for projects what the tests of hostile images hold for these.
func TestLintHostile(t *testing.T) {
	command := regexp.MustCompile(`^::(error|warning|notice) file=[^:,]*,line=\d+,(col=\d+,)?title=[^:,]*::[^\r\n]*$`)
	eachNasty(t, func(t *testing.T, text string) {
		s := hostileProject(text)
		for _, format := range report.ProjectFormats() {
			for _, r := range written(t, format, s) {
				if r != '\n' && !unicode.IsPrint(r) {
					t.Errorf("%s has %U", format, r)
					break
				}
			}
		}
		noCommands(t, written(t, "text", s))
		lines := strings.Split(strings.TrimSuffix(written(t, "github", s), "\n"), "\n")
		if len(lines) != 3+1+1 { // findings, unread, summary
			t.Errorf("there are %d lines", len(lines))
		}
		for _, l := range lines[:len(lines)-1] {
			if !command.MatchString(l) {
				t.Errorf("not as it should be: %s", l)
			}
		}
		out := written(t, "sarif", s)
		validSARIF(t, out)
		var log sarif
		if err := json.Unmarshal([]byte(out), &log); err != nil {
			t.Fatal(err)
		}
		for _, r := range log.Runs[0].Results {
			uri := r.Locations[0].PhysicalLocation.ArtifactLocation.URI
			if u, err := url.Parse(uri); err != nil || u.IsAbs() || u.Host != "" || uri == "" || u.Path[0] == '/' || strings.Contains("/"+u.Path+"/", "/../") {
				t.Errorf("the URI is %q: %v", uri, err)
			}
		}
	})
}

// TestLintHostileGitLab: what comes from the files is code in the Markdown.
func TestLintHostileGitLab(t *testing.T) {
	s := hostileProject("``` ![x](https://evil.example/x.png) @all")
	for i := range s.Findings {
		s.Findings[i].Title = "token"
	}
	var got gitlab
	if err := json.Unmarshal([]byte(written(t, "gitlab", s)), &got); err != nil {
		t.Fatal(err)
	}
	for _, v := range got.Vulnerabilities {
		for _, text := range []string{v.Description, v.Solution} {
			if prose := regexp.MustCompile("(?s)`{4}.*?[^`]`{4}").ReplaceAllString(text, ""); strings.Contains(prose, "evil") {
				t.Errorf("not in code: %s", prose)
			}
		}
	}
}

func TestWriteDiff(t *testing.T) {
	var b bytes.Buffer
	in := "--- a/x\n+++ b/x\n@@ -1,2 +1,1 @@\n \tRUN a\r\n-\x1b[2J##[error]\n ::error::x\n\\ No newline at end of file"
	if err := report.WriteDiff(&b, in, report.Options{}); err != nil {
		t.Fatal(err)
	}
	want := "--- a/x\n+++ b/x\n@@ -1,2 +1,1 @@\n \tRUN a\r\n-\\x1b[2J## [error]\n : :error::x\n\\ No newline at end of file\n"
	if b.String() != want {
		t.Errorf("got %q", b.String())
	}
	b.Reset()
	if err := report.WriteDiff(&b, "-a\n+b\n c\n", report.Options{Color: true}); err != nil || b.String() != "\x1b[31m-a\x1b[0m\n\x1b[32m+b\x1b[0m\n c\n" {
		t.Errorf("got %q, %v", b.String(), err)
	}
}

func TestExplain(t *testing.T) {
	scan, lint := report.Explain("id", "title", finding.High, "Why.", ""), report.ExplainLint("id", "title", finding.High, "Why.\n", "RUN a\nRUN b")
	if !strings.HasPrefix(scan, "id: title (high)\n\nWhy.\n\nHow it is extracted\n") || !strings.Contains(scan, "    Then build like this:\n        RUN --mount") {
		t.Errorf("got %s", scan)
	}
	want := fmt.Sprintf("id: title (high)\n\nWhy.\n\nWhat to do\n    %s\n    Write this instead:\n        RUN a\n        RUN b\n",
		"If an image was built like this and anybody else may have it, replace the secret where it was issued.")
	if lint != want {
		t.Errorf("got %s", lint)
	}
}
