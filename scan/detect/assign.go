package detect

import (
	"bytes"
	"encoding/base64"
	"path"
	"strings"
	"unicode"

	"github.com/tightlip/tightlip/finding"
	"github.com/tightlip/tightlip/internal/lazy"
)

// nameAnchors are parts of the names of settings that hold secrets, in any case.
var nameAnchors = []string{
	"passw", "_pass", "pass=", "pass:", "pass\"", "pass'", "passcode", "_pwd", "pwd=", "pwd:", "pwd\"",
	"secret", "token", "apikey", "api_key", "api-key", "access_key", "access-key", "accesskey", "auth_key", "authkey", "auth-key",
	"credential", "private_key", "private-key", "privatekey", "signing_key", "signing-key", "signingkey", "encryption_key", "encryptionkey", "encryption-key",
	"master_key", "master-key", "masterkey", "account_key", "accountkey", "license_key", "licensekey", "deploy_key", "session_key",
	"\npwd", "\npass ", " pass ", "identified by", "passphrase", "pass_phrase", "bindpw", "authtok", "rootpw", " psk ", "psk=", "psk:", "psk\"", "fernet_key", "routing_key", "routing-key", "integration_key",
	"_pw=", "_pw:", "_pw\"", "_auth=", "auth\":", "auth\\\"", "_dsn=", "_pat=", "jwt_", "authorization", "connectionstring", "connection_string", "requirepass", "app_key", "appkey",
}

var genericRule = Rule{
	ID: "generic-secret", Title: "secret by its name", Severity: finding.Medium,
	Why: "A setting that is called a secret has a value that looks random. Who has the image has the value.",
}

var settingRule = Rule{
	ID: "secret-setting", Title: "secret in the image's own settings", Severity: finding.High,
	Why: "Environment, labels, arguments and history are part of the image: docker inspect and docker history show them to anybody who can pull it.",
	Fix: "RUN --mount=type=secret,id=NAME,env=NAME …   # instead of ARG NAME or ENV NAME\n# at run time: docker run --env-file, or the orchestrator's secrets",
}

// maxName is how many bytes of a name on each side of an anchor are looked at.
const maxName = 64

// name looks at the setting whose name has an anchor at the given place.
func (s *search) name(at int) {
	text := s.content.Data
	for at < len(text) && !isNameByte(text[at]) {
		at++ // an anchor may begin before the name
	}
	if at < s.named {
		return
	}
	start, end := at, at
	for start > 0 && at-start < maxName && isNameByte(text[start-1]) {
		start--
	}
	for end < len(text) && end-at < maxName && isNameByte(text[end]) {
		end++
	}
	s.named = end
	name := strings.Trim(string(text[start:end]), ".-")
	if !secretName(name) {
		return
	}
	if name == "PASS" && end < len(text) && text[end] == ':' || start > 0 && text[start-1] == ':' && end+1 < len(text) && text[end] == ':' && text[end+1] > ' ' {
		return // the result of a test; a part of a URN
	}
	settings := isSettings(s.content.Path)
	v, ok := valueAfter(text, start, end, settings && !isProse(s.content.Path))
	if !ok {
		return
	}
	value := string(text[v.start:v.end])
	if isKeyID(name) && bytes.Contains(bytes.ToLower(text[max(0, start-idReach):min(len(text), v.end+idReach)]), []byte("secret")) {
		return
	}
	if placeholder(value) || harmlessValue(value) || s.content.Kind == File && !telling(value, v.quoted, settings) {
		return
	}
	rule := &genericRule
	if s.content.Kind != File {
		rule = &settingRule
	}
	s.add(Match{Rule: rule, Start: v.start, End: v.end, Key: name}, byName, value)
}

// idReach is how many bytes around an access key are searched for the secret that belongs to it.
const idReach = 200

// isKeyID tells whether a setting is called access key: beside a secret key that is the id.
func isKeyID(name string) bool {
	w := nameWords(name)
	return containsRun(w, []string{"access", "key"}) && !containsRun(w, []string{"secret"}) || containsRun(w, []string{"accesskey"})
}

func isNameByte(c byte) bool { return isAlnum(c) || c == '_' || c == '-' || c == '.' }

// setting takes the content for NAME=value. Of what is called a secret any value counts.
func (s *search) setting() {
	name, value, ok := strings.Cut(string(s.content.Data), "=")
	if !ok || !secretName(name) || len(value) < 4 || placeholder(value) && !(telling(value, true, true) && !reference().MatchString(value)) || isPlace(value) {
		return
	}
	s.add(Match{Rule: &settingRule, Start: len(name) + 1, End: len(s.content.Data), Key: name}, byName, value)
}

