package e2e

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/tightlip/tightlip/internal/enginetest"
)

// origin is a private server that steps use a credential at. It shows nothing without it.
type origin struct {
	*httptest.Server
	want string // the Authorization header

	mu    sync.Mutex
	asked []string
	known bool // somebody had the credential
}

func newOrigin(t testing.TB, want string) *origin {
	o := &origin{want: want}
	o.Server = httptest.NewServer(http.HandlerFunc(o.serve))
	t.Cleanup(o.Close)
	return o
}

func (o *origin) serve(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.asked = append(o.asked, r.URL.Path)
	if r.Header.Get("Authorization") != o.want {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	o.known = true
	fmt.Fprintf(w, "private %s\n", r.URL.Path)
}

func (o *origin) authorized() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.known
}

func (o *origin) paths() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.asked)
}

// brokeredEngines are those whose steps can use secrets through the broker.
var brokeredEngines = append(slices.Clone(engines),
	classic,
	engine{"oldest docker", func(t testing.TB) *enginetest.Box { return enginetest.NewBox(t, enginetest.StartOldestDocker(t)) }},
	engine{"podman", func(t testing.TB) *enginetest.Box { return enginetest.NewPodman(t).Box(t) }},
	engine{"buildah", func(t testing.TB) *enginetest.Box { return enginetest.NewPodman(t).Box(t) }},
	engine{"containerd's store", func(t testing.TB) *enginetest.Box { return enginetest.NewBox(t, enginetest.StartDockerContainerd(t)) }},
)

// flag is the engine's name on the command line.
func (e engine) flag() string {
	switch e.name {
	case "embedded", "podman", "buildah", "classic":
		return e.name
	}
	return "docker"
}

// brokered has steps of all kinds that use a secret; SERVER is where.
const brokered = base + `RUN mkdir -m 1777 /tmp
RUN --mount=type=secret,id=npm,required=true wget -q -O /file SERVER/file && cp /run/secrets/npm /tmp/seen && grep -q phantom /tmp/seen && rm /tmp/seen
RUN --mount=type=secret,id=npm wget -q -O /piped SERVER/piped; test -n "$HTTPS_PROXY" && test "$http_proxy" = "$HTTP_PROXY" && test -s "$SSL_CERT_FILE"
RUN --mount=type=secret,id=npm ["/bin/wget","-q","-O","/exec","SERVER/exec"]
USER 1000:1000
RUN --mount=type=secret,id=npm,uid=1000 cat /run/secrets/npm | grep -q phantom && wget -q -O /tmp/user SERVER/user
USER 0:0
RUN test -z "$HTTP_PROXY$http_proxy$SSL_CERT_FILE" && test ! -e /run/secrets/npm && cat /file /piped /exec /tmp/user > /all
`

