// Package flow follows secrets through shell scripts: through variables, pipes, substitutions and files, to where they stay.
//
// It runs a script in thought, each branch once and in order. What it cannot know, such as the output of a program, holds no
// secret; what a program removes in one branch is removed.
package flow

import (
	"errors"
	"maps"
	"path"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"

	"github.com/tightlip/tightlip/lint/nesting"
)

// Origins are where the secrets in a value come from, by numbers that the caller gives.
type Origins []int

// with is both, each once.
func (o Origins) with(more Origins) Origins {
	for _, n := range more {
		if !slices.Contains(o, n) {
			o = append(slices.Clip(o), n)
		}
	}
	return o
}

// Value is a text in which each secret is written as its stand-in.
type Value struct {
	Text string
	From Origins
}

// Script is a shell script, and what it finds when it starts.
type Script struct {
	Text  string
	Trace bool             // whether the shell prints what it runs
	Env   map[string]Value // variables of the environment
	Dir   string           // the working directory
	Files map[string]Origins
	// Outside are files and folders that what is written to does not stay: mounts of any kind.
	Outside []string
	// StandIn is how a secret of an origin is written in texts.
	StandIn func(origin int) string
	// Fetched gives a number to a secret that a command of the script prints. The offset is that of the command.
	Fetched func(offset int, from string) int
}

// Kind is what happens to a secret.
type Kind int

// The kinds of events.
const (
	Used    Kind = iota // a command or a file is given it; Event.Text says how
	Written             // to a file that stays
	Stored              // by a tool, in its configuration that stays
	Printed             // to the log
	Traced              // by the shell, to the log, in front of the command that is given it
	InURL               // in the query of an address
	Removed             // the file that held it when the script started
)

// Event is something that happens to secrets.
type Event struct {
	Kind       Kind
	From       Origins
	Start, End int    // of the command or word in the script, in bytes
	Path       string // of the file
	Command    string // the one that does it, such as "cp" or "npm config set"
	Text       string // of Used: the command or the file's new content, with stand-ins
	Login      bool   // of Used: what the command reads is a credential, whatever it is called
}

// Result is what a script does with secrets.
type Result struct {
	Events []Event            // in their order
	Files  map[string]Origins // those that hold secrets and stay
	Last   Value              // what the last command prints
}

// Run runs a script. The error is one of syntax, or that the script is too long or nested too deeply to be followed.
func Run(s Script) (*Result, error) {
	r := &runner{script: s, files: map[string]*file{}, vars: map[string]Value{}, funcs: map[string]*syntax.Stmt{}, trace: s.Trace, dir: s.Dir}
	for p, from := range s.Files {
		r.files[p] = &file{from: from}
	}
	if err := r.text(s.Text); err != nil {
		return nil, err
	}
	for _, t := range r.traps {
		_ = r.nested(t) // what is no script does nothing
	}
	if r.steps > maxSteps {
		return nil, errTooLong
	}
	return r.result(), nil
}

var errTooLong = errors.New("it runs too many commands to be followed")

// runner is a script that runs.
type runner struct {
	script Script
	events []Event
	files  map[string]*file
	vars   map[string]Value // that the script has set
	gone   map[string]bool  // those of the environment that it has unset
	funcs  map[string]*syntax.Stmt
	traps  []string
	// sourced is what variables hold that nobody sets: a file that was sourced may have.
	sourced   Origins
	dir       string
	trace     bool
	capture   int              // how many redirections and pipes are around what runs
	inner     *syntax.CallExpr // the command whose argument is the script that runs; nil: the script itself
	exported  map[string]bool  // variables that the script exports
	allexport bool
	depth     int
	steps     int
}

// variable is the value of one.
func (r *runner) variable(name string) (Value, bool) {
	if v, ok := r.vars[name]; ok {
		return v, true
	}
	if r.gone[name] {
		return Value{}, false
	}
	v, ok := r.script.Env[name]
	return v, ok
}

// value is that of a variable, empty if there is none.
func (r *runner) value(name string) Value {
	v, _ := r.variable(name)
	return v
}

// file is one that holds secrets.
type file struct {
	from  Origins
	event *Event // that wrote it; nil: it was there
	link  bool
}

// maxDepth is how deep scripts are in scripts, and maxSteps how many statements are run: functions can call each other.
const (
	maxDepth = 8
	maxSteps = 10_000
)

// text runs the text of a script.
func (r *runner) text(text string) error {
	parsed, err := nesting.Parse(text)
	if err != nil {
		return err
	}
	r.print(r.list(parsed.Stmts, Value{}), 0, len(text))
	return nil
}

