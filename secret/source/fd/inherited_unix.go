//go:build unix

package fd

import "golang.org/x/sys/unix"

// inherited reports whether the program was started with this descriptor. Go sets close-on-exec on all it opens;
// what was inherited cannot have had it.
func inherited(number int) bool {
	flags, err := unix.FcntlInt(uintptr(number), unix.F_GETFD, 0)
	return err == nil && flags&unix.FD_CLOEXEC == 0
}
