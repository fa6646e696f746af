// Package e2e runs the program against real engines and registries and checks what it promises.
//
// The tests want Debian 12, root and .ci/setup.
package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tightlip/tightlip/internal/enginetest"
)

func TestMain(m *testing.M) { os.Exit(enginetest.Main(m)) }

// base is the start of a Dockerfile, in three lines: an image with a shell that no registry is needed for.
const base = `FROM scratch
COPY busybox nonce /bin/
RUN ["/bin/busybox","--install","-s","/bin"]
`

// project fills a box's working directory with a Dockerfile, and busybox for its base image. Steps are not found in the cache
// of a shared engine, where another test's secret would be in them.
func project(b *enginetest.Box, dockerfile string) {
	b.T.Helper()
	b.Write("Dockerfile", []byte(dockerfile))
	b.Write("nonce", []byte(b.Dir))
	if err := os.Chmod(b.Write("busybox", readFile(b.T, enginetest.Tool(b.T, "busybox"))), 0o755); err != nil {
		b.T.Fatal(err)
	}
}

// engine is one of the engines that most promises are tested with.
type engine struct {
	name string
	box  func(t testing.TB) *enginetest.Box
}

var engines = []engine{
	{"docker", func(t testing.TB) *enginetest.Box { return enginetest.NewBox(t, enginetest.StartDocker(t)) }},
	{"embedded", newEmbeddedBox},
}

// classic is the engine for builders without BuildKit. What is about BuildKit's outputs and words is not tested with it.
var classic = engine{"classic", newClassicBox}

// inDocker tells whether a build ends in a Docker's store.
func (e engine) inDocker() bool { return e.name != "embedded" }

func newEmbeddedBox(t testing.TB) *enginetest.Box { return enginetest.NewBox(t, nil) }

// onEach runs a test once for each engine.
func onEach(t *testing.T, test func(t *testing.T, e engine)) { onEachOf(t, engines, test) }

// onAll is onEach with the classic builder, too.
func onAll(t *testing.T, test func(t *testing.T, e engine)) {
	onEachOf(t, append(slices.Clone(engines), classic), test)
}

func onEachOf(t *testing.T, engines []engine, test func(t *testing.T, e engine)) {
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			if e.name == "embedded" {
				t.Parallel() // every box has an engine of its own
			}
			test(t, e)
		})
	}
}

// object is what --format json prints. It is spelled out here, because others parse it.
type object struct {
	Image   struct{ Name, ID, Digest string }
	Engine  string
	Secrets []struct {
		ID, Reference string
		Requested     bool
	}
	Proof *struct {
		Verdict                                     string
		Needles, Blobs, Bytes, Cached, Milliseconds int64
	}
	Findings []leak
	Named    bool
	Error    string
}

// leak is one of the object's findings.
type leak struct {
	Secret, Encoding, Where, Path, Field string
	Layer                                int
	Offset                               int64
	Hidden                               bool
	Dockerfile                           *struct {
		File string
		Line int
	}
}

// String shows a leak when a test fails.
func (l leak) String() string {
	line := 0
	if l.Dockerfile != nil {
		line = l.Dockerfile.Line
	}
	return fmt.Sprintf("%s of %s in %s %d %s %s, hidden %t, line %d", l.Encoding, l.Secret, l.Where, l.Layer, l.Path, l.Field, l.Hidden, line)
}

func parse(t testing.TB, r enginetest.Result) *object {
	t.Helper()
	var o object
	if err := json.Unmarshal([]byte(r.Stdout), &o); err != nil {
		t.Fatalf("standard output is not one JSON object: %v\n%s", err, r.All())
	}
	return &o
}

// wantCode fails the test unless a command ended with an exit code.
func wantCode(t testing.TB, r enginetest.Result, code int) {
	t.Helper()
	if r.Code != code {
		t.Fatalf("exit code %d, not %d:\n%.2000q\n%s", r.Code, code, r.Stdout, r.Stderr)
	}
}

// wantText fails the test unless text holds each part.
func wantText(t testing.TB, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("this does not say %q:\n%s", part, text)
		}
	}
}

// nothingLeft fails the test if a build that named nothing left something of it beside or in the stage.
func nothingLeft(t testing.TB, b *enginetest.Box) {
	t.Helper()
	for _, pattern := range []string{b.Env["TIGHTLIP_CACHE_DIR"] + "/stage/*", b.Work + "/.tightlip-*"} {
		if left, _ := filepath.Glob(pattern); left != nil {
			t.Errorf("left behind: %s", left)
		}
	}
}
