package jwt_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwa"
	other "github.com/lestrrat-go/jwx/v3/jwt"
	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/source/jwt"
)

func keys(t *testing.T) (*rsa.PrivateKey, map[string]secret.Value) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	eight, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return key, map[string]secret.Value{
		"PKCS 1": block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key)), "PKCS 8": block("PRIVATE KEY", eight),
	}
}

func block(kind string, der []byte) secret.Value {
	return secret.NewValue(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// TestSign has another implementation verify what was signed.
func TestSign(t *testing.T) {
	key, forms := keys(t)
	end := time.Now().Add(time.Minute).Truncate(time.Second)
	for name, form := range forms {
		token, err := jwt.Sign(form, "k1", map[string]any{"iss": "12345", "exp": end.Unix()})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		parsed, err := other.Parse(token.Open(), other.WithKey(jwa.RS256(), key.Public()))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if iss, _ := parsed.Issuer(); iss != "12345" {
			t.Errorf("%s: got the issuer %q", name, iss)
		}
		if got, err := jwt.Expires(token); err != nil || !got.Equal(end) {
			t.Errorf("%s: ends %v, %v, want %v", name, got, err, end)
		}
	}
}

func TestSignErrors(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]secret.Value{
		"no PEM": secret.NewValue([]byte("x")), "no key": block("PRIVATE KEY", []byte("x")), "no RSA": block("PRIVATE KEY", der),
	} {
		if _, err := jwt.Sign(value, "", nil); !errors.Is(err, jwt.ErrKey) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestExpires(t *testing.T) {
	for token, want := range map[string]error{
		"": jwt.ErrToken, "a.b": jwt.ErrToken, "a.!.c": jwt.ErrToken, "e30.e30.": nil, "e30.W10.x": jwt.ErrToken, "e30.eyJleHAiOiJ4In0.x": jwt.ErrToken,
	} {
		if at, err := jwt.Expires(secret.NewValue([]byte(token))); !errors.Is(err, want) || !at.IsZero() {
			t.Errorf("%q: got %v, %v", token, at, err)
		}
	}
}

func FuzzExpires(f *testing.F) {
	f.Add([]byte("e30.eyJleHAiOjF9.x"))
	f.Fuzz(func(_ *testing.T, token []byte) { _, _ = jwt.Expires(secret.NewValue(token)) })
}
