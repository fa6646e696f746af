package shim_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tightlip/tightlip/broker"
	"github.com/tightlip/tightlip/broker/shim"
	"github.com/tightlip/tightlip/internal/enginetest"
	"github.com/tightlip/tightlip/secret/secrettest"
)

// traceless checks that a step left nothing behind.
func (o outcome) traceless(t *testing.T) {
	t.Helper()
	if len(o.changed) > 0 {
		t.Errorf("the step left traces: %q", o.changed)
	}
}

// want checks what a step's command printed, and that it worked.
func (o outcome) want(t *testing.T, stdout string) {
	t.Helper()
	if o.code != 0 || o.stdout != stdout || o.stderr != "" {
		t.Errorf("exit code %d, standard error %q, standard output\n%q, want\n%q", o.code, o.stderr, o.stdout, stdout)
	}
	o.traceless(t)
}

// fails checks that a step ended without having run its command.
func (o outcome) fails(t *testing.T, code int, stderr string) {
	t.Helper()
	if o.code != code || !strings.HasPrefix(o.stderr, "tightlip: ") || !strings.Contains(o.stderr, stderr) || o.stdout != "" {
		t.Errorf("exit code %d, standard output %q, standard error\n%s\nwant %d and\n%s", o.code, o.stdout, o.stderr, code, stderr)
	}
	o.traceless(t)
}

func TestStepSecrets(t *testing.T) {
	npm := shim.Mount{Kind: shim.Secret, ID: "npm", Target: "/run/secrets/npm"}
	with := func(change func(m *shim.Mount)) []shim.Mount {
		m := npm
		change(&m)
		return []shim.Mount{m}
	}
	for _, tt := range []struct {
		name, script, want string
		mounts             []shim.Mount
	}{
		{"default", "cat /run/secrets/npm; stat -c %a,%u,%g,%F -L /run/secrets/npm; stat -c %a /run /run/secrets", "VALUE400,0,0,regular file\n755\n755\n", with(func(*shim.Mount) {})},
		{"name behind the link", "readlink /run/secrets/npm | { IFS=/ read _ dev shm dir i name; echo $dev $shm $i $name; }", "dev shm 0 npm\n", with(func(*shim.Mount) {})},
		{"explicit target", "cat /root/.npmrc; cat ~/.npmrc", "VALUEVALUE", with(func(m *shim.Mount) { m.Target = "/root/.npmrc" })},
		{"target to clean", "cat /root/.npmrc", "VALUE", with(func(m *shim.Mount) { m.Target = "/root//x/../.npmrc" })},
		{"mode and owner", "stat -c %a,%u,%g -L /run/secrets/npm", "4750,1000,2000\n", with(func(m *shim.Mount) { m.Mode, m.UID, m.GID = 0o4750, 1000, 2000 })},
		{"variable", `printf %s "$TOKEN"; ls -a /dev/shm; [ ! -e /run ]`, "VALUE.\n..\n", with(func(m *shim.Mount) { m.Target, m.Env = "", "TOKEN" })},
		{"both", `printf %s "$TOKEN"; cat /run/secrets/npm`, "VALUEVALUE", with(func(m *shim.Mount) { m.Env = "TOKEN" })},
		{"the variable was set before", `env | grep -c ^HOME=; printf %s "$HOME"`, "1\nVALUE", with(func(m *shim.Mount) { m.Target, m.Env = "", "HOME" })},
		{"missing file", "ls /dev/shm; [ ! -e /run ]", "", with(func(m *shim.Mount) { m.ID = "none" })},
		{"missing variable", `echo "${TOKEN-unset}"`, "\n", with(func(m *shim.Mount) { m.ID, m.Target, m.Env = "none", "", "TOKEN" })},
		{"missing both", `echo "${TOKEN-unset}"; [ ! -e /run ]`, "\n", with(func(m *shim.Mount) { m.ID, m.Env = "none", "TOKEN" })},
		{"odd id", "cat /run/secrets/npm", "ODD", with(func(m *shim.Mount) { m.ID = "a/b %2F?x=\"é\n" })},
		{"twice at one place", "cat /run/secrets/npm", "ODD", []shim.Mount{npm, {Kind: shim.Secret, ID: "a/b %2F?x=\"é\n", Target: "/run/secrets/npm"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			value := secrettest.Canary(t)
			c := newContainer(t, broker.Options{Secrets: values{"npm": value, "a/b %2F?x=\"é\n": []byte("ODD")}})
			if err := os.Symlink("busybox", c.root+"/bin/grep"); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink("busybox", c.root+"/bin/printf"); err != nil {
				t.Fatal(err)
			}
			c.sh(tt.script, tt.mounts...).want(t, strings.ReplaceAll(tt.want, "VALUE", string(value)))
		})
	}
}

func TestStepValues(t *testing.T) {
	random := make([]byte, 5<<20)
	_, _ = rand.Read(random)
	for name, value := range map[string][]byte{
		"newlines": []byte("\r\n\na\n"), "zero bytes": []byte("a\x00b\x00"), "5 MB": random, "empty": {}, "one byte": {0xff},
		"a header": []byte("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newContainer(t, broker.Options{Secrets: values{"s": value}})
			sum := sha256.Sum256(value)
			mounts := []shim.Mount{{Kind: shim.Secret, ID: "s", Target: "/s"}}
			c.sh("sha256sum < /s", mounts...).want(t, hex.EncodeToString(sum[:])+"  -\n")
			mounts[0].Env = "S"
			switch out := c.sh(`echo -n "$S" | sha256sum`, mounts...); {
			case bytes.Contains(value, []byte{0}):
				out.fails(t, 125, `secret "s" holds a zero byte, so it cannot be in the variable S`)
			case len(value) > 1<<20:
				out.fails(t, 126, "argument list too long")
			default:
				out.want(t, hex.EncodeToString(sum[:])+"  -\n")
			}
		})
	}
}

