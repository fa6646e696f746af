package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tightlip/tightlip/internal/enginetest"
)

// TestClassicNoTrace builds with and without mounts, plainly and with tightlip, on one daemon and its one cache. The files must
// be the same, and their times.
func TestClassicNoTrace(t *testing.T) {
	const start = base + "RUN mkdir -p /p /empty /root && echo before > /p/existing && ln -s /p /link && printf 'root:x:0:0::/root:/bin/sh\\napp:x:7:7::/:/bin/sh\\n' > /p/passwd && mkdir -p /etc && cp /p/passwd /etc\n"
	const made = "; echo made > /p/made && touch -d @1000000000 /p/made /p\n"
	plain, ours := start, start
	for _, step := range []string{
		"--mount=type=secret,id=npm --mount=type=secret,id=npm,target=/root/.npmrc,mode=0444 --mount=type=secret,id=npm,target=/new/folder/x",
		"--mount=type=secret,id=npm,target=/p/existing --mount=type=secret,id=npm,target=/link/x --mount=type=secret,id=npm,env=TOKEN",
		"--mount=type=ssh --mount=type=tmpfs,target=/t --mount=type=tmpfs,target=/empty --mount=type=secret,id=missing,target=/p/missing",
	} {
		plain += "RUN true " + strings.ReplaceAll(step, "-", "") + "\nRUN true" + made
		ours += "RUN " + step + " true\nRUN " + step + " true" + made
	}
	plain += "USER app\nRUN true\nUSER root\nRUN echo script | cat >/s; touch -d @1 /s\n"
	ours += "USER app\nRUN --mount=type=secret,id=npm true\nUSER root\nRUN --mount=type=secret,id=npm <<EOF\n#!/bin/sh\necho script > /s; touch -d @1 /s\nEOF\n"
	b := newClassicBox(t)
	value := withSecret(b, plain)
	b.Env["DOCKER_BUILDKIT"] = "0"
	// The builder notes in its cache that there were arguments, though not which.
	b.Docker("build", "-q", "--force-rm", "--build-arg", "NO_PROXY=none", "-t", "plain", ".")
	b.Write("Dockerfile", []byte(ours))
	// DOCKER_BUILDKIT=0 means the classic builder, as it does for docker build.
	r := b.Tightlip(append(append([]string{"build"}, secretFlag...), "-t", "ours", ".")...)
	wantCode(t, r, 0)
	wantText(t, r.Stderr, "Successfully built")
	images := map[string]*saved{}
	for _, name := range []string{"plain", "ours"} {
		b.Docker("save", "-o", filepath.Join(b.Dir, name+".tar"), name)
		images[name] = readSaved(t, filepath.Join(b.Dir, name+".tar"))
	}
	for name := range keys(images["plain"].times, images["ours"].times) {
		if want, got := images["plain"].times[name], images["ours"].times[name]; want != got {
			t.Errorf("%s is %q without mounts, and %q with them", name, want, got)
		}
	}
	if want, got := images["plain"].config, images["ours"].config; want != got {
		t.Errorf("without mounts the config is\n%s\nand with them\n%s", want, got)
	}
	for _, bad := range []string{value, "tightlip.7913", "NO_PROXY=tightlip"} {
		if text := history(b, "ours"); strings.Contains(text, bad) {
			t.Errorf("the history holds %q:\n%s", bad, text)
		}
	}
	b.Docker("rmi", "-f", "plain", "ours")
	nothingOfOurs(t, b)
}

