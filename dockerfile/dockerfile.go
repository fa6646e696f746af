// Package dockerfile reads Dockerfiles with exact positions and edits them without disturbing the rest.
//
// The grammar is that of BuildKit's own parser.
package dockerfile

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerfile/shell"
)

// File is a parsed Dockerfile.
type File struct {
	name    string
	lines   []string
	offsets []int // of the lines, when they are needed
	stages  []instructions.Stage
	args    []instructions.ArgCommand // before the first FROM
	escape  rune
	syntax  string
}

// Instruction is one instruction of a stage.
type Instruction struct {
	Keyword string // in lower case, such as "run"
	Line    int    // where it starts, counted from 1
	Text    string // its first line, as written
}

// Parse reads the Dockerfile src. The name is for messages and findings.
func Parse(name string, src []byte) (*File, error) {
	ast, err := parser.Parse(bytes.NewReader(src))
	if err != nil {
		return nil, fmt.Errorf("parsing %s: %w", name, err)
	}
	stages, args, err := instructions.Parse(ast.AST, linter.New(&linter.Config{}))
	if err != nil {
		return nil, fmt.Errorf("parsing %s: %w", name, err)
	}
	syntax, _, _, _ := parser.DetectSyntax(src)
	return &File{
		name: name, lines: strings.SplitAfter(string(src), "\n"), stages: stages, args: args, escape: ast.EscapeToken, syntax: syntax,
	}, nil
}

// Stages are the stages as BuildKit's parser has them.
func (f *File) Stages() []instructions.Stage { return f.stages }

// Args are the ARG instructions before the first FROM.
func (f *File) Args() []instructions.ArgCommand { return f.args }

// Syntax is the frontend that the syntax directive names; "" if there is none.
func (f *File) Syntax() string { return f.syntax }

// Flags are the flags of the instruction at a location, as written.
func (f *File) Flags(at []parser.Range) []string {
	ast, err := parser.Parse(strings.NewReader(fmt.Sprintf("# escape=%c\n", f.escape) + f.Text(at)))
	if err != nil || len(ast.AST.Children) != 1 {
		return nil
	}
	return ast.AST.Children[0].Flags
}

// Expand replaces the variables in the name of a base image: by those of args, else by the values that the file gives them.
func (f *File) Expand(word string, args map[string]string) (string, error) {
	var env []string
	lex := shell.NewLex(f.escape)
	for _, c := range f.args {
		for _, a := range c.Args {
			value, given := args[a.Key]
			if !given && a.Value != nil {
				expanded, _, err := lex.ProcessWord(*a.Value, shell.EnvsFromSlice(env))
				if err != nil {
					return "", err
				}
				value = expanded
			}
			if len(value) > maxExpanded {
				return "", fmt.Errorf("the value of the argument %s is too long", a.Key)
			}
			env = append(env, a.Key+"="+value)
		}
	}
	out, _, err := lex.ProcessWord(word, shell.EnvsFromSlice(env))
	return out, err
}

// maxExpanded is how many bytes the value of an argument may have: each can double the one before.
const maxExpanded = 64 << 10

// Escape is the character that joins lines.
func (f *File) Escape() rune { return f.escape }

// Stage finds a stage before the n-th by name or number, as FROM and --target do; -1 if there is none.
func (f *File) Stage(name string, n int) int { return f.stage(name, n) }

// Name is the name that Parse was given.
func (f *File) Name() string { return f.name }

// Chain is what builds the target stage ("" is the last one): its instructions and before them those of the stages
// that it starts from, FROM left out. It is empty if there is no such stage.
func (f *File) Chain(target string) []Instruction {
	i := len(f.stages) - 1
	if target != "" {
		i = f.stage(target, len(f.stages))
	}
	var chain []Instruction
	for i >= 0 {
		chain = append(f.instructions(i), chain...)
		base, err := f.Expand(f.stages[i].BaseName, nil)
		if err != nil {
			break
		}
		i = f.stage(base, i)
	}
	return chain
}

// stage finds a stage among the first n by name or number, as FROM and --target do; -1 if there is none.
func (f *File) stage(name string, n int) int {
	for i := n - 1; i >= 0; i-- {
		if strings.EqualFold(f.stages[i].Name, name) {
			return i
		}
	}
	if i, err := strconv.Atoi(name); err == nil && i >= 0 && i < n {
		return i
	}
	return -1
}

func (f *File) instructions(stage int) []Instruction {
	var out []Instruction
	for _, c := range f.stages[stage].Commands {
		line := firstLine(c.Location())
		out = append(out, Instruction{Keyword: strings.ToLower(c.Name()), Line: line, Text: f.Line(line)})
	}
	return out
}

func firstLine(r []parser.Range) int {
	if len(r) == 0 {
		return 0
	}
	return r[0].Start.Line
}

// Line is the n-th line, counted from 1, without the white space around it; "" if there is none.
func (f *File) Line(n int) string {
	if n < 1 || n > len(f.lines) {
		return ""
	}
	return strings.TrimSpace(f.lines[n-1])
}

// Raw is the n-th line, counted from 1, without its end.
func (f *File) Raw(n int) string {
	if n < 1 || n > len(f.lines) {
		return ""
	}
	return strings.TrimRight(f.lines[n-1], "\r\n")
}

// Start is the first line of the instruction that has a line; the line itself if none has.
func (f *File) Start(line int) int {
	for _, s := range f.stages {
		for _, c := range s.Commands {
			if e := EditOf(c.Location(), ""); e.First <= line && line <= e.Last {
				return e.First
			}
		}
	}
	return line
}

// ErrorLine is the line that an error of Parse is about; 0 if it does not say.
func ErrorLine(err error) int {
	var at *parser.LocationError
	if !errors.As(err, &at) || len(at.Locations) == 0 {
		return 0
	}
	return firstLine(at.Locations[0])
}

// Declares tells whether a stage has an ARG without a value of its own.
func (f *File) Declares(arg string) bool {
	for _, s := range f.stages {
		for _, c := range s.Commands {
			a, ok := c.(*instructions.ArgCommand)
			if ok && slices.ContainsFunc(a.Args, func(kv instructions.KeyValuePairOptional) bool { return kv.Key == arg && kv.Value == nil }) {
				return true
			}
		}
	}
	return false
}

// AddSources are the sources of the file's ADD instructions, as they are written.
func (f *File) AddSources() []string {
	var out []string
	for _, s := range f.stages {
		for _, c := range s.Commands {
			if add, ok := c.(*instructions.AddCommand); ok {
				out = append(out, add.SourcePaths...)
			}
		}
	}
	return out
}
