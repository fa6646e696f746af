package caller

import (
	"path"
	"slices"
	"strings"

	"github.com/tightlip/tightlip/lint/nesting"

	"mvdan.cc/sh/v3/syntax"
)

// list splits a value that options of a build are kept in, such as "--build-arg X=$X --pull".
func (sh *shell) list(w *syntax.Word) []word {
	start, end := int(w.Pos().Offset()), int(w.End().Offset())
	text := sh.src.text[start:end]
	if !strings.Contains(text, "-") || len(text) < 2 || text[0] != '"' && text[0] != '\'' {
		return nil
	}
	inner := &shell{document: sh.document, scope: sh.scope, src: sh.src.slice(start+1, end-1), filled: sh.filled, lengths: sh.lengths}
	inner.shift(start + 1)
	f, err := nesting.Parse(inner.src.text)
	if err != nil || len(f.Stmts) != 1 {
		return nil
	}
	call, ok := f.Stmts[0].Cmd.(*syntax.CallExpr)
	if !ok || len(call.Assigns) > 0 || len(call.Args) == 0 {
		return nil
	}
	return options(inner.words(call.Args))
}

// options are words if they are options of a build, which may start with a variable. They are not changed: who else uses them is not known.
func options(words []word) []word {
	first := slices.IndexFunc(words, func(w word) bool { return strings.HasPrefix(w.lead(), "-") })
	if first < 0 || slices.ContainsFunc(words[:first], func(w word) bool { return !w.isBare() }) {
		return nil
	}
	for i := range words {
		words[i].rigid = true
	}
	return words
}

// isBare tells whether a word is a variable that may be several words, or none.
func (w word) isBare() bool {
	p := w.only()
	return p != nil && p.kind == variable && p.bare
}

// maxWords is how many words a variable may hold.
const maxWords = 1000

// added puts the words of a variable's old value in their place in its new one.
func added(name string, old *setting, words []word) []word {
	var out []word
	for _, w := range words {
		switch {
		case !w.isBare() || w.parts[0].text != name:
			out = append(out, w)
		case old != nil && len(old.words) > 0:
			out = append(out, old.words...)
		case old != nil && strings.HasPrefix(old.value.lead(), "-"):
			out = append(out, old.value)
		}
	}
	return out[:min(len(out), maxWords)]
}

// listIn is the words of a variable that a CI file sets, if they are options of a build.
func (s *scope) listIn(d *document, src source) []word {
	if !strings.HasPrefix(strings.TrimSpace(src.text), "-") || len(src.text) > maxList {
		return nil
	}
	return options((&shell{document: d, scope: s}).parseWords(src))
}

// maxList is how many bytes they may have.
const maxList = 1 << 12

func (sh *shell) words(in []*syntax.Word) []word {
	out := make([]word, len(in))
	for i, w := range in {
		out[i] = sh.word(w)
	}
	return out
}

func (sh *shell) word(w *syntax.Word) word {
	start, end := int(w.Pos().Offset()), int(w.End().Offset())
	end = min(end, len(sh.src.text))
	start = min(start, end)
	out := word{start: sh.src.at[start], end: sh.src.at[end], rigid: sh.src.rigid, flow: sh.src.flow}
	if out.end < out.start {
		out.rigid = true
	}
	for _, p := range w.Parts {
		out.parts = sh.appendParts(out.parts, p, true)
	}
	return out
}

func (sh *shell) appendParts(out []part, p syntax.WordPart, bare bool) []part {
	switch p := p.(type) {
	case *syntax.Lit:
		return sh.appendLiteral(out, p, bare)
	case *syntax.SglQuoted:
		start := int(p.Pos().Offset())
		return sh.appendText(out, p.Value, start+strings.IndexByte(sh.src.text[start:], '\'')+1, false)
	case *syntax.DblQuoted:
		for _, q := range p.Parts {
			out = sh.appendParts(out, q, false)
		}
		return out
	case *syntax.ParamExp:
		return append(out, sh.param(p, bare))
	case *syntax.CmdSubst:
		start, end := int(p.Left.Offset()), int(p.Right.Offset())
		start += 1 + len("(")
		if p.Backquotes {
			start--
		}
		return append(out, part{kind: command, text: strings.TrimSpace(sh.src.text[min(start, end):end]), bare: bare})
	}
	return append(out, part{kind: unknown})
}

