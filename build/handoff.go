package build

import (
	"context"
	"errors"
	"fmt"
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
	forBuilder func(ctx context.Context, name string) (id string, v secret.Value, ok bool)

	mu        sync.Mutex
	requested []string
	unknown   []string
	failed    []error
}

// NewHandoff returns a handoff of the secrets in set.
func NewHandoff(set *secret.Set) *Handoff { return &Handoff{set: set} }

// Get returns the value of a secret, and mints it if it has to be. The error wraps secret.ErrNotFound if the build has none with
// that id.
func (h *Handoff) Get(ctx context.Context, id string) (secret.Value, error) {
	known := h.set.Has(id)
	h.note(id, known)
	if !known {
		return secret.Value{}, fmt.Errorf("secret %s: %w", id, secret.ErrNotFound)
	}
	if h.standIn != nil {
		if v, ok := h.standIn(id); ok {
			return v, nil
		}
	}
	lease, err := h.set.Lease(ctx, id)
	if err != nil {
		err = &SecretError{err}
		h.mu.Lock()
		defer h.mu.Unlock()
		h.failed = append(h.failed, err)
		return secret.Value{}, err
	}
	return lease.Value, nil
}

// SecretError is why a step did not get a secret that the build has. It keeps such a secret from being taken for one that the build does
// not have: it wraps nothing.
type SecretError struct{ err error }

// Error implements error.
func (e *SecretError) Error() string { return e.err.Error() }

// Hint is what to type to solve the problem, or "".
func (e *SecretError) Hint() string {
	if h, ok := errors.AsType[*secret.ResolveError](e.err); ok {
		return h.Hint()
	}
	return ""
}

func (h *Handoff) note(id string, known bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := &h.requested
	if !known {
		list = &h.unknown
	}
	if !slices.Contains(*list, id) {
		*list = append(*list, id)
	}
}

// explain adds to why a build failed that it did not get a secret which it has.
func (h *Handoff) explain(err error) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	told := map[string]bool{}
	for _, f := range h.failed {
		if !errors.Is(err, f) && !told[f.Error()] {
			told[f.Error()] = true
			err = errors.Join(f, err)
		}
	}
	return err
}

// ForBuilder returns what the builder itself asks for by a name of its own, for ADD or for a context, and false if the build has none.
func (h *Handoff) ForBuilder(ctx context.Context, name string) (secret.Value, bool) {
	if h.Has(name) { // the user's own
		v, err := h.Get(ctx, name)
		return v, err == nil
	}
	if h.forBuilder == nil {
		return secret.Value{}, false
	}
	id, v, ok := h.forBuilder(ctx, name)
	if ok {
		h.note(id, true)
	}
	return v, ok
}

// Has tells whether the build has a secret with an id, and does not count as a request for it.
func (h *Handoff) Has(id string) bool { return h.set.Has(id) }

// IDs lists the secrets of the build.
func (h *Handoff) IDs() []string { return h.set.IDs() }

// Sizes yields the id of each secret that there is by now with the length of its value in bytes.
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
