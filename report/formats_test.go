package report_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/tightlip/tightlip/report"
)

var update = flag.Bool("update", false, "write the golden files")

// TestGolden holds the formats that programs read: a change here is a change for them.
func TestGolden(t *testing.T) {
	for _, format := range []string{"json", "sarif", "gitlab", "junit"} {
		t.Run(format, func(t *testing.T) {
			got, file := written(t, format, scanned(), nothing()), filepath.Join("testdata", "scan."+format)
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("not as in %s: look at the difference after go test ./report -update", file)
			}
		})
	}
}

// TestScanJSON holds what docs/scan-json.md says of the whole: an object for one image, lists that are never null.
func TestScanJSON(t *testing.T) {
	var got map[string]any
	if err := json.Unmarshal([]byte(written(t, "json", nothing())), &got); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]any{"version": 1.0, "tool": "tightlip v1.2.3", "image.name": "clean:1", "stats.layers": 1.0,
		"stats.files": 12.0, "stats.bytes": 4096.0, "stats.cached": 0.0, "stats.milliseconds": 8.0} {
		if v := at(got, strings.Split(path, ".")); v != want {
			t.Errorf("%s is %v, want %v", path, v, want)
		}
	}
	for _, list := range []string{"findings", "ignored", "unread"} {
		if v, ok := got[list].([]any); !ok || len(v) != 0 {
			t.Errorf("%s is %v", list, got[list])
		}
	}
	s := scanned()
	s.Findings[0].Ignored = "a test"
	if err := json.Unmarshal([]byte(written(t, "json", s)), &got); err != nil {
		t.Fatal(err)
	}
	if len(got["findings"].([]any)) != 7 || len(got["ignored"].([]any)) != 2 {
		t.Error("an ignored finding is not in the list of the ignored")
	}
	if strings.Contains(written(t, "json", s), `\u003e`) {
		t.Error("> is escaped")
	}
}

