package real

import (
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tightlip/tightlip/internal/enginetest"
)

// withAgents logs in at two servers, ALLOWED and OTHER, as root and as another user.
const withAgents = `FROM acme-base
COPY known_hosts /etc/ssh/ssh_known_hosts
RUN --mount=type=ssh,required=true ssh -o BatchMode=yes -p ALLOWED root@127.0.0.1 echo allowed > /said
RUN --mount=type=ssh,required=true ! ssh -o BatchMode=yes -p OTHER root@127.0.0.1 echo other
RUN --mount=type=ssh ["sh", "-c", "test $SSH_AUTH_SOCK = /run/buildkit/ssh_agent.0"]
USER nobody
RUN --mount=type=ssh,target=/run/mine,uid=65534 test $SSH_AUTH_SOCK = /run/mine && ssh -o BatchMode=yes -p ALLOWED root@127.0.0.1 true
RUN --mount=type=ssh ! ssh -o BatchMode=yes -p ALLOWED root@127.0.0.1 true
RUN --mount=type=ssh,id=none test -z "$SSH_AUTH_SOCK"
RUN test -z "$SSH_AUTH_SOCK"
`

// TestAgentPolicy: podman's and buildah's own way to an agent would not say which server it is for. Steps have ours in its place.
func TestAgentPolicy(t *testing.T) {
	enginetest.NeedRoot(t)
	base := filepath.Join(enginetest.Root(t), ".tools/base.tar")
	allowed, other := &servers{dir: t.TempDir()}, &servers{dir: t.TempDir()}
	allowed.startSSH(t)
	other.startSSH(t)
	other.write(t, "authorized_keys", readFile(t, filepath.Join(allowed.dir, "authorized_keys")))
	_, port, _ := net.SplitHostPort(allowed.ssh)
	_, otherPort, _ := net.SplitHostPort(other.ssh)
	known := append(allowed.knownHosts(t), other.knownHosts(t)...)
	for _, e := range []struct{ tool, isolation string }{{"podman", "oci"}, {"buildah", "oci"}, {"buildah", "chroot"}} {
		t.Run(e.tool+" "+e.isolation, func(t *testing.T) {
			p := enginetest.NewPodman(t)
			b := p.Box(t)
			b.Env["BUILDAH_ISOLATION"] = e.isolation
			b.DockerConfig(map[string]any{})
			output(t, b.Command("podman", "import", base, "acme-base"))
			b.Write("context/known_hosts", known)
			b.Write("context/Dockerfile", []byte(strings.NewReplacer("ALLOWED", port, "OTHER", otherPort).Replace(withAgents)))
			b.Write("tightlip.yaml", fmt.Appendf(nil, "version: 1\nssh: {default: {allow: [\"root@%s\"], known-hosts: context/known_hosts}}\n", allowed.ssh))
			r := b.Tightlip("build", "--engine", e.tool, "--network", "host", "--ssh", "default="+allowed.key, "-t", "app", "context")
			if r.Code != 0 {
				t.Fatalf("exit code %d:\n%s", r.Code, r.All())
			}
			if !strings.Contains(r.Stderr, "RUN --mount=type=ssh ! ssh -o") {
				t.Errorf("steps are not shown as they were written:\n%s", r.Stderr)
			}
			if got := output(t, b.Command("podman", "run", "--rm", "--network", "none", "app", "cat", "/said")); got != "allowed\n" {
				t.Errorf("the server said %q", got)
			}
			enginetest.NoTracesIn(t, p.Dir, strings.TrimSpace(string(readFile(t, allowed.key))))
		})
	}
}
