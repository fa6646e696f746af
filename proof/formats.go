package proof

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"slices"
	"strings"

	"github.com/tightlip/tightlip/internal/lazy"
)

// recognise returns the secret fields of v if it is of a known format, else nil.
//
// What it leaves out makes no needle of its own: host names, URLs and boundary lines are in many clean images.
func recognise(v []byte) []part {
	for _, format := range []func([]byte) []part{jsonFields, pemFields, netrcFields, urlFields, settingFields} {
		if parts := format(v); parts != nil {
			return parts
		}
	}
	return nil
}

// secretName matches the names of fields that hold secrets, and publicName exceptions from it.
var (
	secretName = lazy.Regexp(`(?i)pass|pwd|token|secret|key|auth|credential|private`)
	publicName = lazy.Regexp(`(?i)public|author|certificate|ur[il]$|(^|[_-])(id|type|name|email)$|[a-z]I[dD]$`)
)

func looksSecret(name string) bool {
	return secretName().MatchString(name) && !publicName().MatchString(name)
}

// named is a field with its name.
type named struct {
	name   string
	text   string
	secret bool // by its name or that of what it is in
}

// pick takes the fields whose names look secret or, if none does, all that are long enough. A URL is secret only for
// the password in it.
func pick(fields []named) []part {
	parts := []part{}
	anySecret := false
	for _, f := range fields {
		anySecret = anySecret || f.secret && len(f.text) >= MinLen && !isPlainURL(f.text)
	}
	for _, f := range fields {
		if isPlainURL(f.text) {
			continue
		}
		if f.secret || !anySecret && len(f.text) >= MinLen || urlPassword(f.text) != nil {
			parts = append(parts, field([]byte(f.text)))
			parts = append(parts, credentials(f)...)
		}
	}
	return parts
}

// credentials decodes fields that hold base64 by convention: npm's _auth and _password, Docker's auth.
func credentials(f named) []part {
	name := f.name[strings.LastIndexByte(f.name, ':')+1:]
	if name != "auth" && name != "_auth" && name != "_password" {
		return nil
	}
	plain, err := base64.StdEncoding.DecodeString(f.text)
	if err != nil {
		return nil
	}
	parts := []part{field(plain)}
	if _, password, ok := bytes.Cut(plain, []byte(":")); ok && name != "_password" {
		parts = append(parts, field(password))
	}
	return parts
}

// jsonFields are the strings of a JSON document.
func jsonFields(v []byte) []part {
	v = bytes.TrimSpace(v)
	if len(v) == 0 || !bytes.ContainsAny(v[:1], `{["`) {
		return nil
	}
	var doc any
	if json.Unmarshal(v, &doc) != nil {
		return nil
	}
	var fields []named
	walkJSON(doc, "", false, func(f named) { fields = append(fields, f) })
	return pick(fields)
}

// walkJSON calls leaf for each string in doc. In Docker's config.json only the fields that are credentials are
// secret, not all below "auths".
func walkJSON(doc any, name string, secret bool, leaf func(named)) {
	switch doc := doc.(type) {
	case string:
		leaf(named{name: name, text: doc, secret: secret})
	case []any:
		for _, item := range doc {
			walkJSON(item, name, secret, leaf)
		}
	case map[string]any:
		for key, item := range doc {
			inherited := secret && name != "auths"
			walkJSON(item, key, inherited || key != "auths" && looksSecret(key), leaf)
		}
	}
}

// netrcFields are the passwords of a netrc file.
func netrcFields(v []byte) []part {
	words := strings.Fields(withoutComments(v))
	if len(words) < 3 || words[0] != "machine" && words[0] != "default" {
		return nil
	}
	parts := []part{}
	login := ""
	for i := 0; i+1 < len(words); i++ {
		word := strings.Trim(words[i+1], `"`)
		switch {
		case words[i] == "login":
			login = word
		case words[i] == "password" && word == "x-oauth-basic":
			parts = append(parts, field([]byte(login))) // GitHub took tokens as user names
		case words[i] == "password" || words[i] == "account":
			parts = append(parts, field([]byte(word)))
		default:
			continue
		}
		i++
	}
	return parts
}

// withoutComments is v without lines that start with # or ;.
func withoutComments(v []byte) string {
	var out strings.Builder
	for line := range bytes.Lines(v) {
		if text := bytes.TrimSpace(line); len(text) > 0 && !bytes.ContainsAny(text[:1], "#;") {
			out.Write(text)
			out.WriteByte('\n')
		}
	}
	return out.String()
}

// urlFields are the passwords in lines that all are URLs with a user, as in git-credentials.
func urlFields(v []byte) []part {
	parts := []part{}
	for line := range strings.Lines(withoutComments(v)) {
		passwords := urlPassword(strings.TrimSpace(line))
		if passwords == nil {
			return nil
		}
		parts = append(parts, passwords...)
	}
	if len(parts) == 0 {
		return nil
	}
	return parts
}

// urlPassword is the password in a URL, or its user if that is alone, decoded and as it is written.
func urlPassword(text string) []part {
	u, err := url.Parse(text)
	if err != nil || u.User == nil || u.Host == "" {
		return nil
	}
	written := strings.TrimPrefix(text[:strings.LastIndexByte(text, '@')], u.Scheme+"://")
	plain := u.User.Username()
	if password, ok := u.User.Password(); ok {
		plain = password
		_, written, _ = strings.Cut(written, ":")
	}
	return []part{{form: whole([]byte(plain)), opaque: true}, {form: whole([]byte(written)), opaque: true}}
}

// isPlainURL reports whether text is a URL, with no credentials in it.
func isPlainURL(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Host != "" && u.Scheme != "" && u.User == nil && u.RawQuery == "" && u.Fragment == ""
}

// setting matches one line of a dotenv, properties, ini or npmrc file, or of flat YAML.
var setting = lazy.Regexp(`^(?:export |- )?\s*([\w./@:-]*[\w./@-])(?:\s*=\s*|:\s+|:$)(.*)$`)

// settingFields are the values of a file that consists of nothing but names and values.
func settingFields(v []byte) []part {
	var fields []named
	for line := range strings.Lines(withoutComments(v)) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") && strings.HasSuffix(line, "]") || line == "---" {
			continue
		}
		match := setting().FindStringSubmatch(line)
		if match == nil || strings.Trim(match[2], "=|>-") == "" && !strings.HasSuffix(line, ":") {
			return nil
		}
		if nested := strings.TrimLeft(match[2], " "); strings.HasPrefix(nested, "{") || strings.HasPrefix(nested, "[") {
			return nil // who knows what is in it
		}
		f := named{name: match[1], text: unquote(match[2]), secret: looksSecret(match[1])}
		if f.secret && len(f.text) < MinLen && !isSwitch(f.text) {
			f.text = line // the value is too short to be searched for alone
		}
		fields = append(fields, f)
	}
	if len(fields) == 0 {
		return nil
	}
	return pick(fields)
}

// isSwitch reports whether the value of a setting says no more than yes or no.
func isSwitch(text string) bool {
	return slices.Contains([]string{"", "true", "false", "yes", "no", "on", "off", "null"}, strings.ToLower(text))
}

// unquote removes quotes, and the escapes within double ones.
func unquote(text string) string {
	if len(text) < 2 || text[0] != text[len(text)-1] || !strings.ContainsAny(text[:1], `"'`) {
		return text
	}
	inner := text[1 : len(text)-1]
	if text[0] == '"' {
		inner = strings.NewReplacer(`\n`, "\n", `\"`, `"`, `\\`, `\`).Replace(inner)
	}
	return inner
}
