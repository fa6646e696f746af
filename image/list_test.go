package image_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/tightlip/tightlip/image"
	"github.com/tightlip/tightlip/image/imagetest"
)

func TestList(t *testing.T) {
	host, keys := imagetest.Registry(t, func(inner http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/gone/tags/list") { // as registries answer whose catalog lags behind
				w.WriteHeader(http.StatusNotFound)
				return
			}
			inner.ServeHTTP(w, r)
		})
	})
	img := sample(t, "linux/amd64")
	for _, ref := range []string{"team/web:2", "team/web:1", "team/api:1", "team/gone:1", "team:1", "teams/app:1", "other:1"} {
		tag, err := name.NewTag(host + "/" + ref)
		must(t, err)
		must(t, remote.Write(tag, img, remote.WithAuthFromKeychain(keys)))
	}
	for namespace, want := range map[string][]string{
		"/team":          {"team:1", "team/api:1", "team/web:1", "team/web:2"},
		"/team/":         {"team:1", "team/api:1", "team/web:1", "team/web:2"},
		"/team/web":      {"team/web:1", "team/web:2"},
		"":               {"other:1", "team:1", "team/api:1", "team/web:1", "team/web:2", "teams/app:1"},
		"/none":          nil,
		"/team/gone":     nil,
		"/team/web:1":    nil,
		"/team/web/none": nil,
	} {
		refs, err := image.List(t.Context(), host+namespace, image.Options{Keychain: keys})
		var got []string
		for _, r := range refs {
			got = append(got, strings.TrimPrefix(r.String(), "registry:"+host+"/"))
		}
		if !slices.Equal(got, want) || (want == nil) != errors.Is(err, image.ErrNotFound) || want != nil && err != nil {
			t.Errorf("%s: %q, %v, want %q", namespace, got, err, want)
		}
	}
	if _, err := image.List(t.Context(), host, image.Options{Keychain: authn.NewMultiKeychain()}); err == nil || errors.Is(err, image.ErrNotFound) {
		t.Errorf("without credentials: %v", err)
	}
	if _, err := image.List(t.Context(), "host with spaces/team", image.Options{}); !errors.Is(err, image.ErrRef) {
		t.Errorf("a name that cannot be: %v, want ErrRef", err)
	}
}