// appendLiteral undoes the escapes of a literal.
func (sh *shell) appendLiteral(out []part, l *syntax.Lit, bare bool) []part {
	start := int(l.Pos().Offset())
	out = sh.appendText(out, l.Value, start, bare)
	if n := len(out) - 1; n >= 0 && out[n].kind == literal && strings.Contains(out[n].text, `\`) {
		out[n].text = unescape(out[n].text, bare)
	}
	return out
}

func unescape(text string, bare bool) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' && i+1 < len(text) && (bare || strings.IndexByte("$`\"\\\n", text[i+1]) >= 0) {
			i++
			if text[i] == '\n' {
				continue
			}
		}
		b.WriteByte(text[i])
	}
	return b.String()
}

// appendText splits a text at the expressions that were in it.
func (sh *shell) appendText(out []part, text string, at int, bare bool) []part {
	for text != "" {
		i := strings.IndexByte(text, filler)
		if i < 0 {
			break
		}
		if i > 0 {
			out = append(out, part{kind: literal, text: text[:i]})
		}
		n := sh.lengths[at+i]
		if n == 0 || i+n > len(text) {
			return append(out, part{kind: unknown})
		}
		out = append(out, part{kind: expression, text: sh.filled[at+i], plain: true, bare: bare})
		text, at = text[i+n:], at+i+n
	}
	if text != "" {
		out = append(out, part{kind: literal, text: text})
	}
	return out
}

func (sh *shell) param(p *syntax.ParamExp, bare bool) part {
	if p.Param == nil || p.Excl || p.Length || p.Slice != nil || p.Repl != nil {
		return part{kind: unknown}
	}
	out := part{kind: variable, text: p.Param.Value, bare: bare, plain: p.Exp == nil && p.Index == nil}
	if p.Index != nil {
		i := strings.TrimSpace(sh.src.text[p.Index.Pos().Offset():min(int(p.Index.End().Offset()), len(sh.src.text))])
		out.array = i == "@" || i == "*"
		if out.text == "BASH_SOURCE" {
			out.text = "0"
		}
	}
	if p.Exp == nil {
		return out
	}
	switch p.Exp.Op {
	case syntax.ErrorUnset, syntax.ErrorUnsetOrNull:
		out.plain = p.Index == nil
	case syntax.DefaultUnset, syntax.DefaultUnsetOrNull, syntax.AssignUnset, syntax.AssignUnsetOrNull:
		out.value = &word{}
		if p.Exp.Word != nil {
			w := sh.word(p.Exp.Word)
			out.value = &w
		}
	case syntax.RemSmallSuffix, syntax.RemLargeSuffix:
		if out.text == "0" && p.Exp.Word != nil && p.Exp.Word.Lit() == "/*" {
			return part{kind: command, text: `dirname "$0"`}
		}
		return part{kind: unknown}
	}
	return out
}

// splice puts lists of words in the place of the variables that hold them.
func (s *scope) splice(words []word, depth int) []word {
	if depth > 4 {
		return words
	}
	var out []word
	for _, w := range words {
		v := s.listOf(w)
		if v == nil || len(out) > maxWords {
			out = append(out, w)
			continue
		}
		out = append(out, s.splice(v.words, depth+1)...)
	}
	return out
}

// listOf is the list that a word stands for; nil if it is none.
func (s *scope) listOf(w word) *setting {
	p := w.only()
	if p == nil || !p.bare && !p.array || p.kind != variable && p.kind != expression {
		return nil
	}
	v := s.vars[p.name()]
	if v == nil || len(v.words) == 0 {
		return nil
	}
	return v
}

// program is the program that a word calls. Of a variable that is not known the name may tell.
func (s *scope) program(w word) string {
	if text, ok := s.expand(w); ok && text != "" && !strings.Contains(strings.TrimSpace(text), " ") {
		return path.Base(text)
	}
	if p := w.only(); p != nil && (p.kind == variable || p.kind == expression) {
		name := strings.ToLower(p.text)
		for _, tool := range []string{"docker_compose", "docker", "podman", "buildah", "nerdctl", "container", "engine", "buildx"} {
			if strings.Contains(name, tool) {
				return programNames[tool]
			}
		}
	}
	return ""
}

var programNames = map[string]string{
	"docker_compose": "docker-compose", "docker": "docker", "podman": "podman", "buildah": "buildah", "nerdctl": "nerdctl", "container": "docker", "engine": "docker", "buildx": "buildx",
}
