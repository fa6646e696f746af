package config

import (
	"slices"

	"github.com/tightlip/tightlip/secret"
)

// Secret returns the entry for a secret.
func (c *Config) Secret(id string) (s Secret, ok bool) {
	i := slices.IndexFunc(c.Secrets, func(s Secret) bool { return s.ID == id })
	if i < 0 {
		return Secret{}, false
	}
	return c.Secrets[i], true
}

// Complete adds what the files say to a --secret flag. If the flag says nothing about where the secret comes from,
// the entry for its id does, else BuildKit's rule (see [secret.DefaultRef]; lookup is os.LookupEnv in earnest).
//
// An entry of the project's file may point to files, variables and descriptors. Any other scheme runs a command or
// reaches the network, and is an [*Error] unless the user allowed the scheme or trusts the file. So is one that makes the secret a build
// argument if the flag does not.
func (c *Config) Complete(spec secret.Spec, lookup func(string) (string, bool)) (secret.Spec, error) {
	entry, _ := c.Secret(spec.ID)
	spec.RebuildOnChange = spec.RebuildOnChange || entry.RebuildOnChange
	if spec.Argument == "" {
		if err := c.MayUse(UseArgument, entry.Uses); err != nil {
			return secret.Spec{}, err
		}
		spec.Argument = entry.Argument
	}
	switch {
	case !spec.Ref.IsZero():
		return spec, nil
	case entry.Ref.IsZero():
		ref, err := secret.DefaultRef(spec.ID, lookup)
		spec.Ref = ref
		return spec, err
	case entry.unknown != nil:
		return secret.Spec{}, entry.unknown
	}
	if err := c.allowed(entry); err != nil {
		return secret.Spec{}, err
	}
	spec.Ref = entry.Ref
	return spec, nil
}

// harmless are the schemes that neither run anything nor reach the network.
var harmless = []string{secret.SchemeFile, secret.SchemeEnv, secret.SchemeStdin, "fd", "netrc", "age"}

// allowed looks at the reference and at those in it: a store may be told to log in with what a command prints.
func (c *Config) allowed(s Secret) error {
	scheme := c.refused(s.Ref)
	if s.Origin.Kind != FromProject || scheme == "" || c.Trusted() {
		return nil
	}
	return &Error{
		Origin:  s.Origin,
		Problem: "secret " + s.ID + " comes from " + s.Ref.String() + ", and a project's file may not use " + scheme + ": on its own",
		Try:     trustHint(scheme, c.userFile),
	}
}

func trustHint(word, userFile string) string {
	return "tightlip trust, once you have read the file; or " + allowHint(word, userFile)
}

func allowHint(scheme, userFile string) string {
	hint := "allow it with --allow-source " + scheme + " or TIGHTLIP_ALLOW=" + scheme
	if userFile != "" {
		hint += ", or for good with allow: [" + scheme + "] in " + userFile
	}
	return hint
}
