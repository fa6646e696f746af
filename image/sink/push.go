// Package sink gives names to content that has passed its proof: in a registry, in an archive, in a Docker daemon.
package sink

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/sync/errgroup"

	"github.com/tightlip/tightlip/finding"
	"github.com/tightlip/tightlip/image"
)

// ErrOther is the error of a registry that has something else under the name after a push.
var ErrOther = errors.New("registry holds another digest than was pushed")

// uploads is how many blobs are uploaded at a time.
const uploads = 4

// Options are for pushing. The zero value uses the user's docker credentials.
type Options struct {
	Keychain  authn.Keychain
	Transport http.RoundTripper
}

func (o Options) remote(ctx context.Context) []remote.Option {
	keychain, transport := o.Keychain, o.Transport
	if keychain == nil {
		keychain = authn.DefaultKeychain
	}
	if transport == nil {
		transport = remote.DefaultTransport
	}
	// Without WithNondistributable, foreign layers that the layout holds would be left out.
	return []remote.Option{
		remote.WithContext(ctx), remote.WithAuthFromKeychain(keychain), remote.WithTransport(transport),
		remote.WithNondistributable,
	}
}

// Push pushes exactly what an index or manifest of an OCI layout folder covers, byte for byte, its attestations
// included. ref is a name with a tag (latest if it has none), or name@digest to push without one. The name is given
// last, so that it never leads to half an image. It returns the digest that the registry confirmed.
func Push(ctx context.Context, layoutDir, digest, ref string, opts Options) (string, error) {
	target, err := name.ParseReference(ref)
	if err != nil {
		return "", fmt.Errorf("pushing to %q: %w", ref, err)
	}
	if d, ok := target.(name.Digest); ok && d.DigestStr() != digest {
		return "", fmt.Errorf("pushing to %s: the image is %s", ref, digest)
	}
	if err := push(ctx, layoutDir, digest, target, opts); err != nil {
		return "", fmt.Errorf("pushing to %s: %w", ref, err)
	}
	return digest, nil
}

func push(ctx context.Context, layoutDir, digest string, target name.Reference, opts Options) error {
	im, err := image.OpenLayout(ctx, layoutDir, digest, image.Options{NoReferrers: true})
	if err != nil {
		return err
	}
	defer im.Close()
	pusher, err := remote.NewPusher(opts.remote(ctx)...)
	if err != nil {
		return err
	}
	manifests, err := upload(ctx, pusher, target.Context(), im)
	if err != nil {
		return err
	}
	for _, b := range manifests {
		var ref name.Reference = target.Context().Digest(b.Digest)
		if b.Digest == digest {
			ref = target
		}
		m, err := readManifest(b)
		if err != nil {
			return err
		}
		if err := pusher.Put(ctx, ref, m); err != nil {
			return err
		}
	}
	got, err := remote.Get(target, opts.remote(ctx)...)
	if err != nil {
		return fmt.Errorf("checking what was pushed: %w", err)
	}
	if got.Digest.String() != digest {
		return fmt.Errorf("%w: %s instead of %s", ErrOther, got.Digest, digest)
	}
	return nil
}

// upload uploads all blobs and returns the manifests, children before their parents.
func upload(ctx context.Context, pusher *remote.Pusher, repo name.Repository, im image.Image) ([]image.Blob, error) {
	var manifests []image.Blob
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(uploads)
	for b, err := range im.Blobs(gctx) {
		switch {
		case err != nil:
			// After a failed upload, err is only that the others were cancelled.
			return nil, cmp.Or(g.Wait(), err)
		case b.Kind == finding.InManifest:
			manifests = append(manifests, b)
		case b.Digest != "": // not the layout's own files
			g.Go(func() error { return pusher.Upload(gctx, repo, layer{b}) })
		}
	}
	return manifests, g.Wait()
}

// layer is a blob as ggcr uploads it.
type layer struct{ image.Blob }

func (l layer) Digest() (v1.Hash, error)            { return v1.NewHash(l.Blob.Digest) }
func (l layer) Compressed() (io.ReadCloser, error)  { return l.Open() }
func (l layer) Size() (int64, error)                { return l.Blob.Size, nil }
func (l layer) MediaType() (types.MediaType, error) { return types.MediaType(l.Blob.MediaType), nil }
func (layer) DiffID() (v1.Hash, error)              { return v1.Hash{}, errors.ErrUnsupported }
func (layer) Uncompressed() (io.ReadCloser, error)  { return nil, errors.ErrUnsupported }

// manifest is a document as ggcr pushes it.
type manifest struct {
	raw       []byte
	mediaType types.MediaType
}

func (m manifest) RawManifest() ([]byte, error)        { return m.raw, nil }
func (m manifest) MediaType() (types.MediaType, error) { return m.mediaType, nil }

func readManifest(b image.Blob) (manifest, error) {
	r, err := b.Open()
	if err != nil {
		return manifest{}, err
	}
	defer r.Close()
	raw, err := io.ReadAll(r)
	return manifest{raw, types.MediaType(b.MediaType)}, err
}
