package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tightlip/tightlip/internal/enginetest"
)

// podmanKinds are the tools with the ways in which they run steps.
var podmanKinds = []struct{ tool, isolation string }{{"podman", "oci"}, {"buildah", "oci"}, {"buildah", "chroot"}}

// onEachTool runs a test once for each kind, in a box with a storage of its own.
func onEachTool(t *testing.T, test func(t *testing.T, tool string, b *enginetest.Box, p *enginetest.Podman)) {
	enginetest.NeedRoot(t)
	for _, k := range podmanKinds {
		t.Run(k.tool+" "+k.isolation, func(t *testing.T) {
			t.Parallel()
			p := enginetest.NewPodman(t)
			b := p.Box(t)
			b.Env["BUILDAH_ISOLATION"] = k.isolation
			test(t, k.tool, b, p)
		})
	}
}

// images lists what the storage has names for.
func images(t *testing.T, b *enginetest.Box) string {
	t.Helper()
	r := b.Run("buildah", "images", "--all", "--format", "{{.Name}}:{{.Tag}}")
	wantCode(t, r, 0)
	return r.Stdout
}

// noContainers fails the test if a build has left a working container, or a step that runs.
func noContainers(t *testing.T, b *enginetest.Box, p *enginetest.Podman) {
	t.Helper()
	if left, _ := filepath.Glob(p.Store + "/overlay-containers/*/userdata"); left != nil {
		t.Errorf("containers are left: %s", left)
	}
	all, _ := filepath.Glob("/proc/[0-9]*")
	for _, proc := range all {
		cmdline, _ := os.ReadFile(proc + "/cmdline")
		mounts, _ := os.ReadFile(proc + "/mountinfo")
		// The storage is mounted on itself, which every process here sees; a step has its files from the stage.
		if strings.Contains(string(cmdline), p.Dir) || strings.Contains(string(mounts), b.Dir+"/cache/stage") {
			t.Errorf("still running: %s %q", proc, cmdline)
		}
	}
	if list := b.Run("runc", "list"); strings.Contains(list.Stdout, b.Dir) {
		t.Errorf("runc remembers steps:\n%s", list.Stdout)
	}
}

// TestPodman builds, proves, names and runs an image.
func TestPodman(t *testing.T) {
	onEachTool(t, func(t *testing.T, tool string, b *enginetest.Box, p *enginetest.Podman) {
		value := withSecret(b, base+"RUN --mount=type=secret,id=npm wc -c < /run/secrets/npm > /size; cat /run/secrets/npm\n")
		r := buildWith(b, tool, "-t", "app", "-t", "registry.example/team/app:2", "--format", "json", "--metadata-file", "meta.json", "--iidfile", "iid")
		wantCode(t, r, 0)
		o := parse(t, r)
		if o.Proof == nil || o.Proof.Verdict != "clean" || !o.Secrets[0].Requested || !o.Named {
			t.Errorf("got %s", r.Stdout)
		}
		wantText(t, images(t, b), "localhost/app:latest", "registry.example/team/app:2")
		wantFile(t, filepath.Join(b.Work, "iid"), o.Image.ID)
		delete(b.Env, "DOCKER_CONFIG") // which podman wants to exist
		if out := b.Run("podman", "run", "--rm", "--network", "none", "app", "cat", "/size"); out.Stdout != fmt.Sprintf("%d\n", len(value)) {
			t.Errorf("the image holds another size: %s", out.All())
		}
		enginetest.NoTraces(t, "the output", r.All(), value)
		enginetest.NoTracesIn(t, p.Dir, value)
		enginetest.NoTracesIn(t, b.Dir, value)
		noContainers(t, b, p)
		nothingLeft(t, b)

		again := buildWith(b, tool, "-t", "app", "--format", "json")
		wantCode(t, again, 0)
		if parse(t, again).Secrets[0].Requested {
			t.Error("the step was not in the cache")
		}
	})
}

