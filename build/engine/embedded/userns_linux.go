package embedded

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// errNoProc says that the kernel does not let this user mount a /proc for a new PID namespace.
var errNoProc = errors.New("mounting a new /proc is not allowed here")

// startMapped starts cmd in its new user namespace, in which the user is root, and gives it the user's
// subordinate ids. The child waits on its standard input until the ids are there (see enterUserNamespace).
func startMapped(cmd *exec.Cmd) error {
	uids, gids, err := subordinateIDs()
	if err != nil {
		return err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer w.Close()
	cmd.Stdin = r
	err = cmd.Start()
	r.Close()
	if err != nil {
		return err
	}
	err = errors.Join(
		mapIDs("newuidmap", cmd.Process.Pid, os.Geteuid(), uids),
		mapIDs("newgidmap", cmd.Process.Pid, os.Getegid(), gids))
	if err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return err
	}
	_, err = w.Write([]byte{1})
	return err
}

// enterUserNamespace waits until the ids are mapped and starts the program anew: only an exec as root gives
// the process its capabilities.
func enterUserNamespace() error {
	if n, err := os.Stdin.Read(make([]byte, 1)); n != 1 {
		return fmt.Errorf("waiting for the ids of the user namespace: %w", err)
	}
	return syscall.Exec("/proc/self/exe", append(os.Args, "--mapped"), os.Environ())
}

// idRange is a line of /etc/subuid or /etc/subgid.
type idRange struct{ first, count int }

// subordinateIDs finds the ranges that newuidmap and newgidmap will accept for this user.
func subordinateIDs() (uids, gids idRange, err error) {
	for _, tool := range []string{"newuidmap", "newgidmap"} {
		if _, err := exec.LookPath(tool); err != nil {
			return uids, gids, fmt.Errorf("%w: %s is not on PATH", ErrNoIDs, tool)
		}
	}
	uids, err1 := readRange("/etc/subuid")
	gids, err2 := readRange("/etc/subgid")
	if err := errors.Join(err1, err2); err != nil {
		return uids, gids, fmt.Errorf("%w: %w", ErrNoIDs, err)
	}
	return uids, gids, nil
}

func readRange(name string) (idRange, error) {
	f, err := os.Open(name)
	if err != nil {
		return idRange{}, err
	}
	defer f.Close()
	u, err := user.Current()
	if err != nil {
		return idRange{}, err
	}
	return parseRange(f, u.Username, u.Uid)
}

// parseRange finds the first range of a user in a file of subuid(5) form, name:first:count.
func parseRange(r io.Reader, names ...string) (idRange, error) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		fields := strings.Split(strings.TrimSpace(lines.Text()), ":")
		if len(fields) != 3 || !slices.Contains(names, fields[0]) {
			continue
		}
		first, err1 := strconv.Atoi(fields[1])
		count, err2 := strconv.Atoi(fields[2])
		if err := errors.Join(err1, err2); err != nil {
			return idRange{}, err
		}
		return idRange{first, count}, nil
	}
	return idRange{}, errors.Join(fmt.Errorf("no subordinate ids for %s", names[0]), lines.Err())
}

func mapIDs(tool string, pid, own int, r idRange) error {
	out, err := exec.Command(tool, strconv.Itoa(pid), "0", strconv.Itoa(own), "1",
		"1", strconv.Itoa(r.first), strconv.Itoa(r.count)).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", tool, err, strings.TrimSpace(string(out)))
	}
	return nil
}
