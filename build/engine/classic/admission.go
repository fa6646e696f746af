package classic

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/tightlip/tightlip/broker"
	"github.com/tightlip/tightlip/broker/shim"
	"github.com/tightlip/tightlip/dockerfile/translate"
)

// admission lets through what the step that runs has in its mounts. Other steps know the ticket, too.
type admission struct {
	mu      sync.Mutex
	now     *translate.Step
	changed chan struct{} // closed when another step begins
}

func newAdmission() *admission { return &admission{changed: make(chan struct{})} }

// begin says which step runs from now on: nil for one that mounts nothing.
func (g *admission) begin(s *translate.Step) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.now = s
	close(g.changed)
	g.changed = make(chan struct{})
}

// lag is how long the word that a step begins may take longer than the step's first request.
const lag = 3 * time.Second

// allow is broker.Options.Allow.
func (g *admission) allow(ctx context.Context, kind broker.Kind, id string) bool {
	ctx, cancel := context.WithTimeout(ctx, lag)
	defer cancel()
	for {
		g.mu.Lock()
		now, changed := g.now, g.changed
		g.mu.Unlock()
		if now != nil && slices.ContainsFunc(now.Uses, func(u translate.Use) bool { return u.Kind == shim.Kind(kind) && u.ID == id }) {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}