// TestBroker: steps use a secret that they never have, nothing of it is in the image, and a second build asks for nothing.
func TestBroker(t *testing.T) {
	onEachOf(t, brokeredEngines, func(t *testing.T, e engine) {
		b := e.box(t)
		value := enginetest.PlainCanary()
		o := newOrigin(t, "Bearer "+value)
		b.Env["NPM_TOKEN"] = value
		project(b, strings.ReplaceAll(brokered, "SERVER", o.URL))
		b.Write("tightlip.yaml", []byte("version: 1\nsecrets:\n  npm: {from: env:NPM_TOKEN, broker: [{origin: \""+o.URL+"\", attach: bearer}]}\n"))
		args := []string{"build", "--engine", e.flag(), "--progress", "plain", "--audit", "audit.jsonl", "-o", "type=tar,dest=out.tar", "."}
		if e.name == "classic" {
			args = append(args[:len(args)-3], "-t", "brokered", ".")
			t.Cleanup(func() { b.Docker("rmi", "-f", "brokered") })
		}
		r := b.Tightlip(args...)
		wantCode(t, r, 2)
		wantText(t, r.Stderr, "tightlip.yaml:3:38: steps use secret npm at "+o.URL+", which a project's file may not decide on its own", "hint: tightlip trust")
		if got := o.paths(); len(got) > 0 {
			t.Errorf("without trust, the origin was asked for %q", got)
		}
		wantCode(t, b.Tightlip("trust"), 0)
		r = b.Tightlip(args...)
		wantCode(t, r, 0)
		enginetest.NoTraces(t, "the output", r.All(), value)
		wantText(t, r.Stderr, "tightlip.yaml lets steps use npm (env:NPM_TOKEN) at "+o.URL+"\n", o.URL+": 4 allowed with npm", "proven")
		if e.name != "classic" {
			wantText(t, r.Stderr, "RUN --mount=type=secret,id=npm,required=true wget")
		}
		if got := o.paths(); !slices.Equal(got, []string{"/file", "/piped", "/exec", "/user"}) {
			t.Errorf("the origin was asked for %q", got)
		}
		var got string
		if e.name == "classic" {
			got = printedBy(b, "brokered", "/bin/cat", "/all") + "\n"
		} else {
			wantCode(t, enginetest.Finish(t, b.Command("tar", "-xf", "out.tar", "all")), 0)
			got = string(readFile(t, filepath.Join(b.Work, "all")))
		}
		if got != "private /file\nprivate /piped\nprivate /exec\nprivate /user\n" {
			t.Errorf("the steps got %q", got)
		}
		text := string(readFile(t, filepath.Join(b.Work, "audit.jsonl")))
		enginetest.NoTraces(t, "the audit", text, value)
		wantText(t, text, `"sha256":"`+fmt.Sprintf("%x", sha256.Sum256([]byte("private /file\n")))+`"`, `"step":"line-5"`, `"path":"/file"`, `"verdict":"allowed"`, `"step":"line-9"`)
		r = b.Tightlip("audit")
		wantCode(t, r, 0)
		wantText(t, r.Stdout, "ORIGIN", o.URL+"  npm     allowed  4")
		r = b.Tightlip(args...)
		wantCode(t, r, 0)
		if n := len(o.paths()); n != 4 {
			t.Errorf("steps from the cache asked again:\n%s", r.Stderr)
		}
	})
}

// TestBrokerSeal: a sealed step reaches what the policy names, and nothing else.
func TestBrokerSeal(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		b := e.box(t)
		value := enginetest.PlainCanary()
		o, passed, other := newOrigin(t, "Bearer "+value), newOrigin(t, ""), newOrigin(t, "")
		b.Env["NPM_TOKEN"] = value
		project(b, base+`RUN --mount=type=secret,id=npm wget -q -O /ours `+o.URL+`/ours && wget -q -O /passed `+passed.URL+`/passed
RUN --mount=type=secret,id=npm ! wget -q -O /other `+other.URL+`/other && ! http_proxy= wget -q -T 2 -O /direct `+o.URL+`/direct && test $(ls /sys/class/net | wc -w) = 1
`)
		r := b.Tightlip("build", "--engine", e.flag(), "--progress", "plain", "--secret", "id=npm,env=NPM_TOKEN", "--broker", "npm="+o.URL+":bearer", "--broker-pass", passed.URL, "--seal", "-o", "type=tar,dest=out.tar", ".")
		wantCode(t, r, 0)
		wantText(t, r.Stderr, "1 allowed with npm", passed.URL+": 1 passed", other.URL+": 1 refused", "line-5: refused GET "+other.URL+"/other: 403 (the build is sealed")
		if len(o.paths()) != 1 || len(passed.paths()) != 1 || len(other.paths()) != 0 {
			t.Errorf("asked: %q, %q, %q", o.paths(), passed.paths(), other.paths())
		}
	})
}

// TestBrokerSealAll: without a network for any step, engines seal that cannot take it from one.
func TestBrokerSealAll(t *testing.T) {
	onEachTool(t, func(t *testing.T, tool string, b *enginetest.Box, _ *enginetest.Podman) {
		value := enginetest.PlainCanary()
		o, other := newOrigin(t, "Bearer "+value), newOrigin(t, "")
		b.Env["NPM_TOKEN"] = value
		project(b, base+`RUN --mount=type=secret,id=npm wget -q -O /ours `+o.URL+`/ours
RUN --mount=type=secret,id=npm ! wget -q -O /other `+other.URL+`/other && ! http_proxy= wget -q -O /direct `+o.URL+`/direct && test $(ls /sys/class/net | wc -w) = 1
`)
		args := []string{"build", "--engine", tool, "--progress", "plain", "--secret", "id=npm,env=NPM_TOKEN", "--broker", "npm=" + o.URL + ":bearer", "--seal", "-t", "sealed", "--network"}
		if b.Env["BUILDAH_ISOLATION"] == "chroot" {
			wantCode(t, b.Tightlip(append(args, "none", ".")...), 2)
			return
		}
		wantCode(t, b.Tightlip(append(args, "default", ".")...), 2) // Debian 12's buildah
		r := b.Tightlip(append(args, "none", ".")...)
		wantCode(t, r, 0)
		wantText(t, r.Stderr, "1 allowed with npm", other.URL+": 1 refused", "(the build is sealed")
		if len(o.paths()) != 1 || len(other.paths()) != 0 {
			t.Errorf("asked: %q, %q", o.paths(), other.paths())
		}
	})
}

