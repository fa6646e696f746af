package detect

import (
	"slices"
	"strings"
	"sync"

	"github.com/tightlip/tightlip/internal/lazy"
)

// secretWords are what a setting is called that holds a secret. A list of several words means that they follow each other.
var secretWords = [][]string{
	{"password"}, {"passwd"}, {"pwd"}, {"pass"}, {"passphrase"}, {"passcode"}, {"passw"}, {"pw"}, {"psk"},
	{"secret"}, {"secrets"}, {"token"}, {"tokens"}, {"credential"}, {"credentials"}, {"creds"}, {"cred"},
	{"apikey"}, {"api", "key"}, {"api", "token"}, {"app", "key"}, {"appkey"}, {"auth", "key"}, {"authkey"}, {"authtoken"},
	{"access", "key"}, {"accesskey"}, {"account", "key"}, {"private", "key"}, {"privatekey"}, {"secret", "key"}, {"secretkey"}, {"master", "key"},
	{"signing", "key"}, {"encryption", "key"}, {"encrypt", "key"}, {"license", "key"}, {"deploy", "key"}, {"ssh", "key"}, {"service", "key"},
	{"shared", "key"}, {"storage", "key"}, {"session", "key"}, {"webhook", "key"}, {"write", "key"}, {"admin", "key"}, {"root", "key"},
	{"auth"}, {"authorization"}, {"bearer"}, {"passkey"}, {"jwt"}, {"pat"}, {"requirepass"}, {"masterauth"}, {"hmac", "key"}, {"cookie", "key"},
	{"secretaccesskey"}, {"clientsecret"}, {"keypass"}, {"storepass"}, {"sas"}, {"salt"}, {"dsn"}, {"connectionstring"}, {"connection", "string"},
	{"identified"}, {"bindpw"}, {"rootpw"}, {"authtok"}, {"pass", "phrase"}, {"fernet", "key"}, {"routing", "key"}, {"integration", "key"},
	{"access", "token"}, {"dbpass"}, {"dbpassword"}, {"dbpwd"}, {"authpass"}, {"userpass"}, {"rootpass"}, {"mypass"}, {"usertoken"},
}

// harmlessLast and harmlessAnywhere are in the names of settings about a secret that are none themselves: at their end, or anywhere.
var harmlessLast = words(`file files filename path paths dir directory folder url urls uri uris endpoint endpoints host hosts hostname port name names username user
	users id ids type types length len size limit limits min max count counter ttl timeout expiry expires expiration expire expired lifetime age validity duration
	interval policy pattern regex regexp format prefix suffix header headers field fields label labels placeholder prompt hint message msg error errors
	text title description desc help enabled enable disabled disable required optional allowed allow mode version versions alias aliases arn arns ref refs reference
	algorithm algo alg method methods scheme provider providers manager store storage service services source sources env var variable kind class scope scopes
	issuer audience status state valid invalid changed updated created at date time timestamp rotation reset confirm confirmation strength reuse change input
	output param params option options rule rules group groups schema model models module table column index list map set array queue cache
	handler callback function func command cmd script bin parser generator factory builder client server request response pos position offset start end
	line row col stream count_ tokenizer kms usage bucket region namespace template selector toggle visibility icon button form page view link mount
	public fingerprint thumbprint hash hashes hasher hashers digest checksum stdin location config configuration settings test tests example sample docs supported support
	requests spec used info crc32c complete completed missing present exists required_ min_length max_length expires_in expires_at ttl_seconds seconds minutes hours days ms sec
	memory backend backends kinds cost rounds iterations parallelism`)

var harmlessAnywhere = words(`public pubkey publickey placeholder example sample dummy fake mock stub tokenize tokenizer tokenizers tokenization detokenize
	semantic lexer syntax grammar csrf xsrf passive passthrough bypass compass encompass pathway keyword keywords monkey turkey hotkey hotkeys shortcut keyboard keycode
	keypress keydown keyup primary foreign cancel cancellation design next continuation page paging pagination cursor idempotency nonce request change lifecycle signature per ref xxx`)

// words are those of a list, which is read at its first use.
func words(list string) func() map[string]bool {
	return sync.OnceValue(func() map[string]bool {
		m := map[string]bool{}
		for w := range strings.FieldsSeq(list) {
			m[w] = true
		}
		return m
	})
}

// secretName tells whether a setting of this name holds a secret. Of a path with dots, the last name counts, the one before it where the
// last is one such as "value", and both where it is "key".
func secretName(key string) bool {
	names := strings.FieldsFunc(key, func(r rune) bool { return r == '.' || r == '/' || r == ':' || r == '@' || r == '[' || r == ']' })
	if len(names) == 0 {
		return false
	}
	last := names[len(names)-1]
	if len(names) > 1 && (last == "value" || last == "default" || last == "data") {
		last = names[len(names)-2]
	}
	if len(names) > 1 && strings.EqualFold(last, "key") {
		last = names[len(names)-2] + "_key"
	}
	return secretWord(nameWords(last))
}

