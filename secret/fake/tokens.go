package fake

import (
	"crypto/rand"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Token is a credential that a fake issued, or was told to accept.
type Token struct {
	ID      string // what its issuer calls it; never the value
	Name    string // what its owner calls it
	Value   string
	Parent  string    // the ID of the token that dies with this one's; empty: none
	Expires time.Time // by the fake's clock; the zero time: never
	Revoked bool
	About   map[string]string // what it may do, as the test is to see it
}

// Issue makes a token. Its ID and its value, after a prefix, are filled in if they are empty; a life of 0 is for ever.
func (f *Fake) Issue(prefix string, life time.Duration, t Token) Token {
	if t.ID == "" {
		t.ID = strings.ToLower(rand.Text())
	}
	if t.Value == "" {
		t.Value = prefix + rand.Text()
	}
	if life != 0 {
		t.Expires = f.Now().Add(life)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tokens = append(f.tokens, t)
	return t
}

// Tokens are all that were issued, oldest first, dead or alive.
func (f *Fake) Tokens() []Token {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.tokens)
}

// Token is the one with a value, if it is alive.
func (f *Fake) Token(value string) (Token, bool) {
	return f.alive(func(t Token) bool { return t.Value == value })
}

// TokenByID is the one with an ID, if it is alive.
func (f *Fake) TokenByID(id string) (Token, bool) {
	return f.alive(func(t Token) bool { return t.ID == id })
}

func (f *Fake) alive(is func(Token) bool) (Token, bool) {
	now := f.Now()
	for _, t := range f.Tokens() {
		if is(t) && !t.Revoked && (t.Expires.IsZero() || now.Before(t.Expires)) {
			return t, true
		}
	}
	return Token{}, false
}

// Alive tells whether a value is accepted.
func (f *Fake) Alive(value string) bool {
	_, ok := f.Token(value)
	return ok
}

// Living are the tokens that are accepted.
func (f *Fake) Living() []Token {
	return slices.DeleteFunc(f.Tokens(), func(t Token) bool { return !f.Alive(t.Value) })
}

// Revoke ends the tokens for which is returns true, with their children, and tells how many there were.
func (f *Fake) Revoke(is func(Token) bool) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.revoke(is)
}

func (f *Fake) revoke(is func(Token) bool) (n int) {
	for i := range f.tokens {
		t := &f.tokens[i]
		if t.Revoked || !is(*t) {
			continue
		}
		t.Revoked = true
		n += 1 + f.revoke(func(child Token) bool { return child.Parent == t.ID })
	}
	return n
}

// Bearer is the live token that a request has as RFC 6750 says.
func (f *Fake) Bearer(r *http.Request) (Token, bool) {
	for _, scheme := range []string{"Bearer ", "bearer ", "token "} {
		if value, ok := strings.CutPrefix(r.Header.Get("Authorization"), scheme); ok {
			return f.Token(value)
		}
	}
	return Token{}, false
}

// Authorized lets a call through that has a live token as RFC 6750 says, and refuses the others with 401.
func (f *Fake) Authorized(call func(*http.Request, Token) Answer) func(*http.Request) Answer {
	return func(r *http.Request) Answer {
		t, ok := f.Bearer(r)
		if !ok {
			return f.Refuse(http.StatusUnauthorized, "no live token")
		}
		return call(r, t)
	}
}
