package secret

import (
	"context"
	"errors"
	"io"
)

// Read seals everything up to the end of what open returns, for sources to use. It closes the reader.
//
// Opening and reading may block for ever, as a named pipe does: when ctx is done, Read returns and leaves both to
// finish on their own. The error wraps ErrEmpty, ErrTooLarge, ctx.Err(), or what open or the reader returned.
func Read(ctx context.Context, open func() (io.ReadCloser, error)) (Value, error) {
	if err := ctx.Err(); err != nil {
		return Value{}, err
	}
	type result struct {
		value Value
		err   error
	}
	done := make(chan result, 1)
	go func() {
		value, err := readAll(open)
		done <- result{value, err}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
		return Value{}, ctx.Err()
	}
}

func readAll(open func() (io.ReadCloser, error)) (Value, error) {
	r, err := open()
	if err != nil {
		return Value{}, err
	}
	data, err := io.ReadAll(io.LimitReader(r, MaxSize+1))
	defer clear(data) // the Value has a copy of its own
	if err = errors.Join(err, r.Close()); err != nil {
		return Value{}, err
	}
	switch {
	case len(data) == 0:
		return Value{}, ErrEmpty
	case len(data) > MaxSize:
		return Value{}, ErrTooLarge
	}
	return NewValue(data), nil
}
