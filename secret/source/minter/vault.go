package minter

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/source/vault"
	"github.com/tightlip/tightlip/secret/source/web"
)

// vaults are two kinds for each of the products: tokens of their own, and what their engines make.
func vaults() []*kind {
	var kinds []*kind
	for _, f := range vault.Flavours() {
		kinds = append(kinds, vaultToken(f), vaultLease(f))
	}
	return kinds
}

// inVault is how something that Vault made is looked up and revoked by its ID.
type inVault struct {
	vault.Flavour
	lookup, revoke func(id string) web.Call
	token          bool // it can ask about itself, and end itself, if whoever made it may not
}

// vaultToken makes child tokens: developer.hashicorp.com/vault/api-docs/auth/token.
func vaultToken(f vault.Flavour) *kind {
	v := inVault{f, lookupAccessor, revokeAccessor, true}
	scheme := f.Scheme + "-token"
	return &kind{
		scheme: scheme, form: scheme + ":ROLE?policies=NAME,NAME", what: "a token of " + f.Name,
		example: scheme + ":ci?policies=ci-read&ttl=10m&uses=5",
		about: secret.MintAbout{
			Grade: secret.GradeA, Least: 10 * time.Second, Default: 15 * time.Minute,
			Narrow: "policies= and the role, to some of the parent's; uses= to a number of requests",
			Revoke: "by its accessor; reap can if that is known",
			Takes:  "policies= without root, or a role",
		},
		variables: f.Variables(),
		keys:      append(vault.Keys(), "policies", "uses"),
		life:      "ttl",
		longest:   day,
		grade:     gradeOfVault,
		check:     func(o *order) error { return o.checkVault(f) },
		mint:      v.mintToken,
		alive:     v.alive,
		revoke:    v.end,
		reap:      v.reap,
	}
}

// vaultLease has an engine make something, such as a user of a database: developer.hashicorp.com/vault/api-docs/system/leases.
func vaultLease(f vault.Flavour) *kind {
	v := inVault{f, lookupLease, revokeLease, false}
	scheme := f.Scheme + "-lease"
	return &kind{
		scheme: scheme, form: scheme + ":PATH#FIELD", what: "what an engine of " + f.Name + " makes, such as a user of a database",
		example: scheme + ":database/creds/ci#password",
		about: secret.MintAbout{
			Grade: secret.GradeA, Default: time.Hour, Life: "the role's",
			Narrow: "the engine's role",
			Revoke: "by its lease; reap can if that is known",
		},
		variables: f.Variables(),
		path:      "a path of an engine",
		keys:      vault.Keys(),
		fields:    anyField,
		check:     func(o *order) error { return o.checkVault(f) },
		mint:      v.mintLease,
		alive:     v.alive,
		revoke:    v.end,
		reap:      v.reap,
	}
}

func lookupAccessor(accessor string) web.Call {
	return web.Call{Path: "auth/token/lookup-accessor", JSON: map[string]string{"accessor": accessor}}
}

func lookupLease(id string) web.Call {
	return web.Call{Path: "sys/leases/lookup", JSON: map[string]string{"lease_id": id}}
}

func revokeLease(id string) web.Call {
	return web.Call{Path: "sys/leases/revoke", JSON: map[string]any{"lease_id": id, "sync": true}}
}

func revokeAccessor(accessor string) web.Call {
	return web.Call{Path: "auth/token/revoke-accessor", JSON: map[string]string{"accessor": accessor}}
}

func (o *order) checkVault(f vault.Flavour) error {
	if uses := o.Get("uses"); uses != "" {
		if n, err := strconv.Atoi(uses); err != nil || n < 1 {
			return o.wrong("uses= of "+o.kind.scheme+": is no number of requests", "uses=5")
		}
	}
	for _, key := range []string{"jwt", "secret-id"} {
		if _, err := o.Ref(key); err != nil {
			return err
		}
	}
	if auth := o.Or("auth", "token"); !slices.Contains([]string{"token", "approle", "jwt", "kubernetes"}, auth) {
		return o.wrong("auth= of "+o.kind.scheme+": is unknown to "+f.Name, "auth=token, auth=approle, auth=jwt or auth=kubernetes")
	}
	return nil
}

func (v inVault) open(ctx context.Context, o *order) (*vault.Client, error) {
	return vault.Open(ctx, vault.Options{Flavour: v.Flavour, Parts: o.Parts, Resolve: o.opts.Resolve})
}