// TestPodmanRefuses wants a leak to name nothing, and to be gone.
func TestPodmanRefuses(t *testing.T) {
	onEachTool(t, func(t *testing.T, tool string, b *enginetest.Box, p *enginetest.Podman) {
		value := withSecret(b, base+"RUN true\nRUN --mount=type=secret,id=npm cp /run/secrets/npm /kept\nRUN rm /kept\n")
		for _, args := range [][]string{{"-t", "app"}, {"-o", "type=oci,dest=out.tar"}, {"-t", "app", "--push"}} {
			r := buildWith(b, tool, append(args, "--format", "json")...)
			wantCode(t, r, 3)
			o := parse(t, r)
			if len(o.Findings) == 0 || o.Findings[0].Dockerfile == nil || o.Findings[0].Dockerfile.Line != 5 || o.Findings[0].Path != "kept" {
				t.Errorf("%q found %v", args, o.Findings)
			}
			enginetest.NoTraces(t, "the output", r.All(), value)
		}
		if list := images(t, b); strings.Contains(list, "app") {
			t.Errorf("it has a name:\n%s", list)
		}
		absentFile(t, filepath.Join(b.Work, "out.tar"))
		enginetest.NoTracesIn(t, p.Dir, value)
		noContainers(t, b, p)
		nothingLeft(t, b)
	})
}

func absentFile(t testing.TB, path string) {
	t.Helper()
	if _, err := os.Lstat(path); err == nil {
		t.Errorf("%s is there", path)
	}
}

// TestPodmanFails wants the step's own exit code.
func TestPodmanFails(t *testing.T) {
	onEachTool(t, func(t *testing.T, tool string, b *enginetest.Box, p *enginetest.Podman) {
		value := withSecret(b, base+"RUN --mount=type=secret,id=npm cat /run/secrets/npm; exit 7\n")
		for _, args := range [][]string{nil, {"--progress", "quiet"}} {
			r := buildWith(b, tool, args...)
			wantCode(t, r, 7)
			wantText(t, r.Stderr, "exit 7", "***")
			enginetest.NoTraces(t, "the output", r.All(), value)
		}
		enginetest.NoTracesIn(t, p.Dir, value)
		noContainers(t, b, p)
		nothingLeft(t, b)

		b.Write("Dockerfile", []byte(base+"RUN --mount=type=secret,id=other,required true\n"))
		r := buildWith(b, tool)
		if r.Code == 0 {
			t.Error("a required secret that is missing was no error")
		}
		wantText(t, r.Stderr, "other")
	})
}

// TestPodmanInterrupted sends signals in the middle of a step and wants nothing left.
func TestPodmanInterrupted(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(signal.String(), func(t *testing.T) {
			onEachTool(t, func(t *testing.T, tool string, b *enginetest.Box, p *enginetest.Podman) {
				value := withSecret(b, slow)
				r := slowBuild(t, b, tool, "-t", "app")
				r.waitFor("\nstep-has-begun")
				if err := r.cmd.Process.Signal(signal); err != nil {
					t.Fatal(err)
				}
				if code := r.end(); code != 130 {
					t.Errorf("exit code %d, not 130:\n%s", code, r)
				}
				noContainers(t, b, p)
				nothingLeft(t, b)
				enginetest.NoTraces(t, "the output", r.String(), value)
				enginetest.NoTracesIn(t, p.Dir, value)
				enginetest.NoTracesIn(t, b.Dir, value)
			})
		})
	}
}

