package gate

import (
	"crypto/x509"
	"errors"
	"fmt"
	"os"
)

// bundles are where systems keep the certificates that they trust, in one file.
var bundles = []string{
	"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem", "/etc/pki/tls/cacert.pem",
	"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", "/etc/ssl/cert.pem",
}

// SystemBundle is what the system trusts, in PEM: the file that SSL_CERT_FILE names, else the system's own. It is empty if there is
// none.
func SystemBundle() ([]byte, error) {
	if name := os.Getenv("SSL_CERT_FILE"); name != "" {
		return os.ReadFile(name)
	}
	for _, name := range bundles {
		data, err := os.ReadFile(name)
		if err == nil || !errors.Is(err, os.ErrNotExist) {
			return data, err
		}
	}
	return nil, nil
}

// RootsWith are the system's roots and the certificates of a PEM file.
func RootsWith(extra []byte) (*x509.CertPool, error) {
	roots, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("reading the system's certificates: %w", err)
	}
	if !roots.AppendCertsFromPEM(extra) {
		return nil, errors.New("there is no certificate in the file")
	}
	return roots, nil
}
