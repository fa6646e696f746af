package fake

import (
	"crypto/rand"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Vault follows developer.hashicorp.com/vault/api-docs: secret/kv/kv-v1, secret/kv/kv-v2, auth/token, auth/approle, auth/jwt,
// auth/kubernetes, system/wrapping-unwrap, system/leases and system/internal-ui-mounts. OpenBao's API is the same.
//
// Its exported fields are set before it is used.
type Vault struct {
	*Fake
	Root       string            // a token
	Namespace  string            // that requests must name
	HideMounts bool              // as from tokens that may not see them
	Mounts     map[string]string // name to the version of KV: "1" or "2"; empty: another engine
	Logins     map[string]func(body map[string]string) (ok bool)
	TokenType  string // of what logins make: "service" unless set

	secrets map[string][]any // by the path of the API, without data/; versions, nil for one that is deleted
	wrapped map[string]any   // by wrapping token
}

// NewVault has a KV of version 2 at kv/ and one of version 1 at old/.
func NewVault(t testing.TB) *Vault {
	v := &Vault{
		Fake:   New(),
		Mounts: map[string]string{"kv": "2", "old": "1"}, TokenType: "service",
		Logins:  map[string]func(map[string]string) bool{},
		secrets: map[string][]any{}, wrapped: map[string]any{},
	}
	calls := v.made()
	// PUT is POST, and what Vault's own client sends.
	maps.Copy(calls, map[string]func(*http.Request) Answer{
		"GET /v1/sys/internal/ui/mounts/{path...}": v.authorized(v.mount),
		"POST /v1/sys/wrapping/unwrap":             v.unwrap,
		"PUT /v1/sys/wrapping/unwrap":              v.unwrap,
		"POST /v1/sys/leases/revoke":               v.authorized(v.revokeLease),
		"PUT /v1/sys/leases/revoke":                v.authorized(v.revokeLease),
		"POST /v1/auth/{mount}/login":              v.login,
		"PUT /v1/auth/{mount}/login":               v.login,
		"GET /v1/auth/token/lookup-self":           v.authorized(v.lookupSelf),
		"POST /v1/auth/token/revoke-self":          v.authorized(v.revokeSelf),
		"PUT /v1/auth/token/revoke-self":           v.authorized(v.revokeSelf),
		"GET /v1/{path...}":                        v.authorized(v.read),
	})
	v.Serve(t, API{
		TLS:   true,
		Calls: calls,
		Error: func(_ int, message string) Answer { return OK(map[string][]string{"errors": {message}}) },
	})
	v.Root = v.Issue("hvs.", 0, Token{Name: "root"}).Value
	return v
}

// Put stores a version of a secret at MOUNT/PATH. nil: it is deleted.
func (v *Vault) Put(path string, data map[string]any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if data == nil {
		v.secrets[path] = append(v.secrets[path], nil)
		return
	}
	v.secrets[path] = append(v.secrets[path], data)
}

// Wrap returns the token that unwraps an answer once.
func (v *Vault) Wrap(answer any) string {
	token := v.Issue("hvs.", time.Minute, Token{Name: "wrapping"}).Value
	v.mu.Lock()
	defer v.mu.Unlock()
	v.wrapped[token] = answer
	return token
}

func (v *Vault) authorized(call func(*http.Request, Token) Answer) func(*http.Request) Answer {
	return func(r *http.Request) Answer {
		t, ok := v.Token(r.Header.Get("X-Vault-Token"))
		if !ok || r.Header.Get("X-Vault-Namespace") != v.Namespace {
			return v.Refuse(http.StatusForbidden, "permission denied")
		}
		return call(r, t)
	}
}

func (v *Vault) mount(r *http.Request, _ Token) Answer {
	name, _, _ := strings.Cut(r.PathValue("path"), "/")
	version, ok := v.Mounts[name]
	if !ok || v.HideMounts {
		return v.Refuse(http.StatusForbidden, "preflight capability check returned 403, please ensure client's policies grant access to path")
	}
	data := map[string]any{"path": name + "/", "type": "kv", "description": "", "options": map[string]string{"version": version}}
	if version == "" {
		data["type"], data["options"] = "database", nil
	}
	return OK(map[string]any{"data": data, "lease_id": "", "lease_duration": 0, "renewable": false})
}

func (v *Vault) read(r *http.Request, t Token) Answer {
	mount, path, _ := strings.Cut(r.PathValue("path"), "/")
	switch v.Mounts[mount] {
	case "1":
		return v.read1(mount + "/" + path)
	case "2":
		path, ok := strings.CutPrefix(path, "data/")
		if !ok {
			return Answer{Status: http.StatusNotFound, Body: map[string]any{
				"warnings": []string{"Invalid path for a versioned K/V secrets engine. See the API docs for the appropriate API endpoints to use."},
			}}
		}
		return v.read2(mount+"/"+path, r.URL.Query().Get("version"))
	}
	if _, ok := v.Mounts[mount]; ok {
		return v.lease(mount+"/"+path, t)
	}
	return v.Refuse(http.StatusNotFound, "no handler for route")
}

func (v *Vault) version(path string, version int) (data any, number int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	all := v.secrets[path]
	if version == 0 {
		version = len(all)
	}
	if version < 1 || version > len(all) {
		return nil, 0
	}
	return all[version-1], version
}

func (v *Vault) read1(path string) Answer {
	data, _ := v.version(path, 0)
	if data == nil {
		return Answer{Status: http.StatusNotFound, Body: map[string]any{"errors": []string{}}}
	}
	return OK(map[string]any{"auth": nil, "data": data, "lease_duration": 2764800, "lease_id": "", "renewable": false})
}

func (v *Vault) read2(path, version string) Answer {
	wanted, _ := strconv.Atoi(version) // 0 is the latest
	data, number := v.version(path, wanted)
	if number == 0 {
		return Answer{Status: http.StatusNotFound, Body: map[string]any{"errors": []string{}}}
	}
	metadata := map[string]any{
		"created_time": "2018-03-22T02:24:06.945319214Z", "custom_metadata": nil, "deletion_time": "", "destroyed": false, "version": number,
	}
	answer := OK(map[string]any{"data": map[string]any{"data": data, "metadata": metadata}, "lease_id": "", "lease_duration": 0, "renewable": false})
	if data == nil {
		answer.Status, metadata["deletion_time"] = http.StatusNotFound, "2018-03-22T02:36:33.954880664Z"
	}
	return answer
}

// lease makes credentials that end with the token that asked for them, as the engines for databases and clouds do.
func (v *Vault) lease(path string, parent Token) Answer {
	t := v.Issue("", time.Hour, Token{ID: path + "/" + rand.Text(), Name: "lease", Parent: parent.ID})
	return OK(map[string]any{
		"lease_id": t.ID, "lease_duration": 3600, "renewable": true, "data": map[string]any{"username": "v-" + parent.Name, "password": t.Value},
	})
}

func (v *Vault) login(r *http.Request) Answer {
	check := v.Logins[r.PathValue("mount")]
	switch {
	case r.Header.Get("X-Vault-Namespace") != v.Namespace:
		return v.Refuse(http.StatusForbidden, "permission denied")
	case check == nil:
		return v.Refuse(http.StatusNotFound, "no handler for route")
	case !check(Body[map[string]string](r)):
		return v.Refuse(http.StatusBadRequest, "invalid role or secret ID")
	}
	t := v.Issue("hvs.", 20*time.Minute, Token{Name: "login", About: map[string]string{"token_type": v.TokenType}})
	return OK(map[string]any{"auth": v.Auth(t), "data": nil, "lease_duration": 0, "lease_id": "", "renewable": false})
}

// Auth is how answers hand out a token.
func (v *Vault) Auth(t Token) map[string]any {
	kind := t.About["token_type"]
	if kind == "" {
		kind = "service"
	}
	return map[string]any{
		"client_token": t.Value, "accessor": t.ID, "policies": []string{"default"}, "token_policies": []string{"default"},
		"lease_duration": int(t.Expires.Sub(v.Now()).Seconds()), "renewable": true, "token_type": kind, "orphan": t.Parent == "",
	}
}

func (v *Vault) lookupSelf(_ *http.Request, t Token) Answer {
	data := map[string]any{"accessor": t.ID, "display_name": t.Name, "id": t.Value, "num_uses": 0, "expire_time": nil, "ttl": 0}
	if !t.Expires.IsZero() {
		data["expire_time"], data["ttl"] = t.Expires.Format(time.RFC3339Nano), int(t.Expires.Sub(v.Now()).Seconds())
	}
	return OK(map[string]any{"data": data})
}

func (v *Vault) revokeSelf(_ *http.Request, t Token) Answer {
	if t.About["token_type"] == "batch" {
		return v.Refuse(http.StatusBadRequest, "batch tokens cannot be revoked")
	}
	v.Revoke(func(other Token) bool { return other.ID == t.ID })
	return Answer{Status: http.StatusNoContent}
}

func (v *Vault) revokeLease(r *http.Request, _ Token) Answer {
	id := Body[map[string]any](r)["lease_id"]
	v.Revoke(func(t Token) bool { return t.ID == id })
	return Answer{Status: http.StatusNoContent}
}

// unwrap takes the wrapping token from the header, or from the body if another one is in the header.
func (v *Vault) unwrap(r *http.Request) Answer {
	token := Body[map[string]string](r)["token"]
	if token == "" {
		token = r.Header.Get("X-Vault-Token")
	}
	v.mu.Lock()
	answer, ok := v.wrapped[token]
	delete(v.wrapped, token)
	v.mu.Unlock()
	if !ok || !v.Alive(token) {
		return v.Refuse(http.StatusBadRequest, "wrapping token is not valid or does not exist")
	}
	v.Revoke(func(t Token) bool { return t.Value == token })
	return OK(answer)
}
