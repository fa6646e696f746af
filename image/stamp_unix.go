//go:build unix

package image

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// stamp tells the state of a file. Nobody but root can change a file and leave its status change time as it was. A file that
// cannot be asked has a stamp of its own, which no other file has.
func stamp(path string) string {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return fmt.Sprintf("unknown %s %v", path, err)
	}
	return fmt.Sprintf("%d %d %d %d %d", st.Dev, st.Ino, st.Size, st.Mtim.Nano(), st.Ctim.Nano())
}
