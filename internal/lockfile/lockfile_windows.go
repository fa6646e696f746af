// Package lockfile tells whether another process is at work somewhere.
package lockfile

import "os"

// Lock makes do with Windows's own rule: an open file cannot be removed.
func Lock(name string) (unlock func(), err error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	return func() { f.Close() }, nil
}
