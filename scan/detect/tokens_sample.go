package detect

import (
	"math/rand/v2"
	"strconv"
	"strings"
)

// sampleClasses are the kinds of characters in the forms of samples.
var sampleClasses = map[byte]string{
	'd': "0-9", 'x': "0-9a-f", 'X': "0-9A-F",
	'a': "a-z", 'A': "A-Z", 'l': "A-Za-z",
	'n': "a-z0-9", 'N': "A-Z0-9", 'w': "0-9A-Za-z",
	'2': "A-Z2-7", 'u': "0-9A-Za-z_-", 'b': "0-9A-Za-z+/",
	'q': "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L",
}

// like makes samples of a form such as "npm_{w36}": 36 letters and digits after npm_. A form with several counts is one of them by
// chance: {w20,24}.
func like(form string) func(r *rand.Rand) string {
	return func(r *rand.Rand) string {
		for {
			if s := fill(r, form); plausible(s) {
				return s
			}
		}
	}
}

func fill(r *rand.Rand, form string) string {
	var b strings.Builder
	for form != "" {
		text, rest, found := strings.Cut(form, "{")
		b.WriteString(text)
		if !found {
			break
		}
		what, after, _ := strings.Cut(rest, "}")
		counts := strings.Split(what[1:], ",")
		n, err := strconv.Atoi(counts[r.IntN(len(counts))])
		if err != nil {
			panic("sample " + form)
		}
		chars := charsOf(sampleClasses[what[0]])
		for range n {
			b.WriteByte(chars[r.IntN(len(chars))])
		}
		form = after
	}
	return b.String()
}

// oneOf makes samples of several forms.
func oneOf(forms ...string) func(r *rand.Rand) string {
	return func(r *rand.Rand) string { return like(forms[r.IntN(len(forms))])(r) }
}

// withChecksum makes samples that end with the checksum of what comes before.
func withChecksum(form string, sum func(s string) string) func(r *rand.Rand) string {
	return func(r *rand.Rand) string {
		s := like(form)(r)
		return s + sum(s)
	}
}
