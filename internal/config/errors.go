package config

import (
	"errors"
	"fmt"
	"io/fs"
)

// Kind is where a setting came from.
type Kind int

// The places of settings, in ascending precedence.
const (
	Default Kind = iota
	FromUser
	FromProject
	FromEnvironment
	FromFlag
)

// Origin is the place a setting came from.
type Origin struct {
	Kind         Kind
	Name         string // the flag, the variable or the file; empty for a default
	Line, Column int    // in a file, counted from 1; 0 if the whole of it is meant
}

// String is the place as in "--engine", "TIGHTLIP_ENGINE", "tightlip.yaml:3:5" or "default".
func (o Origin) String() string {
	switch {
	case o.Kind == Default:
		return "default"
	case o.Line > 0:
		return fmt.Sprintf("%s:%d:%d", o.Name, o.Line, o.Column)
	}
	return o.Name
}

// Error is one thing that is wrong with the configuration. It quotes names, never what they are set to: that may be
// a value in the wrong place.
type Error struct {
	Origin  Origin
	Problem string // names the flag or variable, if it came from one
	Try     string // what to type instead, if anything
}

// Error implements error.
func (e *Error) Error() string {
	if e.Origin.Kind == FromUser || e.Origin.Kind == FromProject {
		return e.Origin.String() + ": " + e.Problem
	}
	return e.Problem
}

// Hint is what to type instead, or "".
func (e *Error) Hint() string { return e.Try }

// cause is the text of err without the path.
func cause(err error) string {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err.Error()
	}
	return err.Error()
}
