package detect

import (
	"bytes"
	"slices"
	"strings"
)

// command is one that can be told a password.
type command struct {
	start   string   // what it starts with: the anchor
	options []string // the password is the next word, or after "=", or, if the option is one letter, in the same word
	joined  bool     // never the next word
	pair    bool     // the password is after a user and a colon
	word    int      // the password is this word, counted from 1 without options
	prefix  string   // of the password
}

var (
	loginOptions    = []string{"-p", "--password"}
	tokenOptions    = []string{"-t", "--token", "-p", "--password"}
	passwordOptions = []string{"-p", "--password"}
)

var commands = []command{
	{start: "curl ", options: []string{"-u", "--user", "-U", "--proxy-user"}, pair: true},
	{start: "wget ", options: []string{"--password", "--http-password", "--ftp-password", "--proxy-password"}},
	{start: "docker login ", options: loginOptions},
	{start: "podman login ", options: loginOptions},
	{start: "buildah login ", options: loginOptions},
	{start: "skopeo login ", options: loginOptions},
	{start: "nerdctl login ", options: loginOptions},
	{start: "registry login ", options: loginOptions}, // helm
	{start: "oras login ", options: loginOptions},
	{start: "auth login ", options: tokenOptions}, // crane, regctl
	{start: "az login ", options: loginOptions},
	{start: "oc login ", options: tokenOptions},
	{start: "sshpass ", options: []string{"-p"}},
	{start: "mysql ", options: passwordOptions, joined: true},
	{start: "mysqldump ", options: passwordOptions, joined: true},
	{start: "mysqladmin ", options: passwordOptions, joined: true},
	{start: "mariadb ", options: passwordOptions, joined: true},
	{start: "redis-cli ", options: []string{"-a", "--pass"}},
	{start: "mongosh ", options: passwordOptions},
	{start: "mongodump ", options: passwordOptions},
	{start: "ldapsearch ", options: []string{"-w"}},
	{start: "openssl passwd ", word: 1},
	{start: "openssl ", options: []string{"-passin", "-passout", "-pass"}, prefix: "pass:"},
	{start: "keytool ", options: []string{"-storepass", "-keypass", "-deststorepass", "-srcstorepass"}},
	{start: "gpg ", options: []string{"--passphrase"}},
	{start: "htpasswd ", word: 3},
	{start: "ConvertTo-SecureString ", word: 1},
	{start: "addprinc ", options: []string{"-pw"}},
	{start: "rabbitmqctl add_user ", word: 2},
	{start: "rabbitmqctl change_password ", word: 2},
	{start: "configure set aws_secret_access_key ", word: 1},
	{start: "config http-basic", word: 3}, // composer, poetry
	{start: "config pypi-token.", word: 2},
	{start: "cargo login ", word: 1},
	{start: "vault login ", word: 1},
	{start: "snyk auth ", word: 1},
	{start: "mc alias set ", word: 4},
	{start: "nuget add source ", options: loginOptions},
	{start: "twine upload ", options: loginOptions},
}

const chpasswd = "chpasswd"

func commandAnchors() []string {
	out := []string{chpasswd}
	for _, c := range commands {
		out = append(out, c.start)
	}
	return out
}

// maxCommand is how many bytes of a command are read.
const maxCommand = 600

// toldPassword finds the password that a command is told.
func toldPassword(text []byte, at int) (start, end int, ok bool) {
	if bytes.HasPrefix(text[at:], []byte(chpasswd)) {
		return echoed(text, at)
	}
	i := slices.IndexFunc(commands, func(c command) bool { return bytes.HasPrefix(text[at:], []byte(c.start)) })
	if i < 0 || wordBefore(text, at) || at > 0 && text[at-1] == '-' {
		return 0, 0, false
	}
	c := commands[i]
	from := at + len(c.start)
	line := text[from:min(len(text), from+maxCommand)]
	parts := argumentsIn(line)
	for n := range parts {
		if v, user, found := c.value(line, parts, n); found {
			if at > 0 && text[at-1] == '(' && line[v.end-1] == ')' {
				v.end-- // $(command password)
			}
			value := string(line[v.start:v.end])
			ok = password(value, user) && !harmlessValue(value) && !known(line, v.start)
			return from + v.start, from + v.end, ok
		}
	}
	return 0, 0, false
}