// TestClassicExitCodes wants a step's own exit code, and the step named by the user's line.
func TestClassicExitCodes(t *testing.T) {
	b := newClassicBox(t)
	value := withSecret(b, base)
	b.Write(".dockerignore", []byte("*\n!busybox\n!nonce\n"))
	wantCode(t, buildWith(b, "classic"), 0)
	t.Cleanup(func() { neverNamed(t, b, "never") })
	for name, c := range map[string]struct {
		step string
		code int
		says []string
	}{
		"exit":           {"RUN --mount=type=secret,id=npm exit 7", 7, []string{"line 4: RUN --mount=type=secret,id=npm exit 7 ended with code 7"}},
		"without mounts": {"RUN exit 8", 8, []string{"returned a non-zero code: 8"}},
		"signal":         {"RUN --mount=type=secret,id=npm kill -9 $$", 137, []string{"ended with code 137"}},
		"not found":      {`RUN --mount=type=secret,id=npm ["/bin/nothing"]`, 127, []string{"/bin/nothing: not found", "ended with code 127"}},
		"no right":       {`RUN --mount=type=secret,id=npm ["/bin/nonce"]`, 126, []string{"ended with code 126"}},
		"not on PATH":    {`RUN --mount=type=secret,id=npm ["nothing"]`, 127, []string{"nothing: not found"}},
		"heredoc":        {"RUN --mount=type=secret,id=npm <<EOF\nexit 9\nEOF", 9, []string{"line 4: RUN --mount=type=secret,id=npm <<EOF ended with code 9"}},
		"env":            {"RUN --mount=type=secret,id=npm,env=A=B exit 0", 125, []string{"variable"}},
		"no user":        {"USER nobody\nRUN --mount=type=secret,id=npm exit 0", 125, []string{"nobody"}},
		"folder":         {"RUN --mount=type=secret,id=npm,target=/bin exit 0", 125, []string{"/bin is a directory"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b.Write(name, []byte(base+c.step+"\n"))
			r := buildWith(b, "classic", "-t", "never", "-f", filepath.Join(b.Work, name))
			if r.Code != c.code {
				t.Errorf("exit code %d, not %d", r.Code, c.code)
			}
			wantText(t, r.Stderr, append(c.says, "tightlip: error: ")...)
			enginetest.NoTraces(t, "the output", r.All(), value)
		})
	}
}

// TestClassicRequired wants a required secret that the build has not refused before anything runs.
func TestClassicRequired(t *testing.T) {
	b := newClassicBox(t)
	withSecret(b, base+"RUN --mount=type=secret,id=other,required echo step-has-run\n")
	r := buildWith(b, "classic", "-t", "never")
	wantCode(t, r, 2)
	wantText(t, r.Stderr, "line 4 requires the secret other, which this build has not", "tightlip: hint: --secret id=other,from=REFERENCE")
	if strings.Contains(r.Stderr, "Step 1") {
		t.Error("the build began")
	}
	b.Write("Dockerfile", []byte(base+"RUN --mount=type=ssh,required echo step-has-run\n"))
	r = buildWith(b, "classic", "-t", "never")
	if r.Code == 0 {
		t.Errorf("a build without the agent that it requires has worked:\n%s", r.All())
	}
	wantText(t, r.Stderr, `SSH agent "default" is required`)
	neverNamed(t, b, "never")
}

// ran lists the steps of a build that were not found in the cache.
func ran(r enginetest.Result) (steps []string) {
	step := ""
	for line := range strings.Lines(r.Stderr) {
		if _, instruction, ok := strings.Cut(line, " : "); ok && strings.HasPrefix(line, "Step ") {
			step = strings.TrimSpace(instruction)
		}
		if strings.Contains(line, "---> Running in") {
			steps = append(steps, step)
		}
	}
	return steps
}

// TestClassicCache wants a second build to run nothing, and a step to run again for another value when, and only when, the flag
// says so.
func TestClassicCache(t *testing.T) {
	const step = "RUN --mount=type=secret,id=npm wc -c < /run/secrets/npm > /size"
	b := newClassicBox(t)
	project(b, base+step+"\nUSER 7\nRUN --mount=type=secret,id=other,required=false true\nRUN true\n")
	one, two := enginetest.PlainCanary(), enginetest.PlainCanary()
	build := func(flag, value string, args ...string) []string {
		t.Helper()
		b.Env["NPM_TOKEN"] = value
		r := b.Tightlip(slices.Concat([]string{"build", "--engine", "classic", "--secret", "id=npm,env=NPM_TOKEN" + flag, "-t", "cached"}, args, []string{"."})...)
		wantCode(t, r, 0)
		return ran(r)
	}
	if steps := build("", one); len(steps) < 4 || !slices.Contains(steps, step) {
		t.Errorf("the first build ran %q", steps)
	}
	id := b.Docker("inspect", "-f", "{{.Id}}", "cached")
	for _, c := range []struct {
		flag, value string
		args        []string
		again       bool
	}{
		{"", one, nil, false}, {"", two, []string{"--network", "none", "--build-arg", "NO_PROXY=a.example"}, false},
		{",rebuild=on-change", one, nil, true}, {",rebuild=on-change", one, nil, false}, {",rebuild=on-change", two, nil, true}, {",rebuild=on-change", one, nil, false},
		{"", one, nil, false}, {"", one, []string{"--no-cache"}, true},
	} {
		steps := build(c.flag, c.value, c.args...)
		if got := slices.Contains(steps, step); got != c.again || !got && len(steps) > 0 {
			t.Errorf("%s %q: ran %q", c.flag, c.args, steps)
		}
		if now := b.Docker("inspect", "-f", "{{.Id}}", "cached"); c.flag == "" && !c.again && now != id {
			t.Errorf("%s %q: another image", c.flag, c.args)
		}
	}
	enginetest.NoTracesIn(t, b.Dir, one)
	enginetest.NoTracesIn(t, b.Dir, two)
	b.Docker("rmi", "-f", "cached")
	nothingOfOurs(t, b)
}

