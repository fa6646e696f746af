package caller

import (
	"fmt"
	"path"
	"strings"

	"github.com/tightlip/tightlip/internal/lazy"

	"go.yaml.in/yaml/v3"
)

// pipeline says how a CI system writes what it runs. Variables and folders count for all that is below them.
type pipeline struct {
	scripts [][]string // keys of commands; those of one list run in one shell, in this order
	env     []string   // keys of variables of the environment
	loose   string     // key of variables that may not be in the environment
	secrets []string   // keys of lists of variables that hold secrets
	dir     string     // key of the working directory
	image   string     // key of the image that commands run in
	argv    bool       // commands are lists of words, too
	unsure  string     // why variables that nobody sets may not be in the environment
	step    func(r *runner, n *yaml.Node, s *scope)
}

var pipelines map[string]pipeline

func init() {
	pipelines = map[string]pipeline{
		"gitlab-ci": {scripts: [][]string{{"before_script", "script"}, {"after_script"}}, env: []string{"variables"}, image: "image"},
		"bitbucket": {scripts: [][]string{{"script"}, {"after-script"}}},
		"circleci":  {scripts: [][]string{{"run"}, {"command"}}, env: []string{"environment"}, dir: "working_directory"},
		"azure-pipelines": {scripts: [][]string{{"script"}, {"bash"}}, env: []string{"env"}, loose: "variables", dir: "workingDirectory",
			unsure: "secret variables are in the environment only if the step's env has them", step: azureTask},
		"cloud-build": {scripts: [][]string{{"script"}}, env: []string{"env"}, secrets: []string{"secretEnv"}, dir: "dir", argv: true},
		"tekton":      {scripts: [][]string{{"script"}}, env: []string{"env"}, dir: "workingDir", argv: true},
		"makefile":    {scripts: [][]string{{"cmds"}, {"cmd"}}, env: []string{"env"}, dir: "dir"}, // Taskfile
	}
}

func readPipeline(d *document) {
	r := &runner{tree: parseYAML(d), pipeline: pipelines[d.kind], jobs: map[string]*yaml.Node{}}
	for _, root := range r.roots {
		for _, job := range r.fields(root) {
			r.jobs[job.key.Value] = deref(job.value)
		}
	}
	for _, root := range r.roots {
		dir := "."
		if d.kind == "makefile" {
			dir = folder(d.name)
		}
		r.walk(root, &scope{kind: d.kind, dir: dir, here: folder(d.name), unsure: r.unsure}, 0)
	}
	r.compact()
}

// compact drops builds that were found more than once: by aliases, or for each value of what they do not use.
func (d *document) compact() {
	seen := map[string]bool{}
	kept := d.builds[:0]
	for _, f := range d.builds {
		key := fmt.Sprint(f.at, f.Build)
		if !seen[key] {
			kept = append(kept, f)
		}
		seen[key] = true
	}
	d.builds = kept
}

// runner goes through a pipeline.
type runner struct {
	*tree
	pipeline
	jobs map[string]*yaml.Node
}

func (r *runner) walk(n *yaml.Node, outer *scope, depth int) {
	if n == nil || depth > 64 {
		return
	}
	s := outer
	if n.Kind == yaml.MappingNode {
		s = r.enter(n, outer)
		for _, keys := range r.scripts {
			r.run(n, keys, s)
		}
		if r.argv {
			r.words(n, s)
		}
		if r.step != nil {
			r.step(r, n, s)
		}
	}
	for _, c := range n.Content {
		r.walk(c, s, depth+1)
	}
}

// enter makes the scope of a mapping.
func (r *runner) enter(n *yaml.Node, outer *scope) *scope {
	s := *outer
	for _, key := range append([]string{r.loose}, r.env...) {
		if f, ok := r.field(n, key); ok {
			s.vars = r.variables(f.value, &s, key != r.loose)
		}
	}
	for _, key := range r.secrets {
		if f, ok := r.field(n, key); ok {
			s.vars = copied(s.vars)
			for _, v := range items(f.value) {
				s.vars[v.Value] = &setting{value: word{parts: []part{{kind: unknown}}}, from: "$" + v.Value, exported: true}
			}
		}
	}
	if text := r.textOf(n, r.dir); r.dir != "" && text != "" {
		s.dir = orOutside(join(".", s.pathOf(text)))
	}
	if name, ok := s.expand(s.plain(r.imageOf(n, 0))); ok && name != "" {
		s.dated = oldDocker().MatchString(name)
	}
	return &s
}