// reference is a variable that stands for a value.
var reference = lazy.Regexp(`^(\$\{?[A-Za-z_][A-Za-z0-9_]*\}?|\$\(.*\)|\{\{.*\}\}|%[A-Za-z_]+%|<.*>)$`)

// placeShape is a path or an address.
var placeShape = lazy.Regexp(`^(~?/|\./|\.\./)[A-Za-z0-9._-]+(/[A-Za-z0-9._-]*)*$|^[a-z][a-z0-9+.-]*://`)

// isPlace tells whether a value says where a secret is, in words.
func isPlace(value string) bool {
	return placeShape().MatchString(value) && surprise(value) < 4.2*float64(len(value))
}

// span is where a value stands.
type span struct {
	start, end int
	quoted     bool
}

// assignment is what stands between the name of a setting and its value: of shells, programs, JSON, YAML, XML, command lines.
var assignment = lazy.Regexp(`^(?:\\?["'])?\]?(?:[ \t]{0,24}(?:(?::[ \t]*(?:string|str|String|&'static str|&str|char \*|const char \*)[ \t]*=|(?:string|str)[ \t]*=)|:=|=>|===?|[:=]|>|,)[ \t]{0,8}|` +
	`</name>\s{0,40}<value>|\{(?:["'])|[ \t]{1,8}\(?["']|\(["']|[ \t]{1,8}(?:is|to|WITH|BY|FOR \S{1,40}) ["'])`)

// valueAfter finds the value that is assigned to the name in text[start:end]. bare says that blanks alone may stand between them.
func valueAfter(text []byte, start, end int, bare bool) (v span, ok bool) {
	rest := text[end:min(len(text), end+80)]
	m := assignment().FindIndex(rest)
	if m == nil {
		if (bare || text[start] == '-') && len(rest) > 1 && (rest[0] == ' ' || rest[0] == '\t') { // --password value
			return bareValue(text, end+1+countBlanks(rest[1:]))
		}
		return v, false
	}
	op := bytes.TrimSpace(rest[:m[1]])
	at := end + m[1]
	if last := op[len(op)-1]; len(op) > 1 && (last == '"' || last == '\'') || (last == '"' || last == '\'') && rest[0] <= ' ' {
		return quotedValue(text, at, last)
	}
	if at >= len(text) {
		return v, false
	}
	quote := text[at]
	if quote == '\\' && at+1 < len(text) && text[at+1] == '"' { // JSON in JSON
		at, quote = at+1, '"'
	}
	if quote == '"' || quote == '\'' || quote == '`' {
		if bytes.HasPrefix(text[at:], []byte{quote, quote, quote}) { // """text"""
			at += 2
		}
		return quotedValue(text, at+1, quote)
	}
	if op[len(op)-1] == '>' && !bytes.HasSuffix(op, []byte("=>")) {
		return elementValue(text, at)
	}
	if op[len(op)-1] == ',' {
		return v, false
	}
	return bareValue(text, at)
}

func countBlanks(b []byte) (n int) {
	for n < len(b) && (b[n] == ' ' || b[n] == '\t') {
		n++
	}
	return n
}

// maxValue is how many bytes a value may have: longer ones have a rule of their own.
const maxValue = 512

func quotedValue(text []byte, at int, quote byte) (span, bool) {
	end := at
	for end < len(text) && end-at <= maxValue && text[end] != quote && text[end] != '\n' && text[end] != '\\' {
		end++
	}
	ok := end < len(text) && (text[end] == quote || text[end] == '\\' && end+1 < len(text) && text[end+1] == quote) && end-at <= maxValue
	return span{at, end, true}, ok
}

func elementValue(text []byte, at int) (span, bool) {
	n := bytes.IndexByte(text[at:min(len(text), at+maxValue)], '<')
	return span{at, at + max(n, 0), true}, n > 0 && at+n+1 < len(text) && text[at+n+1] == '/'
}

func bareValue(text []byte, at int) (span, bool) {
	end := at
	for end < len(text) && end-at <= maxValue && text[end] > ' ' && text[end] < 0x7f && strings.IndexByte("\"'`;,)}]<>|&", text[end]) < 0 {
		end++
	}
	return span{at, end, false}, end > at && end-at <= maxValue && (end == len(text) || text[end] != '(')
}

// settingFiles are the extensions and names of files that hold settings, and hardly ever examples of them.
var settingFiles = words(`.ini .conf .cfg .cnf .properties .yaml .yml .toml .json .xml .env .hcl .tfvars .tf .service .config .settings .acl .reg .plist .sql .ps1 .sh
	.envrc .profile .bashrc dockerfile containerfile .history .log .txt .secret .secrets .cron`)

