package minter_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/secrettest"
	"gopkg.in/macaroon.v2"
)

// warehouse does what PyPI does with the tokens of uploads: warehouse/macaroons/caveats/__init__.py.
type warehouse struct{ key []byte }

// token is one for a whole account. PyPI's have a location and one caveat: the user.
func (w warehouse) token(t testing.TB) []byte {
	t.Helper()
	m, err := macaroon.New(w.key, []byte("1e0c9a48-1d5c-4e4f-8a0c-0d7f1a7c1b55"), "pypi.corp.example", macaroon.V2)
	if err == nil {
		err = m.AddFirstPartyCaveat([]byte(`[3, "u1"]`))
	}
	if err != nil {
		t.Fatal(err)
	}
	data, err := m.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return append([]byte("pypi-"), base64.RawURLEncoding.EncodeToString(data)...)
}

// verify decides on an upload to a project.
func (w warehouse) verify(token []byte, project string, now time.Time) error {
	text, ok := strings.CutPrefix(string(token), "pypi-")
	if !ok {
		return errors.New("no prefix")
	}
	data, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return err
	}
	var m macaroon.Macaroon
	if err := m.UnmarshalBinary(data); err != nil {
		return err
	}
	return m.Verify(w.key, func(caveat string) error { return w.caveat(caveat, project, now) }, nil)
}

func (warehouse) caveat(text, project string, now time.Time) error {
	var fields []json.RawMessage
	if err := json.Unmarshal([]byte(text), &fields); err != nil || len(fields) < 2 {
		return errors.New("no caveat")
	}
	var names []string
	switch string(fields[0]) {
	case "0":
		var ends, starts int64
		if len(fields) != 3 || json.Unmarshal(fields[1], &ends) != nil || json.Unmarshal(fields[2], &starts) != nil {
			return errors.New("no expiration")
		}
		if now.Unix() < starts || now.Unix() >= ends {
			return errors.New("token is expired")
		}
	case "1", "2":
		if err := json.Unmarshal(fields[1], &names); err != nil {
			return err
		}
		if string(fields[0]) == "2" {
			project = "id of " + project
		}
		if !slices.Contains(names, project) {
			return errors.New("project-scoped token is not valid for project")
		}
	case "3":
	default:
		return errors.New("caveat has unknown tag")
	}
	return nil
}

func TestPyPI(t *testing.T) {
	w := warehouse{key: secrettest.Canary(t)}
	p := parents{"TOKEN": append(w.token(t), '\n'), "NOT": secrettest.Canary(t), "NEITHER": append([]byte("pypi-"), secrettest.Canary(t)...)}
	secrettest.MinterContract(t, func(t *testing.T) secrettest.MinterFixture {
		m, r := minterOf(t, p, example(t, "pypi", "PYPI_TOKEN", "TOKEN", "15m", "5m"))
		return secrettest.MinterFixture{
			Minter: m, Ref: r, Life: 5 * time.Minute, Parents: p.values(),
			Works:  func(_ *testing.T, v secret.Value) bool { return w.verify(v.Open(), "acme-api", time.Now()) == nil },
			Broken: broken(t, "pypi:acme-api?token=env:NOT", "pypi:acme-api?token=env:NEITHER", "pypi:acme-api?token=env:NONE"),
		}
	})
}

// TestPyPICaveats asks for what tokens are refused.
func TestPyPICaveats(t *testing.T) {
	w := warehouse{key: secrettest.Canary(t)}
	p := parents{"TOKEN": w.token(t)}
	for text, want := range map[string][2]string{ // to projects acme-api and other
		"pypi:?token=env:TOKEN":                               {"", ""},
		"pypi:acme-api?token=env:TOKEN":                       {"", "project-scoped token is not valid for project"},
		"pypi:Acme__API,x?token=env:TOKEN":                    {"", "project-scoped token is not valid for project"},
		"pypi:?token=env:TOKEN&ids=id%20of%20other,y":         {"project-scoped token is not valid for project", ""},
		"pypi:acme-api?token=env:TOKEN&ids=id%20of%20other,y": {"project-scoped token is not valid for project", "project-scoped token is not valid for project"},
	} {
		m, r := minterOf(t, p, text)
		lease, err := m.Resolve(t.Context(), r)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		for i, project := range []string{"acme-api", "other"} {
			err := w.verify(lease.Value.Open(), project, time.Now())
			if got := reason(err); got != want[i] {
				t.Errorf("%s for %s: got %s", text, project, got)
			}
			if err := w.verify(lease.Value.Open(), project, lease.Expires); err == nil {
				t.Errorf("%s for %s: is accepted after its end", text, project)
			}
		}
		// What is narrowed can be narrowed once more, and not be widened.
		p["NARROW"] = lease.Value.Open()
		m, r = minterOf(t, p, "pypi:other?token=env:NARROW")
		if lease, err = m.Resolve(t.Context(), r); err != nil || w.verify(lease.Value.Open(), "acme-api", time.Now()) == nil {
			t.Errorf("%s: was widened: %v", text, err)
		}
	}
}

func reason(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// FuzzPyPI adds a caveat to anything. What is still a macaroon has to be one after it, too, with one caveat more.
func FuzzPyPI(f *testing.F) {
	w := warehouse{key: []byte("key")}
	caveats := func(token []byte) int {
		var m macaroon.Macaroon
		data, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(string(token), "pypi-"))
		if err != nil || m.UnmarshalBinary(data) != nil {
			return -1
		}
		return len(m.Caveats())
	}
	f.Add(w.token(f))
	f.Add([]byte("pypi-AgAAAA"))
	f.Fuzz(func(t *testing.T, token []byte) {
		minter, r := minterOf(t, parents{"TOKEN": token}, "pypi:?token=env:TOKEN")
		lease, err := minter.Resolve(t.Context(), r)
		if before := caveats(token); err == nil && before >= 0 && caveats(lease.Value.Open()) != before+1 {
			t.Errorf("%d caveats became %d", before, caveats(lease.Value.Open()))
		}
	})
}
