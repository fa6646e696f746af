package dockerfile_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/tightlip/tightlip/dockerfile"
)

const twoStages = `# syntax is the built-in one
ARG BASE=scratch
FROM ${BASE} AS base
ENV A=1

FROM base AS build
run --mount=type=secret,id=npm \
    --mount=type=secret,target=/run/secrets/pip \
    true
COPY <<EOF /x
RUN not this one
EOF

FROM build
RUN --mount=type=ssh true
CMD ["sh"]
`

func parse(t testing.TB, src string) *dockerfile.File {
	t.Helper()
	f, err := dockerfile.Parse("Dockerfile", []byte(src))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func lines(chain []dockerfile.Instruction) string {
	var s string
	for _, i := range chain {
		s += fmt.Sprintf("%s:%d ", i.Keyword, i.Line)
	}
	return s
}

func TestChain(t *testing.T) {
	f := parse(t, twoStages)
	for target, want := range map[string]string{
		"":      "env:4 run:7 copy:10 run:15 cmd:16 ",
		"build": "env:4 run:7 copy:10 ",
		"BASE":  "env:4 ",
		"1":     "env:4 run:7 copy:10 ",
		"none":  "",
	} {
		if got := lines(f.Chain(target)); got != want {
			t.Errorf("Chain(%q) = %s, want %s", target, got, want)
		}
	}
}

func TestChainOfAVariable(t *testing.T) {
	f := parse(t, "ARG V=b\nARG W=a${V}\nFROM x AS ab\nRUN 1\nFROM $W\nRUN 2\n")
	if got := lines(f.Chain("")); got != "run:4 run:6 " {
		t.Errorf("got %s", got)
	}
}

func TestOrigins(t *testing.T) {
	chain := parse(t, twoStages).Chain("")
	history := []string{
		"/bin/sh -c #(nop) ADD file:abc in / ", // the base image's
		"ENV A=1",
		"RUN /bin/sh -c true # buildkit",
		"COPY <<EOF /x # buildkit",
		"/bin/sh -c true",
		`/bin/sh -c #(nop)  CMD ["sh"]`,
	}
	want := []int{0, 4, 7, 10, 15, 16}
	for i, o := range dockerfile.Origins(chain, history) {
		if got := lineOf(o); got != want[i] {
			t.Errorf("entry %d comes from line %d, want %d", i, got, want[i])
		}
	}
	// What BuildKit fills in for a base without history is nobody's.
	filled := append(slices.Clone(history), "[base 4/5] COPY app /bin/app")
	for i, o := range dockerfile.Origins(chain, filled) {
		if want := append(slices.Clone(want), 0); lineOf(o) != want[i] {
			t.Errorf("with a filler, entry %d comes from line %d, want %d", i, lineOf(o), want[i])
		}
	}
	// A history that does not fit is matched only as far as it does.
	history[4] = "COPY x y"
	for i, o := range dockerfile.Origins(chain, history) {
		if got := lineOf(o); i < 5 && got != 0 {
			t.Errorf("entry %d comes from line %d, want none", i, got)
		}
	}
}

func lineOf(i *dockerfile.Instruction) int {
	if i == nil {
		return 0
	}
	return i.Line
}

func TestAddMounts(t *testing.T) {
	got, err := parse(t, twoStages).AddMounts(func(id string) (string, bool) {
		return "--mount=type=bind,from=x-" + id, id == "npm" || id == "pip"
	})
	if err != nil {
		t.Fatal(err)
	}
	want := `# syntax is the built-in one
ARG BASE=scratch
FROM ${BASE} AS base
ENV A=1

FROM base AS build
run --mount=type=bind,from=x-npm --mount=type=bind,from=x-pip --mount=type=secret,id=npm \
    --mount=type=secret,target=/run/secrets/pip \
    true
COPY <<EOF /x
RUN not this one
EOF

FROM build
RUN --mount=type=ssh true
CMD ["sh"]
`
	if string(got) != want {
		t.Errorf("got:\n%s", got)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(twoStages)
	f.Add("FROM a\nRUN --mount=type=secret,id=$X x")
	f.Add("FROM a\n\\\nRUN x")
	f.Fuzz(func(t *testing.T, src string) {
		file, err := dockerfile.Parse("Dockerfile", []byte(src))
		if err != nil {
			return
		}
		file.Chain("")
		got, err := file.AddMounts(func(string) (string, bool) { return "", false })
		if err == nil && string(got) != src {
			t.Errorf("an edit that adds nothing changed the file:\n%q\n%q", src, got)
		}
	})
}

func ExampleFile_Chain() {
	f, err := dockerfile.Parse("Dockerfile", []byte("FROM alpine AS a\nRUN make\nFROM a\nCMD [\"sh\"]\n"))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, i := range f.Chain("") {
		fmt.Println(i.Line, i.Text)
	}
	// Output:
	// 2 RUN make
	// 4 CMD ["sh"]
}
