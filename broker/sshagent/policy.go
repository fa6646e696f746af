package sshagent

import (
	"bytes"
	"fmt"
	"slices"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// Policy says where an agent may log in. It signs for nothing else, and a Policy without rules for nothing at all.
type Policy struct {
	Rules []Rule
	// Keys are the fingerprints of the agent's keys that may be used, as ssh-add -l shows them (SHA256:…), which are also those of
	// their certificates. The others are not even listed. Empty: all keys.
	Keys []string
}

// Rule lets one user log in at one host.
type Rule struct {
	Target
	Known HostKeys
}

// HostKeys are how a host proves that it is itself.
type HostKeys struct {
	Keys        []ssh.PublicKey
	Authorities []ssh.PublicKey // their certificates for the host count, too
	Revoked     []ssh.PublicKey // hosts and authorities with these keys do not
}

// trusts tells whether a key, which may be a certificate, is the host's.
func (r Rule) trusts(key ssh.PublicKey) bool {
	cert, ok := key.(*ssh.Certificate)
	switch {
	case contains(r.Known.Revoked, plain(key)):
		return false
	case contains(r.Known.Keys, plain(key)):
		return true
	}
	return ok && !contains(r.Known.Revoked, cert.SignatureKey) && contains(r.Known.Authorities, cert.SignatureKey) && r.certified(cert)
}

// certified tells whether a certificate is for the host and holds now. One that names no host is for none, whatever other programs say.
func (r Rule) certified(cert *ssh.Certificate) bool {
	if cert.CertType != ssh.HostCert || len(cert.ValidPrincipals) == 0 || weak(cert.Signature.Format) {
		return false
	}
	return new(ssh.CertChecker).CheckCert(r.Host, cert) == nil
}

func contains(keys []ssh.PublicKey, key ssh.PublicKey) bool {
	return slices.ContainsFunc(keys, func(k ssh.PublicKey) bool { return bytes.Equal(k.Marshal(), key.Marshal()) })
}

// weak is for signatures with SHA-1: two texts can be made that share one.
func weak(algorithm string) bool {
	return algorithm == ssh.KeyAlgoRSA || algorithm == "ssh-dss"
}

// rules are those for a host key.
func (p *Policy) rules(key ssh.PublicKey) []Rule {
	var found []Rule
	for _, r := range p.Rules {
		if r.trusts(key) {
			found = append(found, r)
		}
	}
	return found
}

// shows tells whether a key of the agent may be used.
func (p *Policy) shows(key ssh.PublicKey) bool {
	return len(p.Keys) == 0 || slices.Contains(p.Keys, fingerprint(key))
}

// bind decides on what a client says about its server. The rules of a binding are those for the host key.
func (p *Policy) bind(m bindMessage) (*binding, error) {
	b := &binding{session: m.session, hostKey: m.hostKey, rules: p.rules(m.hostKey)}
	switch {
	case m.forwarding:
		return b, errForwarded
	case len(b.rules) == 0:
		return b, errHost
	case weak(m.signature.Format) || m.hostKey.Verify(m.session, m.signature) != nil:
		return b, errForged
	}
	return b, nil
}

// binding is the server that a connection is for.
type binding struct {
	session []byte
	hostKey ssh.PublicKey
	rules   []Rule // at least one
}

// name is what the policy calls the server.
func (b *binding) name() string {
	if b == nil || len(b.rules) == 0 {
		return ""
	}
	return b.rules[0].address()
}

// permit decides on a login.
func (b *binding) permit(l login, key ssh.PublicKey, flags agent.SignatureFlags) error {
	switch {
	case !bytes.Equal(l.session, b.session):
		return errSession
	case l.hostKey != nil && !bytes.Equal(l.hostKey, b.hostKey.Marshal()):
		return errOtherHost
	}
	if err := l.fits(key, flags); err != nil {
		return err
	}
	if !slices.ContainsFunc(b.rules, func(r Rule) bool { return r.User == l.user }) {
		return errUser
	}
	return nil
}

// PolicyError says what is wrong with Settings.
type PolicyError struct {
	Key     string // allow, known-hosts or keys
	Index   int    // which of a list, counted from 0; -1: the whole of it
	Problem string
	Try     string // what to type instead, if anything
}

// Error implements error.
func (e *PolicyError) Error() string {
	if e.Index < 0 {
		return e.Key + ": " + e.Problem
	}
	return fmt.Sprintf("%s, entry %d: %s", e.Key, e.Index+1, e.Problem)
}

// Hint is what to type instead, or "".
func (e *PolicyError) Hint() string { return e.Try }
