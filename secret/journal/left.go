package journal

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/tightlip/tightlip/internal/lockfile"
)

// Left counts the leases in a folder that processes which are gone have left, and that have not expired by our clock. It asks nobody.
func Left(folder string) int {
	names, _ := filepath.Glob(filepath.Join(folder, pattern))
	count := 0
	for _, name := range names {
		unlock, err := lockfile.Lock(name + lockExt)
		if err != nil {
			continue // its process is at work
		}
		leases, _, err := read(name)
		if errors.Is(err, fs.ErrNotExist) {
			_ = os.Remove(name + lockExt) // its process has just removed both
		}
		unlock()
		for _, l := range leases {
			if l.Expires.IsZero() || time.Now().Before(l.Expires) {
				count++
			}
		}
	}
	return count
}
