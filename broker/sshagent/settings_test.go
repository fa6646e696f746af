package sshagent_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tightlip/tightlip/broker/sshagent"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

func TestParseTarget(t *testing.T) {
	for text, want := range map[string]sshagent.Target{
		"git@git.corp.example":         {User: "git", Host: "git.corp.example", Port: 22},
		"git@Git.Corp.Example:2222":    {User: "git", Host: "git.corp.example", Port: 2222},
		"user@realm@host_1":            {User: "user@realm", Host: "host_1", Port: 22},
		"git@10.0.0.1:22":              {User: "git", Host: "10.0.0.1", Port: 22},
		"git@[2001:DB8:0::1]":          {User: "git", Host: "2001:db8::1", Port: 22},
		"git@[2001:db8::1]:2222":       {User: "git", Host: "2001:db8::1", Port: 2222},
		`CORP\deploy@win.corp.example`: {User: `CORP\deploy`, Host: "win.corp.example", Port: 22},
	} {
		got, err := sshagent.ParseTarget(text)
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
		if again, err := sshagent.ParseTarget(got.String()); err != nil || again != got {
			t.Errorf("%s: %s is %+v, %v", text, got, again, err)
		}
	}
	for _, text := range []string{
		"", "@", "git", "git@", "@host", "git.corp.example", "git@*", "git@*.example", "*@host", "g?t@host", "git@host:", "git@host:0", "git@host:65536", "git@host:-1",
		"git@host:ssh", "git@host:22:22", "git@2001:db8::1", "git@[host]", "git@[10.0.0.1]", "git@[::1", "git@[fe80::1%eth0]", "git@host/path", "git@-oProxyCommand",
		"git@host name", "a b@host", "a\x00@host", "git@höst", "ssh://git@host", "git@host,other", "a,b@host", strings.Repeat("a", 300) + "@host", "git@" + strings.Repeat("a", 300),
	} {
		if got, err := sshagent.ParseTarget(text); err == nil {
			t.Errorf("%q: got %+v", text, got)
		}
	}
}

