package sshagent

import (
	"bytes"
	"crypto/ed25519"
	"encoding/pem"
	"errors"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// parseKey reads the file of a private key. The file may have a certificate for the key in it instead of the public key, as a minted one
// has, and as OpenSSH reads it.
func parseKey(text []byte) (agent.AddedKey, error) {
	key, err := ssh.ParseRawPrivateKey(text)
	if err == nil {
		return agent.AddedKey{PrivateKey: key}, nil
	}
	if certified, ok := parseCertified(text); ok {
		return certified, nil
	}
	return agent.AddedKey{}, err
}

// parseCertified reads PROTOCOL.key of OpenSSH with a certificate in it. It knows the kind of keys that is minted.
func parseCertified(text []byte) (agent.AddedKey, bool) {
	block, _ := pem.Decode(text)
	if block == nil {
		return agent.AddedKey{}, false
	}
	body, ok := bytes.CutPrefix(block.Bytes, []byte("openssh-key-v1\x00"))
	var file struct {
		Cipher, Derivation, Options string
		Keys                        uint32
		Public, Private             []byte
	}
	if !ok || ssh.Unmarshal(body, &file) != nil || file.Cipher != "none" || file.Keys != 1 {
		return agent.AddedKey{}, false
	}
	var private struct {
		Check1, Check2           uint32
		Type                     string
		Certificate, Public, Key []byte
		Comment                  string
		Padding                  []byte `ssh:"rest"`
	}
	if ssh.Unmarshal(file.Private, &private) != nil || private.Check1 != private.Check2 || private.Type != ssh.CertAlgoED25519v01 {
		return agent.AddedKey{}, false
	}
	cert, err := certificate(private.Certificate, private.Key)
	return agent.AddedKey{PrivateKey: ed25519.PrivateKey(private.Key), Certificate: cert, Comment: private.Comment}, err == nil
}

var errNoCertificate = errors.New("is no certificate for the key")

// certificate reads a certificate that has to be one for a key.
func certificate(blob, key []byte) (*ssh.Certificate, error) {
	public, err := ssh.ParsePublicKey(blob)
	if err != nil {
		return nil, err
	}
	cert, ok := public.(*ssh.Certificate)
	if !ok || len(key) != ed25519.PrivateKeySize {
		return nil, errNoCertificate
	}
	whole := ed25519.NewKeyFromSeed(key[:ed25519.SeedSize])
	own, err := ssh.NewPublicKey(whole.Public())
	if err != nil || !bytes.Equal(whole, key) || !bytes.Equal(own.Marshal(), cert.Key.Marshal()) {
		return nil, errNoCertificate
	}
	return cert, nil
}
