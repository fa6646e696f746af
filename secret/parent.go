package secret

import (
	"bytes"
	"cmp"
	"context"
	"iter"
	"path"
	"path/filepath"
	"slices"
	"sync"
)

// Parent is a credential by which a value was got, such as the key that signs or the password of who asks. It is worth more than the value.
type Parent struct {
	Name  string // for people: "key=file:app.pem", "token of Vault"
	Value Value  // empty: it is not known, since nothing was asked for yet
}

// Parented is implemented by Minters that know their parents from the reference.
type Parented interface {
	// Parents are the references to the parents by their names, without what is no secret. It reaches nothing.
	Parents(ref Ref) map[string]Ref
}

// ParentName is what a parent is called that the key of a reference refers to. It is published with proofs: nobody needs to know in which
// folder a file is.
func ParentName(key string, ref Ref) string {
	if ref.Scheme == SchemeFile {
		ref.Rest = path.Base(filepath.ToSlash(ref.Rest))
	}
	return key + "=" + ref.String()
}

// Rereadable is implemented by sources that have values which can be read at any time: that takes no time, runs and reaches nothing, and
// leaves them there.
type Rereadable interface {
	Rereadable(ref Ref) bool
}

// foreseen are the parents of what is not minted yet, as far as they can be had. What is wrong with them is told when they are used.
func (r *Resolver) foreseen(ctx context.Context, m Minter, ref Ref) (out []Parent) {
	p, ok := m.(Parented)
	if !ok {
		return nil
	}
	for name, parent := range p.Parents(ref) {
		known := Parent{Name: name}
		if s, ok := r.source(parent.Scheme).(Rereadable); ok && s.Rereadable(parent) {
			if lease, err := r.Resolve(ctx, parent); err == nil {
				known.Value = lease.Value
			}
		}
		out = append(out, known)
	}
	return out
}

// used collects the parents of what is being resolved.
type used struct {
	mu   sync.Mutex
	list []Parent
}

type usedKey struct{}

// using returns a context in which Uses adds to what it returns, too.
func using(ctx context.Context) (context.Context, *used) {
	u := &used{}
	return context.WithValue(ctx, usedKey{}, u), u
}

// Uses tells that a source takes a credential to get what ctx asks for. It keeps a copy, so that the source may wipe its own.
func Uses(ctx context.Context, name string, v Value) {
	u, ok := ctx.Value(usedKey{}).(*used)
	if !ok || v.Len() == 0 {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.list = append(u.list, Parent{name, NewValue(v.Open())})
}

func (u *used) parents() []Parent {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.list
}

// OnParent has f called with each parent before anybody gets what is minted with it, except for those that Parents has already. It must be
// set before the set is used.
func (s *Set) OnParent(f func(id string, p Parent)) { s.onParent = f }

// Parents yields what the secrets were got with, and what is known of the parents of those that are not minted yet, by the secrets' ids.
// Each value is there once for a secret.
func (s *Set) Parents() iter.Seq2[string, Parent] {
	return func(yield func(string, Parent) bool) {
		for _, id := range s.IDs() {
			s.mu.Lock()
			parents := slices.Clone(s.entries[id].parents)
			s.mu.Unlock()
			for _, p := range parents {
				if !yield(id, p) {
					return
				}
			}
		}
	}
}

// uses adds parents to those of a secret, and tells of the new ones.
func (s *Set) uses(id string, e *entry, parents []Parent) {
	var added []Parent
	s.mu.Lock()
	for _, p := range parents {
		if e.addParent(p) {
			added = append(added, p)
		}
	}
	s.mu.Unlock()
	for _, p := range added {
		if s.onParent != nil {
			s.onParent(id, p)
		}
	}
}

// addParent keeps a parent unless it is there. One that becomes known replaces itself.
func (e *entry) addParent(p Parent) bool {
	for _, old := range e.parents {
		if bytes.Equal(old.Value.Open(), p.Value.Open()) && (p.Value.Len() > 0 || old.Name == p.Name) {
			return false
		}
	}
	e.parents = slices.DeleteFunc(e.parents, func(old Parent) bool { return old.Name == p.Name && old.Value.Len() == 0 })
	e.parents = append(e.parents, p)
	slices.SortStableFunc(e.parents, func(a, b Parent) int { return cmp.Compare(a.Name, b.Name) })
	return true
}
