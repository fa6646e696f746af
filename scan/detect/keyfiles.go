package detect

import (
	"bytes"
	"encoding/binary"
	"strings"
)

// The files in this list are keys as a whole. They are binary, so their readers look closely: none of them takes just any file
// that happens to start with the right bytes.

// file gives all of a text as one value.
func file(text []byte, key string, yield func(pair) bool) {
	yield(pair{key, string(text), 0, len(text)})
}

var (
	oidData        = []byte("\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01")         // 1.2.840.113549.1.7.1, RFC 5652
	oidKeyBag      = []byte("\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x0a\x01\x01") // 1.2.840.113549.1.12.10.1.1, RFC 7292
	oidShroudedBag = []byte("\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x0a\x01\x02")
)

// readPKCS12 reads PKCS #12 (RFC 7292) with a private key in it. Those that only hold certificates, like Java's trust stores, have
// no bag for one.
func readPKCS12(text []byte, yield func(pair) bool) {
	at := derHeader(text, 0)
	if at == 0 || !bytes.HasPrefix(text[at:], []byte("\x02\x01\x03")) { // the version
		return
	}
	at = derHeader(text, at+3)
	if at == 0 || !bytes.HasPrefix(text[at:], oidData) {
		return
	}
	if bytes.Contains(text, oidKeyBag) || bytes.Contains(text, oidShroudedBag) {
		file(text, "", yield)
	}
}

// derHeader is where the content of the sequence at a place starts, or 0 if there is none.
func derHeader(text []byte, at int) int {
	if at+2 > len(text) || text[at] != 0x30 {
		return 0
	}
	switch size := text[at+1]; {
	case size < 0x81: // 0x80 is a length to be found at the end
		return at + 2
	case size <= 0x84 && at+2+int(size&0x7f) <= len(text):
		return at + 2 + int(size&0x7f)
	}
	return 0
}

const (
	jksMagic   = "\xfe\xed\xfe\xed"
	jceksMagic = "\xce\xce\xce\xce"

	trustedEntry = 2      // of a certificate; 1 is a private key, 3 a secret one
	maxAlias     = 1 << 9 // bytes
)

// readKeystore reads Java's own key stores, JKS and JCEKS, with a key in them. Trust stores have certificates only.
func readKeystore(text []byte, yield func(pair) bool) {
	if len(text) < 12 || string(text[:4]) != jksMagic && string(text[:4]) != jceksMagic {
		return
	}
	version, count := binary.BigEndian.Uint32(text[4:]), binary.BigEndian.Uint32(text[8:])
	if version == 0 || version > 2 {
		return
	}
	at := 12
	for range min(count, 1<<12) {
		kind, next := keystoreEntry(text, at)
		switch {
		case next == 0:
			return
		case kind != trustedEntry:
			file(text, "", yield)
			return
		}
		at = next
	}
}

// keystoreEntry reads an entry's kind, and returns the place after it if it is a certificate, and 0 if it is none of them.
func keystoreEntry(text []byte, at int) (kind uint32, next int) {
	if at+6 > len(text) {
		return 0, 0
	}
	kind = binary.BigEndian.Uint32(text[at:])
	alias := int(binary.BigEndian.Uint16(text[at+4:]))
	at += 6 + alias + 8 // and the date
	if kind == 0 || kind > 3 || alias > maxAlias || at+2 > len(text) {
		return 0, 0
	}
	if kind != trustedEntry {
		return kind, at
	}
	at += 2 + int(binary.BigEndian.Uint16(text[at:])) // the certificate's type
	if at+4 > len(text) {
		return 0, 0
	}
	return kind, at + 4 + int(binary.BigEndian.Uint32(text[at:]))
}

const (
	keepassMagic  = "\x03\xd9\xa2\x9a\x67\xfb\x4b\xb5" // KeePass 2
	keepass1Magic = "\x03\xd9\xa2\x9a\x65\xfb\x4b\xb5"
)

// readKeePass reads KeePass's databases.
func readKeePass(text []byte, yield func(pair) bool) {
	if len(text) >= 64 && (string(text[:8]) == keepassMagic || string(text[:8]) == keepass1Magic) {
		file(text, "", yield)
	}
}

