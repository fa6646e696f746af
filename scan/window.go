package scan

import "runtime"

// freeWindow is up to which size a decoder's window is not counted: the one of zstd -19 and of xz's default.
const freeWindow = 8 << 20

// largeWindows is held by the one walk that has windows over freeWindow. A count of bytes instead of a single place
// would let two walks wait for each other, each with one window open and a second one nested in it.
var largeWindows = make(chan struct{}, 1)

// reserve asks for a window of size bytes, instead of the one of the frames before. It waits for other walks' large windows, and fails if the walk's own would
// come over the limit.
func (d *decoder) reserve(size uint64) error {
	w := d.w
	if size <= max(freeWindow, uint64(d.window)) {
		return nil
	}
	if size > uint64(w.limits.Window-w.windows+d.window) {
		return unread(OverWindow, "needs a window of %d bytes, over the limit of %d bytes for all", size, w.limits.Window)
	}
	if w.windows == 0 {
		select {
		case largeWindows <- struct{}{}:
		case <-w.ctx.Done():
			w.fail(w.ctx.Err())
			return w.ctx.Err()
		}
	}
	w.windows += int64(size) - d.window
	d.window = int64(size)
	return nil
}

func (w *walker) release(size int64) {
	if size == 0 {
		return
	}
	w.windows -= size
	if w.windows == 0 {
		runtime.GC() // or the next one would be allocated beside this one's remains, and so on
		<-largeWindows
	}
}
