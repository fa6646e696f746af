package caller

import (
	"path"
	"strings"

	"github.com/tightlip/tightlip/internal/lazy"
	"github.com/tightlip/tightlip/lint/nesting"
	"github.com/tightlip/tightlip/scan/detect"
)

// makefile reads Makefiles and justfiles.
type makefile struct {
	*document
	*scope
	just    bool
	exports bool // of all variables
	names   []string
}

var (
	makeVariable = lazy.Regexp(`^(?:(?:export|override|private)\s+)*([A-Za-z_][\w.-]*)\s*(\?=|:=|::=|:::=|\+=|!=|=)[ \t]*`)
	makeExport   = lazy.Regexp(`^(?:export|set export)\b[ \t]*([^=:]*)$`)
	makeInclude  = lazy.Regexp(`^[-s]?include\b|^(?:set )?dotenv|^import\b`)
)

func readMakefile(d *document) {
	if ext := path.Ext(d.name); ext == ".yml" || ext == ".yaml" {
		readPipeline(d)
		return
	}
	here := folder(d.name)
	m := &makefile{document: d, scope: &scope{kind: d.kind, dir: here, here: here, vars: map[string]*setting{}}}
	m.just = strings.HasSuffix(strings.ToLower(path.Base(d.name)), "justfile")
	if here != "." && strings.HasSuffix(d.name, ".mk") {
		m.others = []string{"."}
	}
	all := whole(d.text)
	m.settings(all)
	m.recipes(all)
}

// settings reads the variables, wherever they stand: a recipe has the last value of each.
func (m *makefile) settings(all source) {
	included := false
	m.lines(all, func(l source) {
		if l.text == "" || m.isRecipe(l.text) || l.text[0] == '#' {
			return
		}
		text := strings.TrimRight(l.text, "\r\n")
		if e := makeExport().FindStringSubmatch(text); e != nil {
			m.exports = m.exports || strings.TrimSpace(e[1]) == ""
			m.names = append(m.names, strings.Fields(e[1])...)
		}
		m.exports = m.exports || strings.HasPrefix(text, ".EXPORT_ALL_VARIABLES")
		included = included || makeInclude().MatchString(text) && !m.just
		if v := makeVariable().FindStringSubmatchIndex(text); v != nil {
			m.setting(text[v[2]:v[3]], text[v[4]:v[5]], strings.Contains(text[:v[2]], "export"), l.slice(v[1], len(text)))
		}
	})
	if included && !m.exports {
		m.unsure = "the Makefile reads other files, which may set it without exporting it"
	}
	for _, name := range m.names {
		if v := m.vars[name]; v != nil {
			v.exported = true
		}
	}
}

func (m *makefile) setting(name, operator string, exported bool, value source) {
	if operator == "?=" && strings.TrimSpace(value.text) == "" {
		return
	}
	sh := &shell{document: m.document, scope: m.scope}
	if operator == "!=" {
		var w writer
		w.put("$(", value.at[0])
		w.from(value, 0, len(value.text))
		w.put(")", value.at[len(value.text)])
		value = w.source(value.at[len(value.text)])
	}
	v := &setting{exported: exported || m.exports}
	for i, w := range sh.parseWords(m.convert(value)) {
		if i > 0 {
			v.value.parts = append(v.value.parts, part{kind: literal, text: " "})
		}
		v.value.parts = append(v.value.parts, w.parts...)
		v.words = append(v.words, w)
	}
	if old := m.vars[name]; operator == "+=" && old != nil {
		v.words = append(append([]word{}, old.words...), v.words...)
		v.value.parts = append(v.value.parts, part{kind: unknown})
	}
	if len(v.words) > 0 && !strings.HasPrefix(v.words[0].lead(), "-") && operator != "+=" {
		v.words = nil
	}
	v.from = m.from(v.value)
	for _, w := range v.words {
		if v.from == "" {
			v.from = m.from(w)
		}
	}
	m.vars[name] = v
}