// TestBrokerPhantom: a phantom in the image is found, with the line that wrote it.
func TestBrokerPhantom(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		b := e.box(t)
		value := enginetest.PlainCanary()
		b.Env["NPM_TOKEN"] = value
		project(b, base+`RUN --mount=type=secret,id=npm base64 /run/secrets/npm > /leak
RUN rm /leak
`)
		args := []string{"build", "--engine", e.flag(), "--broker", "npm=https://npm.corp.example:bearer", "--secret", "id=npm,env=NPM_TOKEN", "-o", "type=oci,dest=out.tar"}
		if e.inDocker() {
			args = append(args[:len(args)-2], "-t", "phantom")
			t.Cleanup(func() { b.Docker("rmi", "-f", "phantom") })
		}
		r := b.Tightlip(append(args, ".")...)
		wantCode(t, r, 3)
		wantText(t, r.Stderr, "phantom of npm (base64", "Dockerfile:4", "deleted later", "the phantom of a secret is in the image", "--allow-phantom")
		if _, err := os.Stat(filepath.Join(b.Work, "out.tar")); err == nil || strings.Contains(r.Stderr, "tightlip: named") {
			t.Error("the image has a name")
		}
		for _, more := range []string{"--allow-phantom", "--prove=warn"} { // from the cache, with another phantom
			r = b.Tightlip(append(args, more, "--format", "json", ".")...)
			wantCode(t, r, 0)
			var out struct {
				Named    bool
				Findings []struct {
					Secret  string
					Phantom bool
				}
			}
			if err := json.Unmarshal([]byte(r.Stdout), &out); err != nil || !out.Named || len(out.Findings) == 0 || !out.Findings[0].Phantom || out.Findings[0].Secret != "npm" {
				t.Errorf("%s: %v\n%s", more, err, r.Stdout)
			}
		}
	})
}

// TestBrokerTicket: the proxy's password in the image is found, also by another build.
func TestBrokerTicket(t *testing.T) {
	b := newEmbeddedBox(t)
	b.Env["NPM_TOKEN"] = enginetest.PlainCanary()
	project(b, base+`RUN --mount=type=secret,id=npm echo "Acquire::http::Proxy \"$HTTP_PROXY\";" > /proxy.conf
`)
	args := []string{"build", "--engine", "embedded", "--broker", "npm=https://npm.corp.example:bearer", "--secret", "id=npm,env=NPM_TOKEN", "-o", "type=oci,dest=out.tar"}
	for range 2 {
		r := b.Tightlip(append(args, ".")...)
		wantCode(t, r, 3)
		wantText(t, r.Stderr, "  the broker's ticket (raw): ", "proxy.conf", "Dockerfile:4", "nowhere in the image, but the broker's ticket is", "the ticket of a broker is in the image", "--allow-phantom")
	}
	wantCode(t, b.Tightlip(append(args, "--allow-phantom", ".")...), 0)
}