// TestClassicLargeSecrets hands over what BuildKit cannot: more than 500 KB.
func TestClassicLargeSecrets(t *testing.T) {
	b := newClassicBox(t)
	project(b, base+"RUN --mount=type=secret,id=npm,required cp /run/secrets/npm /dev/shm/x && cmp /dev/shm/x /run/secrets/npm && wc -c < /run/secrets/npm > /size\n")
	value := make([]byte, 20<<20)
	for i := range value {
		value[i] = byte(i * i >> 7)
	}
	copy(value, enginetest.PlainCanary())
	if err := os.WriteFile(filepath.Join(b.Dir, "large"), value, 0o600); err != nil {
		t.Fatal(err)
	}
	r := b.Tightlip("build", "--engine", "classic", "--secret", "id=npm,src=../large", "-t", "large", ".")
	wantCode(t, r, 0)
	if got := printedBy(b, "large", "/bin/cat", "/size"); got != fmt.Sprint(len(value)) {
		t.Errorf("the step saw %s bytes", got)
	}
	b.Docker("rmi", "-f", "large")
}

// TestClassicSSH lists and uses a key in a step, from a file and from an agent, and finds nothing of it in the next.
func TestClassicSSH(t *testing.T) {
	b := newClassicBox(t)
	const step = base + `COPY root /
COPY passwd /etc/
COPY key.pub /key.pub
ARG AGAIN
RUN --mount=type=ssh,required ssh-add -l > /listed && [ -S "$SSH_AUTH_SOCK" ] && echo "$SSH_AUTH_SOCK" > /socket && echo message > /message && ssh-keygen -Y sign -f /key.pub -n file /message
RUN --mount=type=ssh,id=default,target=/tmp/agent,mode=0666 ls -lnL /tmp/agent && SSH_AUTH_SOCK=/tmp/agent ssh-add -l && ! ssh-add -D
RUN echo "[${SSH_AUTH_SOCK-unset}]" > /after; ls -A /run /tmp /dev/shm >> /after 2>&1; ! ssh-add -l
RUN --mount=type=ssh,id=absent echo "[${SSH_AUTH_SOCK-unset}]" > /absent
USER 1000
RUN --mount=type=ssh,uid=1000 --mount=type=ssh,target=/tmp/of-root ssh-add -l && ! SSH_AUTH_SOCK=/tmp/of-root ssh-add -l
`
	withSecret(b, step)
	withPrograms(b, "root", "ssh-add", "ssh-keygen")
	b.Write("passwd", []byte(passwd))
	key := filepath.Join(b.Dir, "key")
	run(t, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "tests", "-f", key)
	b.Write("key.pub", readFile(t, key+".pub"))
	socket := filepath.Join(b.Dir, "agent.sock")
	agent := b.Command("ssh-agent", "-D", "-a", socket)
	if err := agent.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = agent.Process.Kill(); _ = agent.Wait() })
	enginetest.Eventually(t, 5*time.Second, "the agent listens", func() bool { return there(socket) })
	add := b.Command("ssh-add", key)
	add.Env = append(add.Env, "SSH_AUTH_SOCK="+socket)
	wantCode(t, enginetest.Finish(t, add), 0)
	fingerprint := strings.Fields(b.Run("ssh-keygen", "-lf", key).Stdout)[1]
	b.Env["SSH_AUTH_SOCK"] = socket
	for i, flag := range []string{"default=" + key, "default"} {
		t.Run(strings.ReplaceAll(flag, b.Dir, ""), func(t *testing.T) {
			r := buildWith(b, "classic", "--build-arg", fmt.Sprintf("AGAIN=%d", i), "--ssh", flag, "-t", "ssh")
			wantCode(t, r, 0)
			show := func(file string) string { return printedBy(b, "ssh", "/bin/cat", file) }
			wantText(t, show("/listed"), fingerprint)
			wantText(t, show("/message.sig"), "BEGIN SSH SIGNATURE")
			for file, want := range map[string]string{
				"/socket": "/run/buildkit/ssh_agent.0", "/absent": "[unset]",
				"/after": "[unset]\nls: /run: No such file or directory\nls: /tmp: No such file or directory\n/dev/shm:",
			} {
				if got := show(file); got != want {
					t.Errorf("%s holds %q, not %q", file, got, want)
				}
			}
			b.Docker("rmi", "-f", "ssh")
			nothingOfOurs(t, b)
		})
	}
	if left := b.Run("ssh-add", "-l"); !strings.Contains(left.Stdout, fingerprint) {
		t.Errorf("the agent has lost its key: %s", left.All())
	}
}

