// Package netrc finds the passwords of hosts in netrc files.
package netrc

import (
	"context"
	"errors"
	"os"
	"runtime"

	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/source/file"
)

// Source resolves netrc:HOST, the password of a host, and netrc:HOST#login.
//
// The first entry for the host counts, or the first with the login of ?login=, and else the default entry. The file is that of
// ?file=, of the variable NETRC, or ~/.netrc. What is left open by the format is read as curl does, except that
// a password may begin with #.
type Source struct {
	Files file.Source
}

// Scheme implements secret.Source.
func (Source) Scheme() string { return "netrc" }

// About implements secret.Described.
func (Source) About() secret.About {
	return secret.About{
		Form: "netrc:HOST?login=NAME&file=PATH, with #login for the login", What: "the password of a host in ~/.netrc", Example: "netrc:git.corp.example",
	}
}

// Resolve implements secret.Source.
func (s Source) Resolve(ctx context.Context, ref secret.Ref) (*secret.Lease, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	p, err := ref.Parts("file", "login")
	if err != nil {
		return nil, err
	}
	field := p.Field
	if field == "" {
		field = "password"
	}
	if p.Path == "" || field != "password" && field != "login" && field != "account" {
		return nil, &secret.SyntaxError{Problem: "a reference to netrc: lacks its host, or names an unknown field", Try: "write netrc:HOST, or netrc:HOST#login"}
	}
	path := p.Or("file", defaultPath())
	content, err := s.Files.Read(ctx, ref, path)
	if err != nil {
		return nil, err
	}
	value, err := find(content.Open(), p.Path, p.Get("login"), field)
	if err != nil {
		return nil, explain(ref, path, p, err)
	}
	return &secret.Lease{Value: value, ID: ref.String()}, nil
}

func defaultPath() string {
	switch path := os.Getenv("NETRC"); {
	case path != "":
		return path
	case runtime.GOOS == "windows":
		return "~/_netrc"
	}
	return "~/.netrc"
}

// find is a field of the entry for a host. An entry without it counts as much as one with it.
func find(content []byte, host, login, field string) (secret.Value, error) {
	entries, err := parse(string(content))
	if err != nil {
		return secret.Value{}, err
	}
	for _, e := range entries {
		if e.host != "" && e.host != host || login != "" && e.fields["login"] != login {
			continue
		}
		if e.fields[field] == "" {
			return secret.Value{}, secret.ErrEmpty
		}
		return secret.NewValue([]byte(e.fields[field])), nil
	}
	return secret.Value{}, secret.ErrNotFound
}

func explain(ref secret.Ref, path string, p secret.Parts, err error) error {
	re := &secret.ResolveError{Ref: ref, Err: err}
	whom := "machine " + p.Path
	if p.Get("login") != "" {
		whom += " with login " + p.Get("login")
	}
	switch {
	case errors.Is(err, secret.ErrNotFound):
		re.Problem, re.Try = "file "+path+" has no "+whom, "add machine "+p.Path+" login NAME password … to "+path
	case errors.Is(err, secret.ErrEmpty):
		re.Problem = "file " + path + ": " + whom + " has no " + p.Field
		if p.Field == "" {
			re.Problem += "password"
		}
	default:
		re.Problem = "file " + path + ": " + err.Error()
	}
	return re
}
