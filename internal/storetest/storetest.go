// Package storetest makes real stores of secrets for tests, each private to the test and gone with it.
package storetest

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Need skips the test unless all programs are installed, as .ci/setup does.
func Need(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("%s is not installed: .ci/setup does that", p)
		}
	}
}

// Run runs a program with a standard input, and returns its standard output.
func Run(t *testing.T, stdin []byte, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Stdin = bytes.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, stderr.Bytes())
	}
	return string(out)
}

// PasswordStore makes an empty password store of the program pass, with a key that needs no passphrase.
func PasswordStore(t *testing.T) {
	t.Helper()
	Need(t, "gpg", "gpgconf", "pass")
	home := shortDir(t)
	t.Setenv("GNUPGHOME", home)
	t.Setenv("PASSWORD_STORE_DIR", filepath.Join(home, "store"))
	t.Cleanup(func() { // t.Context is done by now
		_ = exec.Command("gpgconf", "--homedir", home, "--kill", "all").Run() //nolint:noctx // best effort
	})
	Run(t, nil, "gpg", "--batch", "--pinentry-mode", "loopback", "--passphrase", "", "--quick-generate-key", "ci@corp.example", "future-default", "default", "never")
	Run(t, nil, "pass", "init", "ci@corp.example")
}

// Keyring starts a D-Bus session with an unlocked keyring of the Secret Service in it.
func Keyring(t *testing.T) {
	t.Helper()
	Need(t, "dbus-daemon", "dbus-send", "gnome-keyring-daemon", "secret-tool")
	dir := shortDir(t)
	for _, name := range []string{"XDG_RUNTIME_DIR", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"} {
		t.Setenv(name, dir)
	}
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path="+filepath.Join(dir, "bus"))
	start(t, "", "dbus-daemon", "--session", "--nofork", "--nopidfile", "--address="+os.Getenv("DBUS_SESSION_BUS_ADDRESS"))
	until(t, func() bool { return owner("org.freedesktop.DBus") })
	start(t, "password\n", "gnome-keyring-daemon", "--foreground", "--unlock", "--components=secrets")
	until(t, func() bool { return owner("org.freedesktop.secrets") })
}

// shortDir is a folder with a path that is short enough for sockets in it.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "store")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func start(t *testing.T, stdin, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...) //nolint:noctx // ended below, when t.Context is done already
	cmd.Stdin = strings.NewReader(stdin)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}

// owner reports whether somebody answers to a name on the bus.
func owner(name string) bool {
	out, err := exec.Command("dbus-send", "--session", "--print-reply", "--dest=org.freedesktop.DBus", "/", "org.freedesktop.DBus.NameHasOwner", "string:"+name).Output() //nolint:noctx // answers at once
	return err == nil && bytes.Contains(out, []byte("boolean true"))
}

func until(t *testing.T, ready func() bool) {
	t.Helper()
	for range 3000 {
		if ready() {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatal("not ready after a minute")
}
