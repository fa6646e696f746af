package command_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tightlip/tightlip/secret/source/command"
)

// asUser makes this test binary play the part of the program that the user runs on a terminal.
const asUser = "TEST_COMMAND_ON_TERMINAL"

func TestMain(m *testing.M) {
	if os.Getenv(asUser) != "" {
		playUser()
		return
	}
	os.Exit(m.Run())
}

// playUser has a command ask for a password on the terminal, then asks for a line itself.
func playUser() {
	lease, err := command.New(command.Options{Stderr: os.Stderr}).Resolve(context.Background(), cmd("sh -c 'read x </dev/tty; echo $x'"))
	if err != nil {
		fmt.Println(err)
		return
	}
	var line string
	_, err = fmt.Scanln(&line) // from the background, this would stop us
	fmt.Printf("length %d, then %s %v\n", lease.Value.Len(), line, err)
}

// A command in a background process group is stopped when it reads from the terminal, and never returns.
func TestAsksOnTerminal(t *testing.T) {
	master, slave := openTerminal(t)
	user := exec.CommandContext(t.Context(), os.Args[0])
	user.Env = append(os.Environ(), asUser+"=1")
	user.Stdin, user.Stdout, user.Stderr = slave, slave, slave
	user.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := user.Start(); err != nil {
		t.Fatal(err)
	}
	slave.Close()
	if _, err := io.WriteString(master, "hello\nworld\n"); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(20*time.Second, func() { _ = user.Process.Kill() })
	defer timer.Stop()
	shown, _ := io.ReadAll(master) // ends with EIO when the terminal has no user left
	if err := user.Wait(); err != nil {
		t.Errorf("%v after %q", err, shown)
	}
	if !strings.Contains(string(shown), "length 5, then world <nil>") {
		t.Errorf("the terminal shows %q", shown)
	}
}

func openTerminal(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return master, slave
}
