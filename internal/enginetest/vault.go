package enginetest

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// Vault is a server in memory.
type Vault struct{ URL, Token string }

// StartVault starts a Vault for one test, if there is one in .tools: building it takes minutes.
func StartVault(t testing.TB, token string) *Vault {
	t.Helper()
	program := filepath.Join(Root(t), ".tools/vault/vault")
	if _, err := os.Stat(program); err != nil {
		t.Skip("there is no Vault in .tools/vault: go build -tags minimal in the source of github.com/hashicorp/vault 1.21.0 makes one")
	}
	address := FreeAddress(t)
	cmd := exec.Command(program, "server", "-dev", "-dev-no-store-token", "-dev-listen-address="+address)
	cmd.Env = []string{"HOME=" + t.TempDir(), "VAULT_DEV_ROOT_TOKEN_ID=" + token}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(cmd, time.Second) })
	v := &Vault{URL: "http://" + address, Token: token}
	Eventually(t, 30*time.Second, "Vault answers", func() bool { return v.call(http.MethodGet, "sys/health", token, nil, nil) == http.StatusOK })
	return v
}

// Write sends what the command write does, and reads the answer into into, if that is not nil.
func (v *Vault) Write(t testing.TB, path string, body map[string]any, into any) {
	t.Helper()
	if status := v.call(http.MethodPost, path, v.Token, body, into); status >= 300 {
		t.Fatalf("writing to %s: Vault answered %d", path, status)
	}
}

// Try writes, and tells whether Vault takes it.
func (v *Vault) Try(path string, body map[string]any) bool {
	return v.call(http.MethodPost, path, v.Token, body, nil) == http.StatusOK
}

// Tokens counts all tokens that live.
func (v *Vault) Tokens(t testing.TB) int {
	t.Helper()
	var list struct{ Data struct{ Keys []string } }
	if status := v.call("LIST", "auth/token/accessors", v.Token, nil, &list); status != http.StatusOK {
		t.Fatalf("listing the tokens: Vault answered %d", status)
	}
	return len(list.Data.Keys)
}

// Has tells whether there is an engine of a kind.
func (v *Vault) Has(engine string) bool {
	return v.call(http.MethodGet, "sys/plugins/catalog/secret/"+engine, v.Token, nil, nil) == http.StatusOK
}

// Takes tells whether Vault accepts a token.
func (v *Vault) Takes(token string) bool {
	return v.call(http.MethodGet, "auth/token/lookup-self", token, nil, nil) == http.StatusOK
}

// Wrap returns the token that unwraps once, within a minute, what a write answers.
func (v *Vault) Wrap(t testing.TB, path string, body map[string]any) string {
	t.Helper()
	var answer struct {
		Wrap struct{ Token string } `json:"wrap_info"`
	}
	if status := v.call(http.MethodPost, path, v.Token, body, &answer, "X-Vault-Wrap-TTL", "1m"); status >= 300 {
		t.Fatalf("writing to %s: Vault answered %d", path, status)
	}
	return answer.Wrap.Token
}

// call returns the status, 0 if there is none.
func (v *Vault) call(method, path, token string, body map[string]any, into any, header ...string) int {
	text, err := json.Marshal(body)
	if err != nil {
		return 0
	}
	r, err := http.NewRequest(method, v.URL+"/v1/"+path, bytes.NewReader(text))
	if err != nil {
		return 0
	}
	r.Header.Set("X-Vault-Token", token)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	if into != nil && json.NewDecoder(resp.Body).Decode(into) != nil {
		return 0
	}
	return resp.StatusCode
}
