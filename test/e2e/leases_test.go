package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tightlip/tightlip/internal/enginetest"
	"github.com/tightlip/tightlip/secret/fake"
)

// issuer is a fake Gitea that a box's builds have tokens of.
type issuer struct {
	*fake.Gitea
	b *enginetest.Box
}

func newIssuer(t testing.TB, b *enginetest.Box) *issuer {
	i := &issuer{fake.NewGitea(t, enginetest.PlainCanary()), b}
	b.Env["GITEA_PASSWORD"] = i.Password
	return i
}

func (i *issuer) ref() string {
	return "gitea:" + i.URL + "?user=ci&token=env:GITEA_PASSWORD&scopes=read:repository"
}

func (i *issuer) secret() string { return "--secret=id=npm,from=" + i.ref() }

func (i *issuer) alive() (n int) {
	for _, token := range i.Tokens() {
		if i.Alive(token.Value) {
			n++
		}
	}
	return n
}

// sealed wants no token, and not the password, in anything that a box holds or that was printed.
func (i *issuer) sealed(t testing.TB, printed string) {
	t.Helper()
	values := []string{i.Password}
	for _, token := range i.Tokens() {
		values = append(values, token.Value)
	}
	for _, v := range values {
		enginetest.NoTraces(t, "what was printed", printed, v)
		enginetest.NoTracesIn(t, i.b.Dir, v)
	}
}

// journals are the journals in a box's state folder.
func (i *issuer) journals() []string {
	names, _ := filepath.Glob(i.b.Env["TIGHTLIP_STATE_DIR"] + "/leases/*.jsonl")
	return names
}

// uses mounts the secret twice.
const uses = base + `RUN --mount=type=secret,id=npm test -s /run/secrets/npm && sha256sum < /run/secrets/npm | cut -c 1-8 > /1
RUN --mount=type=secret,id=npm test "$(sha256sum < /run/secrets/npm | cut -c 1-8)" = "$(cat /1)" && rm /1
`

func mintedBuild(t *testing.T, b *enginetest.Box, engine string) {
	t.Helper()
	project(b, uses)
	i := newIssuer(t, b)
	args := []string{"build", "--engine", engine, i.secret(), "-t", "minted", "."}
	if engine == "embedded" {
		args = slices.Concat(args[:4], []string{"-o", "type=oci,dest=out.tar", "."})
	}
	r := b.Tightlip(args...)
	wantCode(t, r, 0)
	wantText(t, r.Stderr, "lease of npm (", "): revoked and verified dead", "proven: npm nowhere in the image")
	if n := len(i.Tokens()); n != 1 || i.alive() != 0 {
		t.Errorf("%d tokens were made, %d are alive:\n%s", n, i.alive(), strings.Join(i.Log(), "\n"))
	}
	if left := i.journals(); len(left) > 0 {
		t.Errorf("left are the journals %s", left)
	}
	i.sealed(t, r.All())
	// The same again comes from the cache.
	r = b.Tightlip(args...)
	wantCode(t, r, 0)
	if n := len(i.Tokens()); n != 1 {
		t.Errorf("a cached build makes a token:\n%s", r.Stderr)
	}
}

func TestMinted(t *testing.T) {
	onAll(t, func(t *testing.T, e engine) {
		mintedBuild(t, e.box(t), e.name)
	})
	onEachTool(t, func(t *testing.T, tool string, b *enginetest.Box, _ *enginetest.Podman) { mintedBuild(t, b, tool) })
}