func TestStepFails(t *testing.T) {
	npm := shim.Mount{Kind: shim.Secret, ID: "npm", Target: "/root/.npmrc"}
	touch := []string{"touch", "/ran"}
	for _, tt := range []struct {
		name   string
		change func(c *container)
		mounts []shim.Mount
		user   string
		cmd    []string
		code   int
		want   string
	}{
		{name: "required secret", mounts: []shim.Mount{npm, {Kind: shim.Secret, ID: "gone", Target: "/x", Required: true}}, want: `secret "gone" is required, and the build has none`},
		{name: "required agent", mounts: []shim.Mount{npm, {Kind: shim.SSH, ID: "default", Target: "/x", Required: true}}, want: `SSH agent "default" is required, and the build has none`},
		{name: "no server named", change: func(c *container) { c.env = []string{"PATH=/bin", "NO_PROXY=localhost"} }, want: "neither NO_PROXY nor no_proxy"},
		{name: "server gone", change: func(c *container) { c.env = []string{"PATH=/bin", "NO_PROXY=tightlip.7914.abc"} }, want: `secret "npm": connecting to tightlip's server`},
		{name: "wrong ticket", change: func(c *container) { c.env = []string{"PATH=/bin", "NO_PROXY=tightlip.7913.abc"} }, want: "does not know this build's ticket"},
		{name: "somebody else's server", change: func(c *container) { c.serve = answer("SSH-2.0-OpenSSH_9.2\r\n") }, want: "what answers is not tightlip's server"},
		{name: "no length", change: func(c *container) { c.serve = answer("HTTP/1.1 200 OK\r\n\r\nabc") }, want: "has no length"},
		{name: "short body", change: func(c *container) { c.serve = answer("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc") }, want: "sent 3 of 4 bytes"},
		{name: "long body", change: func(c *container) { c.serve = answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabc") }, want: "sent more than 2 bytes"},
		{name: "server error", change: func(c *container) { c.serve = answer("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n") }, want: "answered with status 500"},
		{name: "target is a folder", mounts: []shim.Mount{{Kind: shim.Secret, ID: "npm", Target: "/home/app"}}, want: "the target /home/app is a directory"},
		{name: "target is the root", mounts: []shim.Mount{{Kind: shim.Secret, ID: "npm", Target: "/"}}, want: "is a directory"},
		{name: "relative target", mounts: []shim.Mount{{Kind: shim.Secret, ID: "npm", Target: "x"}}, want: `target "x" of a secret mount is not an absolute path`},
		{name: "below a file", mounts: []shim.Mount{npm, {Kind: shim.Secret, ID: "npm", Target: "/etc/passwd/x"}}, want: "not a directory"},
		{name: "second mount fails", mounts: []shim.Mount{npm, {Kind: shim.Secret, ID: "npm", Target: "/x/y/z"}, {Kind: shim.Secret, ID: "npm", Target: "/x/y"}}, want: "open /x/y: not a directory"},
		{name: "files below a tmpfs", mounts: []shim.Mount{npm, {Kind: shim.Tmpfs, Target: "/etc"}}, want: "/etc has files in it: a tmpfs over them cannot be done by this builder"},
		{name: "tmpfs over a file", mounts: []shim.Mount{npm, {Kind: shim.Tmpfs, Target: "/etc/passwd"}}, want: "the target /etc/passwd of a tmpfs is not a directory"},
		{name: "a variable of no name", mounts: []shim.Mount{{Kind: shim.Secret, ID: "npm", Env: "A=B"}}, want: `"A=B" cannot be the name of a variable`},
		{name: "no such user", user: "nobody", want: `there is no user "nobody" in /etc/passwd`},
		{name: "no such group", user: "app:nobody", want: `there is no group "nobody" in /etc/group`},
		{name: "no such command", cmd: []string{"nonesuch"}, code: 127, want: "nonesuch: not found"},
		{name: "no such path", cmd: []string{"/bin/nonesuch"}, code: 127, want: "/bin/nonesuch: not found"},
		{name: "not executable", cmd: []string{"/etc/passwd"}, code: 126, want: "/etc/passwd: permission denied"},
		{name: "not executable in PATH", change: func(c *container) { c.write("bin/data", "x", 0o644) }, cmd: []string{"data"}, code: 126, want: "/bin/data: permission denied"},
		{name: "a folder", cmd: []string{"/etc"}, code: 126, want: "/etc: permission denied"},
		{name: "no program", change: func(c *container) { c.write("bin/data", "x", 0o755) }, cmd: []string{"data"}, code: 126, want: "data: exec format error"},
		{name: "broken interpreter", change: func(c *container) { c.write("bin/data", "#!/nonesuch\n", 0o755) }, cmd: []string{"data"}, code: 127, want: "data: not found"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := newContainer(t, broker.Options{Secrets: values{"npm": secrettest.Canary(t)}})
			c.write("root/.npmrc", "the image's own", 0o604)
			spec := shim.Spec{Mounts: tt.mounts, User: tt.user, Command: tt.cmd}
			if tt.mounts == nil {
				spec.Mounts = []shim.Mount{npm}
			}
			if tt.cmd == nil {
				spec.Command = touch
			}
			if tt.code == 0 {
				tt.code = shim.Failed
			}
			if tt.change != nil {
				tt.change(c)
			}
			c.run(spec).fails(t, tt.code, tt.want)
		})
	}
}

// answer is a server that always says the same.
func answer(text string) func(net.Listener) {
	return func(l net.Listener) {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 4096))
			_, _ = conn.Write([]byte(text))
			conn.Close()
		}
	}
}