func secretWord(parts []string) bool {
	if len(parts) == 0 || len(parts) > 12 || harmlessLast()[parts[len(parts)-1]] {
		return false
	}
	if parts[len(parts)-1] == "tokens" && slices.Contains([]string{"max", "min", "num", "total"}, parts[0]) {
		return false // of a language model
	}
	if slices.Contains([]string{"disable", "disabled", "enable", "enabled", "no", "without", "skip", "require", "required", "allow", "is", "has"}, parts[0]) {
		return false // it says yes or no
	}
	if slices.ContainsFunc(parts, func(p string) bool { return harmlessAnywhere()[p] }) {
		return false
	}
	for _, want := range secretWords {
		if containsRun(parts, want) {
			return true
		}
	}
	return slices.ContainsFunc(parts, func(p string) bool {
		return strings.HasSuffix(p, "password") || strings.HasSuffix(p, "passwd") || strings.HasSuffix(p, "passphrase") || strings.HasSuffix(p, "apikey")
	})
}

// containsRun tells whether want stands in parts without a gap.
func containsRun(parts, want []string) bool {
	for i := 0; i+len(want) <= len(parts); i++ {
		if slices.Equal(parts[i:i+len(want)], want) {
			return true
		}
	}
	return false
}

// nameWords splits a name at its signs and where its case changes: "dbPassword2", "DB_PASSWORD_2" and "db-password-2" have the words
// db and password. Numbers are no words.
func nameWords(name string) []string {
	var out []string
	start := 0
	flush := func(end int) {
		if w := strings.ToLower(strings.Trim(name[start:end], "0123456789")); w != "" {
			out = append(out, w)
		}
	}
	for i := 0; i < len(name); i++ {
		c := name[i]
		switch {
		case !isAlnum(c):
			flush(i)
			start = i + 1
		case isUpper(c) && i > start && (isLower(name[i-1]) || i+1 < len(name) && isLower(name[i+1]) && isUpper(name[i-1])):
			flush(i)
			start = i
		}
	}
	if start < len(name) {
		flush(len(name))
	}
	return out
}

func isUpper(c byte) bool { return 'A' <= c && c <= 'Z' }
func isLower(c byte) bool { return 'a' <= c && c <= 'z' }
func isDigit(c byte) bool { return '0' <= c && c <= '9' }
func isAlnum(c byte) bool { return isUpper(c) || isLower(c) || isDigit(c) }

// references are values that stand for others: variables, templates, commands, mounts.
var references = lazy.Regexp(`^(\$[A-Za-z_{(\[]|%[A-Za-z_]|\{\{|\{%|<[%?]?[A-Za-z_= -]|\[[A-Za-z_ -]+\]$|@[A-Za-z_.-]+@$|\$\$|\(\(|__[A-Z0-9_]+__$|#\{|&[A-Za-z_]|\*[A-Za-z_]|!(vault|secret|reference|Ref|Sub|GetAtt|env|ENV)\b|` +
	`(env|vault|ref|file|cmd|op|secret|secrets|ssm|arn|aws|gcp|azure|kms|keyring|keychain|bws|doppler|resolve|valueFrom|awsssm|awskms|sops|encrypted|ENC|enc)[:(\[])|` +
	`\$\{[A-Za-z_]|^\{[A-Za-z0-9+/=]+\}$|^%\([a-z_]+\)s$|^process\.env|^os\.(environ|getenv)|^(System\.)?getenv|^ENV\[`)

// fillers are words that stand where a value is to be filled in. They are compared without case and signs.
var fillers = words(`password passwd pass pwd secret token key apikey changeme changeit change replaceme replace fixme todo tbd none null nil undefined true false yes no on off
	string str int bool boolean number object default example sample dummy fake mock test testing placeholder redacted hidden masked removed omitted empty unset
	yourpassword yourtoken yourkey yoursecret yourapikey mypassword mytoken mysecret username user admin root foo bar baz qux foobar foobaz abc xyz
	xxx insert here value secretkey secrettoken passphrase hunter2example required optional auto automatic random generate generated unknown na
	basic bearer digest auth login anonymous public private guest nobody notset notused invalid valid bogus stdin prompt ask file env vault`)

// placeholder tells whether a value only stands for one: it is empty, a variable, a word like "changeme", or one character over and
// over.
func placeholder(value string) bool {
	v := strings.TrimSpace(strings.Trim(strings.TrimSpace(value), `"'`+"`"))
	if len(v) < 3 || references().MatchString(v) {
		return true
	}
	low := strings.ToLower(v)
	bare := strings.Map(func(r rune) rune {
		if r < 0x80 && isAlnum(byte(r)) {
			return r
		}
		return -1
	}, low)
	if bare == "" || fillers()[bare] || fillers()[strings.TrimRight(bare, "0123456789")] && len(bare) < 12 {
		return true
	}
	for _, part := range []string{"example", "changeme", "change_me", "change-me", "placeholder", "replace_me", "replaceme", "replace-me", "redacted", "<your", "your_", "your-", "yourpass",
		"insert_", "insert-", "xxxx", "****", "....", "notreal", "not-real", "not_real", "fixme", "dummy", "todo", "enter_your", "put_your", "put-your", "-here", "_here", "${", "{{", "sample", "12345678", "abcdefgh", "00000000"} {
		if strings.Contains(low, part) {
			return true
		}
	}
	return variety(v) <= 2 || strings.HasSuffix(v, "...")
}

// variety is the number of different bytes in s.
func variety(s string) int {
	var seen [256]bool
	n := 0
	for i := range len(s) {
		if !seen[s[i]] {
			seen[s[i]] = true
			n++
		}
	}
	return n
}
