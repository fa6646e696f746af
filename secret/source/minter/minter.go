// Package minter makes credentials for one build, at issuers of many kinds.
//
// Each kind is a row of one table and has a file of its own. What they share is here: references, the credentials that a minter itself
// needs, lifetimes and errors.
package minter

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/source/cloud"
	"github.com/tightlip/tightlip/secret/source/vault"
	"github.com/tightlip/tightlip/secret/source/web"
)

// Options are what the minters see of the process, besides its environment.
type Options struct {
	// Resolve resolves the references inside of references, such as key=file:app.pem. Its sources should be local ones: what it mints
	// would not be revoked.
	Resolve func(context.Context, secret.Ref) (*secret.Lease, error)
	// HTTP replaces the client that clouds are called with, in tests.
	HTTP *http.Client
}

// Sources returns a [secret.Minter] for each row of the table.
func Sources(opts Options) []secret.Source {
	var sources []secret.Source
	for _, k := range kinds {
		sources = append(sources, &minter{kind: k, opts: opts})
	}
	return sources
}

// kind is a row of the table: one way to make credentials.
type kind struct {
	scheme  string
	form    string // how references are written
	what    string // they make
	example string // one that was run: tests replace nothing but hosts, names and lifetimes
	about   secret.MintAbout

	variables []string // of the environment, with what it asks the issuer; none: parents are all it needs

	path    string        // what the path of a reference is, for people; empty: it may be left out
	needs   []string      // keys that have to be there
	keys    []string      // others
	parents []string      // those of both that are references to other secrets; it gets their values
	public  []string      // those of parents that are no secrets
	file    string        // the one of them whose file the path may be instead; empty: none
	life    string        // the key that asks for a lifetime; empty: that cannot be asked for
	longest time.Duration // that can be asked for; 0: there is no bound
	fields  []string      // what may follow the #; none: nothing

	// grade is that of an order, if it may be worse than the kind's; nil: none is but by its life.
	grade func(o *order) secret.Grade
	// check finds what is wrong with an order and what all kinds check does not find. It has no parents and reaches nothing.
	check func(o *order) error
	// mint makes a credential that lives no longer than asked for. One that comes with an error is ended.
	mint func(ctx context.Context, o *order) (*credential, error)
	// alive asks the issuer whether a credential works; nil: it cannot be asked.
	alive func(ctx context.Context, o *order, c *credential) (bool, error)
	// revoke ends a credential with its value. nil: reap does, or it cannot be ended.
	revoke func(ctx context.Context, o *order, c *credential) error
	// reap ends a credential by its name and, if it is known, its ID. Its error wraps secret.ErrNotFound if the issuer has none of them.
	// nil: that takes the value.
	reap func(ctx context.Context, o *order, m secret.Minted) error
}

// anyField is for kinds whose fields only their issuers know.
var anyField = []string{"*"}

// order is a reference that was understood, and what else it takes to make a credential.
type order struct {
	secret.Parts
	kind   *kind
	ref    secret.Ref
	name   string        // that the issuer is told
	life   time.Duration // 0: it does not expire
	values map[string]secret.Value

	opts Options
}

// cloud is what clouds are asked with.
func (o *order) cloud() cloud.Options {
	return cloud.Options{Resolve: o.opts.Resolve, HTTP: o.opts.HTTP}
}

// credential is what an issuer made.
type credential struct {
	value   secret.Value
	expires time.Time    // the zero time: never
	id      string       // the issuer's; empty: it knows the credential by its name, or not at all
	also    secret.Value // what came with it and ends with it
	with    string       // secret.Lease.With
	bound   bool         // it ends with that even if nothing else ends it

	askAt, revokeAt      string // where, if the issuer says so
	unasked, unrevocable bool   // this issuer lacks what others of its kind have

	session *vault.Client               // what Vault made it for, if somebody logged in; nil: any client can end it
	closed  atomic.Bool                 // the session
	dead    atomic.Bool                 // which the session has seen
	close   func(context.Context) error // ends what was needed to make it, after it was revoked; nil: nothing was
}

// minter implements secret.Minter for a row.
type minter struct {
	kind *kind
	opts Options
}

// Scheme implements secret.Source.
func (m *minter) Scheme() string { return m.kind.scheme }

// About implements secret.Described.
func (m *minter) About() secret.About {
	about := m.kind.about
	return secret.About{Form: m.kind.form, What: m.kind.what, Example: m.kind.example, Variables: m.kind.variables, Mint: &about}
}

// Check implements secret.Minter.
func (m *minter) Check(ref secret.Ref) error {
	_, err := m.order(ref)
	return err
}

