package sshagent_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"math/big"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tightlip/tightlip/broker/sshagent"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

const (
	extensionBind = "session-bind@openssh.com"
	plainMethod   = "publickey"
	hostBound     = "publickey-hostbound-v00@openssh.com"
)

func signerOf(t *testing.T, key crypto.Signer) ssh.Signer {
	t.Helper()
	s, err := ssh.NewSignerFromSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// keyOf makes a key of a kind.
func keyOf(t *testing.T, kind string) crypto.Signer {
	t.Helper()
	var key crypto.Signer
	var err error
	switch kind {
	case "rsa":
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	case "ecdsa":
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	default:
		key = newKey(t)
	}
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// certify makes a certificate that holds for an hour.
func certify(t *testing.T, key ssh.PublicKey, authority ssh.Signer, kind uint32, principals ...string) *ssh.Certificate {
	t.Helper()
	now := uint64(time.Now().Unix())
	c := &ssh.Certificate{Key: key, CertType: kind, ValidPrincipals: principals, ValidAfter: now - 60, ValidBefore: now + 3600}
	if err := c.SignCert(rand.Reader, authority); err != nil {
		t.Fatal(err)
	}
	return c
}

// world is an agent with keys, one host at which git may log in, and another at which it may not.
type world struct {
	user, host, other ssh.Signer
	policy            *sshagent.Policy
	agents            *sshagent.Agents

	mu     sync.Mutex
	events []sshagent.Event
}

func newWorld(t *testing.T, userKind, hostKind string) *world {
	t.Helper()
	key := keyOf(t, userKind)
	w := &world{user: signerOf(t, key), host: signerOf(t, keyOf(t, hostKind)), other: signerOf(t, newKey(t))}
	w.policy = &sshagent.Policy{Rules: []sshagent.Rule{{
		Target: sshagent.Target{User: "git", Host: "git.corp.example", Port: 22}, Known: sshagent.HostKeys{Keys: []ssh.PublicKey{w.host.PublicKey()}},
	}}}
	w.open(t, writeKey(t, key))
	return w
}

// open makes the agents, of a socket or a key.
func (w *world) open(t *testing.T, path string) {
	t.Helper()
	agents, err := sshagent.New([]sshagent.Spec{{ID: "default", Paths: []string{path}, Policy: w.policy, Audit: func(e sshagent.Event) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.events = append(w.events, e)
	}}})
	if err != nil {
		t.Fatal(err)
	}
	w.agents = agents
}

func writeKey(t *testing.T, key crypto.Signer) string {
	t.Helper()
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		t.Fatal(err)
	}
	return save(t, pem.EncodeToMemory(block))
}

func (w *world) client(t *testing.T) agent.ExtendedAgent {
	t.Helper()
	conn, err := w.agents.Open(t.Context(), "default")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return agent.NewClient(conn)
}

// last is the last event.
func (w *world) last() sshagent.Event {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.events) == 0 {
		return sshagent.Event{}
	}
	return w.events[len(w.events)-1]
}

// binding is what a client says about its server. A part that is left out is as it should be.
type binding struct {
	host      ssh.Signer
	key       ssh.PublicKey // that is shown
	session   string
	signed    string // what the host signed
	algorithm string
	forwarded bool
	trailing  string
	padding   string // of the signature
}

func (b binding) message(t *testing.T) []byte {
	t.Helper()
	if b.signed == "" {
		b.signed = b.session
	}
	if b.key == nil {
		b.key = b.host.PublicKey()
	}
	sig, err := b.host.Sign(rand.Reader, []byte(b.signed))
	if algorithms, ok := b.host.(ssh.AlgorithmSigner); ok && b.host.PublicKey().Type() == ssh.KeyAlgoRSA {
		if b.algorithm == "" {
			b.algorithm = ssh.KeyAlgoRSASHA512
		}
		sig, err = algorithms.SignWithAlgorithm(rand.Reader, []byte(b.signed), b.algorithm)
	}
	if err != nil {
		t.Fatal(err)
	}
	return append(ssh.Marshal(struct {
		Key, Session, Signature []byte
		Forwarded               bool
	}{b.key.Marshal(), []byte(b.session), append(ssh.Marshal(sig), b.padding...), b.forwarded}), b.trailing...)
}

