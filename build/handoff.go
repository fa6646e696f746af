package build

import (
	"context"
	"iter"
	"slices"
	"sync"

	"github.com/tightlip/tightlip/secret"
)

// Handoff hands the secrets of one build over when the engine asks for them, and remembers which it asked for.
type Handoff struct {
	set *secret.Set
	// standIn returns what a step gets in place of a secret's value, if it does not get that.
	standIn func(id string) (secret.Value, bool)
	// forBuilder is what the builder asks for itself, and the id of the secret in it.
	forBuilder func(name string) (id string, v secret.Value, ok bool)

	mu        sync.Mutex
	requested []string
	unknown   []string
}

// NewHandoff returns a handoff of the secrets in set.
func NewHandoff(set *secret.Set) *Handoff { return &Handoff{set: set} }

// Get returns the value of a secret, and false if the build has none with that id.
func (h *Handoff) Get(_ context.Context, id string) (secret.Value, bool) {
	lease, ok := h.set.Get(id)
	h.mu.Lock()
	defer h.mu.Unlock()
	list := &h.requested
	if !ok {
		list = &h.unknown
	}
	if !slices.Contains(*list, id) {
		*list = append(*list, id)
	}
	if !ok {
		return secret.Value{}, false
	}
	if h.standIn != nil {
		if v, ok := h.standIn(id); ok {
			return v, true
		}
	}
	return lease.Value, true
}

// ForBuilder returns what the builder itself asks for by a name of its own, for ADD or for a context, and false if the build has none.
func (h *Handoff) ForBuilder(ctx context.Context, name string) (secret.Value, bool) {
	if h.Has(name) { // the user's own
		return h.Get(ctx, name)
	}
	if h.forBuilder == nil {
		return secret.Value{}, false
	}
	id, v, ok := h.forBuilder(name)
	if ok {
		h.mu.Lock()
		defer h.mu.Unlock()
		if !slices.Contains(h.requested, id) {
			h.requested = append(h.requested, id)
		}
	}
	return v, ok
}

// Has tells whether the build has a secret with an id, and does not count as a request for it.
func (h *Handoff) Has(id string) bool {
	_, ok := h.set.Get(id)
	return ok
}

// Sizes yields each secret's id with the length of its value in bytes.
func (h *Handoff) Sizes() iter.Seq2[string, int] {
	return func(yield func(string, int) bool) {
		for id, lease := range h.set.All() {
			if !yield(id, lease.Value.Len()) {
				return
			}
		}
	}
}

// Requested reports whether the engine has asked for a secret.
func (h *Handoff) Requested(id string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Contains(h.requested, id)
}

// Unknown lists the ids that the engine asked for and the build does not have. Optional mounts make such requests.
func (h *Handoff) Unknown() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.unknown)
}
