package imagetest

import (
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/moby/moby/client"
)

// Registry starts a registry in memory, with the referrers API, behind basic authentication. It returns
// its host:port and a keychain that may enter. wrap, unless nil, stands between the two.
func Registry(t testing.TB, wrap func(http.Handler) http.Handler) (host string, keychain authn.Keychain) {
	t.Helper()
	const user, password = "tester", "letmein"
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(true))
	if wrap != nil {
		inner = wrap(inner)
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if u, p, _ := r.BasicAuth(); u != user || p != password {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		inner.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://"), keys{&authn.Basic{Username: user, Password: password}}
}

// keys gives the same credentials to everyone.
type keys struct{ authn.Authenticator }

func (k keys) Resolve(authn.Resource) (authn.Authenticator, error) { return k.Authenticator, nil }

// Daemon starts a server that answers as a Docker daemon does: with JSON for values, and with the bytes of a []byte
// as they are. answers are by method and path without the API version, such as "GET /images/get".
func Daemon(t testing.TB, answers map[string]any) *client.Client {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		p := r.URL.Path
		if strings.HasPrefix(p, "/v1.") {
			p = p[strings.IndexByte(p[1:], '/')+1:]
		}
		answer, ok := answers[r.Method+" "+p]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			answer = map[string]string{"message": "no such image"}
		}
		if raw, ok := answer.([]byte); ok {
			_, _ = w.Write(raw)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(answer)
	}))
	t.Cleanup(s.Close)
	cli, err := client.New(client.WithHost(strings.Replace(s.URL, "http://", "tcp://", 1)), client.WithAPIVersion("1.47"))
	must(t, err)
	t.Cleanup(func() { _ = cli.Close() })
	return cli
}
