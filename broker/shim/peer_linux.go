package shim

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// RootOnly accepts only the connections of root, and of this process's own user, in the same network namespace: steps fetch
// as root. On a network that others share, the ticket could be read from a step's environment by a user with the same number.
func RootOnly(l net.Listener) net.Listener { return rootOnly{l} }

type rootOnly struct{ net.Listener }

func (l rootOnly) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if uid, _, err := peer(conn); err == nil && (uid == 0 || uid == os.Geteuid()) {
			return conn, nil
		}
		conn.Close()
	}
}

// ofStep tells whether a connection is one of a user who has a process in the step, which has a PID namespace of its own. Its network
// it may share with others.
func ofStep(conn net.Conn) bool {
	uid, _, err := peer(conn)
	if err != nil {
		return false
	}
	if uid == 0 || uid == os.Geteuid() {
		return true
	}
	processes, _ := filepath.Glob("/proc/[0-9]*")
	return slices.ContainsFunc(processes, func(dir string) bool {
		var st unix.Stat_t
		return unix.Stat(dir, &st) == nil && int(st.Uid) == uid
	})
}

// ownProcess tells whether a process of the step has the other end of a connection. What processes of other users have open, only a
// shim with more rights than root of a container can see.
func ownProcess(conn net.Conn) bool {
	_, inode, err := peer(conn)
	if err != nil || inode == "0" {
		return false
	}
	files, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	return slices.ContainsFunc(files, func(file string) bool {
		to, err := os.Readlink(file)
		return err == nil && to == "socket:["+inode+"]"
	})
}

// peer is the user whose connection this is, and the number of the user's socket. The kernel lists sockets with their owners, addresses
// in hexadecimal: those of clients that speak IPv4 through IPv6, as JVMs do, in a list of its own.
func peer(conn net.Conn) (uid int, inode string, err error) {
	theirs, ours := hexAddress(conn.RemoteAddr()), hexAddress(conn.LocalAddr())
	for _, list := range []struct{ file, prefix string }{{"/proc/self/net/tcp", ""}, {"/proc/self/net/tcp6", mapped}} {
		uid, inode, err = socketOf(list.file, list.prefix+theirs, list.prefix+ours)
		if err != nil || inode != "" {
			return uid, inode, err
		}
	}
	return 0, "", fmt.Errorf("no socket at %s", conn.RemoteAddr())
}

// mapped begins an IPv4 address that is written as one of IPv6.
const mapped = "0000000000000000FFFF0000"

// socketOf finds a socket in one of the kernel's lists; an empty inode: it is not there. A system without IPv6 has no list of those.
func socketOf(list, theirs, ours string) (uid int, inode string, err error) {
	f, err := os.Open(list)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, "", nil
	}
	if err != nil {
		return 0, "", err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) > 9 && fields[1] == theirs && fields[2] == ours {
			_, err := fmt.Sscan(fields[7], &uid)
			return uid, fields[9], err
		}
	}
	return 0, "", lines.Err()
}

// hexAddress is an IPv4 address as /proc/net/tcp has it on a little-endian machine: its bytes from the last to the first.
func hexAddress(a net.Addr) string {
	tcp, ok := a.(*net.TCPAddr)
	if !ok || tcp.IP.To4() == nil {
		return ""
	}
	ip := tcp.IP.To4()
	return fmt.Sprintf("%02X%02X%02X%02X:%04X", ip[3], ip[2], ip[1], ip[0], tcp.Port)
}
