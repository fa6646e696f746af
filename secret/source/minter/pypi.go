package minter

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/tightlip/tightlip/internal/lazy"
	"github.com/tightlip/tightlip/secret"
)

// pypi narrows an API token of PyPI, without PyPI: its tokens are macaroons, to which whoever holds one can add restrictions that nobody
// can take away again. warehouse/macaroons/caveats in PyPI's source has those that it understands.
var pypi = &kind{
	scheme:  "pypi",
	form:    "pypi:PROJECT,PROJECT?token=REFERENCE",
	what:    "an API token of PyPI for some projects and some minutes",
	example: "pypi:acme-api?token=env:PYPI_TOKEN&ttl=15m",
	about: secret.MintAbout{
		Grade: secret.GradeA, Least: 10 * time.Second, Default: 15 * time.Minute,
		Narrow: "the projects, by name; ids= does it by PyPI's IDs",
	},
	keys:    []string{"ids"},
	needs:   []string{"token"},
	parents: []string{"token"},
	life:    "ttl",
	longest: 24 * time.Hour,
	check:   checkPyPI,
	mint:    mintPyPI,
}

// The caveats, by the number that begins them.
const (
	pypiExpiration  = 0
	pypiProjectName = 1
	pypiProjectID   = 2
)

func checkPyPI(o *order) error {
	for _, name := range strings.Split(o.Path, ",") {
		if o.Path != "" && !projectName().MatchString(name) {
			return o.wrong("what follows pypi: is no list of projects", "")
		}
	}
	return nil
}

// projectName is PEP 508's, and projectDots what PEP 503 makes a hyphen of.
var (
	projectName = lazy.Regexp(`^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$`)
	projectDots = lazy.Regexp(`[-_.]+`)
)

func mintPyPI(_ context.Context, o *order) (*credential, error) {
	expires := time.Now().Add(o.life).Truncate(time.Second)
	// The start may be any time that is over. A random one makes each token another one.
	caveats := [][]any{{pypiExpiration, expires.Unix(), rand.Int64N(time.Now().Add(-time.Hour).Unix())}}
	if o.Path != "" {
		names := strings.Split(projectDots().ReplaceAllString(strings.ToLower(o.Path), "-"), ",")
		caveats = append(caveats, []any{pypiProjectName, names})
	}
	if ids := o.List("ids"); ids != nil {
		caveats = append(caveats, []any{pypiProjectID, ids})
	}
	token, err := attenuated(bytes.TrimSpace(o.values["token"].Open()), caveats)
	if err != nil {
		return nil, &secret.ResolveError{Ref: o.ref, Problem: "pypi: " + o.Get("token") + " is no API token of PyPI", Try: "make one on PyPI, in the account's settings"}
	}
	return &credential{value: secret.NewValue(token), expires: expires}, nil
}

// errNoMacaroon is that a token is not what PyPI makes.
var errNoMacaroon = errors.New("is no macaroon")

// attenuated adds caveats to a token: a prefix and a macaroon in the binary form of version 2, as libmacaroons has it.
func attenuated(token []byte, caveats [][]any) ([]byte, error) {
	encoded, ok := bytes.CutPrefix(token, []byte("pypi-"))
	if !ok {
		return nil, errNoMacaroon
	}
	macaroon, err := base64.RawURLEncoding.DecodeString(string(bytes.TrimRight(encoded, "=")))
	if err != nil {
		return nil, errNoMacaroon
	}
	body, signature, ok := macaroonParts(macaroon)
	if !ok {
		return nil, errNoMacaroon
	}
	for _, caveat := range caveats {
		text, err := json.Marshal(caveat)
		if err != nil {
			return nil, err
		}
		mac := hmac.New(sha256.New, signature)
		mac.Write(text)
		signature = mac.Sum(nil)
		body = append(macaroonField(body, fieldIdentifier, text), fieldEnd)
	}
	body = macaroonField(append(body, fieldEnd), fieldSignature, signature)
	return append([]byte("pypi-"), base64.RawURLEncoding.EncodeToString(body)...), nil
}

// The fields of a macaroon. A section is fields of rising types up to fieldEnd: the header, each caveat, and none, before the signature.
const (
	macaroonVersion = 2
	fieldEnd        = 0
	fieldIdentifier = 2
	fieldSignature  = 6
)

func macaroonField(to []byte, kind byte, data []byte) []byte {
	return append(binary.AppendUvarint(append(to, kind), uint64(len(data))), data...)
}

// macaroonParts splits a macaroon into what is before the end of its caveats, and its signature.
func macaroonParts(m []byte) (body, signature []byte, ok bool) {
	if len(m) == 0 || m[0] != macaroonVersion {
		return nil, nil, false
	}
	for at, empty := 1, true; at < len(m); {
		if m[at] != fieldEnd {
			next, ok := skipField(m, at)
			if !ok {
				return nil, nil, false
			}
			at, empty = next, false
			continue
		}
		if empty {
			want := macaroonField(nil, fieldSignature, make([]byte, sha256.Size))
			rest := m[at+1:]
			if at == 1 || len(rest) != len(want) || rest[0] != want[0] || rest[1] != want[1] {
				return nil, nil, false
			}
			return bytes.Clone(m[:at]), rest[2:], true
		}
		at, empty = at+1, true
	}
	return nil, nil, false
}

// skipField is where the field after the one at a place begins.
func skipField(m []byte, at int) (int, bool) {
	length, n := binary.Uvarint(m[at+1:])
	if n <= 0 || length > uint64(len(m)) {
		return 0, false
	}
	next := at + 1 + n + int(length)
	return next, next <= len(m)
}
