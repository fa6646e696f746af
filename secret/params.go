package secret

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tightlip/tightlip/internal/suggest"
)

// Parts are those of a reference to a store or an issuer: SCHEME:PATH?KEY=VALUE&KEY=VALUE#FIELD, percent-encoded as in a URL.
type Parts struct {
	Path  string
	Field string // empty: the whole value, or the only one there is
	ref   Ref
	query url.Values
}

// Parts takes a reference apart. Keys that are not among known are an error, as is a key that is given twice.
func (r Ref) Parts(known ...string) (Parts, error) {
	p := Parts{ref: r}
	rest, field, hasField := strings.Cut(r.Rest, "#")
	path, query, _ := strings.Cut(rest, "?")
	var err error
	if p.query, err = url.ParseQuery(query); err != nil {
		return Parts{}, p.wrong("what follows the ? of "+r.Scheme+": is not KEY=VALUE&KEY=VALUE", "")
	}
	for key, values := range p.query {
		switch {
		case !slices.Contains(known, key):
			return Parts{}, p.wrong("a reference to "+r.Scheme+": has an unknown key"+suggest.DidYouMean(key, known), knownKeys(known))
		case len(values) > 1:
			return Parts{}, p.wrong(key+"= is given twice in a reference to "+r.Scheme+":", "")
		case values[0] == "":
			return Parts{}, p.wrong(key+"= is empty in a reference to "+r.Scheme+":", "")
		}
	}
	if p.Path, err = url.PathUnescape(path); err != nil {
		return Parts{}, p.wrong("a % in a reference to "+r.Scheme+": is not followed by two hexadecimal digits", "write %25 for %")
	}
	if p.Field, err = url.PathUnescape(field); err != nil || hasField && field == "" {
		return Parts{}, p.wrong("nothing, or no field's name, follows the # of "+r.Scheme+":", "")
	}
	return p, nil
}

func knownKeys(known []string) string {
	if len(known) == 0 {
		return "it takes no keys"
	}
	return "known are " + strings.Join(known, "= ") + "="
}

// wrong never quotes what was not understood: it may be a value.
func (p Parts) wrong(problem, try string) error { return &SyntaxError{Problem: problem, Try: try} }

// Get is the value of a key, or "".
func (p Parts) Get(key string) string { return p.query.Get(key) }

// Or is the value of a key, or the fallback.
func (p Parts) Or(key, fallback string) string {
	if v := p.Get(key); v != "" {
		return v
	}
	return fallback
}

// List is the value of a key, split at commas.
func (p Parts) List(key string) []string {
	if p.Get(key) == "" {
		return nil
	}
	return strings.Split(p.Get(key), ",")
}

// Duration is the value of a key as time.ParseDuration reads it, at least min and at most max, or the fallback; max 0 is no bound.
func (p Parts) Duration(key string, fallback, minimum, maximum time.Duration) (time.Duration, error) {
	text := p.Get(key)
	if text == "" {
		return fallback, nil
	}
	d, err := time.ParseDuration(text)
	switch {
	case err != nil:
		return 0, p.wrong(key+"= of "+p.ref.Scheme+": is no duration", "write 15m or 1h")
	case d < minimum:
		return 0, p.wrong(fmt.Sprintf("%s: makes nothing that lives for less than %s", p.ref.Scheme, minimum), key+"="+minimum.String())
	case maximum > 0 && d > maximum:
		return 0, p.wrong(fmt.Sprintf("%s: makes nothing that lives for more than %s", p.ref.Scheme, maximum), key+"="+maximum.String())
	}
	return d, nil
}

// Ref is the value of a key as a reference to another secret, such as the key that signs; the zero Ref if it is not there.
func (p Parts) Ref(key string) (Ref, error) {
	text := p.Get(key)
	if text == "" {
		return Ref{}, nil
	}
	ref, err := ParseRef(text)
	if err != nil {
		return Ref{}, p.wrong(key+"= of "+p.ref.Scheme+": is no reference", key+"=file:PATH or "+key+"=env:NAME")
	}
	ref.Dir = p.ref.Dir
	return ref, nil
}
