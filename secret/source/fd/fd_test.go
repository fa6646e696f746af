package fd_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/tightlip/tightlip/secret"
	"github.com/tightlip/tightlip/secret/secrettest"
	"github.com/tightlip/tightlip/secret/source/fd"
	"golang.org/x/sys/unix"
)

func TestContract(t *testing.T) {
	secrettest.Contract(t, func(*testing.T) secrettest.Fixture {
		return secrettest.Fixture{
			Source: fd.Sources(nil)[0],
			Put: func(t *testing.T, value []byte) secret.Ref {
				r, w := openPipe(t)
				go func() {
					_, _ = w.Write(value) // fails if the reader has enough
					_ = w.Close()
				}()
				return inherit(t, r)
			},
			Missing: ref("987654"),
			Blocked: func(t *testing.T) secret.Ref {
				r, w := openPipe(t)
				t.Cleanup(func() { _ = w.Close() })
				return inherit(t, r)
			},
		}
	})
}

func TestStdinContract(t *testing.T) {
	secrettest.Contract(t, func(*testing.T) secrettest.Fixture {
		in := &queue{}
		return secrettest.Fixture{
			Source: in,
			Put:    func(t *testing.T, value []byte) secret.Ref { return in.put(strings.NewReader(string(value))) },
			Blocked: func(t *testing.T) secret.Ref {
				r, w := io.Pipe()
				t.Cleanup(func() { _ = w.Close() })
				return in.put(r)
			},
		}
	})
}

// queue gives each stored value a standard input of its own, as each belongs to a process of its own.
type queue struct{ secret.Source }

func (q *queue) put(r io.Reader) secret.Ref {
	q.Source = fd.Sources(r)[1]
	return secret.Ref{Scheme: secret.SchemeStdin}
}

func TestErrors(t *testing.T) {
	own, _ := openPipe(t)
	for _, tt := range []struct{ rest, want string }{
		{"1", "fd:1 is not a descriptor to read from"},
		{"2", "fd:2 is not a descriptor to read from"},
		{"-1", "fd:-1 is not a descriptor to read from"},
		{"03", "fd:03 is not a descriptor to read from"},
		{"x", "fd:x is not a descriptor to read from"},
		{"99999999999999999999", "fd:99999999999999999999 is not a descriptor to read from"},
		{"987654", "file descriptor 987654 is not open"},
		{"0", "standard input is not open"},
		{fmt.Sprint(own.Fd()), fmt.Sprintf("file descriptor %d is not open", own.Fd())},
	} {
		_, err := fd.Sources(nil)[0].Resolve(t.Context(), ref(tt.rest))
		if err == nil || err.Error() != tt.want {
			t.Errorf("fd:%s: got %v, want %q", tt.rest, err, tt.want)
		}
	}
}

func TestOnce(t *testing.T) {
	sources := fd.Sources(strings.NewReader("x"))
	stdin := secret.Ref{Scheme: secret.SchemeStdin}
	if _, err := sources[1].Resolve(t.Context(), stdin); err != nil {
		t.Fatal(err)
	}
	const want = "standard input was read already; a stream gives its value once"
	for _, again := range []struct {
		source secret.Source
		ref    secret.Ref
	}{{sources[1], stdin}, {sources[0], ref("0")}} {
		_, err := again.source.Resolve(t.Context(), again.ref)
		if err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %q", again.ref, err, want)
		}
		if errors.Is(err, secret.ErrEmpty) || errors.Is(err, secret.ErrNotFound) {
			t.Errorf("%s: %v counts as missing", again.ref, err)
		}
	}
}

func TestDescriptorOnce(t *testing.T) {
	r, w := openPipe(t)
	if _, err := io.WriteString(w, "x"); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	source, ref := fd.Sources(nil)[0], inherit(t, r)
	if _, err := source.Resolve(t.Context(), ref); err != nil {
		t.Fatal(err)
	}
	if _, err := source.Resolve(t.Context(), ref); err == nil || !strings.Contains(err.Error(), "was read already") {
		t.Errorf("got %v the second time", err)
	}
}

func Example() {
	sources := fd.Sources(strings.NewReader("not a real one"))
	lease, err := secret.NewResolver(sources...).Resolve(context.Background(), secret.Ref{Scheme: secret.SchemeStdin})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(lease.ID, lease.Value, lease.Value.Len())
	// Output: - [sealed] 14
}

func openPipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r, w
}

// next is a descriptor number that no test had yet: the source closes its descriptor, and would not read the next one of that number.
var next = 200

// inherit makes a copy of f that looks inherited: without close-on-exec.
func inherit(t *testing.T, f *os.File) secret.Ref {
	t.Helper()
	next++
	number, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD, next)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return ref(strconv.Itoa(number))
}

func ref(rest string) secret.Ref { return secret.Ref{Scheme: "fd", Rest: rest} }