// TestBrokerKeepsApart: a step has the use of those secrets that it mounts, and files keep their form.
func TestBrokerKeepsApart(t *testing.T) {
	b := newEmbeddedBox(t)
	npm, pip := enginetest.PlainCanary(), enginetest.PlainCanary()
	one, two := newOrigin(t, "Bearer "+npm), newOrigin(t, "Basic "+base64.StdEncoding.EncodeToString([]byte("ci:"+pip)))
	host := strings.TrimPrefix(two.URL, "http://")
	_, port, err := net.SplitHostPort(host)
	if err != nil {
		t.Fatal(err)
	}
	b.Write("netrc", []byte("machine other.example login x password "+enginetest.PlainCanary()+"\nmachine 127.0.0.1:"+port+" login ci password "+pip+"\n"))
	b.Write("npmrc", []byte("registry="+one.URL+"/\n//"+strings.TrimPrefix(one.URL, "http://")+"/:_authToken="+npm+"\n"))
	project(b, base+`RUN --mount=type=secret,id=npm,target=/root/.npmrc grep -q '_authToken=phantom' /root/.npmrc && grep -q ^registry= /root/.npmrc && wget -q -O /one `+one.URL+`/one && ! wget -q -O /no `+two.URL+`/no
RUN --mount=type=secret,id=pip,target=/root/.netrc grep -q 'login ci password phantom' /root/.netrc && test $(grep -c phantom /root/.netrc) = 2 && wget -q -O /two `+two.URL+`/two && ! wget -q -O /no `+one.URL+`/no
RUN --mount=type=secret,id=npm --mount=type=secret,id=pip wget -q -O /both1 `+one.URL+`/both && wget -q -O /both2 `+two.URL+`/both
`)
	r := b.Tightlip("build", "--engine", "embedded", "--progress", "plain", "--secret", "id=npm,src=npmrc", "--secret", "id=pip,src=netrc",
		"--broker", "npm="+one.URL+":bearer", "--broker", "pip="+two.URL+":basic", "--broker-pass", "http://127.0.0.1:1", "-o", "type=tar,dest=out.tar", ".")
	wantCode(t, r, 0)
	for _, o := range []*origin{one, two} {
		if n := len(o.paths()); n != 2 { // what is not declared for a step is no business of it, and on loopback it is refused
			t.Errorf("%s was asked for %q", o.URL, o.paths())
		}
	}
	for _, value := range []string{npm, pip} {
		enginetest.NoTraces(t, "the output", r.All(), value)
	}
}

// TestBrokerRefusals: what cannot be done is said before anything is built.
func TestBrokerRefusals(t *testing.T) {
	b := newEmbeddedBox(t)
	b.Env["NPM_TOKEN"], b.Env["SHORT"] = enginetest.PlainCanary(), "short"
	project(b, base+"RUN --mount=type=secret,id=npm,target=/x --network=host true\n")
	b.Write("lines", []byte("several\nlines of text\n"))
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"--secret", "id=npm,env=NPM_TOKEN", "--broker", "npm=npm.corp.example"}, "ID=ORIGIN:ATTACH"},
		{[]string{"--secret", "id=npm,env=NPM_TOKEN", "--broker", "npm=https://npm.corp.example:basic"}, "needs a user"},
		{[]string{"--secret", "id=npm,env=SHORT", "--broker", "npm=https://npm.corp.example:bearer"}, "under 8"},
		{[]string{"--secret", "id=npm,src=lines", "--broker", "npm=https://npm.corp.example:bearer"}, "no token, and no file"},
		{[]string{"--secret", "id=npm,env=NPM_TOKEN", "--seal"}, "there is none"},
		{[]string{"--secret", "id=npm,env=NPM_TOKEN", "--broker", "npm=https://npm.corp.example:bearer", "--seal"}, "asks for --network=host"},
		{[]string{"--broker", "npm=https://npm.corp.example:bearer"}, "npm"},
	} {
		r := b.Tightlip(slices.Concat([]string{"build", "--engine", "embedded"}, tt.args, []string{"."})...)
		if r.Code != 2 {
			t.Errorf("%q: exit code %d\n%s", tt.args, r.Code, r.Stderr)
		}
		wantText(t, r.Stderr, tt.want)
	}
}

// TestBrokerLeavesNoTrace wants the image of a brokered build to be that of a plain one, the wording of its history aside.
func TestBrokerLeavesNoTrace(t *testing.T) {
	b := enginetest.NewBox(t, enginetest.StartDocker(t))
	withSecret(b, plainDockerfile)
	b.Docker("buildx", "build", "-q", "--provenance=false", "--secret", "id=npm,env=NPM_TOKEN", "-t", "plain", ".")
	wantCode(t, buildWith(b, "docker", "--provenance=false", "--broker", "npm=https://npm.corp.example:bearer", "-t", "ours"), 0)
	if plain, ours := inspect(t, b, "plain").Config, inspect(t, b, "ours").Config; string(plain) != string(ours) {
		t.Errorf("docker build's config is\n%s\nand tightlip's\n%s", plain, ours)
	}
	if plain, ours := savedFiles(t, b, "plain"), savedFiles(t, b, "ours"); !slices.Equal(plain, ours) {
		t.Errorf("docker build's files are\n%q\nand tightlip's\n%q", plain, ours)
	}
	b.Docker("rmi", "-f", "plain", "ours")
}

