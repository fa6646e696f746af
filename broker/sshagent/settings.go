package sshagent

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
)

// Settings is a policy as a configuration file has it.
type Settings struct {
	Allow      []string // user@host or user@host:port; at least one
	KnownHosts []string // files with the keys of these hosts; empty: DefaultKnownHosts
	Keys       []string // fingerprints of the keys that may be used (SHA256:…); empty: all
	Secret     string   // id of the secret that is the agent's only key; empty: the keys of the flag, or of the user's agent
}

// Policy reads the host keys and makes the policy. All that is wrong is reported at once, each thing as a [*PolicyError] in the joined error.
// A host without a known key is an error, too.
func (s Settings) Policy() (*Policy, error) {
	p := &Policy{Keys: s.Keys}
	errs := append(s.addRules(p), s.checkKeys()...)
	if len(errs) == 0 {
		errs = s.addHostKeys(p)
	}
	if len(errs) == 0 {
		errs = p.checkHosts()
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return p, nil
}

func (s Settings) addRules(p *Policy) []error {
	if len(s.Allow) == 0 {
		return []error{&PolicyError{Key: "allow", Index: -1, Problem: "nobody may log in anywhere", Try: `allow: ["git@git.corp.example"]`}}
	}
	var errs []error
	for i, text := range s.Allow {
		t, err := ParseTarget(text)
		if err != nil {
			errs = append(errs, &PolicyError{Key: "allow", Index: i, Problem: err.Error(), Try: `allow: ["git@git.corp.example", "deploy@[2001:db8::1]:2222"]`})
		}
		p.Rules = append(p.Rules, Rule{Target: t})
	}
	return errs
}

func (s Settings) checkKeys() []error {
	var errs []error
	for i, text := range s.Keys {
		sum, ok := strings.CutPrefix(text, "SHA256:")
		if raw, err := base64.RawStdEncoding.DecodeString(sum); !ok || err != nil || len(raw) != 32 {
			errs = append(errs, &PolicyError{Key: "keys", Index: i, Problem: "this is not the fingerprint of a key", Try: "ssh-add -l shows them: SHA256:…"})
		}
	}
	return errs
}

// addHostKeys completes the rules. A default file may be missing.
func (s Settings) addHostKeys(p *Policy) []error {
	files, named := s.KnownHosts, len(s.KnownHosts) > 0
	if !named {
		files = DefaultKnownHosts()
	}
	var errs []error
	for i, name := range files {
		text, err := readBounded(name)
		switch {
		case err == nil:
			for j := range p.Rules {
				p.Rules[j].Known.Add(text, p.Rules[j].Target)
			}
		case named:
			errs = append(errs, &PolicyError{Key: "known-hosts", Index: i, Problem: "reading the file: " + cause(err), Try: "known-hosts: known_hosts"})
		case !errors.Is(err, fs.ErrNotExist):
			errs = append(errs, &PolicyError{Key: "known-hosts", Index: -1, Problem: "reading " + name + ": " + cause(err)})
		}
	}
	return errs
}

// checkHosts finds the hosts at which nobody could log in.
func (p *Policy) checkHosts() []error {
	var errs []error
	for i, r := range p.Rules {
		usable := func(key ssh.PublicKey) bool { return !contains(r.Known.Revoked, key) }
		if !slices.ContainsFunc(r.Known.Keys, usable) && !slices.ContainsFunc(r.Known.Authorities, usable) {
			errs = append(errs, &PolicyError{
				Key: "allow", Index: i, Problem: "no key of the host " + r.address() + " is known",
				Try: "log in there once with ssh, or name the file that has its key in known-hosts",
			})
		}
	}
	return errs
}

// maxKnownHosts bounds, in bytes, a file of host keys.
const maxKnownHosts = 16 << 20

func readBounded(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxKnownHosts+1))
	if len(text) > maxKnownHosts {
		return nil, fmt.Errorf("it is larger than %d bytes", maxKnownHosts)
	}
	return text, err
}

// cause is the text of err without the path.
func cause(err error) string {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err.Error()
	}
	return err.Error()
}
