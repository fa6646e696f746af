package report_test

import (
	"encoding/json"
	"encoding/xml"
	"io"
	"net/url"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/tightlip/tightlip/finding"
	"github.com/tightlip/tightlip/report"
)

// nasty are texts that mean something to a terminal, a page, a log, XML, Markdown, a shell, or are no text at all.
var nasty = []string{
	"line\nbreak\r\n::error::injected", "\x1b[2J\x1b]0;title\x07\u009b31m", "</script><script>pwned=1</script>", "<img src=x onerror=pwned=1>",
	`" onfocus="pwned=1" autofocus x="`, "]]><evil/>", "%0A::add-mask::x", "a,b:c=d", "\xff\xfe\x00 bytes", "\u202egnp.exe", "[a](https://evil.example)",
	"`code` ![x](https://evil.example/x.png) @all", "../../../etc/passwd", "##[error]injected", "javascript:pwned=1", "C:\\windows\\x", "&amp;{{.}}${x}", "\ufffe\U000e0001",
}

// hostile is a scan of an image in which every text is nasty.
func hostile(text string) report.Scan {
	leak := finding.Leak{Rule: "rule", Title: text, Severity: finding.High, Where: text, Platform: text, Layer: 1, Digest: text, Path: text,
		Inner: text, Field: text, Key: text, Line: 1, Encoding: text, Status: finding.Deleted, Hint: text, CreatedBy: text,
		Source: &finding.Source{File: text, Line: 3, Text: text}, Fix: text, Fingerprint: text}
	plain, document, ignored := leak, leak, leak
	plain.Source = nil
	document.Source, document.Path, document.Layer, document.Inner = nil, "", 0, ""
	ignored.Ignored = text
	return report.Scan{
		Tool: text, Error: text,
		Image:    report.ScanImage{Image: report.Image{Names: []string{text, text}, ID: text, Digest: text}, Platforms: []string{text}},
		Findings: []finding.Leak{leak, plain, document, ignored},
		Unread:   []report.Unread{{Location: finding.Location{Kind: finding.InLayer, Layer: 1, Path: text, Platform: text, Field: text}, Reason: text}},
		Layers:   []report.ScanLayer{{Platform: text, Index: 1, Digest: text, CreatedBy: strings.Repeat(text, 100)}},
	}
}

// eachNasty runs a test for each text, and for all of them in one.
func eachNasty(t *testing.T, test func(t *testing.T, text string)) {
	for _, text := range append(nasty, strings.Join(nasty, " ")) {
		t.Run("", func(t *testing.T) {
			t.Logf("with %q", text)
			test(t, text)
		})
	}
}

// TestHostileIsPrintable fills every text of a scan, those of fields to come included.
func TestHostileIsPrintable(t *testing.T) {
	for _, text := range []string{"\x1b[2J", "\x07\u009b31m", "\u202e", "\x00\xff", "\r"} {
		s := scanned()
		fill(reflect.ValueOf(&s).Elem(), text)
		for _, format := range report.Formats() {
			for _, r := range written(t, format, s) {
				if r != '\n' && !unicode.IsPrint(r) {
					t.Errorf("%s has %U for %q", format, r, text)
					break
				}
			}
		}
	}
}

// fill sets all strings in v, but for the one that decides which list a finding is in.
func fill(v reflect.Value, text string) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Pointer:
		if !v.IsNil() {
			fill(v.Elem(), text)
		}
	case reflect.Slice:
		for i := range v.Len() {
			fill(v.Index(i), text)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() && (f.Name != "Ignored" || f.Type.Kind() != reflect.String) {
				fill(v.Field(i), text)
			}
		}
	}
}

func TestHostileJSON(t *testing.T) {
	eachNasty(t, func(t *testing.T, text string) {
		for _, format := range []string{"json", "sarif", "gitlab"} {
			if !json.Valid([]byte(written(t, format, hostile(text)))) {
				t.Errorf("%s is no JSON", format)
			}
		}
		var got report.Scan
		if err := json.Unmarshal([]byte(written(t, "json", hostile(text))), &got); err != nil {
			t.Fatal(err)
		}
		if want := strings.ToValidUTF8(text, "\ufffd"); got.Findings[0].Key != want && len(text) == len(want) {
			t.Errorf("a text comes back as %q", got.Findings[0].Key)
		}
	})
}

