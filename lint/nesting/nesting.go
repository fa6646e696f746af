// Package nesting parses shell scripts, and gives up where one is nested so deeply that whoever follows it would run out of stack.
package nesting

import (
	"io"
	"runtime"

	"mvdan.cc/sh/v3/syntax"
)

// A level of parentheses takes the parser about ten frames, and the tree two or three nodes.
const (
	maxFrames = 4000
	maxNodes  = 2000
)

// Error is that a script is nested too deeply.
type Error struct {
	Offset int // in bytes, near the place
}

func (e *Error) Error() string { return "it is nested too deeply" }

// Parse parses a script of bash. The error is the parser's or an *Error.
func Parse(text string) (*syntax.File, error) {
	f, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(&reader{text: text}, "")
	if err != nil {
		return nil, err
	}
	if err := check(f); err != nil {
		return nil, err
	}
	return f, nil
}

// reader looks how deep the parser is: that asks for the next piece of text from where it is in its recursion.
type reader struct {
	text string
	at   int
}

func (r *reader) Read(p []byte) (int, error) {
	if r.at == len(r.text) {
		return 0, io.EOF
	}
	var frame [1]uintptr
	if runtime.Callers(maxFrames, frame[:]) > 0 {
		return 0, &Error{Offset: r.at}
	}
	n := copy(p, r.text[r.at:])
	r.at += n
	return n, nil
}

// check looks how deep the tree is: the parser makes chains of operators without recursion.
func check(f *syntax.File) error {
	var deep error
	depth := 0
	syntax.Walk(f, func(n syntax.Node) bool {
		if n == nil {
			depth--
			return true
		}
		if depth == maxNodes && deep == nil {
			deep = &Error{Offset: int(n.Pos().Offset())}
		}
		if deep != nil {
			return false
		}
		depth++
		return true
	})
	return deep
}

// TooDeep tells whether a script is nested too deeply to be parsed.
func TooDeep(text string) bool {
	_, err := Parse(text)
	_, deep := err.(*Error)
	return deep
}
