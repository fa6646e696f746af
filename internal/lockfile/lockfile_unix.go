//go:build unix

// Package lockfile tells whether another process is at work somewhere.
package lockfile

import (
	"os"

	"golang.org/x/sys/unix"
)

// Lock takes the lock of a file, which it makes if it is missing. It is a lock that ends with the process. Lock fails if another has it.
func Lock(name string) (unlock func(), err error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, err
	}
	return func() { f.Close() }, nil
}
