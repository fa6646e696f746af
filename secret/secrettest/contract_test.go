package secrettest_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/secrettest"
)

// memory is a source in memory with one fault at most.
type memory struct {
	fault string
	mu    sync.Mutex
	data  map[string][]byte
}

func (*memory) Scheme() string { return "memory" }

func (m *memory) Resolve(ctx context.Context, ref secret.Ref) (*secret.Lease, error) {
	if err := ctx.Err(); err != nil && m.fault != "not cancelled" {
		return nil, err
	}
	m.mu.Lock()
	value, ok := m.data[ref.Rest]
	m.mu.Unlock()
	switch {
	case ref.Rest == "blocked" && m.fault == "not cancelled while waiting":
		return nil, errors.New("gave up")
	case ref.Rest == "blocked":
		<-ctx.Done()
		return nil, ctx.Err()
	case !ok && m.fault == "wrong sentinel":
		return nil, errors.New("not found")
	case !ok && m.fault == "unprintable error":
		return nil, fmt.Errorf("\x1b[31m%w", secret.ErrNotFound)
	case !ok:
		return nil, fmt.Errorf("looking up %s: %w", ref.Rest, secret.ErrNotFound)
	case len(value) == 0 && m.fault != "empty value":
		return nil, secret.ErrEmpty
	case len(value) > secret.MaxSize && m.fault != "too large":
		return nil, secret.ErrTooLarge
	}
	return m.lease(ref, value)
}

func (m *memory) lease(ref secret.Ref, value []byte) (*secret.Lease, error) {
	id := ref.String()
	switch {
	case strings.HasPrefix(ref.Rest, "broken") && m.fault == "value in an error":
		return nil, errors.New("cannot use " + base64.StdEncoding.EncodeToString(value))
	case strings.HasPrefix(ref.Rest, "broken"):
		return nil, errors.New("cannot use it")
	case m.fault == "trims":
		value = bytes.TrimSpace(value)
	case m.fault == "value in the id":
		id = string(value)
	case m.fault == "no id":
		id = ""
	}
	return &secret.Lease{Value: secret.NewValue(value), ID: id}, nil
}

// faultVariable makes TestContractOnMemory, in a child process, run on a source with a fault.
const faultVariable = "SECRETTEST_FAULT"

func TestContractOnMemory(t *testing.T) {
	secrettest.Contract(t, func(*testing.T) secrettest.Fixture {
		m := &memory{fault: os.Getenv(faultVariable), data: map[string][]byte{}}
		put := func(name string, value []byte) secret.Ref {
			name = fmt.Sprintf("%s%d", name, len(m.data))
			m.data[name] = value
			return secret.Ref{Scheme: "memory", Rest: name}
		}
		return secrettest.Fixture{
			Source:  m,
			Put:     func(_ *testing.T, value []byte) secret.Ref { return put("value", value) },
			Missing: secret.Ref{Scheme: "memory", Rest: "nothing"},
			Blocked: func(*testing.T) secret.Ref { return secret.Ref{Scheme: "memory", Rest: "blocked"} },
			Broken:  func(_ *testing.T, value []byte) []secret.Ref { return []secret.Ref{put("broken", value)} },
		}
	})
}

// TestContractNotices runs the contract on sources that break it.
func TestContractNotices(t *testing.T) {
	for fault, test := range map[string]string{
		"trims":                       "finds_the_value_exactly",
		"value in the id":             "finds_the_value_exactly",
		"no id":                       "finds_the_value_exactly",
		"wrong sentinel":              "not_found",
		"unprintable error":           "not_found",
		"empty value":                 "an_empty_value_is_an_error",
		"too large":                   "too_large",
		"not cancelled":               "cancelled_before",
		"not cancelled while waiting": "cancelled_while_waiting",
		"value in an error":           "errors_do_not_contain_the_value",
	} {
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestContractOnMemory$/^"+test+"$")
		child.Env = append(os.Environ(), faultVariable+"="+fault)
		output, err := child.CombinedOutput()
		if err == nil || !bytes.Contains(output, []byte("--- FAIL: TestContractOnMemory/"+test)) {
			t.Errorf("%s: %v, and %s did not fail:\n%.2000s", fault, err, test, output)
		}
	}
}

func TestLeak(t *testing.T) {
	value := secrettest.Canary(t)
	for _, text := range []string{
		"x" + string(value) + "y", fmt.Sprintf("%x", value), fmt.Sprintf("%X", value), fmt.Sprintf("% x", value),
		fmt.Sprintf("%v", value), fmt.Sprintf("%#v", value), fmt.Sprintf("%q", value),
		base64.StdEncoding.EncodeToString(value),
		base64.StdEncoding.EncodeToString([]byte("a" + string(value) + "z")),
		base64.URLEncoding.EncodeToString([]byte("ab" + string(value) + "yz")),
	} {
		if secrettest.Leak(text, value) == "" {
			t.Errorf("the value was not found in %s", text)
		}
	}
	if form := secrettest.Leak("nothing here [sealed]", value); form != "" {
		t.Errorf("found %s where there is nothing", form)
	}
}

func TestExampleSource(t *testing.T) { contractOfNotes(t) }
