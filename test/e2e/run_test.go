package e2e

import (
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/tightlip/tightlip/internal/enginetest"
)

// left is where run has the files of commands, which is in no box.
const left = "/dev/shm/tightlip-files-*"

// TestRunEnds sends signals while a command waits for an answer, and wants the secrets' files gone, and all that the command started.
func TestRunEnds(t *testing.T) {
	// Whoever runs the tests under nohup has SIGHUP ignored by all that they start.
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	before, _ := filepath.Glob(left)
	for _, test := range []struct {
		name   string
		signal syscall.Signal
		group  bool // as a terminal does on Ctrl-C
		code   int
	}{
		{"SIGINT to the group", syscall.SIGINT, true, 130},
		{"SIGINT", syscall.SIGINT, false, 130},
		{"SIGTERM", syscall.SIGTERM, false, 130},
		{"SIGHUP", syscall.SIGHUP, false, 130},
		{"SIGKILL", syscall.SIGKILL, false, -1},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := enginetest.NewBox(t, nil)
			b.Env["NPM_TOKEN"] = enginetest.Canary()
			// The prompt has no end of line. The shell waits for another process, which gets no signal from it.
			cmd := b.Command(enginetest.Binary(t), "run", "--secret", "id=npm,from=env:NPM_TOKEN,file=FILE", "--",
				"sh", "-c", `echo "$FILE" > path; printf 'Sure? [y/N] '; tail -n 0 -f `+b.Work+`/path; echo after`)
			cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
			r := begin(t, cmd)
			r.waitFor("Sure? [y/N] ")
			pid := cmd.Process.Pid
			if test.group {
				pid = -pid
			}
			if err := syscall.Kill(pid, test.signal); err != nil {
				t.Fatal(err)
			}
			if code := r.end(); code != test.code || strings.Contains(r.String(), "after") {
				t.Errorf("exit code %d:\n%s", code, r)
			}
			path := strings.TrimSpace(string(readFile(t, filepath.Join(b.Work, "path"))))
			if test.signal == syscall.SIGKILL {
				if _, err := os.Stat(path); err != nil {
					t.Errorf("this test asks for nothing: %v", err)
				}
				if r := b.Tightlip("reap"); r.Code != 0 || !strings.Contains(r.Stdout, filepath.Dir(path)) {
					t.Errorf("reap ends with %d: %s", r.Code, r.All())
				}
			} else {
				nothingRuns(t, b)
			}
			if after, _ := filepath.Glob(left); len(after) > len(before) {
				t.Errorf("left behind: %s", after)
			}
		})
	}
}