func TestMintedLeak(t *testing.T) {
	onAll(t, func(t *testing.T, e engine) {
		b := e.box(t)
		project(b, base+"RUN --mount=type=secret,id=npm base64 /run/secrets/npm > /config\n")
		i := newIssuer(t, b)
		args := []string{"build", "--engine", e.name, "--format", "json", i.secret(), "-t", "minted:leak", "."}
		if e.name == "embedded" {
			args = slices.Concat(args[:6], []string{"-o", "type=oci,dest=out.tar", "."})
		}
		r := b.Tightlip(args...)
		wantCode(t, r, 3)
		if o := parse(t, r); len(o.Findings) == 0 || o.Named {
			t.Errorf("got %+v", o)
		}
		var leases struct {
			Leases []struct {
				Secret, Fate string
				Alive        bool
			}
		}
		if err := json.Unmarshal([]byte(r.Stdout), &leases); err != nil || len(leases.Leases) != 1 || leases.Leases[0].Fate != "revoked and verified dead" || leases.Leases[0].Alive {
			t.Errorf("got %+v, %v", leases, err)
		}
		if i.alive() > 0 {
			t.Error("what leaked is alive")
		}
	})
}

// unprovenBuild has a build fail after a step has left its token in a layer, and the step come again in a build that would succeed.
func unprovenBuild(t *testing.T, b *enginetest.Box, engine string) {
	t.Helper()
	i := newIssuer(t, b)
	args := []string{"build", "--engine", engine, i.secret(), "-t", "minted:unproven", "."}
	if engine == "embedded" {
		args = slices.Concat(args[:4], []string{"-o", "type=oci,dest=out.tar", "."})
	}
	const leaks = "RUN --mount=type=secret,id=npm cp /run/secrets/npm /kept\n"
	for n, test := range []struct {
		steps        string
		code, tokens int
	}{
		{leaks + "RUN false\n", 1, 1},
		{leaks + "RUN true\n", 3, 2},
		{leaks + "RUN rm /kept\n", 3, 3}, // it leaked, and was not named
	} {
		project(b, base+test.steps)
		r := b.Tightlip(args...)
		if (r.Code == 0) != (test.code == 0) || test.code == 3 && r.Code != 3 || len(i.Tokens()) != test.tokens {
			t.Fatalf("%d: exit code %d after %d tokens, want %d after %d:\n%s", n, r.Code, len(i.Tokens()), test.code, test.tokens, r.All())
		}
	}
}

func TestMintedUnproven(t *testing.T) {
	onAll(t, func(t *testing.T, e engine) { unprovenBuild(t, e.box(t), e.name) })
	onEachTool(t, func(t *testing.T, tool string, b *enginetest.Box, _ *enginetest.Podman) { unprovenBuild(t, b, tool) })
}

// TestMintedTwice has the same step run for two builds at once: the end of the first does not take the second one's token away.
func TestMintedTwice(t *testing.T) {
	onEachOf(t, engines, func(t *testing.T, e engine) {
		b := e.box(t)
		project(b, base+"RUN --mount=type=secret,id=npm cut -c 1-40 /run/secrets/npm && echo step-has-begun && sleep 3 && cp /run/secrets/npm /kept\n")
		i := newIssuer(t, b)
		var runs []*running
		for n := range 2 {
			to := fmt.Sprintf("--output=type=oci,dest=out%d.tar", n)
			if e.inDocker() {
				to = fmt.Sprintf("--tag=minted:twice%d", n)
			}
			r := begin(t, b.Command(enginetest.Binary(t), "build", "--engine", e.name, "--progress", "plain", i.secret(), to, "."))
			r.waitFor("step-has-begun")
			runs = append(runs, r)
		}
		for _, r := range runs {
			if code := r.end(); code != 3 {
				t.Errorf("exit code %d, want a leak:\n%s", code, r)
			}
		}
		if len(i.Tokens()) != 2 {
			t.Errorf("%d tokens", len(i.Tokens()))
		}
	})
}

func TestMintedInterrupted(t *testing.T) {
	onAll(t, func(t *testing.T, e engine) {
		b := e.box(t)
		project(b, slow)
		i := newIssuer(t, b)
		to := "--output=type=oci,dest=out.tar"
		if e.inDocker() {
			to = "--tag=minted:slow"
		}
		r := begin(t, b.Command(enginetest.Binary(t), "build", "--engine", e.name, "--progress", "plain", i.secret(), to, "."))
		r.waitFor("step-has-begun")
		if i.alive() != 1 {
			t.Errorf("%d tokens are alive during the step", i.alive())
		}
		if err := r.cmd.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		if code := r.end(); code != 130 {
			t.Errorf("exit code %d:\n%s", code, r)
		}
		if i.alive() > 0 || len(i.journals()) > 0 {
			t.Errorf("%d tokens live on, with the journals %s:\n%s", i.alive(), i.journals(), r)
		}
	})
}