// value finds the password if word n of a command is it, or an option before it.
func (c command) value(line []byte, parts []span, n int) (v span, user string, found bool) {
	v, found = c.place(line, parts, n)
	value := line[v.start:v.end]
	switch {
	case !found || !bytes.HasPrefix(value, []byte(c.prefix)):
		return v, "", false
	case c.pair:
		name, pass, _ := bytes.Cut(value, []byte(":"))
		v.start = v.end - len(pass)
		return v, string(name), len(pass) > 0
	}
	v.start += len(c.prefix)
	return v, "", true
}

func (c command) place(line []byte, parts []span, n int) (v span, found bool) {
	word := string(line[parts[n].start:parts[n].end])
	if c.word > 0 {
		count := 0
		for _, w := range parts[:n+1] {
			if line[w.start] != '-' {
				count++
			}
		}
		return parts[n], count == c.word && word[0] != '-' && !strings.Contains(word, "=")
	}
	for _, o := range c.options {
		short := len(o) == len("-p")
		switch {
		case word == o || short && c.pair && clustered(word, o[1]): // curl -fsSLu user:password
			if c.joined || n+1 == len(parts) {
				return v, false
			}
			return parts[n+1], true
		case strings.HasPrefix(word, o+"="):
			return span{start: parts[n].start + len(o) + 1, end: parts[n].end}, true
		case short && strings.HasPrefix(word, o):
			return span{start: parts[n].start + len(o), end: parts[n].end}, true
		}
	}
	return v, false
}

// clustered tells whether a word is several options of one letter, the last of them the given one.
func clustered(word string, option byte) bool {
	if len(word) < 3 || word[0] != '-' || word[len(word)-1] != option {
		return false
	}
	return strings.Trim(word[1:], "fsSLkvgi"+string(option)) == ""
}

// maxWords is how many words of a command are read.
const maxWords = 40

// argumentsIn splits a command into words, up to where the next command starts. Quotes are no part of them, neither are the signs
// of a list of words in JSON.
func argumentsIn(text []byte) []span {
	var out []span
	for i := 0; i < len(text) && len(out) < maxWords; {
		switch c := text[i]; {
		case strings.IndexByte(" \t\"'[,", c) >= 0:
			i++
		case c == '\\' && i+1 < len(text) && strings.IndexByte("\n\"'", text[i+1]) >= 0:
			i += 2
		case strings.IndexByte("\r\n;|&`\\\x00", c) >= 0:
			return out
		default:
			n := max(argumentAt(text[i:]), 1)
			out = append(out, span{start: i, end: i + n})
			i += n
		}
	}
	return out
}

// argumentAt is how many bytes the word has that text starts with.
func argumentAt(text []byte) int {
	for n, c := range text {
		if c <= ' ' || c >= 0x7f || strings.IndexByte("\"'`;|&\\", c) >= 0 {
			return n
		}
	}
	return len(text)
}

// maxEcho is how many bytes before chpasswd are read.
const maxEcho = 200

// echoed finds the password in echo user:password | chpasswd.
func echoed(text []byte, at int) (start, end int, ok bool) {
	from := max(0, at-maxEcho)
	i := bytes.LastIndex(text[from:at], []byte("echo "))
	if i < 0 || bytes.IndexByte(text[from+i:at], '\n') >= 0 {
		return 0, 0, false
	}
	from += i + len("echo ")
	for _, w := range argumentsIn(text[from:at]) {
		if user, pass, both := bytes.Cut(text[from+w.start:from+w.end], []byte(":")); both {
			return from + w.end - len(pass), from + w.end, password(string(pass), string(user))
		}
	}
	return 0, 0, false
}
