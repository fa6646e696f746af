//go:build unix

package journal

import (
	"errors"
	"os"
)

// syncFolder has a new name in a folder on disk.
func syncFolder(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
