package sshagent

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/ssh"
)

// DefaultKnownHosts are the files that ssh reads. Not all of them need to exist.
func DefaultKnownHosts() []string {
	files := []string{"/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"}
	if home, err := os.UserHomeDir(); err == nil {
		files = append([]string{filepath.Join(home, ".ssh", "known_hosts"), filepath.Join(home, ".ssh", "known_hosts2")}, files...)
	}
	return files
}

// Add adds what a file of host keys, in the format that sshd(8) describes, says about the host of a target: names, patterns, hashed names,
// @cert-authority and @revoked. Like ssh, it passes over lines that it does not understand.
func (k *HostKeys) Add(file []byte, t Target) {
	for line := range bytes.Lines(file) {
		k.addLine(string(line), t.known())
	}
}

// addLine adds the key of a line that is for a host.
func (k *HostKeys) addLine(line, host string) {
	fields := strings.Fields(line)
	marker := ""
	if len(fields) > 0 && strings.HasPrefix(fields[0], "@") {
		marker, fields = fields[0], fields[1:]
	}
	if len(fields) < 3 || strings.HasPrefix(fields[0], "#") || !matches(fields[0], host) {
		return
	}
	blob, err := base64.StdEncoding.DecodeString(fields[2])
	if err != nil {
		return
	}
	key, err := ssh.ParsePublicKey(blob)
	if err != nil || key.Type() != fields[1] {
		return
	}
	switch marker {
	case "":
		k.Keys = append(k.Keys, key)
	case "@cert-authority":
		k.Authorities = append(k.Authorities, key)
	case "@revoked":
		k.Revoked = append(k.Revoked, key)
	}
}

// matches tells whether a line's first field is for a host. A pattern with ! excludes it, whatever else is there.
func matches(field, host string) bool {
	if strings.HasPrefix(field, "|") {
		return matchesHash(field, host)
	}
	found := false
	for pattern := range strings.SplitSeq(strings.ToLower(field), ",") {
		rest, not := strings.CutPrefix(pattern, "!")
		if matchesPattern(rest, host) {
			if not {
				return false
			}
			found = true
		}
	}
	return found
}

// matchesHash is for |1|SALT|HASH, with which a file does not give its hosts away.
func matchesHash(field, host string) bool {
	parts := strings.Split(field, "|")
	if len(parts) != 4 || parts[1] != "1" {
		return false
	}
	salt, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil {
		return false
	}
	mac := hmac.New(sha1.New, salt)
	mac.Write([]byte(host))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil)) == parts[3]
}

// matchesPattern is for * and ?. It goes back to the last * only, which is enough, and linear for each *.
func matchesPattern(pattern, text string) bool {
	p, t, star, mark := 0, 0, -1, 0
	for t < len(text) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, t
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == text[t]):
			p, t = p+1, t+1
		case star >= 0:
			mark++
			p, t = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}