func (v inVault) mintToken(ctx context.Context, o *order) (*credential, error) {
	path := "auth/token/create"
	if o.Path != "" {
		path += "/" + o.Path
	}
	seconds := strconv.Itoa(int(o.life.Seconds())) + "s"
	request := map[string]any{
		"display_name": o.name, "ttl": seconds, "explicit_max_ttl": seconds, "renewable": false, "type": "service",
		"meta": map[string]string{"tightlip": o.name},
	}
	if policies := o.List("policies"); policies != nil {
		request["policies"] = policies
	}
	if uses, err := strconv.Atoi(o.Get("uses")); err == nil {
		request["num_uses"] = uses
	}
	answer, c, err := v.make(ctx, o, web.Call{Method: http.MethodPost, Path: vault.Escape(path), JSON: request, Needs: "the capability update on " + path})
	if web.StatusOf(err) == http.StatusBadRequest {
		return nil, &secret.ResolveError{
			Ref: o.ref, Err: err, Problem: o.kind.scheme + ": making a credential: " + err.Error(),
			Try: "name a role that there is, and policies that it or, without a role, who asks has",
		}
	}
	if err != nil {
		return nil, err
	}
	if answer.Auth == nil {
		return nil, errors.Join(web.ErrMalformed, anyway(ctx, c.close))
	}
	c.value, c.expires, c.id = answer.Auth.ClientToken.Value, endOf(answer.Auth.LeaseDuration), answer.Auth.Accessor
	c.bound = c.bound && !answer.Auth.Orphan
	c.unrevocable = answer.Auth.TokenType == "batch" && !c.bound // such a token has no accessor
	return c, nil
}

func (v inVault) mintLease(ctx context.Context, o *order) (*credential, error) {
	answer, c, err := v.make(ctx, o, web.Call{Path: vault.Escape(o.Path), Needs: "the capability read on " + o.Path})
	if err != nil {
		return nil, err
	}
	if answer.LeaseID == "" {
		return nil, errors.Join(secret.NotMade(&secret.ResolveError{
			Ref: o.ref, Problem: o.kind.scheme + ": what is at " + o.Path + " is not made for who asks", Try: v.Scheme + ":" + o.Path + " for what is stored",
		}), anyway(ctx, c.close))
	}
	c.expires, c.id = endOf(answer.LeaseDuration), answer.LeaseID
	c.value, err = o.picked(answer.Data)
	return c, err
}

// endOf is when something ends that lives for so many seconds from now; 0: it does not end.
func endOf[T int | int64 | float64](seconds T) time.Time {
	const century = 100 * 365 * 24 * 3600
	if seconds <= 0 || seconds > century {
		return time.Time{}
	}
	return time.Now().Add(time.Duration(float64(seconds) * float64(time.Second)))
}

// make sends a call that makes something. What a token made ends with that token, so one that was got by logging in is kept until the
// credential is closed, and revokes and asks: it may be that nobody can log in twice.
func (v inVault) make(ctx context.Context, o *order, call web.Call) (answer vault.Answer, c *credential, err error) {
	client, err := v.open(ctx, o)
	if err != nil {
		return answer, nil, err
	}
	call.Once, call.Into = true, &answer
	if err := client.Do(ctx, call); err != nil {
		return answer, nil, errors.Join(err, anyway(ctx, client.Close))
	}
	c = &credential{with: client.Accessor(), bound: client.Accessor() != ""}
	if o.Or("auth", "token") != "token" || o.Get("unwrap") != "" {
		c.session = client
	}
	c.close = once(func(ctx context.Context) error {
		err := client.Close(ctx)
		c.closed.Store(err == nil)
		return err
	})
	return answer, c, nil
}

// once calls f until it has worked.
func once(f func(context.Context) error) func(context.Context) error {
	var mu sync.Mutex
	done := false
	return func(ctx context.Context) error {
		mu.Lock()
		defer mu.Unlock()
		if done {
			return nil
		}
		err := f(ctx)
		done = err == nil
		return err
	}
}

// picked is a field of an object, or all of it.
func (o *order) picked(data json.RawMessage) (secret.Value, error) {
	if o.Field == "" {
		return secret.NewValue(data), nil
	}
	var fields map[string]json.RawMessage
	var value web.Text
	if json.Unmarshal(data, &fields) != nil {
		return secret.Value{}, web.ErrMalformed
	}
	if fields[o.Field] == nil {
		return secret.Value{}, &secret.ResolveError{
			Ref: o.ref, Problem: o.kind.scheme + ": there is no field " + o.Field, Err: secret.ErrNotFound,
			Try: "its fields are " + strings.Join(slices.Sorted(maps.Keys(fields)), ", "),
		}
	}
	if json.Unmarshal(fields[o.Field], &value) != nil {
		return secret.Value{}, &secret.ResolveError{Ref: o.ref, Problem: o.kind.scheme + ": the field " + o.Field + " is no text", Try: "leave #" + o.Field + " out"}
	}
	return value.Value, nil
}

