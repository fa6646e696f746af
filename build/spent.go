package build

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tightlip/tightlip/internal/lazy"
	"github.com/tightlip/tightlip/proof"
	"github.com/tightlip/tightlip/secret"
)

// ErrNotSpent says that a credential was given to the build as an argument, and is not surely dead.
var ErrNotSpent = errors.New("a credential that may be in the image is not verified dead")

// argumentName is what the build arguments of secrets are called. Those of BuildKit itself change how it builds.
var argumentName = lazy.Regexp(`^[A-Za-z_][A-Za-z0-9_]*$`)

// argument is the build argument that brings a secret to the build, or "".
func (r *Request) argument(id string) string {
	i := slices.IndexFunc(r.Secrets, func(s Secret) bool { return s.ID == id })
	if i < 0 {
		return ""
	}
	return r.Secrets[i].Argument
}

// checkArguments refuses secrets as build arguments that would be worth anything afterwards.
func (r *Request) checkArguments(from *secret.Resolver) error {
	for _, s := range r.Secrets {
		if s.Argument == "" || r.Rehearse {
			continue
		}
		about, ok := from.About(s.Ref.Scheme)
		switch {
		case !ok || about.Mint == nil:
			return usage("mount it: RUN --mount=type=secret,id="+s.ID, "secret %s is not minted for this build, and a build argument stays in the image: deliver: build-arg is for what is dead when the build ends", s.ID)
		case about.Mint.Revoke == "":
			return usage("mount it: RUN --mount=type=secret,id="+s.ID, "secret %s cannot be a build argument: what %s: makes lives until it expires, since nobody can revoke it", s.ID, s.Ref.Scheme)
		case from.Grade(s.Ref) != secret.GradeA:
			return tooMuch(s, about.Mint, from.Grade(s.Ref))
		case !argumentName().MatchString(s.Argument) || strings.HasPrefix(s.Argument, "BUILDKIT_"):
			return usage("arg=NAME of an ARG in the Dockerfile", "%s, the build argument of secret %s, is no name of the Dockerfile's own", s.Argument, s.ID)
		case len(s.Broker) > 0:
			return usage("one of the two", "secret %s has both a broker and deliver: build-arg", s.ID)
		}
	}
	return nil
}

// tooMuch says what keeps a reference from being of grade A.
func tooMuch(s Secret, about *secret.MintAbout, grade secret.Grade) error {
	text := ""
	if about.Grade == secret.GradeA {
		text = ", with a life of an hour or less"
		if about.Takes != "" {
			text += " and " + about.Takes
		}
	}
	return usage("mount it: RUN --mount=type=secret,id="+s.ID, "secret %s of the grade %s cannot be a build argument: that takes grade A%s", s.ID, grade, text)
}

// longLived tells whether an issuer gave something a longer life than it must have.
func longLived(lease *secret.Lease, about *secret.MintAbout) bool {
	const skew = time.Minute
	return lease.Expires.IsZero() || time.Until(lease.Expires) > max(secret.ShortLife, about.Least)+skew
}

// withArguments mints the secrets that are build arguments. What it returns goes to the engine alone: it holds their values.
func (r *Request) withArguments(ctx context.Context, set *secret.Set, from *secret.Resolver) (*Request, error) {
	c := *r
	c.BuildArg = slices.Clone(r.BuildArg)
	for _, s := range r.Secrets {
		if s.Argument == "" {
			continue
		}
		lease, err := set.Lease(ctx, s.ID)
		if err != nil {
			return nil, err
		}
		if !r.Rehearse && (lease.Revoke == nil || lease.Alive == nil) {
			return nil, usage("mount it: RUN --mount=type=secret,id="+s.ID, "secret %s cannot be a build argument: nobody can tell when it is dead", s.ID)
		}
		if about, ok := from.About(s.Ref.Scheme); ok && !r.Rehearse && longLived(lease, about.Mint) {
			return nil, usage("ask for less, with ttl= or at the issuer; or mount it: RUN --mount=type=secret,id="+s.ID, "secret %s cannot be a build argument: it lives for more than an hour", s.ID)
		}
		c.BuildArg = append(c.BuildArg, s.Argument+"="+string(lease.Value.Open()))
	}
	return &c, nil
}

// spent marks the secrets that may be in the image, since they are dead before it has a name.
func (r *Request) spent(secrets []proof.Secret) []proof.Secret {
	for i, s := range secrets {
		secrets[i].Spent = !s.Phantom && !s.Unminted && s.Parent == "" && r.argument(s.ID) != ""
	}
	return secrets
}

// notSpent is why an image gets no name: a secret that was a build argument may still open something.
func (o *Outcome) notSpent(r *Request) error {
	for _, e := range o.Leases {
		if r.argument(e.ID) != "" && e.Fate != secret.Dead && e.Fate != secret.Expired { // which its issuer has been asked about: see withArguments
			return fmt.Errorf("%w: the lease of %s (%s): %s", ErrNotSpent, e.ID, e.Lease, e)
		}
	}
	return nil
}
