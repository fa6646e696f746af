package secret

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"
)

// revokeTimeout bounds how long the end of a build waits for one issuer.
const revokeTimeout = 10 * time.Second

// Set holds the leases of one build by secret id, in the order they were added. It is safe for concurrent use.
type Set struct {
	mu     sync.Mutex
	ids    []string
	leases map[string]*Lease
	closed bool
}

// NewSet returns an empty set.
func NewSet() *Set { return &Set{leases: map[string]*Lease{}} }

// Add puts a lease into the set, which then owns it. It fails if the id is taken or the set is closed.
func (s *Set) Add(id string, lease *Lease) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return fmt.Errorf("adding secret %s: the set is closed", id)
	}
	if _, taken := s.leases[id]; taken {
		return fmt.Errorf("adding secret %s: the id is taken", id)
	}
	s.leases[id] = lease
	s.ids = append(s.ids, id)
	return nil
}

// Get returns the lease of a secret.
func (s *Set) Get(id string) (lease *Lease, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	lease, ok = s.leases[id]
	return lease, ok
}

// IDs lists the secrets in the order they were added.
func (s *Set) IDs() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.ids)
}

// All yields every id with its lease in the order they were added.
func (s *Set) All() iter.Seq2[string, *Lease] {
	return func(yield func(string, *Lease) bool) {
		for _, id := range s.IDs() {
			lease, _ := s.Get(id)
			if !yield(id, lease) {
				return
			}
		}
	}
}

// Close revokes all leases that can be, at the same time, and returns the errors joined. Closing again does nothing.
//
// It goes on when ctx is cancelled, since that is when a build is interrupted, but waits 10 seconds at most.
func (s *Set) Close(ctx context.Context) error {
	s.mu.Lock()
	ids, done := s.ids, s.closed
	s.closed = true
	s.mu.Unlock()
	if done {
		return nil
	}
	errs := make([]error, len(ids))
	var wg sync.WaitGroup
	for i, id := range ids {
		wg.Go(func() {
			if err := s.leases[id].revoke(ctx); err != nil {
				errs[i] = fmt.Errorf("secret %s: %w", id, err)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// revoke ends the lease if it can be ended, under its own time limit even if ctx is done.
func (l *Lease) revoke(ctx context.Context) error {
	if l.Revoke == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), revokeTimeout)
	defer cancel()
	result := make(chan error, 1)
	go func() { result <- l.Revoke(ctx) }()
	select {
	case err := <-result:
		if err != nil {
			return fmt.Errorf("revoking lease %s: %w", l.ID, err)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("revoking lease %s: %w", l.ID, ctx.Err())
	}
}
