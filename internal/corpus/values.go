package corpus

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"
)

// random is a source of values.
type random struct{ *rand.Rand }

const (
	digits = "0123456789"
	upper  = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	lower  = "abcdefghijklmnopqrstuvwxyz"
	alnum  = digits + upper + lower
	word   = alnum + "-_"
	hashed = "./" + alnum
	noise  = alnum + "!#%&()*+,-./:;<=>?@[]^_{|}~" // that of WordPress and Django, without quotes, $ and backslashes
)

// kinds are values without a shape of their own. n is a length in characters, or in bytes before an encoding.
var kinds = map[string]func(r random, n int) string{
	"pass":        func(r random, _ int) string { return r.password("-_.!+*") },
	"odd":         func(r random, _ int) string { return r.password("#@$%^&") },
	"human":       func(r random, _ int) string { return r.human() },
	"alnum":       func(r random, n int) string { return r.mixed(alnum, n) },
	"upper":       func(r random, n int) string { return r.from(upper, n) },
	"base36":      func(r random, n int) string { return r.from(digits+lower, n) },
	"digits":      func(r random, n int) string { return r.from(digits, n) },
	"hex":         func(r random, n int) string { return r.mixed("0123456789abcdef", n) },
	"word":        func(r random, n int) string { return r.from(word, n) },
	"hash":        func(r random, n int) string { return r.from(hashed, n) },
	"noise":       func(r random, n int) string { return r.from(noise, n) },
	"b64":         func(r random, n int) string { return base64.StdEncoding.EncodeToString(r.bytes(n)) },
	"b64url":      func(r random, n int) string { return base64.RawURLEncoding.EncodeToString(r.bytes(n)) },
	"b64lines":    func(r random, n int) string { return fold(base64.StdEncoding.EncodeToString(r.bytes(n))) },
	"uuid":        func(r random, _ int) string { return r.uuid() },
	"bcrypt":      func(r random, _ int) string { return "$2y$10$" + r.from(hashed, 53) },
	"apr1":        func(r random, _ int) string { return "$apr1$" + r.from(hashed, 8) + "$" + r.from(hashed, 22) },
	"sha512crypt": func(r random, _ int) string { return "$6$" + r.from(hashed, 16) + "$" + r.from(hashed, 86) },
	"yescrypt":    func(r random, _ int) string { return "$y$j9T$" + r.from(hashed, 22) + "$" + r.from(hashed, 43) },
	"ppk":         func(r random, _ int) string { return r.putty() },

	"github":          func(r random, _ int) string { return r.checked("ghp_") },
	"github-oauth":    func(r random, _ int) string { return r.checked("gho_") },
	"github-app":      func(r random, _ int) string { return r.checked("ghs_") },
	"npm":             func(r random, _ int) string { return r.checked("npm_") },
	"grafana":         func(r random, _ int) string { return r.grafana() },
	"gitlab-routable": func(r random, _ int) string { return r.routable() },
	"pypi":            func(r random, _ int) string { return r.pypi() },
	"jwt":             func(r random, _ int) string { return r.jwt() },
	"azure-storage":   func(r random, _ int) string { return r.azureStorage() },
	"discord-bot":     func(r random, _ int) string { return r.discordBot() },
}

func (r random) from(alphabet string, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[r.IntN(len(alphabet))]
	}
	return string(b)
}

// mixed has a digit among its first characters, and a letter: short hex strings would otherwise now and then have none.
func (r random) mixed(alphabet string, n int) string {
	for {
		s := r.from(alphabet, n)
		if strings.ContainsAny(s, digits) && strings.ContainsAny(s, upper+lower) {
			return s
		}
	}
}

// bytes begin with two whose base64 is no slash, so that no encoded value looks like a path.
func (r random) bytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	b[0] &= 0x7f
	return b
}

// password is what a password manager makes: 14 to 20 characters, of which one or two are signs.
func (r random) password(signs string) string {
	n := 14 + r.IntN(7)
	b := []byte(r.mixed(alnum, n))
	b[0] = r.from(upper+lower, 1)[0]
	for range 1 + r.IntN(2) {
		b[2+r.IntN(n-4)] = r.from(signs, 1)[0]
	}
	return string(b)
}

var (
	adjectives = strings.Fields("Winter Copper Silent Amber Rapid Velvet Crimson Hollow Sunny Marble Frozen Lucky Rusty Golden Misty Brave")
	nouns      = strings.Fields("Kestrel Lantern Harbor Badger Meadow Falcon Pebble Thistle Walrus Comet Orchard Beacon Otter Glacier Maple Puffin")
)

// human is what a person makes up under a policy.
func (r random) human() string {
	a, n := adjectives[r.IntN(len(adjectives))], nouns[r.IntN(len(nouns))]
	number, sign := 10+r.IntN(90), r.from("!*+", 1)
	return fmt.Sprintf([]string{"%s-%s%d%s", "%s%s%d%s", "%s_%s.%d%s"}[r.IntN(3)], a, n, number, sign)
}

func (r random) uuid() string {
	b := r.bytes(16)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// putty is a private key as PuTTY writes it. See https://tartarus.org/~simon/putty-snapshots/htmldoc/AppendixC.html.
func (r random) putty() string {
	enc := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\nComment: deploy@corp\nPublic-Lines: 2\n%s\n%s\nPrivate-Lines: 1\n%s\nPrivate-MAC: %x",
		enc(r.bytes(48)), enc(r.bytes(3)), enc(r.bytes(36)), r.bytes(32))
}

// fold breaks a text into lines of 64 characters.
func fold(s string) string {
	var lines []string
	for len(s) > 64 {
		lines, s = append(lines, s[:64]), s[64:]
	}
	return strings.Join(append(lines, s), "\n")
}

func hexOf(b []byte) string { return hex.EncodeToString(b) }
