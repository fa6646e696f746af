// Package scan measures what tightlip scan finds in images with planted secrets, what it says about the files of a usual machine,
// and how fast it is.
package scan

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/tightlip/tightlip/internal/enginetest"
)

func TestMain(m *testing.M) { os.Exit(enginetest.Main(m)) }

// object is what --format json prints. It is spelled out here, because others parse it.
type object struct {
	Findings []leak
	Ignored  []leak
	Unread   []struct {
		Path, Reason string
	}
	Stats struct{ Files, Bytes, Cached, Milliseconds int64 }
	Error string
}

// leak is one of the object's findings.
type leak struct {
	Rule, Severity, Where, Platform         string
	Path, Inner, Field, Key, Hint, Encoding string
	Layer, Line                             int
	Offset                                  int64
	Status                                  string
	Fingerprint                             string
}

// String shows a finding when a test fails.
func (l leak) String() string {
	return fmt.Sprintf("%s %s in %s %s layer %d /%s!/%s line %d at %d, field %q, key %q, %s",
		l.Severity, l.Rule, l.Platform, l.Where, l.Layer, l.Path, l.Inner, l.Line, l.Offset, l.Field, l.Key, l.Status)
}

// tooLong is how long one scan may take: far more than any needs on a slow machine.
const tooLong = 5 * time.Minute

// scanned runs the program, which has to print an object.
func scanned(t *testing.T, b *enginetest.Box, args ...string) (*object, enginetest.Result) {
	t.Helper()
	r := run(t, b, append([]string{"scan", "--format", "json"}, args...)...)
	var o object
	if err := json.Unmarshal([]byte(r.Stdout), &o); err != nil {
		t.Fatalf("standard output is not one JSON object: %v\n%.2000s\n%s", err, r.Stdout, r.Stderr)
	}
	if o.Error != "" {
		t.Fatalf("the scan failed: %s", o.Error)
	}
	return &o, r
}

func run(t *testing.T, b *enginetest.Box, args ...string) enginetest.Result {
	t.Helper()
	cmd := b.Command(enginetest.Binary(t), args...)
	defer killAfter(t, cmd, tooLong)()
	return enginetest.Finish(t, cmd)
}

// killAfter ends a command that does not end. The function it returns calls that off.
func killAfter(t *testing.T, cmd *exec.Cmd, limit time.Duration) (stop func()) {
	timer := time.AfterFunc(limit, func() {
		t.Errorf("%s took more than %s", cmd.Path, limit)
		_ = cmd.Process.Kill()
	})
	return func() { timer.Stop() }
}
