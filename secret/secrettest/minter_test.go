package secrettest_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"os"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/secrettest"
)

// mint is a minter and its issuer in memory, with one fault at most.
type mint struct {
	fault  string
	parent []byte

	mu    sync.Mutex
	calls int
	made  []coin
}

type coin struct {
	name, value string
	dead        bool
}

const coinLife = time.Minute

func (*mint) Scheme() string { return "mint" }

func (m *mint) About() secret.About {
	about := secret.About{Form: "mint:NAME", What: "a coin", Example: "mint:x", Mint: &secret.MintAbout{Grade: secret.GradeA}}
	if m.fault == "no grade" {
		about.Mint.Grade = ""
	}
	return about
}

func (m *mint) Check(ref secret.Ref) error {
	_, err := ref.Parts()
	switch {
	case m.fault == "unknown keys":
		return nil
	case err != nil && m.fault == "value in an error":
		return &secret.SyntaxError{Problem: "unknown: " + ref.Rest}
	case m.fault == "asks to check":
		m.do(func() {})
	}
	return err
}

// do is one call of the issuer.
func (m *mint) do(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls++
	f()
}

// end kills the coins for which is returns true, and tells whether there were any.
func (m *mint) end(is func(coin) bool) (found bool) {
	m.do(func() {
		for i := range m.made {
			if !m.made[i].dead && is(m.made[i]) {
				m.made[i].dead, found = true, true
			}
		}
	})
	return found
}

func (m *mint) works(value string) (ok bool) {
	m.do(func() { ok = slices.ContainsFunc(m.made, func(c coin) bool { return c.value == value && !c.dead }) })
	return ok
}

func (m *mint) names(*testing.T) (names []string) {
	m.do(func() {
		for _, c := range m.made {
			if !c.dead {
				names = append(names, c.name)
			}
		}
	})
	return names
}

func (m *mint) Resolve(ctx context.Context, ref secret.Ref) (*secret.Lease, error) {
	return m.Mint(ctx, ref, "resolved")
}

func (m *mint) Mint(ctx context.Context, ref secret.Ref, name string) (*secret.Lease, error) {
	if err := ctx.Err(); err != nil && m.fault != "not cancelled" {
		return nil, secret.NotMade(err)
	}
	if ref.Rest == "broken" {
		return nil, m.broken()
	}
	c := coin{name: name, value: "coin-" + rand.Text()}
	switch m.fault {
	case "nameless":
		c.name = "coin"
	case "one for all":
		c.value = "coin"
	case "stillborn":
		c.dead = true
	}
	m.do(func() { m.made = append(m.made, c) })
	return m.lease(c), nil
}

func (m *mint) broken() error {
	switch m.fault {
	case "parent in an error":
		return secret.NotMade(errors.New("cannot use " + string(m.parent)))
	case "maybe made":
		return errors.New("cannot be made")
	case "not made, and printed":
		return errors.Join(errors.New("cannot be made"), secret.ErrNotMade)
	}
	return secret.NotMade(errors.New("cannot be made"))
}

func (m *mint) lease(c coin) *secret.Lease {
	lease := &secret.Lease{Value: secret.NewValue([]byte(c.value)), Expires: time.Now().Add(coinLife), ID: c.name}
	switch m.fault {
	case "value in the ID":
		lease.ID = c.value
	case "lives too long":
		lease.Expires = time.Now().Add(time.Hour)
	}
	lease.Revoke = func(context.Context) error {
		found := m.fault != "not revoked" && m.fault != "not revoked, and called dead" &&
			m.end(func(other coin) bool { return other.value == c.value || m.fault == "revokes all" })
		if !found && m.fault == "cannot be revoked twice" {
			return errors.New("is dead")
		}
		return nil
	}
	lease.Alive = func(context.Context) (bool, error) {
		return m.works(c.value) && m.fault != "called dead" && m.fault != "not revoked, and called dead", nil
	}
	return lease
}

func (m *mint) Reap(ctx context.Context, _ secret.Ref, minted secret.Minted) error {
	if err := ctx.Err(); err != nil && m.fault != "reaps what is cancelled" {
		return err
	}
	if m.fault == "not reaped by name" && minted.ID == "" || m.fault == "not reaped by ID" && minted.ID != "" {
		return nil
	}
	found := m.end(func(c coin) bool { return c.name == minted.Name })
	known := m.fault == "reaps again" && slices.ContainsFunc(m.made, func(c coin) bool { return c.name == minted.Name })
	if !found && !known && m.fault != "reaps what is unknown" {
		return secret.ErrNotFound
	}
	return nil
}

func TestMinterContractOnMemory(t *testing.T) {
	secrettest.MinterContract(t, func(t *testing.T) secrettest.MinterFixture {
		m := &mint{fault: os.Getenv(faultVariable), parent: secrettest.Canary(t)}
		return secrettest.MinterFixture{
			Minter: m, Ref: secret.Ref{Scheme: "mint", Rest: "x"}, Life: coinLife, Names: m.names, Parents: [][]byte{m.parent},
			Works:   func(_ *testing.T, v secret.Value) bool { return m.works(string(v.Open())) },
			Broken:  []secret.Ref{{Scheme: "mint", Rest: "broken"}},
			Reached: func() int { return m.calls },
		}
	})
}

// TestMinterContractNotices runs the contract on minters that break it.
func TestMinterContractNotices(t *testing.T) {
	for fault, test := range map[string]string{
		"no grade":                     "is_described",
		"unknown keys":                 "checks_without_reaching_anything",
		"value in an error":            "checks_without_reaching_anything",
		"asks to check":                "checks_without_reaching_anything",
		"nameless":                     "a_minted_value_works_and_is_named",
		"value in the ID":              "a_minted_value_works_and_is_named",
		"lives too long":               "a_minted_value_works_and_is_named",
		"stillborn":                    "a_minted_value_works_and_is_named",
		"not revoked":                  "revoked",
		"called dead":                  "revoked",
		"cannot be revoked twice":      "revoked",
		"not revoked, and called dead": "the_end_of_a_build",
		"not reaped by name":           "reaped_by_name",
		"not reaped by ID":             "reaped_by_name_and_ID",
		"reaps again":                  "reaped_by_name",
		"reaps what is unknown":        "what_the_issuer_does_not_know_is_not_reaped",
		"revokes all":                  "one_does_not_revoke_another",
		"one for all":                  "one_does_not_revoke_another",
		"not cancelled":                "a_cancelled_mint_makes_nothing",
		"reaps what is cancelled":      "a_cancelled_mint_makes_nothing",
		"parent in an error":           "errors_contain_no_values,_and_say_that_nothing_was_made",
		"maybe made":                   "errors_contain_no_values,_and_say_that_nothing_was_made",
		"not made, and printed":        "errors_contain_no_values,_and_say_that_nothing_was_made",
	} {
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestMinterContractOnMemory$/^"+test+"$")
		child.Env = append(os.Environ(), faultVariable+"="+fault)
		output, err := child.CombinedOutput()
		if err == nil || !bytes.Contains(output, []byte("--- FAIL: TestMinterContractOnMemory/"+test)) {
			t.Errorf("%s: %v, and %s did not fail:\n%.2000s", fault, err, test, output)
		}
	}
}
