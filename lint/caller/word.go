package caller

import (
	"path"
	"strings"

	"github.com/tightlip/tightlip/internal/lazy"
)

// word is a word of a command, or a value that a file gives.
type word struct {
	parts      []part
	start, end int // in the file
	rigid      bool
	flow       bool
}

type partKind int

const (
	literal    partKind = iota
	variable            // of the shell, or of the file's own language
	expression          // of the CI system: it is filled in before anything runs
	command             // its output
	unknown
)

type part struct {
	kind  partKind
	text  string // as it is, or the name, or the command
	plain bool   // of a variable: nothing but its value
	bare  bool   // not quoted: it may be several words
	array bool   // "${x[@]}"
	value *word  // of a command, what is known of it
}

// name is that of the variable: expressions have a context in front of it.
func (p part) name() string {
	if p.kind == expression {
		return strings.TrimPrefix(p.text, "env.")
	}
	return p.text
}

// scope is what is known where a command runs.
type scope struct {
	kind    string
	dir     string   // the working directory, from the root; outside if it is not known
	others  []string // where else that may be
	here    string   // the file's folder
	vars    map[string]*setting
	classic bool   // docker builds without BuildKit
	dated   bool   // docker does so unless it is told otherwise
	give    giver  // how a step gets an expression into its environment; nil if it cannot
	unsure  string // why variables that the file does not set may not be in the environment
}

// setting is a variable that the file sets.
type setting struct {
	value    word
	words    []word // of a list
	from     string // the secret that fills it
	exported bool
}

// giver makes a variable of an expression, for a secret of this name.
type giver func(name, expression string) (edits mover, variable string)

// outside is a folder that is not known, or not one of the project. No path joins it.
const outside = "\x00"

// rootPath begins paths that start at the project's root, wherever commands run.
const rootPath = "//"

// literal is the word if nothing in it varies.
func (w word) literal() (string, bool) {
	var b strings.Builder
	for _, p := range w.parts {
		if p.kind != literal {
			return "", false
		}
		b.WriteString(p.text)
	}
	return b.String(), true
}

// lead is what the word surely begins with.
func (w word) lead() string {
	var b strings.Builder
	for _, p := range w.parts {
		if p.kind != literal {
			break
		}
		b.WriteString(p.text)
	}
	return b.String()
}

// cut splits a word at a sign that stands in its lead.
func (w word) cut(sep string) (before string, after word, ok bool) {
	before, _, ok = strings.Cut(w.lead(), sep)
	if !ok {
		return w.lead(), word{}, false
	}
	return before, w.skip(len(before) + len(sep)), true
}

// skip is the word without its first n bytes, which are literal.
func (w word) skip(n int) word {
	out := w
	out.parts = nil
	for i, p := range w.parts {
		if n < len(p.text) || p.kind != literal {
			p.text = p.text[min(n, len(p.text)):]
			if p.kind != literal {
				p = w.parts[i]
			}
			out.parts = append(append(out.parts, p), w.parts[i+1:]...)
			return out
		}
		n -= len(p.text)
	}
	return out
}

// only is the part that the word is, if it is one; nil if it is several or none.
func (w word) only() *part {
	if len(w.parts) != 1 {
		return nil
	}
	return &w.parts[0]
}

// rootNames are what CI systems call the folder that the project is in.
var rootNames = map[string]bool{
	"GITHUB_WORKSPACE": true, "github.workspace": true, "CI_PROJECT_DIR": true, "Build.SourcesDirectory": true, "BUILD_SOURCESDIRECTORY": true,
	"System.DefaultWorkingDirectory": true, "Build.Repository.LocalPath": true, "BITBUCKET_CLONE_DIR": true, "WORKSPACE": true, "env.WORKSPACE": true,
	"CIRCLE_WORKING_DIRECTORY": true, "workspaces.source.path": true, "CURDIR": true, "MAKEFILE_DIR": true, "PWD": true, "pwd": true,
}

