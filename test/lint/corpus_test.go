// Package lint_test has small projects that leak secrets, or only look as if they did, for measuring tightlip lint.
//
// Each project is an archive in testdata/corpus, in the format of golang.org/x/tools/txtar. Its comment says what leaks, then:
//
//	expect: PATH:LINE RULE|RULE      a finding on this line with one of the rules
//	build: yes                       the leak can be shown by a build on a base that has only busybox's sh
//	context: FOLDER                  what to build, if not the project's folder
//	dockerfile: PATH                 in the project, if not the Dockerfile of the context
//	target: STAGE
//	arg: NAME=VALUE                  what the build is given
//	secret: ID=VALUE
//	leaks: VALUE in PLACE            where the value is after the build: in the history, config, layer or log
//
// A line of a Dockerfile is the one that has the secret, which may be any line of an instruction. No archive has a value that
// looks like a real secret: values are made at run time for stand-ins such as @@NPM1@@.
package lint_test

import (
	"fmt"
	"hash/fnv"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"golang.org/x/tools/txtar"

	"github.com/tightlip/tightlip/dockerfile"
	made "github.com/tightlip/tightlip/internal/corpus"
)

// project is one archive, written to a folder.
type project struct {
	name   string // of the archive, without .txtar
	about  string
	dir    string
	expect []expectation
	build  *recipe // nil if no build shows the leak
}

// expectation is a finding that has to be there.
type expectation struct {
	path  string // in the project, with slashes
	line  int
	rules []string // any of them will do
}

func (e expectation) String() string {
	return fmt.Sprintf("%s:%d %s", e.path, e.line, strings.Join(e.rules, "|"))
}

// recipe says how to show a leak.
type recipe struct {
	context, dockerfile, target string // as paths in the project
	args, secrets               map[string]string
	leaks                       []leak
}

type leak struct{ value, place string }

// rules are those that an expectation may name.
var rules = strings.Fields(`literal-secret secret-env secret-arg env-from-arg credential-url copied-credential copied-then-removed
	ssh-key-copied context-credential secret-in-file secret-in-config secret-in-log secret-traced mount-not-required
	ssh-host-checking ssh-keyscan copied-from-stage onbuild-secret old-syntax network-secret caller-secret-arg caller-provenance`)

// places are where a leak can be.
var places = []string{"history", "config", "layer", "log"}

// standIns are what internal/corpus makes for the name of a stand-in.
var standIns = map[string]string{
	"AWSKEY":    "aws-id",
	"AWSSECRET": "b64 30",
	"BASICAUTH": "human|basic deploy",
	"CERT":      "certificate",
	"GITHUB":    "github",
	"GITLAB":    "gitlab",
	"HEX":       "hex 32",
	"JWT":       "jwt",
	"NPM":       "npm",
	"PASSWORD":  "pass",
	"PEM":       "rsa-pkcs8",
	"PEMLINE":   "rsa-pkcs8|json", // for a string of JSON
	"PUBKEY":    "public-key",
	"SLACK":     "slack-bot",
	"SSHKEY":    "ed25519",
	"SSHPUB":    "alnum 43|wrap ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI%s",
	"TOKEN":     "alnum 20",
}

var standIn = regexp.MustCompile(`@@([A-Z]+)[0-9]+@@`)

// corpus loads the projects of a folder, "bad" or "good", into folders of their own.
func corpus(t testing.TB, folder string) []project {
	t.Helper()
	names, err := filepath.Glob(filepath.Join("testdata", "corpus", folder, "*.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	var out []project
	root := t.TempDir()
	for _, name := range names {
		archive, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		p, err := load(strings.TrimSuffix(filepath.Base(name), ".txtar"), root, archive)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		out = append(out, p)
	}
	return out
}

func load(name, root string, archive *txtar.Archive) (project, error) {
	p := project{name: name, dir: filepath.Join(root, name)}
	fill := filler(name)
	if err := p.comment(string(archive.Comment), fill); err != nil {
		return p, err
	}
	for _, f := range archive.Files {
		if !filepath.IsLocal(f.Name) {
			return p, fmt.Errorf("%s is outside of the project", f.Name)
		}
		text, err := fill(string(f.Data))
		if err != nil {
			return p, err
		}
		file := filepath.Join(p.dir, filepath.FromSlash(f.Name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return p, err
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			return p, err
		}
	}
	return p, nil
}

// filler replaces the stand-ins of one archive, which have the same values all over it.
func filler(name string) func(text string) (string, error) {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name))
	values := map[string]string{}
	return func(text string) (string, error) {
		var failed error
		filled := standIn.ReplaceAllStringFunc(text, func(s string) string {
			if v, ok := values[s]; ok {
				return v
			}
			kind := standIn.FindStringSubmatch(s)[1]
			v, err := made.Value(h.Sum64(), s, standIns[kind])
			if err != nil {
				failed = fmt.Errorf("%s: %w", s, err)
			}
			values[s] = v
			return v
		})
		return filled, failed
	}
}

// comment reads what stands above the files.
func (p *project) comment(text string, fill func(string) (string, error)) error {
	r := &recipe{context: ".", args: map[string]string{}, secrets: map[string]string{}}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		key, value, _ := strings.Cut(line, ": ")
		value, err := fill(value)
		if err != nil {
			return err
		}
		switch key {
		case "expect":
			e, err := parseExpectation(value)
			if err != nil {
				return err
			}
			p.expect = append(p.expect, e)
		case "build":
			p.build = r
		case "context":
			r.context = value
		case "dockerfile":
			r.dockerfile = value
		case "target":
			r.target = value
		case "arg", "secret":
			name, value, ok := strings.Cut(value, "=")
			if !ok {
				return fmt.Errorf("no value in %q", line)
			}
			map[string]map[string]string{"arg": r.args, "secret": r.secrets}[key][name] = value
		case "leaks":
			i := strings.LastIndex(value, " in ")
			if i < 1 || !slices.Contains(places, value[i+4:]) {
				return fmt.Errorf("no value or no place in %q", line)
			}
			r.leaks = append(r.leaks, leak{value[:i], value[i+4:]})
		default:
			p.about = strings.TrimSpace(p.about + "\n" + line)
		}
	}
	if r.dockerfile == "" {
		r.dockerfile = path.Join(r.context, "Dockerfile")
	}
	return nil
}