// order reads a reference. Its error is a *secret.SyntaxError.
func (m *minter) order(ref secret.Ref) (*order, error) {
	k := m.kind
	known := slices.Concat(k.needs, k.keys)
	if k.life != "" {
		known = append(known, k.life)
	}
	parts, err := ref.Parts(known...)
	if err != nil {
		return nil, err
	}
	o := &order{Parts: parts, kind: k, ref: ref, values: map[string]secret.Value{}, opts: m.opts}
	if o.life, err = parts.Duration(k.life, k.about.Default, k.about.Least, k.longest); err != nil {
		return nil, err
	}
	if err := o.complete(); err != nil {
		return nil, err
	}
	for _, key := range k.parents {
		if _, err := o.parent(key); err != nil {
			return nil, err
		}
	}
	if k.check != nil {
		return o, k.check(o)
	}
	return o, nil
}

// complete finds what a reference lacks.
func (o *order) complete() error {
	switch k := o.kind; {
	case k.file != "" && (o.Path == "") == (o.Get(k.file) == ""):
		return o.wrong("a reference to "+k.scheme+": needs "+k.path+", or "+k.file+"=REFERENCE", "")
	case k.file == "" && k.path != "" && o.Path == "":
		return o.wrong("a reference to "+k.scheme+": needs "+k.path, "")
	case o.Field != "" && len(k.fields) == 0:
		return o.wrong("nothing can follow a # in a reference to "+k.scheme+":", "write %23 for a # within it")
	case o.Field != "" && !slices.Contains(k.fields, o.Field) && !slices.Equal(k.fields, anyField):
		return o.wrong("what follows the # in a reference to "+k.scheme+": is no field of it", "its fields are "+strings.Join(k.fields, ", "))
	}
	for _, key := range o.kind.needs {
		if o.Get(key) == "" {
			return o.wrong("a reference to "+o.kind.scheme+": needs "+key+"=", "")
		}
	}
	return nil
}

// parent is the reference to another secret that a key is, or the path stands for; the zero Ref if there is none.
func (o *order) parent(key string) (secret.Ref, error) {
	if key != o.kind.file || o.Path == "" {
		return o.Ref(key)
	}
	ref, err := secret.FileRef(o.Path)
	if strings.HasPrefix(o.Path, "~/") { // which is the home directory here
		ref.Rest = strings.TrimPrefix(ref.Rest, "./")
	}
	return ref, err
}

// wrong is an error that quotes nothing of a reference.
func (o *order) wrong(problem, try string) error {
	if try == "" {
		try = "write " + o.kind.form
	}
	return &secret.SyntaxError{Problem: problem, Try: try}
}

// Resolve implements secret.Source.
func (m *minter) Resolve(ctx context.Context, ref secret.Ref) (*secret.Lease, error) {
	return m.Mint(ctx, ref, secret.NewName())
}

// Mint implements secret.Minter.
func (m *minter) Mint(ctx context.Context, ref secret.Ref, name string) (*secret.Lease, error) {
	o, err := m.prepare(ctx, ref, name)
	if err != nil {
		return nil, secret.NotMade(m.explain(ref, "", err))
	}
	var effect web.Effect
	c, err := m.kind.mint(web.Watch(ctx, &effect), o)
	if err == nil && c.value.Len() == 0 {
		err = web.ErrMalformed
	}
	if err != nil {
		gone, failed := m.takeBack(ctx, o, c)
		err = m.explain(ref, "making a credential", errors.Join(err, failed))
		if gone || !effect.Possible() {
			err = secret.NotMade(err)
		}
		return nil, err
	}
	if c.id == "" {
		c.id = name
	}
	return m.lease(o, c), nil
}

// takeBack ends a credential that was made, and of which something is wrong, and tells whether it is gone.
func (m *minter) takeBack(ctx context.Context, o *order, c *credential) (gone bool, err error) {
	if c == nil {
		return false, nil
	}
	lease := m.lease(o, c)
	if lease.Revoke == nil {
		return false, nil
	}
	err = anyway(ctx, lease.Revoke)
	return err == nil, err
}

// anyway cleans up although ctx may be done, under a time limit of its own.
func anyway(ctx context.Context, cleanUp func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return cleanUp(ctx)
}

// prepare reads a reference and resolves what is in it.
func (m *minter) prepare(ctx context.Context, ref secret.Ref, name string) (*order, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	o, err := m.order(ref)
	if err != nil {
		return nil, err
	}
	o.name = name
	for _, key := range m.kind.parents {
		parent, err := o.parent(key)
		if err != nil || parent.IsZero() {
			continue // order has seen that it can be read
		}
		if o.values[key], err = m.parent(ctx, parent); err != nil {
			return nil, err
		}
		if !slices.Contains(m.kind.public, key) {
			secret.Uses(ctx, secret.ParentName(key, parent), o.values[key])
		}
	}
	return o, nil
}