// expand is the value of a word, as far as the file says it.
func (s *scope) expand(w word) (string, bool) { return s.expandTo(w, 0) }

func (s *scope) expandTo(w word, depth int) (string, bool) {
	var b strings.Builder
	for _, p := range w.parts {
		text, ok := s.expandPart(p, depth)
		if !ok || b.Len()+len(text) > 1<<12 {
			return "", false
		}
		b.WriteString(text)
	}
	return b.String(), true
}

func (s *scope) expandPart(p part, depth int) (string, bool) {
	switch {
	case p.kind == literal:
		return p.text, true
	case p.kind == command:
		return s.folder(p.text)
	case p.kind == unknown || depth > 8:
		return "", false
	}
	if v := s.vars[p.name()]; v != nil {
		if len(v.words) > 0 {
			return "", false
		}
		return s.expandTo(v.value, depth+1)
	}
	switch {
	case p.text == "PWD" || p.text == "pwd" || p.text == "CURDIR":
		return ".", true
	case rootNames[p.text]:
		return rootPath, true
	case p.value != nil:
		return s.expandTo(*p.value, depth+1)
	}
	return "", false
}

var scriptFolder = lazy.Regexp(`^(?:cd\s+(?:-P\s+|--\s+)*)?["']?(?:\$\(|` + "`" + `)?\s*dirname\s+(?:--\s+)?["']?\$(?:0|\{0\}|\{?BASH_SOURCE(?:\[0\])?\}?|\{BASH_SOURCE\[0\]\}|\{0:A\})["']?\s*\)?["']?(/[./]*)?["']?\s*(?:>/dev/null\s*(?:2>&1)?\s*)?(?:&&\s*pwd(?:\s+-P)?)?\s*$`)

// folder is the folder that a command prints, if it is one of those that scripts find themselves with.
func (s *scope) folder(text string) (string, bool) {
	if m := scriptFolder().FindStringSubmatch(text); m != nil {
		return rootPath + path.Join(s.here, m[1]), true
	}
	switch strings.Join(strings.Fields(text), " ") {
	case "git rev-parse --show-toplevel":
		return rootPath, true
	case "pwd":
		return ".", true
	}
	return "", false
}

// join is the folder or file that a path means in a folder; "" if it is none of the project.
func join(dir, name string) string {
	switch {
	case strings.HasPrefix(name, rootPath):
		name = path.Join(".", strings.TrimLeft(name, "/"))
	case dir == outside, path.IsAbs(name), strings.Contains(name, "://"), strings.HasPrefix(name, "git@"), strings.HasPrefix(name, "~"):
		return ""
	default:
		name = path.Join(dir, name)
	}
	if name == ".." || strings.HasPrefix(name, "../") {
		return ""
	}
	return name
}

// references splits a text at its variables: $X, ${X} and what operators follow the name.
func references(text string, start int) []part {
	var out []part
	flush := func(s string) {
		if s != "" {
			out = append(out, part{kind: literal, text: s})
		}
	}
	for text != "" {
		i := strings.IndexByte(text, '$')
		if i < 0 || i+1 == len(text) {
			break
		}
		if text[i+1] == '$' {
			flush(text[:i+1])
			text = text[i+2:]
			continue
		}
		m := reference().FindStringSubmatch(text[i:])
		if m == nil {
			flush(text[:i+1])
			text = text[i+1:]
			continue
		}
		flush(text[:i])
		p := part{kind: variable, text: m[1] + m[3], plain: m[2] == "" || m[2][0] == '?' || strings.HasPrefix(m[2], ":?")}
		if name, def, ok := strings.Cut(m[2], "-"); ok && (name == "" || name == ":") {
			p.value = &word{parts: []part{{kind: literal, text: def}}}
		}
		out = append(out, p)
		text = text[i+len(m[0]):]
	}
	flush(text)
	return out
}

var reference = lazy.Regexp(`^\$(?:\{([A-Za-z_]\w*)((?:[:?+\-][^{}]*)?)\}|([A-Za-z_]\w*))`)