// readGnuPG reads the first packet of GnuPG's secret keys.
func readGnuPG(text []byte, yield func(pair) bool) {
	switch ok, isLocked := pgpSecret(text); {
	case ok && isLocked:
		file(text, "PGP"+locked, yield)
	case ok:
		file(text, "PGP", yield)
	}
}

// pgpSecret tells whether a text starts with an OpenPGP packet of a secret key (RFC 9580, section 5.5.3) of version 4, and whether
// that needs a passphrase.
func pgpSecret(text []byte) (ok, isLocked bool) {
	tag, body := pgpPacket(text)
	if tag != 5 && tag != 7 || len(body) < 6 || body[0] != 4 || binary.BigEndian.Uint32(body[1:]) < 1<<29 { // made before 1987
		return false, false
	}
	at := pgpPublic(body[5], body[6:])
	if at <= 0 || 6+at >= len(body) {
		return false, false
	}
	switch usage := body[6+at]; {
	case usage == 0:
		return true, false
	case usage <= 13 || usage >= 253: // a cipher, or how the passphrase makes a key
		return true, true
	}
	return false, false
}

// pgpPacket is the tag and the content of the packet that a text starts with, as far as it is there.
func pgpPacket(text []byte) (tag byte, body []byte) {
	if len(text) < 6 || text[0]&0x80 == 0 {
		return 0, nil
	}
	sizes := text[1:]
	if text[0]&0x40 == 0 { // the old form
		n := 1 << (text[0] & 3)
		if n > 4 {
			return 0, nil
		}
		return text[0] >> 2 & 0xf, sizes[n:]
	}
	switch n := sizes[0]; {
	case n < 192:
		return text[0] & 0x3f, sizes[1:]
	case n < 224:
		return text[0] & 0x3f, sizes[2:]
	case n == 255:
		return text[0] & 0x3f, sizes[5:]
	}
	return 0, nil
}

// pgpPublic is how long the public part of a key of an algorithm is, or -1 if it is not like one.
func pgpPublic(algorithm byte, key []byte) int {
	numbers, at := 0, 0
	switch algorithm {
	case 1, 2, 3: // RSA
		numbers = 2
	case 16: // Elgamal
		numbers = 3
	case 17: // DSA
		numbers = 4
	case 18, 19, 22: // ECDH, ECDSA, EdDSA, after the object identifier of a curve
		if len(key) == 0 || key[0] < 3 || key[0] > 16 {
			return -1
		}
		numbers, at = 1, 1+int(key[0])
	case 25, 27: // X25519, Ed25519
		at = 32
	default:
		return -1
	}
	for range numbers {
		if at+2 > len(key) {
			return -1
		}
		bits := int(binary.BigEndian.Uint16(key[at:]))
		if bits == 0 || bits > 1<<14 {
			return -1
		}
		at += 2 + (bits+7)/8
	}
	if algorithm == 18 && at < len(key) { // how a key is derived
		at += 1 + int(key[at])
	}
	return at
}

// readAgentKey reads the keys of GnuPG's agent, S-expressions in text or in canonical form. Those on smart cards are only "shadowed".
func readAgentKey(text []byte, yield func(pair) bool) {
	head := "\n" + string(text[:min(len(text), 1<<12)])
	start := strings.TrimSpace(head)
	if n := strings.LastIndex(head, "\nKey: "); n >= 0 {
		start = head[n+len("\nKey: "):]
	}
	switch {
	case hasAnyPrefix(start, "(private-key", "(11:private-key("):
		file(text, "GnuPG", yield)
	case hasAnyPrefix(start, "(protected-private-key", "(21:protected-private-key(", "(openpgp-private-key", "(19:openpgp-private-key("):
		file(text, "GnuPG"+locked, yield)
	}
}

func hasAnyPrefix(s string, prefixes ...string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(s, p) {
			return true
		}
	}
	return false
}

const puttyMark = "PuTTY-User-Key-File-"

// readPuTTY reads PuTTY's keys.
func readPuTTY(text []byte, yield func(pair) bool) {
	end := indexFrom(text, 0, "\nPrivate-Lines:")
	if !bytes.HasPrefix(text, []byte(puttyMark)) || end == len(text) {
		return
	}
	key := "PuTTY"
	if !bytes.Contains(text[:end], []byte("\nEncryption: none")) {
		key += locked
	}
	file(text, key, yield)
}