// login is what a client wants to have signed.
type login struct {
	session, user, service, method, algorithm string
	key, hostKey                              ssh.PublicKey
	kind, unsigned                            byte
	trailing                                  string
}

func (l login) data() []byte {
	if l.service == "" {
		l.service = "ssh-connection"
	}
	if l.kind == 0 {
		l.kind = 50
	}
	if l.method == "" {
		l.method = plainMethod
	}
	if l.algorithm == "" {
		l.algorithm = l.key.Type()
	}
	data := ssh.Marshal(struct {
		Session               string
		Kind                  byte
		User, Service, Method string
		Signed                byte
		Algorithm             string
		Key                   []byte
	}{l.session, l.kind, l.user, l.service, l.method, 1 - l.unsigned, l.algorithm, l.key.Marshal()})
	if l.hostKey != nil {
		data = append(data, ssh.Marshal(struct{ Key []byte }{l.hostKey.Marshal()})...)
	}
	return append(data, l.trailing...)
}

var (
	session1 = strings.Repeat("1", 32)
	session2 = strings.Repeat("2", 32)
)

// TestLogin logs in with keys of each kind at hosts with keys of each kind, by both methods.
func TestLogin(t *testing.T) {
	for _, kinds := range [][2]string{{"ed25519", "ed25519"}, {"ecdsa", "ecdsa"}, {"rsa", "rsa"}, {"ed25519", "rsa"}, {"rsa", "ecdsa"}} {
		for _, method := range []string{plainMethod, hostBound} {
			w := newWorld(t, kinds[0], kinds[1])
			c := w.client(t)
			if _, err := c.Extension(extensionBind, binding{host: w.host, session: session1}.message(t)); err != nil {
				t.Fatalf("%s %s: %v, %+v", kinds, method, err, w.last())
			}
			l := login{session: session1, user: "git", method: method, key: w.user.PublicKey()}
			if method == hostBound {
				l.hostKey = w.host.PublicKey()
			}
			var flags agent.SignatureFlags
			if kinds[0] == "rsa" {
				l.algorithm, flags = ssh.KeyAlgoRSASHA512, agent.SignatureFlagRsaSha512
			}
			sig, err := c.SignWithFlags(l.key, l.data(), flags)
			if err != nil || l.key.Verify(l.data(), sig) != nil {
				t.Errorf("%s %s: %v, %+v", kinds, method, err, w.last())
			}
			if e := w.last(); !e.Granted || e.User != "git" || e.Host != "git.corp.example" || e.HostKey != ssh.FingerprintSHA256(w.host.PublicKey()) ||
				e.Key != ssh.FingerprintSHA256(l.key) || e.Agent != "default" || e.Request != sshagent.Sign || e.Reason != "" {
				t.Errorf("the event is %+v", e)
			}
		}
	}
}

// attack is a list of bindings, of which the last may be refused, and data to sign, which must be.
type attack struct {
	binds  []binding
	data   []byte
	key    ssh.PublicKey // the user's, unless it is there
	flags  agent.SignatureFlags
	reason string
	bindOK bool // also the last of several bindings works
}