func TestStepEnvironment(t *testing.T) {
	c := newContainer(t, broker.Options{Secrets: values{"npm": secrettest.Canary(t)}})
	element := c.server.Element(port)
	npm := shim.Mount{Kind: shim.Secret, ID: "npm", Target: "/x"}
	for _, tt := range []struct{ set, want []string }{
		{[]string{"NO_PROXY=" + element}, nil},
		{[]string{"no_proxy=" + element}, nil},
		{[]string{"NO_PROXY=localhost,.corp.example," + element}, []string{"NO_PROXY=localhost,.corp.example"}},
		{[]string{"NO_PROXY= a ,," + element, "no_proxy=b"}, []string{"NO_PROXY= a ,", "no_proxy=b"}},
		{[]string{"NO_PROXY=a", "no_proxy=a," + element}, []string{"NO_PROXY=a", "no_proxy=a"}},
		{[]string{"NO_PROXY=" + element, "no_proxy=" + element, "A=b"}, []string{"A=b"}},
	} {
		c.env = append([]string{"PATH=/bin"}, tt.set...)
		want := append([]string{"PATH=/bin"}, tt.want...)
		out := c.run(shim.Spec{Mounts: []shim.Mount{npm}, Command: []string{"env"}})
		out.want(t, strings.Join(want, "\n")+"\n")
	}
}

