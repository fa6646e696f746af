package flow

import (
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// word is what a word of the script becomes. What cannot be known stays as it is written, so that it is the same each time.
func (r *runner) word(w *syntax.Word) Value {
	if w == nil {
		return Value{}
	}
	return r.parts(w.Parts)
}

func (r *runner) parts(parts []syntax.WordPart) Value {
	var text strings.Builder
	var from Origins
	for _, part := range parts {
		v := r.part(part)
		text.WriteString(v.Text)
		from = from.with(v.From)
	}
	return Value{clip(text.String()), from}
}

// maxText is how many bytes of a value are followed: a script can double one with each line.
const maxText = 16 << 10

func clip(s string) string { return s[:min(len(s), maxText)] }

func (r *runner) part(part syntax.WordPart) Value {
	switch p := part.(type) {
	case *syntax.Lit:
		return Value{Text: unescaped(p.Value)}
	case *syntax.SglQuoted:
		return Value{Text: p.Value}
	case *syntax.DblQuoted:
		return r.parts(p.Parts)
	case *syntax.ParamExp:
		return r.param(p)
	case *syntax.CmdSubst:
		return r.substitution(p)
	case *syntax.ProcSubst:
		return r.captured(p.Stmts)
	}
	return Value{Text: "?"}
}

// substitution is what a command prints. Without secrets nothing is known of it.
func (r *runner) substitution(c *syntax.CmdSubst) Value {
	if len(c.Stmts) == 1 && c.Stmts[0].Cmd == nil && len(c.Stmts[0].Redirs) == 1 && c.Stmts[0].Redirs[0].Op == syntax.RdrIn {
		return r.read(r.word(c.Stmts[0].Redirs[0].Word).Text) // $(< file)
	}
	v := r.captured(c.Stmts)
	v.Text = strings.TrimRight(v.Text, "\n")
	if v.Text == "" {
		v.Text = "$(…)"
	}
	return v
}

// captured is what statements print, when that is not to the log.
func (r *runner) captured(stmts []*syntax.Stmt) Value {
	r.capture++
	defer func() { r.capture-- }()
	return r.list(stmts, Value{})
}

// param is the value of a variable.
func (r *runner) param(p *syntax.ParamExp) Value {
	if p.Param == nil || p.Length || p.IsSet {
		return Value{Text: "0"}
	}
	name := p.Param.Value
	v, known := r.variable(name)
	var instead Value
	if p.Exp != nil {
		instead = r.word(p.Exp.Word)
		switch p.Exp.Op {
		case syntax.AlternateUnset, syntax.AlternateUnsetOrNull: // ${a:+b} is b, and nothing of a
			return instead
		case syntax.ErrorUnset, syntax.ErrorUnsetOrNull: // ${a:?message}
			instead = Value{}
		}
	}
	switch {
	case known:
		v.From = v.From.with(instead.From)
		return v
	case instead.Text != "":
		return instead
	case name == "HOME":
		return Value{Text: "~"}
	case name == "PWD":
		return Value{Text: r.dir}
	case len(r.sourced) > 0 && isVariable(name):
		return r.standIns(r.sourced)
	}
	return Value{Text: "${" + name + "}"}
}

// isVariable tells a variable from a parameter such as $1 or $?.
func isVariable(name string) bool {
	c := name[0]
	return c == '_' || 'a' <= c|0x20 && c|0x20 <= 'z'
}

func unescaped(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
