package secret

import (
	"net/url"
	"slices"
	"strings"
)

// Within lists the schemes of the references within a reference, such as that of the key of github-app:1/2?key=file:app.pem. Also
// something else that has their form is among them.
func (r Ref) Within() []string {
	var out []string
	for _, ref := range r.inner() {
		out = append(out, ref.Scheme)
		out = append(out, ref.Within()...)
	}
	return out
}

// inner are the references within a reference.
func (r Ref) inner() []Ref {
	if slices.Contains(asWritten, r.Scheme) {
		return nil
	}
	rest, _, _ := strings.Cut(r.Rest, "#")
	_, query, _ := strings.Cut(rest, "?")
	var out []Ref
	for pair := range strings.SplitSeq(query, "&") {
		if ref, ok := innerRef(pair); ok {
			out = append(out, ref)
		}
	}
	return out
}

// innerRef reads KEY=REFERENCE. Also what is none may have its form, such as a URL or a permission.
func innerRef(pair string) (Ref, bool) {
	_, text, ok := strings.Cut(pair, "=")
	text, err := url.QueryUnescape(text)
	if !ok || err != nil {
		return Ref{}, false
	}
	ref, err := ParseRef(text)
	return ref, err == nil
}
