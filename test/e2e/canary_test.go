package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/creack/pty"
	"github.com/tightlip/tightlip/internal/enginetest"
)

// chatty prints the secret in every way that gets past a naive filter, and leaves nothing of it in the image.
const chatty = base + `RUN --mount=type=secret,id=npm cat /run/secrets/npm
RUN --mount=type=secret,id=npm base64 -w 76 /run/secrets/npm; base64 -w 0 /run/secrets/npm; echo; echo; printf 'user:%s' "$(cat /run/secrets/npm)" | base64 -w 64
RUN --mount=type=secret,id=npm V=$(cat /run/secrets/npm) && printf %s "${V%??????????}" && sleep 0.3 && printf %s "${V#"${V%??????????}"}" && sleep 0.2 && echo " end"
RUN --mount=type=secret,id=npm V=$(cat /run/secrets/npm) && printf %s "$V" | cut -c1-9 | tr -d '\n' && sleep 0.2 && printf %s "$V" | cut -c10- >&1
RUN --mount=type=secret,id=npm set -x; V=$(cat /run/secrets/npm); test -n "$V"; cat "/no/$V" || true
RUN --mount=type=secret,id=npm xxd -p -c 0 /run/secrets/npm 2>/dev/null || od -An -tx1 -v /run/secrets/npm | tr -d ' \n'
RUN --mount=type=secret,id=npm,env=AUTH echo "$AUTH" && env
`

// failing ends with the value in its error, and has it in the name of a step.
const failing = base + `ARG TOKEN
RUN --mount=type=secret,id=npm echo "bad password: $(cat /run/secrets/npm)" >&2; cat "/missing/$TOKEN"
`

// display is a way to show a build.
type display struct {
	name string
	args []string
	tty  bool
}

var displays = []display{
	{"plain", []string{"--progress", "plain"}, false},
	{"terminal", nil, true},
	{"rawjson", []string{"--progress", "rawjson"}, false},
	{"quiet", []string{"--quiet"}, false},
	{"none", []string{"--progress", "none"}, false},
	{"json", []string{"--format", "json"}, false},
}

// on runs a command with this display.
func (d display) on(t testing.TB, cmd *exec.Cmd) enginetest.Result {
	t.Helper()
	if !d.tty {
		return enginetest.Finish(t, cmd)
	}
	return onTerminal(t, cmd)
}

// onTerminal runs a command with a terminal as its three streams, and returns what that would show.
func onTerminal(t testing.TB, cmd *exec.Cmd) enginetest.Result {
	t.Helper()
	f, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 40, Cols: 200})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var shown strings.Builder
	buf := make([]byte, 4096)
	for {
		n, err := f.Read(buf)
		shown.Write(buf[:n])
		if err != nil { // EIO: the last holder of the terminal has gone
			break
		}
	}
	_ = cmd.Wait()
	return enginetest.Result{Stdout: shown.String(), Code: cmd.ProcessState.ExitCode()}
}

// TestCanary builds with every display, and searches all that was printed and every file that was left.
func TestCanary(t *testing.T) {
	for _, d := range displays {
		t.Run(d.name, func(t *testing.T) {
			onAll(t, func(t *testing.T, e engine) {
				if e.name == "classic" && slices.Contains([]string{"rawjson", "none"}, d.name) {
					return // it has no display like the first, and the second is its quiet one
				}
				b := e.box(t)
				value := withSecret(b, chatty)
				args := slices.Concat([]string{"build", "--engine", e.name}, secretFlag, d.args,
					[]string{"--metadata-file", "meta.json", "--iidfile", "iid", "--proof", "proof.json", "-t", "canary"})
				if e.name == "embedded" {
					args = append(args, "-o", "type=oci,dest=canary.tar")
				}
				r := d.on(t, b.Command(enginetest.Binary(t), append(args, ".")...))
				wantCode(t, r, 0)
				enginetest.NoTraces(t, "the output", r.All(), value)
				enginetest.NoTracesIn(t, b.Dir, value)
				for _, name := range []string{"meta.json", "iid", "proof.json"} {
					if info, err := os.Stat(filepath.Join(b.Work, name)); err != nil || info.Size() == 0 {
						t.Errorf("%s was not written: %v", name, err)
					}
				}

				b.Write("Dockerfile", []byte(failing))
				args = append(args, "--build-arg", "TOKEN="+value, ".")
				r = d.on(t, b.Command(enginetest.Binary(t), args...))
				wantCode(t, r, 1)
				enginetest.NoTraces(t, "the output of a failed build", r.All(), value)
				enginetest.NoTracesIn(t, b.Dir, value)
				nothingLeft(t, b)
			})
		})
	}
}

