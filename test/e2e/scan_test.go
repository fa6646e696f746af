package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tightlip/tightlip/finding"
	"github.com/tightlip/tightlip/internal/enginetest"
	"github.com/tightlip/tightlip/report"
)

// leaking is a Dockerfile that leaks in five ways. NETRC stands for what copies a netrc, and the values for themselves.
const leaking = base + `COPY .npmrc /root/
RUN rm /root/.npmrc
ARG DEPLOY_TOKEN
RUN echo "${#DEPLOY_TOKEN}" > /size
ENV DB_PASSWORD=ENV_VALUE
NETRC
LABEL io.example.password=LABEL_VALUE
`

// expected is a finding that a scan has to have.
type expected struct {
	where, path, field string
	layer, line        int
	status             finding.Status
}

var leakingFindings = map[string]expected{
	"deleted file": {where: "file", path: "root/.npmrc", layer: 3, line: 4, status: finding.Deleted},
	"argument":     {where: "history", line: 7},
	"environment":  {where: "config.Env", field: "config.Env[1]", line: 8},
	"visible file": {where: "file", path: "root/.netrc", layer: 6, line: 9, status: finding.Visible},
	"label":        {where: "config.Labels", field: "config.Labels.io.example.password", line: 10},
}

func (e expected) is(f finding.Leak) bool {
	return f.Where == e.where && f.Path == e.path && (e.field == "" || f.Field == e.field) && f.Layer == e.layer && f.Status == e.status &&
		f.Source != nil && f.Source.File == "Dockerfile" && f.Source.Line == e.line
}

// leakingProject is a box with what the builders need, and the values.
type leakingProject struct {
	*enginetest.Box
	values []string
	files  map[string][]byte // that leak, by their path in the image
}

func newLeakingProject(t *testing.T, netrc string) *leakingProject {
	t.Helper()
	p := &leakingProject{Box: enginetest.NewBox(t, enginetest.StartDocker(t))}
	for range 5 {
		p.values = append(p.values, enginetest.PlainCanary())
	}
	p.files = map[string][]byte{
		"root/.npmrc": fmt.Appendf(nil, "registry=https://npm.corp.example/\n//npm.corp.example/:_authToken=%s\n", p.values[0]),
		"root/.netrc": fmt.Appendf(nil, "machine git.corp.example login ci password %s\n", p.values[1]),
	}
	for name, content := range p.files {
		p.Write(filepath.Base(name), content)
	}
	project(p.Box, strings.NewReplacer("ENV_VALUE", p.values[2], "LABEL_VALUE", p.values[3], "NETRC", netrc).Replace(leaking))
	p.Env["DEPLOY_TOKEN"] = p.values[4]
	return p
}

// builders are Docker's two, with the instruction that copies a netrc.
var builders = []struct{ name, buildkit, netrc string }{
	{"classic", "0", "COPY .netrc /root/"},
	{"buildkit", "1", "RUN --mount=type=secret,id=netrc cp /run/secrets/netrc /root/.netrc"},
}

// build builds the image with Docker itself.
func (p *leakingProject) build(buildkit, name string) {
	p.T.Helper()
	p.Env["DOCKER_BUILDKIT"] = buildkit
	args := []string{"build", "-q", "--build-arg", "DEPLOY_TOKEN", "-t", name}
	if buildkit == "1" {
		args = append(args, "--secret", "id=netrc,src=.netrc")
	}
	p.Docker(append(args, ".")...)
	p.T.Cleanup(func() { p.Docker("rmi", "-f", name) })
}

// scan scans images, wants an exit code and no value in the output, and returns the reports.
func (p *leakingProject) scan(code int, args ...string) []report.Scan {
	p.T.Helper()
	r := p.Tightlip(append([]string{"scan", "--format", "json"}, args...)...)
	wantCode(p.T, r, code)
	for _, value := range p.values {
		enginetest.NoTraces(p.T, "the output", r.All(), value)
	}
	return parseScans(p.T, r)
}

func parseScans(t testing.TB, r enginetest.Result) []report.Scan {
	t.Helper()
	var list []report.Scan
	text := []byte(r.Stdout)
	if !bytes.HasPrefix(text, []byte("[")) {
		text = slices.Concat([]byte("["), text, []byte("]"))
	}
	if err := json.Unmarshal(text, &list); err != nil {
		t.Fatalf("standard output is not JSON: %v\n%s", err, r.All())
	}
	return list
}

