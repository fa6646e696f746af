// Package conformance runs a table of what secrets in builds should do: on a builder by itself, and on the same builder
// through tightlip.
package conformance

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Builder is a command that builds as docker build does, with the flags --secret, --ssh, --no-cache, -f and -t.
type Builder struct {
	Command []string // such as docker build --progress=plain
	Env     []string // for it, as os.Environ has it; nil is our own
	// Save is the command that writes an image, whose name is appended, to standard output. It may be nil.
	Save []string
	// History is the command that prints an image's history, as Save.
	History []string
	// Remove is the command that removes an image, as Save.
	Remove []string
	// After is a command that is run after a build was killed; nil is none.
	After []string
	// Roots are the folders in which the engine keeps its data, searched for what builds leave.
	Roots []string
}

// Engine is a builder by itself, and through tightlip.
type Engine struct {
	Name    string
	Version string
	Plain   *Builder // nil: there is no such thing
	Ours    Builder
}

// Outcome is what one builder did in one case.
type Outcome struct {
	Good bool   `json:"good"`
	Text string `json:"text"` // a few words
}

// Row is one case on one engine.
type Row struct {
	Case  string   `json:"case"`
	Group string   `json:"group"`
	Plain *Outcome `json:"plain,omitempty"`
	Ours  Outcome  `json:"tightlip"`
}

// Options are what a run needs.
type Options struct {
	Busybox string                 // the path of a static busybox
	Key     string                 // the path of an SSH private key
	Dir     string                 // an empty folder for the run
	Only    func(name string) bool // which cases to run; nil is all
	Done    func(Row)              // called after each case; may be nil
}

// Run runs all cases on an engine. An error is of the run itself; what builders do wrong is in the rows.
func Run(ctx context.Context, e Engine, o Options) ([]Row, error) {
	if err := prepare(o); err != nil {
		return nil, fmt.Errorf("preparing the conformance run: %w", err)
	}
	var rows []Row
	for n, c := range cases() {
		if o.Only != nil && !o.Only(c.name) {
			continue
		}
		row := Row{Case: c.name, Group: c.group}
		if e.Plain != nil {
			out := run(ctx, *e.Plain, o, c, fmt.Sprintf("plain-%d", n))
			row.Plain = &out
		}
		row.Ours = run(ctx, e.Ours, o, c, fmt.Sprintf("tightlip-%d", n))
		if err := ctx.Err(); err != nil {
			return rows, err
		}
		if o.Done != nil {
			o.Done(row)
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// prepare fills the build context that all cases share.
func prepare(o Options) error {
	shell, err := os.ReadFile(o.Busybox)
	if err != nil {
		return err
	}
	dir := filepath.Join(o.Dir, "context")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, text := range map[string]string{
		"passwd": "root:x:0:0:root:/root:/bin/sh\nuser:x:1234:1234:user:/:/bin/sh\n", "group": "root:x:0:\nuser:x:1234:\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(dir, "busybox"), shell, 0o755)
}

// run runs one case in a folder of its own.
func run(ctx context.Context, b Builder, o Options, c testCase, name string) Outcome {
	dir := filepath.Join(o.Dir, name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return Outcome{Text: err.Error()}
	}
	s := &session{ctx: ctx, builder: b, options: o, dir: dir, image: "conformance-" + name, start: time.Now()}
	defer s.clean()
	return c.run(s)
}
