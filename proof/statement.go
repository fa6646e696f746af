package proof

import (
	"strings"
	"time"

	"github.com/tightlip/tightlip/finding"
)

// The types of the in-toto statement that a proof makes, see https://github.com/in-toto/attestation/blob/main/spec/v1.
const (
	StatementType = "https://in-toto.io/Statement/v1"
	PredicateType = "https://github.com/tightlip/tightlip/proof/v1"
)

// Statement is a proof as an in-toto statement about an image, ready to be signed. It holds no value and no hash of one.
type Statement struct {
	Type          string    `json:"_type"`
	Subject       []Subject `json:"subject"`
	PredicateType string    `json:"predicateType"`
	Predicate     Predicate `json:"predicate"`
}

// Subject is what a statement is about.
type Subject struct {
	Name   string            `json:"name,omitempty"`
	Digest map[string]string `json:"digest"` // hex by algorithm
}

// Predicate is what a statement says.
type Predicate struct {
	Tool     Tool              `json:"tool"`
	Time     time.Time         `json:"time"`
	Proof    *Proof            `json:"proof"`
	Findings []finding.Finding `json:"findings"`
	// Materials are what steps fetched through the broker, as they got it.
	Materials []Material `json:"materials,omitempty"`
}

// Material is a ResourceDescriptor of in-toto, fit for the resolvedDependencies of a provenance.
type Material struct {
	URI    string            `json:"uri"`
	Digest map[string]string `json:"digest"`
}

// Tool is what made a proof.
type Tool struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// NewStatement states a proof about the image with the digest, algorithm:hex, that is called by names.
func NewStatement(p *Proof, digest string, names []string, version string, now time.Time) *Statement {
	algorithm, hex, _ := strings.Cut(digest, ":")
	var subjects []Subject
	for _, name := range names {
		subjects = append(subjects, Subject{Name: name, Digest: map[string]string{algorithm: hex}})
	}
	if len(subjects) == 0 {
		subjects = []Subject{{Digest: map[string]string{algorithm: hex}}}
	}
	findings := p.Findings
	if findings == nil {
		findings = []finding.Finding{}
	}
	return &Statement{
		Type: StatementType, Subject: subjects, PredicateType: PredicateType,
		Predicate: Predicate{
			Tool:     Tool{Name: "tightlip", Version: version},
			Time:     now.UTC().Truncate(time.Second),
			Proof:    p,
			Findings: findings,
		},
	}
}
