package minter

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"net/netip"
	"time"

	"github.com/tightlip/tightlip/secret"
	"golang.org/x/crypto/ssh"
)

// sshCert makes a key and has an authority sign a certificate for it, as PROTOCOL.certkeys of OpenSSH describes them.
//
// The value is one file in OpenSSH's format for private keys that holds the key with its certificate: ssh -i and ssh-add take both from
// there, without a KEY-cert.pub beside it.
var sshCert = &kind{
	scheme:  "ssh-cert",
	form:    "ssh-cert:CA_KEY?principals=NAME,NAME",
	what:    "a new SSH key with a certificate by your authority",
	example: "ssh-cert:~/.ssh/ca?principals=git&ttl=10m",
	about: secret.MintAbout{
		Grade: secret.GradeA, Least: 10 * time.Second, Default: 10 * time.Minute,
		Narrow: "the principals; force-command= to one command, source-address= to networks; extensions= lists what else a session may, such as permit-pty",
	},
	path:    "the file of the authority's key",
	needs:   []string{"principals"},
	keys:    []string{"key", "force-command", "source-address", "extensions"},
	parents: []string{"key"},
	file:    "key",
	life:    "ttl",
	longest: 24 * time.Hour,
	check:   checkSSHCert,
	mint:    mintSSHCert,
}

// checkSSHCert refuses what sshd would: with a source-address that it cannot read, it lets nobody in.
func checkSSHCert(o *order) error {
	for _, principal := range o.List("principals") {
		if principal == "" {
			return o.wrong("a principal of ssh-cert: is empty", "")
		}
	}
	for _, network := range o.List("source-address") {
		_, err := netip.ParsePrefix(network)
		if _, single := netip.ParseAddr(network); err != nil && single != nil {
			return o.wrong("source-address= of ssh-cert: is no list of networks", "source-address=192.0.2.0/24")
		}
	}
	return nil
}

// sshSkew is how far the clock of a server may be behind ours.
const sshSkew = time.Minute

func mintSSHCert(_ context.Context, o *order) (*credential, error) {
	authority, err := sshAuthority(o)
	if err != nil {
		return nil, err
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	expires := now.Add(o.life).Truncate(time.Second)
	cert := &ssh.Certificate{
		Key: signer.PublicKey(), Serial: serial(), CertType: ssh.UserCert, KeyId: o.name,
		ValidPrincipals: o.List("principals"),
		ValidAfter:      uint64(now.Add(-sshSkew).Unix()), ValidBefore: uint64(expires.Unix()),
		Permissions: ssh.Permissions{CriticalOptions: map[string]string{}, Extensions: map[string]string{}},
	}
	for _, option := range []string{"force-command", "source-address"} {
		if text := o.Get(option); text != "" {
			cert.CriticalOptions[option] = text
		}
	}
	for _, extension := range o.List("extensions") {
		cert.Extensions[extension] = ""
	}
	if err := cert.SignCert(rand.Reader, authority); err != nil {
		return nil, errors.New("the key of the authority cannot sign")
	}
	return &credential{value: sshKeyFile(key, cert), expires: expires}, nil
}

func sshAuthority(o *order) (ssh.Signer, error) {
	authority, err := ssh.ParsePrivateKey(o.values["key"].Open())
	if err == nil {
		return authority, nil
	}
	key, _ := o.parent("key") // it was read before
	re := &secret.ResolveError{Ref: o.ref, Problem: "ssh-cert: " + key.String() + " is no private key of SSH", Try: "make one with ssh-keygen -t ed25519 -f ca", Err: err}
	if _, ok := errors.AsType[*ssh.PassphraseMissingError](err); ok {
		re.Problem, re.Try = "ssh-cert: "+key.String()+" has a passphrase", "give it a key without one, from a store: key=cmd:pass%20show%20ca"
	}
	return nil, re
}

// serial is for the authority's lists of what is revoked.
func serial() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	return binary.BigEndian.Uint64(b[:])
}

// sshKeyFile is PROTOCOL.key with a certificate for the public key, and the private part as ssh-add hands it to agents.
func sshKeyFile(key ed25519.PrivateKey, cert *ssh.Certificate) secret.Value {
	check := uint32(serial())
	private := ssh.Marshal(struct {
		Check1, Check2            uint32
		Type                      string
		Certificate, Public, Seed []byte
		Comment                   string
	}{check, check, cert.Type(), cert.Marshal(), key.Public().(ed25519.PublicKey), key, cert.KeyId})
	for i := byte(1); len(private)%8 != 0; i++ {
		private = append(private, i)
	}
	file := ssh.Marshal(struct {
		Cipher, Derivation, Options string
		Keys                        uint32
		Public, Private             []byte
	}{"none", "none", "", 1, cert.Marshal(), private})
	return secret.NewValue(pem.EncodeToMemory(&pem.Block{Type: "OPENSSH PRIVATE KEY", Bytes: append([]byte("openssh-key-v1\x00"), file...)}))
}
