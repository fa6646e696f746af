package sshagent

import (
	"strings"
	"time"
	"unicode"

	"golang.org/x/crypto/ssh"
)

// Request is what a client asks of an agent.
type Request string

// The requests that are events. Listing keys is none.
const (
	Bind      Request = "bind"      // to say which server the connection is for (session-bind@openssh.com)
	Sign      Request = "sign"      // to sign data
	Extension Request = "extension" // any other extension
	Change    Request = "change"    // everything else: to add, remove or lock keys
)

// Event is one request to an agent. It holds no key, only fingerprints as ssh-add -l shows them.
type Event struct {
	Time    time.Time `json:"time"`
	Agent   string    `json:"agent"` // the id
	Request Request   `json:"request"`
	User    string    `json:"user,omitempty"`    // who logs in, as the client says
	Host    string    `json:"host,omitempty"`    // where, by the name that the policy has for the host key
	HostKey string    `json:"hostKey,omitempty"` // the fingerprint of the server's key
	Key     string    `json:"key,omitempty"`     // the fingerprint of the key that should sign
	Granted bool      `json:"granted"`
	Reason  string    `json:"reason,omitempty"` // of a refusal; one of a fixed set of texts
}

// fingerprint is that of a key, or of the key that a certificate is for. It is empty for nil.
func fingerprint(key ssh.PublicKey) string {
	if key == nil {
		return ""
	}
	return ssh.FingerprintSHA256(plain(key))
}

// plain is the key that a certificate is for, and any other key itself.
func plain(key ssh.PublicKey) ssh.PublicKey {
	if cert, ok := key.(*ssh.Certificate); ok {
		return cert.Key
	}
	return key
}

// maxShown bounds, in bytes, what a client says and an event repeats.
const maxShown = 256

// shown is a client's text without what would move a terminal's cursor.
func shown(text string) string {
	text = text[:min(len(text), maxShown)]
	return strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, text)
}
