package secret

import (
	"net/url"
	"slices"
	"strings"
)

// Inner are the references that stand in the keys of a reference to a store or an issuer, such as the one to what it logs in with. Which
// of them are references depends on the key: what only looks like one is among them if its scheme is known.
func (r Ref) Inner(known []string) []Ref {
	rest, _, _ := strings.Cut(r.Rest, "#")
	_, query, _ := strings.Cut(rest, "?")
	values, err := url.ParseQuery(query)
	if err != nil {
		return nil // Parts refuses it
	}
	var inner []Ref
	for _, all := range values {
		for _, text := range all {
			if ref, err := ParseRef(text); err == nil && slices.Contains(known, ref.Scheme) {
				inner = append(inner, ref)
			}
		}
	}
	return inner
}