// TestScan builds an image that leaks in five ways, and finds them wherever the image is.
func TestScan(t *testing.T) {
	for _, builder := range builders {
		t.Run(builder.name, func(t *testing.T) {
			p := newLeakingProject(t, builder.netrc)
			name := "scanned:" + builder.name
			p.build(builder.buildkit, name)
			here := p.scan(3, "--dockerfile", "Dockerfile", name)[0]
			for what, want := range leakingFindings {
				if !slices.ContainsFunc(here.Findings, want.is) {
					t.Errorf("the %s is not found as %+v:\n%s", what, want, show(here))
				}
			}
			if files := inFiles(here); len(files) != 2 || len(here.Unread) > 0 {
				t.Errorf("found in files: %v, unread: %+v\n%s", files, here.Unread, show(here))
			}
			for _, s := range p.sources(t, name) {
				t.Run(s.name, func(t *testing.T) { p.in(t, s.host).sameFrom(here, s.ref) })
			}
			for _, value := range p.values {
				enginetest.NoTracesIn(t, p.Env["TIGHTLIP_CACHE_DIR"], value)
			}
		})
	}
}

// in is the project in a test below its own, with another Docker.
func (p *leakingProject) in(t *testing.T, host string) *leakingProject {
	q, box := *p, *p.Box
	box.T, box.Env = t, maps.Clone(p.Env)
	box.Env["DOCKER_HOST"] = host
	q.Box = &box
	return &q
}

// source is where an image is: a reference, and the Docker that it is about.
type source struct{ name, ref, host string }

// sources puts an image of Docker's wherever images can be.
func (p *leakingProject) sources(t *testing.T, name string) []source {
	t.Helper()
	registry := enginetest.StartRegistry(t, "ci", "password")
	p.Login(registry)
	pushed := registry.Host + "/team/app:1"
	p.Docker("tag", name, pushed)
	t.Cleanup(func() { p.Docker("rmi", "-f", pushed) })
	p.Docker("push", "-q", pushed)
	p.Docker("save", "-o", filepath.Join(p.Work, "saved.tar"), name)
	container := p.Docker("create", name, "/bin/true")
	t.Cleanup(func() { p.Docker("rm", "-f", container) })
	for _, v := range enginetest.NewPodman(t).Env {
		key, value, _ := strings.Cut(v, "=")
		p.Env[key] = value
	}
	wantCode(t, p.Run("podman", "load", "-q", "-i", "saved.tar"), 0)
	here := p.Env["DOCKER_HOST"]
	list := []source{
		{"docker", "docker:" + name, here}, {"podman", "podman:" + name, here}, {"archive", "tar:saved.tar", here},
		{"registry", "registry:" + pushed, here}, {"container", "container:" + container, here},
	}
	for kind, docker := range map[string]*enginetest.Docker{"oldest docker": enginetest.StartOldestDocker(t), "docker with containerd": enginetest.StartDockerContainerd(t)} {
		docker.Run(t, p.Work, "load", "-q", "-i", "saved.tar")
		t.Cleanup(func() { docker.Run(t, p.Work, "rmi", "-f", name) })
		list = append(list, source{kind, "docker:" + name, docker.Host})
	}
	return list
}

// sameFrom scans the image where a reference says, and wants the files that leak found as they were in Docker, and extracted.
func (p *leakingProject) sameFrom(here report.Scan, ref string) {
	t := p.T
	t.Helper()
	there := p.scan(3, ref)[0]
	want := inFiles(here)
	if strings.HasPrefix(ref, "container:") {
		delete(want, "root/.npmrc") // a container has only what is visible
	}
	if got := inFiles(there); !maps.Equal(got, want) {
		t.Errorf("the fingerprints are %v, and were %v:\n%s", got, want, show(there))
	}
	if len(there.Unread) > 0 {
		t.Errorf("unread: %+v", there.Unread)
	}
	path := "root/.npmrc"
	if want[path] == "" {
		path = "root/.netrc"
	}
	p.extracts(path, ref, want[path])
}

// inFiles are the fingerprints of what was found in files, by path.
func inFiles(s report.Scan) map[string]string {
	out := map[string]string{}
	for _, f := range s.Findings {
		if f.Where == "file" {
			out[f.Path] += f.Fingerprint
		}
	}
	return out
}

