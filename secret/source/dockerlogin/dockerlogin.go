// Package dockerlogin finds the logins of registries that docker login and podman login keep.
package dockerlogin

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/source/command"
	"github.com/tightlip/tightlip/secret/source/file"
)

// Source resolves docker-credential:REGISTRY, the password or token of a login, and docker-credential:REGISTRY#username.
//
// It looks into the file of ?file=, or else into DOCKER_AUTH_CONFIG, docker's configuration and podman's files, in this order, and asks the
// credential helper that a file names before it takes what is in the file itself. What was logged in to a part of a registry is found
// by its path, as podman does, the longest first.
type Source struct {
	Runner *command.Runner
	Files  file.Source
}

// Scheme implements secret.Source.
func (Source) Scheme() string { return "docker-credential" }

// About implements secret.Described.
func (Source) About() secret.About {
	return secret.About{
		Form: "docker-credential:REGISTRY?file=PATH, with #username for the user", What: "the login of docker or podman at a registry",
		Example: "docker-credential:registry.corp.example", Variables: []string{"DOCKER_AUTH_CONFIG"},
	}
}

// Resolve implements secret.Source.
func (s Source) Resolve(ctx context.Context, ref secret.Ref) (*secret.Lease, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	p, err := ref.Parts("file")
	if err != nil {
		return nil, err
	}
	if p.Path == "" || p.Field != "" && p.Field != "password" && p.Field != "username" {
		return nil, &secret.SyntaxError{
			Problem: "a reference to docker-credential: lacks its registry, or names an unknown field",
			Try:     "write docker-credential:REGISTRY, or docker-credential:REGISTRY#username",
		}
	}
	l, err := s.find(ctx, ref, p)
	if err != nil {
		return nil, err
	}
	value := l.password
	if p.Field == "username" {
		value = l.username
	}
	if value.Len() == 0 {
		return nil, &secret.ResolveError{Ref: ref, Problem: "the login at " + p.Path + " has nothing there", Try: "log in again", Err: secret.ErrEmpty}
	}
	return &secret.Lease{Value: value, ID: ref.String()}, nil
}

// login is what a registry takes. With an identity token the password is that.
type login struct{ username, password secret.Value }

func (s Source) find(ctx context.Context, ref secret.Ref, p secret.Parts) (login, error) {
	paths := defaultPaths()
	if path := p.Get("file"); path != "" {
		paths = []string{path}
	} else if text := os.Getenv("DOCKER_AUTH_CONFIG"); text != "" {
		l, err := s.in(ctx, ref, "DOCKER_AUTH_CONFIG", secret.NewValue([]byte(text)), p.Path)
		if !errors.Is(err, secret.ErrNotFound) {
			return l, err
		}
	}
	for _, path := range paths {
		content, err := s.Files.Read(ctx, ref, path)
		if err != nil && p.Get("file") == "" && (errors.Is(err, secret.ErrNotFound) || errors.Is(err, secret.ErrEmpty)) {
			continue
		}
		if err != nil {
			return login{}, err
		}
		l, err := s.in(ctx, ref, path, content, p.Path)
		if !errors.Is(err, secret.ErrNotFound) {
			return l, err
		}
	}
	return login{}, &secret.ResolveError{
		Ref: ref, Problem: "there is no login at " + p.Path + " in " + strings.Join(paths, ", "),
		Try: "docker login " + p.Path + ", or podman login " + p.Path, Err: secret.ErrNotFound,
	}
}

// defaultPaths are docker's file and, from podman on, those of containers-auth.json(5).
func defaultPaths() []string {
	docker := os.Getenv("DOCKER_CONFIG")
	if docker == "" {
		docker = "~/.docker"
	}
	paths := []string{filepath.Join(docker, "config.json")}
	if path := os.Getenv("REGISTRY_AUTH_FILE"); path != "" {
		return append(paths, path)
	}
	for _, dir := range []string{os.Getenv("XDG_RUNTIME_DIR"), "/run/containers/" + strconv.Itoa(os.Getuid()), os.Getenv("XDG_CONFIG_HOME"), "~/.config"} {
		switch {
		case dir == "":
		case strings.HasPrefix(dir, "/run/containers/"):
			paths = append(paths, dir+"/auth.json")
		default:
			paths = append(paths, filepath.Join(dir, "containers", "auth.json"))
		}
	}
	return paths
}