// oldDocker are images of docker before version 23, the first that builds with BuildKit unless it is told otherwise.
var oldDocker = lazy.Regexp(`(^|/)docker:(stable|1?\d|2[0-2])\b`)

// imageOf is the image that a job says, that it extends, or that is the default of all.
func (r *runner) imageOf(n *yaml.Node, depth int) (name string) {
	if r.image == "" || n == nil || depth > 3 {
		return ""
	}
	for _, keys := range [][]string{{r.image}, {r.image, "name"}, {"default", r.image}, {"default", r.image, "name"}} {
		if name := r.textOf(n, keys...); name != "" {
			return name
		}
	}
	bases := items(r.get(n, "extends"))
	for _, base := range bases[max(len(bases)-maxBases, 0):] {
		if own := r.imageOf(r.jobs[base.Value], depth+1); own != "" {
			name = own // the last one counts
		}
	}
	return name
}

// maxBases is how many templates of one job are looked at.
const maxBases = 3

// pathOf is a path that a file gives outside of commands; outside if it is not known.
func (s *scope) pathOf(text string) string {
	if text = strings.TrimPrefix(text, "/workspace/"); text == "/workspace" || text == "~/project" {
		return "."
	}
	name, ok := s.expand(s.plain(text))
	if !ok {
		return "/" + outside
	}
	return name
}

// plain splits a text at the expressions and variables in it.
func (s *scope) plain(text string) word {
	var w word
	for text != "" {
		re := expressions[s.kind]
		var m []int
		if re != nil {
			m = re().FindStringSubmatchIndex(text)
		}
		if m == nil {
			break
		}
		w.parts = append(w.parts, references(text[:m[0]], 0)...)
		for g := 2; g < len(m); g += 2 {
			if m[g] >= 0 {
				w.parts = append(w.parts, part{kind: expression, text: text[m[g]:m[g+1]], plain: true})
			}
		}
		text = text[m[1]:]
	}
	w.parts = append(w.parts, references(text, 0)...)
	return w
}

// variables reads a mapping, or a list of names with values, as variables of the environment.
func (r *runner) variables(n *yaml.Node, s *scope, exported bool) map[string]*setting {
	out := copied(s.vars)
	set := func(name string, v *yaml.Node) {
		value := s.plain(v.Value)
		out[name] = &setting{value: value, words: s.listIn(r.document, r.scalar(v)), from: s.from(value), exported: exported}
	}
	if n = deref(n); n == nil {
		return out
	}
	for _, f := range r.fields(n) {
		v := deref(f.value)
		if v != nil && v.Kind == yaml.MappingNode {
			v = r.get(v, "value")
		}
		if v != nil && v.Kind == yaml.ScalarNode {
			set(f.key.Value, v)
		}
	}
	if n.Kind != yaml.SequenceNode {
		return out
	}
	for _, c := range n.Content {
		if c.Kind == yaml.ScalarNode {
			name, text, _ := strings.Cut(c.Value, "=")
			value := s.plain(text)
			out[name] = &setting{value: value, from: s.from(value), exported: exported}
			continue
		}
		name := r.textOf(c, "name")
		if ref := r.get(c, "valueFrom", "secretKeyRef"); ref != nil {
			out[name] = &setting{value: word{parts: []part{{kind: unknown}}}, from: "secretKeyRef " + r.textOf(ref, "name"), exported: true}
		} else if v := r.get(c, "value"); v != nil && v.Kind == yaml.ScalarNode {
			set(name, v)
		}
	}
	return out
}

// run runs the commands under some keys in one shell.
func (r *runner) run(n *yaml.Node, keys []string, s *scope) {
	var nodes []*yaml.Node
	for _, key := range keys {
		if f, ok := r.field(n, key); ok && !f.merged {
			nodes = appendCommands(nodes, f.value, 0)
		}
	}
	r.shells(s, nodes)
}

func appendCommands(out []*yaml.Node, n *yaml.Node, depth int) []*yaml.Node {
	n = deref(n)
	switch {
	case n == nil || depth > 8 || len(out) > 10_000:
	case n.Kind == yaml.ScalarNode:
		out = append(out, n)
	case n.Kind == yaml.SequenceNode:
		for _, c := range n.Content {
			out = appendCommands(out, c, depth+1)
		}
	}
	return out
}