// serverOf finds the containers of builds' servers.
func serverOf(t *testing.T, b *enginetest.Box) []string {
	t.Helper()
	return strings.Fields(b.Docker("ps", "-q", "--no-trunc", "--filter", "label=io.github.tightlip=server"))
}

// helper makes an image that other containers can run.
func helper(t *testing.T, b *enginetest.Box) {
	t.Helper()
	other := enginetest.NewBox(t, enginetest.StartDocker(t))
	project(other, base)
	wantCode(t, other.Tightlip("build", "--engine", "classic", "-t", "helper", "."), 0)
	t.Cleanup(func() { b.Docker("rmi", "-f", "helper") })
}

// TestClassicServer looks at the server while a step runs, as others on the machine could.
func TestClassicServer(t *testing.T) {
	b := newClassicBox(t)
	value := withSecret(b, base+"RUN --mount=type=secret,id=npm httpd -p 8888 -h /bin && printf 'step-has-%s\\n' begun && cat /run/secrets/npm | wc -c && sleep 600\n")
	helper(t, b)
	r := slowBuild(t, b, "classic")
	r.waitFor("step-has-begun")
	servers := serverOf(t, b)
	if len(servers) != 1 {
		t.Fatalf("the servers are %q", servers)
	}
	server := servers[0]
	for _, id := range strings.Fields(b.Docker("ps", "-q")) {
		enginetest.NoTraces(t, "docker inspect of a container", b.Docker("inspect", id), value)
		enginetest.NoTraces(t, "docker top", b.Run("docker", "top", id).All(), value)
	}
	logs := b.Run("docker", "logs", server)
	if logs.Stdout != "" || logs.Code == 0 {
		t.Errorf("the server has logs: %s", logs.All())
	}
	if diff := b.Docker("diff", server); diff != "" {
		t.Errorf("the server has changed %s", diff)
	}
	pid := b.Docker("inspect", "-f", "{{.State.Pid}}", server)
	for _, file := range []string{"environ", "cmdline"} {
		enginetest.NoTraces(t, file, string(readFile(t, "/proc/"+pid+"/"+file)), value)
	}
	if status := string(readFile(t, "/proc/"+pid+"/status")); !strings.Contains(status, "CapEff:\t0000000000000000") || !strings.Contains(status, "Uid:\t65534") {
		t.Errorf("the server has rights:\n%s", status)
	}

	get := func(network, address string) string {
		r := b.Run("docker", "run", "--rm", "--network", network, "helper", "/bin/wget", "-S", "-O", "-", "http://"+address)
		return fmt.Sprintf("%s%d", r.All(), r.Code)
	}
	ip := b.Docker("inspect", "-f", "{{.NetworkSettings.IPAddress}}", server)
	wantText(t, get("bridge", ip+":8888/nonce"), "200 OK") // a neighbour reaches what the step shows to it,
	wantText(t, get("bridge", ip+":7913/"), "refused")     // and not the server
	inside := "container:" + server
	for _, path := range []string{"/", "/secret/npm", "//secret/npm", "/%2e%2e/secret/npm", "/" + strings.Repeat("a", 26) + "/secret/npm"} {
		text := get(inside, "127.0.0.1:7913"+path)
		wantText(t, text, "403 Forbidden")
		enginetest.NoTraces(t, "the answer", text, value)
	}
	for _, address := range []string{"127.0.0.1:7913", ip + ":7913"} {
		if resp, err := http.Get("http://" + address + "/secret/npm"); err == nil {
			resp.Body.Close()
			t.Errorf("the host reaches the server at %s", address)
		}
	}
	_ = r.cmd.Process.Signal(os.Interrupt)
	if code := r.end(); code != 130 {
		t.Errorf("exit code %d:\n%s", code, r)
	}
	nothingOfOurs(t, b)
	nothingLeft(t, b)
	enginetest.NoTracesIn(t, b.Dir, value)
}