// lateIssuer makes what it is asked for after a while, also if nobody waits any more. What it returns is closed when it is asked.
func lateIssuer(t *testing.T, i *issuer, after time.Duration) (asked <-chan struct{}) {
	t.Helper()
	to, err := url.Parse(i.URL)
	if err != nil {
		t.Fatal(err)
	}
	first := make(chan struct{})
	forward := httputil.NewSingleHostReverseProxy(to)
	forward.ErrorLog = log.New(io.Discard, "", 0)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			close(first)
			body, _ := io.ReadAll(r.Body)
			r = r.WithContext(t.Context())
			r.Body = io.NopCloser(bytes.NewReader(body))
			time.Sleep(after)
		}
		forward.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	i.URL = server.URL
	return first
}

// TestMintInterrupted interrupts while the issuer is about to make a credential: it is ended if it is made soon, or else the user is told.
func TestMintInterrupted(t *testing.T) {
	enginetest.NeedRoot(t)
	t.Parallel()
	for after, left := range map[time.Duration]int{2 * time.Second: 0, 15 * time.Second: 1} {
		for _, command := range []string{"run", "build"} {
			t.Run(fmt.Sprint(command, after), func(t *testing.T) {
				t.Parallel()
				b := newEmbeddedBox(t)
				project(b, uses)
				i := newIssuer(t, b)
				asked := lateIssuer(t, i, after)
				args := []string{"run", i.secret() + ",env=TOKEN", "--", "true"}
				if command == "build" {
					args = []string{"build", "--engine", "embedded", i.secret(), "-o", "type=oci,dest=out.tar", "."}
				}
				r := begin(t, b.Command(enginetest.Binary(t), args...))
				<-asked
				if err := r.cmd.Process.Signal(syscall.SIGINT); err != nil {
					t.Fatal(err)
				}
				if code := r.end(); code != 130 || i.alive() > 0 || len(i.journals()) != left {
					t.Errorf("exit code %d, %d alive, with the journals %s:\n%s", code, i.alive(), i.journals(), r)
				}
				if n := strings.Count(r.String(), ": a credential may have been made: tightlip reap ends tightlip-"); n != left {
					t.Errorf("it is said %d times that something may be left:\n%s", n, r)
				}
			})
		}
	}
}

// TestMintedKilled has a build killed, and another at work meanwhile, which reap must leave alone.
func TestMintedKilled(t *testing.T) {
	enginetest.NeedRoot(t)
	t.Parallel()
	b, other := newEmbeddedBox(t), newEmbeddedBox(t)
	project(b, slow)
	project(other, slow)
	i := newIssuer(t, b)
	other.Env["GITEA_PASSWORD"], other.Env["TIGHTLIP_STATE_DIR"] = i.Password, b.Env["TIGHTLIP_STATE_DIR"]
	var runs []*running
	for _, box := range []*enginetest.Box{b, other} {
		r := begin(t, box.Command(enginetest.Binary(t), "build", "--engine", "embedded", "--progress", "plain", i.secret(), "-o", "type=oci,dest=out.tar", "."))
		r.waitFor("step-has-begun")
		runs = append(runs, r)
	}
	_ = runs[0].cmd.Process.Kill()
	runs[0].end()
	if i.alive() != 2 || len(i.journals()) != 2 {
		t.Fatalf("%d tokens are alive, with the journals %s", i.alive(), i.journals())
	}
	for _, token := range i.Tokens() {
		enginetest.NoTracesIn(t, b.Env["TIGHTLIP_STATE_DIR"]+"/leases", token.Value)
	}
	next := []string{"run", "--secret", "id=npm,from=env:GITEA_PASSWORD,env=TOKEN", "--", "true"}
	wantText(t, b.Tightlip(next...).Stderr, "tightlip: note: a credential of an earlier run may be alive: tightlip reap revokes it\n")
	reap := b.Tightlip("reap")
	if r := b.Tightlip(next...); strings.Contains(r.Stderr, "reap") {
		t.Errorf("it is told of the build that is at work:\n%s", r.Stderr)
	}
	wantCode(t, reap, 0)
	wantText(t, reap.Stdout, "lease tightlip-", ", 1 of gitea:", ": revoked and verified dead")
	if i.alive() != 1 || len(i.journals()) != 1 {
		t.Errorf("%d tokens are alive, with the journals %s:\n%s", i.alive(), i.journals(), reap.All())
	}
	if err := runs[1].cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := runs[1].end(); code != 130 || i.alive() > 0 || len(i.journals()) > 0 {
		t.Errorf("exit code %d, %d alive, with the journals %s", code, i.alive(), i.journals())
	}
}

