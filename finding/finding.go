// Package finding describes a leak that was found, without what leaked.
package finding

import (
	"fmt"
	"strings"
)

// Kind says in which part of an image a leak sits.
type Kind string

// The parts of an image.
const (
	InLayer       Kind = "layer"       // a file in a layer, or the header of one
	InConfig      Kind = "config"      // the image config: environment, labels, history
	InManifest    Kind = "manifest"    // a manifest or index, annotations included
	InAttestation Kind = "attestation" // provenance, SBOM or another document about the image
	InFile        Kind = "file"        // a file of a plain directory or root file system
	InMetadata    Kind = "metadata"    // a container format's own files
	InRecord      Kind = "record"      // the builder's record of the build: not in the image
)

// Location is where in an image a leak sits. Its zero fields do not apply.
type Location struct {
	Kind     Kind   `json:"where"`
	Platform string `json:"platform,omitempty"` // os/arch[/variant]
	Digest   string `json:"digest,omitempty"`   // of the blob, algorithm:hex
	Layer    int    `json:"layer,omitempty"`    // counted from 1, the lowest
	Path     string `json:"path,omitempty"`     // in the layer; "a.jar!/b.txt" is b.txt inside a.jar
	Field    string `json:"field,omitempty"`    // of a JSON document, such as history[3].created_by, or of a tar header
	Offset   int64  `json:"offset"`             // bytes from the start of the file, document or blob
}

// Source is the Dockerfile line that made the place of a leak.
type Source struct {
	File string `json:"file"`
	Line int    `json:"line"` // counted from 1
	Text string `json:"text,omitempty"`
}

// Ticket is the Secret of a finding that is the ticket of a broker. As a phantom it opens nothing.
const Ticket = "the broker's ticket"

// Finding is one leak. It has no field that could hold a value: all its texts are redacted by their maker.
type Finding struct {
	Secret   string `json:"secret"`            // the secret's id
	Phantom  bool   `json:"phantom,omitempty"` // it is the phantom of the secret, which opens nothing
	Encoding string `json:"encoding"`          // how the value was written, such as "raw" or "base64"
	Location
	Hidden     bool    `json:"hidden"` // a later layer deletes or overwrites the file
	Dockerfile *Source `json:"dockerfile,omitempty"`
}

// String is the place in one line, such as "layer 3 /app/.npmrc at byte 40".
func (l Location) String() string {
	var b strings.Builder
	if l.Platform != "" {
		fmt.Fprintf(&b, "%s ", l.Platform)
	}
	b.WriteString(string(l.Kind))
	if l.Layer > 0 {
		fmt.Fprintf(&b, " %d", l.Layer)
	}
	if l.Path != "" {
		fmt.Fprintf(&b, " %s", l.Path)
	}
	if l.Field != "" {
		fmt.Fprintf(&b, " %s", strings.TrimPrefix(l.Field, string(l.Kind)+"."))
	}
	fmt.Fprintf(&b, " at byte %d", l.Offset)
	return b.String()
}
