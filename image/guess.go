package image

import (
	"bytes"
	"encoding/json"

	"github.com/tightlip/tightlip/finding"
)

// guess says what a member of a stream seems to be before the documents that tell have arrived.
func guess(m *member, head []byte) role {
	r := role{kind: finding.InMetadata, digest: m.stated()}
	switch {
	case !m.regular:
	case m.compressed || isTar(head):
		r.kind, r.mustUnpack = finding.InLayer, true
	case bytes.HasPrefix(head, []byte("{")):
		r.kind = documentKind(head)
	}
	return r
}

// documentKind tells by a document's content which part of an image it is.
func documentKind(raw []byte) finding.Kind {
	var probe struct {
		SchemaVersion, Manifests, RootFS json.RawMessage
		Type                             string `json:"_type"`
	}
	switch err := json.Unmarshal(raw, &probe); {
	case err != nil:
		return finding.InMetadata
	case probe.Type != "":
		return finding.InAttestation
	case probe.SchemaVersion != nil || probe.Manifests != nil:
		return finding.InManifest
	case probe.RootFS != nil:
		return finding.InConfig
	}
	return finding.InMetadata
}

// isTar tells tar archives, the empty one included, by their first block.
func isTar(head []byte) bool {
	if len(head) < headSize {
		return false
	}
	return string(head[257:262]) == "ustar" || bytes.Count(head[:headSize], []byte{0}) == headSize
}