// shells runs commands one after the other.
func (t *tree) shells(s *scope, nodes []*yaml.Node) {
	any := false
	for _, n := range nodes {
		any = any || mayBuild("", []byte(n.Value))
	}
	if !any {
		return
	}
	inner := *s
	inner.vars = copied(s.vars)
	for _, n := range nodes {
		readShell(t.document, &inner, t.dollars(t.scalar(n)))
	}
}

// dollars undoes the escape that keeps Cloud Build from filling in variables.
func (t *tree) dollars(s source) source {
	if t.kind != "cloud-build" || !strings.Contains(s.text, "$$") {
		return s
	}
	var w writer
	for i := 0; i < len(s.text); i++ {
		if strings.HasPrefix(s.text[i:], "$$") {
			w.stand(s, "$", i)
			i++
			continue
		}
		w.from(s, i, i+1)
	}
	out := w.source(s.at[len(s.text)])
	out.rigid, out.flow = s.rigid, s.flow
	return out
}

// words runs a command that is a list of words, without a shell.
func (r *runner) words(n *yaml.Node, s *scope) {
	f, ok := r.field(n, "args")
	if !ok || f.merged {
		return
	}
	var argv []*yaml.Node
	argv = appendCommands(argv, f.value, 0)
	call := appendCommands(appendCommands(nil, r.get(n, "entrypoint"), 0), r.get(n, "command"), 0)
	if len(call) == 0 {
		call = appendCommands(appendCommands(nil, r.get(n, "name"), 0), r.get(n, "image"), 0)
		call = call[max(len(call)-1, 0):]
	}
	all := append(call, argv...)
	if len(all) < 2 || len(argv) == 0 {
		return
	}
	if script := scriptOf(all); script != nil {
		r.shells(s, []*yaml.Node{script})
		return
	}
	in := make([]word, len(all))
	for i, a := range all {
		in[i] = r.argument(a, s)
	}
	// Only the last part of an image's name tells the program.
	in[0].parts = []part{{kind: literal, text: programOf(all[0].Value)}}
	readCommand(r.document, s, in)
}

// scriptOf is the script of "sh -c script"; nil if words are no such call.
func scriptOf(all []*yaml.Node) *yaml.Node {
	switch path.Base(all[0].Value) {
	case "sh", "bash", "ash":
		for i, n := range all[:len(all)-1] {
			if strings.HasPrefix(n.Value, "-") && strings.HasSuffix(n.Value, "c") {
				return all[i+1]
			}
		}
	}
	return nil
}

// programOf is the program that an image is for, or a path.
func programOf(name string) string {
	if strings.Contains(name, "kaniko") {
		return "/kaniko/executor"
	}
	base, _, _ := strings.Cut(path.Base(name), ":")
	base, _, _ = strings.Cut(base, "@")
	return base
}

func (r *runner) argument(n *yaml.Node, s *scope) word {
	text := n.Value
	if r.kind == "cloud-build" {
		text = strings.ReplaceAll(text, "$$", "$")
	}
	if r.kind == "tekton" {
		text = kubernetesVariable().ReplaceAllString(text, "$${$1}")
	}
	w := s.plain(text)
	w.start, w.end, w.rigid = r.offset(n), r.end(n), true
	return w
}

// azureTask reads the task that runs docker.
func azureTask(r *runner, n *yaml.Node, s *scope) {
	task, in := r.textOf(n, "task"), r.get(n, "inputs")
	if !strings.HasPrefix(task, "Docker@") || r.textOf(in, "command") != "build" {
		return
	}
	args, ok := r.field(in, "arguments")
	var w writer
	at := r.offset(n)
	w.put("docker build ", at)
	src := source{text: "", at: []int{at}}
	if ok {
		src = r.scalar(deref(args.value))
	}
	w.from(src, 0, len(src.text))
	at = src.at[len(src.text)]
	if file := r.textOf(in, "Dockerfile"); strings.Contains(file, "*") || file == "" {
		w.put(" -f -", at)
	} else {
		w.put(" -f '"+file+"'", at)
	}
	context := r.textOf(in, "buildContext")
	if context == "" {
		context = "**"
	}
	if context == "**" {
		context = path.Dir(r.textOf(in, "Dockerfile"))
	}
	w.put(" '"+context+"'", at)
	out := w.source(at)
	out.rigid = true
	inner := *s
	inner.vars = copied(s.vars)
	readShell(r.document, &inner, out)
}

// kubernetesVariable is how the arguments of containers have their variables.
var kubernetesVariable = lazy.Regexp(`\$\(([A-Za-z_]\w*)\)`)
