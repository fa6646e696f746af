package minter_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tightlip/tightlip/internal/enginetest"
	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/secrettest"
)

// npmServer is a verdaccio with a user ci.
type npmServer struct {
	url      string
	password []byte
	token    []byte
}

func startNPM(t *testing.T, more string) *npmServer {
	t.Helper()
	dir, address := t.TempDir(), enginetest.FreeAddress(t)
	s := &npmServer{url: "http://" + address, password: secrettest.Canary(t)}
	config := fmt.Sprintf("storage: %[1]s/storage\nauth: {htpasswd: {file: %[1]s/htpasswd, max_users: 10}}\npackages: {'**': {access: $authenticated, publish: $authenticated}}\nlog: {type: stdout, level: error}\n", dir) + more
	if err := os.WriteFile(filepath.Join(dir, "config.yaml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("node", filepath.Join(enginetest.Root(t), ".tools/npm/node_modules/verdaccio/bin/verdaccio"), "-c", filepath.Join(dir, "config.yaml"), "-l", s.url)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "HOME="+dir, "NO_UPDATE_NOTIFIER=1")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	enginetest.Eventually(t, 30*time.Second, "verdaccio answers", func() bool {
		resp, err := http.Get(s.url + "/-/ping")
		if err == nil {
			resp.Body.Close()
		}
		return err == nil
	})
	var answer struct{ Token string }
	status := s.call(t, http.MethodPut, "/-/user/org.couchdb.user:ci", "", map[string]string{"name": "ci", "password": string(s.password)}, &answer)
	if s.token = []byte(answer.Token); answer.Token == "" {
		t.Fatalf("verdaccio made no user: %d", status)
	}
	return s
}

func (s *npmServer) call(t *testing.T, method, path, token string, body, into any) int {
	t.Helper()
	var data io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		data = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, s.url+path, data)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if into != nil {
		if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
			t.Fatal(err)
		}
	}
	return resp.StatusCode
}

// works asks for a package that does not exist, which only users are told.
func (s *npmServer) works(t *testing.T, v secret.Value) bool {
	t.Helper()
	return s.call(t, http.MethodGet, "/@acme%2fnothing", string(v.Open()), nil, nil) == http.StatusNotFound
}

// TestNPM runs the contract on verdaccio, with both kinds of tokens that it makes.
func TestNPM(t *testing.T) {
	t.Parallel()
	for kind, config := range map[string]string{"encrypted": "", "signed": "security: {api: {legacy: false, jwt: {sign: {expiresIn: 29d}}}}\n"} {
		s := startNPM(t, config)
		p := parents{"PASSWORD": s.password, "TOKEN": s.token, "NOT": secrettest.Canary(t)}
		if s.works(t, secret.NewValue(p["NOT"])) {
			t.Fatal("verdaccio accepts what is no token")
		}
		for _, by := range []string{"user=ci", "token=env:TOKEN"} {
			if kind == "signed" && by == "user=ci" {
				continue // no other calls than the ones above
			}
			t.Run(kind+" "+by, func(t *testing.T) {
				secrettest.MinterContract(t, func(t *testing.T) secrettest.MinterFixture {
					m, r := minterOf(t, p, "npm-token:"+s.url+"?password=env:PASSWORD&"+by)
					return secrettest.MinterFixture{
						Minter: m, Ref: r, Works: s.works, Parents: p.values(),
						Broken: broken(t, "npm-token:"+s.url+"?password=env:NOT&"+by, "npm-token:"+s.url+"?password=env:PASSWORD&token=env:NOT"),
					}
				})
			})
		}
	}
}

// TestDeafNPM has a registry whose tokens go on after it has deleted them, as verdaccio's of logins do.
func TestDeafNPM(t *testing.T) {
	t.Parallel()
	p := parents{"PASSWORD": secrettest.Canary(t), "NOT": secrettest.Canary(t)}
	var mu sync.Mutex
	made := map[string]bool{} // whether they are listed
	registry := http.NewServeMux()
	registry.HandleFunc("POST /-/npm/v1/tokens", func(w http.ResponseWriter, r *http.Request) {
		if _, password, _ := r.BasicAuth(); password != string(p["PASSWORD"]) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		key := strconv.Itoa(len(made))
		made[key] = true
		fmt.Fprintf(w, `{"key": "%s", "token": "token-%[1]s"}`, key)
	})
	registry.HandleFunc("GET /-/npm/v1/tokens", func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		var list []map[string]string
		for key, listed := range made {
			if listed {
				list = append(list, map[string]string{"key": key})
			}
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"objects": list, "urls": map[string]string{}})
	})
	registry.HandleFunc("DELETE /-/npm/v1/tokens/token/{key}", func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		made[r.PathValue("key")] = false
	})
	registry.HandleFunc("GET /-/whoami", func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if _, ok := made[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer token-")]; ok {
			fmt.Fprint(w, `{"username": "ci"}`)
		} else {
			fmt.Fprint(w, `{}`)
		}
	})
	server := httptest.NewServer(registry)
	t.Cleanup(server.Close)
	secrettest.MinterContract(t, func(t *testing.T) secrettest.MinterFixture {
		m, r := minterOf(t, p, "npm-token:"+server.URL+"?password=env:PASSWORD&user=ci")
		works := func(_ *testing.T, v secret.Value) bool {
			mu.Lock()
			defer mu.Unlock()
			_, ok := made[strings.TrimPrefix(string(v.Open()), "token-")]
			return ok
		}
		return secrettest.MinterFixture{
			Minter: m, Ref: r, Works: works, Parents: p.values(), Stays: true,
			Broken: broken(t, "npm-token:"+server.URL+"?password=env:NOT&user=ci"),
		}
	})
}
