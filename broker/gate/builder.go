package gate

import (
	"context"
	"net/url"
	"slices"
	"strings"

	"github.com/tightlip/tightlip/secret"
)

// A builder that fetches by itself, for ADD or for a context, asks for the header of a host: BuildKit's names of that.
const (
	gitHeader  = "GIT_AUTH_HEADER."  // and the host, with its port
	httpHeader = "HTTP_AUTH_HEADER_" // and the host alone
)

// ForBuilder is the Authorization header that a builder asks for by one of BuildKit's names, and the id of the secret in it. It is given
// only if each of the URLs that the builder fetches from that host is of an origin that a route names, for all of its paths: the broker
// does not see these requests.
func (s *Steps) ForBuilder(ctx context.Context, name string, urls []string) (id string, header secret.Value, ok bool) {
	var found *Route
	for _, text := range urls {
		u, err := url.Parse(text)
		if err != nil || u.Host == "" || u.User != nil || name != gitHeader+u.Host && name != httpHeader+u.Hostname() {
			continue
		}
		i := slices.IndexFunc(s.options.Policy.Routes, func(r Route) bool { return r.Origin == originOf(u) && r.forBuilder() })
		if i < 0 || found != nil && found.Origin != s.options.Policy.Routes[i].Origin {
			return "", secret.Value{}, false
		}
		found = &s.options.Policy.Routes[i]
	}
	if found == nil {
		return "", secret.Value{}, false
	}
	c := *s.secrets[found.Secret].creds[found.Origin]
	if c.mint != nil {
		var err error
		if c.value, err = c.mint(ctx); err != nil {
			return "", secret.Value{}, false
		}
	}
	return found.Secret, secret.NewValue([]byte(c.asRoute(found.Attach).value)), true
}

// forBuilder tells whether a route allows all that a builder may fetch.
func (r Route) forBuilder() bool {
	return r.Attach.Kind != Header && len(r.Paths) == 0 && (len(r.Methods) == 0 || slices.Contains(r.Methods, "GET")) && r.Connect == ""
}

// AsksForBuilder tells whether an id is one of those by which BuildKit asks for credentials of its own. No step may mount it.
func AsksForBuilder(id string) bool {
	return strings.HasPrefix(id, "GIT_AUTH_") || strings.HasPrefix(id, "HTTP_AUTH_")
}
