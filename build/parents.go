package build

import (
	"bytes"
	"slices"

	"github.com/tightlip/tightlip/internal/redact"
	"github.com/tightlip/tightlip/proof"
	"github.com/tightlip/tightlip/secret"
)

// parents are what the secrets of a set were got with, without what is itself among the secrets.
func parents(set *secret.Set, secrets []proof.Secret) []proof.Secret {
	var out []proof.Secret
	for id, p := range set.Parents() {
		same := func(s proof.Secret) bool {
			return !s.Unminted && bytes.Equal(bytes.TrimSpace(s.Value.Open()), bytes.TrimSpace(p.Value.Open()))
		}
		if !slices.ContainsFunc(secrets, same) && !slices.ContainsFunc(out, same) {
			out = append(out, parent(id, p))
		}
	}
	return out
}

func parent(id string, p secret.Parent) proof.Secret {
	return proof.Secret{ID: id, Parent: p.Name, Value: p.Value, Unminted: p.Value.Len() == 0}
}

// onParent has a parent masked before anybody gets what it has made.
func onParent(redactor *redact.Redactor) func(id string, p secret.Parent) {
	return func(id string, p secret.Parent) {
		if needles, err := newNeedles([]proof.Secret{parent(id, p)}); err == nil { // nothing about a parent is an error
			redactor.Add(needles)
		}
	}
}
