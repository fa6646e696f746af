package image

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// List returns references to all tags of all repositories of a registry whose names are namespace or begin with namespace and a
// slash: "registry.corp.example/team". A registry alone stands for all that it has. It uses the registry's catalog, which not
// every registry shows to everybody.
func List(ctx context.Context, namespace string, opts Options) ([]Ref, error) {
	host, prefix, _ := strings.Cut(strings.Trim(namespace, "/"), "/")
	registry, err := name.NewRegistry(host)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRef, err)
	}
	options := []remote.Option{remote.WithContext(ctx), remote.WithAuthFromKeychain(opts.keychain()), remote.WithTransport(opts.transport())}
	repositories, err := remote.Catalog(ctx, registry, options...)
	if err != nil {
		return nil, fmt.Errorf("listing the repositories of %s: %w", host, err)
	}
	slices.Sort(repositories)
	var out []Ref
	for _, repo := range repositories {
		if prefix != "" && repo != prefix && !strings.HasPrefix(repo, prefix+"/") {
			continue
		}
		tags, err := remote.List(registry.Repo(repo), options...)
		if err = notFound(err, ErrNotFound); errors.Is(err, ErrNotFound) {
			continue // all that it had was deleted, and it is still in the catalog
		}
		if err != nil {
			return nil, fmt.Errorf("listing the tags of %s/%s: %w", host, repo, err)
		}
		slices.Sort(tags)
		for _, tag := range tags {
			out = append(out, Ref{Scheme: Registry, Name: host + "/" + repo + ":" + tag})
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%w: %s has no repository under %q", ErrNotFound, host, prefix)
	}
	return out, nil
}
