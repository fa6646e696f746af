package minter

import (
	"net/http"
	"slices"
	"strings"

	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/source/web"
)

// advice is what to look at when an issuer answers a wish for a credential with an error, or "".
func (m *minter) advice(ref secret.Ref, e *web.Error) string {
	o, err := m.order(ref)
	if err != nil {
		return ""
	}
	switch {
	case e.Refused():
		return m.grant(ref)
	case e.Status == http.StatusTooManyRequests || e.Status >= http.StatusInternalServerError:
		return "the issuer is busy or broken: try again later; its own log says more"
	case e.Status == http.StatusMethodNotAllowed:
		return "the issuer makes nothing there in this way: check the path " + o.Path + "; what has to be written to (vault write) is for cmd:"
	case e.Status == http.StatusNotFound || e.Status == http.StatusGone:
		if o.Path == "" {
			return "check that the issuer's address is that of the server itself"
		}
		return "check " + m.kind.path + ": there is no such thing at " + o.Path
	case e.Status == http.StatusBadRequest || e.Status == http.StatusUnprocessableEntity:
		if asked := o.asked(); len(asked) > 0 {
			return "check what it is asked for: " + strings.Join(asked, " and ")
		}
		return "check what it is asked for: " + m.kind.form
	}
	return ""
}

// asked are the keys of a reference with their values, but for those that are secrets of their own.
func (o *order) asked() []string {
	var out []string
	for _, key := range slices.Concat(o.kind.needs, o.kind.keys, []string{o.kind.life}) {
		if o.Get(key) != "" && !slices.Contains(o.kind.parents, key) {
			out = append(out, key+"="+o.Get(key))
		}
	}
	return out
}
