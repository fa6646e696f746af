package e2e

import (
	"encoding/base64"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tightlip/tightlip/internal/enginetest"
)

// gitServer is git's own server of repositories below a folder, for who shows a credential. It remembers all that it was shown.
type gitServer struct {
	*httptest.Server
	dir, want string

	mu    sync.Mutex
	shown []string
}

func newGitServer(t *testing.T, want string) *gitServer {
	t.Helper()
	g := &gitServer{dir: t.TempDir(), want: want}
	backend := &cgi.Handler{
		Path: "/usr/lib/git-core/git-http-backend",
		Env:  []string{"GIT_PROJECT_ROOT=" + g.dir, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*"},
	}
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := r.Header.Get("Authorization")
		g.mu.Lock()
		g.shown = append(g.shown, header)
		g.mu.Unlock()
		if g.want != "" && header != g.want {
			w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		backend.ServeHTTP(w, r)
	}))
	t.Cleanup(g.Close)
	return g
}

// saw tells whether any client has shown a header.
func (g *gitServer) saw(header string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Contains(g.shown, header)
}

// repository makes one of the files of a folder, with another one in it as a submodule, and returns its URL.
func (g *gitServer) repository(t *testing.T, b *enginetest.Box, files, submodule string) string {
	t.Helper()
	dir := filepath.Join(b.Work, files)
	git := func(args ...string) {
		wantCode(t, b.Run("git", append([]string{"-C", dir, "-c", "user.name=t", "-c", "user.email=t@corp.example", "-c", "protocol.file.allow=always"}, args...)...), 0)
	}
	git("init", "-q", "-b", "main")
	git("add", ".")
	if submodule != "" {
		git("submodule", "--quiet", "add", submodule, "sub")
	}
	git("commit", "-q", "-m", "first")
	wantCode(t, b.Run("git", "clone", "-q", "--bare", dir, filepath.Join(g.dir, "repo.git")), 0)
	return g.URL + "/repo.git"
}

// TestBrokerGit: the builder clones what a Dockerfile adds, and contexts, with the credential of their origin. Nobody else sees it: not the
// server of a submodule, no step and not the image.
func TestBrokerGit(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		b := e.box(t)
		value := enginetest.PlainCanary()
		basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("ci:"+value))
		private, public := newGitServer(t, basic), newGitServer(t, "")
		b.Write("public/hello", []byte("hello from public\n"))
		b.Write("private/hello", []byte("hello from private\n"))
		sub := public.repository(t, b, "public", "")
		repo := private.repository(t, b, "private", sub)
		b.Env["GIT_TOKEN"] = value
		b.Write("busybox", readFile(t, enginetest.Tool(t, "busybox")))
		for _, tt := range []struct{ name, add, context string }{
			{"ADD", "ADD --keep-git-dir=true " + repo + "#main /src\n", "."},
			{"a context", "COPY hello /src/hello\nCOPY sub /src/sub\n", repo + "#main"},
			{"a named context", "COPY --from=named . /src\n", "."},
		} {
			private.shown = nil // the public one is asked once, and then in the cache
			b.Write("Dockerfile", []byte("FROM scratch\nCOPY --from=tools --chmod=755 busybox /bin/busybox\nRUN [\"/bin/busybox\", \"--install\", \"/bin\"]\n"+tt.add+
				"RUN --mount=type=secret,id=git,target=/x cat /src/hello /src/sub/hello > /both && grep -q ^phantom /x\n"))
			cmd := b.Command(enginetest.Binary(t), "build", "--engine", e.flag(), "--progress", "plain", "--secret", "id=git,env=GIT_TOKEN", "--broker", "git="+private.URL+":basic:ci",
				"--build-context", "tools=.", "--build-context", "named="+repo+"#main", "-o", "type=tar,dest=out.tar", "-f", "-", tt.context)
			cmd.Stdin = strings.NewReader(string(readFile(t, filepath.Join(b.Work, "Dockerfile"))))
			r := enginetest.Finish(t, cmd)
			wantCode(t, r, 0)
			wantText(t, r.Stderr, "proven")
			if !private.saw(basic) || public.saw(basic) || len(public.shown) == 0 {
				t.Errorf("%s: the private server saw the credential: %t, the public one: %t, which had %d requests", tt.name, private.saw(basic), public.saw(basic), len(public.shown))
			}
			enginetest.NoTraces(t, "the output", r.All(), value)
			wantCode(t, enginetest.Finish(t, b.Command("tar", "-xf", "out.tar")), 0)
			wantFile(t, filepath.Join(b.Work, "both"), "hello from private\nhello from public\n")
			enginetest.NoTracesIn(t, b.Dir, value)
		}
	})
}