// TestPodmanKilled kills the program in the middle of a step and wants reap to end what goes on and to remove what is left, and
// nothing of another build that runs.
func TestPodmanKilled(t *testing.T) {
	onEachTool(t, func(t *testing.T, tool string, b *enginetest.Box, p *enginetest.Podman) {
		value := withSecret(b, slow)
		killed := slowBuild(t, b, tool, "-t", "killed")
		killed.waitFor("\nstep-has-begun")
		_ = killed.cmd.Process.Kill()
		killed.end()
		b.Write("Dockerfile", []byte(strings.ReplaceAll(slow, "sleep 600 & sleep 601", "while [ ! -e /bin/../go ] && [ $((n=n+1)) -lt 30 ]; do sleep .1; done; wc -c < /run/secrets/npm")))
		other := slowBuild(t, b, tool, "-t", "other")
		other.waitFor("\nstep-has-begun")

		r := b.Tightlip("reap")
		wantCode(t, r, 0)
		wantText(t, r.Stdout, "removed "+tool+" build")
		if code := other.end(); code != 0 {
			t.Errorf("the other build ended with code %d:\n%s", code, other)
		}
		noContainers(t, b, p)
		nothingLeft(t, b)
		enginetest.NoTracesIn(t, p.Dir, value)
		enginetest.NoTracesIn(t, b.Dir, value)
		if r := b.Tightlip("reap"); r.Code != 0 || r.Stdout != "" {
			t.Errorf("a second reap: %d %s", r.Code, r.All())
		}
	})
}

// TestPodmanPush pushes exactly what was proven, with a password.
func TestPodmanPush(t *testing.T) {
	onEachTool(t, func(t *testing.T, tool string, b *enginetest.Box, _ *enginetest.Podman) {
		registry := enginetest.StartRegistry(t, "ci", "password")
		withSecret(b, clean)
		name := registry.Host + "/team/app:1"
		if r := buildWith(b, tool, "-t", name, "--push"); r.Code == 0 {
			t.Fatal("it was pushed without a password")
		}
		login := b.Command(tool, "login", "--tls-verify=false", "-u", "ci", "--password-stdin", registry.Host)
		login.Stdin = strings.NewReader("password")
		wantCode(t, enginetest.Finish(t, login), 0)
		r := buildWith(b, tool, "-t", name, "--push", "--format", "json")
		wantCode(t, r, 0)
		digest, _, ok := registry.Manifest(t, "team/app", "1")
		if !ok || digest != parse(t, r).Image.Digest {
			t.Errorf("the registry has %s, and what was proven is %s", digest, r.Stdout)
		}
		wantText(t, images(t, b), name)
	})
}

