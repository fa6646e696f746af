// Package proof proves that no secret is in an image: it makes needles of values, finds them and states the result.
package proof

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	"github.com/tightlip/tightlip/secret"
)

// MinLen is the fewest bytes of a value, without the white space around it, that can be proven absent. Shorter
// strings occur by chance.
const MinLen = 8

// rulesVersion is part of every fingerprint. It changes whenever the rules make other needles of the same value.
const rulesVersion = "tightlip needles v3"

// Rules names what is looked for and where. It changes whenever that does.
const Rules = rulesVersion + ", " + walkVersion

// Secret is what needles are made from.
type Secret struct {
	ID    string
	Value secret.Value
	// Waived accepts a value too short to be proven absent: it makes no needles, but is still redacted.
	Waived bool
	// Phantom says that it opens nothing: it stands in for the secret with that id.
	Phantom bool
	// Unminted says that there is no value, since nothing asked for one. What the secret leaked in earlier builds is found all the same.
	Unminted bool
	// Parent names the credential by which the secret with that id was got, if this is that one. Too short a value fails nothing.
	Parent string
	// Spent accepts that the value is in the image: it is dead before anybody gets that.
	Spent bool
}

// phantomOf begins what a phantom is called among the secrets of a proof.
const phantomOf = "phantom of "

func (s Secret) name() string {
	switch {
	case s.Phantom:
		return phantomOf + s.ID
	case s.Parent != "":
		return s.ID + "'s " + s.Parent
	}
	return s.ID
}

// TooShortError says that a value is shorter than MinLen and was not waived.
type TooShortError struct {
	ID  string
	Len int // bytes, without white space around them
}

func (e *TooShortError) Error() string {
	return fmt.Sprintf("secret %q has %d bytes: under %d a value cannot be proven absent", e.ID, e.Len, MinLen)
}

// Needles is a sealed set of byte patterns: the values and their encodings. Like a secret.Value it keeps them behind a
// closure, so that no verb of fmt, encoder or logger can print them. It is safe for concurrent use.
type Needles struct {
	open func() *needleSet
}

// needleSet is what a Needles seals.
type needleSet struct {
	ids      []string  // by number of the secret
	patterns []pattern // searched for by the proof
	short    [][]byte  // of waived values: redacted, not searched for
	waived   []string
	unminted []string
	spent    []string
	maxLen   int
	match    *matcher
	mask     func() *maskIndex // made when first asked for
}

// pattern is one needle.
type pattern struct {
	secret   int
	encoding string
	text     []byte
}

// NewNeedles makes the needles of all secrets. The error wraps a *TooShortError for each value that is under MinLen
// and not waived.
func NewNeedles(secrets []Secret) (*Needles, error) {
	set := &needleSet{}
	var forms []form
	var errs []error
	for i, s := range secrets {
		value := s.Value.Open()
		set.ids = append(set.ids, s.name())
		if s.Unminted {
			set.unminted = append(set.unminted, s.name())
			continue
		}
		if s.Spent {
			set.spent = append(set.spent, s.ID)
			set.short = append(set.short, shortMasks(value)...)
			continue
		}
		if n := len(bytes.TrimSpace(value)); n < MinLen {
			if !s.Waived && s.Parent == "" {
				errs = append(errs, &TooShortError{ID: s.ID, Len: n})
			}
			set.waived = append(set.waived, s.name())
			set.short = append(set.short, shortMasks(value)...)
			continue
		}
		own := formsOf(value)
		set.patterns = append(set.patterns, patternsOf(i, own)...)
		forms = append(forms, own...)
	}
	if len(errs) > 0 {
		return nil, fmt.Errorf("making needles: %w", errors.Join(errs...))
	}
	for _, p := range set.patterns {
		set.maxLen = max(set.maxLen, len(p.text))
	}
	for _, text := range set.short {
		set.maxLen = max(set.maxLen, len(text))
	}
	set.match = newMatcher(set.patterns)
	set.mask = sync.OnceValue(func() *maskIndex { return newMaskIndex(set, forms) })
	return &Needles{open: func() *needleSet { return set }}, nil
}

// shortMasks is what redaction looks for when a value is too short for needles: all encodings of 4 bytes or more.
func shortMasks(value []byte) [][]byte {
	var out [][]byte
	for _, text := range [][]byte{value, bytes.TrimSpace(value)} {
		if len(text) == 0 {
			continue
		}
		out = append(out, text)
		for _, enc := range encodings {
			for _, encoded := range enc.encode(text) {
				if len(encoded) >= 4 {
					out = append(out, encoded)
				}
			}
		}
	}
	slices.SortFunc(out, bytes.Compare)
	return slices.CompactFunc(out, bytes.Equal)
}

// patternsOf makes the needles of one secret. Of equal ones the first, which is the most telling, is kept.
func patternsOf(number int, forms []form) []pattern {
	seen := make(map[string]bool)
	var out []pattern
	for _, enc := range encodings {
		for _, f := range forms {
			if f.rawOnly && enc.name != "raw" {
				continue
			}
			for _, text := range needlesOf(f, enc) {
				if len(text) >= MinLen && !seen[string(text)] {
					seen[string(text)] = true
					out = append(out, pattern{secret: number, encoding: enc.name, text: bytes.Clone(text)})
				}
			}
		}
	}
	return out
}

// Len is the number of needles.
func (n *Needles) Len() int { return len(n.open().patterns) }

// MaxLen is the length of the longest needle in bytes.
func (n *Needles) MaxLen() int { return n.open().maxLen }

// Encodings is the sorted list of the kinds of needles, such as "base64" and "raw".
func (n *Needles) Encodings() []string {
	var names []string
	for _, p := range n.open().patterns {
		names = append(names, p.encoding)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Waived lists the ids of the secrets that are not proven absent because they are too short.
func (n *Needles) Waived() []string { return slices.Clone(n.open().waived) }

// Fingerprint identifies the set of needles to holders of key, and tells nothing to others. It does not depend on the
// order of the secrets.
func (n *Needles) Fingerprint(key []byte) [32]byte {
	set := n.open()
	var records [][]byte
	for _, p := range set.patterns {
		record := appendSized(nil, []byte(set.ids[p.secret]))
		record = appendSized(record, []byte(p.encoding))
		records = append(records, appendSized(record, p.text))
	}
	for _, id := range set.waived {
		records = append(records, appendSized(nil, []byte(id)))
	}
	slices.SortFunc(records, bytes.Compare)
	mac := hmac.New(sha256.New, key)
	mac.Write(appendSized(nil, []byte(rulesVersion)))
	for _, record := range records {
		mac.Write(appendSized(nil, record))
	}
	return [32]byte(mac.Sum(nil))
}

func appendSized(dst, b []byte) []byte {
	return append(binary.BigEndian.AppendUint64(dst, uint64(len(b))), b...)
}

// Format implements fmt.Formatter for every verb.
func (*Needles) Format(s fmt.State, _ rune) { _, _ = s.Write([]byte(secret.Sealed)) }

// String implements fmt.Stringer.
func (*Needles) String() string { return secret.Sealed }

// GoString implements fmt.GoStringer.
func (*Needles) GoString() string { return secret.Sealed }

// MarshalText implements encoding.TextMarshaler.
func (*Needles) MarshalText() ([]byte, error) { return []byte(secret.Sealed), nil }

// MarshalJSON implements json.Marshaler.
func (*Needles) MarshalJSON() ([]byte, error) { return []byte(`"` + secret.Sealed + `"`), nil }

// LogValue implements slog.LogValuer.
func (*Needles) LogValue() slog.Value { return slog.StringValue(secret.Sealed) }
