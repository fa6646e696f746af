package secret

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// renewal is how long before its end a minted lease is replaced: a step that gets it now has at least this long to use it, unless
// the whole life of the lease is shorter than twice that.
const renewal = 2 * time.Minute

// leastLife is what no issuer's credentials are shorter than.
const leastLife = 5 * time.Second

// ErrClosed is that a lease is wanted after the set was closed.
var ErrClosed = errors.New("the build is over")

// Set holds the leases of one build by secret id, in the order they were added. It is safe for concurrent use.
type Set struct {
	onMint   func(id string, v Value) error
	onParent func(id string, p Parent)

	mu      sync.Mutex
	ids     []string
	entries map[string]*entry
	closed  bool
	end     sync.Once
	endings []Ending
}

// entry is one secret of a set.
type entry struct {
	ref  Ref
	mint func(context.Context) (*Lease, error) // nil: the lease was there from the start
	turn chan struct{}                         // held by who mints

	refused error // why nobody gets what is minted; guarded by turn

	// Guarded by Set.mu.
	leases  []*Lease // all that there were
	endings []Ending // of what came when the set was closed, or may have been made
	current *Lease   // nil: there is none that may be used
	since   time.Time
	parents []Parent
}

// NewSet returns an empty set.
func NewSet() *Set { return &Set{entries: map[string]*entry{}} }

// Add puts a lease into the set, which then owns it. It fails if the id is taken or the set is closed.
func (s *Set) Add(id string, lease *Lease) error {
	return s.add(id, &entry{leases: []*Lease{lease}, current: lease})
}

// AddMinted puts a secret into the set that is minted when it is first asked for, and again before a lease ends.
func (s *Set) AddMinted(id string, ref Ref, mint func(context.Context) (*Lease, error)) error {
	return s.add(id, &entry{ref: ref, mint: mint, turn: make(chan struct{}, 1)})
}

func (s *Set) add(id string, e *entry) error {
	for _, lease := range e.leases {
		lease.inUse = new(atomic.Bool)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return fmt.Errorf("adding secret %s: the set is closed", id)
	}
	if _, taken := s.entries[id]; taken {
		return fmt.Errorf("adding secret %s: the id is taken", id)
	}
	s.entries[id] = e
	s.ids = append(s.ids, id)
	return nil
}

// OnMint has f called with each minted value before anybody gets it. If it fails, nobody does. It must be set before the set is used.
func (s *Set) OnMint(f func(id string, v Value) error) { s.onMint = f }

// Has tells whether the set has a secret with an id.
func (s *Set) Has(id string) bool { return s.entry(id) != nil }

// Minted tells whether the secret with an id is made when it is asked for.
func (s *Set) Minted(id string) bool {
	e := s.entry(id)
	return e != nil && e.mint != nil
}

func (s *Set) entry(id string) *entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.entries[id]
}

// Get returns the lease that a secret has now. One that is minted has none before it was asked for with Lease.
func (s *Set) Get(id string) (lease *Lease, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entries[id]
	if e == nil || e.current == nil {
		return nil, false
	}
	return e.current, true
}

// Lease returns the lease of a secret, and mints one if there is none that lasts. Of several callers one mints, and the others wait.
func (s *Set) Lease(ctx context.Context, id string) (*Lease, error) {
	e := s.entry(id)
	if e == nil {
		return nil, fmt.Errorf("secret %s: %w", id, ErrNotFound)
	}
	if e.mint == nil {
		return e.current, nil
	}
	select {
	case e.turn <- struct{}{}:
		defer func() { <-e.turn }()
	case <-ctx.Done():
		return nil, fmt.Errorf("secret %s: %w", id, ctx.Err())
	}
	if lease, ok := s.lasting(e); ok {
		return lease, nil
	}
	if e.refused != nil {
		return nil, withID(e.refused, id)
	}
	lease, err := s.minted(ctx, id, e)
	if err != nil {
		return nil, withID(err, id)
	}
	return lease, nil
}

func (s *Set) lasting(e *entry) (*Lease, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	lease := e.current
	switch {
	case lease == nil || s.closed:
		return nil, false
	case lease.Expires.IsZero():
		return lease, true
	}
	life := lease.Expires.Sub(e.since)
	if life < leastLife { // our clock and the issuer's differ, and it did not make what is dead
		return lease, time.Since(e.since) < 2*renewal
	}
	return lease, time.Until(lease.Expires) > min(renewal, life/2)
}