// nested runs a script that is an argument of a command.
func (r *runner) nested(text string) Value {
	if r.depth >= maxDepth {
		return Value{}
	}
	parsed, err := nesting.Parse(text)
	if err != nil {
		return Value{}
	}
	r.depth++
	defer func() { r.depth-- }()
	return r.list(parsed.Stmts, Value{})
}

// emit notes an event at a node of the script.
func (r *runner) emit(e Event, at syntax.Node) *Event {
	if r.inner != nil {
		at = r.inner
	}
	if at != nil {
		e.Start, e.End = int(at.Pos().Offset()), int(at.End().Offset())
	}
	r.events = append(r.events, e)
	return &e
}

func (r *runner) print(v Value, start, end int) {
	if len(v.From) > 0 {
		r.events = append(r.events, Event{Kind: Printed, From: v.From, Start: start, End: end})
	}
}

// abs is a path from the root. The home folder of whoever runs the script is ~.
func (r *runner) abs(p string) string {
	if !path.IsAbs(p) && p != "~" && !strings.HasPrefix(p, "~/") {
		p = path.Join(r.dir, p)
	}
	p = path.Clean(p)
	if p == "/root" {
		return "~"
	}
	if rest, ok := strings.CutPrefix(p, "/root/"); ok {
		return "~/" + rest
	}
	return p
}

// Abs is a path as this package writes it: from the root or, with ~ in front, from the home folder.
func Abs(dir, p string) string { return (&runner{dir: dir}).abs(p) }

// outside are the places that are in no layer.
var outside = []string{"/dev", "/proc", "/sys", "/run/secrets"}

// stays tells whether what is written to a path is in the layer.
func (r *runner) stays(p string) bool {
	return !slices.ContainsFunc(slices.Concat(outside, r.script.Outside), func(dir string) bool { return Within(p, dir) })
}

// Within tells whether a path is a folder or below it.
func Within(p, dir string) bool {
	return p == dir || dir == "/" || dir != "" && strings.HasPrefix(p, strings.TrimSuffix(dir, "/")+"/")
}

// write puts secrets into a file.
func (r *runner) write(kind Kind, p, command string, v Value, at syntax.Node) {
	if p == "" || len(v.From) == 0 {
		return
	}
	p = r.abs(p)
	e := r.emit(Event{Kind: Used, From: v.From, Path: p, Command: command, Text: v.Text}, at)
	e.Kind = kind
	old := r.files[p]
	f := &file{from: v.From, event: e}
	if old != nil && old.event != nil { // the first one to write is the one to name
		f.event = old.event
	}
	if old != nil {
		f.from = old.from.with(v.From)
	}
	r.files[p] = f
}

// remove removes files and folders, also by patterns.
func (r *runner) remove(pattern string, at syntax.Node) {
	pattern = r.abs(pattern)
	for p, f := range r.files {
		ok, _ := path.Match(pattern, p)
		if !ok && !Within(p, pattern) && !below(pattern, p) {
			continue
		}
		if f.event == nil && !f.link {
			r.emit(Event{Kind: Removed, From: f.from, Path: p}, at)
		}
		delete(r.files, p)
	}
}

// below tells whether a path is below a folder that a pattern with stars describes.
func below(pattern, p string) bool {
	if !strings.ContainsAny(pattern, "*?[") {
		return false
	}
	for dir := path.Dir(p); len(dir) > 1; dir = path.Dir(dir) {
		if ok, _ := path.Match(pattern, dir); ok {
			return true
		}
	}
	return false
}

// read is what is in a file, or in the files below a folder or like a pattern.
func (r *runner) read(p string) Value {
	p = r.abs(p)
	if f := r.files[p]; f != nil {
		return r.standIns(f.from)
	}
	var from Origins
	for _, name := range slices.Sorted(maps.Keys(r.files)) {
		ok, _ := path.Match(p, name)
		if ok || Within(name, p) {
			from = from.with(r.files[name].from)
		}
	}
	return r.standIns(from)
}

// standIns is a value of secrets alone.
func (r *runner) standIns(from Origins) Value {
	var text strings.Builder
	for _, n := range from {
		text.WriteString(r.script.StandIn(n))
	}
	return Value{text.String(), from}
}

func (r *runner) result() *Result {
	out := &Result{Events: r.events, Files: map[string]Origins{}}
	for _, p := range slices.Sorted(maps.Keys(r.files)) {
		f := r.files[p]
		if f.link || !r.stays(p) {
			continue
		}
		out.Files[p] = f.from
		if f.event != nil {
			e := *f.event
			e.From, e.Text = f.from, ""
			out.Events = append(out.Events, e)
		}
	}
	return out
}
