package corpus

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// keys are private keys in the usual formats, and what is public of them.
var keys = map[string]func() (string, error){
	"rsa":           rsaKey,
	"rsa-pkcs8":     func() (string, error) { return pkcs8(rsa.GenerateKey(rand.Reader, 2048)) },
	"ec":            ecKey,
	"ed25519":       openSSHKey,
	"ed25519-pkcs8": func() (string, error) { return pkcs8(newEd25519()) },
	"age":           ageKey,
	"certificate":   certificate,
	"public-key":    publicKey,
}

func newEd25519() (ed25519.PrivateKey, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	return key, err
}

func block(kind string, der []byte, err error) (string, error) {
	if err != nil {
		return "", err
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})), nil
}

func rsaKey() (string, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return "", err
	}
	return block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key), nil)
}

func ecKey() (string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", err
	}
	der, err := x509.MarshalECPrivateKey(key)
	return block("EC PRIVATE KEY", der, err)
}

func pkcs8(key any, err error) (string, error) {
	if err != nil {
		return "", err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return block("PRIVATE KEY", der, err)
}

func openSSHKey() (string, error) {
	key, err := newEd25519()
	if err != nil {
		return "", err
	}
	b, err := ssh.MarshalPrivateKey(key, "deploy@corp.internal")
	if err != nil {
		return "", err
	}
	return string(pem.EncodeToMemory(b)), nil
}

func certificate() (string, error) {
	key, err := newEd25519()
	if err != nil {
		return "", err
	}
	t := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Corp CA"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	return block("CERTIFICATE", der, err)
}

func publicKey() (string, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return "", err
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	return block("PUBLIC KEY", der, err)
}

// ageKey is an X25519 identity, see https://age-encryption.org/v1.
func ageKey() (string, error) {
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		return "", err
	}
	return strings.ToUpper(bech32("age-secret-key-", key)), nil
}

// bech32 follows https://github.com/bitcoin/bips/blob/master/bip-0173.mediawiki.
func bech32(prefix string, data []byte) string {
	const charset = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
	var values []byte
	acc, bits := 0, 0
	for _, b := range data {
		acc, bits = acc<<8|int(b), bits+8
		for ; bits >= 5; bits -= 5 {
			values = append(values, byte(acc>>(bits-5)&31))
		}
	}
	if bits > 0 {
		values = append(values, byte(acc<<(5-bits)&31))
	}
	var spread []byte
	for _, c := range []byte(prefix) {
		spread = append(spread, c>>5)
	}
	spread = append(spread, 0)
	for _, c := range []byte(prefix) {
		spread = append(spread, c&31)
	}
	sum := polymod(append(append(spread, values...), make([]byte, 6)...)) ^ 1
	for i := range 6 {
		values = append(values, byte(sum>>(5*(5-i))&31))
	}
	out := bytes.NewBufferString(prefix + "1")
	for _, v := range values {
		out.WriteByte(charset[v])
	}
	return out.String()
}

func polymod(values []byte) uint32 {
	sum := uint32(1)
	for _, v := range values {
		top := sum >> 25
		sum = sum&0x1ffffff<<5 ^ uint32(v)
		for i, g := range []uint32{0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3} {
			if top>>i&1 == 1 {
				sum ^= g
			}
		}
	}
	return sum
}