func TestStepRestores(t *testing.T) {
	npm := shim.Mount{Kind: shim.Secret, ID: "npm", Target: "/root/.npmrc"}
	deep := shim.Mount{Kind: shim.Secret, ID: "npm", Target: "/opt/a/b/.npmrc"}
	for _, tt := range []struct {
		name, script string
		mount        shim.Mount
		changed      []string // by the command
		note         string
		code         int
	}{
		{name: "nothing done", script: "true", mount: npm},
		{name: "command fails", script: "exit 3", mount: npm, code: 3},
		{name: "written to", script: "echo new > /root/.npmrc; touch /root/.npmrc", mount: npm},
		{name: "removed", script: "rm /root/.npmrc", mount: npm, changed: []string{"root"}},
		{name: "replaced", script: "echo new > /root/n; mv /root/n /root/.npmrc", mount: npm, changed: []string{"root"}, note: "the command replaced /root/.npmrc, which is a mount: what it put there is removed"},
		{name: "replaced by a link", script: "ln -sf /etc/passwd /root/.npmrc", mount: npm, changed: []string{"root"}, note: "what it put there is removed"},
		{name: "replaced by a folder", script: "rm /root/.npmrc; mkdir /root/.npmrc", mount: npm, changed: []string{"root", "root/.npmrc", "+root/.tightlip-"}, note: "made a directory of /root/.npmrc", code: 125},
		{name: "made and unused", script: "ls /opt/a/b", mount: deep},
		{name: "made and removed", script: "rm -r /opt/a", mount: deep},
		{name: "made and used", script: "touch /opt/a/file", mount: deep, changed: []string{"+opt", "+opt/a", "+opt/a/file"}},
		{name: "made and moved", script: "mv /opt/a/b /opt/c; touch /opt/c/file", mount: deep, changed: []string{"+opt", "+opt/c", "+opt/c/file"}},
		{name: "made and replaced", script: "rm -r /opt/a; touch /opt/a", mount: deep, changed: []string{"+opt", "+opt/a"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			value := secrettest.Canary(t)
			c := newContainer(t, broker.Options{Secrets: values{"npm": value}})
			c.write("root/.npmrc", "the image's own\x00", 0o604)
			out := c.sh(`[ "$(cat `+tt.mount.Target+`)" = `+string(value)+` ] || exit 99; `+tt.script, tt.mount)
			if out.code != tt.code || !strings.Contains(out.stderr, tt.note) || tt.note == "" && out.stderr != "" {
				t.Errorf("exit code %d, %s", out.code, out.stderr)
			}
			for i, path := range out.changed {
				if before, _, ok := strings.Cut(path, ".tightlip-"); ok {
					out.changed[i] = before + ".tightlip-"
				}
			}
			slices.Sort(out.changed)
			slices.Sort(tt.changed)
			if tt.name != "removed" && !slices.Equal(out.changed, tt.changed) && (tt.changed != nil || len(out.changed) > 0) {
				t.Errorf("changed are %q, want %q", out.changed, tt.changed)
			}
			for path, text := range c.snapshot() {
				if strings.Contains(text, string(value)) || strings.Contains(text, " /dev/shm/") {
					t.Errorf("%s is a trace", path)
				}
			}
		})
	}
}

// TestStepKeepsTimesOfCommand checks that what the command does to a folder is seen on it.
func TestStepKeepsTimesOfCommand(t *testing.T) {
	c := newContainer(t, broker.Options{Secrets: values{"npm": secrettest.Canary(t)}})
	out := c.sh("touch /root/file; touch -d @1500000000 /root", shim.Mount{Kind: shim.Secret, ID: "npm", Target: "/root/.npmrc"})
	info, err := os.Stat(c.root + "/root")
	if out.code != 0 || err != nil || info.ModTime().Unix() != 1500000000 {
		t.Errorf("%+v, %v, %v", out, info.ModTime(), err)
	}
}

