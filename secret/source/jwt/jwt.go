// Package jwt signs JSON Web Tokens (RFC 7519) for issuers that want one, and reads when a token ends.
package jwt

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"time"

	"github.com/tightlip/tightlip/secret"
)

// What can be wrong. None of the errors holds anything of a key or a token.
var (
	ErrKey   = errors.New("is not an RSA private key in PEM")
	ErrToken = errors.New("is not a JSON Web Token")
)

// Sign makes a token with RS256 (RFC 7518, section 3.3). The key is PKCS #1 or PKCS #8 in PEM; kid may be empty.
func Sign(key secret.Value, kid string, claims map[string]any) (secret.Value, error) {
	private, err := parse(key.Open())
	if err != nil {
		return secret.Value{}, err
	}
	header := map[string]string{"alg": "RS256", "typ": "JWT"}
	if kid != "" {
		header["kid"] = kid
	}
	var parts [2][]byte
	for i, part := range []any{header, claims} {
		text, err := json.Marshal(part)
		if err != nil {
			return secret.Value{}, err
		}
		parts[i] = base64.RawURLEncoding.AppendEncode(nil, text)
	}
	signed := bytes.Join(parts[:], []byte("."))
	sum := sha256.Sum256(signed)
	signature, err := rsa.SignPKCS1v15(rand.Reader, private, crypto.SHA256, sum[:])
	if err != nil {
		return secret.Value{}, ErrKey // too small for the hash
	}
	return secret.NewValue(base64.RawURLEncoding.AppendEncode(append(signed, '.'), signature)), nil
}

func parse(text []byte) (*rsa.PrivateKey, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, ErrKey
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	private, ok := key.(*rsa.PrivateKey)
	if err != nil || !ok {
		return nil, ErrKey
	}
	return private, nil
}

// Expires reads when a token ends, without verifying it: that is for who it is shown to. The zero time: it does not end.
func Expires(token secret.Value) (time.Time, error) {
	parts := bytes.Split(bytes.TrimSpace(token.Open()), []byte("."))
	if len(parts) != 3 {
		return time.Time{}, ErrToken
	}
	payload := make([]byte, base64.RawURLEncoding.DecodedLen(len(parts[1])))
	var claims struct {
		Exp *float64 `json:"exp"` // a NumericDate may have a fraction
	}
	_, err := base64.RawURLEncoding.Decode(payload, parts[1])
	if err != nil || json.Unmarshal(payload, &claims) != nil {
		return time.Time{}, ErrToken
	}
	if claims.Exp == nil {
		return time.Time{}, nil
	}
	return time.Unix(int64(*claims.Exp), 0), nil
}