func TestKnownHosts(t *testing.T) {
	a, b, c := signerOf(t, newKey(t)).PublicKey(), signerOf(t, keyOf(t, "ecdsa")).PublicKey(), signerOf(t, keyOf(t, "rsa")).PublicKey()
	line := func(hosts string, key ssh.PublicKey) string {
		return hosts + " " + string(ssh.MarshalAuthorizedKey(key))
	}
	withComment := func(hosts string, key ssh.PublicKey) string {
		return strings.TrimSpace(line(hosts, key)) + " a comment of several words\r\n"
	}
	for name, test := range map[string]struct {
		file, target string
		want         []ssh.PublicKey
	}{
		"a name":             {line("git.example", a), "git@git.example", []ssh.PublicKey{a}},
		"a comment":          {withComment("git.example", a), "git@git.example", []ssh.PublicKey{a}},
		"names":              {line("Git.example,10.0.0.1", a), "git@git.example", []ssh.PublicKey{a}},
		"an address":         {line("git.example,10.0.0.1", a), "git@10.0.0.1", []ssh.PublicKey{a}},
		"several keys":       {line("git.example", a) + line("x.example", b) + line("git.example", c), "git@git.example", []ssh.PublicKey{a, c}},
		"another name":       {line("git.example", a), "git@git.example.net", nil},
		"part of a name":     {line("git.example", a), "git@x.git.example", nil},
		"a port":             {line("[git.example]:2222", a), "git@git.example:2222", []ssh.PublicKey{a}},
		"another port":       {line("[git.example]:2222", a), "git@git.example", nil},
		"no port":            {line("git.example", a), "git@git.example:2222", nil},
		"IPv6":               {line("2001:db8::1", a) + line("[2001:db8::1]:2222", b), "git@[2001:db8::1]:2222", []ssh.PublicKey{b}},
		"a hash":             {line(knownhosts.HashHostname("x.example"), b) + line(knownhosts.HashHostname("git.example"), a), "git@git.example", []ssh.PublicKey{a}},
		"a hash with a port": {line(knownhosts.HashHostname("[git.example]:2222"), a), "git@git.example:2222", []ssh.PublicKey{a}},
		"a pattern":          {line("*.example,!bad.example", a), "git@git.example", []ssh.PublicKey{a}},
		"an excluded host":   {line("*.example,!bad.example", a), "git@bad.example", nil},
		"a question mark":    {line("g?t.exam*", a), "git@git.example", []ssh.PublicKey{a}},
		"stars":              {line("*a*a*a*b", a), "git@" + strings.Repeat("a", 200), nil},
		"damage": {
			"git.example\ngit.example ssh-ed25519\ngit.example ssh-ed25519 !\n# " + line("git.example", b) + "|1|x git.example\n@unknown " + line("git.example", b) +
				"git.example ssh-rsa " + strings.Fields(line("h", b))[2] + "\n|1|!|! " + line("", b) + line("git.example", a), "git@git.example", []ssh.PublicKey{a},
		},
	} {
		target, err := sshagent.ParseTarget(test.target)
		if err != nil {
			t.Fatal(err)
		}
		var keys sshagent.HostKeys
		keys.Add([]byte(test.file), target)
		if got, want := texts(keys.Keys), texts(test.want); got != want || len(keys.Authorities)+len(keys.Revoked) > 0 {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
	var keys sshagent.HostKeys
	keys.Add([]byte("@cert-authority "+line("*.example", a)+"@revoked "+line("git.example", b)), sshagent.Target{User: "git", Host: "git.example", Port: 22})
	if texts(keys.Authorities) != texts([]ssh.PublicKey{a}) || texts(keys.Revoked) != texts([]ssh.PublicKey{b}) || len(keys.Keys) > 0 {
		t.Errorf("got %+v", keys)
	}
}

func texts(keys []ssh.PublicKey) string {
	var all []string
	for _, k := range keys {
		all = append(all, ssh.FingerprintSHA256(k))
	}
	return strings.Join(all, " ")
}

func TestSettings(t *testing.T) {
	key := signerOf(t, newKey(t)).PublicKey()
	dir := t.TempDir()
	write := func(name, text string) string {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	file := write("known", knownhosts.Line([]string{"git.example", "two.example"}, key)+"\n")
	revoked := write("revoked", "@revoked * "+string(ssh.MarshalAuthorizedKey(key)))
	t.Setenv("HOME", dir)
	write(".ssh/known_hosts", knownhosts.Line([]string{"home.example"}, key)+"\n")

	p, err := sshagent.Settings{Allow: []string{"git@git.example", "root@two.example"}, KnownHosts: []string{file}, Keys: []string{ssh.FingerprintSHA256(key)}}.Policy()
	if err != nil || len(p.Rules) != 2 || p.Rules[1].User != "root" || texts(p.Rules[1].Known.Keys) != texts([]ssh.PublicKey{key}) || len(p.Keys) != 1 {
		t.Errorf("got %+v, %v", p, err)
	}
	if p, err := (sshagent.Settings{Allow: []string{"git@home.example"}}).Policy(); err != nil || len(p.Rules[0].Known.Keys) != 1 {
		t.Errorf("got %+v, %v", p, err)
	}
	for name, test := range map[string]struct {
		settings sshagent.Settings
		want     string
	}{
		"nothing":        {sshagent.Settings{}, "allow: nobody may log in anywhere"},
		"two mistakes":   {sshagent.Settings{Allow: []string{"git@git.example", "git"}, Keys: []string{"MD5:x"}}, "allow, entry 2: this is not user@host or user@host:port, without patterns\nkeys, entry 1: this is not the fingerprint of a key"},
		"an unknown key": {sshagent.Settings{Allow: []string{"git@x.example:2222"}, KnownHosts: []string{file}}, "allow, entry 1: no key of the host x.example:2222 is known"},
		"a revoked key":  {sshagent.Settings{Allow: []string{"git@git.example"}, KnownHosts: []string{file, revoked}}, "allow, entry 1: no key of the host git.example is known"},
		"no file":        {sshagent.Settings{Allow: []string{"git@git.example"}, KnownHosts: []string{file, dir + "/none"}}, "known-hosts, entry 2: reading the file: no such file or directory"},
		"a folder":       {sshagent.Settings{Allow: []string{"git@git.example"}, KnownHosts: []string{dir}}, "known-hosts, entry 1: reading the file: is a directory"},
		"too large":      {sshagent.Settings{Allow: []string{"git@git.example"}, KnownHosts: []string{write("large", strings.Repeat("#", 17<<20))}}, "known-hosts, entry 1: reading the file: it is larger than 16777216 bytes"},
	} {
		p, err := test.settings.Policy()
		e, ok := errors.AsType[*sshagent.PolicyError](err)
		if p != nil || err == nil || err.Error() != test.want || !ok || e.Hint() == "" && e.Key != "known-hosts" {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
