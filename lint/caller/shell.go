package caller

import (
	"bytes"
	"slices"
	"strings"

	"github.com/tightlip/tightlip/internal/lazy"
	"github.com/tightlip/tightlip/lint/nesting"

	"mvdan.cc/sh/v3/syntax"
)

// expressions are what CI systems fill in before a shell sees it. The shell's grammar does not have them.
var expressions = map[string]pattern{
	actionsKind:       lazy.Regexp(`\$\{\{\s*(.*?)\s*\}\}`),
	"gitlab-ci":       lazy.Regexp(`\$\[\[\s*(.*?)\s*\]\]`),
	"azure-pipelines": lazy.Regexp(`\$\{\{\s*(.*?)\s*\}\}|\$\[\s*(.*?)\s*\]|\$\(([A-Za-z_][\w.-]*)\)`),
	"circleci":        lazy.Regexp(`<<\s*([A-Za-z][\w.-]*)\s*>>`),
	"tekton":          lazy.Regexp(`\$\(((?:params|workspaces|context|steps|tasks|results|inputs|outputs)[\w.\[\]"'*-]*)\)`),
	"makefile":        lazy.Regexp(`\{\{\s*\.?([A-Za-z_][\w.]*)\s*\}\}`), // Taskfile and justfile
}

// filler stands where an expression was: no shell gives the byte a meaning.
const filler = '\x01'

// shell reads commands.
type shell struct {
	*document
	*scope
	src     source
	filled  map[int]string // expressions, by where they stood
	lengths map[int]int
	old     []string // folders for popd
	rounds  int      // of the loops around what is walked through
}

// readShell finds the builds in a script.
func readShell(d *document, s *scope, src source) {
	sh := &shell{document: d, scope: s}
	sh.fill(src)
	f, err := nesting.Parse(sh.src.text)
	if err == nil {
		sh.walk(f)
		return
	}
	if why, at := shellMistake(err); s.kind == "script" || why == tooDeep {
		d.fail(d.line(src.at[min(at, len(src.text))]), why)
	}
	all := sh.src
	for start := 0; start < len(all.text); {
		end := logicalLine(all.text, start)
		sh.src = all.slice(start, end)
		if f, err := nesting.Parse(sh.src.text); err == nil {
			sh.shift(start)
			sh.walk(f)
			sh.shift(-start)
		}
		start = end
	}
}

