//go:build unix

package cli

import "golang.org/x/sys/unix"

// noCoreDumps keeps values out of the file that the system writes of a process that crashes.
//
// Commands and engines that we start inherit it, as they should: they hold the values in their memory and environment. It is the soft
// limit alone, so that one that needs a dump can ask for it. Lowering a limit does not fail. A core_pattern that names a program is
// told the limit (%c) and has to heed it; systemd-coredump does.
func noCoreDumps() {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_CORE, &limit) == nil {
		limit.Cur = 0
		_ = unix.Setrlimit(unix.RLIMIT_CORE, &limit)
	}
}