// TestReapOfTheUnknown has reap ask an issuer that does not know the lease: it may be another one than the build's.
func TestReapOfTheUnknown(t *testing.T) {
	t.Parallel()
	b := newEmbeddedBox(t)
	i := newIssuer(t, b)
	r := begin(t, b.Command(enginetest.Binary(t), "run", i.secret()+",env=TOKEN", "--", "sh", "-c", "echo has-begun; exec sleep 60 >/dev/null 2>&1"))
	r.waitFor("has-begun")
	_ = r.cmd.Process.Kill()
	r.end()
	i.Revoke(func(token fake.Token) bool { return strings.HasPrefix(token.Name, "tightlip-") })
	for range 2 {
		reap := b.Tightlip("reap")
		wantCode(t, reap, 2)
		wantText(t, reap.Stderr, "lease tightlip-", ", 1 of gitea:", "is not known to the issuer", "tightlip reap --forget")
		if len(i.journals()) != 1 {
			t.Fatal("the lease is forgotten")
		}
	}
	reap := b.Tightlip("reap", "--forget")
	wantCode(t, reap, 0)
	if len(i.journals()) != 0 {
		t.Errorf("it is not forgotten: %s", reap.All())
	}
}

// TestMintedIssuerFails wants a build to fail that cannot have its secret, even where the mount is optional.
func TestMintedIssuerFails(t *testing.T) {
	fails := func(t *testing.T, b *enginetest.Box, engine string) {
		t.Helper()
		project(b, base+"RUN --mount=type=secret,id=npm cat /run/secrets/npm; echo went-on-$((6*7))\n")
		i := newIssuer(t, b)
		i.Fail(fake.Fault{Status: 403})
		r := b.Tightlip("build", "--engine", engine, i.secret(), "-t", "minted:never", ".")
		if r.Code != 2 || strings.Contains(r.All(), "went-on-42") {
			t.Fatalf("exit code %d, or the step goes on without its secret:\n%s", r.Code, r.Stderr)
		}
		wantText(t, r.Stderr, "tightlip: error: ", "403")
		if n := strings.Count(r.Stderr, "403 Forbidden"); n > 3 || strings.Contains(r.All(), i.Bait) {
			t.Errorf("the reason is told %d times, or the issuer's answer is shown:\n%s", n, r.Stderr)
		}
	}
	onAll(t, func(t *testing.T, e engine) { fails(t, e.box(t), e.name) })
	onEachTool(t, func(t *testing.T, tool string, b *enginetest.Box, _ *enginetest.Podman) { fails(t, b, tool) })
}

// argument has a credential as a build argument, which is in the image's history then.
const argument = base + "ARG NPM_TOKEN\nRUN test -n \"$NPM_TOKEN\" && echo argument-of-${#NPM_TOKEN}\n"