// TestClassicNetworks wants steps in the network that was asked for, and nowhere else.
func TestClassicNetworks(t *testing.T) {
	b := newClassicBox(t)
	b.Docker("network", "create", "--subnet", "10.222.7.0/24", "tl-e2e")
	t.Cleanup(func() { b.Docker("network", "rm", "tl-e2e") })
	host, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, i := range host {
		if !strings.HasPrefix(i.Name, "veth") && !strings.HasPrefix(i.Name, "br-") {
			names = append(names, i.Name)
		}
	}
	withSecret(b, base+`ARG AGAIN
RUN --mount=type=secret,id=npm ls /sys/class/net > /net; ip -o addr >> /net; [ -s /run/secrets/npm ]
`)
	for network, want := range map[string][]string{"none": {"lo"}, "default": {"eth0", "lo"}, "tl-e2e": {"eth0", "lo", "10.222.7."}, "host": names} {
		t.Run(network, func(t *testing.T) {
			wantCode(t, buildWith(b, "classic", "--network", network, "--build-arg", "AGAIN="+network, "-t", "networks"), 0)
			text := printedBy(b, "networks", "/bin/cat", "/net")
			wantText(t, text, want...)
			if network == "none" && strings.Contains(text, "eth0") {
				t.Errorf("there is a network: %s", text)
			}
			b.Docker("rmi", "-f", "networks")
			nothingOfOurs(t, b)
		})
	}
}

// TestClassicTwoAtOnce runs two builds side by side, also where both servers are in the host's own network.
func TestClassicTwoAtOnce(t *testing.T) {
	for _, network := range []string{"default", "host"} {
		t.Run(network, func(t *testing.T) {
			var builds []*running
			var boxes []*enginetest.Box
			for range 2 {
				b := newClassicBox(t)
				withSecret(b, base+"RUN --mount=type=secret,id=npm echo first-step && sleep 0.8\nRUN --mount=type=secret,id=npm,env=TOKEN echo \"<$TOKEN>\" | sha256sum > /sum && sleep 0.3\n")
				boxes = append(boxes, b)
				builds = append(builds, slowBuild(t, b, "classic", "--network", network, "-o", "type=docker,dest=out.tar", "-t", "both"))
			}
			for i, r := range builds {
				if code := r.end(); code != 0 {
					t.Errorf("exit code %d:\n%s", code, r)
					continue
				}
				sum := boxes[i].Command("sh", "-c", `echo "<$NPM_TOKEN>" | sha256sum`)
				want := enginetest.Finish(t, sum).Stdout
				if got := readSaved(t, filepath.Join(boxes[i].Work, "out.tar")).files["/sum"]; !strings.HasSuffix(got, want) {
					t.Errorf("build %d has seen %q, not %q", i, got, want)
				}
				nothingLeft(t, boxes[i])
			}
			nothingOfOurs(t, boxes[0])
		})
	}
}

