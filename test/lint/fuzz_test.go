package lint_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tightlip/tightlip/dockerfile"
	"github.com/tightlip/tightlip/internal/enginetest"
	"github.com/tightlip/tightlip/lint"
	"github.com/tightlip/tightlip/scan/detect"
)

// callers are the kinds of files that start builds, by what they are called.
var callers = []string{
	"compose.yaml", "docker-bake.hcl", "docker-bake.json", ".github/workflows/image.yml", ".gitlab-ci.yml", "Makefile", "build.sh",
	"Jenkinsfile", "cloudbuild.yaml", ".dockerignore",
}

// How much a check is given, and how long it may take.
const (
	longest = 64 << 10
	slowest = 10 * time.Second
)

// FuzzCheck wants any text to be checked, in time, and fixes that can be read again.
func FuzzCheck(f *testing.F) {
	for _, p := range append(corpus(f, "bad"), corpus(f, "good")...) {
		for _, name := range p.dockerfiles(f) {
			text := p.read(f, name)
			f.Add(text, "", byte(0))
			for i, caller := range callers {
				if other, err := os.ReadFile(filepath.Join(p.dir, filepath.FromSlash(caller))); err == nil {
					f.Add(text, string(other), byte(i))
				}
			}
		}
	}
	d := detect.New()
	f.Fuzz(func(t *testing.T, text, other string, which byte) {
		if len(text) > longest || len(other) > longest {
			t.Skip("too long")
		}
		dir := t.TempDir()
		caller := callers[int(which)%len(callers)]
		writeAll(t, dir, map[string]string{"Dockerfile": text, caller: other})
		var r *lint.Result
		for attempt := 0; ; attempt++ {
			start := time.Now()
			var err error
			if r, err = lint.Check(t.Context(), lint.Options{Root: dir, Detector: d}); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(start); took < slowest {
				break
			} else if attempt == 2 { // the machine may have been busy
				t.Fatalf("it took %s", took)
			}
		}
		_, broken := dockerfile.Parse("Dockerfile", []byte(text))
		for _, fix := range r.Fixes {
			switch fix.Path {
			case "Dockerfile":
				if _, err := dockerfile.Parse("Dockerfile", fix.After); err != nil && broken == nil {
					t.Errorf("%v\n%s", err, fix.After)
				}
			case ".dockerignore":
			case caller:
				if string(fix.Before) != other {
					t.Errorf("the fix of %s is one of another text", caller)
				}
			default:
				t.Errorf("there is no %s to fix", fix.Path)
			}
		}
	})
}

// TestLongFiles runs the program on files that are as long as they may be, in little memory and little time.
func TestLongFiles(t *testing.T) {
	program := enginetest.Binary(t)
	try := func(t *testing.T, files map[string]string) {
		dir := t.TempDir()
		writeAll(t, dir, files)
		for attempt := 0; ; attempt++ {
			ctx, cancel := context.WithTimeout(t.Context(), 3*slowest)
			start := time.Now()
			out, err := exec.CommandContext(ctx, "sh", "-c", `ulimit -v 4000000; exec "$0" lint --fix --diff "$1"`, program, dir).CombinedOutput()
			took := time.Since(start)
			cancel()
			exit := (*exec.ExitError)(nil)
			ended := err == nil || errors.As(err, &exit) && (exit.ExitCode() == 2 || exit.ExitCode() == 3) && !strings.Contains(string(out), "goroutine ")
			if ended && took < slowest {
				return
			}
			if attempt == 2 || took >= 2*slowest { // else the machine may have been busy
				t.Fatalf("%s, %v:\n%.2000s", took, err, out)
			}
		}
	}
	for i, text := range long() {
		name := strings.ReplaceAll(fmt.Sprintf("%.50s", strings.TrimPrefix(text, "FROM scratch\n")), "\n", ";")
		t.Run(fmt.Sprintf("Dockerfile %d %s", i, name), func(t *testing.T) { try(t, map[string]string{"Dockerfile": text}) })
	}
	for i, text := range longCallers() {
		name := callers[i%len(callers)]
		t.Run(fmt.Sprintf("%s %d", name, i), func(t *testing.T) {
			try(t, map[string]string{"Dockerfile": "FROM scratch\nARG TOKEN\nRUN x $TOKEN\n", name: text})
		})
	}
}

