package cli

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tightlip/tightlip/report"
	"golang.org/x/term"
)

// meter shows on a terminal how far a search is, once it takes more than a second.
type meter struct {
	out   *os.File
	quiet bool
	doing string
	total atomic.Int64 // of all parts

	mu    sync.Mutex
	start time.Time
	last  time.Time
	shown bool
}

func newMeter(out *os.File, doing string) *meter {
	return &meter{out: out, doing: doing, quiet: !term.IsTerminal(int(out.Fd()))}
}

// show is called often, and from several goroutines.
func (m *meter) show(bytes int64) {
	if m.quiet || !m.mu.TryLock() {
		return
	}
	defer m.mu.Unlock()
	now := time.Now()
	if m.start.IsZero() {
		m.start, m.last = now, now.Add(900*time.Millisecond)
	}
	if now.Sub(m.last) < 100*time.Millisecond {
		return
	}
	m.last, m.shown = now, true
	fmt.Fprintf(m.out, "\r\x1b[Ktightlip: %s … %s searched", m.doing, report.Size(bytes))
}

// part returns a show for one of several searches: the line has the bytes of them all.
func (m *meter) part() func(bytes int64) {
	var before atomic.Int64
	return func(bytes int64) { m.show(m.total.Add(bytes - before.Swap(bytes))) }
}

// wait shows that something goes on that says nothing of how far it is. It returns what ends that.
func (m *meter) wait() (done func()) {
	if m.quiet {
		return func() {}
	}
	late := time.AfterFunc(time.Second, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.shown = true
		fmt.Fprintf(m.out, "\r\x1b[Ktightlip: %s …", m.doing)
	})
	return func() { late.Stop(); m.clear() }
}

// clear removes the line.
func (m *meter) clear() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.shown {
		fmt.Fprint(m.out, "\r\x1b[K")
	}
	m.start, m.shown = time.Time{}, false
}