// TestClassicOverTCP drives a Docker that is not at a socket.
func TestClassicOverTCP(t *testing.T) {
	b := newClassicBox(t)
	value := withSecret(b, clean)
	b.Env["DOCKER_HOST"] = "tcp://" + forward(t, strings.TrimPrefix(b.Env["DOCKER_HOST"], "unix://"))
	wantCode(t, buildWith(b, "classic", "-t", "tcp"), 0)
	if got := printedBy(b, "tcp"); got != size {
		t.Errorf("the image printed %q, not %q", got, size)
	}
	enginetest.NoTracesIn(t, b.Dir, value)
	b.Docker("rmi", "-f", "tcp")
	nothingOfOurs(t, b)
}

// forward brings connections at a loopback address to a socket.
func forward(t testing.TB, socket string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer in.Close()
				out, err := net.Dial("unix", socket)
				if err != nil {
					return
				}
				defer out.Close()
				go func() {
					_, _ = io.Copy(out, in)
					_ = out.(*net.UnixConn).CloseWrite()
				}()
				_, _ = io.Copy(in, out)
			}()
		}
	}()
	return l.Addr().String()
}

// smoke is the least of steps that has all of the shim in it.
const smoke = `RUN --mount=type=secret,id=npm --mount=type=secret,id=npm,target=/p/existing,mode=0440,gid=2000 --mount=type=tmpfs,target=/t see default /run/secrets/npm; see existing /p/existing; see tmpfs /t
SHELL ["/bin/ash","-eu","-c"]
USER app
RUN --mount=type=secret,id=npm,uid=1000 --mount=type=secret,id=npm,env=TOKEN <<EOF
see user /run/secrets/npm
EOF
RUN ls -A / /dev/shm | grep -v dockerenv > /o/left
COPY <<EOF /o/copied
a document
EOF
ENTRYPOINT ["/bin/see"]
`

// TestClassicOldest builds with the oldest Docker that is supported: 20.10.
func TestClassicOldest(t *testing.T) {
	enginetest.NeedRoot(t)
	t.Parallel()
	d := enginetest.StartOldestDocker(t)
	b := enginetest.NewBox(t, d)
	value := withSecret(b, clean)
	r := buildWith(b, "classic", "-t", "old")
	wantCode(t, r, 0)
	wantText(t, r.Stderr, "proven: npm")
	if got := printedBy(b, "old"); got != size {
		t.Errorf("the image printed %q, not %q", got, size)
	}
	r = buildWith(b, "classic", "-t", "old")
	wantCode(t, r, 0)
	if steps := ran(r); steps != nil {
		t.Errorf("the second build ran %q", steps)
	}
	before := stored(b)
	b.Write("Dockerfile", []byte(leaky))
	r = buildWith(b, "classic", "-t", "old")
	wantCode(t, r, 3)
	wantText(t, r.Stderr, "npm (raw): layer 3 stolen at byte 0")
	if after := stored(b); !slices.Equal(after, before) {
		t.Errorf("the images were %q and are %q", before, after)
	}
	values := furnish(b, furnished+smoke)
	r = buildWith(b, "classic", "-o", "type=docker,dest=old.tar")
	wantCode(t, r, 0)
	for _, v := range append(values, value) {
		enginetest.NoTraces(t, "the output", r.All(), v)
	}
	old := readSaved(t, filepath.Join(b.Work, "old.tar"))
	newer := enginetest.NewBox(t, enginetest.StartDocker(t))
	newer.Work = b.Work
	newer.Env["NPM_TOKEN"] = b.Env["NPM_TOKEN"]
	wantCode(t, buildWith(newer, "classic", "-o", "type=docker,dest=new.tar"), 0)
	want := readSaved(t, filepath.Join(b.Work, "new.tar"))
	for _, name := range slices.Sorted(keys(want.files, old.files)) {
		if want.files[name] != old.files[name] {
			t.Errorf("%s\nis with Docker 26  %s\nand with Docker 20.10 %s", name, want.files[name], old.files[name])
		}
	}
	if old.config != want.config {
		t.Errorf("the config is with Docker 26\n%s\nand with Docker 20.10\n%s", want.config, old.config)
	}
	b.Docker("rmi", "-f", "old")
	nothingOfOurs(t, b)
	enginetest.NoTracesIn(t, d.Data+"/containers", value)
}