func attacks(t *testing.T, w *world) map[string]attack {
	good := binding{host: w.host, session: session1}
	valid := login{session: session1, user: "git", key: w.user.PublicKey()}
	with := func(change func(*login)) []byte {
		l := valid
		change(&l)
		return l.data()
	}
	bound := func(change func(*login), reason string) attack {
		return attack{binds: []binding{good}, bindOK: true, data: with(change), reason: reason}
	}
	stranger := signerOf(t, newKey(t))
	hostCertificate := certify(t, w.user.PublicKey(), stranger, ssh.HostCert, "git.corp.example")
	certificate := certify(t, stranger.PublicKey(), stranger, ssh.UserCert, "git")
	rsaUser := signerOf(t, keyOf(t, "rsa"))
	dsa, err := ssh.ParsePublicKey(ssh.Marshal(struct {
		Name       string
		P, Q, G, Y *big.Int
	}{"ssh-dss", new(big.Int).Lsh(big.NewInt(1), 1023), new(big.Int).Lsh(big.NewInt(1), 159), big.NewInt(2), big.NewInt(4)}))
	if err != nil {
		t.Fatal(err)
	}
	return map[string]attack{
		"no bind":                   {data: valid.data(), reason: "did not say which server"},
		"another user":              bound(func(l *login) { l.user = "root" }, "does not name this user"),
		"no user":                   bound(func(l *login) { l.user = "" }, "does not name this user"),
		"user with another case":    bound(func(l *login) { l.user = "Git" }, "does not name this user"),
		"user with a zero byte":     bound(func(l *login) { l.user = "git\x00" }, "does not name this user"),
		"another session":           bound(func(l *login) { l.session = session2 }, "another session"),
		"another service":           bound(func(l *login) { l.service = "ssh-userauth" }, "no login"),
		"another message":           bound(func(l *login) { l.kind = 51 }, "no login"),
		"another method":            bound(func(l *login) { l.method = "hostbased" }, "no login"),
		"nothing to sign":           bound(func(l *login) { l.unsigned = 1 }, "no login"),
		"trailing bytes":            bound(func(l *login) { l.trailing = "x" }, "no login"),
		"trailing host key":         bound(func(l *login) { l.hostKey = w.host.PublicKey() }, "no login"),
		"host bound without a host": bound(func(l *login) { l.method = hostBound }, "no login"),
		"host bound to nothing":     bound(func(l *login) { l.method, l.trailing = hostBound, "\x00\x00\x00\x00" }, "no login"),
		"host bound elsewhere":      bound(func(l *login) { l.method, l.hostKey = hostBound, w.other.PublicKey() }, "another host key"),
		"host bound, trailing": bound(func(l *login) {
			l.method, l.hostKey, l.trailing = hostBound, w.host.PublicKey(), "\x00\x00\x00\x00"
		}, "no login"),
		"another key inside":         bound(func(l *login) { l.key = stranger.PublicKey() }, "another key"),
		"another key's certificate":  bound(func(l *login) { l.key = certificate }, "another key"),
		"host certificate as user":   bound(func(l *login) { l.key = hostCertificate }, "another key"),
		"algorithm of another kind":  bound(func(l *login) { l.algorithm = ssh.KeyAlgoECDSA256 }, "algorithm"),
		"file signature":             {binds: []binding{good}, bindOK: true, data: []byte("SSHSIG\x00\x00\x00\x03git"), reason: "SSHSIG"},
		"certificate to issue":       {binds: []binding{good}, bindOK: true, data: certificate.Marshal(), reason: "certificate"},
		"a text":                     {binds: []binding{good}, bindOK: true, data: []byte("a text"), reason: "no login"},
		"nothing":                    {binds: []binding{good}, bindOK: true, reason: "no login"},
		"a hash":                     {binds: []binding{good}, bindOK: true, data: []byte(session1), reason: "no login"},
		"half a login":               {binds: []binding{good}, bindOK: true, data: valid.data()[:80], reason: "no login"},
		"SHA-1":                      {binds: []binding{good}, bindOK: true, key: rsaUser.PublicKey(), data: with(func(l *login) { l.key = rsaUser.PublicKey() }), reason: "SHA-1"},
		"DSA":                        {binds: []binding{good}, bindOK: true, key: dsa, data: with(func(l *login) { l.key = dsa }), reason: "SHA-1"},
		"RSA, other flags":           {binds: []binding{good}, bindOK: true, key: rsaUser.PublicKey(), flags: 4, data: with(func(l *login) { l.key, l.algorithm = rsaUser.PublicKey(), ssh.KeyAlgoRSASHA256 }), reason: "algorithm"},
		"RSA, no flags":              {binds: []binding{good}, bindOK: true, key: rsaUser.PublicKey(), data: with(func(l *login) { l.key, l.algorithm = rsaUser.PublicKey(), ssh.KeyAlgoRSASHA256 }), reason: "SHA-1"},
		"another host":               {binds: []binding{{host: w.other, session: session1}}, data: valid.data(), reason: "does not name the server's host key"},
		"the host's key, not signed": {binds: []binding{{host: w.other, key: w.host.PublicKey(), session: session1}}, data: valid.data(), reason: "did not sign"},
		"signature of another session": {
			binds: []binding{{host: w.host, session: session2, signed: session1}}, data: with(func(l *login) { l.session = session2 }), reason: "did not sign",
		},
		"forwarded": {binds: []binding{{host: w.host, session: session1, forwarded: true}}, data: valid.data(), reason: "forwarded"},
		"forwarded, then bound": {
			binds: []binding{{host: w.host, session: session2, forwarded: true}, good}, data: valid.data(), reason: "forwarded",
		},
		"forwarded by another host, then bound": {
			binds: []binding{{host: w.other, session: session2, forwarded: true}, good}, data: valid.data(), reason: "forwarded",
		},
		"refused, then bound": {binds: []binding{{host: w.other, session: session2}, good}, data: valid.data(), reason: "does not name the server's host key"},
		"replay: the other binding's session": {
			binds: []binding{good, {host: w.host, session: session2}}, data: with(func(l *login) { l.session = session2 }), reason: "another session",
		},
		"the other binding's host": {
			binds: []binding{good, {host: w.other, session: session1}}, data: with(func(l *login) { l.method, l.hostKey = hostBound, w.other.PublicKey() }), reason: "another host key",
		},
		"bind with trailing bytes":      {binds: []binding{{host: w.host, session: session1, trailing: "x"}}, data: valid.data(), reason: "malformed"},
		"signature with trailing bytes": {binds: []binding{{host: w.host, session: session1, padding: "x"}}, data: valid.data(), reason: "malformed"},
		"short session":                 {binds: []binding{{host: w.host, session: "1"}}, data: with(func(l *login) { l.session = "1" }), reason: "malformed"},
		"no session":                    {binds: []binding{{host: w.host}}, data: with(func(l *login) { l.session = "" }), reason: "malformed"},
		"what a host key signs besides": {
			binds: []binding{{host: w.host, session: strings.Repeat("hostkeys-prove", 9)}}, data: with(func(l *login) { l.session = strings.Repeat("hostkeys-prove", 9) }), reason: "malformed",
		},
	}
}