// TestBrokerBesideAgent: a step may have an SSH agent, too.
func TestBrokerBesideAgent(t *testing.T) {
	b := newEmbeddedBox(t)
	withSecret(b, base+`RUN --mount=type=secret,id=npm --mount=type=ssh,target=/agent test "$SSH_AUTH_SOCK" = /agent && test -S /agent
RUN --mount=type=secret,id=npm test -z "$SSH_AUTH_SOCK"
`)
	key := filepath.Join(b.Dir, "key")
	wantCode(t, enginetest.Finish(t, b.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)), 0)
	wantCode(t, buildWith(b, "embedded", "--broker", "npm=https://npm.corp.example:bearer", "--ssh", "default="+key, "-o", "type=tar,dest=out.tar"), 0)
}

// TestRehearsal: where secrets would leak is shown without any secret, also behind steps that fail for want of one.
func TestRehearsal(t *testing.T) {
	onEachOf(t, brokeredEngines, func(t *testing.T, e engine) {
		if e.name == "buildah" || e.name == "containerd's store" { // as podman, and as docker
			return
		}
		b := e.box(t)
		project(b, base+`RUN --mount=type=secret,id=npm,required=true cp /run/secrets/npm /.npmrc && false
RUN rm /.npmrc
RUN false
RUN [ -z "$DONE" ]
ENV DONE=yes
`)
		args := []string{"build", "--engine", e.flag(), "--rehearse", "-t", "rehearsed", "."}
		r := b.Tightlip(args...)
		wantCode(t, r, 3)
		wantText(t, r.Stderr, "phantom of npm (raw)", ".npmrc", "Dockerfile:4  RUN --mount=type=secret,id=npm,required=true cp", "deleted later", "failed with code 1")
		b.Write("Dockerfile", []byte(base+"RUN --mount=type=secret,id=npm,required=true test -s /run/secrets/npm\n"))
		r = b.Tightlip(args...)
		wantCode(t, r, 0)
		wantText(t, r.Stderr, "rehearsed: what stands in for npm is nowhere in the image")
		if (e.flag() == "docker" || e.flag() == "classic") && b.Docker("images", "-q", "rehearsed") != "" {
			t.Error("a rehearsal has named an image")
		}
	})
}

// TestBrokerAdd: the builder fetches by itself what ADD names, with the credential for that origin. No step gets it.
func TestBrokerAdd(t *testing.T) {
	b := newEmbeddedBox(t)
	value := enginetest.PlainCanary()
	b.Env["NPM_TOKEN"] = value
	o, other := newOrigin(t, "Bearer "+value), newOrigin(t, "Bearer "+value)
	build := func(dockerfile string) enginetest.Result {
		project(b, dockerfile)
		return b.Tightlip("build", "--engine", "embedded", "--progress", "plain", "--secret", "id=npm,env=NPM_TOKEN", "--broker", "npm="+o.URL+":bearer", "-o", "type=tar,dest=out.tar", ".")
	}
	r := build(base + "ADD " + o.URL + "/added /\nRUN grep -q private /added\n")
	wantCode(t, r, 0)
	enginetest.NoTraces(t, "the output", r.All(), value)
	if strings.Contains(r.Stderr, "no step asked for secret npm") {
		t.Errorf("the secret counts as unused:\n%s", r.Stderr)
	}
	if r := build(base + "ADD " + o.URL + "/a " + other.URL + "/b /\n"); r.Code == 0 || len(other.paths()) > 0 && other.authorized() {
		t.Errorf("an origin that no route names got the credential: exit code %d\n%s", r.Code, r.Stderr)
	}
	host := strings.TrimPrefix(o.URL, "http://")
	for _, id := range []string{"HTTP_AUTH_HEADER_127.0.0.1", "GIT_AUTH_HEADER." + host, "tightlip-shim"} {
		r := build(base + "ADD " + o.URL + "/added /\nRUN --mount=type=secret,id=" + id + ",target=/x cat /x\n")
		wantCode(t, r, 2)
		enginetest.NoTraces(t, "the output", r.All(), value)
	}
}

