package enginetest

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// Postgres is a server with the superuser root, who has a password.
type Postgres struct{ Host, Port string }

// StartPostgres starts Debian's PostgreSQL for one test, as the user that it has there. Without it the test is skipped.
func StartPostgres(t testing.TB, password string) *Postgres {
	t.Helper()
	NeedRoot(t)
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if len(found) == 0 {
		t.Skip("there is no PostgreSQL: apt-get install postgresql brings it")
	}
	dir := shortTemp(t)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	write(t, filepath.Join(dir, "password"), []byte(password))
	host, port, err := net.SplitHostPort(FreeAddress(t))
	if err != nil {
		t.Fatal(err)
	}
	as := func(args ...string) *exec.Cmd {
		cmd := exec.Command("setpriv", append([]string{"--reuid=postgres", "--regid=postgres", "--clear-groups"}, args...)...)
		cmd.Dir, cmd.Env = dir, []string{"PATH=" + os.Getenv("PATH")}
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		return cmd
	}
	if out, err := exec.Command("chown", "-R", "postgres", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	data := filepath.Join(dir, "data")
	if out, err := as(filepath.Dir(found[0])+"/initdb", "-D", data, "-U", "root", "--auth=scram-sha-256", "--pwfile=password").CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	server := as(found[0], "-D", data, "-k", dir, "-h", host, "-p", port)
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(server, 5*time.Second) })
	p := &Postgres{host, port}
	Eventually(t, 30*time.Second, "PostgreSQL answers", func() bool { return p.Takes("root", password) })
	return p
}

// Takes tells whether a user can log in with a password.
func (p *Postgres) Takes(user, password string) bool {
	cmd := exec.Command("psql", "-h", p.Host, "-p", p.Port, "-U", user, "-d", "postgres", "-c", "select 1")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "PGPASSWORD=" + password}
	return cmd.Run() == nil
}