// logicalLine is where a line ends that a backslash may continue.
func logicalLine(text string, start int) int {
	for at := start; ; {
		i := strings.IndexByte(text[at:], '\n')
		if i < 0 {
			return len(text)
		}
		if line := strings.TrimSuffix(text[at:at+i], "\r"); !strings.HasSuffix(line, `\`) {
			return at + i + 1
		}
		at += i + 1
	}
}

// fill takes the expressions out of a text.
func (sh *shell) fill(src source) {
	sh.filled, sh.lengths = map[int]string{}, map[int]int{}
	sh.src = src
	re := expressions[sh.scope.kind]
	if re == nil {
		return
	}
	b := []byte(src.text)
	for _, m := range re().FindAllStringSubmatchIndex(src.text, -1) {
		name := ""
		for g := 2; g < len(m); g += 2 {
			if m[g] >= 0 {
				name = src.text[m[g]:m[g+1]]
			}
		}
		sh.filled[m[0]], sh.lengths[m[0]] = name, m[1]-m[0]
		copy(b[m[0]:m[1]], bytes.Repeat([]byte{filler}, m[1]-m[0]))
	}
	sh.src.text = string(b)
}

// shift makes the expressions' places those in a part of the text that starts at by.
func (sh *shell) shift(by int) {
	filled, lengths := map[int]string{}, map[int]int{}
	for at, name := range sh.filled {
		filled[at-by], lengths[at-by] = name, sh.lengths[at]
	}
	sh.filled, sh.lengths = filled, lengths
}

// walk goes through commands in the order of the text.
func (sh *shell) walk(f syntax.Node) {
	type frame struct {
		node   syntax.Node
		dir    string
		others []string
	}
	var stack []frame
	syntax.Walk(f, func(n syntax.Node) bool {
		if n == nil {
			top := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			if closes(top.node) {
				sh.dir, sh.others = top.dir, top.others
			}
			return true
		}
		if loop, ok := n.(*syntax.ForClause); ok && sh.loop(loop) {
			return false
		}
		stack = append(stack, frame{n, sh.dir, sh.others})
		sh.enter(n)
		return true
	})
}

// closes tells whether a cd in a node does not count behind it.
func closes(n syntax.Node) bool {
	switch n.(type) {
	case *syntax.Subshell, *syntax.CmdSubst, *syntax.FuncDecl, *syntax.ProcSubst:
		return true
	}
	return false
}

func (sh *shell) enter(n syntax.Node) {
	switch n := n.(type) {
	case *syntax.DeclClause:
		sh.declare(n)
	case *syntax.Stmt:
		call, ok := callOf(n)
		if !ok {
			return
		}
		if len(call.Args) == 0 {
			for _, a := range call.Assigns {
				sh.assign(a, false)
			}
			return
		}
		sh.call(call, n.Redirs)
	}
}

func (sh *shell) call(call *syntax.CallExpr, redirects []*syntax.Redirect) {
	words := sh.splice(sh.words(call.Args), 0)
	first, _ := words[0].literal()
	switch first {
	case "cd", "pushd":
		sh.old = append(sh.old, sh.dir)
		sh.cd(words[1:])
		return
	case "popd":
		if n := len(sh.old); n > 0 {
			sh.dir, sh.old = sh.old[n-1], sh.old[:n-1]
		}
		return
	case "source", ".", "eval":
		sh.unsure = "the script reads other files, which may set it without exporting it"
		return
	case "read":
		for _, w := range words[1:] {
			if name, ok := w.literal(); ok && !strings.HasPrefix(name, "-") {
				sh.set(name, &setting{value: word{parts: []part{{kind: unknown}}}})
			}
		}
		return
	}
	s := *sh.scope
	s.classic = sh.isClassic(call)
	c := readCommand(sh.document, &s, words)
	if c != nil && c.Dockerfile == "" && c.Inline == "" {
		sh.heredoc(c, redirects)
	}
}

// isClassic tells whether docker builds without BuildKit.
func (sh *shell) isClassic(call *syntax.CallExpr) bool {
	for _, a := range call.Assigns {
		if a.Name != nil && a.Name.Value == "DOCKER_BUILDKIT" && a.Value != nil {
			return is(sh.word(a.Value), "0")
		}
	}
	if v := sh.vars["DOCKER_BUILDKIT"]; v != nil {
		return is(v.value, "0")
	}
	return sh.dated
}

// heredoc is a Dockerfile on the standard input.
func (sh *shell) heredoc(c *found, redirects []*syntax.Redirect) {
	for _, r := range redirects {
		if r.Hdoc == nil {
			continue
		}
		w := sh.word(r.Hdoc)
		if text, ok := w.literal(); ok && !w.rigid {
			c.Inline, c.InlineLine = text, sh.line(w.start)
		}
	}
}

func (sh *shell) cd(args []word) {
	for len(args) > 0 && strings.HasPrefix(args[0].lead(), "-") && len(args[0].lead()) > 1 {
		args = args[1:]
	}
	if len(args) == 0 {
		sh.dir = outside
		return
	}
	text, ok := sh.expand(args[0])
	to := join(sh.dir, text)
	if !ok || to == "" {
		to = outside
	}
	if strings.HasPrefix(text, rootPath) {
		sh.others = nil
	}
	sh.others = slices.Clone(sh.others)
	for i, o := range sh.others {
		sh.others[i] = orOutside(join(o, text))
	}
	sh.dir = to
}

func orOutside(dir string) string {
	if dir == "" {
		return outside
	}
	return dir
}

func (sh *shell) declare(n *syntax.DeclClause) {
	exported := n.Variant.Value == "export"
	for _, a := range n.Args {
		if a.Name == nil {
			if w := sh.word(a.Value); strings.HasPrefix(w.lead(), "-") && strings.Contains(w.lead(), "x") {
				exported = true
			}
			continue
		}
		sh.assign(a, exported)
	}
}

func callOf(s *syntax.Stmt) (*syntax.CallExpr, bool) {
	call, ok := s.Cmd.(*syntax.CallExpr)
	return call, ok
}

// assign notes what a variable is set to.
func (sh *shell) assign(a *syntax.Assign, exported bool) {
	name := a.Name.Value
	old := sh.vars[name]
	if a.Naked {
		if exported && old == nil {
			// It comes from the environment, or from a file that the script reads.
			old = &setting{value: word{parts: []part{{kind: unknown}}}}
			sh.set(name, old)
		}
		if old != nil {
			old.exported = old.exported || exported
		}
		return
	}
	v := &setting{exported: exported || old != nil && old.exported}
	switch {
	case a.Array != nil:
		for _, e := range a.Array.Elems {
			if e.Value != nil {
				v.words = append(v.words, sh.word(e.Value))
			}
		}
		if a.Append && old != nil {
			v.words = slices.Concat(old.words, v.words)
		}
	case a.Value != nil:
		v.value = sh.word(a.Value)
		v.words = added(name, old, sh.list(a.Value))
		if a.Append {
			v.value.parts = append(v.value.parts, part{kind: unknown})
			if old != nil {
				v.words = slices.Concat(old.words, v.words)
			}
		}
	}
	v.words = v.words[:min(len(v.words), maxWords)]
	for _, w := range append(v.words, v.value) {
		if v.from == "" {
			v.from = sh.from(w)
		}
	}
	sh.set(name, v)
}

func (sh *shell) set(name string, v *setting) {
	if sh.vars == nil {
		sh.vars = map[string]*setting{}
	}
	sh.vars[name] = v
}
