package secret

import "time"

// About describes a source for people.
type About struct {
	Form    string // how references are written: "vault:MOUNT/PATH#FIELD"
	What    string // what they point at, in a few words
	Example string // one that was run, with other hosts and names
	// Variables are those of the environment that hold the source's own credential, if no reference does.
	Variables []string
	Variable  bool // references name a variable that holds the value, as env:NAME does
	Mint      *MintAbout
}

// MintAbout describes what a Minter makes.
type MintAbout struct {
	Grade   Grade
	Least   time.Duration // the shortest life that can be asked for; 0: it does not expire
	Default time.Duration // the life unless asked for; 0: it does not expire
	Narrow  string        // by which keys it can be narrowed, and to what
	Revoke  string        // how it is revoked, and whether a crash leaves it to reap; empty: it cannot be
	Life    string        // who decides the life if no reference does: "the role's"; empty: Default is the life
	Takes   string        // what a reference must say to be of the grade; empty: all are
}

// Described is implemented by sources that say what they are.
type Described interface {
	About() About
}

// Graded is implemented by minters whose references are not all of the grade that their About has.
type Graded interface {
	// Grade is that of what a reference makes. It reaches nothing.
	Grade(ref Ref) Grade
}

// Grade is that of what a reference makes; empty: its source mints nothing.
func (r *Resolver) Grade(ref Ref) Grade {
	about, _ := r.About(ref.Scheme)
	if g, ok := r.source(ref.Scheme).(Graded); ok {
		return g.Grade(ref)
	}
	if about.Mint == nil {
		return ""
	}
	return about.Mint.Grade
}

// ShortLife is what grades call short.
const ShortLife = time.Hour

// Grade says how little a leaked credential is worth, at best.
type Grade string

// The grades.
const (
	GradeA Grade = "A" // short or revoked at once, and narrow
	GradeB Grade = "B" // short or revoked at once, for all that the parent may do
	GradeC Grade = "C" // hours or days, unless revoking works
	GradeD Grade = "D" // neither short nor surely revoked
)
