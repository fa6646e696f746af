// Package gate lets clients use credentials that they never see.
package gate

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Policy says which credential goes where. The zero Policy attaches none.
type Policy struct {
	// Seal refuses all requests that are neither of a route nor to an origin in Pass.
	Seal bool
	// Pass are origins that get no credential, may be on loopback or in a private network, and are reached in spite of Seal.
	Pass   []Origin
	Routes []Route
}

// Route is one use of one secret.
type Route struct {
	Secret  string   `json:"-"` // the id
	Origin  Origin   `json:"origin"`
	Attach  Attach   `json:"attach"`
	Paths   []string `json:"paths,omitempty"`   // prefixes; empty: all paths
	Methods []string `json:"methods,omitempty"` // narrows what is allowed; empty: no narrower than Uploads says
	Uploads bool     `json:"uploads,omitempty"` // lets requests write: POST, PUT, PATCH, DELETE and git push
	// Connect is the address host:port at which the origin is reached, where its name does not lead there. The name still is
	// what the certificate must be for.
	Connect string `json:"connect,omitempty"`
	// Listen is the loopback port of the origin's reverse door; 0: it has none.
	Listen int `json:"listen,omitempty"`
	// Client is what gets its settings in the environment of steps; the zero Client: nothing does.
	Client Client `json:"client,omitzero"`
}

// Attach is how a request carries a credential.
type Attach struct {
	Kind AttachKind
	Name string // the user of Basic, if the value does not say it; the name of Header
}

// MarshalText writes it as a policy has it.
func (a Attach) MarshalText() ([]byte, error) {
	if a.Name == "" {
		return []byte(a.Kind), nil
	}
	return []byte(string(a.Kind) + ":" + a.Name), nil
}

// AttachKind is one of the ways.
type AttachKind string

// The ways to attach a credential. It is never a part of a URL.
const (
	Bearer AttachKind = "bearer"
	Basic  AttachKind = "basic"
	Header AttachKind = "header"
)

// PolicyError says what is wrong with a policy. It quotes nothing but words it knows.
type PolicyError struct {
	File         string
	Line, Column int // counted from 1; 0: the whole of it
	Problem      string
	Try          string // what to type instead, if anything
}

// Error implements error.
func (e *PolicyError) Error() string {
	switch {
	case e.Line > 0:
		return fmt.Sprintf("%s:%d:%d: %s", cmp.Or(e.File, "policy"), e.Line, e.Column, e.Problem)
	case e.File != "":
		return e.File + ": " + e.Problem
	}
	return e.Problem
}

// Hint is what to type instead, or "".
func (e *PolicyError) Hint() string { return e.Try }

var (
	readMethods  = []string{http.MethodGet, http.MethodHead}
	writeMethods = []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}
	allMethods   = slices.Concat(readMethods, writeMethods)
)

// IDs lists the secrets that the policy uses, each once, in the order of its routes.
func (p Policy) IDs() []string {
	var ids []string
	for _, r := range p.Routes {
		if !slices.Contains(ids, r.Secret) {
			ids = append(ids, r.Secret)
		}
	}
	return ids
}

// of lists the routes of a secret.
func (p Policy) of(id string) []Route {
	return slices.DeleteFunc(slices.Clone(p.Routes), func(r Route) bool { return r.Secret != id })
}

// For is what the policy says of some secrets only.
func (p Policy) For(ids []string) Policy {
	p.Routes = slices.DeleteFunc(slices.Clone(p.Routes), func(r Route) bool { return !slices.Contains(ids, r.Secret) })
	return p
}

// Origins lists the origins that a credential may go to, each once.
func (p Policy) Origins() []Origin {
	var out []Origin
	for _, r := range p.Routes {
		if !slices.Contains(out, r.Origin) {
			out = append(out, r.Origin)
		}
	}
	return out
}

// Check returns what is wrong with a policy, each thing as a [*PolicyError] in the joined error.
func (p Policy) Check() error {
	var errs []error
	for i, r := range p.Routes {
		if e := r.check(); e != nil {
			errs = append(errs, e)
		}
		for _, other := range p.Routes[:i] {
			if e := conflict(other, r); e != nil {
				errs = append(errs, e)
			}
		}
		if slices.Contains(p.Pass, r.Origin) {
			errs = append(errs, &PolicyError{Problem: r.Origin.String() + " is both in pass and in a route", Try: "take it out of pass"})
		}
	}
	return errors.Join(errs...)
}

// conflict is for routes of one origin between which a request could not choose.
func conflict(a, b Route) error {
	if rivals(a, b) {
		return &PolicyError{Problem: "two routes are for the client " + a.Client.Name, Try: "leave client out of one: it is reached through the proxy"}
	}
	if a.Origin != b.Origin {
		if a.Listen != 0 && a.Listen == b.Listen {
			return &PolicyError{Problem: fmt.Sprintf("port %d is listened at for two origins", a.Listen), Try: "give each origin a port of its own"}
		}
		return nil
	}
	if a.Connect != b.Connect {
		return &PolicyError{Problem: "the routes of " + a.Origin.String() + " connect to different places", Try: "write the same connect in each"}
	}
	for _, x := range a.prefixes() {
		if slices.Contains(b.prefixes(), x) {
			return &PolicyError{Problem: "two routes are for " + a.Origin.String() + x, Try: "tell them apart by paths"}
		}
	}
	return nil
}

