package provider_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/secrettest"
	"github.com/tightlip/tightlip/secret/source/command"
	"github.com/tightlip/tightlip/secret/source/provider"
)

func TestContract(t *testing.T) {
	secrettest.Contract(t, func(t *testing.T) secrettest.Fixture {
		dir := t.TempDir()
		t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
		write(t, filepath.Join(dir, "tightlip-source-test"), "#!/bin/sh\ncase $1 in blocked) sleep 600 ;; *broken) cat \"${1%broken}\"; cat \"${1%broken}\" >&2; exit 1 ;; esac\ncat \"$1\"\n")
		count := 0
		put := func(t *testing.T, value []byte) secret.Ref {
			count++
			path := filepath.Join(dir, fmt.Sprintf("a # file ? %d", count))
			write(t, path, string(value)+"\n")
			return secret.Ref{Scheme: "test", Rest: path}
		}
		return secrettest.Fixture{
			Source: find("test"),
			Put:    put,
			Unfit: func(value []byte) string {
				if bytes.HasSuffix(value, []byte("\r")) {
					return "a carriage return before the last newline belongs to it"
				}
				return ""
			},
			Blocked: func(*testing.T) secret.Ref { return secret.Ref{Scheme: "test", Rest: "blocked"} },
			Broken: func(t *testing.T, value []byte) []secret.Ref {
				ref := put(t, value)
				ref.Rest += "broken"
				return []secret.Ref{ref}
			},
		}
	})
}

// TestExample runs the executable of the examples, through a link as one would a provider of summon.
func TestExample(t *testing.T) {
	script, err := filepath.Abs("../../../examples/sources/tightlip-source-lines")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(script, filepath.Join(dir, "tightlip-source-mine")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	t.Setenv("LINES_FILE", filepath.Join(dir, "lines"))
	canary := secrettest.Canary(t)
	write(t, filepath.Join(dir, "lines"), "OTHER=x\nNPM_TOKEN="+string(canary)+"=\n")
	lease, err := find("mine").Resolve(t.Context(), secret.Ref{Scheme: "mine", Rest: "NPM_TOKEN"})
	if err != nil || string(lease.Value.Open()) != string(canary)+"=" {
		t.Errorf("got %v", err)
	}
	_, err = find("mine").Resolve(t.Context(), secret.Ref{Scheme: "mine", Rest: "GONE"})
	if err == nil || err.Error() != "command tightlip-source-mine failed: exit status 1" {
		t.Errorf("got %v", err)
	}
	if find("theirs") != nil {
		t.Error("found a source that is not there")
	}
}

// TestWorkingDirectory has an executable beside the Dockerfile, and the working directory on PATH.
func TestWorkingDirectory(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "tightlip-source-here"), "#!/bin/sh\necho x\n")
	t.Chdir(dir)
	for _, path := range []string{"", ".", ":" + os.Getenv("PATH")} {
		t.Setenv("PATH", path)
		if find("here") != nil {
			t.Errorf("PATH=%s: found an executable in the working directory", path)
		}
	}
}

func Example() {
	resolver := secret.NewResolver()
	resolver.SetOther(provider.Find(command.NewRunner(command.Options{})))
	_, err := resolver.Resolve(context.Background(), secret.Ref{Scheme: "gone", Rest: "ci/npm"})
	fmt.Println(err)
	// Output: the reference has an unknown scheme, gone:
}

func find(scheme string) secret.Source {
	return provider.Find(command.NewRunner(command.Options{Stderr: new(strings.Builder)}))(scheme)
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o700); err != nil {
		t.Fatal(err)
	}
}
