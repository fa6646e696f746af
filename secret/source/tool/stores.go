package tool

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/source/file"
)

var stores = []store{
	{
		scheme: "pass", program: "pass", try: "run pass ls, and gpg --list-secret-keys", read: readPass,
		about: secret.About{Form: "pass:NAME#KEY", What: "the first line of an entry of pass, or of a line KEY: VALUE below it", Example: "pass:ci/npm"},
	},
	{
		scheme: "sops", program: "sops", try: "run sops filestatus on the file: one of its keys has to be yours", read: readSOPS,
		about: secret.About{Form: "sops:PATH#KEY", What: "a file that SOPS encrypted, or a key of it", Example: "sops:secrets.yaml#npm.token", Variables: sopsVariables},
	},
	{
		scheme: "keyring", program: "secret-tool", try: "run secret-tool in a session with D-Bus and an unlocked keyring", read: readKeyring,
		about: secret.About{Form: "keyring:SERVICE/ACCOUNT", What: "the desktop's keyring, by the Secret Service", Example: "keyring:npm/ci"},
	},
}

// sopsVariables are those that hold the keys which getsops.io/docs has, for age and for the services that keep keys.
var sopsVariables = []string{
	"SOPS_AGE_KEY", "VAULT_TOKEN", "AZURE_CLIENT_SECRET", "GOOGLE_CREDENTIALS", "GOOGLE_OAUTH_ACCESS_TOKEN",
	"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN",
}

// readPass returns the first line of an entry, or what follows KEY: in one of the others, as browserpass has it.
func readPass(ctx context.Context, q question) (secret.Value, error) {
	store := os.Getenv("PASSWORD_STORE_DIR")
	if store == "" {
		store = "~/.password-store"
	}
	path, err := file.Source{}.Locate(filepath.Join(store, q.parts.Path+".gpg"))
	if err != nil {
		return secret.Value{}, err
	}
	// pass shows a folder as a list of names, and succeeds.
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return secret.Value{}, q.absent("pass has no entry "+q.parts.Path, "run pass ls, or pass insert "+q.parts.Path)
	}
	out, err := q.run(ctx, nil, "show", "--", q.parts.Path)
	if err != nil {
		return secret.Value{}, err
	}
	first, rest, _ := bytes.Cut(out.Open(), []byte("\n"))
	if q.parts.Field == "" {
		return secret.NewValue(first), nil
	}
	for line := range bytes.Lines(rest) {
		key, value, ok := bytes.Cut(line, []byte(":"))
		if ok && strings.EqualFold(string(bytes.TrimSpace(key)), q.parts.Field) {
			return secret.NewValue(bytes.TrimSpace(value)), nil
		}
	}
	return secret.Value{}, q.absent("pass has no line "+q.parts.Field+": in "+q.parts.Path, "run pass edit "+q.parts.Path)
}

// readSOPS decrypts a file in its own format and takes a key out of it as file:PATH#KEY does. The program decrypts all of it in any case.
func readSOPS(ctx context.Context, q question) (secret.Value, error) {
	if _, err := q.files.Read(ctx, q.ref, q.parts.Path); err != nil {
		return secret.Value{}, err
	}
	path, err := q.files.Locate(q.parts.Path)
	if err != nil {
		return secret.Value{}, err
	}
	if path, err = filepath.Abs(path); err != nil { // which begins with no dash
		return secret.Value{}, err
	}
	out, err := q.run(ctx, nil, "decrypt", path)
	if err != nil || q.parts.Field == "" {
		return out, err
	}
	return file.Select(q.ref, q.parts.Path, out, q.parts.Field)
}

// accounts are what libraries call the attribute beside service: python-keyring and go-keyring, then keytar.
var accounts = []string{"username", "account"}

// readKeyring asks for an item by its attributes.
func readKeyring(ctx context.Context, q question) (secret.Value, error) {
	end := strings.LastIndexByte(q.parts.Path, '/')
	if end <= 0 || q.parts.Field != "" {
		return secret.Value{}, &secret.SyntaxError{Problem: "a reference to keyring: is not SERVICE/ACCOUNT", Try: "write keyring:SERVICE/ACCOUNT"}
	}
	for _, account := range accounts {
		attributes := []string{"service", q.parts.Path[:end], account, q.parts.Path[end+1:]}
		out, err := lookUp(ctx, q, attributes)
		if !errors.Is(err, secret.ErrNotFound) {
			return out, err
		}
	}
	return secret.Value{}, q.absent("the keyring has nothing for "+q.parts.Path, "run secret-tool store --label=NAME service "+q.parts.Path[:end]+" username "+q.parts.Path[end+1:])
}

// lookUp tells what is not there, for which secret-tool fails without a word, from what is locked, for which it does, too.
func lookUp(ctx context.Context, q question, attributes []string) (secret.Value, error) {
	said := false
	out, err := q.run(ctx, &said, append([]string{"lookup", "--"}, attributes...)...)
	if _, failed := errors.AsType[*exec.ExitError](err); !failed || said {
		return out, err
	}
	found, err := q.run(ctx, nil, append([]string{"search", "--"}, attributes...)...)
	switch {
	case err != nil:
		return secret.Value{}, err
	case found.Len() > 0:
		return secret.Value{}, &secret.ResolveError{Ref: q.ref, Problem: "the keyring is locked", Try: "unlock it, and run this again"}
	}
	return secret.Value{}, secret.ErrNotFound
}
