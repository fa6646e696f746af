package cli

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/tightlip/tightlip/image/imagetest"
	"github.com/tightlip/tightlip/report"
)

// TestScanAtOnce scans many images of a registry, of which a few are read at the same time, and wants their reports in order.
func TestScanAtOnce(t *testing.T) {
	var pushed atomic.Bool
	var now, most atomic.Int32
	host, keys := imagetest.Registry(t, func(inner http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if pushed.Load() && strings.Contains(r.URL.Path, "/manifests/") {
				n := now.Add(1)
				defer now.Add(-1)
				for before := most.Load(); n > before && !most.CompareAndSwap(before, n); before = most.Load() {
				}
				time.Sleep(20 * time.Millisecond)
			}
			inner.ServeHTTP(w, r)
		})
	})
	dir := t.TempDir()
	t.Setenv("DOCKER_CONFIG", dir)
	t.Setenv("HOME", dir)
	t.Setenv("TIGHTLIP_CACHE_DIR", filepath.Join(dir, "cache"))
	t.Chdir(dir)
	write(t, "config.json", fmt.Sprintf(`{"auths":{%q:{"username":"tester","password":"letmein"}}}`, host))
	write(t, "Dockerfile", "FROM scratch\nCOPY . /\n")
	args := []string{"scan", "--format", "json", "--dockerfile", "Dockerfile"}
	for i := range 12 {
		settings := fmt.Sprintf("password = %q\n", "kX9-"+rand.Text()) // of three kinds, as passwords are
		img := imagetest.Image(t, "linux/amd64", imagetest.Step{CreatedBy: "COPY . /", Files: []imagetest.File{{Name: fmt.Sprintf("%d.cfg", i), Body: settings}}})
		tag, err := name.NewTag(fmt.Sprintf("%s/app:%d", host, i))
		if err != nil {
			t.Fatal(err)
		}
		if err := remote.Write(tag, img, remote.WithAuthFromKeychain(keys)); err != nil {
			t.Fatal(err)
		}
		args = append(args, "registry:"+tag.Name())
	}
	pushed.Store(true)
	var out bytes.Buffer
	if code := Main(t.Context(), args, Streams{In: os.Stdin, Out: &out, Err: os.Stderr}); code != exitLeaked {
		t.Errorf("exit code %d", code)
	}
	var scans []report.Scan
	if err := json.Unmarshal(out.Bytes(), &scans); err != nil {
		t.Fatal(err)
	}
	for i, s := range scans {
		if len(s.Findings) != 1 || s.Findings[0].Path != fmt.Sprintf("%d.cfg", i) || s.Findings[0].Source == nil || s.Findings[0].Source.Line != 2 {
			t.Errorf("image %d has %+v %s", i, s.Findings, s.Error)
		}
	}
	if len(scans) != 12 || most.Load() < 2 || most.Load() > atOnce {
		t.Errorf("%d images, of which %d were opened at once", len(scans), most.Load())
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
