package minter_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/secrettest"
)

// TestAdvice: an issuer's bare status comes with what to look at.
func TestAdvice(t *testing.T) {
	const gitea, lease = "gitea:URL?user=ci&token=env:PARENT&scopes=read:bogus", "vault-lease:ssh/creds/otp#key"
	for _, test := range []struct {
		ref    string
		status int
		want   string
	}{
		{gitea, 400, "check what it is asked for: user=ci and scopes=read:bogus"},
		{gitea, 403, "check that token=env:PARENT is valid and may do this"},
		{gitea, 404, "check the address of the server: there is no such thing at http://127.0.0.1:"},
		{gitea, 429, "the issuer is busy or broken: try again later"},
		{gitea, 503, "the issuer is busy or broken: try again later"},
		{lease, 404, "check a path of an engine: there is no such thing at ssh/creds/otp"},
		{lease, 405, "the issuer makes nothing there in this way: check the path ssh/creds/otp; what has to be written to (vault write) is for cmd:"},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(test.status) }))
		t.Setenv("VAULT_ADDR", server.URL)
		t.Setenv("VAULT_TOKEN", string(secrettest.Canary(t)))
		m, r := minterOf(t, parents{"PARENT": secrettest.Canary(t)}, strings.Replace(test.ref, "URL", server.URL, 1))
		_, err := m.Mint(t.Context(), r, secret.NewName())
		server.Close()
		re, ok := errors.AsType[*secret.ResolveError](err)
		if !ok || !strings.HasPrefix(re.Try, test.want) {
			t.Errorf("%s, %d: got %v, with the hint %q", test.ref, test.status, err, re.Try)
		}
	}
}