// TestHostileSARIF: whatever a file is called, GitHub gets a path that stays in the repository, and text without links.
func TestHostileSARIF(t *testing.T) {
	eachNasty(t, func(t *testing.T, text string) {
		out := written(t, "sarif", hostile(text))
		validSARIF(t, out)
		var log sarif
		if err := json.Unmarshal([]byte(out), &log); err != nil {
			t.Fatal(err)
		}
		if n := len(log.Runs[0].Results); n != 4 {
			t.Fatalf("there are %d results", n)
		}
		for _, r := range log.Runs[0].Results {
			uri := r.Locations[0].PhysicalLocation.ArtifactLocation.URI
			u, err := url.Parse(uri)
			if err != nil || u.IsAbs() || u.Host != "" || uri == "" || u.Path[0] == '/' || u.RawQuery != "" || u.Fragment != "" ||
				strings.Contains("/"+u.Path+"/", "/../") || regexp.MustCompile(`[^A-Za-z0-9%._~/!$&'()*+,;=@-]`).MatchString(uri) {
				t.Errorf("the URI is %q: %v", uri, err)
			}
			if strings.Contains(r.Message.Text, "](") && !strings.Contains(r.Message.Text, `\](`) {
				t.Errorf("the message has a link: %s", r.Message.Text)
			}
		}
	})
}

// TestHostileGitHub: a line is a command of ours, or no command.
func TestHostileGitHub(t *testing.T) {
	command := regexp.MustCompile(`^::(error|warning|notice) (file=[^:,]*,line=\d+,)?title=[^:,]*::[^\r\n]*$`)
	eachNasty(t, func(t *testing.T, text string) {
		lines := strings.Split(strings.TrimSuffix(written(t, "github", hostile(text)), "\n"), "\n")
		if len(lines) != 3+1+1+1 { // findings, unread, error, summary
			t.Errorf("there are %d lines", len(lines))
		}
		for _, l := range lines[:len(lines)-1] {
			if !command.MatchString(l) {
				t.Errorf("not as it should be: %s", l)
			}
		}
		noCommands(t, lines[len(lines)-1])
	})
}

// TestHostileText: a log of GitHub Actions may show the text form.
func TestHostileText(t *testing.T) {
	eachNasty(t, func(t *testing.T, text string) { noCommands(t, written(t, "text", hostile(text))) })
}

func noCommands(t *testing.T, log string) {
	t.Helper()
	for _, l := range strings.Split(log, "\n") {
		if strings.HasPrefix(strings.TrimSpace(l), "::") || strings.Contains(l, "##[") {
			t.Errorf("a workflow command: %q", l)
		}
	}
}

func TestHostileJUnit(t *testing.T) {
	known := map[string]bool{"testsuites": true, "testsuite": true, "testcase": true, "failure": true, "error": true, "skipped": true}
	eachNasty(t, func(t *testing.T, text string) {
		out, counts := written(t, "junit", hostile(text)), map[string]int{}
		for d := xml.NewDecoder(strings.NewReader(out)); ; {
			token, err := d.Token()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if e, ok := token.(xml.StartElement); ok {
				counts[e.Name.Local]++
				if !known[e.Name.Local] {
					t.Errorf("there is a <%s>", e.Name.Local)
				}
			}
		}
		if counts["failure"] != 3 || counts["error"] != 2 || counts["skipped"] != 1 || counts["testcase"] != 6 {
			t.Errorf("there are %v", counts)
		}
	})
}

// TestHostileGitLab: what comes from the image is code in the Markdown.
func TestHostileGitLab(t *testing.T) {
	s := hostile("``` ![x](https://evil.example/x.png) @all")
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

// TestHostileHTML: names change what a page says, never its elements and attributes.
func TestHostileHTML(t *testing.T) {
	eachNasty(t, func(t *testing.T, text string) {
		harmless := strings.Repeat("x", len(text)) + strings.Repeat("\nx", strings.Count(text, "\n"))
		got, want := skeleton(written(t, "html", hostile(text))), skeleton(written(t, "html", hostile(harmless)))
		if got != want {
			t.Errorf("the page has other elements:\n%s\nnot\n%s", got, want)
		}
	})
}

var tags = regexp.MustCompile(`(?s)<(/?[A-Za-z!][^\s>]*)((?:[^>"]|"[^"]*")*)>`)
var attributes = regexp.MustCompile(`"[^"]*"`)

// skeleton is a page without texts and the values of attributes.
func skeleton(page string) string {
	var b strings.Builder
	for _, m := range tags.FindAllStringSubmatch(page, -1) {
		b.WriteString("<" + m[1] + attributes.ReplaceAllString(m[2], `""`) + ">")
	}
	return b.String()
}