// isSettings tells whether a file is one of settings: there, a password need not look random.
func isSettings(name string) bool {
	name = strings.ToLower(withoutBackup(name))
	base := path.Base(name)
	ext := path.Ext(base)
	switch {
	case settingFiles()[ext], settingFiles()[base]:
		return true
	case ext == "" || ext == base:
		return base != "." && (base[0] == '.' || strings.HasPrefix(name, "etc/") || strings.HasPrefix(name, "root/") || strings.HasPrefix(name, "home/"))
	}
	return false
}

// isProse is for files of settings that may as well be of words.
func isProse(name string) bool {
	ext := path.Ext(strings.ToLower(name))
	return ext == ".txt" || ext == ".log" || ext == ".sql"
}

// telling decides whether what a program or file assigns to a secret's name is one: it has to look random, or like a password that
// somebody thought up.
func telling(value string, quoted, settings bool) bool {
	if plain, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(value, "=")); err == nil && len(plain) >= 6 && printableASCII(strings.ReplaceAll(string(plain), " ", "_")) {
		value = string(plain) // words do not become random by being written otherwise
		if user, pass, both := strings.Cut(value, ":"); both {
			return password(pass, user)
		}
	}
	if len(value) < 8 || !printableASCII(value) {
		return false
	}
	return len(value) >= 10 && random(value, quoted || settings) || (quoted || settings) && thoughtUp(value, settings)
}

// thoughtUp tells whether a value follows the usual rules for passwords: letters of both cases, digits and signs; in a file of
// settings, three of these.
func thoughtUp(value string, settings bool) bool {
	kinds := classes(value)
	hasDigit := strings.IndexFunc(value, unicode.IsDigit) >= 0
	return hasDigit && variety(value) >= 6 && (kinds == 4 && len(value) >= 10 || settings && kinds >= 3)
}

var (
	uuidShape = lazy.Regexp(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)
	parts     = lazy.Regexp(`^[A-Za-z_][A-Za-z0-9]*([._:/-][A-Za-z0-9_]+)+(\(.*)?$`) // of programs, as long as they are words
	harmless  = lazy.Regexp(`^(/|\./|\.\./|~/|[a-z][a-z0-9+.-]*://|[A-Za-z]:\\)|` +  // paths, addresses
		`^[A-Za-z0-9_.-]+\.(go|py|js|ts|rb|c|h|cc|json|ya?ml|toml|xml|txt|md|html?|png|svg|pem|key|crt|cfg|conf|ini|sh|so|com|org|net|io|example)$|` +
		`%[sdvqxr]|\{[a-zA-Z_0-9.]*\}|\\[nrtux]|\$\(|[a-zA-Z0-9_]\(|^Test[A-Z/]|^\(|^[A-Za-z][A-Za-z0-9_.-]*=[^=]|^[a-z0-9.-]+:\d{1,5}$|\[-?\d+\]|^(bytes|varint|fixed32|fixed64),\d|^\d{4}-\d\d-\d\d|/\d{8}/|%2F\d{8}%2F|^--?[a-z]|^[a-z]+:/|^[!+-][A-Z0-9]+:|^\d:\d|^AgB[A-Za-z0-9+/]{200}|^sha(1|256|384|512)[-:=]|\[\]|->|::|&&|\|\||[{}]`)
)

// harmlessValue knows what is assigned to names of secrets and is none: paths, addresses, templates, expressions, hashes.
func harmlessValue(value string) bool {
	return harmless().MatchString(value) || parts().MatchString(value) && surprise(value) < 4.1*float64(len(value)) && classes(value) < 4
}

func printableASCII(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// random tells whether a text was made by chance and not by somebody who writes words.
func random(value string, quoted bool) bool {
	average := surprise(value) / float64(len(value))
	if strings.IndexFunc(value, unicode.IsDigit) < 0 {
		average -= 0.6 // chance makes digits, too
	}
	switch {
	case uuidShape().MatchString(value):
		return quoted
	case isHex(value):
		return len(value) >= 20 && variety(value) >= 8
	case len(value) >= 20:
		return average >= 4.3 && variety(value) >= 10 && classes(value) >= 2
	}
	return quoted && average >= 4.1 && len(value) >= 12 && variety(value) >= 8 && classes(value) >= 3
}

func isHex(s string) bool {
	digits, letters := 0, 0
	for i := range len(s) {
		switch c := s[i]; {
		case isDigit(c):
			digits++
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			letters++
		default:
			return false
		}
	}
	return digits > 0 && letters > 0
}

// classes is how many of small letters, capitals, digits and signs a text has.
func classes(s string) int {
	var lower, upper, digit, sign int
	for i := range len(s) {
		switch c := s[i]; {
		case isLower(c):
			lower = 1
		case isUpper(c):
			upper = 1
		case isDigit(c):
			digit = 1
		default:
			sign = 1
		}
	}
	return lower + upper + digit + sign
}