// TestAttacks wants each refused, and the reason to be told. What the client sent is not in the reason.
func TestAttacks(t *testing.T) {
	w := newWorld(t, "ed25519", "ed25519")
	for name, a := range attacks(t, w) {
		c := w.client(t)
		for i, b := range a.binds {
			_, err := c.Extension(extensionBind, b.message(t))
			if ok := i == 0 && (a.bindOK || len(a.binds) > 1 && w.last().Granted); (err == nil) != ok {
				t.Errorf("%s: bind %d: %v", name, i, err)
			}
		}
		key := a.key
		if key == nil {
			key = w.user.PublicKey()
		}
		if sig, err := c.SignWithFlags(key, a.data, a.flags); err == nil {
			t.Errorf("%s: got a signature %v", name, sig)
		}
		if e := w.last(); e.Granted || !strings.Contains(e.Reason, a.reason) || e.Request != sshagent.Sign {
			t.Errorf("%s: the event is %+v, not %q", name, e, a.reason)
		}
	}
}

// TestSecondBind keeps what a connection was bound to first.
func TestSecondBind(t *testing.T) {
	w := newWorld(t, "ed25519", "ed25519")
	c := w.client(t)
	good := binding{host: w.host, session: session1}.message(t)
	if _, err := c.Extension(extensionBind, good); err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string]binding{"the same": {host: w.host, session: session1}, "another": {host: w.host, session: session2}} {
		if _, err := c.Extension(extensionBind, b.message(t)); err == nil || !strings.Contains(w.last().Reason, "already") {
			t.Errorf("%s: %v, %+v", name, err, w.last())
		}
	}
	if _, err := c.Sign(w.user.PublicKey(), login{session: session1, user: "git", key: w.user.PublicKey()}.data()); err != nil {
		t.Errorf("%v: %+v", err, w.last())
	}
}

// TestNothingElse tries what changes an agent, and another extension.
func TestNothingElse(t *testing.T) {
	w := newWorld(t, "ed25519", "ed25519")
	c := w.client(t)
	keys, err := c.List()
	if err != nil || len(keys) != 1 {
		t.Fatal(keys, err)
	}
	for what, try := range map[string]func() error{
		"add": func() error { return c.Add(agent.AddedKey{PrivateKey: newKey(t)}) }, "remove": func() error { return c.Remove(keys[0]) },
		"remove all": c.RemoveAll, "lock": func() error { return c.Lock([]byte("x")) }, "unlock": func() error { return c.Unlock([]byte("x")) },
		"query": func() error { _, err := c.Extension("query", nil); return err },
	} {
		if err := try(); err == nil || w.last().Granted || w.last().Reason == "" {
			t.Errorf("%s: %v, %+v", what, err, w.last())
		}
	}
}

