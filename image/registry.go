package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	ggcr "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// OpenRegistry opens the image that a registry has under a name, with all its platforms. The zero Options use the
// user's docker credentials; loopback registries are spoken to without TLS.
func OpenRegistry(ctx context.Context, ref string, opts Options) (Image, error) {
	im, err := openMirrored(ctx, ref, opts)
	if err != nil {
		return nil, fmt.Errorf("opening registry:%s: %w", ref, err)
	}
	im.ref = Ref{Scheme: Registry, Name: ref}.String()
	return im, nil
}

// openMirrored takes the image from the first mirror that has it, or else from its own registry.
func openMirrored(ctx context.Context, ref string, opts Options) (*static, error) {
	parsed, err := name.ParseReference(ref)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRef, err)
	}
	repository := parsed.Context().RepositoryStr()
	host := strings.Replace(parsed.Context().RegistryStr(), name.DefaultRegistry, "docker.io", 1)
	rest := ":" + parsed.Identifier()
	if _, ok := parsed.(name.Digest); ok {
		rest = "@" + parsed.Identifier()
	}
	for _, other := range opts.Mirrors.of(host+"/"+repository, rest) {
		im, err := openRegistry(ctx, other, opts)
		if err == nil {
			im.layout.Names = []string{parsed.Name()}
			return im, nil
		}
		if ctx.Err() != nil {
			return nil, err
		}
	}
	return openRegistry(ctx, ref, opts)
}

func openRegistry(ctx context.Context, ref string, opts Options) (*static, error) {
	parsed, err := name.ParseReference(ref)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRef, err)
	}
	src, err := newRegistrySource(ctx, parsed.Context(), opts)
	if err != nil {
		return nil, err
	}
	got, err := src.puller.Get(ctx, parsed)
	if err != nil {
		return nil, notFound(err, ErrNotFound)
	}
	// ggcr accepts documents of up to 100 MiB.
	if len(got.Manifest) > maxDocument {
		return nil, fmt.Errorf("manifest %s: %w: over %d MiB", got.Digest, ErrTooLarge, maxDocument>>20)
	}
	root := v1.Descriptor{
		MediaType: string(got.MediaType), Digest: digest.Digest(got.Digest.String()), Size: int64(len(got.Manifest)),
	}
	if !isManifestType(root.MediaType) {
		return nil, fmt.Errorf("manifest %s: %w %q", root.Digest, ErrMediaType, root.MediaType)
	}
	src.root = got.Manifest
	src.rootDigest = root.Digest
	g, err := walkGraph(ctx, opts.source(src), []v1.Descriptor{root}, false)
	if err != nil {
		return nil, err
	}
	layout := Layout{
		Digest: string(root.Digest), MediaType: root.MediaType, Names: []string{parsed.Name()}, Platforms: g.platforms,
	}
	return &static{layout: layout, entries: g.entries(src.open)}, nil
}

// registrySource reads a repository of a registry.
type registrySource struct {
	repo       name.Repository
	opts       Options
	client     *http.Client
	puller     *remote.Puller
	transport  http.RoundTripper // authenticated
	root       []byte            // so that it is not fetched twice, and a moving tag stays one image
	rootDigest digest.Digest
}

func newRegistrySource(ctx context.Context, repo name.Repository, opts Options) (*registrySource, error) {
	auth, err := authn.Resolve(ctx, opts.keychain(), repo)
	if err != nil {
		return nil, fmt.Errorf("finding credentials for %s: %w", repo.RegistryStr(), err)
	}
	scopes := []string{repo.Scope(transport.PullScope)}
	rt, err := transport.NewWithContext(ctx, repo.Registry, auth, retrying(referrersGuard{opts.transport()}), scopes)
	if err != nil {
		return nil, err
	}
	puller, err := remote.NewPuller(remote.WithTransport(rt), remote.WithContext(ctx))
	if err != nil {
		return nil, err
	}
	client := &http.Client{Transport: rt, CheckRedirect: checkRedirect}
	return &registrySource{repo: repo, opts: opts, client: client, puller: puller, transport: rt}, nil
}

// stat believes the manifest: a blob that is not there says so when it is opened.
func (s *registrySource) stat(v1.Descriptor) error { return nil }

func (s *registrySource) document(ctx context.Context, d v1.Descriptor) ([]byte, error) {
	if d.Digest == s.rootDigest {
		return s.root, nil
	}
	what := "blobs"
	if isManifestType(d.MediaType) {
		what = "manifests"
	}
	r, err := s.get(ctx, what, d)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return readDocument(r, string(d.Digest))
}

func (s *registrySource) open(n node) opener {
	return func(ctx context.Context) (io.ReadCloser, error) { return s.get(ctx, "blobs", n.Descriptor) }
}

// get fetches a manifest or blob as it is stored. It is not remote.Layer, whose error for a wrong digest
// cannot be told from others, and which lets only a few be open at a time.
func (s *registrySource) get(ctx context.Context, what string, d v1.Descriptor) (io.ReadCloser, error) {
	dg, err := parseDigest(string(d.Digest))
	if err != nil {
		return nil, err
	}
	u := url.URL{
		Scheme: s.repo.Scheme(), Host: s.repo.RegistryStr(),
		Path: fmt.Sprintf("/v2/%s/%s/%s", s.repo.RepositoryStr(), what, dg),
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	if what == "manifests" && d.MediaType != "" {
		req.Header.Set("Accept", d.MediaType)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("fetching %s: %w", dg, withoutURL(err))
	}
	if err := transport.CheckError(resp, http.StatusOK); err != nil {
		resp.Body.Close()
		return nil, notFound(err, missing(d))
	}
	if what == "manifests" {
		return verified(resp.Body, dg), nil
	}
	return verified(resuming(s.client, req, resp), dg), nil
}

func (s *registrySource) referrers(ctx context.Context, d v1.Descriptor) ([]v1.Descriptor, error) {
	if s.opts.NoReferrers {
		return nil, nil
	}
	ref := s.repo.Digest(string(d.Digest))
	index, err := remote.Referrers(ref, remote.WithContext(ctx), remote.WithTransport(s.transport), remote.Reuse(s.puller))
	if err != nil {
		return nil, err
	}
	m, err := index.IndexManifest()
	if err != nil {
		return nil, err
	}
	out := make([]v1.Descriptor, len(m.Manifests))
	for i, r := range m.Manifests {
		out[i] = descriptor(r)
	}
	return out, nil
}

func descriptor(d ggcr.Descriptor) v1.Descriptor {
	return v1.Descriptor{
		MediaType: string(d.MediaType), Digest: digest.Digest(d.Digest.String()), Size: d.Size,
		Data: d.Data, URLs: d.URLs, Annotations: d.Annotations, ArtifactType: d.ArtifactType,
	}
}

// notFound adds a sentinel to a registry's 404.
func notFound(err, sentinel error) error {
	var t *transport.Error
	if errors.As(err, &t) && t.StatusCode == http.StatusNotFound {
		return fmt.Errorf("%w: %w", sentinel, err)
	}
	return err
}

// withoutURL drops the address from an error of net/http: registries redirect to ones that carry signatures.
func withoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
