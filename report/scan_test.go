package report_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tightlip/tightlip/finding"
	"github.com/tightlip/tightlip/report"
)

const npmFix = "RUN --mount=type=secret,id=npm,target=/root/.npmrc \\\n    npm ci"

// scanned is a scan with everything in it: layers and documents, all severities and states, ignored and unread.
func scanned() report.Scan {
	copyKey := &finding.Source{File: "docker/Dockerfile", Line: 12, Text: "COPY id_rsa /app/"}
	env := &finding.Source{File: "docker/Dockerfile", Line: 4, Text: "ENV AWS_SECRET_ACCESS_KEY=****"}
	digest := func(c string) string { return "sha256:" + strings.Repeat(c, 64) }
	print := func(c string) string { return strings.Repeat(c, 8) }
	return report.Scan{
		Tool: "tightlip v1.2.3",
		Image: report.ScanImage{Image: report.Image{Names: []string{"registry.corp.example/shop/app:1.0", "app:latest"},
			ID: digest("1"), Digest: digest("2")}},
		Findings: []finding.Leak{
			{Rule: "aws-secret", Title: "AWS secret access key", Severity: finding.Critical, Where: "config.Env", Field: "config.Env[2]",
				Key: "AWS_SECRET_ACCESS_KEY", Offset: 310, Hint: "wJal", Source: env, Fingerprint: print("a1")},
			{Rule: "aws-secret", Title: "AWS secret access key", Severity: finding.Critical, Where: "history", Field: "history[3].created_by",
				Key: "AWS_SECRET_ACCESS_KEY", Offset: 902, Hint: "wJal", Source: env, Fingerprint: print("a2")},
			{Rule: "npm-token", Title: "npm access token", Severity: finding.High, Where: "file", Layer: 2, Digest: digest("4"), Path: "root/.npmrc",
				Key: "//packages.example/:_authToken", Line: 2, Offset: 40, Status: finding.Deleted, Hint: "npm_",
				CreatedBy: "RUN /bin/sh -c echo ******** > /root/.npmrc # buildkit", Fix: npmFix, Fingerprint: print("b1")},
			{Rule: "npm-token", Title: "npm access token", Severity: finding.High, Where: "file", Layer: 2, Digest: digest("4"), Path: "root/.npmrc",
				Key: "//npm.corp.example/:_authToken", Line: 3, Offset: 90, Status: finding.Deleted, Hint: "npm_",
				CreatedBy: "RUN /bin/sh -c echo ******** > /root/.npmrc # buildkit", Fix: npmFix, Fingerprint: print("b2")},
			{Rule: "private-key", Title: "private key", Severity: finding.Critical, Where: "file", Layer: 3, Digest: digest("5"), Path: "app/id_rsa",
				Line: 1, Status: finding.Visible, CreatedBy: "COPY id_rsa /app/ # buildkit", Source: copyKey,
				Fix: "RUN --mount=type=ssh git clone git@git.corp.example:shop/lib.git", Fingerprint: print("c1")},
			{Rule: "password-hash", Title: "hash of a password", Severity: finding.Low, Where: "file", Layer: 1, Digest: digest("3"), Path: "etc/shadow",
				Line: 1, Key: "root", Status: finding.Overwritten, CreatedBy: "ADD rootfs.tar / # buildkit", Fingerprint: print("d1")},
			{Rule: "assigned", Title: "password in a setting", Severity: finding.Medium, Where: "file", Layer: 3, Digest: digest("5"), Path: "app/shop.jar",
				Inner: "config/application.properties", Line: 7, Key: "spring.datasource.password", Encoding: "base64", Status: finding.Visible,
				CreatedBy: "COPY id_rsa /app/ # buildkit", Source: copyKey, Fingerprint: print("e1")},
			{Rule: "build-arg", Title: "build argument called a token", Severity: finding.Note, Where: "history", Field: "history[2].created_by",
				Key: "NPM_TOKEN", Offset: 11, Fingerprint: print("f1")},
		},
		Ignored: []finding.Leak{{Rule: "private-key", Title: "private key", Severity: finding.Critical, Where: "file", Layer: 1, Digest: digest("3"),
			Path: "usr/share/doc/openssl/key.pem", Line: 1, Status: finding.Visible, Fingerprint: print("c2"), Ignored: "an example of the manual"}},
		Unread: []report.Unread{{Location: finding.Location{Kind: finding.InLayer, Layer: 3, Path: "app/backup.zip!/db.sql"}, Reason: "encrypted"}},
		Stats:  report.Stats{Layers: 3, Files: 1234, Bytes: 210_400_000, Cached: 1, Milliseconds: 1234},
		Layers: []report.ScanLayer{
			{Index: 1, Digest: digest("3"), Size: 29_150_000, CreatedBy: "ADD rootfs.tar / # buildkit"},
			{Empty: true, CreatedBy: `CMD ["bash"]`},
			{Empty: true, CreatedBy: "ARG NPM_TOKEN"},
			{Empty: true, CreatedBy: "ENV AWS_SECRET_ACCESS_KEY=****"},
			{Index: 2, Digest: digest("4"), Size: 3_400_000, CreatedBy: "RUN /bin/sh -c echo ******** > /root/.npmrc # buildkit"},
			{Index: 3, Digest: digest("5"), Size: 41_900_000, CreatedBy: "COPY id_rsa /app/ # buildkit"},
		},
	}
}

