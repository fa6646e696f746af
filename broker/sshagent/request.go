package sshagent

import (
	"bytes"
	"errors"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// The reasons of refusals. They hold nothing of what the client sent.
var (
	errReadOnly    = errors.New("a step may only list keys and sign")
	errMalformed   = errors.New("the request is malformed")
	errExtension   = errors.New("a step may not use this extension")
	errAgent       = errors.New("the agent behind did not sign")
	errFile        = errors.New("this is no login: it is the signature of a file or a commit (SSHSIG)")
	errCertificate = errors.New("this is no login: it is a certificate to be issued")
	errNoLogin     = errors.New("this is no login with a key")
	errUnbound     = errors.New("the client did not say which server the login is for (session-bind@openssh.com): that takes ssh of OpenSSH 8.9 or newer")
	errForwarded   = errors.New("the agent is forwarded to a server (ssh -A)")
	errForged      = errors.New("the host key did not sign this session")
	errBound       = errors.New("the connection is for another session already")
	errHost        = errors.New("the policy does not name the server's host key")
	errUser        = errors.New("the policy does not name this user for the host")
	errSession     = errors.New("the login is for another session than the connection")
	errOtherHost   = errors.New("the login names another host key than the connection")
	errOtherKey    = errors.New("the login is with another key than the one that should sign")
	errHidden      = errors.New("the policy does not name this key")
	errSHA1        = errors.New("signatures with SHA-1 are not made: the client must ask for rsa-sha2-256 or rsa-sha2-512")
	errAlgorithm   = errors.New("the login's algorithm is not one of the key")
)

// A session's identifier is a hash of its key exchange: SHA-1 is the shortest, SHA-512 the longest. The bound keeps what host keys sign
// besides, which is longer, from being taken for one.
const (
	minSession = 20
	maxSession = 64
)

// extensionBind is the extension by which clients say which server a connection is for: PROTOCOL.agent of OpenSSH, section 1.
const extensionBind = "session-bind@openssh.com"

// bindMessage is what extensionBind says.
type bindMessage struct {
	hostKey    ssh.PublicKey
	session    []byte
	signature  *ssh.Signature // of the session, by the host key
	forwarding bool           // whoever is on that server uses the connection
}

func parseBind(contents []byte) (bindMessage, error) {
	var m struct {
		HostKey    []byte
		Session    []byte
		Signature  []byte
		Forwarding byte
	}
	var s ssh.Signature
	if ssh.Unmarshal(contents, &m) != nil || ssh.Unmarshal(m.Signature, &s) != nil || len(s.Rest) > 0 || len(m.Session) < minSession || len(m.Session) > maxSession {
		return bindMessage{}, errMalformed
	}
	key, err := ssh.ParsePublicKey(m.HostKey)
	if err != nil {
		return bindMessage{}, errMalformed
	}
	return bindMessage{hostKey: key, session: m.Session, signature: &s, forwarding: m.Forwarding != 0}, nil
}

// login is what a key signs so that a user can log in: RFC 4252, section 7, or OpenSSH's variant of it.
type login struct {
	session   []byte
	user      string
	algorithm string
	key       []byte // may be a certificate
	hostKey   []byte // only the variant has it; otherwise nil
}

const (
	msgUserAuthRequest = 50
	// methodHostBound is publickey with the server's host key at the end: PROTOCOL of OpenSSH, section 3.1.
	methodHostBound = "publickey-hostbound-v00@openssh.com"
)

func parseLogin(data []byte) (login, error) {
	var m struct {
		Session   []byte
		Type      byte
		User      string
		Service   string
		Method    string
		Signed    byte
		Algorithm string
		Key       []byte
		Rest      []byte `ssh:"rest"`
	}
	if bytes.HasPrefix(data, []byte("SSHSIG")) {
		return login{}, errFile
	}
	if isCertificate(data) {
		return login{}, errCertificate
	}
	if ssh.Unmarshal(data, &m) != nil || m.Type != msgUserAuthRequest || m.Service != "ssh-connection" || m.Signed != 1 {
		return login{}, errNoLogin
	}
	l := login{session: m.Session, user: m.User, algorithm: m.Algorithm, key: m.Key}
	switch {
	case m.Method == "publickey" && len(m.Rest) == 0:
		return l, nil
	case m.Method == methodHostBound:
		var end struct{ HostKey []byte }
		if ssh.Unmarshal(m.Rest, &end) == nil && len(end.HostKey) > 0 {
			l.hostKey = end.HostKey
			return l, nil
		}
	}
	return login{}, errNoLogin
}

// isCertificate is for what a certification authority signs: it begins with the certificate's type.
func isCertificate(data []byte) bool {
	var m struct {
		Type string
		Rest []byte `ssh:"rest"`
	}
	return ssh.Unmarshal(data, &m) == nil && strings.HasSuffix(m.Type, certificateSuffix)
}

// certificateSuffix ends the names of certificates' types and algorithms.
const certificateSuffix = "-cert-v01@openssh.com"

// fits tells whether a login is with the key that should sign it, or with a certificate for that key, and with an algorithm of the key.
func (l login) fits(key ssh.PublicKey, flags agent.SignatureFlags) error {
	with, err := ssh.ParsePublicKey(l.key)
	if err != nil || !bytes.Equal(l.key, key.Marshal()) && !contains([]ssh.PublicKey{key}, plain(with)) {
		return errOtherKey
	}
	if cert, ok := with.(*ssh.Certificate); ok && cert.CertType != ssh.UserCert {
		return errOtherKey
	}
	name := strings.TrimSuffix(l.algorithm, certificateSuffix)
	switch {
	case weak(name):
		return errSHA1
	case plain(with).Type() == ssh.KeyAlgoRSA:
		return l.fitsRSA(with.Type() != ssh.KeyAlgoRSA, flags)
	case l.algorithm != with.Type():
		return errAlgorithm
	}
	return nil
}

// fitsRSA compares what the login says with how the agent would sign.
func (l login) fitsRSA(certificate bool, flags agent.SignatureFlags) error {
	name := map[agent.SignatureFlags]string{agent.SignatureFlagRsaSha256: ssh.KeyAlgoRSASHA256, agent.SignatureFlagRsaSha512: ssh.KeyAlgoRSASHA512}[flags]
	switch {
	case flags == 0:
		return errSHA1
	case certificate:
		name += certificateSuffix
	}
	if l.algorithm != name {
		return errAlgorithm
	}
	return nil
}
