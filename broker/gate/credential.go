package gate

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/tightlip/tightlip/proof"
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
	user    string // whom it is for, if the value says so
	fixed   string // the password, if the credential is the user
	value   secret.Value
	phantom string
	mint    Mint // nil: the value is there
}

// UnfitError says why a secret cannot be a credential of requests, or the ticket.
type UnfitError struct {
	ID      string // empty: the ticket
	Problem string
	Try     string
}

// Error implements error.
func (e *UnfitError) Error() string {
	if e.ID == "" {
		return "the ticket: " + e.Problem
	}
	return fmt.Sprintf("secret %s: %s", e.ID, e.Problem)
}

// Hint is what to type instead, or "".
func (e *UnfitError) Hint() string { return e.Try }

// material is what a policy makes of a secret.
type material struct {
	phantom  string                 // the stand-in for each credential in the value
	stand    secret.Value           // what a step finds in place of the value: the same text with phantoms in it
	creds    map[Origin]*credential // by where they go
	contents []secret.Value         // all credentials in the value, also those that go nowhere
}

// newMaterial finds the credentials for the routes of a secret in its value: the value itself, without the white space around it,
// or the fields of a file.
func newMaterial(id string, value secret.Value, routes []Route) (*material, error) {
	text := string(bytes.TrimSpace(value.Open()))
	slots, ok := slotsIn(text)
	if !ok {
		if strings.ContainsAny(text, "\r\n") || isDocument(text) {
			return nil, &UnfitError{ID: id, Problem: "the value is no token, and no file of which every part is understood, so that no phantom can stand for it", Try: "select a field of the file: from=file:PATH#KEY"}
		}
		slots = []slot{{end: len(text), plain: text, write: asIs}}
	}
	m := &material{creds: map[Origin]*credential{}}
	for _, s := range slots {
		if s.plain == "" && ok {
			continue // emptied
		}
		if err := checkCredential(id, s.plain); err != nil {
			return nil, err
		}
		m.phantom = cmp.Or(m.phantom, newPhantom(id, s.plain))
		m.contents = append(m.contents, secret.NewValue([]byte(s.plain)))
	}
	filled := fill(text, slots, m.phantom)
	if err := checkStandIn(id, slots, filled); err != nil {
		return nil, err
	}
	m.stand = secret.NewValue(bytes.Replace(value.Open(), []byte(text), []byte(filled), 1))
	for _, r := range routes {
		s, ok := slotFor(slots, r.Origin)
		if !ok {
			return nil, &UnfitError{ID: id, Problem: "the value has no credential for " + r.Origin.String(), Try: "select a field of the file: from=file:PATH#KEY"}
		}
		c, err := credentialIn(s, id, r)
		if err != nil {
			return nil, err
		}
		c.phantom = m.phantom
		m.creds[r.Origin] = c
	}
	return m, nil
}

// credentialIn is what a route sends of a slot. A user may stand in front of it.
func credentialIn(s slot, id string, r Route) (*credential, error) {
	c := &credential{id: id, user: s.user, fixed: s.fixed, value: secret.NewValue([]byte(s.plain))}
	if r.Attach.Kind != Basic || r.Attach.Name != "" || s.user != "" || s.fixed != "" {
		return c, nil
	}
	user, password, ok := strings.Cut(s.plain, ":")
	if !ok || user == "" || password == "" {
		return nil, &UnfitError{ID: id, Problem: "attach: basic needs a user, and the value has none", Try: "attach: basic with user: NAME, or basic:NAME in a flag"}
	}
	c.user, c.value = user, secret.NewValue([]byte(password))
	return c, nil
}

// isDocument tells whether a text is JSON, XML or a netrc.
func isDocument(text string) bool {
	if strings.HasPrefix(text, "machine ") || strings.HasPrefix(text, "default ") {
		return true
	}
	for _, pair := range []string{"<>", "{}", "[]"} {
		if strings.HasPrefix(text, pair[:1]) && strings.HasSuffix(text, pair[1:]) {
			return true
		}
	}
	return false
}

func checkCredential(id, plain string) error {
	switch {
	case plain == "":
		return &UnfitError{ID: id, Problem: "the value is empty"}
	case strings.ContainsFunc(plain, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0xfeff }):
		return &UnfitError{ID: id, Problem: "the value has characters that no token has"}
	case len(plain) > maxCredential:
		return &UnfitError{ID: id, Problem: fmt.Sprintf("the value has more than %d KiB", maxCredential>>10)}
	}
	return nil
}

// checkStandIn refuses a stand-in that has a credential in another place, too.
func checkStandIn(id string, slots []slot, filled string) error {
	var values []proof.Secret
	for _, s := range slots {
		values = append(values, proof.Secret{ID: id, Value: secret.NewValue([]byte(s.plain)), Waived: true})
	}
	needles, err := proof.NewNeedles(values)
	if err != nil {
		return err
	}
	found := false
	needles.Find([]byte(filled), func(proof.Hit) { found = true })
	if found {
		return &UnfitError{ID: id, Problem: "the value has a credential in a place where no phantom can stand for it", Try: "select a field of the file: from=file:PATH#KEY"}
	}
	return nil
}

// tokenPrefixes are those of well-known tokens, which clients may check for. They tell the kind of a token and no more.
var tokenPrefixes = []string{"npm_", "ghp_", "gho_", "ghs_", "glpat-", "pypi-"}

// newPhantom makes up a stand-in: letters and digits that open nothing anywhere.
func newPhantom(id, value string) string {
	mark := phantomMark(id)
	for _, prefix := range tokenPrefixes {
		if strings.HasPrefix(value, prefix) {
			const fewest = 16 // random characters, of 5 bits each
			text := rand.Text() + rand.Text()
			return prefix + mark + text[:min(len(text), max(len(value)-len(prefix)-len(mark), fewest))]
		}
	}
	return mark + rand.Text()
}

// NewPhantom makes up a stand-in for a secret whose value is not known.
func NewPhantom(id string) secret.Value { return secret.NewValue([]byte(newPhantom(id, ""))) }

// phantomMark is what all phantoms of a secret hold, those of other builds, too: by it they are found in images.
func phantomMark(id string) string {
	sum := sha256.Sum256([]byte(id))
	return "phantom" + hex.EncodeToString(sum[:4])
}

// PhantomMark is phantomMark as a value to be searched for.
func PhantomMark(id string) secret.Value { return secret.NewValue([]byte(phantomMark(id))) }

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
		if c.fixed != "" && a.Name == "" {
			return &field{"Authorization", "Basic " + base64.StdEncoding.EncodeToString(append(c.value.Open(), ":"+c.fixed...))}
		}
		return &field{"Authorization", "Basic " + base64.StdEncoding.EncodeToString(append([]byte(cmp.Or(a.Name, c.user)+":"), c.value.Open()...))}
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

// materials makes those that a policy uses, by id.
func materials(o Options) (map[string]*material, error) {
	out := map[string]*material{}
	var errs []error
	for _, id := range o.Policy.IDs() {
		m, err := o.material(id)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		out[id] = m
	}
	return out, errors.Join(errs...)
}

func (o Options) material(id string) (*material, error) {
	if mint, ok := o.Minted[id]; ok {
		return newMinted(id, mint, o.Policy.of(id))
	}
	value, ok := o.Secrets[id]
	if !ok {
		return nil, &UnfitError{ID: id, Problem: "the policy names it, and it is not given", Try: "--secret id=" + id + ",from=REFERENCE"}
	}
	return newMaterial(id, value, o.Policy.of(id))
}
