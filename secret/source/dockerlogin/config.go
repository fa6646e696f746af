package dockerlogin

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"os/exec"
	"slices"
	"strings"

	"github.com/docker/cli/cli/config/configfile"
	"github.com/docker/cli/cli/config/credentials"
	"github.com/docker/cli/cli/config/types"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"

	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/source/command"
)

// in finds a login in a file, or by the helpers that it names.
func (s Source) in(ctx context.Context, ref secret.Ref, path string, content secret.Value, registry string) (login, error) {
	config := configfile.New(path)
	if config.LoadFromReader(bytes.NewReader(content.Open())) != nil { // its error may quote the file
		return login{}, &secret.ResolveError{Ref: ref, Problem: path + ": is not valid as a configuration of docker", Try: "log in again"}
	}
	for _, key := range keys(registry) {
		for _, helper := range []string{config.CredentialHelpers[key], config.CredentialsStore} {
			if helper == "" {
				continue
			}
			l, found, err := s.ask(ctx, ref, helper, key)
			if found || err != nil {
				return l, err
			}
		}
		if l, ok := stored(config.AuthConfigs, key); ok {
			return l, nil
		}
	}
	return login{}, secret.ErrNotFound
}

// keys are what a login may be kept under: the registry with its path, the longest first, and the name that docker knows its own by.
func keys(registry string) []string {
	var out []string
	for key := strings.TrimSuffix(registry, "/"); ; {
		out = append(out, key)
		end := strings.LastIndexByte(key, '/')
		if end <= 0 || strings.HasSuffix(key[:end], "/") {
			break
		}
		key = key[:end]
	}
	if host := out[len(out)-1]; host == name.DefaultRegistry || "index."+host == name.DefaultRegistry {
		out = append(out, authn.DefaultAuthKey)
	}
	return out
}

// stored is a login in the file itself, under a name or under a URL. Those that a helper keeps are there, too, and empty.
func stored(auths map[string]types.AuthConfig, key string) (login, bool) {
	servers := []string{key}
	for _, server := range slices.Sorted(maps.Keys(auths)) {
		if strings.Contains(server, "://") && credentials.ConvertToHostname(server) == key {
			servers = append(servers, server)
		}
	}
	for _, server := range servers {
		auth := auths[server]
		password := cmp.Or(auth.Password, auth.IdentityToken, auth.RegistryToken)
		if password != "" {
			return login{secret.NewValue([]byte(auth.Username)), secret.NewValue([]byte(password))}, true
		}
	}
	return login{}, false
}

// notFound begins what all helpers say when they have no login.
const notFound = "credentials not found in native keychain"

// ask runs a credential helper, which is told the registry on standard input.
func (s Source) ask(ctx context.Context, ref secret.Ref, helper, registry string) (l login, found bool, err error) {
	program := "docker-credential-" + helper
	if strings.ContainsAny(helper, `/\`) {
		return login{}, false, &secret.ResolveError{Ref: ref, Problem: "the name of a credential helper is a path", Try: "correct credsStore or credHelpers"}
	}
	out, err := s.Runner.Output(ctx, command.Program{Name: program, Args: []string{"get"}, Stdin: registry})
	if _, failed := errors.AsType[*exec.ExitError](err); failed && bytes.HasPrefix(bytes.TrimSpace(out.Open()), []byte(notFound)) {
		return login{}, false, nil
	}
	if err != nil {
		re := command.Explain(ref, program, err)
		if !command.Missing(err) {
			re.Try = "run " + program + " list to see why"
		}
		return login{}, false, re
	}
	var answer struct{ Username, Secret string }
	if json.Unmarshal(out.Open(), &answer) != nil { // its error may quote the answer
		return login{}, false, &secret.ResolveError{Ref: ref, Problem: "the answer of " + program + " is not JSON"}
	}
	l = login{secret.NewValue([]byte(answer.Username)), secret.NewValue([]byte(answer.Secret))}
	return l, answer.Username+answer.Secret != "", nil // the helper for pass finds nothing with success
}
