package lint

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/tightlip/tightlip/dockerfile"
	"github.com/tightlip/tightlip/finding"
	"github.com/tightlip/tightlip/internal/lazy"
	"github.com/tightlip/tightlip/lint/flow"
	"github.com/tightlip/tightlip/scan/detect"
)

// place is where something stands in a file, counted from 1, in bytes.
type place struct{ line, column, width int }

func placeIn(b dockerfile.Body, start, end int) place {
	line, column := b.Place(start)
	last, to := b.Place(end)
	if last != line {
		return place{line, column, 0}
	}
	return place{line, column, to - column}
}

// kind is how a secret gets into a build.
type kind int

const (
	fromArg kind = iota
	fromEnv
	fromMount
	fromFile // of the build context
	fromNet
)

// origin is where a secret, or what may be one, gets into a build.
type origin struct {
	kind    kind
	name    string // of the variable, the mount or the file
	at      place
	stage   int
	sure    bool
	why     string // it is one
	parents []int  // the origins that are in its value
	alias   bool   // its value is that of its parent and nothing else
	target  string // of a file: where it is copied to
	removed int    // the line of the RUN that removes the file; 0 if none does
	kept    int    // the number of RUNs behind it, in whose history it is
	dir     string // and the working directory there
	known   bool   // whether the target is, whatever the base image says
	preset  bool   // it has a value that the build need not give
	inText  bool   // it is in an instruction that is no RUN and no ENV of its own
}

// standIns begin what is written instead of secrets: the detector has to take it for made by chance.
const standIn = "q7Rk2WzX9mTb4Nv8"

// standIn is what is written instead of the secret of an origin. None is the start of another.
func standInOf(n int) string {
	return standIn + string([]byte{'A' + byte(n/26/26%26), 'a' + byte(n/26%26), 'A' + byte(n%26)}) + "5"
}

// add notes an origin.
func (c *checker) add(o *origin) int {
	c.origins = append(c.origins, o)
	return len(c.origins) - 1
}

// sure tells whether any of the origins is known to be a secret.
func (c *checker) sure(from []int) bool {
	return slices.ContainsFunc(from, func(n int) bool { return c.origins[n].sure || c.sure(c.origins[n].parents) })
}

// first is the first of the origins that is known to be a secret, and no alias of another.
func (c *checker) first(from []int) *origin {
	for _, n := range from {
		o := c.origins[n]
		if p := c.first(o.parents); p != nil && (o.alias || !o.sure) {
			return p
		}
		if o.sure {
			return o
		}
	}
	return nil
}

// mark notes that an origin is a secret.
func (c *checker) mark(n int, why string) {
	o := c.origins[n]
	if !o.sure {
		o.sure, o.why = true, why
	}
	if o.alias {
		for _, p := range o.parents {
			c.mark(p, why)
		}
	}
}

// found is what may be a finding: whether it is one is known at the end.
type found struct {
	rule     *detect.Rule
	at       place
	key      string
	from     []int // one of these has to be a secret; nil: it is a finding in any case
	stage    int
	severity finding.Severity // "": the rule's
	detail   func() string
	context  string // the file of the build context that it is about
	origin   *origin
}

func (c *checker) find(f found) { c.found = append(c.found, f) }

func text(format string, args ...any) func() string {
	return func() string { return fmt.Sprintf(format, args...) }
}

// telltales are places where a command is given credentials that need not have the form of any: \x00 stands for the variable.
var telltales = []func() *regexp.Regexp{
	lazy.Regexp(`(?i)\b(?:authorization|private-token|job-token|deploy-token|x-api-key|x-jfrog-art-api|x-vault-token)["']?\s*[:=]\s*["']?(?:(?:basic|bearer|token)\s+)?\x00`),
	lazy.Regexp(`\bcurl\b[^|;]*\s(?:-\w*u|--user)[ =]?["']?\x00(?:[^:]|$)`),
	lazy.Regexp(`\bbundle(?:r)? config\s[^|;]*\x00`),
	lazy.Regexp(`(?i)(?:_authToken|npmAuthToken|:_password|:_auth)["']?[ =]["']?\x00`),
	lazy.Regexp(`\bhttp-basic\.\S+ \S+ ["']?\x00`),
}

// used marks the origins that a text gives away: the detector would find a secret where their stand-ins are.
func (c *checker) used(content detect.Content, from []int, how string, line int) {
	if !slices.ContainsFunc(from, func(n int) bool { return !c.origins[n].sure }) {
		return
	}
	for _, n := range from {
		for _, t := range telltales {
			if t().MatchString(strings.ReplaceAll(string(content.Data), standInOf(n), "\x00")) {
				c.mark(n, fmt.Sprintf("line %d gives it away: %s", line, how))
			}
		}
	}
	for _, m := range c.det.Find(content) {
		value := string(content.Data[m.Start:m.End])
		for _, n := range from {
			if strings.Contains(value, standInOf(n)) {
				c.mark(n, fmt.Sprintf("line %d gives it away: %s (%s)", line, how, called(m.Rule)))
			}
		}
	}
}

// state is what a stage has at one of its instructions.
type state struct {
	vars  map[string]flow.Value
	files map[string]flow.Origins // that hold secrets
	dir   string
	known bool // whether dir is, whatever the base image says
	// copyKnown is the same for what is copied at the moment.
	copyKnown bool
	shell     []string
	user      string
}
