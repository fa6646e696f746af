package detect

import (
	"encoding/base64"
	"strings"
	"unicode/utf8"

	"github.com/tightlip/tightlip/internal/lazy"
)

// part is what of a setting's value is a credential. The zero value is no credential.
type part struct {
	from, to int
	encoding string
}

// judge decides what of a value is a credential. It gets the key as the file has it.
type judge func(key, value string) part

func all(value, encoding string) part { return part{0, len(value), encoding} }

// whatever takes any value: its reader has looked closely already.
func whatever(_, value string) part { return all(value, "") }

// plain takes any value that is not only a place for one.
func plain(_, value string) part {
	if placeholder(value) || value == "x-oauth-basic" {
		return part{}
	}
	return all(value, "")
}

// elsewhere is for paths, addresses, and connection strings.
var elsewhere = lazy.Regexp(`^(/|\./|\.\./|~/|file:|[A-Za-z]:\\)|://|^[A-Za-z][\w .]*=[^;]*;`)

// named takes the password in an address or connection string, and the values of settings that are called secrets.
func named(key, value string) part {
	found := connection(key, value)
	if found.to == 0 && secretName(key) && !elsewhere().MatchString(value) {
		return plain(key, value)
	}
	return found
}

// oneWord takes values without white space: where marks are all that is known of a file, prose is likely.
func oneWord(key, value string) part {
	if strings.ContainsAny(value, " \t\n()") || harmlessValue(strings.TrimRight(value, ",")) {
		return part{}
	}
	return plain(key, value)
}

// hardToGuess takes passwords that are none of an example.
func hardToGuess(_, value string) part {
	if !password(value, "") {
		return part{}
	}
	return all(value, "")
}

// of takes values of a certain shape.
func of(shape string) judge {
	re := lazy.Regexp(`^(?:` + shape + `)$`)
	return func(key, value string) part {
		if !re().MatchString(value) {
			return part{}
		}
		return plain(key, value)
	}
}

// within takes the first group of a shape that values start with.
func within(shape string) judge {
	re := lazy.Regexp(`^(?:` + shape + `)`)
	return func(_, value string) part {
		m := re().FindStringSubmatchIndex(value)
		if m == nil || placeholder(value[m[2]:m[3]]) {
			return part{}
		}
		return part{m[2], m[3], ""}
	}
}

// sealed takes values that are encrypted, in braces.
func sealed(_, value string) part {
	if len(value) < 16 || value[0] != '{' || value[len(value)-1] != '}' {
		return part{}
	}
	return all(value, "")
}

// hashShape is what crypt makes of passwords, and the likes of it.
var hashShape = lazy.Regexp(`^(\$[0-9A-Za-z-]+\$.{8,}|\{[A-Z0-9]*SHA[0-9]*\}.{8,}|[./0-9A-Za-z]{13}|(argon2|sha1|sha256|pbkdf2)[a-z0-9_]*[:$].{16,})$`)

// hashed takes what passwords are compared with.
func hashed(_, value string) part {
	if !hashShape().MatchString(value) {
		return part{}
	}
	return all(value, "")
}

// oneAlphabet rewrites base64 for URLs as the common one, on one line.
var oneAlphabet = strings.NewReplacer("-", "+", "_", "/", "\n", "", " ", "")

// decode reads base64 with or without padding, of both alphabets.
func decode(value string) ([]byte, bool) {
	out, err := base64.RawStdEncoding.DecodeString(oneAlphabet.Replace(strings.TrimRight(value, "=")))
	return out, err == nil && len(out) > 0
}

// decodeText is decode for what is a text.
func decodeText(value string) (string, bool) {
	out, ok := decode(value)
	if !ok || !utf8.Valid(out) {
		return "", false
	}
	for _, c := range out {
		if c < ' ' && !isBlank(c) {
			return "", false
		}
	}
	return string(out), true
}

// basic takes the base64 of user:password, if there is a password, or anything else that is no base64.
func basic(key, value string) part {
	text, ok := decodeText(value)
	if !ok {
		return plain(key, value)
	}
	_, password, ok := strings.Cut(text, ":")
	if placeholder(value) || ok && placeholder(password) {
		return part{}
	}
	return all(value, "base64")
}

// encoded takes the base64 of a value, or the value itself.
func encoded(key, value string) part {
	if text, ok := decodeText(value); ok {
		if placeholder(text) {
			return part{}
		}
		return all(value, "base64")
	}
	return plain(key, value)
}

// inBase64 takes the base64 of a text, and no other value.
func inBase64(_, value string) part {
	if text, ok := decodeText(value); ok && !placeholder(text) {
		return all(value, "base64")
	}
	return part{}
}

// binary64 takes base64 of anything.
func binary64(key, value string) part {
	if out, ok := decode(value); ok && !placeholder(value) && !placeholder(string(out)) {
		return all(value, "base64")
	}
	return part{}
}

// inURL takes the first password in the addresses in a value.
func inURL(_, value string) (found part) {
	readURLs([]byte(value), func(p pair) bool {
		if !placeholder(p.value) {
			found = part{p.start, p.end, ""}
		}
		return found.to == 0
	})
	return found
}

// passwordIn finds the password in connection strings, "Server=…;Password=…" and "host=… password=…".
var passwordIn = lazy.Regexp(`(?i)(?:^|[;,& ?])(?:password|pwd|accountkey|sharedaccesskey|secret)\s*=\s*['"]?([^;,&'" ]+)`)

// connection takes the password in an address or in a connection string.
func connection(key, value string) part {
	if found := inURL(key, value); found.to > 0 {
		return found
	}
	if m := passwordIn().FindStringSubmatchIndex(value); m != nil && strings.Count(value, "=") > 1 && !placeholder(value[m[2]:m[3]]) {
		return part{m[2], m[3], ""}
	}
	return part{}
}

// afterUser takes the password of user:password.
func afterUser(_, value string) part {
	n := strings.IndexAny(value, ":,")
	if n < 0 || strings.Contains(value, "://") || strings.ContainsAny(value, " \t") || placeholder(value[n+1:]) {
		return part{}
	}
	return part{n + 1, len(value), ""}
}

// identity takes user:password as it is or in base64.
func identity(key, value string) part {
	if found := afterUser(key, value); found.to > 0 {
		return found
	}
	return basic(key, value)
}

// userOrToken takes the password of user:password, or else a value that is as long as a token and no option, path or address.
func userOrToken(key, value string) part {
	if found := afterUser(key, value); found.to > 0 {
		return found
	}
	if len(value) < 16 || strings.ContainsAny(value, " /:") || value[0] == '-' {
		return inURL(key, value)
	}
	return plain(key, value)
}

// inHeader takes what an Authorization header proves itself with.
func inHeader(key, value string) part {
	words := strings.Fields(value)
	if len(words) < 2 || !strings.Contains(strings.ToLower(value), "auth") && !strings.Contains(strings.ToLower(value), "token") {
		return part{}
	}
	last := words[len(words)-1]
	found := plain(key, last)
	if strings.EqualFold(words[len(words)-2], "basic") {
		found = basic(key, last)
	}
	if found.to > 0 {
		found.from, found.to = len(value)-len(last), len(value)
	}
	return found
}

// lastWord takes the last of at least two words.
func lastWord(key, value string) part {
	n := strings.LastIndexAny(value, " \t") + 1
	if n == 0 || placeholder(value[n:]) {
		return part{}
	}
	return part{n, len(value), ""}
}
