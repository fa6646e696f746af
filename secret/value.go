package secret

import (
	"bytes"
	"fmt"
	"log/slog"
)

// Sealed is what every rendering of a Value shows.
const Sealed = "[sealed]"

// Value is a secret's bytes, sealed: no verb of fmt, no encoder and no logger can print them.
//
// The bytes live behind a closure rather than in a byte slice, because fmt and slog reach through
// the unexported fields of an enclosing struct and would print a slice without asking the methods below.
// The zero Value is empty.
type Value struct {
	open func() []byte
	wipe func()
}

// NewValue seals a copy of b.
func NewValue(b []byte) Value {
	b = bytes.Clone(b)
	return Value{open: func() []byte { return b }, wipe: func() { clear(b[:cap(b)]); b = nil }}
}

// Wipe overwrites the bytes, in all copies of the Value, which is empty from then on. Nobody may be using it at that time. What
// was copied out of it, and what the garbage collector has not got to, stays.
func (v Value) Wipe() {
	if v.wipe != nil {
		v.wipe()
	}
}

// Open returns the bytes, which the caller must not change.
//
// Only the packages listed in internal/archtest may call it.
func (v Value) Open() []byte {
	if v.open == nil {
		return nil
	}
	return v.open()
}

// Len is the number of bytes in the value.
func (v Value) Len() int { return len(v.Open()) }

// Format implements fmt.Formatter for every verb.
func (Value) Format(s fmt.State, _ rune) { _, _ = s.Write([]byte(Sealed)) }

// String implements fmt.Stringer.
func (Value) String() string { return Sealed }

// GoString implements fmt.GoStringer.
func (Value) GoString() string { return Sealed }

// MarshalText implements encoding.TextMarshaler.
func (Value) MarshalText() ([]byte, error) { return []byte(Sealed), nil }

// MarshalJSON implements json.Marshaler.
func (Value) MarshalJSON() ([]byte, error) { return []byte(`"` + Sealed + `"`), nil }

// LogValue implements slog.LogValuer.
func (Value) LogValue() slog.Value { return slog.StringValue(Sealed) }
