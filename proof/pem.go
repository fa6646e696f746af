package proof

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"strings"

	"github.com/tightlip/tightlip/internal/lazy"
)

// pemBlock matches one block, also where newlines are written \n.
var pemBlock = lazy.Regexp(`(?s)-----BEGIN ([A-Z0-9 ]+)-----(.*?)-----END [A-Z0-9 ]+-----`)

// pemFields are the contents of the blocks that are not public; if all are, of all of them. Text around the blocks
// counts only if it is of a known format too.
func pemFields(v []byte) []part {
	blocks := pemBlock().FindAllSubmatch(v, -1)
	if blocks == nil {
		return nil
	}
	parts := []part{}
	for _, block := range blocks {
		if !isPublicBlock(string(block[1])) {
			parts = append(parts, pemBody(block[2])...)
		}
	}
	if len(parts) == 0 {
		for _, block := range blocks {
			parts = append(parts, pemBody(block[2])...)
		}
	}
	return append(parts, recognise(pemBlock().ReplaceAll(v, nil))...)
}

func isPublicBlock(label string) bool {
	return strings.Contains(label, "CERTIFICATE") || strings.Contains(label, "PUBLIC") ||
		strings.Contains(label, "PARAMETERS") || strings.Contains(label, "X509 CRL")
}

// pemBody is the base64 of a block in one piece, each of its lines that holds something secret, and its DER.
func pemBody(body []byte) []part {
	body = bytes.ReplaceAll(body, []byte(`\n`), []byte("\n"))
	var lines [][]byte
	for line := range bytes.Lines(body) {
		if line = bytes.TrimSpace(line); len(line) > 0 && !bytes.Contains(line, []byte(":")) {
			lines = append(lines, line)
		}
	}
	joined := bytes.Join(lines, nil)
	lo, hi := 0, len(joined)
	var parts []part
	der, err := base64.StdEncoding.AppendDecode(nil, joined)
	if err == nil {
		from, to := secretDER(der)
		lo, hi = from*4/3, min((to*4+2)/3, hi)
		parts = append(parts, part{form: form{text: der, lo: from, hi: to}, opaque: true})
	}
	parts = append(parts, part{form: form{text: joined, lo: lo, hi: hi}, opaque: true})
	at := 0
	for _, line := range lines {
		if from, to := max(lo-at, 0), min(hi-at, len(line)); to-from >= MinLen {
			parts = append(parts, part{form: form{text: line, lo: from, hi: to}, opaque: true})
		}
		at += len(line)
	}
	return parts
}

// secretDER is the range of a private key's encoding that is secret. The rest is the same in every key of its kind,
// or the public key, which clean images do hold.
func secretDER(der []byte) (lo, hi int) {
	if lo, hi := opensshSecret(der); hi > 0 {
		return lo, hi
	}
	secret, tail := privateNumber(der)
	at := bytes.Index(der, secret)
	switch {
	case len(secret) == 0 || at < 0:
		return 0, len(der)
	case tail:
		return at, len(der)
	}
	return at, at + len(secret)
}

// privateNumber is the secret number of a key in PKCS #1, PKCS #8 or SEC 1; tail means that all after it is secret.
func privateNumber(der []byte) (number []byte, tail bool) {
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return key.D.Bytes(), true
	}
	if key, err := x509.ParseECPrivateKey(der); err == nil {
		number, _ := key.Bytes()
		return number, false
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, false
	}
	switch key := key.(type) {
	case *rsa.PrivateKey:
		return key.D.Bytes(), true
	case *ecdsa.PrivateKey:
		number, _ := key.Bytes()
		return number, false
	case ed25519.PrivateKey:
		return key.Seed(), false
	}
	return nil, false
}

// opensshPublic is how many fields of each kind of key come before its secret ones (PROTOCOL.key, section 3).
var opensshPublic = map[string]int{"ssh-ed25519": 1, "ecdsa-sha2-nistp256": 2, "ecdsa-sha2-nistp384": 2,
	"ecdsa-sha2-nistp521": 2, "ssh-rsa": 2, "ssh-dss": 4}

// opensshSecret is the secret range of a key in OpenSSH's own format, empty if data is something else.
func opensshSecret(data []byte) (lo, hi int) {
	rest, ok := bytes.CutPrefix(data, []byte("openssh-key-v1\x00"))
	if !ok {
		return 0, 0
	}
	for range 3 { // cipher, key derivation, its options
		_, rest = sshString(rest)
	}
	if len(rest) < 4 {
		return 0, 0
	}
	_, rest = sshString(rest[4:]) // public key
	if len(rest) < 12 {
		return 0, 0
	}
	kind, inner := sshString(rest[12:]) // after a length and two check numbers
	fields, known := opensshPublic[string(kind)]
	for range fields {
		_, inner = sshString(inner)
	}
	at := len(data) - len(inner) + 4
	switch {
	case !known || len(inner) < 4: // encrypted, or of another kind
		return len(data) - len(rest) + 4, len(data)
	case string(kind) == "ssh-ed25519": // the public key follows its seed
		return at, min(at+ed25519.SeedSize, len(data))
	}
	return at, len(data)
}

// sshString splits off a string with its length before it, nil if there is none.
func sshString(b []byte) (text, rest []byte) {
	if len(b) < 4 {
		return nil, nil
	}
	n := uint64(binary.BigEndian.Uint32(b))
	if n > uint64(len(b)-4) {
		return nil, nil
	}
	return b[4 : 4+n], b[4+n:]
}
