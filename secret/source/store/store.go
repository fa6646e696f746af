// Package store finds secrets in stores with an HTTP API. Each kind of store is a row of one table, and a file.
package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/source/cloud"
	"github.com/tightlip/tightlip/secret/source/file"
	"github.com/tightlip/tightlip/secret/source/web"
)

// Options are what the stores see of the process, besides its environment.
type Options struct {
	// Resolve resolves references that stand in references, such as the JWT that logs in, and those that stores are used with by default.
	Resolve func(context.Context, secret.Ref) (*secret.Lease, error)
	// HTTP replaces the client that stores on the internet are called with, in tests.
	HTTP *http.Client
}

// kind is one kind of store.
type kind struct {
	scheme string
	about  secret.About
	keys   []string // of its references
	read   func(context.Context, request) (found, error)
	who    string // what to type to see who the store takes us for
}

// kinds is the list of the stores.
func kinds() []kind {
	return append(vaults(), awsSecretsManager, awsParameters, gcpSecretManager, azureKeyVault, kubernetesSecret)
}

// request is one reference, taken apart.
type request struct {
	Options
	secret.Parts
	ref secret.Ref
}

func (r request) cloud() cloud.Options { return cloud.Options{Resolve: r.Resolve, HTTP: r.HTTP} }

// found is what a store has.
type found struct {
	value secret.Value
	key   string       // the key of the value's text that is meant; empty: all of it
	lease secret.Lease // its end, if the store knows one
}

// Sources returns the source of each kind of store.
func Sources(o Options) []secret.Source {
	var sources []secret.Source
	for _, k := range kinds() {
		sources = append(sources, source{k, o})
	}
	return sources
}

type source struct {
	kind
	Options
}

// Scheme implements secret.Source.
func (s source) Scheme() string { return s.scheme }

// About implements secret.Described.
func (s source) About() secret.About { return s.about }

// Resolve implements secret.Source.
func (s source) Resolve(ctx context.Context, ref secret.Ref) (*secret.Lease, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	parts, err := ref.Parts(s.keys...)
	if err == nil && parts.Path == "" {
		err = &secret.SyntaxError{Problem: "a reference to " + s.scheme + ": names no secret", Try: "write " + s.about.Form}
	}
	if err != nil {
		return nil, err
	}
	f, err := s.read(ctx, request{Options: s.Options, Parts: parts, ref: ref})
	if err != nil {
		return nil, s.explain(ref, err)
	}
	lease := f.lease
	lease.ID = ref.String()
	if lease.Value, err = f.selected(); err != nil {
		return nil, s.explain(ref, giveBack(ctx, lease, err))
	}
	return &lease, nil
}

// giveBack ends what was made for a value that is of no use.
func giveBack(ctx context.Context, lease secret.Lease, err error) error {
	if lease.Revoke == nil {
		return err
	}
	if failed := lease.Revoke(context.WithoutCancel(ctx)); failed != nil {
		return fmt.Errorf("%w; and what was made could not be revoked: %w", err, failed)
	}
	return err
}

func (f found) selected() (value secret.Value, err error) {
	value = f.value
	if f.key != "" && value.Len() > 0 {
		if value, err = file.Key(value, f.key); err != nil {
			return secret.Value{}, err
		}
	}
	switch {
	case value.Len() == 0:
		return secret.Value{}, secret.ErrEmpty
	case value.Len() > secret.MaxSize:
		return secret.Value{}, secret.ErrTooLarge
	}
	return value, nil
}

// explain says what to type. The errors of web hold neither values nor answers, and those of stores are made here.
func (s source) explain(ref secret.Ref, err error) error {
	if re, ok := errors.AsType[*secret.ResolveError](err); ok {
		ours := *re
		ours.Ref = ref
		return &ours
	}
	if _, ok := errors.AsType[*secret.SyntaxError](err); ok {
		return err
	}
	re := &secret.ResolveError{Ref: ref, Problem: ref.String() + ": " + err.Error(), Err: err}
	if e, ok := errors.AsType[*file.KeyError](err); ok {
		re.Try = e.Try
	}
	if e, ok := errors.AsType[*web.Error](err); ok {
		re.Try = s.advice(e)
	}
	return re
}

func (s source) advice(e *web.Error) string {
	switch {
	case e.Refused():
		return "grant it to who you are: see " + s.who
	case e.Status == http.StatusNotFound:
		return "check the reference: it is written " + s.about.Form
	case e.Status == http.StatusTooManyRequests, e.Status >= 500:
		return "try again later"
	}
	return ""
}

// pick chooses among named values: the one that is meant, or the only one there is.
func pick[V any](all map[string]V, name string) (string, error) {
	names := slices.Sorted(maps.Keys(all))
	if name == "" && len(names) == 1 {
		return names[0], nil
	}
	if _, ok := all[name]; ok {
		return name, nil
	}
	choice := "its fields are " + strings.Join(printable(names), ", ")
	switch {
	case len(names) == 0:
		return "", secret.ErrEmpty
	case name == "":
		return "", &file.KeyError{Problem: "there are several fields, and none is named", Try: choice + ": write one behind a #"}
	}
	return "", &file.KeyError{Problem: "there is no field " + name, Try: choice, Err: secret.ErrNotFound}
}

// printable leaves out names that may not be meant as such.
func printable(names []string) []string {
	const most = 10
	names = slices.DeleteFunc(names, func(n string) bool { return len(n) > 40 || !secret.Printable(n) })
	if len(names) > most {
		return append(names[:most:most], "…")
	}
	return names
}
