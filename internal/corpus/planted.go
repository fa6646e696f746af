package corpus

import (
	"bytes"
	"fmt"
	"strings"
)

// The states of a file.
const (
	Visible     = "visible"
	Deleted     = "deleted"
	Overwritten = "overwritten"
)

// Planted is a secret in an image, and where a scanner should say that it is.
type Planted struct {
	ID     string // the same in every shape
	Format string // the kind of value, such as "github" or "human", a password that a person made up

	// Place is "file", or the part of the image's documents, such as "config.Env" or "manifest.annotations".
	Place    string
	Platform string // of what only one platform has, such as linux/arm64; "" in a docker archive
	Layer    int    // counted from 1; 0 outside of layers
	Path     string // of the file; if the secret is in the name itself, of its folder, with a slash at the end
	Inner    string // how the path inside of an archive ends
	Line     int    // of text files, counted from 1; 0 elsewhere
	Field    string // a part of the name of the document's field, such as history[3].created_by
	Status   string // of the file: Visible, Deleted or Overwritten
	Key      bool   // made with true randomness: it differs from image to image

	value, written string
}

// In tells whether the secret stands in text: as it is, as it was written to the image, or for one of several lines, a line.
func (p Planted) In(text []byte) bool {
	for _, needle := range append(lines(p.value), lines(p.written)...) {
		if bytes.Contains(text, []byte(needle)) {
			return true
		}
	}
	return false
}

// Begins tells whether the secret begins with a hint, which is a few characters that a scanner shows.
func (p Planted) Begins(hint string) bool {
	return hint != "" && (strings.HasPrefix(p.value, hint) || strings.HasPrefix(p.written, hint))
}

// lines are those of a secret that tell it from others.
func lines(s string) []string {
	if !strings.Contains(s, "\n") {
		return []string{s}
	}
	var out []string
	for line := range strings.Lines(s) {
		line = strings.TrimSpace(line)
		if len(line) >= 32 && !strings.HasPrefix(line, "-----") {
			out = append(out, line)
		}
	}
	return out
}

// String describes the secret, without its value.
func (p Planted) String() string {
	s := p.Place
	if p.Layer > 0 {
		s += fmt.Sprintf(" layer %d /%s", p.Layer, p.Path)
	}
	if p.Inner != "" {
		s += "!/" + p.Inner
	}
	if p.Line > 0 {
		s += fmt.Sprintf(" line %d", p.Line)
	}
	return strings.TrimSpace(fmt.Sprintf("%s %s %s: %s %q of %d characters", p.Platform, s, p.Field, p.Format, mask(p.value), len(p.value)))
}

// mask shows as much of a value as helps to see its shape.
func mask(s string) string {
	if len(s) < 24 {
		return s[:min(len(s), 2)] + "…"
	}
	return s[:6] + "…"
}