// TestListing shows only the keys of the policy, and none to a server that the policy does not name.
func TestListing(t *testing.T) {
	key, second := newKey(t), newKey(t)
	shown := signerOf(t, key).PublicKey()
	w := &world{host: signerOf(t, newKey(t)), other: signerOf(t, newKey(t)), policy: &sshagent.Policy{Keys: []string{ssh.FingerprintSHA256(shown)}}}
	agents, err := sshagent.New([]sshagent.Spec{{ID: "default", Paths: []string{writeKey(t, key), writeKey(t, second)}, Policy: w.policy}})
	if err != nil {
		t.Fatal(err)
	}
	w.agents = agents
	c := w.client(t)
	if keys, err := c.List(); err != nil || len(keys) != 1 || keys[0].String() != (&agent.Key{Format: shown.Type(), Blob: shown.Marshal()}).String() {
		t.Errorf("got %v, %v", keys, err)
	}
	if _, err := c.Extension(extensionBind, binding{host: w.other, session: session1}.message(t)); err == nil {
		t.Error("the binding was accepted")
	}
	if keys, err := c.List(); err != nil || len(keys) != 0 {
		t.Errorf("got %v, %v", keys, err)
	}
}

// TestHiddenKey signs with a key that the policy does not name.
func TestHiddenKey(t *testing.T) {
	w := newWorld(t, "ed25519", "ed25519")
	w.policy.Keys = []string{ssh.FingerprintSHA256(w.other.PublicKey())}
	c := w.client(t)
	if _, err := c.Extension(extensionBind, binding{host: w.host, session: session1}.message(t)); err != nil {
		t.Fatal(err)
	}
	_, err := c.Sign(w.user.PublicKey(), login{session: session1, user: "git", key: w.user.PublicKey()}.data())
	if err == nil || !strings.Contains(w.last().Reason, "does not name this key") {
		t.Errorf("%v, %+v", err, w.last())
	}
}

// TestUserCertificates signs with a key for its certificate, and with a certificate that is in the agent.
func TestUserCertificates(t *testing.T) {
	for _, kind := range []string{"ed25519", "ecdsa", "rsa"} {
		w := newWorld(t, kind, "ed25519")
		key := keyOf(t, kind)
		cert := certify(t, signerOf(t, key).PublicKey(), w.other, ssh.UserCert, "git")
		keys := agent.NewKeyring()
		for _, k := range []agent.AddedKey{{PrivateKey: key}, {PrivateKey: key, Certificate: cert}} {
			if err := keys.Add(k); err != nil {
				t.Fatal(err)
			}
		}
		w.policy.Keys = []string{ssh.FingerprintSHA256(cert.Key)}
		w.open(t, socketOf(t, keys))
		c := w.client(t)
		if listed, err := c.List(); err != nil || len(listed) != 2 {
			t.Errorf("%s: %v, %v", kind, listed, err)
		}
		if _, err := c.Extension(extensionBind, binding{host: w.host, session: session1}.message(t)); err != nil {
			t.Fatal(err)
		}
		l := login{session: session1, user: "git", key: cert}
		var flags agent.SignatureFlags
		if kind == "rsa" {
			l.algorithm, flags = "rsa-sha2-512-cert-v01@openssh.com", agent.SignatureFlagRsaSha512
		}
		for _, by := range []ssh.PublicKey{cert, cert.Key} {
			if _, err := c.SignWithFlags(by, l.data(), flags); err != nil {
				t.Errorf("%s: %v, %+v", kind, err, w.last())
			}
		}
		plain := login{session: session1, user: "git", key: cert.Key}
		if _, err := c.SignWithFlags(cert, plain.data(), flags); err == nil {
			t.Errorf("%s: a certificate signed for its key", kind)
		}
	}
}