// minted mints a lease. Once it exists it is in the set, whatever comes next, so that it is revoked.
func (s *Set) minted(ctx context.Context, id string, e *entry) (*Lease, error) {
	s.mu.Lock()
	closed := s.closed
	s.mu.Unlock()
	if closed {
		return nil, ErrClosed
	}
	start := time.Now()
	ctx, used := using(ctx)
	lease, err := e.mint(ctx)
	s.uses(id, e, used.parents())
	if unsure, ok := errors.AsType[*unsureError](err); ok {
		unsure.ending.ID = id
		s.mu.Lock()
		defer s.mu.Unlock()
		e.endings = append(e.endings, unsure.ending)
	}
	if err != nil {
		return nil, err
	}
	lease.inUse = new(atomic.Bool)
	s.mu.Lock()
	closed = s.closed
	if !closed {
		e.leases = append(e.leases, lease)
	}
	s.mu.Unlock()
	if closed {
		return nil, s.late(ctx, id, e, lease)
	}
	if s.onMint != nil {
		if err := s.onMint(id, lease.Value); err != nil {
			e.refused = err // the next one would be no better
			return nil, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e.current, e.since = lease, start
	return lease, nil
}

// late ends a lease that came when the set was closed.
func (s *Set) late(ctx context.Context, id string, e *entry, lease *Lease) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTime)
	defer cancel()
	ending := lease.end(ctx, id, e.ref)
	lease.wipe()
	s.mu.Lock()
	defer s.mu.Unlock()
	e.endings = append(e.endings, ending)
	return errors.Join(ErrClosed, ending.Err)
}

// IDs lists the secrets in the order they were added.
func (s *Set) IDs() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.ids)
}

// All yields every id with its leases, oldest first, in the order the secrets were added. One that was never minted has none.
func (s *Set) All() iter.Seq2[string, *Lease] {
	return func(yield func(string, *Lease) bool) {
		for _, id := range s.IDs() {
			for _, lease := range s.leases(id) {
				if !yield(id, lease) {
					return
				}
			}
		}
	}
}

func (s *Set) leases(id string) []*Lease {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.entries[id].leases)
}

// Close ends all leases and wipes their values, which nobody may be using any more. It returns the errors of those that could not be
// revoked, unless End has returned them before.
func (s *Set) Close(ctx context.Context) error {
	var errs []error
	first := false
	s.end.Do(func() { first = true; s.finish(ctx) })
	inUse := false
	for _, lease := range s.All() {
		inUse = !lease.wipe() || inUse
	}
	for _, p := range s.Parents() {
		if !inUse {
			p.Value.Wipe()
		}
	}
	if !first {
		return nil
	}
	for _, e := range s.endings {
		if e.Fate == Maybe {
			errs = append(errs, fmt.Errorf("secret %s: %s", e.ID, e))
		} else if e.Err != nil {
			errs = append(errs, fmt.Errorf("secret %s: revoking lease %s: %w", e.ID, e.Lease, e.Err))
		}
	}
	return errors.Join(errs...)
}

// wipe forgets the value, unless a call to the issuer goes on that needs it.
func (l *Lease) wipe() (wiped bool) {
	if l.inUse.Load() {
		return false
	}
	l.Value.Wipe()
	if l.Forget != nil {
		l.Forget()
	}
	return true
}

// End ends all leases, at the same time, and tells what became of each that is not for ever. No more are minted. Ending again returns
// the same.
//
// It goes on when ctx is cancelled, since that is when a build is interrupted, and takes no longer than endTime.
func (s *Set) End(ctx context.Context) []Ending {
	s.end.Do(func() { s.finish(ctx) })
	return s.endings
}

func (s *Set) finish(ctx context.Context) {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTime)
	defer cancel()
	ids := s.IDs()
	endings := make([][]Ending, len(ids))
	var wg sync.WaitGroup
	for i, id := range ids {
		wg.Go(func() { endings[i] = s.finished(ctx, id, s.entry(id)) })
	}
	wg.Wait()
	s.endings = slices.Concat(endings...)
}

// finished ends the leases of an entry, and waits meanwhile for one that is being minted.
func (s *Set) finished(ctx context.Context, id string, e *entry) []Ending {
	leases := s.leases(id)
	endings := make([]Ending, len(leases))
	var wg sync.WaitGroup
	for i, lease := range leases {
		wg.Go(func() { endings[i] = lease.end(ctx, id, e.ref) })
	}
	late := s.awaited(ctx, id, e)
	wg.Wait()
	if e.mint == nil && leases[0].Revoke == nil && leases[0].Expires.IsZero() {
		return nil // it is for ever
	}
	return append(endings, late...)
}

// awaited waits for a mint that goes on, and returns what became of what is no lease of the set.
func (s *Set) awaited(ctx context.Context, id string, e *entry) (endings []Ending) {
	if e.mint == nil {
		return nil
	}
	select {
	case e.turn <- struct{}{}:
		defer func() { <-e.turn }()
	case <-ctx.Done():
		endings = []Ending{{ID: id, Ref: e.ref, Fate: Maybe, Unsure: true}}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return append(endings, e.endings...)
}