// nothing is a scan that found nothing.
func nothing() report.Scan {
	return report.Scan{Tool: "tightlip v1.2.3", Image: report.ScanImage{Image: report.Image{Names: []string{"clean:1"}}},
		Stats: report.Stats{Layers: 1, Files: 12, Bytes: 4096, Milliseconds: 8}}
}

func written(t *testing.T, format string, scans ...report.Scan) string {
	t.Helper()
	var b bytes.Buffer
	o := report.Options{Started: time.Unix(1_800_000_000, 0), Finished: time.Unix(1_800_000_002, 0)}
	if err := report.Write(&b, format, scans, o); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestScanText(t *testing.T) {
	const want = `registry.corp.example/shop/app:1.0  sha256:222222222222

  CRITICAL  AWS secret access key  aws-secret
            config.Env[2]
            docker/Dockerfile:4  ENV AWS_SECRET_ACCESS_KEY=****
            key AWS_SECRET_ACCESS_KEY, value wJal…, fingerprint a1a1a1a1a1a1a1a1
            also in history[3].created_by

  CRITICAL  private key  private-key
            layer 3 /app/id_rsa line 1
            docker/Dockerfile:12  COPY id_rsa /app/
            fingerprint c1c1c1c1c1c1c1c1

  HIGH      npm access token  npm-token
            layer 2 /root/.npmrc line 2, deleted later, but still in the image
            RUN /bin/sh -c echo ******** > /root/.npmrc # buildkit
            key //packages.example/:_authToken, value npm_…, fingerprint b1b1b1b1b1b1b1b1
            also on line 3

  MEDIUM    password in a setting  assigned
            layer 3 /app/shop.jar!/config/application.properties line 7
            docker/Dockerfile:12  COPY id_rsa /app/
            key spring.datasource.password, written in base64, fingerprint e1e1e1e1e1e1e1e1

  LOW       hash of a password  password-hash
            layer 1 /etc/shadow line 1, overwritten later, but still in the image
            ADD rootfs.tar / # buildkit
            key root, fingerprint d1d1d1d1d1d1d1d1

  NOTE      build argument called a token  build-arg
            history[2].created_by
            key NPM_TOKEN, fingerprint f1f1f1f1f1f1f1f1

  Not searched
    layer 3 app/backup.zip!/db.sql at byte 0: encrypted

What to do
  1. Replace the secret where it was issued: whoever could pull the image may have it.
  2. Build the image without it:

     AWS secret access key, password in a setting, hash of a password, build argument called a token
       RUN --mount=type=secret,id=token,env=TOKEN ./step-that-needs-it
       tightlip build --secret id=token,env=TOKEN …

     private key
       RUN --mount=type=ssh git clone git@git.corp.example:shop/lib.git

     npm access token
       RUN --mount=type=secret,id=npm,target=/root/.npmrc \
           npm ci

registry.corp.example/shop/app:1.0: 7 secrets and 1 note in 3 layers, 1,234 files, 210.4 MB, 1.2 s (1 layer known from before); 1 finding ignored; 1 place not searched
clean:1: no secrets in 1 layer, 12 files, 4.1 kB, 8 ms
`
	if got := written(t, "text", scanned(), nothing()); got != want {
		t.Errorf("got:\n%s", got)
	}
}

// TestScanTextVerified: what issuers said stands at the finding, and takes nothing from it.
func TestScanTextVerified(t *testing.T) {
	s := nothing()
	for _, v := range []finding.Verdict{finding.Alive, finding.Dead, finding.Unknown, ""} {
		s.Findings = append(s.Findings, finding.Leak{Rule: "token", Title: "token", Severity: finding.High, Where: "file", Path: "file" + string(v), Verified: v})
	}
	for i, v := range []finding.Verdict{finding.Dead, finding.Alive, finding.Dead, ""} {
		s.Findings = append(s.Findings, finding.Leak{Rule: "token", Title: "token", Severity: finding.High, Where: "file", Path: "several", Line: 1 + i, Verified: v})
	}
	const want = `
  HIGH      token  token
            filealive
            still works

  HIGH      token  token
            filedead
            revoked

  HIGH      token  token
            fileunknown
            could not be asked

  HIGH      token  token
            file

  HIGH      token  token
            several line 1
            still works: 1, revoked: 2
            also on line 2, 3, 4

`
	got := written(t, "text", s)
	if !strings.Contains(got, want) || !strings.Contains(got, "8 secrets") {
		t.Errorf("got:\n%s", got)
	}
	if got := written(t, "json", s); strings.Count(got, `"verified": "dead"`) != 3 || strings.Count(got, `"verified"`) != 6 || strings.Contains(got, "icket") {
		t.Errorf("got:\n%s", got)
	}
}

// TestScanTextOfMany holds that the worst are shown, and that what is left out is counted.
func TestScanTextOfMany(t *testing.T) {
	s := nothing()
	for i := range 70 {
		s.Findings = append(s.Findings, finding.Leak{Rule: "r", Title: "token", Severity: finding.Low, Where: "file", Layer: 1, Path: fmt.Sprint("f", i)})
		s.Findings = append(s.Findings, finding.Leak{Rule: "same", Title: "same", Severity: finding.Critical, Where: "file", Layer: i, Path: "same"})
		s.Unread = append(s.Unread, report.Unread{Reason: "damaged"})
	}
	got := written(t, "text", s)
	for _, want := range []string{"CRITICAL  same", "and in 66 more places", "… and 21 more: --format json lists them", "… and 50 more\n", "140 secrets in 1 layer"} {
		if strings.Count(got, want) != 1 {
			t.Errorf("%q is there %d times", want, strings.Count(got, want))
		}
	}
}

func TestScanTextColor(t *testing.T) {
	var b bytes.Buffer
	if err := report.Write(&b, "text", []report.Scan{scanned()}, report.Options{Color: true}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.String(), "\x1b[1;31mCRITICAL\x1b[0m") {
		t.Error("critical is not red")
	}
	if without := regexp.MustCompile(`\x1b\[[0-9;]*m`).ReplaceAllString(b.String(), ""); without != written(t, "text", scanned()) {
		t.Error("the colours are not all there is to it")
	}
}

// TestScanFailed: a scan that failed is never taken for a clean one.
func TestScanFailed(t *testing.T) {
	s := nothing()
	s.Error = "no such image"
	for format, want := range map[string]string{
		"text": "not scanned: no such image", "json": `"error": "no such image"`, "sarif": `"executionSuccessful": false`, "html": "The scan failed",
		"gitlab": `"status": "failure"`, "github": "::error title=Not scanned::clean:1: no such image", "junit": `errors="1"`,
	} {
		if got := written(t, format, s); !strings.Contains(got, want) {
			t.Errorf("%s has no %s:\n%s", format, want, got)
		}
	}
}

func TestFormats(t *testing.T) {
	want := []string{"text", "json", "sarif", "html", "gitlab", "github", "junit"}
	if got := report.Formats(); !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	for i, line := range strings.Split(strings.TrimSpace(report.FormatHelp()), "\n") {
		if name, description, _ := strings.Cut(line, " "); name != want[i] || strings.TrimSpace(description) == "" {
			t.Errorf("line %d is %q", i, line)
		}
	}
	err := report.Write(io.Discard, "yaml", nil, report.Options{})
	if err == nil || err.Error() != `unknown format "yaml": text, json, sarif, html, gitlab, github, junit` {
		t.Errorf("got %v", err)
	}
}

// TestNoScans: no images is no error and no broken file either.
func TestNoScans(t *testing.T) {
	for _, f := range report.Formats() {
		written(t, f)
	}
	if got := written(t, "json"); got != "[]\n" {
		t.Errorf("got %q", got)
	}
}

func ExampleWrite() {
	scan := report.Scan{
		Tool:  "tightlip v1.2.3",
		Image: report.ScanImage{Image: report.Image{Names: []string{"app:1.0"}}},
		Findings: []finding.Leak{{Rule: "npm-token", Title: "npm access token", Severity: finding.High, Where: "file", Layer: 2, Path: "root/.npmrc",
			Line: 2, Status: finding.Deleted, Source: &finding.Source{File: "Dockerfile", Line: 7, Text: "COPY .npmrc /root/"}}},
	}
	report.Write(os.Stdout, "github", []report.Scan{scan}, report.Options{})
	// Output:
	// ::error file=Dockerfile,line=7,title=npm access token::npm access token: layer 2 /root/.npmrc line 2 of app:1.0, deleted later, but still in the image%0AReplace the secret where it was issued: whoever could pull the image may have it. Then build the image without it:%0ARUN --mount=type=secret,id=token,env=TOKEN ./step-that-needs-it%0Atightlip build --secret id=token,env=TOKEN …
	// app:1.0: 1 secret in 0 files, 0 B, 0 ms
}
