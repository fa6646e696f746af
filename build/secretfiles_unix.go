//go:build unix

package build

import (
	"os"
	"syscall"
)

// ownFile tells whether name is a regular file of this user. Others may put there what they like.
func ownFile(name string) bool {
	info, err := os.Lstat(name)
	if err != nil || !info.Mode().IsRegular() {
		return false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Geteuid()
}
