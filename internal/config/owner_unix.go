//go:build unix

package config

import (
	"os"
	"syscall"
)

// ours tells whether a file belongs to this user, or to root.
func ours(path string) bool {
	info, err := os.Stat(path)
	if err != nil {
		return false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && (st.Uid == 0 || int(st.Uid) == os.Geteuid())
}
