// Package quickstart puts the first garbage collection off: the program's packages allocate more at their start than Go's first limit of 4 MB,
// and a command of 20 ms would spend 3 of them on a collection that finds nothing. After the first one, Go's own pace holds again. Go initialises
// packages when what they import is ready, in the order of their paths: importing nothing else lets this one come before the large ones.
package quickstart

import (
	"runtime"
	"runtime/debug"
)

func init() {
	const usual, first = 100, 400 // percent: 4 MB and 16 MB
	if pace := debug.SetGCPercent(first); pace != usual {
		debug.SetGCPercent(pace) // the user's own, from GOGC
		return
	}
	runtime.AddCleanup(&struct{ _ [64]byte }{}, func(pace int) { debug.SetGCPercent(pace) }, usual)
}
