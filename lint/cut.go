package lint

import (
	"path"
	"slices"
	"strings"

	"github.com/tightlip/tightlip/lint/edit"
	"github.com/tightlip/tightlip/lint/flow"
	"github.com/tightlip/tightlip/lint/nesting"
	"mvdan.cc/sh/v3/syntax"
)

// writers are commands that write a file that has the name of one of credentials.
var writers = map[string][]string{
	".npmrc": {"npm config", "npm set", "npm login", "pnpm config", "yarn config"}, ".yarnrc": {"yarn config"}, ".yarnrc.yml": {"yarn config"},
	".gitconfig": {"git config"}, "pip.conf": {"pip config", "pip3 config"}, "config.json": {"docker login"}, ".condarc": {"conda config"},
}

// changes tells whether a script does to a file what cannot be done to a mount.
func changes(script, target string) bool {
	name, folder := path.Base(target), path.Dir(target)
	for line := range strings.Lines(strings.NewReplacer("&&", "\n", ";", "\n", "||", "\n", "|", "\n").Replace(script)) {
		words := strings.Fields(line)
		if slices.Contains(writers[name], strings.Join(words[:min(len(words), 2)], " ")) {
			return true
		}
		if len(words) > 1 && (words[0] == "chmod" || words[0] == "chown") && (strings.Contains(line, inRoot(folder)) || strings.Contains(line, folder)) {
			return true
		}
		if len(words) > 0 && strings.Contains(line, name) && slices.Contains([]string{"chmod", "chown", "mv", "sed", "tee", "truncate", "shred", "chgrp"}, words[0]) || strings.Contains(line, ">") && strings.Contains(line, name) {
			return true
		}
	}
	return false
}

// cutting takes the rm of a file out of a script.
type cutting struct {
	target, dir string
	spans       [][2]int
	all         bool // nothing would be left
}

// script finds what to cut; false means that this cannot be done.
func (c *cutting) script(text string) bool {
	parsed, err := nesting.Parse(text)
	if err != nil {
		return false
	}
	for i, st := range parsed.Stmts {
		if !c.stmt(st) {
			continue
		}
		switch {
		case len(parsed.Stmts) == 1:
			c.all = true
		case i+1 < len(parsed.Stmts):
			c.cut(st.Pos(), parsed.Stmts[i+1].Pos())
		default:
			c.cut(parsed.Stmts[i-1].End(), st.End())
		}
		c.spans = append(c.spans, [2]int{-1, -1})
	}
	found := c.all || len(c.spans) > 0
	c.spans = slices.DeleteFunc(c.spans, func(s [2]int) bool { return s[0] < 0 })
	return found
}

// rest is a script without what is cut.
func (c *cutting) rest(text string) string {
	var edits []edit.Edit
	for _, span := range c.spans {
		edits = append(edits, edit.Edit{Start: span[0], End: span[1]})
	}
	return string(edit.Apply([]byte(text), edits))
}

func (c *cutting) cut(from, to syntax.Pos) {
	c.spans = append(c.spans, [2]int{int(from.Offset()), int(to.Offset())})
}

// stmt tells whether nothing of a statement is left.
func (c *cutting) stmt(st *syntax.Stmt) bool {
	switch cmd := st.Cmd.(type) {
	case *syntax.CallExpr:
		return len(st.Redirs) == 0 && c.rm(cmd)
	case *syntax.BinaryCmd:
		if cmd.Op != syntax.AndStmt {
			return false
		}
		x, y := c.stmt(cmd.X), c.stmt(cmd.Y)
		switch {
		case x && !y:
			c.cut(cmd.X.Pos(), cmd.Y.Pos())
		case y && !x:
			c.cut(cmd.X.End(), cmd.Y.End())
		}
		return x && y
	}
	return false
}

// rm tells whether a command only removes the file. If it removes others, too, the file's word is cut.
func (c *cutting) rm(call *syntax.CallExpr) bool {
	if len(call.Args) < 2 || call.Args[0].Lit() != "rm" {
		return false
	}
	others := 0
	var own []*syntax.Word
	for _, w := range call.Args[1:] {
		text := strings.NewReplacer("$HOME", "~", "${HOME}", "~").Replace(printed(w))
		switch {
		case strings.HasPrefix(text, "-"):
		case flow.Abs(c.dir, text) == c.target:
			own = append(own, w)
		default:
			others++
		}
	}
	if others == 0 {
		return len(own) > 0
	}
	for _, w := range own {
		c.spans = append(c.spans, [2]int{int(w.Pos().Offset()) - 1, int(w.End().Offset())})
	}
	return false
}

// printed is a word as it is written, without quotes.
func printed(w *syntax.Word) string {
	var b strings.Builder
	if syntax.NewPrinter().Print(&b, w) != nil {
		return ""
	}
	return strings.Trim(b.String(), `"'`)
}
