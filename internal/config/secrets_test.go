package config_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tightlip/tightlip/internal/config"
	"github.com/tightlip/tightlip/secret"
)

func TestSecrets(t *testing.T) {
	dir, opts := tree(t, map[string]string{
		stop:          "",
		userFile:      "version: 1\nsecrets:\n  mine: {from: 'file:token'}\n  both: {from: 'env:USER_TOKEN', waive: true}\n  run: {from: 'cmd:pass x'}\n",
		projectFile:   "version: 1\nsecrets:\n  both: {from: 'env:PROJECT_TOKEN', rebuild: on-change}\n  file: {from: 'file:../a#k'}\n  pin: {waive: true}\n",
		"work/sub/x":  "",
		"work/sub/.x": "",
	})
	opts.Dir = filepath.Join(dir, "work/sub")
	c := load(t, opts)
	var got strings.Builder
	for _, s := range c.Secrets {
		fmt.Fprintf(&got, "%s %s %v %v\n", s.ID, strings.ReplaceAll(s.Ref.String(), dir, "DIR"), s.RebuildOnChange, s.Waive)
	}
	want := "mine file:DIR/home/.config/tightlip/token false false\nboth env:PROJECT_TOKEN true false\nrun cmd:pass x false false\n" +
		"file file:DIR/a#k false false\npin  false true\n"
	if got.String() != want {
		t.Errorf("got\n%swant\n%s", &got, want)
	}
}

func TestComplete(t *testing.T) {
	_, opts := tree(t, map[string]string{
		stop:        "",
		userFile:    "version: 1\nsecrets: {mine: {from: 'cmd:pass mine'}}\n",
		projectFile: "version: 1\nsecrets:\n  npm: {from: 'env:NPM_TOKEN', rebuild: on-change}\n  in: {from: '-'}\n  pass: {from: 'cmd:pass x'}\n  short: {waive: true}\n",
	})
	c := load(t, opts)
	lookup := func(name string) (string, bool) { return "", name == "SET" }
	for _, tt := range []struct {
		flag, ref string
		rebuild   bool
	}{
		{"id=npm", "env:NPM_TOKEN", true},
		{"id=npm,src=x", "file:x", true},
		{"id=in", "-", false},
		{"id=mine", "cmd:pass mine", false},
		{"id=pass,from=cmd:other", "cmd:other", false},
		{"id=short", "file:short", false},
		{"id=SET", "env:SET", false},
		{"id=other,rebuild=on-change", "file:other", true},
	} {
		flag, err := secret.ParseSpec(tt.flag)
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.Complete(flag, lookup)
		if err != nil || got.Ref.String() != tt.ref || got.RebuildOnChange != tt.rebuild || got.ID != flag.ID {
			t.Errorf("%s: got %+v, %v", tt.flag, got, err)
		}
	}
}

// TestHarmless has the schemes of a project's file that neither run anything nor reach the network.
func TestHarmless(t *testing.T) {
	for _, tt := range []struct {
		ref string
		ok  bool
	}{
		{"file:x", true}, {"env:X", true}, {"fd:3", true}, {"-", true}, {"netrc:git.corp.example", true}, {"age:x.age", true},
		{"cmd:x", false}, {"docker-credential:registry.corp.example", false}, {"pass:x", false}, {"sops:x", false}, {"keyring:a/b", false}, {"on-path:x", false},
	} {
		_, opts := tree(t, map[string]string{stop: "", projectFile: "version: 1\nsecrets: {x: {from: '" + tt.ref + "'}}\n"})
		if _, err := load(t, opts).Complete(secret.Spec{ID: "x"}, os.LookupEnv); (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.ref, err)
		}
	}
}

func TestProjectNeedsLeave(t *testing.T) {
	dir, opts := tree(t, map[string]string{stop: "", projectFile: "version: 1\nsecrets: {pip: {from: 'cmd:pass x'}, v: {from: 'vault:a?secret-id=env:X#b'}, w: {from: 'vault:a?secret-id=cmd:x#b'}}\n"})
	complete := func(id string) error {
		_, err := load(t, opts).Complete(secret.Spec{ID: id}, os.LookupEnv)
		return err
	}
	ce, ok := errors.AsType[*config.Error](complete("pip"))
	if !ok {
		t.Fatal("a project's file runs a command")
	}
	if want := "tightlip.yaml:2:23: secret pip comes from cmd:pass x, and a project's file may not use cmd: on its own"; ce.Error() != want {
		t.Errorf("got  %s\nwant %s", ce, want)
	}
	user := filepath.Join(dir, userFile)
	if want := "tightlip trust, once you have read the file; or allow it with --allow-source cmd or TIGHTLIP_ALLOW=cmd, or for good with allow: [cmd] in " + user; ce.Hint() != want {
		t.Errorf("got the hint %s", ce.Hint())
	}
	environ := opts.Environ
	opts.Environ = append(environ, "TIGHTLIP_ALLOW=vault, cmd")
	if err := errors.Join(complete("pip"), complete("v")); err != nil {
		t.Errorf("allowed by the variable: %v", err)
	}
	opts.Environ, opts.Flags = environ, map[string]string{"allow-source": "cmd"}
	if err := complete("pip"); err != nil {
		t.Errorf("allowed by the flag: %v", err)
	}
	if complete("v") == nil {
		t.Error("leave for cmd is leave for vault")
	}
	// Nor is leave for vault leave for a command that it logs in with.
	opts.Flags = map[string]string{"allow-source": "vault"}
	opts.Check = someSources
	if err := complete("v"); err != nil {
		t.Errorf("a store that logs in with a variable: %v", err)
	}
	if ce, ok := errors.AsType[*config.Error](complete("w")); !ok || !strings.Contains(ce.Error(), "may not use cmd: on its own") {
		t.Error("a project's file runs a command by way of a store")
	}
	// A file that the user names is still somebody else's.
	opts.Flags = map[string]string{"config": filepath.Join(dir, projectFile)}
	if complete("pip") == nil {
		t.Error("a file named by --config runs a command")
	}
}

// TestUnknownScheme: a reference that this tightlip does not know is an error for who uses it, and for nobody else.
func TestUnknownScheme(t *testing.T) {
	_, opts := tree(t, map[string]string{stop: "", projectFile: "version: 1\nsecrets: {npm: {from: 'evn:X'}, pip: {from: 'env:X'}}\n"})
	opts.Check = someSources
	c := load(t, opts)
	if _, err := c.Complete(secret.Spec{ID: "pip"}, os.LookupEnv); err != nil {
		t.Errorf("of another secret: %v", err)
	}
	_, err := c.Complete(secret.Spec{ID: "npm"}, os.LookupEnv)
	ce, ok := errors.AsType[*config.Error](err)
	if !ok || ce.Error() != "tightlip.yaml:2:23: from: the reference has an unknown scheme, evn:" || !strings.HasPrefix(ce.Hint(), "did you mean env:?") {
		t.Errorf("got %v", err)
	}
	ref := secret.Ref{Scheme: "env", Rest: "Y"}
	if spec, err := c.Complete(secret.Spec{ID: "npm", Ref: ref}, os.LookupEnv); err != nil || spec.Ref != ref {
		t.Errorf("with a reference of the flag's own: %v", err)
	}
}

func TestNoProject(t *testing.T) {
	_, opts := tree(t, map[string]string{stop: "", projectFile: "nonsense"})
	opts.NoProject = true
	if c := load(t, opts); c.ProjectFile() != "" {
		t.Errorf("it read %s", c.ProjectFile())
	}
}