// TestCanaryShown checks that the steps' output is shown at all, but for the value.
func TestCanaryShown(t *testing.T) {
	onAll(t, func(t *testing.T, e engine) {
		b := e.box(t)
		withSecret(b, base+"RUN --mount=type=secret,id=npm echo \"before-$(cat /run/secrets/npm)-after\"\n")
		r := buildWith(b, e.name)
		wantCode(t, r, 0)
		wantText(t, r.Stderr, "before-***-after")
	})
}

// TestCanaryCommands runs the commands that build nothing.
func TestCanaryCommands(t *testing.T) {
	docker := enginetest.StartDocker(t)
	b := enginetest.NewBox(t, docker)
	value := withSecret(b, clean)
	wantCode(t, buildWith(b, "docker", "-t", "commands"), 0)
	b.Write("secret.txt", []byte(value))
	for _, args := range [][]string{
		{"prove", "commands", "--secret", "id=npm,env=NPM_TOKEN", "--proof", "proof.json"},
		{"prove", "docker:commands", "--secret", "id=npm,src=secret.txt", "--format", "json"},
		{"doctor"},
		{"doctor", "--format", "json"},
		{"build", "--dry-run", "--secret", "id=npm,env=NPM_TOKEN", "--secret", "id=other,src=secret.txt", "."},
		{"build", "--engine", "embedded", "--call", "outline", "--secret", "id=npm,env=NPM_TOKEN", "."},
		{"build", "--engine", "embedded", "--check", "--secret", "id=npm,env=NPM_TOKEN", "."},
		{"run", "--secret", "id=npm,from=env:NPM_TOKEN,env=TOKEN", "--secret", "id=f,src=secret.txt,file=FILE", "--", "sh", "-c", `cat "$FILE"; printf %s "$TOKEN" | tee /dev/stderr | base64; od -An -v -tx1 "$FILE" | tr -d ' \n'`},
		{"engine", "prune"},
		{"engine", "prune", "--all"},
		{"version"},
	} {
		r := b.Tightlip(args...)
		wantCode(t, r, 0)
		enginetest.NoTraces(t, strings.Join(args, " "), r.All(), value)
	}
	enginetest.NoTracesIn(t, b.Dir, value, "work/secret.txt")

	b.Write("leak", []byte("x"+value))
	// A folder has no digest that a statement could be about.
	wantCode(t, b.Tightlip("prove", "dir:.", "--secret", "id=npm,env=NPM_TOKEN", "--proof", "proof.json"), 2)
	r := b.Tightlip("prove", "dir:.", "--secret", "id=npm,env=NPM_TOKEN")
	wantCode(t, r, 3)
	enginetest.NoTraces(t, "prove of a leak", r.All(), value)
	enginetest.NoTracesIn(t, b.Dir, value, "work/secret.txt", "work/leak")
	b.Docker("rmi", "-f", "commands")
}

// TestCanaryMistakes types the value where a name belongs.
func TestCanaryMistakes(t *testing.T) {
	t.Parallel()
	b := newEmbeddedBox(t)
	value := withSecret(b, clean)
	for _, args := range [][]string{
		{"build", "--secret", "id=npm,value=" + value, "."},
		{"build", "--secret", "id=npm," + value, "."},
		{"build", "--secret", value, "."},
		{"build", "--secret", "id=npm,type=" + value, "."},
		{"build", "--secret", "id=npm,rebuild=" + value, "."},
		{"run", "--secret", "id=npm,from=" + value + ",env=TOKEN", "--", "true"},
		{"run", "--secret", "id=npm," + value, "--", "true"},
		{"run", "--secret", value, "--", "true"},
		{"run", "--secret", `"` + value, "--", "true"},
		{"mint", value, "--", "true"},
	} {
		r := b.Tightlip(args...)
		wantCode(t, r, 2)
		enginetest.NoTraces(t, strings.ReplaceAll(strings.Join(args, " "), value, "VALUE"), r.All(), value)
	}
}