// Parents implements secret.Parented.
func (m *minter) Parents(ref secret.Ref) map[string]secret.Ref {
	o, err := m.order(ref)
	if err != nil {
		return nil
	}
	parents := map[string]secret.Ref{}
	for _, key := range m.kind.parents {
		if parent, err := o.parent(key); err == nil && !parent.IsZero() && !slices.Contains(m.kind.public, key) {
			parents[secret.ParentName(key, parent)] = parent
		}
	}
	return parents
}

func (m *minter) parent(ctx context.Context, ref secret.Ref) (secret.Value, error) {
	lease, err := m.opts.Resolve(ctx, ref)
	if err != nil {
		return secret.Value{}, err
	}
	if lease.Value.Len() == 0 {
		return secret.Value{}, &secret.ResolveError{Ref: ref, Err: secret.ErrEmpty}
	}
	return lease.Value, nil
}

// lease gives a credential its end.
func (m *minter) lease(o *order, c *credential) *secret.Lease {
	lease := &secret.Lease{Value: c.value, Expires: c.expires, ID: c.id, With: c.with, Forget: func() { o.wipe(); c.also.Wipe() }}
	switch k := m.kind; {
	case c.unrevocable:
	case k.revoke != nil:
		lease.Revoke = func(ctx context.Context) error {
			return m.explain(o.ref, "revoking", c.ended(ctx, gone(k.revoke(ctx, o, c))))
		}
	case k.reap != nil:
		minted := secret.Minted{Name: o.name, ID: c.id, With: c.with, Expires: c.expires}
		lease.Revoke = func(ctx context.Context) error {
			return m.explain(o.ref, "revoking", c.ended(ctx, gone(k.reap(ctx, o, minted))))
		}
	}
	if alive := m.kind.alive; alive != nil && !c.unasked {
		lease.Alive = func(ctx context.Context) (bool, error) {
			works, err := alive(ctx, o, c)
			return works, m.explain(o.ref, "asking whether it works", err)
		}
	}
	return lease
}

// wipe forgets the parents.
func (o *order) wipe() {
	for _, v := range o.values {
		v.Wipe()
	}
}

// ended closes what is left of a credential after err came of revoking it.
func (c *credential) ended(ctx context.Context, err error) error {
	if c.close == nil {
		return err
	}
	return errors.Join(err, c.close(ctx))
}

// Reap implements secret.Minter. Nothing is asked of the parents if nothing can be done.
func (m *minter) Reap(ctx context.Context, ref secret.Ref, minted secret.Minted) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if m.kind.reap == nil {
		if err := m.Check(ref); err != nil {
			return err
		}
		return &secret.ResolveError{Ref: ref, Err: secret.ErrNotRevocable}
	}
	o, err := m.prepare(ctx, ref, minted.Name)
	if errors.Is(err, secret.ErrNotFound) {
		err = secret.Prerequisite("revoking", err)
	}
	if err != nil {
		return m.explain(ref, "", err)
	}
	defer o.wipe()
	return m.explain(ref, "revoking", m.kind.reap(ctx, o, minted))
}

// explain says at which issuer what failed. Errors that say so already, and those about the reference, stay as they are.
func (m *minter) explain(ref secret.Ref, doing string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*secret.ResolveError](err); ok {
		return err
	}
	if _, ok := errors.AsType[*secret.SyntaxError](err); ok {
		return err
	}
	re := &secret.ResolveError{Ref: ref, Err: err, Problem: m.kind.scheme + ": " + err.Error()}
	if doing != "" {
		re.Problem = m.kind.scheme + ": " + doing + ": " + err.Error()
	}
	if e, ok := errors.AsType[*web.Error](err); ok {
		re.Try = m.advice(ref, e)
	}
	return re
}

// grant names the credentials that were not good enough.
func (m *minter) grant(ref secret.Ref) string {
	o, err := m.order(ref)
	if err != nil {
		return ""
	}
	var parents []string
	for _, key := range m.kind.parents {
		if o.Get(key) != "" {
			parents = append(parents, key+"="+o.Get(key))
		}
	}
	switch {
	case len(parents) == 0 && len(m.kind.variables) > 0:
		return "check that the token or login that it asks with has not expired meanwhile, and may do this"
	case len(parents) == 0:
		return ""
	}
	return fmt.Sprintf("check that %s is valid and may do this", strings.Join(parents, " and "))
}