// extracts takes a file out of its layer, once.
func (p *leakingProject) extracts(path, ref, fingerprint string) {
	t := p.T
	t.Helper()
	to := filepath.Join(t.TempDir(), "extracted")
	r := p.Tightlip("extract", "-o", to, ref, fingerprint)
	wantCode(t, r, 0)
	wantFile(t, to, string(p.files[path]))
	if info, err := os.Stat(to); err != nil || info.Mode() != 0o600 {
		t.Errorf("%s has mode %v, %v", path, info.Mode(), err)
	}
	if err := os.WriteFile(to, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	again := p.Tightlip("extract", "-o", to, ref, fingerprint)
	wantCode(t, again, 2)
	wantText(t, again.Stderr, "file exists", "tightlip: hint: ")
	wantFile(t, to, "mine")
	for _, value := range p.values {
		enginetest.NoTraces(t, "the output", r.All()+again.All(), value)
	}
}

func show(s report.Scan) string {
	var b strings.Builder
	for _, f := range s.Findings {
		fmt.Fprintf(&b, "%s %s %s field %q status %q by %q of %+v\n", f.Fingerprint, f.Rule, f.Place(), f.Field, f.Status, f.CreatedBy, f.Source)
	}
	return b.String()
}

// team is a registry with two tags of three repositories, in which are two images with a file each and layers that they share. Some
// repositories are not the team's, and one has nothing left.
func team(t *testing.T) (registry *enginetest.Registry, values []string) {
	t.Helper()
	registry = enginetest.StartRegistry(t, "ci", "password")
	b := enginetest.NewBox(t, enginetest.StartDocker(t))
	b.Login(registry)
	b.Env["DOCKER_BUILDKIT"] = "0"
	for _, tag := range []string{"1", "2"} {
		values = append(values, enginetest.PlainCanary())
		project(b, base+"COPY settings /etc/app/"+tag+".npmrc\n")
		b.Write("settings", fmt.Appendf(nil, "//npm.corp.example/:_authToken=%s\n", values[len(values)-1]))
		b.Docker("build", "-q", "-t", "team", ".")
		for _, repository := range []string{"team/api", "team/web", "team/jobs/mail", "teams/app", "gone", "team/gone"} {
			name := registry.Host + "/" + repository + ":" + tag
			b.Docker("tag", "team", name)
			b.Docker("push", "-q", name)
			b.Docker("rmi", name)
		}
		for _, repository := range []string{"gone", "team/gone"} {
			registry.Delete(t, repository, tag)
		}
	}
	b.Docker("rmi", "-f", "team")
	return registry, values
}

// TestScanAll scans the images of a registry.
func TestScanAll(t *testing.T) {
	registry, values := team(t)
	t.Run("twice", func(t *testing.T) { scanTwice(t, registry, values) })
	t.Run("logins", func(t *testing.T) { scanLogins(t, registry, values) })
	t.Run("several", func(t *testing.T) { scanSeveral(t, registry, values) })
}

// scanTwice wants each layer read once, and the second time none.
func scanTwice(t *testing.T, registry *enginetest.Registry, values []string) {
	p := &leakingProject{Box: enginetest.NewBox(t, nil), values: values}
	all := "registry:" + registry.Host + "/team"
	r := p.Tightlip("scan", "--all", all)
	wantCode(t, r, 2)
	wantText(t, r.Stderr, "tightlip: error: listing the repositories of "+registry.Host, "UNAUTHORIZED", "tightlip: hint: docker login "+registry.Host)

	p.Login(registry)
	first := p.scan(3, "--all", all)
	layers, cached := teamScanned(t, registry, first)
	if layers != 18 || cached != 14 {
		t.Errorf("%d layers, of which %d were known: of 18, each of the 4 has to be read once", layers, cached)
	}
	if layers, cached := teamScanned(t, registry, p.scan(3, "--all", all)); cached != layers {
		t.Errorf("%d of %d layers were known", cached, layers)
	}
	one := registry.Host + "/team/web:1"
	if s := p.scan(3, "registry:"+one); len(s) != 1 || s[0].Stats.Cached != 3 || s[0].Image.Name != "registry:"+one {
		t.Errorf("%+v", s)
	}
}

// teamScanned wants a finding in every image of the team, in order, and counts the layers.
func teamScanned(t *testing.T, registry *enginetest.Registry, scans []report.Scan) (layers, cached int) {
	t.Helper()
	var names []string
	for _, s := range scans {
		names = append(names, s.Image.Name)
		tag := s.Image.Name[len(s.Image.Name)-1:]
		if len(s.Findings) != 1 || s.Findings[0].Path != "etc/app/"+tag+".npmrc" || s.Findings[0].Layer != 3 || len(s.Unread) > 0 || s.Error != "" {
			t.Errorf("%s: %s%+v %s", s.Image.Name, show(s), s.Unread, s.Error)
		}
		layers, cached = layers+s.Stats.Layers, cached+s.Stats.Cached
	}
	var want []string
	for _, name := range []string{"team/api:1", "team/api:2", "team/jobs/mail:1", "team/jobs/mail:2", "team/web:1", "team/web:2"} {
		want = append(want, "registry:"+registry.Host+"/"+name)
	}
	if !slices.Equal(names, want) {
		t.Errorf("scanned %q, not %q", names, want)
	}
	return layers, cached
}

// scanLogins wants the passwords of docker login and podman login used.
func scanLogins(t *testing.T, registry *enginetest.Registry, values []string) {
	all := "registry:" + registry.Host + "/team"
	login := fmt.Sprintf(`{"auths":{%q:{"auth":%q}}}`, registry.Host, base64.StdEncoding.EncodeToString([]byte("ci:password")))
	for name, prepare := range map[string]func(b *enginetest.Box){
		"docker": func(b *enginetest.Box) { b.Login(registry) },
		"docker at home": func(b *enginetest.Box) {
			delete(b.Env, "DOCKER_CONFIG")
			inHome(b, ".docker/config.json", login)
		},
		"podman": func(b *enginetest.Box) { b.Env["REGISTRY_AUTH_FILE"] = b.Write("auth.json", []byte(login)) },
		"podman's runtime folder": func(b *enginetest.Box) {
			b.Env["XDG_RUNTIME_DIR"] = filepath.Join(b.Dir, "home")
			inHome(b, "containers/auth.json", login)
		},
		"podman beside docker": func(b *enginetest.Box) {
			b.DockerConfig(map[string]any{"auths": map[string]any{"other.example": map[string]string{"auth": "eDp5"}}})
			b.Env["REGISTRY_AUTH_FILE"] = b.Write("auth.json", []byte(login))
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := &leakingProject{Box: enginetest.NewBox(t, nil), values: append(values, "password")}
			prepare(p.Box)
			teamScanned(t, registry, p.scan(3, "--all", all))
		})
	}
}