// TestBrokerStates: the report and the statement say what steps fetched.
func TestBrokerStates(t *testing.T) {
	b := newEmbeddedBox(t)
	value := enginetest.PlainCanary()
	o := newOrigin(t, "Bearer "+value)
	b.Env["NPM_TOKEN"] = value
	project(b, base+"RUN --mount=type=secret,id=npm wget -q -O /a "+o.URL+"/a\n")
	r := b.Tightlip("build", "--engine", "embedded", "--secret", "id=npm,env=NPM_TOKEN", "--broker", "npm="+o.URL+":bearer", "-o", "type=oci,dest=out.tar", "--proof", "proof.json", "--format", "json", ".")
	wantCode(t, r, 0)
	var printed struct {
		Requests []struct {
			Origin, Secret, Verdict string
			Requests                int
		}
	}
	if err := json.Unmarshal([]byte(r.Stdout), &printed); err != nil || len(printed.Requests) != 1 || printed.Requests[0].Requests != 1 || printed.Requests[0].Secret != "npm" {
		t.Errorf("%v\n%s", err, r.Stdout)
	}
	var statement struct {
		Predicate struct {
			Materials []struct {
				URI    string
				Digest map[string]string
			}
		}
	}
	err := json.Unmarshal(readFile(t, filepath.Join(b.Work, "proof.json")), &statement)
	want := fmt.Sprintf("%x", sha256.Sum256([]byte("private /a\n")))
	if m := statement.Predicate.Materials; err != nil || len(m) != 1 || m[0].URI != o.URL+"/a" || m[0].Digest["sha256"] != want {
		t.Errorf("%v: %v", err, m)
	}
}

// TestBrokerHostile: a Dockerfile that wants more than it may.
func TestBrokerHostile(t *testing.T) {
	b := newEmbeddedBox(t)
	value, pip := enginetest.PlainCanary(), enginetest.PlainCanary()
	b.Env["NPM_TOKEN"], b.Env["PIP_TOKEN"] = value, pip
	one, two := newOrigin(t, "Bearer "+value), newOrigin(t, "Bearer "+pip)
	run := func(dockerfile string) enginetest.Result {
		project(b, base+dockerfile)
		return b.Tightlip("build", "--engine", "embedded", "--progress", "plain", "--secret", "id=npm,env=NPM_TOKEN", "--secret", "id=pip,env=PIP_TOKEN",
			"--broker", "npm="+one.URL+":bearer", "--broker", "pip="+two.URL+":bearer", "-o", "type=tar,dest=out.tar", ".")
	}
	step := "RUN --mount=type=secret,id=npm wget -q -O /a " + one.URL + "/a\n"
	for name, more := range map[string]string{
		"another step's connection": "RUN --mount=type=ssh,id=tightlip-broker-0123456789abcdef,target=/s true\n",
		"in a variable":             "ARG X=tightlip-broker-0123456789abcdef\nRUN --mount=type=ssh,id=$X,target=/s true\n",
		"another step's folder":     "RUN --mount=type=bind,from=tightlip-broker-0123456789abcdef,target=/s true\n",
		"a copy of it":              "COPY --from=tightlip-broker-0123456789abcdef . /x\n",
		"the shim":                  "RUN --mount=type=secret,id=tightlip-shim,target=/x true\n",
	} {
		r := run(step + more)
		if r.Code != 2 || !strings.Contains(r.Stderr, "tightlip's own") {
			t.Errorf("%s: exit code %d\n%s", name, r.Code, r.Stderr)
		}
	}
	// One text, two secrets: each step has its own.
	r := run("ARG ID=pip U=" + two.URL + "\nRUN --mount=type=secret,id=$ID wget -q -O - $U/same\nARG ID=npm U=" + one.URL + "\nRUN --mount=type=secret,id=$ID wget -q -O - $U/same\n")
	wantCode(t, r, 0)
	wantText(t, r.Stderr, one.URL+": 1 allowed with npm", two.URL+": 1 allowed with pip")
	// More connections than a builder's session carries at a time.
	r = run("RUN --mount=type=secret,id=npm for i in $(seq 300); do wget -q -O /dev/null " + one.URL + "/many & done; wait\n")
	wantCode(t, r, 0)
	wantText(t, r.Stderr, one.URL+": 300 allowed with npm")
}

