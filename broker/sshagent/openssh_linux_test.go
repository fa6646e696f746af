package sshagent_test

import (
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tightlip/tightlip/broker/sshagent"
	"github.com/tightlip/tightlip/internal/enginetest"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// machine is a folder with an sshd that lets in whoever has the user's keys or a certificate of the authority, under any name, and everything an ssh needs.
type machine struct {
	dir  string
	port string
}

// startServer starts an sshd with a new host key of a kind. More lines may be in its configuration, in which DIR is its folder.
func startServer(t *testing.T, kind string, lines ...string) *machine {
	t.Helper()
	m := &machine{dir: t.TempDir()}
	for _, dir := range []string{m.dir, filepath.Dir(m.dir)} { // sshd reads authorized_keys as the user who logs in
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	m.keygen(t, "-q", "-t", kind, "-N", "", "-f", "host")
	m.keygen(t, "-q", "-t", "ed25519", "-N", "", "-f", "authority")
	if len(lines) > 0 { // the host has a certificate, too
		m.keygen(t, "-q", "-s", "authority", "-I", "host", "-h", "-n", "127.0.0.1", "-V", "+1h", "host.pub")
	}
	m.write(t, "authorized_keys", "")
	m.port = enginetest.StartSSHD(t, m.dir, lines...)
	return m
}

func (m *machine) write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(m.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func (m *machine) read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(m.dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func (m *machine) keygen(t *testing.T, args ...string) { m.run(t, "ssh-keygen", args...) }

// run runs a program in the folder, and must work.
func (m *machine) run(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := m.try(t, "", name, args...); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

// try runs a program in the folder, with an agent.
func (m *machine) try(t *testing.T, agent, name string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, enginetest.Tool(t, name), args...)
	cmd.Dir, cmd.Env, cmd.WaitDelay = m.dir, []string{"HOME=" + m.dir, "PATH=/usr/bin:/bin", "SSH_AUTH_SOCK=" + agent}, time.Second
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// options are those of each ssh.
func (m *machine) options() []string {
	return []string{"-F", "/dev/null", "-o", "BatchMode=yes", "-o", "UserKnownHostsFile=" + m.dir + "/known_hosts", "-o", "GlobalKnownHostsFile=/dev/null", "-p", m.port}
}

// login runs ssh. It tells whether the server let the user in; what the user's shell then does is not its business.
func (m *machine) login(t *testing.T, agent, user string, args ...string) (bool, string) {
	t.Helper()
	out, _ := m.try(t, agent, "ssh", append(append(m.options(), "-v"), append(args, user+"@127.0.0.1", "echo here")...)...)
	return strings.Contains(out, "Authenticated to "), out
}

// key makes a user's key of a kind, and lets it in.
func (m *machine) key(t *testing.T, kind string) string {
	t.Helper()
	name := "user-" + kind
	m.keygen(t, "-q", "-t", kind, "-N", "", "-f", name)
	m.write(t, "authorized_keys", m.read(t, "authorized_keys")+m.read(t, name+".pub"))
	return filepath.Join(m.dir, name)
}

// events are what an agent was asked.
type events struct {
	mu   sync.Mutex
	list []sshagent.Event
}

func (e *events) add(event sshagent.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list = append(e.list, event)
}

// take returns the events, and forgets them.
func (e *events) take() []sshagent.Event {
	e.mu.Lock()
	defer e.mu.Unlock()
	list := e.list
	e.list = nil
	return list
}

// wants fails unless something was refused for a reason, and nothing was signed.
func (e *events) wants(t *testing.T, what, reason string) {
	t.Helper()
	found := false
	list := e.take()
	for _, event := range list {
		if event.Request == sshagent.Sign && event.Granted {
			t.Errorf("%s: signed: %+v", what, event)
		}
		found = found || !event.Granted && strings.Contains(event.Reason, reason)
	}
	if !found {
		t.Errorf("%s: nothing was refused for %q: %+v", what, reason, list)
	}
}

// serve opens an agent at a socket, as a step finds it.
func serve(t *testing.T, policy *sshagent.Policy, paths ...string) (string, *events) {
	t.Helper()
	seen := &events{}
	agents, err := sshagent.New([]sshagent.Spec{{ID: "default", Paths: paths, Policy: policy, Audit: seen.add}})
	if err != nil {
		t.Fatal(err)
	}
	return serveAgents(t, agents), seen
}

// serveAgents opens an agent for each who connects to the socket that it returns.
func serveAgents(t *testing.T, agents *sshagent.Agents) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go join(agents, c)
		}
	}()
	return name
}

func join(agents *sshagent.Agents, c net.Conn) {
	defer c.Close()
	a, err := agents.Open(context.Background(), "default")
	if err != nil {
		return
	}
	go func() { _, _ = io.Copy(a, c); a.Close() }()
	_, _ = io.Copy(c, a)
}

// policy lets root log in at the server.
func (m *machine) policy(t *testing.T, known string) *sshagent.Policy {
	t.Helper()
	p, err := sshagent.Settings{Allow: []string{"root@127.0.0.1:" + m.port}, KnownHosts: []string{known}}.Policy()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestOpenSSH logs in with the programs of OpenSSH, where it may and where it may not. Without a policy all of it works, but what is never allowed.
func TestOpenSSH(t *testing.T) {
	a, b := startServer(t, "ed25519"), startServer(t, "ed25519")
	key := a.key(t, "ed25519")
	b.write(t, "authorized_keys", a.read(t, "authorized_keys"))
	guarded, seen := serve(t, a.policy(t, a.dir+"/known_hosts"), key)
	open, _ := serve(t, nil, key)
	login := func(m *machine, user string, args ...string) func(string) bool {
		return func(agent string) bool { ok, _ := m.login(t, agent, user, args...); return ok }
	}
	run := func(name string, args ...string) func(string) bool {
		return func(agent string) bool { _, err := a.try(t, agent, name, args...); return err == nil }
	}
	a.write(t, "text", "a text")
	for name, test := range map[string]struct {
		works  func(agent string) bool
		reason string
	}{
		"another user":        {login(a, "sync"), "does not name this user"},
		"another host":        {login(b, "root"), "does not name the server's host key"},
		"another host, asked": {login(b, "root", "-i", key+".pub"), "does not name the server's host key"},
		"a file":              {run("sh", "-c", "rm -f text.sig; exec ssh-keygen -Y sign -n git -f "+key+".pub text"), "SSHSIG"},
		"a certificate":       {run("ssh-keygen", "-U", "-s", key+".pub", "-I", "x", "-n", "root", key+".pub"), "certificate"},
		"without OpenSSH":     {func(agent string) bool { return loginOtherwise(t, a, agent) }, "did not say which server"},
	} {
		if !test.works(open) {
			t.Errorf("%s: without a policy it does not work", name)
		}
		seen.take()
		if test.works(guarded) {
			t.Errorf("%s: it works", name)
		}
		seen.wants(t, name, test.reason)
	}
	if ok, out := a.login(t, guarded, "root"); !ok || !strings.Contains(out, "\nhere") {
		t.Errorf("%s\n%+v", out, seen.take())
	}
	if out, err := a.try(t, guarded, "ssh-add", "-l"); err != nil || !strings.Contains(out, "SHA256:") {
		t.Errorf("listing: %v, %s", err, out)
	}
	for name, args := range map[string][]string{"adding": {key}, "removing": {"-d", key + ".pub"}, "removing all": {"-D"}} {
		seen.take()
		if run("ssh-add", args...)(guarded) {
			t.Errorf("%s works", name)
		}
		seen.wants(t, name, "only list keys and sign")
	}
}

// TestOpenSSHForwarding goes on from a server with the agent that ssh -A gives it, to where the policy lets the user in.
func TestOpenSSHForwarding(t *testing.T) {
	m := startServer(t, "ed25519")
	key := m.key(t, "ed25519")
	guarded, seen := serve(t, m.policy(t, m.dir+"/known_hosts"), key)
	open, _ := serve(t, nil, key)
	onward := func(agent string) string {
		out, _ := m.try(t, agent, "ssh", append(m.options(), "-A", "root@127.0.0.1", "echo first; ssh "+strings.Join(m.options(), " ")+" root@127.0.0.1 echo second")...)
		return strings.Join(strings.Fields(out), " ")
	}
	if got := onward(open); got != "first second" {
		t.Errorf("without a policy: %s", got)
	}
	if got := onward(guarded); !strings.HasPrefix(got, "first") || strings.Contains(got, "second") {
		t.Errorf("with a policy: %s", got)
	}
	signed, refused := 0, false
	for _, e := range seen.take() {
		if e.Request == sshagent.Sign && e.Granted {
			signed++
		}
		refused = refused || e.Request == sshagent.Bind && !e.Granted && strings.Contains(e.Reason, "forwarded")
	}
	if signed != 1 || !refused {
		t.Errorf("signed %d times, forwarding refused: %t", signed, refused)
	}
}

// loginOtherwise logs in with a client that does not say which server it is for, as OpenSSH before 8.9.
func loginOtherwise(t *testing.T, m *machine, socket string) bool {
	t.Helper()
	conn, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c, err := ssh.Dial("tcp", "127.0.0.1:"+m.port, &ssh.ClientConfig{
		User: "root", Auth: []ssh.AuthMethod{ssh.PublicKeysCallback(agent.NewClient(conn).Signers)}, HostKeyCallback: ssh.InsecureIgnoreHostKey(),
	})
	if err == nil {
		c.Close()
	}
	return err == nil
}

// TestOpenSSHKeys logs in with keys of each kind, at hosts with keys of each kind, and with certificates.
func TestOpenSSHKeys(t *testing.T) {
	for _, kind := range []string{"ed25519", "ecdsa", "rsa"} {
		m := startServer(t, kind)
		known := m.policy(t, m.dir+"/known_hosts")
		for _, user := range []string{"ed25519", "ecdsa", "rsa"} {
			socket, seen := serve(t, known, m.key(t, user))
			if ok, out := m.login(t, socket, "root"); !ok {
				t.Errorf("%s at %s: %s\n%+v", user, kind, out, seen.take())
			}
		}
		// The certificate is a file that the agent knows nothing of.
		m.keygen(t, "-q", "-t", kind, "-N", "", "-f", "certified")
		m.keygen(t, "-q", "-s", "authority", "-I", "user", "-n", "root", "-V", "+1h", "certified.pub")
		socket, seen := serve(t, known, m.dir+"/certified")
		if ok, out := m.login(t, socket, "root", "-o", "CertificateFile="+m.dir+"/certified-cert.pub"); !ok {
			t.Errorf("%s certificate: %s\n%+v", kind, out, seen.take())
		}
	}
}

// TestOpenSSHHostCertificate knows the host by its authority only.
func TestOpenSSHHostCertificate(t *testing.T) {
	m := startServer(t, "ed25519", "HostCertificate DIR/host-cert.pub")
	m.write(t, "known_hosts", "@cert-authority [127.0.0.1]:"+m.port+" "+m.read(t, "authority.pub"))
	socket, seen := serve(t, m.policy(t, m.dir+"/known_hosts"), m.key(t, "ed25519"))
	if ok, out := m.login(t, socket, "root"); !ok {
		t.Errorf("%s\n%+v", out, seen.take())
	}
}

// TestOpenSSHAgent has an agent of OpenSSH behind, with a key that is for one server, and for which it wants to be told the server.
func TestOpenSSHAgent(t *testing.T) {
	m := startServer(t, "ed25519")
	key := m.key(t, "ed25519")
	behind := filepath.Join(t.TempDir(), "s")
	cmd := exec.CommandContext(t.Context(), enginetest.Tool(t, "ssh-agent"), "-D", "-a", behind)
	cmd.Stderr, cmd.SysProcAttr = t.Output(), &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Wait() })
	enginetest.Eventually(t, 10*time.Second, "ssh-agent answers", func() bool { _, err := os.Stat(behind); return err == nil })
	if out, err := m.try(t, behind, "ssh-add", "-H", m.dir+"/known_hosts", "-h", "root@[127.0.0.1]:"+m.port, key); err != nil {
		t.Fatal(out)
	}
	open, _ := serve(t, nil, behind)
	if ok, _ := m.login(t, open, "root"); ok {
		t.Error("the agent behind does not mind the server")
	}
	socket, seen := serve(t, m.policy(t, m.dir+"/known_hosts"), behind)
	if ok, out := m.login(t, socket, "root"); !ok {
		t.Errorf("%s\n%+v", out, seen.take())
	}
}
