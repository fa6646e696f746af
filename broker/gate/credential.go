package gate

import (
	"bytes"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/tightlip/tightlip/secret"
)

// Bounds in bytes. A header must hold the credential, and a body is searched for it without holding much of the body back.
const (
	maxCredential = 4 << 10
	maxUser       = 256
)

// credential is a secret as requests carry it. Its bytes stay sealed.
type credential struct {
	id      string
	value   secret.Value
	phantom string
}

// UnfitError says why a secret cannot be a credential of requests.
type UnfitError struct {
	ID      string
	Problem string
	Try     string
}

// Error implements error.
func (e *UnfitError) Error() string { return fmt.Sprintf("secret %s: %s", e.ID, e.Problem) }

// Hint is what to type instead, or "".
func (e *UnfitError) Hint() string { return e.Try }

// newCredential takes the white space around a value off, as it is at the end of files.
func newCredential(id string, value secret.Value) (*credential, error) {
	text := bytes.TrimSpace(value.Open())
	switch {
	case len(text) == 0:
		return nil, &UnfitError{ID: id, Problem: "the value is empty"}
	case len(text) > maxCredential:
		return nil, &UnfitError{ID: id, Problem: fmt.Sprintf("the value has more than %d KiB", maxCredential>>10)}
	case bytes.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return nil, &UnfitError{ID: id, Problem: "the value has several lines, so it is no token", Try: "select a field of the file: from=file:PATH#KEY"}
	}
	return &credential{id: id, value: secret.NewValue(text), phantom: newPhantom(text)}, nil
}

// tokenPrefixes are those of well-known tokens, which clients may check for. They tell the kind of a token and no more.
var tokenPrefixes = []string{"npm_", "ghp_", "gho_", "ghs_", "glpat-", "pypi-"}

// newPhantom makes up a stand-in: letters and digits that open nothing anywhere.
func newPhantom(value []byte) string {
	for _, prefix := range tokenPrefixes {
		if bytes.HasPrefix(value, []byte(prefix)) {
			text := rand.Text() + rand.Text()
			return prefix + text[:min(len(text), max(len(value)-len(prefix), 20))]
		}
	}
	return "phantom" + rand.Text()
}

// isPhantom compares in constant time.
func (c *credential) isPhantom(text string) bool {
	return subtle.ConstantTimeCompare([]byte(text), []byte(c.phantom)) == 1
}

// credentialHeaders are where clients put credentials. The phantom is replaced in these; whatever else they hold is dropped.
var credentialHeaders = []string{
	"Authorization", "Private-Token", "Job-Token", "Deploy-Token", "X-Api-Key", "X-Auth-Token", "X-Jfrog-Art-Api", "X-Nuget-Apikey", "Npm-Otp",
	"Cookie", "Cookie2", "Proxy-Authorization", "Authentication",
}

// attach takes the client's own credentials out of a header and puts ours in: in the place of the phantom if the client showed
// it, else where the route says. What opened a reverse door counts only if it has the form that the route says.
func (c *credential) attach(h http.Header, a Attach, reverse bool) {
	shown := c.shown(h, a)
	if reverse && shown != nil && !shown.fits(a) {
		shown = nil
	}
	for _, name := range credentialHeaders {
		h.Del(name)
	}
	if a.Kind == Header {
		h.Del(a.Name)
	}
	if shown == nil {
		shown = c.asRoute(a)
	}
	h[shown.name] = []string{shown.value}
}

// field is a header.
type field struct{ name, value string }

// fits tells whether a header is of the form that a route asks for.
func (f *field) fits(a Attach) bool {
	isBasic := len(f.value) > 6 && strings.EqualFold(f.value[:6], "basic ")
	switch a.Kind {
	case Header:
		return strings.EqualFold(f.name, a.Name)
	case Basic:
		return f.name == "Authorization" && isBasic
	}
	return f.name == "Authorization" && !isBasic
}

// asRoute is the header that a route asks for.
func (c *credential) asRoute(a Attach) *field {
	switch a.Kind {
	case Basic:
		return &field{"Authorization", "Basic " + base64.StdEncoding.EncodeToString(append([]byte(a.Name+":"), c.value.Open()...))}
	case Header:
		return &field{http.CanonicalHeaderKey(a.Name), string(c.value.Open())}
	}
	return &field{"Authorization", "Bearer " + string(c.value.Open())}
}

// shown is the header in which the client showed the phantom, with the credential in its place; nil: in none.
func (c *credential) shown(h http.Header, a Attach) *field {
	if f := c.inAuthorization(h); f != nil {
		return f
	}
	names := credentialHeaders[1:9]
	if a.Kind == Header {
		names = append([]string{http.CanonicalHeaderKey(a.Name)}, names...)
	}
	for _, name := range names {
		if values := h.Values(name); len(values) == 1 && c.isPhantom(values[0]) {
			return &field{name, string(c.value.Open())}
		}
	}
	return nil
}

func (c *credential) inAuthorization(h http.Header) *field {
	values := h.Values("Authorization")
	if len(values) != 1 {
		return nil
	}
	scheme, rest, _ := strings.Cut(values[0], " ")
	rest = strings.TrimSpace(rest)
	switch strings.ToLower(scheme) {
	case "bearer", "token":
		if c.isPhantom(rest) {
			return &field{"Authorization", scheme + " " + string(c.value.Open())}
		}
	case "basic":
		if text := c.inBasic(rest); text != "" {
			return &field{"Authorization", "Basic " + text}
		}
	}
	return nil
}

// inBasic replaces the phantom as the password, as the user, or as both in one, which is what npm's _auth is.
func (c *credential) inBasic(text string) string {
	if c.isPhantom(text) {
		return string(c.value.Open())
	}
	plain, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return ""
	}
	user, password, ok := strings.Cut(string(plain), ":")
	if !ok || len(user) > maxUser || len(password) > maxUser {
		return ""
	}
	value := string(c.value.Open())
	switch {
	case c.isPhantom(password):
		return base64.StdEncoding.EncodeToString([]byte(user + ":" + value))
	case c.isPhantom(user) && !strings.Contains(value, ":"):
		return base64.StdEncoding.EncodeToString([]byte(value + ":" + password))
	}
	return ""
}

// password is what a request shows as its password or token: in Authorization, in whatever form.
func password(header string) (user, password string) {
	scheme, rest, _ := strings.Cut(header, " ")
	rest = strings.TrimSpace(rest)
	switch strings.ToLower(scheme) {
	case "bearer", "token":
		return "", rest
	case "basic":
		plain, err := base64.StdEncoding.DecodeString(rest)
		if err != nil {
			return "", rest
		}
		user, password, _ = strings.Cut(string(plain), ":")
		return user, password
	}
	return "", ""
}

// credentials makes those that a policy uses.
func credentials(p Policy, values map[string]secret.Value) (map[string]*credential, error) {
	out := map[string]*credential{}
	var errs []error
	for _, id := range p.IDs() {
		value, ok := values[id]
		if !ok {
			errs = append(errs, &UnfitError{ID: id, Problem: "the policy names it, and it is not given", Try: "--secret id=" + id + ",from=REFERENCE"})
			continue
		}
		c, err := newCredential(id, value)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		out[id] = c
	}
	return out, errors.Join(errs...)
}