func (r Route) check() error {
	switch {
	case r.Secret == "":
		return &PolicyError{Problem: "a route has no secret"}
	case !validHost(r.Origin.Host) || !validPort(r.Origin.Port):
		return &PolicyError{Problem: "a route has no origin", Try: originForm}
	case r.Listen < 0 || r.Listen > 65535:
		return &PolicyError{Problem: "listen is not a port", Try: "listen: 4873"}
	}
	if e := r.Attach.check(); e != nil {
		return e
	}
	for _, p := range r.Paths {
		if !strings.HasPrefix(p, "/") || CheckPath(p) != nil {
			return &PolicyError{Problem: "a path must begin with / and hold no dot segments", Try: "paths: [/repository/npm/]"}
		}
	}
	if e := r.checkClient(); e != nil {
		return e
	}
	return r.checkMethods()
}

func (r Route) checkMethods() error {
	for _, m := range r.Methods {
		switch {
		case !slices.Contains(allMethods, m):
			return &PolicyError{Problem: "a method is unknown", Try: "methods are " + strings.Join(allMethods, ", ")}
		case !r.Uploads && slices.Contains(writeMethods, m):
			return &PolicyError{Problem: "the method " + m + " writes", Try: "add uploads: true if that is meant"}
		}
	}
	return nil
}

func (a Attach) check() error {
	switch a.Kind {
	case Bearer:
		if a.Name == "" {
			return nil
		}
	case Basic:
		if len(a.Name) <= maxUser && !strings.ContainsFunc(a.Name, func(r rune) bool { return r < ' ' || r == 0x7f || r == ':' }) {
			return nil
		}
	case Header:
		if isToken(a.Name) && !forbiddenHeader(a.Name) {
			return nil
		}
		return &PolicyError{Problem: "a credential cannot be in that header", Try: "header:X-Api-Key, or bearer or basic for Authorization"}
	}
	return &PolicyError{Problem: "attach is not bearer, basic or header:NAME", Try: "attach: bearer; attach: basic with user: NAME; attach: header:X-Api-Key"}
}

// forbiddenHeader is for names that mean something to HTTP itself.
func forbiddenHeader(name string) bool {
	name = http.CanonicalHeaderKey(name)
	return slices.Contains([]string{
		"Authorization", "Host", "Connection", "Content-Length", "Content-Type", "Content-Encoding", "Transfer-Encoding", "Te", "Trailer", "Upgrade",
		"Keep-Alive", "Expect", "Cookie", "Range", "User-Agent", "Accept", "Accept-Encoding", "Referer",
	}, name) || strings.HasPrefix(name, "Proxy-")
}

func (r Route) prefixes() []string {
	if len(r.Paths) == 0 {
		return []string{"/"}
	}
	return r.Paths
}

// covers is the length of the longest prefix of the route that a path has, and -1 if it has none.
func (r Route) covers(path string) int {
	best := -1
	for _, p := range r.prefixes() {
		bare := strings.TrimSuffix(p, "/")
		if len(p) > best && (path == bare || strings.HasPrefix(path, bare+"/")) {
			best = len(p)
		}
	}
	return best
}

// declared tells whether any route is for an origin.
func (p Policy) declared(o Origin) bool {
	return slices.ContainsFunc(p.Routes, func(r Route) bool { return r.Origin == o })
}

// route is the one for a path at an origin: that of the longest prefix.
func (p Policy) route(o Origin, path string) (Route, bool) {
	best, found := -1, Route{}
	for _, r := range p.Routes {
		if n := r.covers(path); r.Origin == o && n > best {
			best, found = n, r
		}
	}
	return found, best >= 0
}

// allows tells whether the route lets a request through: its method, its path as it was sent, and its query.
func (r Route) allows(method, path, query string) bool {
	if len(r.Methods) > 0 && !slices.Contains(r.Methods, method) {
		return false
	}
	switch {
	case r.Uploads:
		return slices.Contains(allMethods, method)
	case strings.Contains(strings.ToLower(unescaped(path)+"?"+unescaped(query)), "git-receive-pack"):
		return false
	case slices.Contains(readMethods, method):
		return true
	}
	return method == http.MethodPost && (readingPost(path) || isLFSBatch(method, path))
}

// readingPost is for the POSTs that only ask: git's fetch, and npm's audit. Those of Git LFS are looked into, see onlyDownload.
func readingPost(path string) bool {
	return strings.HasSuffix(path, "/git-upload-pack") || strings.Contains(path, "/-/npm/v1/security/")
}