func parseExpectation(text string) (expectation, error) {
	place, names, _ := strings.Cut(text, " ")
	name, number, _ := strings.Cut(place, ":")
	line, err := strconv.Atoi(number)
	if err != nil {
		return expectation{}, fmt.Errorf("no line in %q", text)
	}
	e := expectation{path: name, line: line, rules: strings.Split(names, "|")}
	for _, r := range e.rules {
		if !slices.Contains(rules, r) {
			return e, fmt.Errorf("there is no rule %q", r)
		}
	}
	return e, nil
}

// isDockerfile tells it by the name.
func isDockerfile(name string) bool {
	base := path.Base(name)
	return base == "Containerfile" || path.Ext(base) == ".Dockerfile" || strings.HasPrefix(base, "Dockerfile") && path.Ext(base) != ".dockerignore"
}

// instruction is the range of lines of the instruction that a line of a Dockerfile belongs to.
func (p project) instruction(t testing.TB, name string, line int) (first, last int) {
	t.Helper()
	f, err := dockerfile.Parse(name, []byte(p.read(t, name)))
	if err != nil {
		t.Fatal(err)
	}
	var all [][]parser.Range
	for _, c := range f.Args() {
		all = append(all, c.Location())
	}
	for _, s := range f.Stages() {
		all = append(all, s.Location)
		for _, c := range s.Commands {
			all = append(all, c.Location())
		}
	}
	for _, at := range all {
		if len(at) > 0 && at[0].Start.Line <= line && line <= at[len(at)-1].End.Line {
			return at[0].Start.Line, at[len(at)-1].End.Line
		}
	}
	return 0, 0
}

func (p project) read(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(p.dir, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// dockerfiles are their paths in the project.
func (p project) dockerfiles(t testing.TB) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(p.dir, func(file string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && isDockerfile(filepath.ToSlash(file)) {
			rel, _ := filepath.Rel(p.dir, file) // it is below
			out = append(out, filepath.ToSlash(rel))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestCorpus checks the archives themselves.
func TestCorpus(t *testing.T) {
	bad, good := corpus(t, "bad"), corpus(t, "good")
	builds, seen := 0, map[string]int{}
	for _, p := range bad {
		t.Run("bad/"+p.name, func(t *testing.T) {
			p.check(t)
			if len(p.expect) == 0 {
				t.Error("nothing is expected of it")
			}
			p.checkExpectations(t)
			p.checkRecipe(t)
		})
		for _, e := range p.expect {
			for _, r := range e.rules {
				seen[r]++
			}
		}
		if p.build != nil {
			builds++
		}
	}
	for _, p := range good {
		t.Run("good/"+p.name, func(t *testing.T) {
			p.check(t)
			if len(p.expect) > 0 || p.build != nil {
				t.Error("nothing leaks, so nothing can be expected or shown")
			}
		})
	}
	t.Logf("%d bad, %d of them to build, %d good; rules: %v", len(bad), builds, len(good), seen)
	if len(bad) < 120 || builds < 70 || len(good) < 80 {
		t.Error("too few")
	}
	for _, r := range rules {
		if seen[r] < 2 {
			t.Errorf("no two projects expect %s", r)
		}
	}
}

func (p project) check(t *testing.T) {
	t.Helper()
	if p.about == "" {
		t.Error("no comment says what it is about")
	}
	for _, name := range p.dockerfiles(t) {
		_, err := dockerfile.Parse(name, []byte(p.read(t, name)))
		if broken := strings.HasPrefix(p.name, "broken-"); err != nil != broken {
			t.Errorf("the parser says %v", err)
		}
	}
}

func (p project) checkExpectations(t *testing.T) {
	t.Helper()
	for _, e := range p.expect {
		lines := strings.Split(p.read(t, e.path), "\n")
		if e.line < 1 || e.line > len(lines) || strings.TrimSpace(lines[e.line-1]) == "" {
			t.Errorf("%s: no such line", e)
			continue
		}
		if !isDockerfile(e.path) || slices.Contains(e.rules, "old-syntax") {
			continue
		}
		if first, _ := p.instruction(t, e.path, e.line); first == 0 {
			t.Errorf("%s is outside of all instructions", e)
		}
	}
}

func (p project) checkRecipe(t *testing.T) {
	t.Helper()
	if p.build == nil {
		return
	}
	if len(p.build.leaks) == 0 {
		t.Error("the build shows no leak")
	}
	if !slices.Contains(p.dockerfiles(t), p.build.dockerfile) {
		t.Errorf("there is no %s to build", p.build.dockerfile)
	}
	text := p.read(t, p.build.dockerfile)
	for name := range maps.Keys(p.build.args) {
		if !strings.Contains(text, name) {
			t.Errorf("the Dockerfile has no argument %s", name)
		}
	}
	for id := range maps.Keys(p.build.secrets) {
		if !strings.Contains(text, "id="+id) {
			t.Errorf("the Dockerfile has no secret %s", id)
		}
	}
}