// TestPodmanOutputs writes files, from the cache as well.
func TestPodmanOutputs(t *testing.T) {
	onEachTool(t, func(t *testing.T, tool string, b *enginetest.Box, _ *enginetest.Podman) {
		withSecret(b, base+"RUN --mount=type=secret,id=npm mkdir -m 500 /sealed && echo hello > /sealed/file && ln -s sealed /link && ln /sealed/file /hard\n")
		for range 2 {
			r := buildWith(b, tool, "-t", "app", "-o", "type=local,dest=folder", "-o", "type=tar,dest=root.tar", "-o", "type=docker,dest=docker.tar",
				"-o", "type=oci,tar=false,dest=layout")
			wantCode(t, r, 0)
			wantFile(t, filepath.Join(b.Work, "folder/link/file"), "hello\n")
			for _, ref := range []string{"tar:root.tar", "tar:docker.tar", "oci:layout"} {
				wantCode(t, b.Tightlip("prove", "--secret", "id=npm,env=NPM_TOKEN", ref), 0)
			}
			if err := os.Chmod(filepath.Join(b.Work, "folder/sealed"), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.RemoveAll(filepath.Join(b.Work, "folder")); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestPodmanOldSyntax wants what these versions do not know: heredocs, secrets as variables, and options without a value.
func TestPodmanOldSyntax(t *testing.T) {
	onEachTool(t, func(t *testing.T, tool string, b *enginetest.Box, _ *enginetest.Podman) {
		value := withSecret(b, base+`RUN --mount=type=secret,id=npm,env=TOKEN,required echo "${#TOKEN}" > /env
RUN <<EOF
echo one > /one
EOF
COPY <<EOF /copied
text
EOF
RUN --mount=type=secret,id=npm,required wc -c < /run/secrets/npm > /file
`)
		r := buildWith(b, tool, "-o", "out")
		wantCode(t, r, 0)
		for name, want := range map[string]string{
			"env": fmt.Sprintln(len(value)), "one": "one\n", "copied": "text\n", "file": fmt.Sprintln(len(value)),
		} {
			wantFile(t, filepath.Join(b.Work, "out", name), want)
		}
		if left, _ := filepath.Glob(filepath.Join(b.Work, "out/dev/*")); left != nil {
			t.Errorf("left in the image: %s", left)
		}

		b.Write("Dockerfile", []byte(base+`RUN <<EOF
echo two > /two
EOF
RUN --mount=type=secret,id=npm,required,env=TOKEN echo "$TOKEN" > /kept
`))
		r = b.Tightlip("build", "--engine", tool, "--format", "json", "--secret", "id=npm,env=NPM_TOKEN,rebuild=on-change", ".")
		wantCode(t, r, 3)
		if o := parse(t, r); len(o.Findings) != 1 || o.Findings[0].Dockerfile == nil || o.Findings[0].Dockerfile.Line != 7 {
			t.Errorf("found %v", o.Findings)
		}
	})
}

// TestPodmanRebuilds wants a step to run again when its secret changes, and only then.
func TestPodmanRebuilds(t *testing.T) {
	onEachTool(t, func(t *testing.T, tool string, b *enginetest.Box, _ *enginetest.Podman) {
		withSecret(b, clean)
		for i, want := range []bool{true, false, true} {
			if i == 2 {
				b.Env["NPM_TOKEN"] = enginetest.PlainCanary()
			}
			r := b.Tightlip("build", "--engine", tool, "--format", "json", "--secret", "id=npm,env=NPM_TOKEN,rebuild=on-change", "-t", "app", ".")
			wantCode(t, r, 0)
			if got := parse(t, r).Secrets[0].Requested; got != want {
				t.Errorf("build %d ran the step: %t, want %t\n%s", i, got, want, r.Stderr)
			}
		}
	})
}

// TestPodmanSSH forwards an agent and a key.
func TestPodmanSSH(t *testing.T) {
	onEachTool(t, func(t *testing.T, tool string, b *enginetest.Box, _ *enginetest.Podman) {
		withSecret(b, base+"RUN --mount=type=ssh,id=key,required=true test -S \"$SSH_AUTH_SOCK\"\n")
		run(t, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(b.Dir, "key"))
		wantCode(t, buildWith(b, tool, "--ssh", "key="+filepath.Join(b.Dir, "key")), 0)
		r := buildWith(b, tool, "--ssh", "default")
		wantCode(t, r, 2)
		wantText(t, r.Stderr, "SSH_AUTH_SOCK")
	})
}

// TestPodmanRefusesFlags wants a flag that has no equivalent to be an error, never to be ignored.
func TestPodmanRefusesFlags(t *testing.T) {
	onEachTool(t, func(t *testing.T, tool string, b *enginetest.Box, _ *enginetest.Podman) {
		withSecret(b, clean)
		for _, args := range [][]string{
			{"--cache-to", "type=registry,ref=localhost/cache"}, {"--platform", "linux/amd64,linux/arm64"}, {"--sbom", "true"},
			{"--progress", "rawjson"}, {"--no-cache-filter", "x"}, {"--call", "check"}, {"--label", "a=" + b.Env["NPM_TOKEN"]},
			{"-o", "type=oci,dest=x.tar,compression=zstd"}, {"--builder", "x"}, {"--allow", "security.insecure"},
		} {
			r := buildWith(b, tool, args...)
			wantCode(t, r, 2)
			wantText(t, r.Stderr, "tightlip: hint: ")
		}
	})
}

// TestPodmanArgument wants a secret in a build argument to be found in the history, and no process to show it.
func TestPodmanArgument(t *testing.T) {
	onEachTool(t, func(t *testing.T, tool string, b *enginetest.Box, _ *enginetest.Podman) {
		value := withSecret(b, base+"ARG T\nRUN cat /proc/*/cmdline > /tmp.txt; sleep 1; true\n")
		r := begin(t, b.Command(enginetest.Binary(t), append([]string{"build", "--engine", tool, "--build-arg", "T=" + value}, append(secretFlag, ".")...)...))
		seen := false
		for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
			select {
			case <-r.done:
				if code := r.end(); code != 3 {
					t.Errorf("exit code %d, not 3:\n%s", code, r)
				}
				if !seen {
					t.Error("no process of the tool was seen")
				}
				return
			default:
			}
			all, _ := filepath.Glob("/proc/[0-9]*/cmdline")
			for _, name := range all {
				text, _ := os.ReadFile(name)
				args := strings.Split(string(text), "\x00")
				if filepath.Base(args[0]) != tool || !strings.Contains(string(text), b.Dir) {
					continue
				}
				seen = true
				enginetest.NoTraces(t, "a command line", string(text), value)
			}
		}
	})
}

// TestPodmanRootless builds as an ordinary user.
func TestPodmanRootless(t *testing.T) {
	enginetest.NeedRoot(t)
	for _, k := range podmanKinds {
		t.Run(k.tool+" "+k.isolation, func(t *testing.T) {
			p := enginetest.NewPodman(t)
			b := p.Box(t)
			if k.isolation == "chroot" {
				b.Env["BUILDAH_ISOLATION"] = k.isolation
			}
			value := withSecret(b, base+"RUN --mount=type=secret,id=npm wc -c < /run/secrets/npm > /size; mkdir -m 700 /private; chown 5:5 /private; echo deep > /private/file\n")
			run(t, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(b.Work, "key"))
			b.Write("known_hosts", append([]byte("git.corp.example "), readFile(t, filepath.Join(b.Work, "key.pub"))...))
			tightlip := asUser(t, b)
			run(t, "chown", "-R", ordinaryUser, p.Dir)
			t.Cleanup(func() { endUser(t) })
			// A network of its own would need slirp4netns and /dev/net/tun.
			args := []string{"build", "--engine", k.tool, "--progress", "plain", "--network", "none", "--secret", "id=npm,env=NPM_TOKEN"}
			r := tightlip(append(args, "-t", "app", "-o", "out", "--load", ".")...)
			wantCode(t, r, 0)
			wantFile(t, filepath.Join(b.Work, "out/size"), fmt.Sprintln(len(value)))
			wantFile(t, filepath.Join(b.Work, "out/private/file"), "deep\n")
			wantText(t, r.Stderr, "proven: npm", "named localhost/app:latest")
			enginetest.NoTracesIn(t, p.Dir, value)

			b.Write("Dockerfile", []byte(leaky))
			wantCode(t, tightlip(append(args, ".")...), 3)
			nothingLeft(t, b)
			enginetest.NoTracesIn(t, p.Dir, value)

			b.Write("tightlip.yaml", []byte("version: 1\nssh: {default: {allow: [git@git.corp.example], known-hosts: known_hosts}}\n"))
			b.Write("Dockerfile", []byte(base+"RUN --mount=type=ssh,required=true test -S $SSH_AUTH_SOCK && test -w $SSH_AUTH_SOCK\n"))
			wantCode(t, tightlip(append(args, "--ssh", "default=key", ".")...), 0)
			b.Write("Dockerfile", []byte(base+"RUN --mount=type=ssh,uid=5 true\n"))
			r = tightlip(append(args, "--ssh", "default=key", ".")...)
			wantCode(t, r, 2)
			wantText(t, r.Stderr, "another user takes root", "mode=0666")

			b.Write("Dockerfile", []byte(strings.Replace(slow, "RUN --mount", "USER 5\nRUN --mount", 1)))
			cmd := b.Command(enginetest.Binary(t), append(args, "-t", "slow", ".")...)
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credential(t)}
			interrupted := begin(t, cmd)
			interrupted.waitFor("\nstep-has-begun")
			if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
				t.Fatal(err)
			}
			if code := interrupted.end(); code != 130 {
				t.Errorf("exit code %d, not 130:\n%s", code, interrupted)
			}
			noContainers(t, b, p)
			nothingLeft(t, b)
			enginetest.NoTracesIn(t, p.Dir, value)
		})
	}
}

func credential(t *testing.T) *syscall.Credential {
	t.Helper()
	u, err := user.Lookup(ordinaryUser)
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// endUser ends the process that rootless podman keeps its namespaces with.
func endUser(t *testing.T) {
	t.Helper()
	uid := credential(t).Uid
	all, _ := filepath.Glob("/proc/[0-9]*")
	for _, p := range all {
		info, err := os.Stat(p)
		if pid, _ := strconv.Atoi(filepath.Base(p)); err == nil && info.Sys().(*syscall.Stat_t).Uid == uid {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	time.Sleep(50 * time.Millisecond)
}

// TestPodmanLeakWays leaks in every way that these tools have.
func TestPodmanLeakWays(t *testing.T) {
	enginetest.NeedRoot(t)
	for _, tool := range []string{"podman", "buildah"} {
		t.Run(tool, func(t *testing.T) {
			t.Parallel()
			b := enginetest.NewPodman(t).Box(t)
			for _, way := range ways {
				if way.want.Where == "attestation" || way.name == "label on the command line" || way.name == "annotation" {
					continue // refused: they have no provenance, and the others would put the secret into their arguments
				}
				value := withSecret(b, way.dockerfile)
				b.Write("token", []byte(value))
				var args []string
				for _, arg := range way.args {
					args = append(args, strings.ReplaceAll(arg, "VALUE", value))
				}
				r := buildWith(b, tool, append(args, "-t", "leaked", "--format", "json")...)
				if r.Code != 3 {
					t.Errorf("%s: exit code %d:\n%s", way.name, r.Code, r.All())
					continue
				}
				enginetest.NoTraces(t, way.name, r.All(), value)
				found := parse(t, r).Findings
				if !slices.ContainsFunc(found, func(f leak) bool { return matches(f, way.want, way.line) }) {
					t.Errorf("%s: no finding is like %+v of line %d:\n%+v", way.name, way.want, way.line, found)
				}
			}
			if left := images(t, b); strings.Contains(left, "leaked") {
				t.Errorf("images are named: %s", left)
			}
		})
	}
}

// TestPodmanBrokeredBase: the base image's SHELL runs the steps, and a trigger of it that would have to use the broker is refused. Images
// that are not there are pulled.
func TestPodmanBrokeredBase(t *testing.T) {
	onEachOf(t, brokeredEngines, func(t *testing.T, e engine) {
		if e.name != "podman" && e.name != "buildah" {
			return
		}
		b := e.box(t)
		value := enginetest.PlainCanary()
		o := newOrigin(t, "Bearer "+value)
		b.Env["NPM_TOKEN"] = value
		reg := enginetest.StartRegistry(t, "ci", "password")
		b.Login(reg)
		image := func(name, more string) string {
			project(b, base+more)
			name = reg.Host + "/" + name
			wantCode(t, b.Run("buildah", "build", "-q", "--format", "docker", "-t", name, "."), 0)
			wantCode(t, b.Run("buildah", "push", "-q", "--tls-verify=false", name), 0)
			wantCode(t, b.Run("buildah", "rmi", "-f", name), 0)
			return name
		}
		strict := image("strict", "SHELL [\"/bin/sh\", \"-ec\"]\n")
		trigger := image("trigger", "ONBUILD RUN --mount=type=secret,id=npm true\n")
		b.Write("registries.conf", []byte("[[registry]]\nlocation = \""+reg.Host+"\"\ninsecure = true\n"))
		b.Env["CONTAINERS_REGISTRIES_CONF"] = filepath.Join(b.Work, "registries.conf")
		build := func(dockerfile string, args ...string) enginetest.Result {
			b.Write("Dockerfile", []byte(dockerfile))
			return b.Tightlip(append(append([]string{"build", "--engine", e.name, "--secret", "id=npm,env=NPM_TOKEN", "--broker", "npm=" + o.URL + ":bearer", "-t", "app"}, args...), ".")...)
		}
		r := build("FROM " + strict + "\nRUN --mount=type=secret,id=npm case $- in *e*) wget -q -O /file " + o.URL + "/file;; *) exit 9;; esac\n")
		wantCode(t, r, 0)
		wantText(t, r.Stderr, "pulling "+strict, "1 allowed with npm")
		r = build("FROM " + trigger + "\nRUN true\n")
		wantCode(t, r, 2)
		wantText(t, r.Stderr, "has the trigger", "through the broker")
		r = build("FROM "+strict+"\nRUN --mount=type=secret,id=npm case $- in *e*) false;; *) cp /run/secrets/npm /leak;; esac\n", "--rehearse")
		wantCode(t, r, 0)
		wantText(t, r.Stderr, "failed with code 1", "nowhere in the image")
	})
}

// TestPodmanEnvironment: the tools get no credential but those that the helpers of their logins read, and build arguments.
func TestPodmanEnvironment(t *testing.T) {
	onEachTool(t, func(t *testing.T, tool string, b *enginetest.Box, _ *enginetest.Podman) {
		withSecret(b, base+"ARG GIVEN_TOKEN\nRUN test -n \"$GIVEN_TOKEN\"\n")
		for _, name := range []string{"OTHER_TOKEN", "GIVEN_TOKEN", "AWS_SECRET_ACCESS_KEY"} {
			b.Env[name] = enginetest.PlainCanary()
		}
		log := filepath.Join(b.Dir, "variables")
		real := b.Command(tool).Path
		b.Write("../bin/"+tool, []byte("#!/bin/sh\nenv | sed 's/=.*//' >> "+log+"\nexec "+real+" \"$@\"\n"))
		bin := filepath.Join(b.Dir, "bin")
		if err := os.Chmod(filepath.Join(bin, tool), 0o755); err != nil {
			t.Fatal(err)
		}
		b.Env["PATH"] = bin + ":" + b.Env["PATH"]
		gets := func() []string {
			t.Helper()
			wantCode(t, buildWith(b, tool, "--build-arg", "GIVEN_TOKEN", "-t", "app"), 0)
			text, err := os.ReadFile(log)
			if err := errors.Join(err, os.Remove(log)); err != nil {
				t.Fatal(err)
			}
			return strings.Fields(string(text))
		}
		names := gets()
		for name, want := range map[string]bool{
			"NPM_TOKEN": false, "OTHER_TOKEN": false, "AWS_SECRET_ACCESS_KEY": false, "GIVEN_TOKEN": true, "CONTAINERS_STORAGE_CONF": true, "DOCKER_CONFIG": true,
		} {
			if slices.Contains(names, name) != want {
				t.Errorf("%s: %v", name, !want)
			}
		}
		b.DockerConfig(map[string]any{"credHelpers": map[string]string{"registry.corp.example": "ecr-login"}})
		if names := gets(); !slices.Contains(names, "AWS_SECRET_ACCESS_KEY") || slices.Contains(names, "OTHER_TOKEN") {
			t.Errorf("with a helper for AWS, it gets %q", names)
		}
		b.Env["TIGHTLIP_KEEP_ENV"] = "OTHER_*"
		if names := gets(); !slices.Contains(names, "OTHER_TOKEN") {
			t.Errorf("what was to be kept is not in %q", names)
		}
	})
}
