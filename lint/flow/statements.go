package flow

import (
	"maps"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// list runs statements one after the other. It returns what they print.
func (r *runner) list(stmts []*syntax.Stmt, in Value) (out Value) {
	for _, st := range stmts {
		if r.steps++; r.steps > maxSteps {
			break
		}
		v := r.stmt(st, in)
		if len(v.From) > 0 && r.depth == 0 && r.capture == 0 {
			r.print(v, int(st.Pos().Offset()), int(st.End().Offset()))
			continue
		}
		out.Text += v.Text
		out.From = out.From.with(v.From)
	}
	return out
}

// stmt runs a statement with its redirections.
func (r *runner) stmt(st *syntax.Stmt, in Value) Value {
	for _, rd := range st.Redirs {
		switch rd.Op {
		case syntax.RdrIn:
			in = r.read(r.word(rd.Word).Text)
		case syntax.Hdoc, syntax.DashHdoc:
			in = r.word(rd.Hdoc)
		case syntax.WordHdoc:
			in = r.word(rd.Word)
		}
	}
	captured := len(st.Redirs) > 0
	if captured {
		r.capture++
	}
	out := r.command(st.Cmd, in)
	if captured {
		r.capture--
	}
	for _, rd := range st.Redirs {
		out = r.redirect(rd, out, st)
	}
	return out
}

// redirect sends what a statement prints to a file, if it is to go there.
func (r *runner) redirect(rd *syntax.Redirect, out Value, st *syntax.Stmt) Value {
	if rd.N != nil && rd.N.Value != "1" {
		return out
	}
	switch rd.Op {
	case syntax.RdrOut, syntax.AppOut, syntax.RdrClob, syntax.RdrAll, syntax.AppAll:
	default:
		return out
	}
	target := r.word(rd.Word).Text
	if len(out.From) > 0 {
		r.write(Written, target, name(st.Cmd)+" "+rd.Op.String(), out, st)
		return Value{}
	}
	if rd.Op != syntax.AppOut && rd.Op != syntax.AppAll {
		r.remove(target, st) // it is another file now
	}
	if p := r.abs(target); len(out.Text) > 3 && r.stays(p) {
		r.emit(Event{Kind: Used, Path: p, Command: name(st.Cmd), Text: out.Text}, st)
	}
	return Value{}
}

// name is what a command is called.
func name(c syntax.Command) string {
	if call, ok := c.(*syntax.CallExpr); ok && len(call.Args) > 0 {
		return call.Args[0].Lit()
	}
	return ""
}

// command runs a command.
func (r *runner) command(c syntax.Command, in Value) Value {
	switch c := c.(type) {
	case *syntax.CallExpr:
		return r.call(c, in)
	case *syntax.DeclClause:
		return r.declare(c)
	case *syntax.BinaryCmd:
		return r.binary(c, in)
	case *syntax.Subshell:
		dir, trace := r.dir, r.trace
		out := r.list(c.Stmts, in)
		r.dir, r.trace = dir, trace
		return out
	case *syntax.Block:
		return r.list(c.Stmts, in)
	case *syntax.IfClause:
		return r.branches(c, in)
	case *syntax.WhileClause:
		return r.all(in, c.Cond, c.Do)
	case *syntax.ForClause:
		if it, ok := c.Loop.(*syntax.WordIter); ok {
			var v Value
			for _, w := range it.Items {
				v = join(v, r.word(w))
			}
			r.vars[it.Name.Value] = v
		}
		return r.all(in, c.Do)
	case *syntax.CaseClause:
		var out Value
		for _, item := range c.Items {
			out = join(out, r.list(item.Stmts, in))
		}
		return out
	case *syntax.FuncDecl:
		if c.Name != nil {
			r.funcs[c.Name.Value] = c.Body
		}
	case *syntax.TimeClause:
		if c.Stmt != nil {
			return r.stmt(c.Stmt, in)
		}
	case *syntax.CoprocClause:
		return r.stmt(c.Stmt, in)
	}
	return Value{}
}

func (r *runner) all(in Value, lists ...[]*syntax.Stmt) (out Value) {
	for _, l := range lists {
		out = join(out, r.list(l, in))
	}
	return out
}

func (r *runner) branches(c *syntax.IfClause, in Value) (out Value) {
	for ; c != nil; c = c.Else {
		out = join(out, r.all(in, c.Cond, c.Then))
	}
	return out
}

// join is one value after the other.
func join(a, b Value) Value {
	if a.Text != "" && b.Text != "" {
		a.Text += " "
	}
	return Value{clip(a.Text + b.Text), a.From.with(b.From)}
}

// binary runs what is joined by |, && or ||.
func (r *runner) binary(c *syntax.BinaryCmd, in Value) Value {
	if c.Op == syntax.Pipe || c.Op == syntax.PipeAll {
		r.capture++
		out := r.stmt(c.X, in)
		r.capture--
		return r.stmt(c.Y, out)
	}
	if c.Op == syntax.AndStmt || isTest(c.X) {
		return r.list([]*syntax.Stmt{c.X, c.Y}, in)
	}
	out := r.list([]*syntax.Stmt{c.X}, in)
	kept := maps.Clone(r.files)
	out = join(out, r.list([]*syntax.Stmt{c.Y}, in))
	for p, f := range kept { // what is removed when something fails is there when all goes well
		if r.files[p] == nil {
			r.files[p] = f
		}
	}
	return out
}

// isTest tells whether a statement only asks something.
func isTest(st *syntax.Stmt) bool {
	if _, ok := st.Cmd.(*syntax.TestClause); ok || st.Negated {
		return true
	}
	n := name(st.Cmd)
	return n == "[" || n == "test" || n == "command" || n == "which" || n == "grep"
}

// assign sets variables.
func (r *runner) assign(assigns []*syntax.Assign) {
	for _, a := range assigns {
		if a.Name == nil {
			if v := r.word(a.Value); len(v.From) > 0 {
				r.sourced = r.sourced.with(v.From) // export $(cat file)
			}
			continue
		}
		if a.Naked {
			continue
		}
		v := r.word(a.Value)
		if a.Array != nil {
			for _, e := range a.Array.Elems {
				v = join(v, r.word(e.Value))
			}
		}
		if a.Append {
			v = join(r.value(a.Name.Value), v)
		}
		r.traced(v.From, a)
		if len(v.From) > 0 {
			r.emit(Event{Kind: Used, From: v.From, Command: a.Name.Value, Text: a.Name.Value + "=" + v.Text}, a)
		}
		r.vars[a.Name.Value] = v
	}
}

func (r *runner) declare(c *syntax.DeclClause) Value {
	r.assign(c.Args)
	for _, a := range c.Args {
		if a.Name != nil && c.Variant.Value == "export" {
			r.export(a.Name.Value)
		}
	}
	if c.Variant.Value == "export" || c.Variant.Value == "declare" {
		if len(c.Args) == 0 || len(c.Args) == 1 && c.Args[0].Naked && c.Args[0].Value != nil && strings.HasPrefix(c.Args[0].Value.Lit(), "-") && !strings.ContainsAny(c.Args[0].Value.Lit(), "aAirx") {
			return r.environment() // export -p
		}
	}
	return Value{}
}

func (r *runner) export(name string) {
	if r.exported == nil {
		r.exported = map[string]bool{}
	}
	r.exported[name] = true
}

// environment is what env prints.
func (r *runner) environment() Value {
	var out Value
	for _, name := range slices.Sorted(maps.Keys(r.vars)) {
		if _, inherited := r.script.Env[name]; !inherited && (r.allexport || r.exported[name]) && len(r.vars[name].From) > 0 {
			out = join(out, Value{name + "=" + r.vars[name].Text, r.vars[name].From})
		}
	}
	if r.allexport {
		out = join(out, r.standIns(r.sourced))
	}
	for name := range r.script.Env {
		if v := r.value(name); len(v.From) > 0 {
			out = join(out, Value{name + "=" + v.Text, v.From})
		}
	}
	return out
}

// traced notes that the shell prints a command with secrets.
func (r *runner) traced(from Origins, at syntax.Node) {
	if r.trace && len(from) > 0 {
		r.emit(Event{Kind: Traced, From: from}, at)
	}
}
