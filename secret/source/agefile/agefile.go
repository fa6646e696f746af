// Package agefile finds secrets in files that age encrypted.
package agefile

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"filippo.io/age/armor"
	"golang.org/x/crypto/ssh"

	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/source/file"
)

// Source resolves age:PATH, what is encrypted in a file, armored or not, and age:PATH#KEY, a key of that as in file:PATH#KEY.
//
// The identities are in the file of ?identity=, or else where SOPS finds them: in the variable SOPS_AGE_KEY, the file of SOPS_AGE_KEY_FILE,
// or sops/age/keys.txt in the user's configuration. They are age's own or one SSH key, without a passphrase. Plugins are not run.
type Source struct {
	Files file.Source
}

// Scheme implements secret.Source.
func (Source) Scheme() string { return "age" }

// About implements secret.Described.
func (Source) About() secret.About {
	return secret.About{
		Form: "age:PATH?identity=PATH#KEY", What: "a file that age encrypted, or a key of it", Example: "age:secrets.env.age?identity=key.txt#NPM_TOKEN",
		Variables: []string{"SOPS_AGE_KEY"},
	}
}

// Resolve implements secret.Source.
func (s Source) Resolve(ctx context.Context, ref secret.Ref) (*secret.Lease, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	p, err := ref.Parts("identity")
	if err != nil {
		return nil, err
	}
	if p.Path == "" {
		return nil, &secret.SyntaxError{Problem: "a reference to age: lacks its path", Try: "write age:PATH?identity=PATH"}
	}
	content, err := s.Files.Read(ctx, ref, p.Path)
	if err != nil {
		return nil, err
	}
	identities, err := s.identities(ctx, ref, p.Get("identity"))
	if err != nil {
		return nil, err
	}
	value, err := secret.Read(ctx, func() (io.ReadCloser, error) {
		r, err := age.Decrypt(unarmored(content), identities...)
		return io.NopCloser(r), err
	})
	if err != nil {
		return nil, explain(ref, p.Path, err)
	}
	if p.Field != "" {
		if value, err = file.Select(ref, strings.TrimSuffix(p.Path, ".age"), value, p.Field); err != nil {
			return nil, err
		}
	}
	return &secret.Lease{Value: value, ID: ref.String()}, nil
}

func unarmored(content secret.Value) io.Reader {
	r := bytes.NewReader(content.Open())
	if bytes.HasPrefix(bytes.TrimSpace(content.Open()), []byte(armor.Header)) {
		return armor.NewReader(r)
	}
	return r
}

// identities are those of a file, or of where SOPS looks for them.
func (s Source) identities(ctx context.Context, ref secret.Ref, path string) ([]age.Identity, error) {
	if text := os.Getenv("SOPS_AGE_KEY"); path == "" && text != "" {
		return parsed(ctx, ref, "SOPS_AGE_KEY", secret.NewValue([]byte(text)))
	}
	asked := path != ""
	if !asked {
		path = os.Getenv("SOPS_AGE_KEY_FILE")
	}
	if path == "" {
		dir, err := configDir()
		if err != nil {
			return nil, &secret.ResolveError{Ref: ref, Problem: "there is no identity for age", Try: "add ?identity=PATH", Err: err}
		}
		path = filepath.Join(dir, "sops", "age", "keys.txt")
	}
	content, err := s.Files.Read(ctx, ref, path)
	if re, ok := errors.AsType[*secret.ResolveError](err); ok && (errors.Is(err, secret.ErrNotFound) || errors.Is(err, secret.ErrEmpty)) {
		// It is not the secret that is missing.
		return nil, &secret.ResolveError{Ref: ref, Problem: "identities of age: " + re.Problem, Try: "add ?identity=PATH, or set SOPS_AGE_KEY_FILE"}
	}
	if err != nil {
		return nil, err
	}
	return parsed(ctx, ref, path, content)
}

// configDir is where SOPS looks, on every system: os.UserConfigDir does not ask for the variable on a Mac.
func configDir() (string, error) {
	if dir := os.Getenv("XDG_CONFIG_HOME"); dir != "" {
		return dir, nil
	}
	return os.UserConfigDir()
}

// parsed reads the identities in a file. No error of the libraries is passed on: it may quote a key.
func parsed(ctx context.Context, ref secret.Ref, path string, content secret.Value) ([]age.Identity, error) {
	problem := &secret.ResolveError{Ref: ref, Problem: path + ": holds no identity of age and no SSH key", Try: "make one with age-keygen -o " + path}
	if bytes.HasPrefix(content.Open(), []byte("-----BEGIN AGE")) {
		problem.Problem, problem.Try = path+": is encrypted itself", "name identities without a passphrase"
		return nil, problem
	}
	if bytes.HasPrefix(content.Open(), []byte("-----BEGIN")) {
		identity, err := agessh.ParseIdentity(content.Open())
		if _, locked := errors.AsType[*ssh.PassphraseMissingError](err); locked {
			problem.Problem, problem.Try = path+": has a passphrase", "name a key without one"
		}
		if err != nil {
			return nil, problem
		}
		secret.Uses(ctx, filepath.Base(path), content)
		return []age.Identity{identity}, nil
	}
	identities, err := age.ParseIdentities(bytes.NewReader(content.Open()))
	if err != nil {
		return nil, problem
	}
	for line := range bytes.Lines(content.Open()) {
		if !bytes.HasPrefix(line, []byte("#")) { // where age-keygen writes the public key
			secret.Uses(ctx, filepath.Base(path), secret.NewValue(bytes.TrimSpace(line)))
		}
	}
	return identities, nil
}

func explain(ref secret.Ref, path string, err error) error {
	re := &secret.ResolveError{Ref: ref, Err: err}
	_, others := errors.AsType[*age.NoIdentityMatchError](err)
	switch {
	case errors.Is(err, secret.ErrEmpty):
		re.Problem = "file " + path + " is empty inside"
	case errors.Is(err, secret.ErrTooLarge), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		re.Problem = "file " + path + ": " + err.Error()
	case others:
		re.Problem, re.Try = "file "+path+" is encrypted for others than these identities", "name another file with ?identity=PATH"
	default: // what the library says may quote the file
		re.Problem, re.Err = "file "+path+" is not a file of age, or is damaged", errDamaged
	}
	return re
}

var errDamaged = errors.New("not a file of age")