func TestStepTmpfs(t *testing.T) {
	for _, tt := range []struct {
		name, script, want string
		mounts             []shim.Mount
		dir                string
	}{
		{"new", "stat -c %a,%u -L /t; touch /t/x; ls /t", "1777,0\nx\n", []shim.Mount{{Target: "/t"}}, ""},
		{"mode and owner", "stat -c %a,%u,%g -L /t/", "700,1000,2\n", []shim.Mount{{Target: "/t", Mode: 0o700, UID: 1000, GID: 2}}, ""},
		{"over an empty folder", "touch /home/app/x; ls /home/app", "x\n", []shim.Mount{{Target: "/home/app"}}, ""},
		{"behind a link", "touch /home/app/x; ls /link", "x\n", []shim.Mount{{Target: "/link"}}, ""},
		{"the working directory", "touch x; ls /home/app", "x\n", []shim.Mount{{Target: "/home/app"}}, "/home/app"},
		{"a secret in it", "cat /home/app/s/t", "VALUE", []shim.Mount{{Kind: shim.Secret, ID: "npm", Target: "/home/app/s/t"}, {Target: "/home/app"}}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			value := secrettest.Canary(t)
			c := newContainer(t, broker.Options{Secrets: values{"npm": value}})
			home := c.root + "/home/app"
			if err := os.Chmod(home, 0o2750|os.ModeSetgid|os.ModeSticky); err != nil {
				t.Fatal(err)
			}
			if err := os.Chown(home, 1000, 2000); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink("home/app", c.root+"/link"); err != nil {
				t.Fatal(err)
			}
			for i := range tt.mounts {
				if tt.mounts[i].Kind == "" {
					tt.mounts[i].Kind = shim.Tmpfs
				}
			}
			if tt.dir != "" {
				c.dir = tt.dir
			}
			c.sh(tt.script, tt.mounts...).want(t, strings.ReplaceAll(tt.want, "VALUE", string(value)))
		})
	}
}

func TestStepScript(t *testing.T) {
	text := "#!/bin/sh\necho \"$0 $# $(stat -c %a,%u $0)\"\nexit 4\n"
	for _, tt := range []struct {
		mount shim.Mount
		want  string
	}{
		{shim.Mount{ID: "EOF"}, "/dev/pipes/EOF 0 755,0\n"},
		{shim.Mount{ID: "EOF", Target: "/opt/x/run", Mode: 0o700}, "/opt/x/run 0 700,0\n"},
	} {
		c := newContainer(t, broker.Options{})
		c.env = []string{"PATH=/bin"} // no server is needed
		tt.mount.Kind, tt.mount.Text = shim.Script, text
		path, _, _ := strings.Cut(tt.want, " ")
		out := c.run(shim.Spec{Mounts: []shim.Mount{tt.mount}, Command: []string{path}})
		if out.code != 4 || out.stdout != tt.want || out.stderr != "" {
			t.Errorf("%+v", out)
		}
		out.traceless(t)
	}
}

