package gate

import (
	"bufio"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"strings"
)

func bufioReader(text string) *bufio.Reader { return bufio.NewReader(strings.NewReader(text)) }

// verifies checks a leaf as a client does.
func verifies(ca []byte, leaf *tls.Certificate, host string) error {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	cert, err := x509.ParseCertificate(leaf.Certificate[0])
	if err != nil {
		return err
	}
	_, err = cert.Verify(x509.VerifyOptions{Roots: roots, DNSName: host})
	return err
}

func randomBytes(n int) []byte {
	out := make([]byte, n)
	_, _ = rand.Read(out)
	return out
}
