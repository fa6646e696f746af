package detect

import (
	"bytes"
	"encoding/base64"
	"strings"
)

const (
	beginPEM = "-----BEGIN "
	dashes   = "-----"
	locked   = ", encrypted" // behind the key of what needs a passphrase

	maxLabel   = 64
	maxHeader  = 128
	minBody    = 60      // characters of base64; the smallest key has 64
	minDER     = 46      // bytes; Ed25519 in PKCS #8 has 48
	minOpenSSH = 120     // bytes after the magic; Ed25519 has about 200
	maxBody    = 8 << 10 // bytes of a body that are looked at
)

// readPEM reads the private keys in a text: the key is what they are called, such as "RSA PRIVATE KEY", and whether they are encrypted.
// Their lines may be joined by \n, as in JSON, or by spaces. What is between the dashes has to be a key, so that a program that
// only looks for keys has none.
func readPEM(text []byte, yield func(pair) bool) {
	for at := 0; at < len(text); {
		start := indexFrom(text, at, beginPEM)
		label, body := pemLabel(text, start)
		if label == "" {
			at = min(start+len(beginPEM), len(text))
			continue
		}
		end := indexFrom(text, body, dashes)
		at = end
		footer := "-----END " + label + dashes
		isWhole := bytes.HasPrefix(text[end:], []byte(footer))
		kind := pemKind(label, text[body:end], isWhole)
		if kind == "" {
			continue
		}
		if isWhole {
			end += len(footer)
		}
		at = end
		if !yield(pair{kind, string(text[start:end]), start, end}) {
			return
		}
	}
}

// pemLabel is what a block is called, if that is a private key, and where its body starts.
func pemLabel(text []byte, start int) (label string, body int) {
	from := min(start+len(beginPEM), len(text))
	head := text[from:min(from+maxLabel, len(text))]
	n := bytes.Index(head, []byte(dashes))
	if n < 0 {
		return "", 0
	}
	label = string(head[:n])
	if !strings.HasSuffix(label, "PRIVATE KEY") && !strings.HasSuffix(label, "PRIVATE KEY BLOCK") {
		return "", 0
	}
	return label, from + n + len(dashes)
}

// pemKind is what the body of a block holds: the label, with a mark if it is encrypted, or "" if it is no key.
func pemKind(label string, body []byte, isWhole bool) string {
	der := pemBytes(body)
	isLocked := strings.HasPrefix(label, "ENCRYPTED") || bytes.Contains(body[:min(len(body), 256)], []byte("4,ENCRYPTED"))
	ok := false
	switch {
	case strings.HasPrefix(label, "PGP"):
		ok, isLocked = pgpSecret(der)
	case strings.HasPrefix(label, "OPENSSH"):
		var cipher []byte
		cipher, ok = bytes.CutPrefix(der, []byte("openssh-key-v1\x00\x00\x00\x00"))
		ok = ok && len(cipher) >= minOpenSSH
		isLocked = !bytes.HasPrefix(cipher, []byte("\x04none"))
	case isLocked && !strings.HasPrefix(label, "ENCRYPTED"):
		ok = len(der) > 0 // the whole body is encrypted
	default:
		size := derSize(der)
		ok = size >= minDER && (size <= len(der) || !isWhole || len(body) > maxBody)
	}
	switch {
	case !ok:
		return ""
	case isLocked:
		return label + locked
	}
	return label
}

// derSize is how many bytes the sequence has that starts a text, with its header, or 0 if there is none.
func derSize(der []byte) int {
	at := derHeader(der, 0)
	switch at {
	case 0:
		return 0
	case 2:
		return 2 + int(der[1])
	}
	size := 0
	for _, c := range der[2:at] {
		size = size<<8 | int(c)
	}
	return at + size
}

// unbroken undoes what programs do to a body: line breaks as escapes, quotes and commas around lines.
var unbroken = strings.NewReplacer(`\n`, "\n", `\r`, "\n", `\t`, " ", `\`, " ", `"`, " ", `'`, " ", ",", " ")

// pemBytes decodes the start of a body: its words that are base64, and not in a header.
func pemBytes(body []byte) []byte {
	var chars []byte
	for line := range strings.SplitSeq(unbroken.Replace(string(body[:min(len(body), maxBody)])), "\n") {
		if len(line) < maxHeader && strings.Contains(line, ":") {
			continue
		}
		for word := range strings.FieldsSeq(line) {
			word = strings.TrimRight(word, "=")
			if (len(word) >= 16 || len(chars) > 0) && isStdBase64(word) {
				chars = append(chars, word...)
			}
		}
	}
	if len(chars) < minBody {
		return nil
	}
	out := make([]byte, base64.RawStdEncoding.DecodedLen(len(chars)))
	n, _ := base64.RawStdEncoding.Decode(out, chars) // as far as it goes
	return out[:n]
}

func isStdBase64(word string) bool {
	for i := range len(word) {
		if c := word[i]; !isAlnum(c) && c != '+' && c != '/' {
			return false
		}
	}
	return true
}