func TestStepUser(t *testing.T) {
	for _, tt := range []struct{ user, home, want string }{
		{"", "/root", "0:0 0 /root\n"},
		{"app", "/root", "1000:1000 1000 2000 2001 /home/app\n"},
		{"app", "/", "1000:1000 1000 2000 2001 /\n"},
		{"app", "/elsewhere", "1000:1000 1000 2000 2001 /elsewhere\n"},
		{"app:docker", "/root", "1000:2000 2000 /home/app\n"},
		{"app:3000", "/root", "1000:3000 3000 /home/app\n"},
		{"1000", "/root", "1000:1000 1000 2000 2001 /home/app\n"},
		{"1000:1000", "/root", "1000:1000 1000 /home/app\n"},
		{"4242", "/root", "4242:0 0 /\n"},
		{"4242:4343", "/root", "4242:4343 4343 /\n"},
		{"nohome", "/root", "1001:1001 1001 /\n"},
		{"$WHO:${GROUP}", "/root", "1000:2001 2001 /home/app\n"},
		{"$NOBODY", "/root", "0:0 0 /root\n"},
	} {
		t.Run(tt.user+" "+tt.home, func(t *testing.T) {
			t.Parallel()
			value := secrettest.Canary(t)
			c := newContainer(t, broker.Options{Secrets: values{"npm": value}})
			c.env = append(c.env, "HOME="+tt.home, "WHO=app", "GROUP=audio")
			c.env = slices.DeleteFunc(c.env, func(e string) bool { return e == "HOME=/root" && tt.home != "/root" })
			mount := shim.Mount{Kind: shim.Secret, ID: "npm", Target: "/run/secrets/npm", Mode: 0o444}
			out := c.run(shim.Spec{Mounts: []shim.Mount{mount}, User: tt.user, Command: []string{"sh", "-c",
				`cat /run/secrets/npm; echo "$(id -u):$(id -g) $(id -G | { read a b; echo $a $b; }) $HOME"`}})
			out.want(t, string(value)+tt.want)
		})
	}
}

// TestStepUserCannotRead checks that the default mode keeps other users from a secret, as it does with BuildKit.
func TestStepUserCannotRead(t *testing.T) {
	c := newContainer(t, broker.Options{Secrets: values{"npm": secrettest.Canary(t)}})
	mount := shim.Mount{Kind: shim.Secret, ID: "npm", Target: "/run/secrets/npm"}
	spec := shim.Spec{Mounts: []shim.Mount{mount}, User: "app", Command: []string{"cat", "/run/secrets/npm"}}
	if out := c.run(spec); out.code != 1 || !strings.Contains(out.stderr, "Permission denied") || out.stdout != "" {
		t.Errorf("%+v", out)
	}
	spec.Command = []string{"ls", "/dev/shm/*/"}
	spec.Mounts[0].UID = 1000
	spec.Command = []string{"sh", "-c", "cat /run/secrets/npm >/dev/null && ls /dev/shm/.tightlip-* 2>&1"}
	if out := c.run(spec); out.code != 1 || !strings.Contains(out.stdout, "Permission denied") {
		t.Errorf("the owner of one secret can list the others: %+v", out)
	}
}

func TestStepWithoutShm(t *testing.T) {
	value := secrettest.Canary(t)
	c := newContainer(t, broker.Options{Secrets: values{"npm": value}})
	c.noShm = true
	c.sh("cat /x; readlink /x | { IFS=/ read _ dev dir rest; echo $dev $rest; }", shim.Mount{Kind: shim.Secret, ID: "npm", Target: "/x"}).want(t, string(value)+"dev 0/x\n")
}

func TestStepWithoutMemory(t *testing.T) {
	value := secrettest.Canary(t)
	c := newContainer(t, broker.Options{Secrets: values{"npm": value}})
	c.noMem = true
	out := c.sh("touch /ran", shim.Mount{Kind: shim.Secret, ID: "npm", Target: "/opt/x"})
	if out.code != shim.Failed || !strings.Contains(out.stderr, "secrets never go to a disk") {
		t.Errorf("%+v", out)
	}
	slices.Sort(out.changed)
	if want := []string{"+dev/self", "bin", "dev"}; !slices.Equal(out.changed, want) { // the test's own doing
		t.Errorf("changed are %q, want %q", out.changed, want)
	}
}

func TestStepExitCodes(t *testing.T) {
	mount := shim.Mount{Kind: shim.Secret, ID: "npm", Target: "/opt/x"}
	for script, want := range map[string]int{
		"exit 0": 0, "exit 1": 1, "exit 255": 255, "kill -9 $$": 137, "kill -TERM $$": 143, "kill -SEGV $$": 139,
		"sleep 1000 & exit 5": 5,
	} {
		t.Run(script, func(t *testing.T) {
			t.Parallel()
			c := newContainer(t, broker.Options{Secrets: values{"npm": secrettest.Canary(t)}})
			out := c.sh(script, mount)
			if out.code != want || out.stderr != "" {
				t.Errorf("%+v", out)
			}
			out.traceless(t)
		})
	}
}

