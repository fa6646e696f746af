package e2e

import (
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tightlip/tightlip/internal/enginetest"
)

// ordinaryUser is a user with subordinate ids, made for the tests.
const ordinaryUser = "tightlip-e2e"

// asUser hands a box to the ordinary user and returns a way to run commands in it.
func asUser(t *testing.T, b *enginetest.Box) func(args ...string) enginetest.Result {
	t.Helper()
	u, err := user.Lookup(ordinaryUser)
	if err != nil {
		run(t, "useradd", "--no-create-home", "--shell", "/bin/sh", ordinaryUser)
		t.Cleanup(func() { run(t, "userdel", ordinaryUser) })
		if u, err = user.Lookup(ordinaryUser); err != nil {
			t.Fatal(err)
		}
	}
	for file, flag := range map[string]string{"/etc/subuid": "--add-subuids", "/etc/subgid": "--add-subgids"} {
		if text, _ := os.ReadFile(file); !strings.Contains("\n"+string(text), "\n"+ordinaryUser+":") {
			run(t, "usermod", flag, "1000000-1065535", ordinaryUser)
		}
	}
	run(t, "chown", "-R", ordinaryUser, b.Dir)
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	return func(args ...string) enginetest.Result {
		t.Helper()
		cmd := b.Command(enginetest.Binary(t), args...)
		cmd.Env = append(cmd.Env, "USER="+ordinaryUser)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
		return enginetest.Finish(t, cmd)
	}
}

func run(t testing.TB, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

// TestRootless builds as a user without any rights, with steps and files of several users.
func TestRootless(t *testing.T) {
	enginetest.NeedRoot(t)
	b := newEmbeddedBox(t)
	value := withSecret(b, base+`COPY --chown=33:33 nonce /owned
RUN echo 'app:x:1000:1000::/:/bin/sh' > /etc/passwd || { mkdir /etc && echo 'app:x:1000:1000::/:/bin/sh' > /etc/passwd; }
RUN mkdir /app && chown 1000:1000 /app
USER app
RUN --mount=type=secret,id=npm,uid=1000 id -u > /app/uid && wc -c < /run/secrets/npm > /app/size && stat -c %u /owned > /app/owner
`)
	tightlip := asUser(t, b)
	args := []string{"build", "--progress", "plain", "--secret", "id=npm,env=NPM_TOKEN", "--engine", "embedded"}
	r := tightlip(append(args, "-o", "type=local,dest=out", ".")...)
	wantCode(t, r, 0)
	wantText(t, r.Stderr, "proven: npm")
	wantFile(t, filepath.Join(b.Work, "out/app/uid"), "1000\n")
	wantFile(t, filepath.Join(b.Work, "out/app/size"), size+"\n")
	wantFile(t, filepath.Join(b.Work, "out/app/owner"), "33\n")
	enginetest.NoTraces(t, "the output", r.All(), value)
	nothingRuns(t, b)
	enginetest.NoTracesIn(t, b.Dir, value)

	b.Write("Dockerfile", []byte(leaky))
	wantCode(t, tightlip(append(args, "-o", "type=oci,dest=leak.tar", ".")...), 3)
	nothingLeft(t, b)
	wantCode(t, tightlip("engine", "prune", "--all"), 0)
}

// TestNoDocker wants the embedded engine to be found by itself.
func TestNoDocker(t *testing.T) {
	t.Parallel()
	b := newEmbeddedBox(t)
	withSecret(b, clean)
	r := b.Tightlip(append(append([]string{"build"}, secretFlag...), "-o", "out", ".")...)
	wantCode(t, r, 0)
	wantText(t, r.Stderr, "no Docker answers: building with the embedded engine")
}

// TestTwoBuildsAtOnce shares one embedded engine.
func TestTwoBuildsAtOnce(t *testing.T) {
	enginetest.NeedRoot(t)
	t.Parallel()
	b := newEmbeddedBox(t)
	value := withSecret(b, base+"ARG N\nRUN --mount=type=secret,id=npm sleep 1; echo $N > /n; cat /run/secrets/npm > /dev/null\n")
	var builds []*running
	for _, n := range []string{"one", "two"} {
		builds = append(builds, slowBuild(t, b, "embedded", "--build-arg", "N="+n, "-o", "type=local,dest="+n))
	}
	for _, r := range builds {
		if code := r.end(); code != 0 {
			t.Errorf("exit code %d:\n%s", code, r)
		}
	}
	for _, n := range []string{"one", "two"} {
		wantFile(t, filepath.Join(b.Work, n, "n"), n+"\n")
	}
	nothingRuns(t, b)
	nothingLeft(t, b)
	enginetest.NoTracesIn(t, b.Dir, value)
}

// TestEngineKeep wants the engine to stay for a while, and then to go by itself.
func TestEngineKeep(t *testing.T) {
	enginetest.NeedRoot(t)
	t.Parallel()
	b := newEmbeddedBox(t)
	withSecret(b, clean)
	wantCode(t, buildWith(b, "embedded", "--engine-keep", "2s"), 0)
	pid := enginePID(t, b)
	start := time.Now()
	wantCode(t, buildWith(b, "embedded", "--engine-keep", "2s"), 0)
	if again := enginePID(t, b); again != pid {
		t.Errorf("the second build started another engine")
	}
	nothingRuns(t, b)
	if lived := time.Since(start); lived < 2*time.Second || lived > 8*time.Second {
		t.Errorf("it was gone after %s", lived)
	}
}
