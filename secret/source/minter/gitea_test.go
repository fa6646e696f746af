package minter_test

import (
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tightlip/tightlip/internal/enginetest"
	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/fake"
	"github.com/tightlip/tightlip/secret/secrettest"
)

// giteaServer is one with a user ci, who has a private repository app.
type giteaServer struct {
	url      string
	password []byte
	reached  func() int
}

// call sends a request, as the user or with a token, and returns the status.
func (g giteaServer) call(t *testing.T, method, path, token string, body, into any) int {
	t.Helper()
	as := "Basic " + base64.StdEncoding.EncodeToString(append([]byte("ci:"), g.password...))
	if token != "" {
		as = "token " + token
	}
	return call(t, method, g.url+"/api/v1"+path, "Authorization", as, body, into)
}

// fixture has two kinds of parents: the user's password, and a token that may make others.
func (g giteaServer) fixture(t *testing.T, parent, ref string) secrettest.MinterFixture {
	p := parents{"PARENT": g.password, "NOT": secrettest.Canary(t)}
	if parent == "token" {
		var made struct{ Sha1 string }
		g.call(t, http.MethodPost, "/users/ci/tokens", "", map[string]any{"name": "parent" + t.Name(), "scopes": []string{"write:user", "read:repository"}}, &made)
		p["PARENT"] = []byte(made.Sha1)
	}
	m, r := minterOf(t, p, fmt.Sprintf(ref, g.url))
	names := func(t *testing.T) (list []string) {
		var all []struct{ Name string }
		g.call(t, http.MethodGet, "/users/ci/tokens", "", nil, &all)
		for _, one := range all {
			if strings.HasPrefix(one.Name, "tightlip-") {
				list = append(list, one.Name)
			}
		}
		return list
	}
	for _, name := range names(t) { // of the test before
		g.call(t, http.MethodDelete, "/users/ci/tokens/"+name, "", nil, nil)
	}
	fixture := secrettest.MinterFixture{
		Minter: m, Ref: r, Names: names, Parents: p.values(),
		Works: func(t *testing.T, v secret.Value) bool {
			return g.call(t, http.MethodGet, "/repos/ci/app", string(v.Open()), nil, nil) == http.StatusOK
		},
		Broken: broken(t, fmt.Sprintf("gitea:%s?user=ci&token=env:NOT&scopes=read:user", g.url), fmt.Sprintf("gitea:%s?user=other&token=env:PARENT&scopes=read:user", g.url)),
	}
	if g.reached != nil {
		before := g.reached()
		fixture.Reached = func() int { return g.reached() - before }
	}
	return fixture
}

func (g giteaServer) contract(t *testing.T) {
	for _, parent := range []string{"password", "token"} {
		for _, scopes := range []string{"read:repository", "read:repository,read:package"} {
			t.Run(parent+" "+scopes, func(t *testing.T) {
				secrettest.MinterContract(t, func(t *testing.T) secrettest.MinterFixture {
					return g.fixture(t, parent, example(t, "gitea", "https://git.corp.example", "%s", "GITEA_TOKEN", "PARENT", "read:repository,read:package", scopes))
				})
			})
			if parent == "token" {
				break // which has no read:package to give away
			}
		}
	}
}

func TestGitea(t *testing.T) {
	password := secrettest.Canary(t)
	f := fake.NewGitea(t, string(password))
	giteaServer{url: f.URL, password: password, reached: func() int { return len(f.Log()) }}.contract(t)
}

// TestRealGitea runs a Gitea if there is one in .tools: building it takes minutes.
func TestRealGitea(t *testing.T) {
	program := filepath.Join(enginetest.Root(t), ".tools/gitea/gitea")
	if _, err := os.Stat(program); err != nil {
		t.Skip("there is no Gitea in .tools/gitea: go build -tags sqlite,sqlite_unlock_notify code.gitea.io/gitea makes one")
	}
	startGitea(t, program).contract(t)
}

// startGitea runs a Gitea with its database in a folder of the test.
func startGitea(t *testing.T, program string) giteaServer {
	t.Helper()
	dir, address := t.TempDir(), enginetest.FreeAddress(t)
	host, port, _ := net.SplitHostPort(address)
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	config := write(t, filepath.Join(dir, "app.ini"), fmt.Appendf(nil, "RUN_USER = %s\nI_AM_BEING_UNSAFE_RUNNING_AS_ROOT = true\n[server]\nHTTP_ADDR = %s\nHTTP_PORT = %s\nOFFLINE_MODE = true\nSTATIC_ROOT_PATH = %s\n[database]\nDB_TYPE = sqlite3\nPATH = %s/db\n[security]\nINSTALL_LOCK = true\n[log]\nLEVEL = error\n[cron]\nENABLED = false\n",
		me.Username, host, port, filepath.Dir(program), dir))
	run := func(args ...string) *exec.Cmd {
		cmd := exec.Command(program, append(args, "--config", config, "--work-path", dir)...)
		cmd.Env = []string{"HOME=" + dir, "PATH=" + os.Getenv("PATH"), "USER=" + me.Username}
		return cmd
	}
	password := secrettest.Canary(t)
	for _, args := range [][]string{
		{"migrate"},
		{"admin", "user", "create", "--username", "ci", "--password", string(password), "--email", "ci@corp.example", "--must-change-password=false"},
	} {
		if out, err := run(args...).CombinedOutput(); err != nil {
			t.Fatalf("gitea %s: %v\n%s", args[0], err, out)
		}
	}
	server := run("web")
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Process.Kill(); _ = server.Wait() })
	enginetest.Eventually(t, time.Minute, "Gitea answers", func() bool {
		resp, err := http.Get("http://" + address + "/api/healthz")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	g := giteaServer{url: "http://" + address, password: password}
	if status := g.call(t, http.MethodPost, "/user/repos", "", map[string]any{"name": "app", "private": true}, nil); status != http.StatusCreated {
		t.Fatalf("making a repository: %d", status)
	}
	return g
}