// TestBrokerDoor: a step finds an origin at a port of its loopback; two steps at a time take turns; another user of the machine, whose
// network the embedded engine's steps share, gets no word, and root
// outside of the step needs the phantom.
func TestBrokerDoor(t *testing.T) {
	b := newEmbeddedBox(t)
	value := enginetest.PlainCanary()
	b.Env["NPM_TOKEN"] = value
	o := newOrigin(t, "Bearer "+value)
	_, port, err := net.SplitHostPort(enginetest.FreeAddress(t))
	if err != nil {
		t.Fatal(err)
	}
	b.Write("tightlip.yaml", []byte("version: 1\nsecrets:\n  npm: {from: env:NPM_TOKEN, broker: [{origin: \""+o.URL+"\", attach: bearer, listen: "+port+", client: npm}]}\n"))
	const step = `RUN --mount=type=secret,id=npm unset http_proxy HTTP_PROXY; sleep 1; wget -q -O /fileN ${npm_config_registry}fileN && test "$npm_config_registry" = http://127.0.0.1:PORT/`
	stage := func(n string) string {
		return "COPY --from=0 / /\n" + strings.NewReplacer("fileN", "file"+n, "PORT", port).Replace(step) + "\n"
	}
	project(b, base+"FROM scratch AS one\n"+stage("1")+"FROM scratch\n"+stage("2")+"COPY --from=one /file1 /\n")
	var tried, roots atomic.Bool
	done := make(chan struct{})
	defer close(done)
	go func() {
		for {
			cmd := exec.Command(enginetest.Tool(t, "curl"), "-sS", "-m", "2", "http://127.0.0.1:"+port+"/stolen")
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 54321, Gid: 54321}}
			if out, _ := cmd.CombinedOutput(); strings.Contains(string(out), "reset") || strings.Contains(string(out), "Empty reply") {
				tried.Store(true)
			}
			if out, _ := exec.Command(enginetest.Tool(t, "curl"), "-sS", "-m", "2", "http://127.0.0.1:"+port+"/roots").CombinedOutput(); strings.Contains(string(out), "wants the phantom") {
				roots.Store(true)
			}
			select {
			case <-done:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	r := b.Tightlip("build", "--engine", "embedded", "--progress", "plain", "--allow-source", "broker", "-o", "type=tar,dest=out.tar", "--audit", "audit.jsonl", ".")
	wantCode(t, r, 0)
	wantText(t, r.Stderr, o.URL+": 2 allowed with npm", "waiting for 127.0.0.1:"+port)
	if text := string(readFile(t, filepath.Join(b.Work, "audit.jsonl"))); strings.Contains(text, "stolen") {
		t.Errorf("another user was answered:\n%s", text)
	}
	if !tried.Load() || !roots.Load() {
		t.Errorf("connections of others were refused: another user's %t, root's outside of the step %t", tried.Load(), roots.Load())
	}
}

// TestBrokerPorts: the proxy takes no port that a door is to have, although the system would choose it.
func TestBrokerPorts(t *testing.T) {
	enginetest.NeedRoot(t)
	b := newEmbeddedBox(t)
	b.Env["NPM_TOKEN"] = enginetest.PlainCanary()
	const route = "{origin: \"https://npm.corp.example\", attach: bearer, listen: 40001}"
	b.Write("policy.yaml", []byte("secrets: {npm: ["+route+"]}\n"))
	b.Write("tightlip.yaml", []byte("version: 1\nsecrets: {npm: {from: env:NPM_TOKEN, broker: ["+route+"]}}\n"))
	project(b, base+"RUN --mount=type=secret,id=npm echo $HTTP_PROXY | grep -q :40000\n")
	inside := func(script string) enginetest.Result {
		// The system prefers the odd one of the two ports that it may choose.
		return b.Run("unshare", "--net", "sh", "-ec", `ip link set lo up; echo "40000 40001" > /proc/sys/net/ipv4/ip_local_port_range; `+script, "sh", enginetest.Binary(t))
	}
	r := inside(`"$1" broker --policy policy.yaml --secret id=npm,env=NPM_TOKEN --env-file env & for i in $(seq 100); do test -e env && break; sleep 0.1; done; cat env; kill $!; wait`)
	wantCode(t, r, 0)
	wantText(t, r.Stdout, "@127.0.0.1:40000\n")
	r = inside(`timeout 60 "$1" build --engine embedded --progress plain --allow-source broker -o type=tar,dest=out.tar .`)
	wantCode(t, r, 0)
}
