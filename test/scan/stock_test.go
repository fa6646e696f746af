package scan

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tightlip/tightlip/internal/enginetest"
)

// perGigabyte is how many findings a gigabyte of files that everybody has may cause.
const perGigabyte = 3

// stock lists what this machine has of such files, as references.
func stock(t testing.TB) []string {
	t.Helper()
	root := enginetest.Root(t)
	folders := []string{goroot(t), "/usr/share", filepath.Join(root, ".tools", "npm")}
	python, _ := filepath.Glob("/usr/lib/python3*")
	var out []string
	for _, dir := range append(folders, python...) {
		if info, err := os.Stat(dir); err == nil && info.IsDir() {
			out = append(out, "dir:"+dir)
		}
	}
	if base := filepath.Join(root, ".tools", "base.tar"); exists(base) {
		out = append(out, "tar:"+base)
	}
	return out
}

// goroot is where Go is installed.
func goroot(t testing.TB) string {
	t.Helper()
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// TestStock scans what holds no secrets, or only those that everybody knows.
func TestStock(t *testing.T) {
	b := enginetest.NewBox(t, nil)
	var bytes int64
	findings := 0
	for _, ref := range stock(t) {
		o, r := scanned(t, b, "--no-cache", ref)
		if r.Code != 0 && r.Code != 2 && r.Code != 3 {
			t.Errorf("%s: exit code %d: %s", ref, r.Code, r.Stderr)
		}
		for _, f := range o.Findings {
			t.Logf("%s: %s", ref, f)
		}
		for _, u := range o.Unread {
			t.Logf("%s: not read: %s: %s", ref, u.Path, u.Reason)
		}
		t.Logf("%s: %d findings in %d files, %d MB, %d ms", ref, len(o.Findings), o.Stats.Files, o.Stats.Bytes/1e6, o.Stats.Milliseconds)
		findings += len(o.Findings)
		bytes += o.Stats.Bytes
	}
	if bytes == 0 {
		t.Fatal("there is nothing to scan on this machine")
	}
	t.Logf("%.2f findings per gigabyte: %d in %.2f GB", float64(findings)/float64(bytes)*1e9, findings, float64(bytes)/1e9)
	if float64(findings) > perGigabyte*float64(bytes)/1e9 {
		t.Errorf("%d findings in %.2f GB: more than %d per gigabyte", findings, float64(bytes)/1e9, perGigabyte)
	}
}