// long are Dockerfiles as long as they may be, made to be slow.
func long() []string {
	fill := func(start, again, end string) string {
		n := max(longest-len(start)-len(end), 0) / len(again)
		return start + strings.Repeat(again, n) + end
	}
	numbered := func(start, again string) string {
		var b strings.Builder
		b.WriteString(start)
		for i := 1; b.Len() < longest-2*len(again)-20; i++ {
			b.WriteString(strings.NewReplacer("%d", fmt.Sprint(i), "%p", fmt.Sprint(i-1)).Replace(again))
		}
		return b.String()
	}
	return []string{
		numbered("FROM scratch\nENV A0=x\n", "ENV A%d=$A%p$A%p\n"),
		numbered("FROM scratch\nARG A0_TOKEN\n", "ARG A%d=$A%p_TOKEN$A%p\n"),
		numbered("FROM scratch\nARG TOKEN0\n", "ENV TOKEN%d=$TOKEN%p\n"),
		numbered("FROM scratch\n", "ARG TOKEN%d\nRUN x $TOKEN%d\n"),
		numbered("FROM scratch\n", "ARG T%d_TOKEN\n") + "RUN env\n",
		numbered("FROM scratch AS s0\nARG TOKEN\n", "FROM s%p AS s%d\nRUN x $TOKEN\n"),
		numbered("FROM scratch AS s0\nCOPY .npmrc /a\n", "FROM scratch AS s%d\nCOPY --from=s%p /a /a\n"),
		fill("FROM scratch\nARG TOKEN\nRUN ", "echo $TOKEN > f; ", ""),
		fill("FROM scratch\nARG TOKEN\nRUN ", "echo $TOKEN | tee f && ", "true"),
		fill("FROM scratch\nARG TOKEN\nRUN A=$TOKEN; ", "A=$A$A; ", "echo $A > /f"),
		fill("FROM scratch\nRUN ", "$(", ""),
		fill("FROM scratch\nRUN ", "{ ", ""),
		fill("FROM scratch\nRUN ", "(", strings.Repeat(")", 100)),
		fill("FROM scratch\nRUN ", "if x; then ", ""),
		fill("FROM scratch\nRUN f() { f; f; }; ", "f; ", ""),
		fill("FROM scratch\nRUN ", "sh -c '", ""),
		fill("FROM scratch\nARG TOKEN\n", "RUN cp a b\n", ""),
		fill("FROM scratch\nARG TOKEN\n", "COPY . .\n", ""),
		fill("FROM scratch\nENV ", "a=b ", ""),
		fill("FROM scratch\nLABEL ", "a=https://a:b@c ", ""),
		fill("FROM scratch\nENV A=", "${A:-", ""),
		fill("FROM scratch\nRUN x \\\n", "# y\n", "z\n"),
		fill("FROM scratch\nONBUILD ", "ONBUILD ", "RUN x"),
		fill("FROM scratch\n", "ONBUILD RUN echo $TOKEN > f\n", ""),
		fill("FROM scratch\nRUN <<E\n", "echo a > b\n", "E\n"),
		fill("FROM scratch\nRUN ", "<<E ", "\nE\n"),
		fill("", "# tightlip: ignore=secret-arg x\n", "FROM scratch\nARG TOKEN\n"),
		fill("", "{{ x }}\n", "FROM scratch\nARG TOKEN\n"),
		fill("FROM scratch\nARG ", "T", "\n"),
		fill("FROM scratch\nRUN x ", "password=", "\n"),
		fill("FROM scratch\nRUN git clone ", "https://a:", "b@c\n"),
		fill("FROM scratch\nRUN x ", "\\\n", "\n"),
		fill("FROM scratch\nWORKDIR ", "../a/", "\nCOPY .npmrc .\n"),
		fill("FROM scratch\nCOPY ", ".npmrc ", "/\n"),
		fill("FROM scratch\nCOPY ", "*?", " /\n"),
		fill("FROM scratch\nRUN rm ", "* ", "\n"),
	}
}

// longCallers are such texts for each of the callers in turn.
func longCallers() []string {
	again := [][2]string{
		{"services:\n", "  a: {build: {context: ., args: {TOKEN: $TOKEN}}}\n"},
		{"", "target \"a\" { args = { TOKEN = TOKEN } }\n"},
		{"", `{"target":`},
		{"jobs:\n  a:\n    steps:\n", "      - run: docker build --build-arg TOKEN=$TOKEN .\n"},
		{"a:\n  script:\n", "    - docker build --build-arg TOKEN=$TOKEN .\n"},
		{"A=$(A)\n", "A := $(A)$(A)\nx:\n\tdocker build --build-arg TOKEN=$(A) .\n"},
		{"#!/bin/sh\n", "A=$A$A; docker build --build-arg TOKEN=$A .\n"},
		{"", "sh \"docker build --build-arg TOKEN=${TOKEN} .\"\n"},
		{"steps:\n", "- {name: docker, args: [build, --build-arg, TOKEN=$_T, .]}\n"},
		{"", "!*\n**/a\n"},
		{"a: &a [x]\n", "b: &a [*a, *a]\n"},
		{"", "variable \"A\" { default = \"${A}${A}\" }\ntarget \"a\" { inherits = [\"a\"] args = { TOKEN = A } }\n"},
		{"", "["},
		{"", "{"},
		{"", "- "},
		{"define A\n", "$(call A,"},
		{"", "$("},
		{"", "'''"},
		{"a: ", "["},
		{"", "["},
	}
	var out []string
	for _, a := range again {
		out = append(out, a[0]+strings.Repeat(a[1], (longest-len(a[0]))/len(a[1])))
	}
	return out
}