// do calls Vault with the client that made a credential, if that was kept and is good for it, or else with a new one.
func (v inVault) do(ctx context.Context, o *order, c *credential, call web.Call) error {
	var refused error
	if c.session != nil && !c.closed.Load() {
		if refused = v.send(ctx, c.session, call); web.StatusOf(refused) != http.StatusForbidden {
			return refused
		}
	}
	client, err := v.open(ctx, o)
	if err != nil {
		return cmp.Or(refused, err)
	}
	defer func() { _ = anyway(ctx, client.Close) }() // it expires
	return v.send(ctx, client, call)
}

// send reads 400 as a lease or an accessor that is not there.
func (v inVault) send(ctx context.Context, client *vault.Client, call web.Call) error {
	call.Method, call.Needs = http.MethodPost, "the capability update on "+call.Path
	err := client.Do(ctx, call)
	if web.StatusOf(err) == http.StatusBadRequest {
		return fmt.Errorf("%w: %w", secret.ErrNotFound, err)
	}
	return err
}

// self calls Vault with a token that was made.
func (v inVault) self(ctx context.Context, o *order, c *credential, method, path string) error {
	client, err := vault.With(vault.Options{Flavour: v.Flavour, Parts: o.Parts}, c.value)
	if err != nil {
		return err
	}
	return client.Do(ctx, web.Call{Method: method, Path: path})
}

// alive looks something up. What is dead is 400, 403 or 404, by version; without leave to look up it is 403, too, and so unknown: then a
// token is asked whether it knows itself, for which a dead one has no leave either.
func (v inVault) alive(ctx context.Context, o *order, c *credential) (bool, error) {
	if c.dead.Load() {
		return false, nil
	}
	err := v.do(ctx, o, c, v.lookup(c.id))
	if errors.Is(err, secret.ErrNotFound) {
		return false, nil
	}
	if err == nil || !v.token {
		return err == nil, err
	}
	switch own := v.self(ctx, o, c, http.MethodGet, "auth/token/lookup-self"); {
	case own == nil:
		return true, nil
	case web.StatusOf(own) == http.StatusForbidden:
		return false, nil
	}
	return false, err
}

// end asks at once about what only the session can ask about, since that ends next. A token ends itself if who made it may not end it. What
// ends with a login needs no leave to be revoked.
func (v inVault) end(ctx context.Context, o *order, c *credential) error {
	err := v.do(ctx, o, c, v.revoke(c.id))
	if err != nil && v.token && gone(err) != nil && v.self(ctx, o, c, http.MethodPost, "auth/token/revoke-self") == nil {
		err = nil
	}
	if c.bound && web.StatusOf(err) == http.StatusForbidden {
		err = nil
	}
	if c.session != nil {
		works, askErr := v.alive(ctx, o, c)
		c.dead.Store(askErr == nil && !works)
	}
	return err
}

// reap logs in once, for all that it asks.
func (v inVault) reap(ctx context.Context, o *order, m secret.Minted) error {
	if m.ID == "" || m.ID == m.Name {
		return &secret.ResolveError{Ref: o.ref, Problem: o.kind.scheme + ": " + v.Name + " finds nothing by name", Err: secret.ErrNotRevocable}
	}
	client, err := v.open(ctx, o)
	if err != nil {
		return err
	}
	defer func() { _ = anyway(ctx, client.Close) }() // it expires
	err = v.revokeKnown(ctx, client, v.lookup(m.ID), v.revoke(m.ID))
	if m.With == "" {
		return err
	}
	with := v.revokeKnown(ctx, client, lookupAccessor(m.With), revokeAccessor(m.With))
	if gone(err) == nil && !errors.Is(with, secret.ErrNotFound) {
		return with // what it made ends with it
	}
	return err
}

// revokeKnown looks something up first: to revoke what there is not is a success. Not everybody who may revoke may look things up.
func (v inVault) revokeKnown(ctx context.Context, client *vault.Client, lookup, revoke web.Call) error {
	if err := v.send(ctx, client, lookup); err != nil && web.StatusOf(err) != http.StatusForbidden {
		return err
	}
	return v.send(ctx, client, revoke)
}
