package caller

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"
)

var update = flag.Bool("update", false, "write what is read and moved into testdata")

// TestCorpus reads and moves the files of testdata. Each archive has a file, the builds that are read from it, and, if its comment has lines as
// "move NPM_TOKEN app/Dockerfile", what the moves make of it and what stays.
func TestCorpus(t *testing.T) {
	names, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatal("no testdata", err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			out := &txtar.Archive{Comment: a.Comment, Files: a.Files[:1:1]}
			add := func(name, text string) {
				if text != "" {
					out.Files = append(out.Files, txtar.File{Name: name, Data: []byte(text)})
				}
			}
			in := a.Files[0]
			add("builds", show(in.Name, in.Data))
			after, stays := moves(t, string(a.Comment), in)
			if !bytes.Equal(after, in.Data) {
				add("moved", string(after))
				add("builds after", show(in.Name, after))
			}
			add("stays", stays)
			if *update {
				if err := os.WriteFile(name, txtar.Format(out), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if got, want := string(txtar.Format(out)), string(txtar.Format(a)); got != want {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

// moves does the moves that a comment asks for, each twice.
func moves(t *testing.T, comment string, in txtar.File) ([]byte, string) {
	text, stays := in.Data, ""
	for _, line := range strings.Split(comment, "\n") {
		f := strings.Fields(line)
		if len(f) < 2 || f[0] != "move" {
			continue
		}
		args, file := strings.Split(f[1], ","), ""
		if len(f) > 2 {
			file = f[2]
		}
		next, err := Move(in.Name, text, args, file)
		stays += told(t, err)
		if again, _ := Move(in.Name, next, args, file); !bytes.Equal(again, next) {
			t.Errorf("%s: a second move changes more:\n%s", line, again)
		}
		text = next
	}
	return text, stays
}

func told(t *testing.T, err error) string {
	if err == nil {
		return ""
	}
	all, ok := err.(interface{ Unwrap() []error })
	if !ok {
		t.Fatalf("%v is not made of several", err)
	}
	var out strings.Builder
	for _, e := range all.Unwrap() {
		if n := (*NotMoved)(nil); !errors.As(e, &n) || n.Line < 1 {
			t.Errorf("%v has no line", e)
		}
		fmt.Fprintln(&out, e)
	}
	return out.String()
}

// show prints what Read finds, with the text at the positions.
func show(name string, text []byte) string {
	var out strings.Builder
	builds, err := Read(name, text)
	lines := strings.Split(string(text), "\n")
	for _, b := range builds {
		fmt.Fprintf(&out, "%d: %s context %q dockerfile %q", b.Line, b.Kind, b.Context, b.Dockerfile)
		if b.Override {
			fmt.Fprintf(&out, " overrides service %q", b.Service)
		}
		if b.Target != "" {
			fmt.Fprintf(&out, " target %q", b.Target)
		}
		fmt.Fprintln(&out)
		for _, p := range b.Alternatives {
			fmt.Fprintf(&out, "  or context %q dockerfile %q\n", p.Context, p.Dockerfile)
		}
		if b.Inline != "" {
			fmt.Fprintf(&out, "  inline from line %d: %q\n", b.InlineLine, b.Inline)
		}
		for _, a := range b.Args {
			fmt.Fprintf(&out, "  %s at %d:%d %q", a.Name, a.Line, a.Column, lines[a.Line-1][a.Column-1:a.Column-1+a.Width])
			if a.From != "" {
				fmt.Fprintf(&out, " from %s", a.From)
			}
			if a.Literal != "" {
				fmt.Fprintf(&out, " literal %q", a.Literal)
			}
			fmt.Fprintln(&out)
		}
		for _, s := range b.Secrets {
			fmt.Fprintf(&out, "  secret %s\n", s)
		}
		if b.Published != "" {
			fmt.Fprintf(&out, "  published at line %d: %s\n", b.PublishedLine, b.Published)
		}
	}
	if err != nil {
		fmt.Fprintf(&out, "error: %v\n", err)
	}
	return out.String()
}

func TestKind(t *testing.T) {
	for name, want := range map[string]string{
		"compose.yaml": "compose", "a/docker-compose.prod.yml": "compose", "compose.json": "", "docker-bake.hcl": "bake", "docker-bake.override.json": "bake", "ci/bake.hcl": "bake",
		"main.hcl": "", ".github/workflows/x.yml": "github-actions", "a/action.yaml": "github-actions", "workflows/x.yml": "", ".gitlab-ci.yml": "gitlab-ci", ".gitlab/ci/b.yml": "gitlab-ci",
		"ci/build.gitlab-ci.yml": "gitlab-ci", "cloudbuild.yaml": "cloud-build", "a/cloudbuild-prod.json": "cloud-build", ".tekton/push.yaml": "tekton", "tekton/a.yaml": "tekton",
		"azure-pipelines.yml": "azure-pipelines", ".circleci/config.yml": "circleci", "bitbucket-pipelines.yml": "bitbucket", "Jenkinsfile": "jenkins", "ci/Jenkinsfile.prod": "jenkins",
		"Makefile": "makefile", "a/GNUmakefile": "makefile", "build.mk": "makefile", "justfile": "makefile", "Taskfile.yml": "makefile", "x.sh": "script", "bin/x.bash": "script", "README.md": "", "build": "",
	} {
		if got := Kind(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func TestReadByContent(t *testing.T) {
	for _, c := range []struct{ name, text, kind string }{
		{"bin/release", "#!/usr/bin/env bash\ndocker build .\n", "script"},
		{"bin/release", "#!/usr/bin/python\ndocker build .\n", ""},
		{"deploy/push.yaml", "apiVersion: tekton.dev/v1\nkind: Task\nspec:\n  steps:\n    - image: x\n      script: docker build .\n", "tekton"},
		{"deploy/push.yaml", "script: docker build .\n", ""},
	} {
		builds, err := Read(c.name, []byte(c.text))
		if err != nil || (len(builds) == 1) != (c.kind != "") || len(builds) == 1 && builds[0].Kind != c.kind {
			t.Errorf("%s: %v, %v", c.name, builds, err)
		}
	}
}

func TestMoveKeepsLineEnds(t *testing.T) {
	before := "services:\r\n  a:\r\n    build:\r\n      context: .\r\n      args:\r\n        T: $T\r\n        # é\r\n        V: 1\r\n"
	after, err := Move("compose.yaml", []byte(before), []string{"T"}, "Dockerfile")
	want := "services:\r\n  a:\r\n    build:\r\n      context: .\r\n      args:\r\n        # é\r\n        V: 1\r\n      secrets:\r\n        - T\r\n\r\nsecrets:\r\n  T:\r\n    environment: T\r\n"
	if err != nil || string(after) != want {
		t.Errorf("%v\n%q\n%q", err, after, want)
	}
}

func TestReadErrors(t *testing.T) {
	for _, c := range []struct {
		name, text, err string
		builds          int
	}{
		{"compose.yaml", "services:\n  a:\n    build: .\n  b: [\n", "line 4: not valid YAML: did not find expected node content", 1},
		{"compose.yaml", "services:\n  a:\n    build: .\n\n  b: *VALUE\n  c: *VALUE\n", "line 5: not valid YAML: unknown anchor", 1},
		{"compose.yaml", "# *VALUE\nservices:\n  a: &x {build: .}\n  b: [*x,\n    *VALUE]\n", "line 5: not valid YAML: unknown anchor", 1},
		{"compose.yaml", "services:\n  a:\n    build: .\n    x: VALUE: b\n  c: d\n", "line 4: not valid YAML: mapping values are not allowed in this context", 1},
		{"compose.yaml", "services:\n  a:\n    build: .\n  b:\n    x: 1\n   VALUE: 2\n", "line 6: not valid YAML: did not find expected key", 1},
		{"compose.yaml", "services:\n  a:\n    build: .\n  b: \"VALUE\n  c: d\n", "line 4: not valid YAML: found unexpected end of stream", 1},
		{"compose.yaml", "build: @VALUE\n", "line 1: not valid YAML: found character that cannot start any token", 0},
		{"docker-bake.json", "{\"target\": {\"a\": {\"args\": {\"X\": \"Y\"\n", "line 1: not valid YAML: did not find expected ',' or '}'", 0},
		{"docker-bake.hcl", "target \"a\" {\n}\ntarget \"b\" {\n  args = {\n", "line 5: not valid HCL: missing expression", 1},
		{"docker-bake.hcl", "target \"a\" {\n}\nVALUE VALUE\n", "line 3: not valid HCL: invalid block definition", 1},
		{"x.sh", "docker build .\nif then ((\n", "line 2: not a valid shell script: something is missing", 1},
		{"x.sh", "docker build .\n\nX=\"VALUE\n", "line 3: not a valid shell script: a quote is not closed", 1},
		{"x.sh", "docker build .\n\ncat <<VALUE\n", "line 3: not a valid shell script: a here-document is not closed", 1},
		{"x.sh", "docker build .\n\n(echo VALUE\n", "line 3: not a valid shell script: a bracket is not closed", 1},
		{"x.sh", "docker build .\nfunction VALUE b { a; }\n", "line 2: not a valid shell script: it is written for another shell", 1},
		{"x.sh", "docker build .\n\n[[ VALUE VALUE VALUE ]]\n", "line 3: not a valid shell script", 1},
	} {
		builds, err := Read(c.name, []byte(c.text))
		if err == nil || err.Error() != c.err || len(builds) < c.builds {
			t.Errorf("%q: %v, %d builds, want %s", c.text, err, len(builds), c.err)
			continue
		}
		if e := (*SyntaxError)(nil); !errors.As(err, &e) || e.Line < 1 || strings.Contains(err.Error(), "VALUE") {
			t.Errorf("%q: %#v", c.text, err)
		}
	}
}

// TestNestedTooDeeply reads what would take all of the stack or the memory.
func TestNestedTooDeeply(t *testing.T) {
	nested := func(before, opening, inside, closing string, n int) string {
		return before + strings.Repeat(opening, n) + inside + strings.Repeat(closing, n) + "\n"
	}
	for _, c := range []struct {
		name, text string
		line       int
	}{
		{"x.sh", nested("echo\n", "( ", "docker build .", " )", 500_000), 2},
		{"x.sh", nested("docker build ", "$((", "1", "))", 500_000), 1},
		{"x.sh", nested("docker build ", "$(", "a", ")", 10_000), 1},
		{"x.sh", nested("X=", "$(echo ", "docker build .", ")", 10_000), 1},
		{"Makefile", nested("a:\n\t", "( ", "docker build .", " )", 100_000), 2},
		{".gitlab-ci.yml", nested("a:\n  script:\n    - ", "( ", "docker build .", " )", 100_000), 3},
		{"docker-bake.hcl", nested("a = 1\nb = ", "(", "1", ")", 50_000), 2},
		{"docker-bake.hcl", nested("a = 1\nb = ", "[", "1", "]", 50_000), 2},
		{"docker-bake.hcl", nested("a = 1\nb = ", "{a=", "1", "}", 50_000), 2},
		{"docker-bake.hcl", nested("a = 1\nb = ", "\"${", "1", "}\"", 50_000), 2},
		{"docker-bake.hcl", nested("a = 1\n", "b {\n", "", "}\n", 50_000), 201},
		{"docker-bake.hcl", nested("a = 1\nb = ", "!", "true", "", 500_000), 2},
		{"docker-bake.hcl", nested("a = 1\nb = ", "1 + ", "1", "", 500_000), 2},
		{"docker-bake.hcl", nested("a = 1\nb = ", "a ? 1 : ", "1", "", 200_000), 2},
		{"docker-bake.hcl", nested("a = 1\nb = a", "[1]", "", "", 500_000), 2},
		{"docker-bake.json", nested("{\"target\": ", "[", "", "]", 50_000), 1},
		{"docker-bake.json", nested("{\"target\": {\"a\": {\"args\": {\"X\": \"${", "(", "1", ")", 50_000) + "}\"}}}}", 0},
		{"compose.yaml", nested("build: ", "[", "", "]", 500_000), 1},
		{"compose.yaml", nested("build: ", "{a: ", "", "}", 500_000), 1},
		{"compose.yaml", nested("build:\n  ", "- ", "a", "", 500_000), 2},
	} {
		start := time.Now()
		_, err := Read(c.name, []byte(c.text))
		var e *SyntaxError
		if c.line > 0 && (!errors.As(err, &e) || e.Line != c.line || !strings.HasSuffix(e.Why, tooDeep)) || c.line == 0 && err != nil {
			t.Errorf("%s %.20q: %v, want line %d", c.name, c.text, err, c.line)
		}
		if took := time.Since(start); took > 3*time.Second {
			t.Errorf("%s %.20q took %v", c.name, c.text, took)
		}
	}
}

func TestReadsSecret(t *testing.T) {
	for text, want := range map[string]string{
		"cat ~/.npm_token":                             "$(cat ~/.npm_token)",
		"cat VERSION":                                  "",
		"cat /run/secrets/npm":                         "$(cat /run/secrets/npm)",
		"vault read -field=x secret/y":                 "$(vault read)",
		"aws ecr get-login-password --region x":        "$(aws ecr get-login-password)",
		"gcloud auth print-access-token":               "$(gcloud auth print-access-token)",
		"op read op://vault/npm/token":                 "$(op read)",
		"/usr/bin/pass show npm":                       "$(pass)",
		"passwd":                                       "",
		"gh auth token":                                "$(gh auth token)",
		"echo $NPM_TOKEN | base64":                     "$(echo NPM_TOKEN)",
		"echo my_password_is_this":                     "",
		"git rev-parse HEAD":                           "",
		"curl -H 'Authorization: x' host.corp.example": "",
	} {
		if got := readsSecret(text); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

// TestHostile reads what would take for ever if it were read naively.
func TestHostile(t *testing.T) {
	bomb := "x: &a0 {build: x}\n"
	for i := 1; i < 30; i++ {
		bomb += fmt.Sprintf("x%d: &a%d {<<: [*a%d, *a%d, *a%d]}\n", i, i, i-1, i-1, i-1)
	}
	doubling := "A0=aaaaaaaaaa\n"
	for i := 1; i < 30; i++ {
		doubling += fmt.Sprintf("A%d=%s\n", i, strings.Repeat(fmt.Sprintf("$A%d", i-1), 10))
	}
	loops := strings.Repeat("for i in 1 2 3 4 5 6 7; do ", 20) + "docker build $i" + strings.Repeat("; done", 20) + "\n"
	options := "A0=\"--pull $X\"\n"
	for i := 1; i < 3_000; i++ {
		options += fmt.Sprintf("A%d=\"--pull $A%d $A%d $A%d\"\nL=\"$L --pull\"\n", i, i-1, i-1, i)
	}
	matrix := ""
	for i := range 20 {
		matrix += fmt.Sprintf("        m%d: [1, 2, 3]\n", i)
	}
	for name, text := range map[string]string{
		"loops.sh":         strings.Repeat(loops, 1000) + strings.Repeat("for i in 1 2 3 4 5 6 7; do docker build $i; done\n", 20_000),
		"options.sh":       options + "docker build $A2999 $L .\n",
		"a/action.yml":     "jobs:\n  a:\n    strategy:\n      matrix:\n" + matrix + "    steps:\n" + strings.Repeat("      - run: docker build ${{ matrix.m1 }}\n", 20_000),
		"a.gitlab-ci.yml":  "a: {extends: [b, b, b, b], script: docker build .}\n" + "b: {extends: [b, b, b, b]}\n" + strings.Repeat("? [x]\n: {extends: [b, b, b, b]}\n", 20_000),
		"compose.yaml":     bomb + "services: *a29\n",
		".gitlab-ci.yml":   bomb + "job: {script: [docker build .], <<: *a29}\n",
		"build.sh":         doubling + "docker build $A29\n",
		"docker-bake.json": `{"target": {"é": {"args": {` + strings.Repeat(`"a": "${b}", `, 20_000) + `"c": "d"}}}}`,
	} {
		start := time.Now()
		if _, err := Read(name, []byte(text)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("%s took %v", name, took)
		}
	}
}

// TestStays moves what would mean something else as a secret.
func TestStays(t *testing.T) {
	const push = "jobs:\n  a:\n    steps:\n      - uses: docker/build-push-action@v6\n        with:\n          context: .\n          build-args: T=${{ secrets.T }}\n          "
	const another = "the build has another secret of this name"
	const old = "docker builds without BuildKit"
	for _, c := range []struct{ name, text, why string }{
		{".github/workflows/a.yml", push + "secrets: |\n            T=${{ secrets.OTHER }}\n", another},
		{".github/workflows/a.yml", push + "secrets: T=${{ secrets.OTHER }}\n", another},
		{".github/workflows/a.yml", push + "secret-files: T=./file\n", another},
		{".github/workflows/a.yml", push + "secret-envs: T=X\n", another},
		{"x.sh", "docker build --secret id=T,env=OTHER --build-arg T .\n", another},
		{"x.sh", "docker build --build-arg T=$A --build-arg T=$B --secret id=T,src=x .\n", another},
		{"docker-bake.hcl", "variable \"T\" {}\ntarget \"a\" {\n  args = {\n    T = T\n  }\n  secret = [\"id=T,src=x\"]\n}\n", another},
		{"docker-bake.json", `{"variable": {"T": {}}, "target": {"a": {"args": {"T": "${T}"}, "secret": ["id=T,src=x"]}}}`, another},
		{".gitlab-ci.yml", "a:\n  image: docker:19.03\n  script: docker build --build-arg T .\n", old},
		{".gitlab-ci.yml", "a:\n  image: {name: \"reg.example/hub/docker:20.10.24-git\"}\n  script: docker build --build-arg T .\n", old},
		{".gitlab-ci.yml", "image: docker:stable\na:\n  script: docker build --build-arg T .\n", old},
		{".gitlab-ci.yml", "default:\n  image: docker:20\na:\n  script: docker build --build-arg T .\n", old},
		{".gitlab-ci.yml", ".b:\n  image: docker:20\na:\n  extends: [.c, .b]\n  script: docker build --build-arg T .\n", old},
		{".gitlab-ci.yml", ".b: &b\n  image: docker:20\na:\n  <<: *b\n  script: docker build --build-arg T .\n", old},
		{".gitlab-ci.yml", "image: docker:20\na:\n  variables: {DOCKER_BUILDKIT: 0}\n  script: docker build --build-arg T .\n", old},
		{".gitlab-ci.yml", "image: docker:20\na:\n  script: DOCKER_BUILDKIT=1 docker build --build-arg T .\n", ""},
		{".gitlab-ci.yml", "image: docker:20\na:\n  variables: {DOCKER_BUILDKIT: 1}\n  script: docker build --build-arg T .\n", ""},
		{".gitlab-ci.yml", "image: docker:20\na:\n  script: docker buildx build --build-arg T .\n", ""},
		{".gitlab-ci.yml", "image: docker:20\na:\n  image: docker:27\n  script: docker build --build-arg T .\n", ""},
		{".gitlab-ci.yml", "image: docker:latest\na:\n  script: docker build --build-arg T .\n", ""},
	} {
		after, err := Move(c.name, []byte(c.text), []string{"T"}, "Dockerfile")
		if moved := string(after) != c.text; moved != (c.why == "") {
			t.Errorf("%s is now:\n%s", c.text, after)
		}
		if c.why != "" && (err == nil || !strings.HasSuffix(strings.Split(err.Error(), "\n")[0], c.why)) || c.why == "" && err != nil {
			t.Errorf("%s: %v, want %q", c.text, err, c.why)
		}
	}
}

// TestSameSecret moves an argument whose secret is there already.
func TestSameSecret(t *testing.T) {
	const before = "jobs:\n  a:\n    steps:\n      - uses: docker/build-push-action@v6\n        with:\n          context: .\n"
	const secrets = "          secrets: |\n            T=${{ secrets.T }}\n"
	after, err := Move(".github/workflows/a.yml", []byte(before+"          build-args: T=${{ secrets.T }}\n"+secrets), []string{"T"}, "Dockerfile")
	if err != nil || string(after) != before+secrets {
		t.Errorf("%v\n%s", err, after)
	}
}

// TestMoveMany moves what many builds have, or gives up at once.
func TestMoveMany(t *testing.T) {
	services := func(n int, more string) []byte {
		text := "services:\n"
		for i := range n {
			text += fmt.Sprintf("  s%d:\n    build:\n      context: .\n      args:\n        T: $T\n        V: 1\n", i)
		}
		return []byte(text + more)
	}
	after, err := Move("compose.yaml", services(100, ""), []string{"T"}, "Dockerfile")
	if err != nil || bytes.Contains(after, []byte("$T")) || bytes.Count(after, []byte("- T\n")) != 100 {
		t.Errorf("%v\n%s", err, after)
	}
	for _, text := range [][]byte{services(1500, ""), services(150, "#"+strings.Repeat("x", 200_000))} {
		start := time.Now()
		after, err := Move("compose.yaml", text, []string{"T"}, "Dockerfile")
		var why *NotMoved
		if !bytes.Equal(after, text) || !errors.As(err, &why) || why.Line != 6 || why.Name != "T" || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v", err)
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("took %v", took)
		}
	}
	if _, err := Move("compose.yaml", services(1500, ""), []string{"OTHER"}, "Dockerfile"); err != nil {
		t.Errorf("nothing is to be moved: %v", err)
	}
}

func TestService(t *testing.T) {
	builds, err := Read("compose.yaml", []byte("services:\n  a: {build: .}\n  b: {extends: a}\n"))
	if err != nil || len(builds) != 2 || builds[0].Service != "a" || builds[1].Service != "b" || builds[1].Override {
		t.Errorf("%+v, %v", builds, err)
	}
}