// TestHostCertificates trusts authorities for their hosts only.
func TestHostCertificates(t *testing.T) {
	w := newWorld(t, "ed25519", "ed25519")
	authority, key := w.other, signerOf(t, newKey(t))
	old := certify(t, key.PublicKey(), authority, ssh.HostCert, "git.corp.example")
	old.ValidBefore = old.ValidAfter + 1
	if err := old.SignCert(rand.Reader, authority); err != nil {
		t.Fatal(err)
	}
	host := func(principals ...string) *ssh.Certificate {
		return certify(t, key.PublicKey(), authority, ssh.HostCert, principals...)
	}
	for name, c := range map[string]struct {
		cert  *ssh.Certificate
		known sshagent.HostKeys
		want  bool
	}{
		"the host":              {host("git.corp.example"), sshagent.HostKeys{Authorities: []ssh.PublicKey{authority.PublicKey()}}, true},
		"its key is known":      {host("elsewhere.example"), sshagent.HostKeys{Keys: []ssh.PublicKey{key.PublicKey()}}, true},
		"another host":          {host("elsewhere.example"), sshagent.HostKeys{Authorities: []ssh.PublicKey{authority.PublicKey()}}, false},
		"any host":              {host(), sshagent.HostKeys{Authorities: []ssh.PublicKey{authority.PublicKey()}}, false},
		"another authority":     {host("git.corp.example"), sshagent.HostKeys{Authorities: []ssh.PublicKey{w.host.PublicKey()}}, false},
		"the authority, a host": {host("git.corp.example"), sshagent.HostKeys{Keys: []ssh.PublicKey{authority.PublicKey()}}, false},
		"expired":               {old, sshagent.HostKeys{Authorities: []ssh.PublicKey{authority.PublicKey()}}, false},
		"a user's": {
			certify(t, key.PublicKey(), authority, ssh.UserCert, "git.corp.example"), sshagent.HostKeys{Authorities: []ssh.PublicKey{authority.PublicKey()}}, false,
		},
		"revoked": {
			host("git.corp.example"), sshagent.HostKeys{Authorities: []ssh.PublicKey{authority.PublicKey()}, Revoked: []ssh.PublicKey{key.PublicKey()}}, false,
		},
		"revoked authority": {
			host("git.corp.example"), sshagent.HostKeys{Authorities: []ssh.PublicKey{authority.PublicKey()}, Revoked: []ssh.PublicKey{authority.PublicKey()}}, false,
		},
	} {
		w.policy.Rules[0].Known = c.known
		client := w.client(t)
		_, err := client.Extension(extensionBind, binding{host: key, key: c.cert, session: session1}.message(t))
		if (err == nil) != c.want {
			t.Errorf("%s: %v, %+v", name, err, w.last())
		}
		l := login{session: session1, user: "git", key: w.user.PublicKey(), method: hostBound, hostKey: c.cert}
		if _, err := client.Sign(l.key, l.data()); (err == nil) != c.want {
			t.Errorf("%s: %v, %+v", name, err, w.last())
		}
	}
}

// TestForgedCertificate has the authority's key in a certificate that the authority did not sign.
func TestForgedCertificate(t *testing.T) {
	w := newWorld(t, "ed25519", "ed25519")
	authority := w.other.PublicKey()
	w.policy.Rules[0].Known = sshagent.HostKeys{Authorities: []ssh.PublicKey{authority}}
	stranger := signerOf(t, newKey(t))
	cert := certify(t, stranger.PublicKey(), stranger, ssh.HostCert, "git.corp.example")
	cert.SignatureKey = authority
	if _, err := w.client(t).Extension(extensionBind, binding{host: stranger, key: cert, session: session1}.message(t)); err == nil {
		t.Error("the binding was accepted")
	}
}

// TestSHA1Authority has a certificate that its authority signed with SHA-1.
func TestSHA1Authority(t *testing.T) {
	w := newWorld(t, "ed25519", "ed25519")
	authority := signerOf(t, keyOf(t, "rsa")).(ssh.AlgorithmSigner)
	w.policy.Rules[0].Known = sshagent.HostKeys{Authorities: []ssh.PublicKey{authority.PublicKey()}}
	for algorithm, want := range map[string]bool{ssh.KeyAlgoRSA: false, ssh.KeyAlgoRSASHA256: true} {
		signer, err := ssh.NewSignerWithAlgorithms(authority, []string{algorithm})
		if err != nil {
			t.Fatal(err)
		}
		cert := certify(t, w.other.PublicKey(), signer, ssh.HostCert, "git.corp.example")
		_, err = w.client(t).Extension(extensionBind, binding{host: w.other, key: cert, session: session1}.message(t))
		if (err == nil) != want {
			t.Errorf("%s: %v, %+v", algorithm, err, w.last())
		}
	}
}