func inHome(b *enginetest.Box, name, content string) {
	b.T.Helper()
	path := filepath.Join(b.Env["HOME"], name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		b.T.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		b.T.Fatal(err)
	}
}

// scanSeveral wants the other images scanned when one cannot be, and the exit code of what was found.
func scanSeveral(t *testing.T, registry *enginetest.Registry, values []string) {
	p := &leakingProject{Box: enginetest.NewBox(t, nil), values: values}
	p.Login(registry)
	p.Write("app/.npmrc", fmt.Appendf(nil, "//npm.corp.example/:_authToken=%s\n", values[0]))
	p.Write("clean/readme", []byte("nothing here\n"))
	refs := []string{"registry:" + registry.Host + "/team/web:2", "registry:" + registry.Host + "/team/web:none", "dir:app", "registry:" + registry.Host + "/team/web:1", "dir:nowhere"}
	scans := p.scan(3, refs...)
	for i, want := range []int{1, 0, 1, 1, 0} {
		if s := scans[i]; len(s.Findings) != want || (s.Error != "") != (want == 0) || s.Image.Name != refs[i] {
			t.Errorf("%d is %s: %s%s", i, s.Image.Name, show(s), s.Error)
		}
	}
	r := p.Tightlip(append([]string{"scan"}, refs...)...)
	wantCode(t, r, 3)
	wantText(t, r.Stderr, "tightlip: error: ", "team/web:none", "dir:nowhere")

	scans = p.scan(2, "dir:clean", refs[1])
	if len(scans[0].Findings) > 0 || scans[0].Error != "" || scans[1].Error == "" {
		t.Errorf("%+v", scans)
	}
	p.scan(0, "dir:clean", "dir:clean")
}