func argumentBuild(t *testing.T, b *enginetest.Box, engine string) {
	t.Helper()
	project(b, argument)
	g := fake.NewGitLab(t)
	b.Env["GITLAB_TOKEN"], b.Env["NPM_TOKEN"] = g.Owner, "not this one" // a variable of the argument's name is another thing
	flag := func(ref string) string { return `--secret="id=NPM_TOKEN","deliver=build-arg","from=` + ref + `"` }
	ref := "gitlab:" + g.URL + "/shop/api?token=env:GITLAB_TOKEN&scopes=read_registry"
	args := []string{"build", "--engine", engine, "--progress", "plain", "--format", "json", flag(ref), "-t", "minted:arg", "."}
	if engine == "embedded" {
		args = slices.Concat(args[:8], []string{"-o", "type=oci,dest=out.tar", "."})
	}
	r := b.Tightlip(args...)
	wantCode(t, r, 0)
	wantText(t, r.Stderr, "argument-of-")
	wantText(t, r.Stdout, `"fate": "revoked and verified dead"`, `"spent": [`)
	r = b.Tightlip(slices.DeleteFunc(slices.Clone(args), func(a string) bool { return a == "--format" || a == "json" })...)
	wantCode(t, r, 0)
	wantText(t, r.Stderr, "may be in the image as a build argument, and is dead: NPM_TOKEN")
	if strings.Contains(r.Stderr, "no step asked for") {
		t.Errorf("an argument is told to be asked for by no step:\n%s", r.Stderr)
	}
	for _, token := range g.Tokens()[1:] {
		enginetest.NoTraces(t, "what was printed", r.All(), token.Value)
		if g.Alive(token.Value) {
			t.Error("the token is alive")
		}
	}
	// An issuer that cannot be asked leaves the image without a name.
	g.Fail(fake.Fault{Path: "/self", Status: 403})
	r = b.Tightlip(args...)
	wantCode(t, r, 3)
	wantText(t, r.Stdout, `"named": false`, "is not verified dead")
	// One that does what its parent may do is no build argument, and neither is one that stays.
	i := newIssuer(t, b)
	for ref, want := range map[string]string{i.ref(): "of the grade B cannot be a build argument", "env:GITLAB_TOKEN": "is not minted for this build"} {
		r = b.Tightlip("build", "--engine", engine, flag(ref), "-t", "minted:arg", ".")
		wantCode(t, r, 2)
		wantText(t, r.Stderr, want)
	}
	if len(i.Tokens()) > 0 {
		t.Error("a token was made")
	}
}

func TestMintedArgument(t *testing.T) {
	onAll(t, func(t *testing.T, e engine) { argumentBuild(t, e.box(t), e.name) })
	onEachTool(t, func(t *testing.T, tool string, b *enginetest.Box, _ *enginetest.Podman) { argumentBuild(t, b, tool) })
}

// TestTrust has a project's file that wants a host to be reached.
func TestTrust(t *testing.T) {
	b := newEmbeddedBox(t)
	project(b, uses)
	i := newIssuer(t, b)
	b.Write("tightlip.yaml", fmt.Appendf(nil, "version: 1\nsecrets:\n  npm: {from: %q}\n", i.ref()))
	args := []string{"build", "--engine", "embedded", "--secret", "id=npm", "-o", "type=oci,dest=out.tar", "."}
	r := b.Tightlip(args...)
	wantCode(t, r, 2)
	wantText(t, r.Stderr, "tightlip.yaml:3:15: secret npm comes from gitea:", "may not use gitea: on its own", "hint: tightlip trust")
	if len(i.Log()) > 0 {
		t.Error("the issuer was asked")
	}
	wantText(t, b.Tightlip("trust", "--show").Stdout, "is not trusted", "line 3: secret npm from gitea:")
	wantCode(t, b.Tightlip("trust"), 0)
	wantCode(t, b.Tightlip(args...), 0)
	if err := os.WriteFile(filepath.Join(b.Work, "tightlip.yaml"), fmt.Appendf(nil, "version: 1\nsecrets:\n  npm: {from: %q}  # changed\n", i.ref()), 0o600); err != nil {
		t.Fatal(err)
	}
	wantCode(t, b.Tightlip(args...), 2)
	i.sealed(t, r.All())
}
