package buildkit

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/session/secrets"
	"github.com/moby/buildkit/session/secrets/secretsprovider"
	"github.com/tightlip/tightlip/build"
)

// checkSizes refuses before the build what BuildKit's client would refuse in the middle of it.
func checkSizes(set *build.Handoff) error {
	for id, size := range set.Sizes() {
		if size > secretsprovider.MaxSecretSize {
			return &build.UsageError{
				Err: fmt.Errorf("secret %s has %d bytes, and BuildKit mounts %d at most", id, size, secretsprovider.MaxSecretSize),
				Try: "split the file, or compress it and unpack it in the step",
			}
		}
	}
	return nil
}

// secretStore is BuildKit's view of a handoff.
type secretStore struct{ handoff *build.Handoff }

// attachSecrets answers BuildKit's requests for secrets over the build's session.
func attachSecrets(h *build.Handoff) session.Attachable {
	return secretsprovider.NewSecretProvider(secretStore{h})
}

// ownRequests begin the ids under which BuildKit itself looks for the credentials of a remote context.
var ownRequests = []string{"GIT_AUTH_", "HTTP_AUTH_"}

// GetSecret implements secrets.SecretStore.
func (s secretStore) GetSecret(ctx context.Context, id string) ([]byte, error) {
	own := slices.ContainsFunc(ownRequests, func(prefix string) bool { return strings.HasPrefix(id, prefix) })
	if own && !s.handoff.Has(id) {
		return nil, fmt.Errorf("secret %s: %w", id, secrets.ErrNotFound)
	}
	v, ok := s.handoff.Get(ctx, id)
	if !ok {
		return nil, fmt.Errorf("secret %s: %w", id, secrets.ErrNotFound)
	}
	return v.Open(), nil
}
