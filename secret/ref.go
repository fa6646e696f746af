package secret

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// The schemes that this package itself gives a meaning to.
const (
	SchemeFile  = "file"
	SchemeEnv   = "env"
	SchemeStdin = "stdin"
)

// Ref is a reference: it says where a secret comes from. It is safe to print.
type Ref struct {
	Scheme string // names the source, such as "file"
	Rest   string // what the source makes of it, as it was written
	Dir    string // where commands run that it names; empty: in the working directory
}

// stdinText is how the reference to standard input is written.
const stdinText = "-"

// ParseRef reads a reference: SCHEME:REST such as file:~/.npmrc, or - for standard input.
//
// It accepts every well-formed scheme; whether a source for it exists is for [Resolver.Check] to say.
// It refuses text that is not printable, so that a Ref can always be shown. Its error is a [*SyntaxError].
func ParseRef(text string) (Ref, error) {
	if text == stdinText {
		return Ref{Scheme: SchemeStdin}, nil
	}
	scheme, rest, found := strings.Cut(text, ":")
	switch {
	case !Printable(text):
		return Ref{}, &SyntaxError{Problem: "a reference must be printable text"}
	case !found || !isScheme(scheme):
		return Ref{}, noScheme(text)
	case scheme == SchemeStdin:
		return Ref{}, &SyntaxError{Problem: "standard input has no name", Try: "write - for standard input"}
	case rest == "":
		return Ref{}, &SyntaxError{Problem: "nothing follows the colon of a reference", Try: refForms}
	}
	return Ref{Scheme: scheme, Rest: rest}, nil
}

// String is the reference as [ParseRef] reads it.
func (r Ref) String() string {
	switch {
	case r.IsZero():
		return ""
	case r.Scheme == SchemeStdin:
		return stdinText
	}
	return r.Scheme + ":" + r.Rest
}

// IsZero reports whether the reference is missing.
func (r Ref) IsZero() bool { return r.Scheme == "" && r.Rest == "" }

const refForms = "a reference is file:PATH, file:PATH#KEY, env:NAME, cmd:COMMAND, fd:NUMBER or - for standard input"

// noScheme quotes text only if it can be nothing but a path: otherwise it may be the value itself.
func noScheme(text string) error {
	err := &SyntaxError{Problem: "a reference must begin with a scheme", Try: refForms}
	for _, start := range []string{"./", "../", "~/"} {
		if strings.HasPrefix(text, start) {
			err.Try = "did you mean file:" + text + "?"
		}
	}
	return err
}

func isScheme(s string) bool {
	if s == "" || s[0] < 'a' || s[0] > 'z' {
		return false
	}
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

// Printable reports whether a terminal shows s as it is: valid UTF-8 without control or invisible formatting characters.
func Printable(s string) bool {
	return utf8.ValidString(s) && strings.IndexFunc(s, func(r rune) bool { return !unicode.IsGraphic(r) }) < 0
}
