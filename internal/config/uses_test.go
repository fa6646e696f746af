package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tightlip/tightlip/internal/config"
	"github.com/tightlip/tightlip/secret"
)

// TestUses has what a project's file may have secrets used for only if the user trusts it or allows it.
func TestUses(t *testing.T) {
	const text = `version: 1
secrets:
  npm: {from: "file:~/.token", broker: [{origin: "http://npm.corp.example", attach: bearer, connect: "127.0.0.1:1"}]}
  old:
    from: env:OLD
    deliver: build-arg
broker: {pass: ["http://169.254.169.254"]}
ssh:
  default: {secret: npm}
  "\e[2J": {secret: npm, allow: [git@git.corp.example]}
`
	wants := []config.Use{
		{Word: "broker", Text: "steps use secret npm at http://npm.corp.example (which is at 127.0.0.1:1)"},
		{Word: "build-arg", Text: "secret old comes to the build as the argument old, and stays in the image"},
		{Word: "broker", Text: "steps that use the broker reach http://169.254.169.254 from this machine"},
		{Word: "ssh", Text: "steps sign with secret npm through the SSH agent default, for any user and host"},
		{Word: "ssh", Text: `"steps sign with secret npm through the SSH agent \x1b[2J, for git@git.corp.example"`},
	}
	lines := []int{3, 6, 7, 9, 10}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "tightlip.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c := loadIn(t, dir)
	got := c.Wants()
	if len(got) != len(wants) {
		t.Fatalf("got %+v", got)
	}
	for i, u := range got {
		if u.Word != wants[i].Word || u.Text != wants[i].Text || u.Origin.Line != lines[i] {
			t.Errorf("got %+v", u)
		}
		err := c.MayUse(u.Word, got[i:i+1])
		ce, ok := errors.AsType[*config.Error](err)
		if !ok || ce.Origin.Line != lines[i] || !strings.HasSuffix(ce.Problem, ", which a project's file may not decide on its own") ||
			!strings.HasPrefix(ce.Hint(), "tightlip trust, once you have read the file; or allow it with --allow-source "+u.Word+" or TIGHTLIP_ALLOW="+u.Word) {
			t.Errorf("%s: got %v", u.Text, err)
		}
		if err := loadIn(t, dir, "TIGHTLIP_ALLOW="+u.Word).MayUse(u.Word, got); err != nil {
			t.Errorf("%s is not allowed with its word: %v", u.Text, err)
		}
	}
	argument := func(c *config.Config, flag string) (secret.Spec, error) {
		spec, err := secret.ParseSpec(flag)
		if err != nil {
			t.Fatal(err)
		}
		return c.Complete(spec, os.LookupEnv)
	}
	if _, err := argument(c, "id=old,env=OTHER"); err == nil {
		t.Error("a project's file makes a secret of the user's flag a build argument")
	}
	if spec, err := argument(c, "id=old,env=OTHER,deliver=build-arg"); err != nil || spec.Argument != "old" {
		t.Errorf("the user's own build argument: %+v, %v", spec, err)
	}
	if err := c.Trust(); err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"broker", "ssh", "build-arg"} {
		if err := loadIn(t, dir).MayUse(word, got); err != nil {
			t.Errorf("of a file that is trusted: %v", err)
		}
	}
	if spec, err := argument(loadIn(t, dir), "id=old"); err != nil || spec.Argument != "old" {
		t.Errorf("of a file that is trusted: %+v, %v", spec, err)
	}
}

// TestUsesOfUser: the user's own file needs no trust.
func TestUsesOfUser(t *testing.T) {
	_, opts := tree(t, map[string]string{
		stop:     "",
		userFile: "version: 1\nsecrets: {npm: {broker: [{origin: 'https://npm.corp.example', attach: bearer}]}, old: {deliver: build-arg}}\nssh: {default: {secret: npm}}\nbroker: {pass: ['http://127.0.0.1']}\n",
	})
	c := load(t, opts)
	s, _ := c.Secret("npm")
	if len(s.Uses) != 1 || len(c.Wants()) != 0 {
		t.Fatalf("got %+v, %+v", s.Uses, c.Wants())
	}
	if err := errors.Join(c.MayUse("broker", s.Uses), c.MayUse("ssh", c.Agents[0].Uses), c.MayUse("broker", c.PassUses)); err != nil {
		t.Error(err)
	}
	if spec, err := c.Complete(secret.Spec{ID: "old"}, os.LookupEnv); err != nil || spec.Argument != "old" {
		t.Errorf("got %+v, %v", spec, err)
	}
}

// TestWordsAreNoSchemes: whoever allows a use does not allow an executable of that name to run.
func TestWordsAreNoSchemes(t *testing.T) {
	_, opts := tree(t, map[string]string{stop: "", projectFile: "version: 1\nsecrets: {x: {from: 'broker:x'}}\n"})
	opts.Environ = append(opts.Environ, "TIGHTLIP_ALLOW=broker")
	if _, err := load(t, opts).Complete(secret.Spec{ID: "x"}, os.LookupEnv); err == nil {
		t.Error("broker: is allowed as a scheme")
	}
}

// TestUsesThatAreLaxer has a project's file give to steps what the user's own keeps from them.
func TestUsesThatAreLaxer(t *testing.T) {
	_, opts := tree(t, map[string]string{
		stop: "", projectFile: "version: 1\nsecrets: {npm: {from: 'env:NPM_TOKEN'}, pip: {from: 'env:PIP_TOKEN'}}\n",
		userFile: "version: 1\nsecrets: {npm: {from: 'env:NPM_TOKEN', broker: [{origin: 'https://npm.corp.example', attach: bearer}], seal: true}, pip: {from: 'env:PIP_TOKEN'}}\n",
	})
	c := load(t, opts)
	for id, want := range map[string]int{"npm": 2, "pip": 0} {
		s, _ := c.Secret(id)
		if err := c.MayUse("broker", s.Uses); len(s.Uses) != want || (err != nil) != (want > 0) {
			t.Errorf("%s: got %+v, %v", id, s.Uses, err)
		}
	}
	if len(c.Wants()) != 2 {
		t.Errorf("got %+v", c.Wants())
	}
}
