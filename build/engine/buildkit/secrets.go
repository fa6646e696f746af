package buildkit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/session/secrets"
	"github.com/moby/buildkit/session/secrets/secretsprovider"
	"github.com/tightlip/tightlip/build"
	"github.com/tightlip/tightlip/secret"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// checkSizes refuses before the build what BuildKit's client would refuse in the middle of it.
func checkSizes(set *build.Handoff) error {
	for id, size := range set.Sizes() {
		if size > secretsprovider.MaxSecretSize {
			return tooLarge(id, size)
		}
	}
	return nil
}

func tooLarge(id string, size int) error {
	return &build.UsageError{
		Err: fmt.Errorf("secret %s has %d bytes, and BuildKit mounts %d at most", id, size, secretsprovider.MaxSecretSize),
		Try: "split the file, or compress it and unpack it in the step",
	}
}

// secretStore is BuildKit's view of a handoff, and of what the steps of tightlip itself mount.
type secretStore struct {
	handoff *build.Handoff
	own     map[string][]byte // by id; they may be larger than BuildKit's client lets secrets be
}

// attachSecrets answers BuildKit's requests for secrets over the build's session.
func attachSecrets(h *build.Handoff, own map[string][]byte) session.Attachable {
	return secretServer{secretStore{h, own}}
}

// secretServer is secretsprovider's without its limit: checkSizes holds the user's secrets to that.
type secretServer struct{ store secrets.SecretStore }

// Register implements session.Attachable.
func (s secretServer) Register(server *grpc.Server) { secrets.RegisterSecretsServer(server, s) }

// GetSecret implements secrets.SecretsServer.
func (s secretServer) GetSecret(ctx context.Context, r *secrets.GetSecretRequest) (*secrets.GetSecretResponse, error) {
	data, err := s.store.GetSecret(ctx, r.ID)
	if errors.Is(err, secrets.ErrNotFound) {
		return nil, status.Error(codes.NotFound, err.Error())
	}
	if err != nil {
		return nil, err
	}
	return &secrets.GetSecretResponse{Data: data}, nil
}

// ownRequests begin the ids under which BuildKit itself looks for the credentials of a remote context.
var ownRequests = []string{"GIT_AUTH_", "HTTP_AUTH_"}

// GetSecret implements secrets.SecretStore.
func (s secretStore) GetSecret(ctx context.Context, id string) ([]byte, error) {
	if data, ok := s.own[id]; ok {
		return data, nil
	}
	own := slices.ContainsFunc(ownRequests, func(prefix string) bool { return strings.HasPrefix(id, prefix) })
	if own {
		v, ok := s.handoff.ForBuilder(ctx, id)
		if !ok {
			return nil, fmt.Errorf("secret %s: %w", id, secrets.ErrNotFound)
		}
		return v.Open(), nil
	}
	v, err := s.handoff.Get(ctx, id)
	switch {
	case errors.Is(err, secret.ErrNotFound):
		return nil, fmt.Errorf("secret %s: %w", id, secrets.ErrNotFound)
	case err != nil:
		return nil, err
	case v.Len() > secretsprovider.MaxSecretSize:
		return nil, tooLarge(id, v.Len())
	}
	return v.Open(), nil
}
