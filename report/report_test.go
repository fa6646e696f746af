package report_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/tightlip/tightlip/finding"
	"github.com/tightlip/tightlip/report"
)

func leaked() *report.Report {
	line := &finding.Source{File: "Dockerfile", Line: 4, Text: "ENV TOKEN=$TOKEN"}
	return &report.Report{
		Image:   report.Image{Digest: "sha256:ab"},
		Engine:  "docker",
		Secrets: []report.Secret{{ID: "npm", Reference: "env:NPM_TOKEN", Requested: true}},
		Proof:   &report.Proof{Verdict: "leaked", Needles: 10, Encodings: []string{"raw"}, Blobs: 3, Bytes: 2_100_000, Milliseconds: 12},
		Findings: []finding.Finding{
			{Secret: "npm", Encoding: "raw", Location: finding.Location{Kind: finding.InLayer, Layer: 2, Path: "root/.netrc", Offset: 7}, Hidden: true},
			{Secret: "npm", Encoding: "raw", Location: finding.Location{Kind: finding.InConfig, Field: "config.Env[1]", Offset: 9}, Dockerfile: line},
			{Secret: "npm", Encoding: "raw", Location: finding.Location{Kind: finding.InConfig, Field: "history[2].created_by", Offset: 90}, Dockerfile: line},
		},
		Error: "a secret is in the image",
	}
}

func TestText(t *testing.T) {
	var b strings.Builder
	leaked().Text(&b, "> ")
	const want = `>   npm (raw): layer 2 root/.netrc at byte 7, deleted later but still in the image
>   npm (raw): config Env[1] at byte 9
>       and in 1 more places, such as config history[2].created_by at byte 90
>       Dockerfile:4  ENV TOKEN=$TOKEN
> leaked (10 needles in 1 encodings, 3 blobs, 0 known from before, 2.1 MB, 12ms)
`
	if b.String() != want {
		t.Errorf("got:\n%s", b.String())
	}
}

// TestTextOfTheDead says of what leaked that it is dead if all leases of it are.
func TestTextOfTheDead(t *testing.T) {
	for fates, want := range map[string]string{
		"revoked and verified dead":         "byte 9; it is dead: the credential was revoked\n",
		"revoked and verified dead/expired": "byte 9; it is dead: the credential has expired\n",
		"expired/revoked, not verified":     "byte 9\n",
	} {
		r := leaked()
		for fate := range strings.SplitSeq(fates, "/") {
			r.Leases = append(r.Leases, report.Lease{Secret: "npm", Fate: fate})
		}
		var b strings.Builder
		r.Text(&b, "")
		if !strings.Contains(b.String(), want) {
			t.Errorf("%s: got:\n%s", fates, b.String())
		}
	}
}

// TestTextIsPrintable: a file may be called anything.
func TestTextIsPrintable(t *testing.T) {
	r := leaked()
	r.Findings[0].Path = "a\x1b[2K\rproven: npm nowhere\n\x1b[8m"
	var b strings.Builder
	r.Text(&b, "")
	if got := b.String(); strings.ContainsAny(got, "\x1b\r") || strings.Contains(got, "\nproven") {
		t.Errorf("got %q", got)
	}
}

// TestJSON holds the fields that others parse: see docs/proof.md.
func TestJSON(t *testing.T) {
	var b strings.Builder
	if err := leaked().JSON(&b); err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal([]byte(b.String()), &got); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]any{
		"image.digest": "sha256:ab", "image.name": "", "engine": "docker", "secrets.0.id": "npm", "secrets.0.reference": "env:NPM_TOKEN",
		"secrets.0.requested": true, "proof.verdict": "leaked", "proof.needles": 10.0, "proof.blobs": 3.0, "proof.bytes": 2_100_000.0,
		"proof.cached": 0.0, "proof.milliseconds": 12.0, "findings.0.secret": "npm", "findings.0.encoding": "raw", "findings.0.where": "layer",
		"findings.0.layer": 2.0, "findings.0.path": "root/.netrc", "findings.0.offset": 7.0, "findings.0.hidden": true,
		"findings.1.dockerfile.file": "Dockerfile", "findings.1.dockerfile.line": 4.0, "named": false, "error": "a secret is in the image",
	} {
		if v := at(got, strings.Split(path, ".")); v != want {
			t.Errorf("%s is %v, want %v", path, v, want)
		}
	}
	if !strings.Contains(b.String(), `"not_searched": []`) {
		t.Error("an empty list must be [], not null")
	}
}

func at(v any, path []string) any {
	for _, p := range path {
		switch x := v.(type) {
		case map[string]any:
			v = x[p]
		case []any:
			v = x[p[0]-'0']
		}
	}
	return v
}

func ExampleReport_Text() {
	r := &report.Report{
		Secrets: []report.Secret{{ID: "npm"}},
		Proof:   &report.Proof{Verdict: "clean", Needles: 10, Encodings: []string{"raw", "base64"}, Blobs: 8, Cached: 5, Bytes: 3_200_000, Milliseconds: 12},
	}
	r.Text(os.Stdout, "")
	// Output: proven: npm nowhere in the image (10 needles in 2 encodings, 8 blobs, 5 known from before, 3.2 MB, 12ms)
}
