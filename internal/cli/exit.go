package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"slices"
	"strings"
	"syscall"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/tightlip/tightlip/build"
	"github.com/tightlip/tightlip/build/engine/embedded"
	"github.com/tightlip/tightlip/internal/config"
	"github.com/tightlip/tightlip/secret"
)

// The exit codes. A failed build may also end with the engine's own.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2 // or could not look
	exitLeaked      = 3
	exitInterrupted = 130
	exitNobodyReads = 141 // as a shell has it of a program that SIGPIPE ended
)

// exit prints an error, if there is one, and returns the exit code that it means.
func (a *app) exit(ctx context.Context, err error) int {
	if err == nil {
		return exitDone
	}
	if errors.Is(context.Cause(ctx), errInterrupted) {
		what := ""
		switch {
		case len(a.named) > 0:
			what = ": already named: " + a.redact(strings.Join(a.named, ", "))
		case a.command == "build":
			what = ": nothing was named"
		}
		fmt.Fprintln(a.streams.Err, "tightlip: interrupted"+what)
		return exitInterrupted
	}
	if a.nobodyReads(err) {
		return exitNobodyReads
	}
	if quiet, ok := errors.AsType[*quietError](err); ok {
		if quiet.err != nil {
			a.printError(quiet.err)
		}
		return quiet.code
	}
	a.printError(err)
	return a.code(err)
}

// nobodyReads tells whether the output, or that of a command, went into a pipe that head or the like has closed. Nothing is wrong then, and
// nobody is there to be told.
func (a *app) nobodyReads(err error) bool {
	failed, ok := errors.AsType[*build.FailedError](err)
	out, isFile := errors.AsType[*fs.PathError](err)
	return ok && failed.Code == exitNobodyReads && a.command != "build" || isFile && out.Op == "write" && errors.Is(out, syscall.EPIPE)
}

func (a *app) code(err error) int {
	var (
		failed  *build.FailedError
		usage   *build.UsageError
		resolve *secret.ResolveError
		syntax  *secret.SyntaxError
		conf    *config.Error
		unmade  *build.SecretError
	)
	switch {
	case errors.Is(err, build.ErrLeaked), errors.Is(err, build.ErrRecorded), errors.Is(err, build.ErrPhantom), errors.Is(err, build.ErrTicket), errors.Is(err, build.ErrInContext), errors.Is(err, build.ErrNotSpent):
		return exitLeaked
	case errors.As(err, &unmade):
		return exitUsage
	case errors.As(err, &failed):
		if a.command == "build" && slices.Contains([]int{exitUsage, exitLeaked, exitInterrupted}, failed.Code) {
			return exitFailed // of a step that ended with a code that means something else here
		}
		return failed.Code
	case errors.Is(err, build.ErrUnproven), errors.Is(err, build.ErrContextUnread), errors.Is(err, embedded.ErrNoRuntime), errors.Is(err, embedded.ErrNoIDs), errors.Is(err, embedded.ErrUnsupported),
		errors.As(err, &usage), errors.As(err, &resolve), errors.As(err, &syntax), errors.As(err, &conf):
		return exitUsage
	case a.command == "build":
		return exitFailed
	}
	return exitUsage // the other commands look, and could not
}

// printError is the one place where errors are shown.
func (a *app) printError(err error) {
	for _, line := range strings.Split(strings.TrimSpace(a.redact(err.Error())), "\n") {
		fmt.Fprintf(a.streams.Err, "tightlip: error: %s\n", line)
	}
	for _, hint := range hints(err) {
		fmt.Fprintf(a.streams.Err, "tightlip: hint: %s\n", a.redact(hint))
	}
}

// hints collects what the errors in err advise, each once.
func hints(err error) []string {
	var out []string
	add := func(hint string) {
		for _, h := range out {
			if h == hint {
				return
			}
		}
		if hint != "" {
			out = append(out, hint)
		}
	}
	add(loginHint(err))
	switch {
	case errors.Is(err, embedded.ErrNoRuntime):
		add("apt-get install runc (or dnf install runc, apk add runc)")
	case errors.Is(err, embedded.ErrUnsupported):
		add("docker buildx create --use makes a builder")
	case errors.Is(err, embedded.ErrNoIDs):
		add("apt-get install uidmap; usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER")
	case errors.Is(err, build.ErrLeaked):
		add("mount the secret in the step that needs it: RUN --mount=type=secret,id=NAME … and copy it nowhere; .dockerignore keeps files out of the context")
	case errors.Is(err, build.ErrRecorded):
		add("a step prints the secret: leave out what does (cat, set -x, echo), then build again")
	case errors.Is(err, build.ErrInContext):
		add("delete what holds it, have the command write it elsewhere, or leave it out with .dockerignore")
	case errors.Is(err, build.ErrNotSpent):
		add("mount the secret instead of deliver=build-arg, or build again once the issuer answers; tightlip reap revokes what is left")
	case errors.Is(err, build.ErrPhantom), errors.Is(err, build.ErrTicket):
		add("remove the file in the same RUN, or write it to a mount; --allow-phantom names the image all the same")
	case errors.Is(err, build.ErrContextUnread):
		add("--prove-skip PATTERN lets a file be unread, .dockerignore leaves it out of the context")
	case errors.Is(err, build.ErrUnproven):
		add("--prove-skip PATTERN lets a file be unread, --prove=warn names the image all the same")
	}
	var walk func(error)
	walk = func(err error) {
		if h, ok := err.(interface{ Hint() string }); ok {
			add(h.Hint())
		}
		switch u := err.(type) {
		case interface{ Unwrap() error }:
			if inner := u.Unwrap(); inner != nil {
				walk(inner)
			}
		case interface{ Unwrap() []error }:
			for _, inner := range u.Unwrap() {
				walk(inner)
			}
		}
	}
	walk(err)
	return out
}

// loginHint is for a registry that wants a password, or another one.
func loginHint(err error) string {
	t, ok := errors.AsType[*transport.Error](err)
	if !ok || t.StatusCode != http.StatusUnauthorized && t.StatusCode != http.StatusForbidden {
		return ""
	}
	if t.Request == nil || !strings.HasPrefix(t.Request.URL.Path, "/v2/") { // a server of tokens, or of blobs
		return ""
	}
	return "docker login " + t.Request.URL.Host + " (or podman login)"
}