// TestSHA1Bind is for host keys that sign with SHA-1.
func TestSHA1Bind(t *testing.T) {
	w := newWorld(t, "ed25519", "rsa")
	b := binding{host: w.host, session: session1, algorithm: ssh.KeyAlgoRSA}
	if _, err := w.client(t).Extension(extensionBind, b.message(t)); err == nil || w.last().Granted {
		t.Errorf("%v, %+v", err, w.last())
	}
}

// TestEmptyPolicy signs nothing.
func TestEmptyPolicy(t *testing.T) {
	w := newWorld(t, "ed25519", "ed25519")
	w.policy.Rules = nil
	c := w.client(t)
	_, bindErr := c.Extension(extensionBind, binding{host: w.host, session: session1}.message(t))
	_, err := c.Sign(w.user.PublicKey(), login{session: session1, user: "git", key: w.user.PublicKey()}.data())
	if bindErr == nil || err == nil {
		t.Error(bindErr, err)
	}
}

// TestEventIsPrintable logs in as a user whose name would clear a terminal.
func TestEventIsPrintable(t *testing.T) {
	w := newWorld(t, "ed25519", "ed25519")
	l := login{session: session1, user: "\x1b[2J\xff" + strings.Repeat("x", 4000), key: w.user.PublicKey()}
	if _, err := w.client(t).Sign(l.key, l.data()); err == nil {
		t.Error("got a signature")
	}
	if u := w.last().User; !strings.HasPrefix(u, "?[2J?xxx") || len(u) > 256 {
		t.Errorf("the user is %q", u)
	}
}

// TestTooLarge ends the connection.
func TestTooLarge(t *testing.T) {
	w := newWorld(t, "ed25519", "ed25519")
	for _, size := range []string{"\x00\x00\x00\x00", "\x00\x04\x00\x01", "\xff\xff\xff\xff"} {
		conn, err := w.agents.Open(t.Context(), "default")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write([]byte(size)); err != nil {
			t.Fatal(err)
		}
		if n, err := conn.Read(make([]byte, 1)); err == nil {
			t.Errorf("%q: got %d bytes", size, n)
		}
		conn.Close()
	}
}

// upstream is an agent that remembers extensions, and may not know any.
type upstream struct {
	agent.ExtendedAgent
	fail  bool
	asked []string
}

func (u *upstream) Extension(name string, contents []byte) ([]byte, error) {
	u.asked = append(u.asked, name)
	if u.fail {
		return nil, agent.ErrExtensionUnsupported
	}
	return []byte{6}, nil
}

// TestUpstream hands a verified binding on, and nothing else.
func TestUpstream(t *testing.T) {
	for _, fail := range []bool{false, true} {
		w := newWorld(t, "ed25519", "ed25519")
		u := &upstream{ExtendedAgent: agent.NewKeyring().(agent.ExtendedAgent), fail: fail}
		key := newKey(t)
		if err := u.Add(agent.AddedKey{PrivateKey: key}); err != nil {
			t.Fatal(err)
		}
		w.open(t, socketOf(t, u))
		bad := w.client(t)
		_, _ = bad.Extension("query", nil)
		_, _ = bad.Extension(extensionBind, binding{host: w.other, session: session1}.message(t))
		_, _ = bad.Extension(extensionBind, binding{host: w.other, key: w.host.PublicKey(), session: session1}.message(t))
		c := w.client(t)
		if _, err := c.Extension(extensionBind, binding{host: w.host, session: session1}.message(t)); err != nil {
			t.Fatal(err)
		}
		public := signerOf(t, key).PublicKey()
		if _, err := c.Sign(public, login{session: session1, user: "git", key: public}.data()); err != nil {
			t.Errorf("%v, %+v", err, w.last())
		}
		if len(u.asked) != 1 || u.asked[0] != extensionBind {
			t.Errorf("the agent behind was asked %q", u.asked)
		}
	}
}

// socketOf serves an agent.
func socketOf(t *testing.T, a agent.Agent) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _ = agent.ServeAgent(a, c); c.Close() }()
		}
	}()
	return name
}
