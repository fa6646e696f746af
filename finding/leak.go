package finding

import (
	"fmt"
	"strings"
)

// Severity says how bad a leak is. The zero value is no severity.
type Severity string

// The severities, the worst first.
const (
	Critical Severity = "critical" // gives control by itself: a private key, a cloud key
	High     Severity = "high"     // gives access by itself: a token, a password with its host
	Medium   Severity = "medium"   // very likely a secret
	Low      Severity = "low"      // a hash of a password, or a secret that needs more to be of use
	Note     Severity = "note"     // worth knowing, and no leak of its own
)

var ranks = map[Severity]int{Critical: 5, High: 4, Medium: 3, Low: 2, Note: 1}

// ParseSeverity reads the name of a severity.
func ParseSeverity(s string) (Severity, error) {
	if ranks[Severity(s)] == 0 {
		return "", fmt.Errorf("unknown severity %q: critical, high, medium, low or note", s)
	}
	return Severity(s), nil
}

// AtLeast tells whether s is as bad as t, or worse.
func (s Severity) AtLeast(t Severity) bool { return ranks[s] >= ranks[t] }

// Status says what a container of the image sees of a file that is in one of its layers.
type Status string

// The states of a file in a layer.
const (
	Visible     Status = "visible"     // it is there
	Deleted     Status = "deleted"     // a later layer deletes it; its bytes are still in the image
	Overwritten Status = "overwritten" // a later layer has another file in its place; its bytes are still in the image
)

// Verdict is what the issuer of a token says of it. The zero value is that it was not asked.
type Verdict string

// The verdicts of issuers.
const (
	Alive   Verdict = "alive"   // the token works
	Dead    Verdict = "dead"    // it was revoked, or has expired
	Unknown Verdict = "unknown" // the issuer could not be asked, or its answer does not tell
)

// Leak is a secret that was found without being known: by its shape, or by the kind of file it is in. It has no field that
// could hold the value: all its texts are masked by their maker.
type Leak struct {
	Rule     string   `json:"rule"`
	Title    string   `json:"title"`
	Severity Severity `json:"severity"`

	// Where is "file", or the part of the image's documents: "config.Env", "config.Labels", "history",
	// "manifest.annotations", "provenance", "sbom", and so on.
	Where    string `json:"where"`
	Platform string `json:"platform,omitempty"` // os/arch[/variant], in images for several
	Layer    int    `json:"layer,omitempty"`    // counted from 1, the lowest; 0 outside of layers
	Digest   string `json:"digest,omitempty"`   // of the blob, algorithm:hex
	Path     string `json:"path,omitempty"`     // of the file
	Inner    string `json:"inner,omitempty"`    // in the archive that the file is: "a.jar!/b.txt"
	Field    string `json:"field,omitempty"`    // of a document, such as history[3].created_by
	Key      string `json:"key,omitempty"`      // of the setting, such as _authToken
	Line     int    `json:"line,omitempty"`     // in a text file, counted from 1
	Column   int    `json:"column,omitempty"`   // in that line, counted in bytes from 1
	Width    int    `json:"width,omitempty"`    // of what is meant there, in bytes
	Offset   int64  `json:"offset"`             // bytes from the start of the file or document
	Encoding string `json:"encoding,omitempty"` // how it is written, such as base64; "" as it is

	Status    Status  `json:"status,omitempty"`     // of the file
	Hint      string  `json:"hint,omitempty"`       // at most 4 characters of a value that is longer than 16
	CreatedBy string  `json:"created_by,omitempty"` // the layer's entry in the history
	Source    *Source `json:"dockerfile,omitempty"`
	Detail    string  `json:"detail,omitempty"`  // where it comes from and where it gets to, in a sentence or two
	Fix       string  `json:"fix,omitempty"`     // what to do, in a few lines
	Fixable   bool    `json:"fixable,omitempty"` // tightlip lint --fix mends it

	// Fingerprint stays the same from build to build: it is made of the rule and the place, not of the value.
	Fingerprint string `json:"fingerprint"`
	Ignored     string `json:"ignored,omitempty"` // why it does not count, as the user said

	Verified Verdict `json:"verified,omitempty"`
	Entry    int64   `json:"-"` // where in the unpacked layer the content of the file begins; 0 if that is not known
	Ticket   int     `json:"-"` // names the value to who can ask its issuer; 0 if nobody can
}

// Place is the leak's place in one line, such as "layer 3 /app/.npmrc line 2".
func (l *Leak) Place() string {
	s := l.Where
	switch {
	case l.Path != "" && l.Layer > 0:
		s = fmt.Sprintf("layer %d /%s", l.Layer, l.Path)
	case l.Path != "":
		s = l.Path
	case l.Layer > 0: // before or behind its archive
		s = strings.TrimSpace(fmt.Sprintf("layer %d %s", l.Layer, l.Field))
	case l.Field != "":
		s = l.Field
	}
	if l.Inner != "" {
		s += "!/" + l.Inner
	}
	if l.Line > 0 {
		s += fmt.Sprintf(" line %d", l.Line)
	} else if l.Path != "" && l.Offset > 0 {
		s += fmt.Sprintf(" at byte %d", l.Offset)
	}
	if l.Platform != "" {
		s = l.Platform + " " + s
	}
	return s
}
