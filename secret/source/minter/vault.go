package minter

import (
	"context"
	"encoding/json"
	"errors"
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

// vaultToken makes child tokens: developer.hashicorp.com/vault/api-docs/auth/token.
func vaultToken(f vault.Flavour) *kind {
	scheme := f.Scheme + "-token"
	return &kind{
		scheme: scheme, form: scheme + ":ROLE?policies=NAME,NAME", what: "a token of " + f.Name,
		example: scheme + ":ci?policies=ci-read&ttl=10m&uses=5",
		about: secret.MintAbout{
			Grade: secret.GradeA, Least: 10 * time.Second, Default: 15 * time.Minute,
			Narrow: "policies= and the role, to some of the parent's; uses= to a number of requests",
			Revoke: "by its accessor; reap can if that is known",
		},
		variables: f.Variables(),
		keys:      append(vault.Keys(), "policies", "uses"),
		life:      "ttl",
		longest:   day,
		check:     func(o *order) error { return o.checkVault(f) },
		mint:      func(ctx context.Context, o *order) (*credential, error) { return mintVaultToken(ctx, o, f) },
		alive: func(ctx context.Context, o *order, c *credential) (bool, error) {
			return aliveVault(ctx, o, f, web.Call{Path: "auth/token/lookup-accessor", JSON: map[string]string{"accessor": c.id}})
		},
		reap: func(ctx context.Context, o *order, m secret.Minted) error {
			return reapVault(ctx, o, f, m, web.Call{Path: "auth/token/revoke-accessor", JSON: map[string]string{"accessor": m.ID}})
		},
	}
}

// vaultLease has an engine make something, such as a user of a database: developer.hashicorp.com/vault/api-docs/system/leases.
func vaultLease(f vault.Flavour) *kind {
	scheme := f.Scheme + "-lease"
	return &kind{
		scheme: scheme, form: scheme + ":PATH#FIELD", what: "what an engine of " + f.Name + " makes, such as a user of a database",
		example: scheme + ":database/creds/ci#password",
		about: secret.MintAbout{
			Grade: secret.GradeA, Default: time.Hour, // unless the role says otherwise
			Narrow: "the engine's role",
			Revoke: "by its lease; reap can if that is known",
		},
		variables: f.Variables(),
		path:      "a path of an engine",
		keys:      vault.Keys(),
		fields:    anyField,
		check:     func(o *order) error { return o.checkVault(f) },
		mint:      func(ctx context.Context, o *order) (*credential, error) { return mintVaultLease(ctx, o, f) },
		alive: func(ctx context.Context, o *order, c *credential) (bool, error) {
			return aliveVault(ctx, o, f, web.Call{Path: "sys/leases/lookup", JSON: map[string]string{"lease_id": c.id}})
		},
		reap: func(ctx context.Context, o *order, m secret.Minted) error {
			return reapVault(ctx, o, f, m, web.Call{Path: "sys/leases/revoke", JSON: map[string]any{"lease_id": m.ID, "sync": true}})
		},
	}
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

func (o *order) vault(ctx context.Context, f vault.Flavour) (*vault.Client, error) {
	return vault.Open(ctx, vault.Options{Flavour: f, Parts: o.Parts, Resolve: o.opts.Resolve})
}

func mintVaultToken(ctx context.Context, o *order, f vault.Flavour) (*credential, error) {
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
	answer, keep, err := makeInVault(ctx, o, f, web.Call{Method: http.MethodPost, Path: vault.Escape(path), JSON: request, Needs: "the capability update on " + path})
	if err != nil {
		return nil, err
	}
	if answer.Auth == nil {
		return nil, errors.Join(web.ErrMalformed, anyway(ctx, keep))
	}
	return &credential{value: answer.Auth.ClientToken.Value, expires: endOf(answer.Auth.LeaseDuration), id: answer.Auth.Accessor, close: keep}, nil
}

func mintVaultLease(ctx context.Context, o *order, f vault.Flavour) (*credential, error) {
	answer, keep, err := makeInVault(ctx, o, f, web.Call{Path: vault.Escape(o.Path), Needs: "the capability read on " + o.Path})
	if err != nil {
		return nil, err
	}
	if answer.LeaseID == "" {
		return nil, errors.Join(secret.NotMade(&secret.ResolveError{
			Ref: o.ref, Problem: o.kind.scheme + ": what is at " + o.Path + " is not made for who asks", Try: f.Scheme + ":" + o.Path + " for what is stored",
		}), anyway(ctx, keep))
	}
	value, err := o.picked(answer.Data)
	c := &credential{value: value, expires: endOf(answer.LeaseDuration), id: answer.LeaseID, close: keep}
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

// makeInVault sends a call that makes something. What a token made ends with that token, so one that was got by logging in is to be
// kept: keep ends it.
func makeInVault(ctx context.Context, o *order, f vault.Flavour, call web.Call) (answer vault.Answer, keep func(context.Context) error, err error) {
	client, err := o.vault(ctx, f)
	if err != nil {
		return answer, nil, err
	}
	call.Once, call.Into = true, &answer
	if err := client.Do(ctx, call); err != nil {
		return answer, nil, errors.Join(err, anyway(ctx, client.Close))
	}
	return answer, once(client.Close), nil
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

// aliveVault looks something up. What is dead is 400, 403 or 404, by version; without leave to look up it is 403, too, and so unknown.
func aliveVault(ctx context.Context, o *order, f vault.Flavour, call web.Call) (bool, error) {
	client, err := o.vault(ctx, f)
	if err != nil {
		return false, err
	}
	defer func() { _ = anyway(ctx, client.Close) }() // it expires
	call.Method, call.Needs = http.MethodPost, "the capability update on "+call.Path
	err = client.Do(ctx, call)
	if status := web.StatusOf(err); status == http.StatusBadRequest || status == http.StatusNotFound {
		return false, nil
	}
	return err == nil, err
}

func reapVault(ctx context.Context, o *order, f vault.Flavour, m secret.Minted, call web.Call) error {
	if m.ID == "" || m.ID == m.Name {
		return &secret.ResolveError{Ref: o.ref, Problem: o.kind.scheme + ": " + f.Name + " finds nothing by name", Err: secret.ErrNotRevocable}
	}
	client, err := o.vault(ctx, f)
	if err != nil {
		return err
	}
	defer func() { _ = anyway(ctx, client.Close) }() // it expires
	call.Method, call.Needs = http.MethodPost, "the capability update on "+call.Path
	err = client.Do(ctx, call)
	if status := web.StatusOf(err); status == http.StatusBadRequest { // a lease or an accessor that is not there
		return nil
	}
	return gone(err)
}
