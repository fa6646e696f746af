package caller

import (
	"errors"
	"fmt"
	"slices"

	"github.com/tightlip/tightlip/lint/edit"
)

// NotMoved is the error for an argument that Move leaves where it is.
type NotMoved struct {
	Line int // of the file as it was given to Move, counted from 1
	Name string
	Why  string
}

func (e *NotMoved) Error() string {
	return fmt.Sprintf("line %d: the argument %s stays: %s", e.Line, e.Name, e.Why)
}

// errLayout is why an edit is given up whose result would not be what was meant.
var errLayout = errors.New("the file is written in a way that is not understood")

// errAnother is why an argument stays for whose name there is a secret.
var errAnother = errors.New("the build has another secret of this name")

// Move makes secrets of the named arguments, in every build of a file that builds the Dockerfile: "" stands for those of which it is not known.
// The id of a secret is the argument's name. All else stays byte for byte. An argument that would not mean the same as a secret stays, too; the
// error is made of a *NotMoved for each.
func Move(name string, text []byte, args []string, dockerfile string) ([]byte, error) {
	d := read(name, text)
	if d == nil {
		return text, nil
	}
	targets := d.targets(args, dockerfile)
	if len(targets) > 0 && (len(d.builds) > maxChanged || len(targets)*len(text) > maxReread) {
		return text, errors.Join(&NotMoved{Line: targets[0].line, Name: targets[0].name, Why: "the file starts too many builds to be changed"})
	}
	var stay []error
	for progress := true; progress; {
		var left []target
		progress, stay = false, nil
		skip := map[target]int{}
		for _, t := range targets {
			key := target{build: t.build, name: t.name}
			at, ok := d.find(t, skip[key])
			if !ok {
				continue // it was moved with the one of another build
			}
			next, err := d.moveAt(at, t.name, dockerfile)
			if err != nil {
				stay, left = append(stay, &NotMoved{Line: t.line, Name: t.name, Why: err.Error()}), append(left, t)
				skip[key]++
				continue
			}
			d, progress = next, true
		}
		targets = left
	}
	return d.text, errors.Join(stay...)
}

// Each move reads the file once more: so many builds it may start, and so many bytes are read.
const (
	maxChanged = 200
	maxReread  = 16 << 20
)

// target is an argument that is to be moved.
type target struct {
	build int // its number, which no move changes
	name  string
	line  int // of the file as it was given to Move
}

// targets are the arguments that are to be moved, each place once.
func (d *document) targets(args []string, dockerfile string) []target {
	var out []target
	seen := map[int]bool{}
	for n, f := range d.builds {
		for i, a := range f.Args {
			at := f.origins[i].at
			if f.isOf(dockerfile) && slices.Contains(args, a.Name) && !seen[at] {
				seen[at] = true
				out = append(out, target{n, a.Name, a.Line})
			}
		}
	}
	return out
}

// find is where the argument of a target stands now, behind some of its name.
func (d *document) find(t target, skip int) (at int, ok bool) {
	f := d.builds[t.build]
	for i, a := range f.Args {
		if a.Name != t.name {
			continue
		}
		if skip == 0 {
			return f.origins[i].at, true
		}
		skip--
	}
	return 0, false
}

// isOf tells whether a build is, or may be, one of a Dockerfile.
func (f *found) isOf(dockerfile string) bool {
	return f.Dockerfile == dockerfile || slices.ContainsFunc(f.Alternatives, func(p Place) bool { return p.Dockerfile == dockerfile })
}

// moveAt moves the argument that stands at an offset, in the first way that does what is meant.
func (d *document) moveAt(at int, name, dockerfile string) (*document, error) {
	if !isName(name) {
		return nil, errors.New("no variable has such a name")
	}
	var shared []origin
	var builds []int
	ways := 1
	for n, f := range d.builds {
		for _, o := range f.origins {
			if o.at != at {
				continue
			}
			if !f.isOf(dockerfile) {
				return nil, errors.New("builds of other Dockerfiles share it")
			}
			if o.why != "" {
				return nil, errors.New(o.why)
			}
			shared, builds, ways = append(shared, o), append(builds, n), max(ways, len(o.moves))
		}
	}
	var first error
	for way := range ways {
		text, err := d.moveBy(way, shared)
		if err == nil {
			if after := read(d.name, text); d.isMoved(after, name, builds) {
				return after, nil
			}
			err = errLayout
		}
		if first == nil {
			first = err
		}
	}
	return nil, first
}

// moveBy makes the edits of one way to move what builds share, each edit once.
func (d *document) moveBy(way int, shared []origin) ([]byte, error) {
	var edits []edit.Edit
	for _, o := range shared {
		more, err := o.moves[min(way, len(o.moves)-1)]()
		if err != nil {
			return nil, err
		}
		for _, e := range more {
			if !slices.Contains(edits, e) {
				edits = append(edits, e)
			}
		}
	}
	if overlap(edits) {
		return nil, errLayout
	}
	return edit.Apply(d.text, edits), nil
}

func overlap(edits []edit.Edit) bool {
	edits = slices.Clone(edits)
	slices.SortStableFunc(edits, func(a, b edit.Edit) int { return a.Start - b.Start })
	for i := 1; i < len(edits); i++ {
		if edits[i].Start < edits[i-1].End {
			return true
		}
	}
	return false
}

// isMoved looks at the result of an edit: the builds must be those that were there, except for the argument, and nothing may have become
// unreadable.
func (d *document) isMoved(after *document, name string, builds []int) bool {
	if after == nil || len(after.builds) != len(d.builds) || len(after.errs) != len(d.errs) {
		return false
	}
	for n, b := range d.builds {
		a := after.builds[n]
		args := argNames(b)
		if slices.Contains(builds, n) {
			if !slices.Contains(a.Secrets, name) {
				return false
			}
			i := slices.IndexFunc(b.Args, func(a Arg) bool { return a.Name == name })
			args = slices.Delete(args, i, i+1)
		}
		if !slices.Equal(args, argNames(a)) || a.Context != b.Context || a.Dockerfile != b.Dockerfile || a.Target != b.Target || a.Inline != b.Inline {
			return false
		}
		if !slices.Contains(builds, n) && !slices.Equal(a.Secrets, b.Secrets) {
			return false
		}
	}
	return true
}

func argNames(f *found) []string {
	var out []string
	for _, a := range f.Args {
		out = append(out, a.Name+"="+a.Literal+"="+a.From)
	}
	return out
}
