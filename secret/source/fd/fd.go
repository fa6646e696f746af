// Package fd finds secrets in inherited file descriptors and on standard input.
package fd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"

	"github.com/tightlip/tightlip/secret"
)

// Scheme is what references to a file descriptor begin with.
const Scheme = "fd"

// Sources returns the source of fd:N and the source of -, which is the same as fd:0 and reads stdin. nil: there is none.
//
// A descriptor is read to its end, and once: resolving it again is an error. The bytes are the value as they are.
// Only descriptors that were inherited count, never one that this process opened itself.
func Sources(stdin io.Reader) []secret.Source {
	shared := &streams{stdin: stdin, used: map[int]bool{}}
	return []secret.Source{source{Scheme, shared}, source{secret.SchemeStdin, shared}}
}

type source struct {
	scheme string
	*streams
}

// streams knows what was read already.
type streams struct {
	stdin io.Reader
	mu    sync.Mutex
	used  map[int]bool
}

// Scheme implements secret.Source.
func (s source) Scheme() string { return s.scheme }

// About implements secret.Described.
func (s source) About() secret.About {
	if s.scheme == secret.SchemeStdin {
		return secret.About{Form: "-", What: "standard input", Example: "-"}
	}
	return secret.About{Form: "fd:NUMBER", What: "a file descriptor that was inherited", Example: "fd:3"}
}

// Resolve implements secret.Source.
func (s source) Resolve(ctx context.Context, ref secret.Ref) (*secret.Lease, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	number, err := s.number(ref)
	if err != nil {
		return nil, err
	}
	open, err := s.open(number)
	if err != nil {
		return nil, failed(ref, number, err)
	}
	value, err := secret.Read(ctx, func() (io.ReadCloser, error) { return open, nil })
	if err != nil {
		return nil, failed(ref, number, err)
	}
	return &secret.Lease{Value: value, ID: ref.String()}, nil
}

func (s source) number(ref secret.Ref) (int, error) {
	if s.scheme == secret.SchemeStdin {
		return 0, nil
	}
	n, err := strconv.ParseUint(ref.Rest, 10, 31)
	if err != nil || n == 1 || n == 2 || strconv.FormatUint(n, 10) != ref.Rest {
		return 0, &secret.ResolveError{
			Ref: ref, Problem: ref.String() + " is not a descriptor to read from", Try: "write fd:N with N 0, 3 or above, as in 3<FILE --secret id=NAME,from=fd:3",
		}
	}
	return int(n), nil
}

var (
	errUsed         = errors.New("was read already; a stream gives its value once")
	errNotInherited = fmt.Errorf("was not inherited: %w", secret.ErrNotFound)
)

// open hands out each descriptor once.
func (s *streams) open(number int) (io.ReadCloser, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.used[number] {
		return nil, errUsed
	}
	if number == 0 {
		if s.stdin == nil {
			return nil, errNotInherited
		}
		s.used[0] = true
		return io.NopCloser(s.stdin), nil
	}
	if !inherited(number) {
		return nil, errNotInherited
	}
	s.used[number] = true
	return os.NewFile(uintptr(number), "fd"), nil
}

func failed(ref secret.Ref, number int, err error) error {
	name := fmt.Sprintf("file descriptor %d", number)
	if number == 0 {
		name = "standard input"
	}
	re := &secret.ResolveError{Ref: ref, Err: err}
	switch {
	case errors.Is(err, secret.ErrNotFound):
		re.Problem, re.Try = name+" is not open", fmt.Sprintf("open it as in %d<FILE", number)
	default:
		re.Problem = name + " " + err.Error()
	}
	return re
}