func TestStepReapsAndRemovesItself(t *testing.T) {
	c := newContainer(t, broker.Options{Secrets: values{"npm": secrettest.Canary(t)}})
	out := c.sh(`for i in 1 2 3 4 5; do (sleep 0.01 &); done; sleep 0.5; ps -o stat,comm; ls -a /dev; echo $PPID`,
		shim.Mount{Kind: shim.Secret, ID: "npm", Target: "/x"})
	if out.code != 0 || strings.Contains(out.stdout, "Z") || strings.Contains(out.stdout, "sleep") || !strings.HasSuffix(out.stdout, "\n1\n") {
		t.Errorf("%+v", out)
	}
	if strings.Contains(out.stdout, "\n.tightlip\n") {
		t.Errorf("the shim is still there: %s", out.stdout)
	}
}

// TestStepPipe checks that the command does not inherit the shim's way with SIGPIPE.
func TestStepPipe(t *testing.T) {
	c := newContainer(t, broker.Options{})
	if err := os.Symlink("busybox", c.root+"/bin/grep"); err != nil {
		t.Fatal(err)
	}
	out := c.run(shim.Spec{Command: []string{"grep", "-E", "^SigIgn", "/proc/self/status"}})
	ignored, err := strconv.ParseUint(strings.TrimSpace(strings.TrimPrefix(out.stdout, "SigIgn:")), 16, 64)
	if err != nil || ignored&(1<<(syscall.SIGPIPE-1)) != 0 {
		t.Errorf("the command ignores %x, %v", ignored, err)
	}
}

func TestStepSignalled(t *testing.T) {
	mount := shim.Mount{Kind: shim.Secret, ID: "npm", Target: "/root/.npmrc"}
	for name, sig := range map[string]syscall.Signal{"TERM": syscall.SIGTERM, "INT": syscall.SIGINT, "HUP": syscall.SIGHUP, "USR1": syscall.SIGUSR1} {
		c := newContainer(t, broker.Options{Secrets: values{"npm": secrettest.Canary(t)}})
		c.during = func(step *os.Process) {
			enginetest.Eventually(t, time.Minute, "the command is ready", func() bool {
				_, err := os.Stat(fmt.Sprintf("/proc/%d/root/dev/up", step.Pid))
				return err == nil
			})
			_ = step.Signal(sig)
		}
		out := c.sh("trap 'echo got it; exit 7' "+name+"; >/dev/up; while :; do sleep 0.05; done", mount)
		if out.code != 7 || out.stdout != "got it\n" {
			t.Errorf("%v: %+v", sig, out)
		}
		out.traceless(t)
	}
}

// TestStepSignalledBefore stops a step that waits for its server.
func TestStepSignalledBefore(t *testing.T) {
	c := newContainer(t, broker.Options{})
	asked := make(chan bool)
	c.serve = func(l net.Listener) {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		close(asked)
		_, _ = conn.Read(make([]byte, 1<<20))
		_, _ = conn.Read(make([]byte, 1<<20)) // until the step gives up
	}
	c.during = func(step *os.Process) {
		<-asked
		_ = step.Signal(syscall.SIGTERM)
	}
	start := time.Now()
	out := c.sh("touch /ran", shim.Mount{Kind: shim.Secret, ID: "npm", Target: "/opt/x"})
	out.fails(t, 143, "stopped by a signal: terminated")
	if d := time.Since(start); d > 10*time.Second {
		t.Errorf("it took %s", d)
	}
}

func TestStepAudit(t *testing.T) {
	events := make(chan broker.Event, 10)
	c := newContainer(t, broker.Options{Secrets: values{"npm": secrettest.Canary(t)}, Audit: func(e broker.Event) { events <- e }})
	c.sh("true", shim.Mount{Kind: shim.Secret, ID: "npm", Env: "A"}, shim.Mount{Kind: shim.Secret, ID: "none", Env: "B"}, shim.Mount{Kind: shim.SSH, ID: "default", Target: "/s"}).want(t, "")
	close(events)
	var got []string
	for e := range events {
		got = append(got, fmt.Sprint(e.Kind, " ", e.ID, " ", e.Status))
	}
	if want := []string{"secret npm 200", "secret none 404", "ssh default 404"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
