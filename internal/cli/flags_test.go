package cli

import (
	"os"
	"testing"

	"github.com/docker/buildx/commands"
	"github.com/docker/cli/cli/command"
	"github.com/spf13/pflag"
)

// TestFlagsAreDockers is P7: docker build's flags keep their names, short names, kinds and defaults.
func TestFlagsAreDockers(t *testing.T) {
	docker, err := command.NewDockerCli()
	if err != nil {
		t.Fatal(err)
	}
	theirs, _, err := commands.NewRootCmd("buildx", true, docker).Find([]string{"build"})
	if err != nil {
		t.Fatal(err)
	}
	ours := (&app{streams: Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}}).buildCommand().Flags()
	// Kinds that differ in name only: lists that keep commas, and docker's own types.
	same := map[string]string{"ulimit": "stringArray"}
	count := 0
	check := func(f *pflag.Flag) {
		count++
		own := ours.Lookup(f.Name)
		if own == nil {
			t.Errorf("--%s is missing", f.Name)
			return
		}
		if own.Shorthand != f.Shorthand {
			t.Errorf("--%s has the short name %q, want %q", f.Name, own.Shorthand, f.Shorthand)
		}
		if kind, ok := same[f.Name]; own.Value.Type() != f.Value.Type() && !(ok && own.Value.Type() == kind) {
			t.Errorf("--%s takes a %s, want a %s", f.Name, own.Value.Type(), f.Value.Type())
		}
		if own.NoOptDefVal != f.NoOptDefVal {
			t.Errorf("--%s alone means %q, want %q", f.Name, own.NoOptDefVal, f.NoOptDefVal)
		}
		if own.DefValue != f.DefValue && f.Value.Type() != "ulimit" && f.Name != "print" {
			t.Errorf("--%s is %q by default, want %q", f.Name, own.DefValue, f.DefValue)
		}
		if own.Hidden != f.Hidden {
			t.Errorf("--%s is hidden: %t, want %t", f.Name, own.Hidden, f.Hidden)
		}
	}
	theirs.Flags().VisitAll(check)
	theirs.InheritedFlags().VisitAll(func(f *pflag.Flag) {
		if f.Name == "builder" {
			check(f)
		}
	})
	if count < 40 {
		t.Errorf("only %d flags were compared", count)
	}
}
