package web

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
)

// ErrNoCertificate is that a file of authorities has no certificate in it.
var ErrNoCertificate = errors.New("there is no PEM certificate in it")

// Trusting returns a client that trusts the authorities in PEM text and no others, and that shows the certificates it is given.
func Trusting(authorities []byte, own ...tls.Certificate) (*http.Client, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: own}
	if authorities != nil {
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(authorities) {
			return nil, ErrNoCertificate
		}
		transport.TLSClientConfig.RootCAs = pool
	}
	return &http.Client{Transport: transport, CheckRedirect: sameOrigin}, nil
}

// direct is for metadata servers, which no proxy reaches, and which must not be asked through one.
var direct = func() *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil
	return &http.Client{Transport: transport, CheckRedirect: sameOrigin}
}()

// Direct is a client that goes through no proxy.
func Direct() *http.Client { return direct }
