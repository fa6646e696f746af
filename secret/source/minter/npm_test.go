package minter_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
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
	config := write(t, filepath.Join(dir, "config.yaml"), fmt.Appendf(nil, "storage: %[1]s/storage\nauth: {htpasswd: {file: %[1]s/htpasswd, max_users: 10}}\npackages: {'**': {access: $authenticated, publish: $authenticated}}\nlog: {type: stdout, level: error}\n%[2]s", dir, more))
	cmd := exec.Command("node", filepath.Join(enginetest.Root(t), ".tools/npm/node_modules/verdaccio/bin/verdaccio"), "-c", config, "-l", s.url)
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
	if token != "" {
		token = "Bearer " + token
	}
	return call(t, method, s.url+path, "Authorization", token, body, into)
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
					ref := example(t, "npm-token", "https://npm.corp.example", s.url, "NPM_PASSWORD", "PASSWORD", "user=ci", by, "192.0.2.0/24", "127.0.0.0/8")
					m, r := minterOf(t, p, ref)
					return secrettest.MinterFixture{
						Minter: m, Ref: r, Works: s.works, Parents: p.values(),
						Broken: broken(t, "npm-token:"+s.url+"?password=env:NOT&"+by, "npm-token:"+s.url+"?password=env:PASSWORD&token=env:NOT"),
					}
				})
			})
		}
	}
}

// TestNPMLogin has the tokens of logins, which verdaccio says that it has ended, and goes on to accept.
func TestNPMLogin(t *testing.T) {
	t.Parallel()
	s := startNPM(t, "")
	p := parents{"PASSWORD": s.password, "NOT": secrettest.Canary(t)}
	secrettest.MinterContract(t, func(t *testing.T) secrettest.MinterFixture {
		m, r := minterOf(t, p, "npm-token:"+s.url+"?user=ci&password=env:PASSWORD&login=true")
		return secrettest.MinterFixture{
			Minter: m, Ref: r, Works: s.works, Parents: p.values(), Stays: true,
			Broken: broken(t, "npm-token:"+s.url+"?user=ci&password=env:NOT&login=true", "npm-token:"+s.url+"?user=nobody&password=env:NOT&login=true"),
		}
	})
	if status := s.call(t, http.MethodPut, "/-/user/org.couchdb.user:nobody", "", map[string]string{"name": "nobody", "password": string(p["NOT"])}, nil); status != http.StatusCreated {
		t.Errorf("the login of a user that there was not has made one: %d", status)
	}
}

// TestNPMLogout has registries that do not end a login, whose token is in the path of the call.
func TestNPMLogout(t *testing.T) {
	t.Parallel()
	value := append(secrettest.Canary(t), "/%?#"...)
	for name, answer := range map[string]http.HandlerFunc{
		"refusal": func(w http.ResponseWriter, r *http.Request) { http.Error(w, r.URL.String(), http.StatusForbidden) },
		"failure": func(w http.ResponseWriter, r *http.Request) { http.Error(w, r.URL.String(), http.StatusNotImplemented) },
		"elsewhere": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://other.corp.example"+r.URL.String(), http.StatusFound)
		},
		"around": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.URL.String(), http.StatusTemporaryRedirect)
		},
		"nothing": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"no HTTP": func(w http.ResponseWriter, r *http.Request) {
			if c, _, err := w.(http.Hijacker).Hijack(); err == nil {
				fmt.Fprintf(c, "%s\r\n\r\n", r.URL)
				c.Close()
			}
		},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodDelete {
				if !strings.HasSuffix(r.URL.Path, string(value)) {
					t.Errorf("deletes %s", r.URL)
				}
				answer(w, r)
				return
			}
			_ = json.NewEncoder(w).Encode(map[string]string{"token": string(value), "username": "ci"})
		}))
		m, r := minterOf(t, parents{"PASSWORD": secrettest.Canary(t)}, "npm-token:"+server.URL+"?user=ci&password=env:PASSWORD&login=true")
		lease, err := m.Resolve(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		err = lease.Revoke(t.Context())
		if err == nil || secrettest.Leak(fmt.Sprintf("%v %#v", err, err), value) != "" {
			t.Errorf("%s: got %v", name, err)
		}
		server.Close()
		if err = lease.Revoke(t.Context()); err == nil || secrettest.Leak(err.Error(), value) != "" {
			t.Errorf("%s, and closed: got %v", name, err)
		}
	}
}
