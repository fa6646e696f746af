package command_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/secrettest"
	"github.com/tightlip/tightlip/secret/source/command"
)

func TestContract(t *testing.T) {
	secrettest.Contract(t, func(t *testing.T) secrettest.Fixture {
		dir := t.TempDir()
		count := 0
		put := func(t *testing.T, value []byte) string {
			count++
			path := filepath.Join(dir, fmt.Sprintf("a file %d", count))
			if err := os.WriteFile(path, append(bytes.Clone(value), '\n'), 0o600); err != nil {
				t.Fatal(err)
			}
			return path
		}
		return secrettest.Fixture{
			Source:  command.New(command.Options{Stderr: new(bytes.Buffer)}),
			Put:     func(t *testing.T, value []byte) secret.Ref { return cmd("cat '" + put(t, value) + "'") },
			Unfit:   carriageReturn,
			Missing: cmd("no-such-command-anywhere x"),
			Blocked: func(*testing.T) secret.Ref { return cmd("sh -c 'sleep 600'") },
			Broken: func(t *testing.T, value []byte) []secret.Ref {
				path := put(t, value)
				return []secret.Ref{
					cmd(`sh -c 'cat "$0"; exit 3' "` + path + `"`),
					cmd(`sh -c 'cat "$0" >&2; exit 3' "` + path + `"`),
					cmd(`sh -c 'cat "$0"; kill -9 $$' "` + path + `"`),
				}
			},
		}
	})
}

// carriageReturn keeps the value that, with the newline of its file, ends in CR LF from being tried.
func carriageReturn(value []byte) string {
	if bytes.HasSuffix(value, []byte("\r")) {
		return "a carriage return before the last newline belongs to it"
	}
	return ""
}

func TestWordsAndNewline(t *testing.T) {
	for _, tt := range []struct{ command, want string }{
		{`printf %s x`, "x"},
		{`printf 'x\n'`, "x"},
		{`printf 'x\r\n'`, "x"},
		{`printf 'x\n\n'`, "x\n"},
		{`printf 'x\r'`, "x\r"},
		{`printf '%s|' 'a b' "c d" e\ f "g\"h" ''`, "a b|c d|e f|g\"h||"},
		{`printf '%s|' $HOME * ~ '$(id)' a;b`, "$HOME|*|~|$(id)|a;b|"},
		{`printf x#y #z`, "x#y"},
	} {
		lease, err := command.New(command.Options{}).Resolve(t.Context(), cmd(tt.command))
		if err != nil {
			t.Errorf("%s: %v", tt.command, err)
			continue
		}
		if got := string(lease.Value.Open()); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.command, got, tt.want)
		}
	}
}

func TestErrors(t *testing.T) {
	for _, tt := range []struct {
		command, want, hint string
		is                  error
	}{
		{"no-such-command", "command no-such-command not found", "install no-such-command or add its folder to PATH", secret.ErrNotFound},
		{"/no/such/command", "command /no/such/command not found", "install /no/such/command or add its folder to PATH", secret.ErrNotFound},
		{"sh -c 'exit 7'", "command sh failed: exit status 7", "run it on its own to see why", nil},
		{"sh -c 'kill -9 $$'", "command sh failed: signal: killed", "run it on its own to see why", nil},
		{"true", "command true printed nothing", "", secret.ErrEmpty},
		{"echo", "command echo printed nothing", "", secret.ErrEmpty},
		{"echo 'x", "cmd:echo 'x is not a command", "close every quote", nil},
		{"# x", "cmd:# x is not a command", "close every quote", nil},
		{"cat /dev/zero", "the output of command cat is larger than 64 MiB", "", secret.ErrTooLarge},
	} {
		_, err := command.New(command.Options{}).Resolve(t.Context(), cmd(tt.command))
		re, ok := errors.AsType[*secret.ResolveError](err)
		if !ok {
			t.Fatalf("%s: got %v, want a ResolveError", tt.command, err)
		}
		if re.Error() != tt.want || re.Hint() != tt.hint {
			t.Errorf("%s: got %q, hint %q", tt.command, re.Error(), re.Hint())
		}
		if tt.is != nil && !errors.Is(err, tt.is) {
			t.Errorf("%s: %v is not %v", tt.command, err, tt.is)
		}
	}
}

// TestDir: a command of a project's file runs where the file is, whoever's folder tightlip was started in.
func TestDir(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "get"), []byte("#!/bin/sh\npwd\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	lease, err := command.New(command.Options{}).Resolve(t.Context(), secret.Ref{Scheme: "cmd", Rest: "./get", Dir: dir})
	if err != nil || string(lease.Value.Open()) != dir {
		t.Errorf("it runs elsewhere, or not: %v", err)
	}
}

func TestStreams(t *testing.T) {
	in, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	fmt.Fprint(out, "typed")
	out.Close()
	var stderr bytes.Buffer
	source := command.New(command.Options{Stderr: &stderr, Stdin: in})
	lease, err := source.Resolve(t.Context(), cmd("sh -c 'echo asking >&2; cat'"))
	if err != nil {
		t.Fatal(err)
	}
	if got := string(lease.Value.Open()); got != "typed" {
		t.Errorf("got %q from standard input", got)
	}
	if stderr.String() != "asking\n" {
		t.Errorf("got %q on standard error", stderr.String())
	}
}

func TestLeftBehind(t *testing.T) {
	_, err := command.New(command.Options{}).Resolve(t.Context(), cmd("sh -c 'sleep 600 & echo $!'"))
	if err == nil || !strings.Contains(err.Error(), "left a process behind") {
		t.Errorf("got %v, want an error about the process left behind", err)
	}
}

func TestCancelKillsGroup(t *testing.T) {
	pidFile := filepath.Join(t.TempDir(), "pid")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	result := make(chan error, 1)
	go func() {
		_, err := command.New(command.Options{}).Resolve(ctx, cmd("sh -c 'sleep 600 & echo $! > "+pidFile+".new; mv "+pidFile+".new "+pidFile+"; wait'"))
		result <- err
	}()
	pid := waitForPid(t, pidFile)
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's error", err)
	}
	for range 100 {
		if gone(pid) {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("the command's child %d lives on", pid)
}

func waitForPid(t *testing.T, path string) int {
	t.Helper()
	for range 500 {
		if text, err := os.ReadFile(path); err == nil {
			pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
			if err != nil {
				t.Fatal(err)
			}
			return pid
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the command did not start")
	return 0
}

// gone reports whether a process has ended. One that nobody waits for, as in a container without init, counts.
func gone(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return true
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && strings.Contains(string(stat), ") Z ")
}

func Example() {
	ref, err := secret.ParseRef("cmd:printf 'not a real one\\n'")
	if err != nil {
		fmt.Println(err)
		return
	}
	lease, err := command.New(command.Options{Stderr: os.Stderr}).Resolve(context.Background(), ref)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(lease.Value, lease.Value.Len())
	// Output: [sealed] 14
}

func cmd(text string) secret.Ref { return secret.Ref{Scheme: "cmd", Rest: text} }