// TestScanJSONIsDocumented: each field has a row in the documentation, and each row has a field.
func TestScanJSONIsDocumented(t *testing.T) {
	doc, err := os.ReadFile("../docs/scan-json.md")
	if err != nil {
		t.Fatal(err)
	}
	var documented []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)`").FindAllStringSubmatch(string(doc), -1) {
		documented = append(documented, m[1])
	}
	have := fields(reflect.TypeFor[report.Scan](), "")
	slices.Sort(documented)
	slices.Sort(have)
	if !slices.Equal(documented, have) {
		t.Errorf("documented is\n%s\nand there is\n%s", strings.Join(documented, " "), strings.Join(have, " "))
	}
}

// fields lists the paths of a type's JSON. The ignored findings are like the others.
func fields(typ reflect.Type, prefix string) []string {
	for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice {
		typ = typ.Elem()
	}
	if typ.Kind() != reflect.Struct {
		return nil
	}
	var paths []string
	for i := range typ.NumField() {
		f := typ.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		path := prefix + name
		switch {
		case name == "-":
			continue
		case f.Anonymous:
			paths = append(paths, fields(f.Type, prefix)...)
			continue
		case name != "image": // documented by its fields only
			paths = append(paths, path)
		}
		if f.Type.Kind() == reflect.Slice {
			path += "[]"
		}
		if name != "ignored" {
			paths = append(paths, fields(f.Type, path+".")...)
		}
	}
	return paths
}

// sarif is what the tests look at.
type sarif struct {
	Runs []struct {
		Tool struct {
			Driver struct {
				SemanticVersion string
				Rules           []struct {
					ID         string
					Properties map[string]any
				}
			}
		}
		Results []struct {
			RuleID              string
			RuleIndex           int
			Level               string
			Message             struct{ Text string }
			PartialFingerprints map[string]string
			Suppressions        []struct{ Justification string }
			Locations           []struct {
				PhysicalLocation struct {
					ArtifactLocation struct{ URI, URIBaseID string }
					Region           struct{ StartLine int }
				}
			}
		}
	}
}

// validSARIF checks a log against the schema of OASIS.
func validSARIF(t *testing.T, log string) {
	t.Helper()
	schema, err := jsonschema.NewCompiler().Compile("testdata/sarif-schema-2.1.0.json")
	if err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(log))
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(v); err != nil {
		t.Errorf("not as the schema wants it: %#v", err)
	}
}

func TestSARIF(t *testing.T) {
	out := written(t, "sarif", scanned(), nothing())
	validSARIF(t, out)
	validSARIF(t, written(t, "sarif"))
	var log sarif
	if err := json.Unmarshal([]byte(out), &log); err != nil {
		t.Fatal(err)
	}
	if len(log.Runs) != 1 {
		t.Fatal("GitHub refuses several runs of one tool in a file")
	}
	run := log.Runs[0]
	if run.Tool.Driver.SemanticVersion != "1.2.3" || len(run.Tool.Driver.Rules) != 6 || len(run.Results) != 9 {
		t.Errorf("version %q, %d rules, %d results", run.Tool.Driver.SemanticVersion, len(run.Tool.Driver.Rules), len(run.Results))
	}
	for _, r := range run.Results {
		if run.Tool.Driver.Rules[r.RuleIndex].ID != r.RuleID {
			t.Errorf("%s is not rule %d", r.RuleID, r.RuleIndex)
		}
		if r.PartialFingerprints["tightlip/v1"] == "" || r.PartialFingerprints["primaryLocationLineHash"] == "" {
			t.Errorf("%s has no fingerprint", r.Message.Text)
		}
	}
	for _, rule := range run.Tool.Driver.Rules {
		if score := rule.Properties["security-severity"]; (rule.ID == "build-arg") != (score == nil) {
			t.Errorf("%s has the score %v", rule.ID, score)
		}
	}
	for i, want := range map[int]string{0: "docker/Dockerfile", 2: "registry.corp.example/shop/app_1.0/root/.npmrc", 7: "registry.corp.example/shop/app_1.0/history%5B2%5D.created_by"} {
		if got := run.Results[i].Locations[0].PhysicalLocation.ArtifactLocation.URI; got != want {
			t.Errorf("result %d is at %q, want %q", i, got, want)
		}
	}
	if s := run.Results[8].Suppressions; len(s) != 1 || s[0].Justification != "an example of the manual" || len(run.Results[0].Suppressions) != 0 {
		t.Error("not the ignored finding is suppressed")
	}
}

// gitlab is the report with what GitLab's schema 15.0 requires, or limits.
type gitlab struct {
	Version string
	Scan    struct {
		Analyzer, Scanner struct {
			ID, Name, Version string
			Vendor            struct{ Name string }
		}
		Type, Status string
		StartTime    string `json:"start_time"`
		EndTime      string `json:"end_time"`
		Messages     []struct{ Level, Value string }
	}
	Vulnerabilities []struct {
		ID, Category, Name, Description, Severity, Solution string
		Location                                            struct {
			File      string
			StartLine int `json:"start_line"`
			Commit    struct{ SHA string }
		}
		Identifiers []struct{ Type, Name, Value string }
	}
}

// TestGitLab checks what the schema demands. The schema itself is in no registry of packages.
func TestGitLab(t *testing.T) {
	s := scanned()
	s.Findings[0].Title, s.Findings[0].Fix = strings.Repeat("t", 300), strings.Repeat("f", 8000)
	var got gitlab
	d := json.NewDecoder(strings.NewReader(written(t, "gitlab", s, nothing())))
	d.DisallowUnknownFields()
	if err := d.Decode(&got); err != nil {
		t.Fatal(err)
	}
	date := regexp.MustCompile(`^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}$`)
	scan := got.Scan
	if !regexp.MustCompile(`^15\.\d+\.\d+$`).MatchString(got.Version) || scan.Type != "secret_detection" || scan.Status != "success" ||
		!date.MatchString(scan.StartTime) || !date.MatchString(scan.EndTime) || scan.StartTime >= scan.EndTime {
		t.Errorf("the scan is %+v", scan)
	}
	if scan.Analyzer != scan.Scanner || scan.Scanner.ID == "" || scan.Scanner.Name == "" || scan.Scanner.Version != "v1.2.3" || scan.Scanner.Vendor.Name == "" {
		t.Errorf("the scanner is %+v", scan.Scanner)
	}
	for _, m := range scan.Messages {
		if (m.Level != "info" && m.Level != "warn" && m.Level != "fatal") || m.Value == "" {
			t.Errorf("a message is %+v", m)
		}
	}
	ids := map[string]bool{}
	for _, v := range got.Vulnerabilities {
		ids[v.ID] = true
		if v.ID == "" || v.Category != "secret_detection" || len(v.Name) > 255 || len(v.Solution) > 7000 || v.Location.Commit.SHA == "" ||
			v.Location.File == "" || !regexp.MustCompile(`^(Info|Low|Medium|High|Critical)$`).MatchString(v.Severity) ||
			len(v.Identifiers) != 1 || v.Identifiers[0].Type == "" || v.Identifiers[0].Name == "" || v.Identifiers[0].Value == "" {
			t.Errorf("a vulnerability is %+v", v)
		}
	}
	if len(got.Vulnerabilities) != 8 || len(ids) != 8 {
		t.Errorf("there are %d vulnerabilities with %d ids", len(got.Vulnerabilities), len(ids))
	}
}

// TestGitLabWithoutVersion: the schema wants one.
func TestGitLabWithoutVersion(t *testing.T) {
	s := nothing()
	s.Tool = ""
	if !strings.Contains(written(t, "gitlab", s), `"version": "unknown"`) {
		t.Error("no version")
	}
}

func TestJUnitOfCleanImage(t *testing.T) {
	got := written(t, "junit", nothing())
	if !strings.Contains(got, `<testcase classname="scan" name="no secrets"></testcase>`) || !strings.Contains(got, `tests="1" failures="0" errors="0"`) {
		t.Errorf("got %s", got)
	}
}