// parseWords splits a text into words as a shell does.
func (sh *shell) parseWords(src source) []word {
	var w writer
	w.put(": ", src.at[0])
	w.from(src, 0, len(src.text))
	sh.fill(w.source(src.at[len(src.text)]))
	f, err := nesting.Parse(sh.src.text)
	if err != nil || len(f.Stmts) == 0 {
		return nil
	}
	call, ok := callOf(f.Stmts[0])
	if !ok || len(call.Args) == 0 {
		return nil
	}
	return sh.words(call.Args[1:])
}

// recipes reads the commands: each line has a shell of its own.
func (m *makefile) recipes(all source) {
	one := strings.Contains(all.text, "\n.ONESHELL:") || strings.HasPrefix(all.text, ".ONESHELL:")
	base := *m.scope
	s := base
	script := false
	m.lines(all, func(l source) {
		if !m.isRecipe(l.text) {
			if strings.TrimSpace(l.text) != "" {
				s, script = base, false
				s.vars = copied(base.vars)
			}
			return
		}
		indent := len(l.text) - len(strings.TrimLeft(l.text, " \t@+-"))
		l = l.slice(indent, len(l.text))
		script = script || m.just && strings.HasPrefix(l.text, "#!")
		if !one && !script {
			s = base
			s.vars = copied(base.vars)
		}
		if one || script || mayBuild("", []byte(l.text)) || strings.Contains(l.text, "$(") {
			readShell(m.document, &s, m.convert(l))
		}
	})
}

func (m *makefile) isRecipe(line string) bool {
	return line != "" && (line[0] == '\t' || m.just && line[0] == ' ')
}

// lines shows the lines, each with those that continue it.
func (m *makefile) lines(all source, visit func(source)) {
	for start := 0; start < len(all.text); {
		end := logicalLine(all.text, start)
		visit(all.slice(start, end))
		start = end
	}
}

var makeReference = lazy.Regexp(`^\$(?:\(([A-Za-z_][\w.-]*)\)|\{([A-Za-z_][\w.-]*)\})`)

// convert makes a shell's text of make's: $(X) becomes ${X}, $$ becomes $, $(shell x) becomes $(x).
func (m *makefile) convert(s source) source {
	if m.just {
		return s
	}
	var w writer
	for i := 0; i < len(s.text); {
		rest := s.text[i:]
		if rest[0] != '$' || len(rest) < 2 {
			w.from(s, i, i+1)
			i++
			continue
		}
		i += m.dollar(&w, s, i)
	}
	return w.source(s.at[len(s.text)])
}

// dollar converts what follows a dollar sign, and tells how long that was.
func (m *makefile) dollar(w *writer, s source, i int) int {
	rest := s.text[i:]
	if r := makeReference().FindStringSubmatch(rest); r != nil {
		w.stand(s, "${", i)
		name := strings.NewReplacer(".", "_", "-", "_").Replace(r[1] + r[2])
		w.keep(name, s.at[i+2])
		w.stand(s, "}", i+len(r[0])-1)
		return len(r[0])
	}
	switch {
	case rest[1] == '$':
		w.stand(s, "$", i)
		return 2
	case strings.HasPrefix(rest, "$(shell "):
		w.stand(s, "$(", i)
		return len("$(shell ")
	case rest[1] == '(' || rest[1] == '{':
		n := closing(rest)
		w.stand(s, "${"+secretIn(rest[:n])+":+}", i)
		return n
	}
	w.stand(s, "${_:+}", i)
	return 2
}

// secretIn is a variable in a function call that is called a secret; "_" if there is none.
func secretIn(call string) string {
	for _, name := range makeName().FindAllString(call, -1) {
		if detect.SecretName(name) {
			return name
		}
	}
	return "_"
}

var makeName = lazy.Regexp(`[A-Za-z_]\w*`)

// closing is the length of a reference with brackets in it.
func closing(text string) int {
	depth := 0
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '(', '{':
			depth++
		case ')', '}':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return len(text)
}
