package image_test

import (
	"crypto/rand"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/tightlip/tightlip/image"
	"github.com/tightlip/tightlip/image/imagetest"
)

// pushed puts what full makes into a registry and returns its name.
func pushed(t testing.TB, host string, keys authn.Keychain, statement, signature string) string {
	t.Helper()
	index, signer := full(t, statement, signature)
	ref, err := name.NewTag(host + "/team/app:v1")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(ref, index, remote.WithAuthFromKeychain(keys)); err != nil {
		t.Fatal(err)
	}
	about := ref.Digest(imagetest.Descriptor(t, signer).Digest.String())
	if err := remote.Write(about, signer, remote.WithAuthFromKeychain(keys)); err != nil {
		t.Fatal(err)
	}
	return ref.Name()
}

func TestRegistryHasEverything(t *testing.T) {
	host, keys := imagetest.Registry(t, nil)
	statement, signature := `{"_type":"`+rand.Text()+`"}`, rand.Text()
	ref := pushed(t, host, keys, statement, signature)
	im, err := image.OpenRegistry(t.Context(), ref, image.Options{Keychain: keys})
	im = opened(t, im, err)
	checkFull(t, im, statement, signature)
	if l := layoutOf(t, im); !strings.HasPrefix(l.Digest, "sha256:") || len(l.Names) != 1 || l.Names[0] != ref {
		t.Errorf("layout %s %q", l.Digest, l.Names)
	}
}

func TestRegistryReferrersByTag(t *testing.T) {
	noAPI := func(inner http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.URL.Path, "/referrers/") {
				http.NotFound(w, r)
				return
			}
			inner.ServeHTTP(dropSubject{w}, r)
		})
	}
	host, keys := imagetest.Registry(t, noAPI)
	statement, signature := `{"_type":"`+rand.Text()+`"}`, rand.Text()
	ref := pushed(t, host, keys, statement, signature)
	im, err := image.OpenRegistry(t.Context(), ref, image.Options{Keychain: keys})
	checkFull(t, opened(t, im, err), statement, signature)
}

// dropSubject hides that a registry would know referrers.
type dropSubject struct{ http.ResponseWriter }

func (d dropSubject) WriteHeader(code int) {
	d.Header().Del("OCI-Subject")
	d.ResponseWriter.WriteHeader(code)
}

func TestRegistryBlobsAreConcurrent(t *testing.T) {
	host, keys := imagetest.Registry(t, nil)
	ref := pushed(t, host, keys, `{"_type":"x"}`, "signature")
	im, err := image.OpenRegistry(t.Context(), ref, image.Options{Keychain: keys})
	im = opened(t, im, err)
	var wg sync.WaitGroup
	for b, err := range im.Blobs(t.Context()) {
		if err != nil || b.Sequential {
			t.Fatalf("blob %s: sequential %v, %v", b.Digest, b.Sequential, err)
		}
		r, err := b.Open() // all stay open until the last is
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			defer r.Close()
			buf := make([]byte, 1)
			if _, err := r.Read(buf); err != nil && err.Error() != "EOF" {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestRegistryFailsClosed(t *testing.T) {
	var broken atomic.Bool // from when the image is in the registry
	// answer replaces what the registry says to requests with part in their path.
	answer := func(part string, with http.HandlerFunc) func(http.Handler) http.Handler {
		return func(inner http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if broken.Load() && r.Method == http.MethodGet && strings.Contains(r.URL.Path, part) {
					with(w, r)
					return
				}
				inner.ServeHTTP(w, r)
			})
		}
	}
	for label, c := range map[string]struct {
		wrap func(http.Handler) http.Handler
		want error
		text string
	}{
		"changed": {answer("/blobs/", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("x")) }), image.ErrDigest, ""},
		"gone":    {answer("/blobs/", http.NotFound), image.ErrMissing, ""},
		"paged": {answer("/referrers/", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Link", `</v2/next>; rel="next"`)
		}), nil, "more referrers"},
		"denied": {answer("/referrers/", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }), nil, "FORBIDDEN"},
	} {
		broken.Store(false)
		host, keys := imagetest.Registry(t, c.wrap)
		ref := pushed(t, host, keys, `{"_type":"x"}`, "signature")
		broken.Store(true)
		im, err := image.OpenRegistry(t.Context(), ref, image.Options{Keychain: keys})
		if err == nil {
			err = failure(t, im)
		}
		if err == nil || c.want != nil && !errors.Is(err, c.want) || !strings.Contains(strings.ToUpper(err.Error()), strings.ToUpper(c.text)) {
			t.Errorf("%s: %v, want %v %s", label, err, c.want, c.text)
		}
	}
}

func TestRegistryRefusals(t *testing.T) {
	host, keys := imagetest.Registry(t, nil)
	if _, err := image.OpenRegistry(t.Context(), host+"/none:v1", image.Options{Keychain: keys}); !errors.Is(err, image.ErrNotFound) {
		t.Errorf("no such image: %v, want ErrNotFound", err)
	}
	nobody := authn.NewMultiKeychain()
	if _, err := image.OpenRegistry(t.Context(), host+"/none:v1", image.Options{Keychain: nobody}); err == nil {
		t.Error("opened without credentials")
	}
	if _, err := image.OpenRegistry(t.Context(), "UPPER case", image.Options{}); !errors.Is(err, image.ErrRef) {
		t.Errorf("a name that cannot be: %v, want ErrRef", err)
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v2/" {
			w.Header().Set("Content-Type", "application/vnd.docker.distribution.manifest.v1+prettyjws")
			_, _ = w.Write([]byte(`{"schemaVersion":1,"fsLayers":[]}`))
		}
	}))
	defer s.Close()
	ref := strings.TrimPrefix(s.URL, "http://") + "/old:v1"
	if _, err := image.OpenRegistry(t.Context(), ref, image.Options{}); !errors.Is(err, image.ErrSchema1) {
		t.Errorf("schema 1: %v, want ErrSchema1", err)
	}
}
