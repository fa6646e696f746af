package image

import (
	"fmt"
	"mime"
	"net/http"
	"net/netip"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

func (o Options) keychain() authn.Keychain {
	if o.Keychain != nil {
		return o.Keychain
	}
	return authn.DefaultKeychain
}

// source is s, or as much of it as there is.
func (o Options) source(s source) source {
	if o.Partial {
		return partial{s}
	}
	return s
}

func (o Options) transport() http.RoundTripper {
	if o.Transport != nil {
		return o.Transport
	}
	return remote.DefaultTransport
}

// retrying repeats requests that failed for a while, as remote does on its own for transports it did not wrap yet.
func retrying(t http.RoundTripper) http.RoundTripper {
	return transport.NewRetry(t, transport.WithRetryStatusCodes(
		http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout,
	))
}

// referrersGuard makes up for what remote.Referrers would overlook without an error: further pages of an answer, and
// an answer whose media type has parameters.
type referrersGuard struct{ http.RoundTripper }

func (g referrersGuard) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := g.RoundTripper.RoundTrip(req)
	if err != nil || !strings.Contains(req.URL.Path, "/referrers/") {
		return resp, err
	}
	if strings.Contains(resp.Header.Get("Link"), "next") {
		resp.Body.Close()
		return nil, fmt.Errorf("%s lists more referrers than one page holds: this is not supported", req.URL.Path)
	}
	if t, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); err == nil && t == v1.MediaTypeImageIndex {
		resp.Header.Set("Content-Type", t)
	}
	return resp, nil
}

// checkRedirect keeps a public registry from sending us to an address of the private network.
func checkRedirect(req *http.Request, via []*http.Request) error {
	if len(via) > 10 {
		return fmt.Errorf("stopped after %d redirects", len(via))
	}
	to := req.URL.Hostname()
	addr, err := netip.ParseAddr(to)
	if err != nil || to == via[0].URL.Hostname() {
		return nil
	}
	if addr = addr.Unmap(); addr.IsPrivate() || addr.IsLoopback() || addr.IsLinkLocalUnicast() || addr.IsUnspecified() {
		return fmt.Errorf("redirect to the private address %s is refused", to)
	}
	return nil
}
