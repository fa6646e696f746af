package secret_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/secrettest"
	"github.com/tightlip/tightlip/secret/source/env"
)

// child is minted with what its reference names, or is found with it.
type child struct {
	minter
	parents map[string]secret.Ref
	uses    map[string]string // by name
	fail    error
}

type minter struct{}

func (minter) Scheme() string                                        { return "child" }
func (minter) Check(secret.Ref) error                                { return nil }
func (minter) Reap(context.Context, secret.Ref, secret.Minted) error { return nil }
func (c *child) Parents(secret.Ref) map[string]secret.Ref            { return c.parents }
func (c *child) Resolve(ctx context.Context, ref secret.Ref) (*secret.Lease, error) {
	return c.Mint(ctx, ref, "")
}

func (c *child) Mint(ctx context.Context, _ secret.Ref, _ string) (*secret.Lease, error) {
	for name, text := range c.uses {
		v := secret.NewValue([]byte(text))
		secret.Uses(ctx, name, v)
		v.Wipe() // as sources do
	}
	return &secret.Lease{Value: secret.NewValue([]byte("a child"))}, c.fail
}

// known are the parents of the secret "a": names, and values behind an equals sign.
func known(set *secret.Set) (all []string) {
	for id, p := range set.Parents() {
		all = append(all, id+" "+p.Name+"="+string(p.Value.Open()))
	}
	return all
}

func childSet(t *testing.T, c secret.Source, others ...secret.Source) *secret.Set {
	t.Helper()
	set, err := secret.NewResolver(append(others, c)...).ResolveAll(t.Context(), []secret.Spec{{ID: "a", Ref: secret.Ref{Scheme: "child", Rest: "x"}}})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func TestParentsOfMinted(t *testing.T) {
	value := string(secrettest.Canary(t))
	c := &child{
		parents: map[string]secret.Ref{"key": {Scheme: "env", Rest: "KEY"}, "token": {Scheme: "cmd", Rest: "ask"}, "gone": {Scheme: "env", Rest: "GONE"}},
		uses:    map[string]string{"key": value, "token": "from a command", "login": "of the issuer"},
	}
	values := map[string]string{"KEY": value}
	set := childSet(t, c, env.Source{Lookup: func(name string) (string, bool) { v, ok := values[name]; return v, ok }})
	if got := known(set); !slices.Equal(got, []string{"a gone=", "a key=" + value, "a token="}) {
		t.Errorf("before it is minted: %d parents, not these three", len(got))
	}
	told := map[string]string{}
	set.OnParent(func(id string, p secret.Parent) { told[id+" "+p.Name] = string(p.Value.Open()) })
	set.OnMint(func(string, secret.Value) error {
		if len(told) != 2 {
			t.Errorf("told of %d parents before of what they make", len(told))
		}
		return nil
	})
	for range 2 {
		if _, err := set.Lease(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
	}
	if want := map[string]string{"a token": "from a command", "a login": "of the issuer"}; !maps.Equal(told, want) {
		t.Errorf("told of %d parents, not of these: %v", len(told), want)
	}
	want := []string{"a gone=", "a key=" + value, "a login=of the issuer", "a token=from a command"}
	if set.End(t.Context()); !slices.Equal(known(set), want) {
		t.Error("after its end, the parents are not there, and they are searched for then")
	}
	if err := set.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := known(set); !slices.Equal(got, []string{"a gone=", "a key=", "a login=", "a token="}) {
		t.Error("closed, and there are values")
	}
}

// A step may print what was in vain, too.
func TestParentsOfFailedMint(t *testing.T) {
	set := childSet(t, &child{uses: map[string]string{"token": "refused"}, fail: errors.New("403")})
	told := 0
	set.OnParent(func(string, secret.Parent) { told++ })
	for range 2 {
		if _, err := set.Lease(t.Context(), "a"); err == nil {
			t.Fatal("it is minted")
		}
	}
	if told != 1 {
		t.Errorf("told %d times", told)
	}
}

// found finds with a credential, as stores do.
type found struct{ *child }

func (found) Mint() {}

func TestParentsOfFound(t *testing.T) {
	set := childSet(t, found{&child{uses: map[string]string{"login": "of the store"}}})
	if got := known(set); set.Minted("a") || !slices.Equal(got, []string{"a login=of the store"}) {
		t.Errorf("%d parents, not this one", len(got))
	}
}

func TestUsesWithoutASet(t *testing.T) {
	secret.Uses(t.Context(), "token", secret.NewValue([]byte("x"))) // which is for nobody
}
