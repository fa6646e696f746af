package lint_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tightlip/tightlip/finding"
	"github.com/tightlip/tightlip/lint"
	"github.com/tightlip/tightlip/scan/detect"
)

// check checks a project of the given files.
func check(t testing.TB, files map[string]string, o lint.Options) *lint.Result {
	t.Helper()
	o.Root, o.Detector = t.TempDir(), detect.New()
	for name, text := range files {
		name = filepath.Join(o.Root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	r, err := lint.Check(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// listed are the findings that count, such as "4 secret-arg; 6 secret-env".
func listed(r *lint.Result) string {
	var out []string
	for _, l := range r.Findings {
		if l.Ignored == "" && l.Severity.AtLeast(finding.Low) {
			out = append(out, fmt.Sprintf("%d %s", l.Line, l.Rule))
		}
	}
	return strings.Join(out, "; ")
}

// TestFollowing has what a table of good and bad projects does not show: what depends on what.
func TestFollowing(t *testing.T) {
	for _, test := range []struct{ name, dockerfile, want string }{
		{"an innocent argument", "FROM a\nARG X\nRUN make VERSION=$X", ""},
		{"given away", "FROM a\nARG X\nRUN curl -H \"Authorization: Bearer $X\" https://h", "2 secret-arg"},
		{"given away in another stage", "FROM a AS b\nARG X\nFROM b\nRUN curl -H \"Authorization: Bearer $X\" https://h", "2 secret-arg"},
		{"given away by its alias", "FROM a\nARG X\nENV Y=$X\nRUN curl -u ci:$Y https://h", "2 secret-arg; 3 env-from-arg"},
		{"not the user", "FROM a\nARG X\nARG Y\nRUN curl -u $X:$Y https://h", "3 secret-arg"},
		{"the argument of another stage", "FROM a AS b\nARG X\nFROM a\nARG X\nRUN curl -u ci:$X https://h", "4 secret-arg"},
		{"a file that another stage copies", "FROM a AS b\nARG TOKEN\nRUN echo $TOKEN > /t\nFROM a\nCOPY --from=b /t /t", "2 secret-arg; 3 secret-in-file; 5 copied-from-stage"},
		{"another file of that stage", "FROM a AS b\nARG TOKEN\nRUN echo $TOKEN > /t\nFROM a\nCOPY --from=b /app /t", "2 secret-arg; 3 secret-in-file"},
		{"removed there", "FROM a AS b\nARG TOKEN\nRUN echo $TOKEN > /t\nRUN rm /t\nFROM a\nCOPY --from=b / /", "2 secret-arg; 3 secret-in-file"},
		{"copied and removed", "FROM a\nCOPY .netrc /root/\nRUN x\nRUN rm -f ~/.netrc", "2 copied-then-removed"},
		{"a mount with a working directory", "FROM a\nWORKDIR /app\nRUN --mount=type=secret,id=x,target=.npmrc,required=true npm ci", ""},
		{"a folder that is mounted", "FROM a\nRUN --mount=type=secret,id=x,required=true --mount=type=tmpfs,target=/t cp /run/secrets/x /t/", ""},
		{"a shell that traces", "FROM a\nSHELL [\"/bin/bash\", \"-xc\"]\nRUN --mount=type=secret,id=x,env=T,required=true curl -H \"a: $T\" https://h", "3 secret-traced"},
		{"a shell that is none", "FROM a\nSHELL [\"powershell\", \"-Command\"]\nRUN --mount=type=secret,id=x,required=true Get-Content /run/secrets/x", ""},
		{"an exec form", "FROM a\nRUN --mount=type=secret,id=x,required=true [\"cp\", \"/run/secrets/x\", \"/x\"]", "2 secret-in-file"},
		{"a here-document", "FROM a\nARG TOKEN\nRUN <<EOF\nset -e\necho $TOKEN > /x\nEOF", "2 secret-arg; 5 secret-in-file"},
		{"a global argument", "ARG TOKEN\nFROM a:$TOKEN", "1 secret-arg"},
		{"an argument with a placeholder", "FROM a\nARG PASSWORD=changeme\nRUN x", ""},
		{"exported by the script", "FROM a\nRUN --mount=type=secret,id=T,required=true export T=$(cat /run/secrets/T) && env > /etc/c", "2 secret-in-file"},
		{"exported with set -a", "FROM a\nRUN --mount=type=secret,id=T,required=true set -a && . /run/secrets/T && env > /etc/c", "2 secret-in-file"},
		{"compressed", "FROM a\nRUN --mount=type=secret,id=T,required=true gzip < /run/secrets/T > /t.gz", "2 secret-in-file"},
		{"given away by an export", "FROM a\nARG P\nRUN export PGPASSWORD=$P && psql -h db", "2 secret-arg"},
		{"given away by a file", "FROM a\nARG J\nRUN echo \"$J\" > /root/.ssh/id_rsa", "2 secret-arg; 3 secret-in-file"},
		{"a clone that is cleaned", "FROM a\nRUN --mount=type=secret,id=T,env=T,required=true git clone https://x:$T@g.corp.example/x /x && git -C /x remote set-url origin https://g.corp.example/x", ""},
		{"an option that says no", "FROM a\nRUN adduser --disabled-password myuser", ""},
		{"a switch", "FROM a\nARG ENABLE_TOKEN_AUTH\nRUN make", ""},
		{"a mounted stage", "FROM a AS b\nARG TOKEN\nRUN echo $TOKEN > /app/t\nFROM a\nRUN --mount=from=b,source=/app,target=/b cp /b/t /srv/t", "2 secret-arg; 3 secret-in-file; 5 secret-in-file"},
		{"a comment above", "FROM a\n# tightlip: ignore=secret-arg it is one for tests\nARG TOKEN\nRUN x", ""},
		{"a comment for another rule", "FROM a\n# tightlip: ignore=secret-env no\nARG TOKEN\nRUN x", "3 secret-arg"},
		{"a comment without a reason", "FROM a\n# tightlip: ignore=secret-arg\nARG TOKEN\nRUN x", "3 secret-arg"},
		{"a comment whose day has passed", "FROM a\n# tightlip: ignore=secret-arg until=2020-01-01 no\nARG TOKEN\nRUN x", "3 secret-arg"},
		{"BuildKit's own directive", "# check=skip=SecretsUsedInArgOrEnv\nFROM a\nARG TOKEN\nRUN echo $TOKEN > /x", "4 secret-in-file"},
		{"a directive for another check", "# check=skip=StageNameCasing\nFROM a\nARG TOKEN\nRUN x", "3 secret-arg"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := check(t, map[string]string{"Dockerfile": test.dockerfile + "\n"}, lint.Options{})
			if got := listed(r); got != test.want || len(r.Unread) > 0 {
				t.Errorf("%s\n got %q, unread %v\nwant %q", test.dockerfile, got, r.Unread, test.want)
			}
		})
	}
}

// TestTarget: what a stage holds is mild, unless somebody builds it.
func TestTarget(t *testing.T) {
	files := map[string]string{"Dockerfile": "FROM a AS dev\nARG TOKEN\nRUN x\nFROM a\n"}
	severity := func(r *lint.Result) finding.Severity {
		for _, l := range r.Findings {
			if l.Rule == "secret-arg" {
				return l.Severity
			}
		}
		return ""
	}
	if got := severity(check(t, files, lint.Options{})); got != finding.Low {
		t.Errorf("in a stage that is not built: %s", got)
	}
	if got := severity(check(t, files, lint.Options{Target: "dev"})); got != finding.High {
		t.Errorf("with --target: %s", got)
	}
	files["compose.yaml"] = "services:\n  a:\n    build: {context: ., target: dev}\n"
	if got := severity(check(t, files, lint.Options{})); got != finding.High {
		t.Errorf("with compose: %s", got)
	}
}

// TestContext: only what a build would get counts.
func TestContext(t *testing.T) {
	env := "API_TOKEN=kX93jdLwq02mvbAA73\n"
	for _, test := range []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"all of it", map[string]string{"Dockerfile": "FROM a\nCOPY . .\n", ".env": env}, "2 context-credential"},
		{"left out", map[string]string{"Dockerfile": "FROM a\nCOPY . .\n", ".env": env, ".dockerignore": ".env\n"}, ""},
		{"left out by the Dockerfile's own list", map[string]string{"Dockerfile": "FROM a\nCOPY . .\n", ".env": env, "Dockerfile.dockerignore": "**/.env\n"}, ""},
		{"taken in again", map[string]string{"Dockerfile": "FROM a\nCOPY . .\n", ".env": env, ".dockerignore": "*\n!.env\n"}, "2 context-credential"},
		{"another folder", map[string]string{"Dockerfile": "FROM a\nCOPY src /src\n", ".env": env, "src/a.go": "package a\n"}, ""},
		{"that folder", map[string]string{"Dockerfile": "FROM a\nCOPY src /src\n", "src/.env": env}, "2 context-credential"},
		{"no secret in it", map[string]string{"Dockerfile": "FROM a\nCOPY .npmrc /root/\n", ".npmrc": "//npm.corp.example/:_authToken=${NPM_TOKEN}\n"}, ""},
		{"left out by the instruction", map[string]string{"Dockerfile": "FROM a\nCOPY --exclude=.env . .\n", ".env": env}, ""},
		{"mounted and copied", map[string]string{"Dockerfile": "FROM a\nRUN --mount=type=bind,target=/ctx cp /ctx/.env /srv/\n", ".env": env}, "2 secret-in-file"},
		{"a folder of Dockerfiles", map[string]string{"docker/Dockerfile": "FROM a\nCOPY go.mod .\nCOPY . .\n", "go.mod": "module a\n", ".env": env}, "3 context-credential"},
		{"one of two contexts", map[string]string{
			"Dockerfile":   "FROM a\nCOPY . .\n",
			"compose.yaml": "services:\n  a: {build: {context: ./a, dockerfile: ../Dockerfile}}\n  b: {build: {context: ./b, dockerfile: ../Dockerfile}}\n",
			"a/x":          "x", "b/.env": env,
		}, "2 context-credential"},
		{"an argument that an override gives", map[string]string{
			"app/Dockerfile":              "FROM a\nARG FOO\nRUN x\n",
			"docker-compose.yml":          "services:\n  a: {build: {context: ./app}}\n",
			"docker-compose.override.yml": "services:\n  a:\n    build:\n      args: [\"FOO=${NPM_TOKEN}\"]\n",
		}, "2 secret-arg; 4 caller-secret-arg"},
		{"a Dockerfile that only compose calls so", map[string]string{
			"prod.df":      "FROM a\nARG TOKEN\nRUN x\n",
			"compose.yaml": "services:\n  a: {build: {context: ., dockerfile: prod.df}}\n",
		}, "2 secret-arg"},
		{"not there yet", map[string]string{"Dockerfile": "FROM a\nCOPY .npmrc /root/\n"}, "2 copied-credential"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := listed(check(t, test.files, lint.Options{})); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestFix(t *testing.T) {
	for _, test := range []struct{ name, before, after string }{
		{
			"an argument",
			"FROM a\n# token\nARG TOKEN\nRUN apt-get update\nrun curl -H \"Authorization: $TOKEN\" h \\\n  | tar x\n",
			"FROM a\n# token\nRUN apt-get update\nrun --mount=type=secret,id=TOKEN,env=TOKEN,required=true curl -H \"Authorization: $TOKEN\" h \\\n  | tar x\n",
		},
		{
			"one of several",
			"FROM a\r\nARG A=1 TOKEN B=\"x y\"\r\nRUN make\r\n",
			"FROM a\r\nARG A=1 B=\"x y\"\r\nRUN --mount=type=secret,id=TOKEN,env=TOKEN,required=true make\r\n",
		},
		{
			"the last of several",
			"FROM a\nARG A=1 TOKEN\nRUN make\n",
			"FROM a\nARG A=1\nRUN --mount=type=secret,id=TOKEN,env=TOKEN,required=true make\n",
		},
		{
			"an argument that becomes a variable",
			"FROM a\nARG TOKEN\nENV API_TOKEN=$TOKEN\nRUN make\n",
			"FROM a\nRUN --mount=type=secret,id=TOKEN,env=API_TOKEN,required=true --mount=type=secret,id=TOKEN,env=TOKEN,required=true make\n",
		},
		{
			"a file",
			"FROM a\nCOPY .npmrc /root/.npmrc\nCOPY package.json .\nRUN npm ci && rm -f /root/.npmrc && npm run build\nRUN x\n",
			"FROM a\nCOPY package.json .\nRUN --mount=type=secret,id=npmrc,target=/root/.npmrc,required=true npm ci && npm run build\nRUN x\n",
		},
		{
			"a file with a RUN of its own to remove it",
			"FROM a\nWORKDIR /app\nCOPY .npmrc ./\nRUN npm ci\nRUN rm .npmrc\n",
			"FROM a\nWORKDIR /app\nRUN --mount=type=secret,id=npmrc,target=/app/.npmrc,required=true,mode=0444 npm ci\n",
		},
		{
			"a file for another user",
			"FROM a\nUSER node\nCOPY .npmrc /app/.npmrc\nRUN npm ci; rm /app/.npmrc\n",
			"FROM a\nUSER node\nRUN --mount=type=secret,id=npmrc,target=/app/.npmrc,required=true,mode=0444 npm ci;\n",
		},
		{
			"an exec form",
			"FROM a\nARG NPM_TOKEN\nRUN [\"npm\", \"ci\"]\n",
			"FROM a\nRUN --mount=type=secret,id=NPM_TOKEN,env=NPM_TOKEN,required=true [\"npm\", \"ci\"]\n",
		},
		{
			"an argument that may be missing",
			"FROM a\nARG TOKEN=\"\"\nRUN if [ -n \"$TOKEN\" ]; then make; fi\n",
			"FROM a\nRUN --mount=type=secret,id=TOKEN,env=TOKEN if [ -n \"$TOKEN\" ]; then make; fi\n",
		},
		{
			"the same file in two stages",
			"FROM a AS b\nCOPY .npmrc /r/.npmrc\nRUN npm ci && rm /r/.npmrc\nFROM a\nCOPY .npmrc /r/.npmrc\nRUN npm ci && rm /r/.npmrc\n",
			"FROM a AS b\nRUN --mount=type=secret,id=npmrc,target=/r/.npmrc,required=true,mode=0444 npm ci\nFROM a\nRUN --mount=type=secret,id=npmrc,target=/r/.npmrc,required=true,mode=0444 npm ci\n",
		},
		{"a file in a folder that the base image says", "FROM a\nCOPY .npmrc .\nRUN npm ci && rm .npmrc\n", ""},
		{"a file in a folder that a variable says", "FROM a\nARG DIR\nWORKDIR /srv/$DIR\nCOPY .npmrc .\nRUN npm ci && rm .npmrc\n", ""},
		{"a file that a child stage needs", "FROM a AS b\nWORKDIR /app\nCOPY .npmrc ./\nFROM b\nRUN npm ci\nRUN rm .npmrc\n", ""},
		{"a file that the tool writes", "FROM a\nCOPY .npmrc /root/.npmrc\nRUN npm config set fund false && npm ci && rm -f /root/.npmrc\n", ""},
		{"a folder whose mode is changed", "FROM a\nCOPY .netrc /root/x/.netrc\nRUN set -e; chmod -R 700 /root/x; make; rm /root/x/.netrc\n", ""},
		{"a private key", "FROM a\nCOPY id_rsa /root/.ssh/id_rsa\nRUN git clone x && rm /root/.ssh/id_rsa\n", ""},
		{"Windows", "FROM mcr.corp.example/windows/nanoserver\nARG TOKEN\nRUN make\n", ""},
		{"a frontend of which nothing is known", "# syntax=docker/dockerfile:experimental\nFROM a\nARG TOKEN\nRUN make\n", ""},
		{"an argument with a default", "FROM a\nARG TOKEN=x9-Kd73jdLq\nENV A=b\nRUN make TOKEN=${TOKEN}\nCMD run\n", "FROM a\nENV A=b\nRUN --mount=type=secret,id=TOKEN,env=TOKEN,required=true make TOKEN=${TOKEN}\nCMD run\n"},
		{"a variable that the container needs", "FROM a\nARG P_TOKEN\nENV P_TOKEN=$P_TOKEN\nRUN make\nCMD app $P_TOKEN\n", ""},
		{"an argument that is in the config", "FROM a\nARG TOKEN\nLABEL t=$TOKEN\nRUN make\n", ""},
		{"a file that is changed", "FROM a\nCOPY id_rsa /root/.ssh/id_rsa\nRUN chmod 600 /root/.ssh/id_rsa && git clone x && rm /root/.ssh/id_rsa\n", ""},
		{"a frontend that is too old", "# syntax=docker/dockerfile:1.4\nFROM a\nARG TOKEN\nRUN make\n", ""},
		{"what is ignored", "FROM a\n# tightlip: ignore=secret-arg fine\nARG TOKEN\nRUN make\n", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := check(t, map[string]string{"Dockerfile": test.before}, lint.Options{})
			after := ""
			for _, f := range r.Fixes {
				after += string(f.After)
			}
			if after != test.after {
				t.Errorf("before:\n%s\ngot:\n%s\nwant:\n%s", test.before, after, test.after)
			}
			if test.after == "" {
				return
			}
			again := check(t, map[string]string{"Dockerfile": after}, lint.Options{})
			if len(again.Fixes) > 0 || listed(again) != "" {
				t.Errorf("the second time there are %d fixes, and findings: %s", len(again.Fixes), listed(again))
			}
		})
	}
}

// TestCallersDecide: an argument stays one if somebody who may build this gives it so, or is not to be changed.
func TestCallersDecide(t *testing.T) {
	dockerfile := "FROM a\nARG TOKEN\nRUN make $TOKEN\n"
	for name, test := range map[string]struct{ file, text, want string }{
		"moved":              {"compose.yaml", "services:\n  a: {build: {context: ., args: {TOKEN: $TOKEN}}}\n", "env=TOKEN,required=true make"},
		"another has it not": {"compose.yaml", "services:\n  a: {build: {context: ., args: {TOKEN: $TOKEN}}}\n  b: {build: .}\n", "env=TOKEN make"},
		"not movable":        {"compose.yaml", "services:\n  a: {build: {context: ., args: {TOKEN: abc-9Kd73jdLq}}}\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := check(t, map[string]string{"Dockerfile": dockerfile, test.file: test.text}, lint.Options{})
			after := ""
			for _, f := range r.Fixes {
				if f.Path == "Dockerfile" {
					after = string(f.After)
				}
			}
			if (test.want == "") != (after == "") || !strings.Contains(after, test.want) {
				t.Errorf("got %q, want %q in it", after, test.want)
			}
		})
	}
}

// TestReasonsQuoteNothing: what cannot be parsed may be a secret.
func TestReasonsQuoteNothing(t *testing.T) {
	const value = "Zq9-Wv7kd83Xb"
	for _, text := range []string{
		"FROM a\nRUN echo \"\n" + value + "\n\"\n",
		"FROM a\nENV A=1 " + value + "\n",
		"FROM a\nHEALTHCHECK --interval=" + value + " CMD x\n",
		"FROM a\nRUN if $((1 " + value + " ))\n",
		"FROM a\nRUN --" + value + " x\n",
		"FROM a\nRUN --mount=type=secret,id=x,foo=" + value + " x\n",
		"FROM a\nONBUILD HEALTHCHECK --interval=" + value + " CMD x\n",
		value + "\n",
	} {
		r := check(t, map[string]string{"Dockerfile": text}, lint.Options{})
		if len(r.Unread) == 0 {
			t.Errorf("%q was checked", text)
		}
		for _, u := range r.Unread {
			if strings.Contains(u.Reason, value) || u.Line == 0 {
				t.Errorf("%q: line %d: %s", text, u.Line, u.Reason)
			}
		}
	}
}

// TestBroken: what can be read is checked, and the rest is told with its line.
func TestBroken(t *testing.T) {
	r := check(t, map[string]string{
		"Dockerfile":   "FROM a\nARG TOKEN\nFRUM b\nRUN x\n",
		"b.Dockerfile": "FROM a\nRUN if true; then\nARG TOKEN\n",
		"compose.yaml": "services:\n  a: [\n    build: .\n",
	}, lint.Options{})
	if got := listed(r); got != "2 secret-arg; 3 secret-arg" {
		t.Errorf("found %q", got)
	}
	var lines []int
	for _, u := range r.Unread {
		lines = append(lines, u.Line)
	}
	if len(r.Unread) != 3 || lines[0] != 3 || lines[1] != 2 {
		t.Errorf("unread: %v", r.Unread)
	}
}
