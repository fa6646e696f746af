package sshagent

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// fuzzed is a connection whose host and user have fixed keys.
func fuzzed(f testing.TB) (newConnection func() *connection, host, user ssh.Signer) {
	f.Helper()
	keys := agent.NewKeyring().(agent.ExtendedAgent)
	var signers []ssh.Signer
	for seed := range 2 {
		key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{byte(seed)}, ed25519.SeedSize))
		signer, err := ssh.NewSignerFromKey(key)
		if err == nil && seed == 1 {
			err = keys.Add(agent.AddedKey{PrivateKey: key})
		}
		if err != nil {
			f.Fatal(err)
		}
		signers = append(signers, signer)
	}
	policy := &Policy{Rules: []Rule{{Target: Target{User: "git", Host: "host", Port: 22}, Known: HostKeys{Keys: []ssh.PublicKey{signers[0].PublicKey()}}}}}
	return func() *connection { return &connection{id: "default", agent: keys, policy: policy} }, signers[0], signers[1]
}

// seedMessages are a binding and a login that is granted.
func seedMessages(f testing.TB, host, user ssh.Signer) (bind, sign []byte) {
	f.Helper()
	session := bytes.Repeat([]byte{7}, 32)
	signature, err := host.Sign(nil, session)
	if err != nil {
		f.Fatal(err)
	}
	contents := ssh.Marshal(struct {
		Key, Session, Signature []byte
		Forwarded               bool
	}{host.PublicKey().Marshal(), session, ssh.Marshal(signature), false})
	data := ssh.Marshal(struct {
		Session               []byte
		Kind                  byte
		User, Service, Method string
		Signed                bool
		Algorithm             string
		Key, HostKey          []byte
	}{session, msgUserAuthRequest, "git", "ssh-connection", methodHostBound, true, user.PublicKey().Type(), user.PublicKey().Marshal(), host.PublicKey().Marshal()})
	bind = append([]byte{msgExtension}, ssh.Marshal(struct {
		Type string
		Rest []byte `ssh:"rest"`
	}{extensionBind, contents})...)
	sign = append([]byte{msgSign}, ssh.Marshal(struct {
		Key, Data []byte
		Flags     uint32
	}{user.PublicKey().Marshal(), data, 0})...)
	return bind, sign
}

// framed puts the length before each message.
func framed(messages ...[]byte) []byte {
	var all []byte
	for _, m := range messages {
		all = append(binary.BigEndian.AppendUint32(all, uint32(len(m))), m...)
	}
	return all
}

// stream is a client that sends all it has, and keeps the answers.
type stream struct {
	*bytes.Reader
	answers bytes.Buffer
}

func (s *stream) Write(p []byte) (int, error) { return s.answers.Write(p) }

// FuzzConnection sends anything. Whatever is signed must be a login of git in the session that the connection is bound to.
func FuzzConnection(f *testing.F) {
	newConnection, host, user := fuzzed(f)
	bind, sign := seedMessages(f, host, user)
	f.Add(framed(bind, []byte{msgList}, sign))
	f.Add(framed(sign))
	f.Add(framed(bind, bind, sign[:40]))
	f.Add(framed([]byte{17, 1, 2, 3}, []byte{msgExtension}, nil))
	f.Fuzz(func(t *testing.T, sent []byte) {
		c := newConnection()
		signer := &witness{ExtendedAgent: c.agent, connection: c, t: t}
		c.agent = signer
		_ = c.serve(&stream{Reader: bytes.NewReader(sent)})
		if bytes.Equal(sent, framed(bind, []byte{msgList}, sign)) && signer.signed != 1 {
			t.Errorf("signed %d times", signer.signed)
		}
	})
}

// witness looks at what is signed, in a way of its own.
type witness struct {
	agent.ExtendedAgent
	connection *connection
	t          *testing.T
	signed     int
}

func (w *witness) SignWithFlags(key ssh.PublicKey, data []byte, flags agent.SignatureFlags) (*ssh.Signature, error) {
	w.signed++
	b := w.connection.bound
	if b == nil || !bytes.HasPrefix(data, ssh.Marshal(struct {
		Session []byte
		Kind    byte
		User    string
		Service string
	}{b.session, msgUserAuthRequest, "git", "ssh-connection"})) {
		w.t.Errorf("signed %q", data)
	}
	return w.ExtendedAgent.SignWithFlags(key, data, flags)
}

func FuzzParseTarget(f *testing.F) {
	for _, text := range []string{"git@host", "git@host:2222", "git@[::1]:22", "@", "a@b@c:0"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		target, err := ParseTarget(text)
		if err != nil {
			return
		}
		if again, err := ParseTarget(target.String()); err != nil || again != target {
			t.Errorf("%q is %+v, and then %+v, %v", text, target, again, err)
		}
	})
}

func FuzzKnownHosts(f *testing.F) {
	_, host, _ := fuzzed(f)
	f.Add([]byte("host,*.x " + string(ssh.MarshalAuthorizedKey(host.PublicKey()))))
	f.Add([]byte("@revoked |1|AAAA|AAAA ssh-ed25519 AAAA\n@\n!"))
	f.Fuzz(func(t *testing.T, file []byte) {
		var keys HostKeys
		keys.Add(file, Target{User: "git", Host: "host", Port: 22})
		for _, k := range append(append(keys.Keys, keys.Authorities...), keys.Revoked...) {
			if k == nil {
				t.Error("a key is nil")
			}
		}
	})
}

// FuzzKey reads anything as the file of a key.
func FuzzKey(f *testing.F) {
	f.Add([]byte("-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEA\n-----END OPENSSH PRIVATE KEY-----\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		key, err := parseKey(text)
		if err != nil {
			return
		}
		if err := agent.NewKeyring().Add(key); err != nil && key.Certificate != nil {
			t.Errorf("a key with a certificate cannot be added: %v", err)
		}
	})
}
